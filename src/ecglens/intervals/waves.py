"""QRS, ST-T and the frontal axis on averaged beats, and how waves are bounded.

Bounds are global, over all leads, as the CSE working party defines them (Eur Heart J 6:815, 1985). Waves end near where
their steepest tangent meets the baseline (Lepeschkin and Surawicz, Circulation 6:378, 1952).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecglens.intervals.beats import peak_lag
from ecglens.intervals.trace import AFTER, BEFORE, RATE, Flags, Floats, Trace, nanmean

QRS_START, QRS_STOP = 0.06, 0.06  # part of the highest spatial velocity that bounds the QRS
QRS_BEND: Final = 0.10  # part of the highest spatial acceleration that only a QRS reaches
QRS_PLATEAU: Final = 13  # samples, the longest stretch without such bends inside a QRS
QRS_LONGEST: Final = 50  # samples from onset up to which sharp bends belong to the QRS


def qrs_bounds(beat: Floats) -> tuple[float, float, float]:
    """Onset, offset and R peak of the QRS of a beat (leads, window), in samples from the fiducial."""
    speed, bend = _spatial(beat[:, 1:] - beat[:, :-1]), _spatial(beat[:, 6:] - 2 * beat[:, 3:-3] + beat[:, :-6])
    speed = np.pad((speed[1:] + speed[:-1]) / 2, 1)
    bend = np.pad(bend, 3)
    top = float(speed[BEFORE - 20 : BEFORE + 21].max())
    calm_before = float(np.sort(speed[BEFORE - 50 : BEFORE - 8])[:8].mean())
    calm_after = float(np.sort(speed[BEFORE + 10 : BEFORE + 60])[:12].mean())
    on = _crossing(speed[BEFORE - 40 : BEFORE + 1][::-1], calm_before + QRS_START * (top - calm_before), 3)
    # A late R' or S follows a plateau: the QRS goes on where the trace still bends as no T wave does.
    late = BEFORE + round(QRS_LONGEST - on)
    sharpest = max(QRS_BEND * float(bend[BEFORE - 20 : BEFORE + 21].max()), 3 * float(np.median(bend)))
    sharp = np.concatenate([[0], np.flatnonzero(bend[BEFORE:late] > sharpest)])
    breaks = np.flatnonzero(np.diff(sharp) > QRS_PLATEAU)
    first = BEFORE + max(int(sharp[breaks[0] if breaks.size else -1]) - 4, 0)
    level = calm_after + QRS_STOP * (top - calm_after)
    off = first - BEFORE + _crossing(speed[first : late + 15], level, 4)
    inside = np.nan_to_num(beat[:, BEFORE - int(on) : BEFORE + int(off) + 1])
    size = ((inside - inside[:, :1]) ** 2).sum(axis=0)
    return -on, off, float(np.argmax(size)) - int(on)


def _spatial(change: Floats) -> Floats:
    """Length of the change over all leads (leads, T), where a small lead's own scale counts half (geometric mean)."""
    size = np.nan_to_num(np.abs(change))
    tops = size[:, BEFORE - 25 : BEFORE + 26].max(axis=1)
    weight = np.sqrt(tops.max() / np.maximum(tops, 0.1 * tops.max() + 1e-9))
    return np.asarray(np.sqrt(((size * weight[:, None]) ** 2).sum(axis=0)))


def _crossing(speed: Floats, threshold: float, calm: int) -> float:
    """Where ``speed``, followed outwards, falls under the threshold for ``calm`` samples; its end if it never does."""
    under = speed < threshold
    quiet = np.flatnonzero(np.convolve(under, np.ones(calm), "valid") >= calm - 0.5)
    if quiet.size == 0 or quiet[0] == 0:
        return float(speed.size - 1) if quiet.size == 0 else 1.0
    i = int(quiet[0])
    return float(i - (threshold - speed[i]) / max(speed[i - 1] - speed[i], 1e-12))


def without_qrs(trace: Trace, onset: Floats, offset: Floats) -> Floats:
    """The trace with each QRS replaced by the straight line between its ends, so that only P and T are left."""
    out = trace.wave.copy()
    for a, b in zip(onset, offset, strict=True):
        left, right = max(int(a) - 1, 0), min(int(np.ceil(b)) + 1, out.shape[1] - 1)
        if right > left:
            out[:, left : right + 1] = np.linspace(out[:, left], out[:, right], right - left + 1, axis=1)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Repolarisation:
    """``onset``, ``peak`` and ``end`` of the T wave, samples from the fiducial, and its ``lag`` in each beat; or NaN.

    ``direction`` (leads,) is how it points.
    """

    onset: float
    peak: float
    end: float
    lag: Floats
    direction: Floats


def t_wave(windows: Floats, usual: Flags, on: float, off: float, rr: float) -> Repolarisation:
    """Find the T wave of the beats ``usual``, which are followed by the next after ``rr`` samples (NaN: unknown)."""
    rr = rr if np.isfinite(rr) else RATE
    mean = np.nan_to_num(nanmean(windows[usual]))
    nothing = Repolarisation(np.nan, np.nan, np.nan, np.full(usual.size, np.nan), np.zeros(windows.shape[1]))
    first = BEFORE + round(off) + 10
    longest = 0.50 * np.sqrt(rr / RATE) * RATE  # QTc of 500 ms, Bazett, to the T peak
    last = BEFORE + round(on + min(longest, 0.75 * rr, AFTER - 30))
    if last - first < 10:
        return nothing
    base = mean[:, BEFORE + round(on) - 3 : BEFORE + round(on) + 1].mean(axis=1, keepdims=True)
    part = mean[:, first:last] - base
    values, vectors = np.linalg.eigh(part @ part.T)
    line = vectors[:, -1] @ (mean - base)
    if values[-1] / part.shape[1] < 0.015**2:
        return nothing
    line = np.convolve(line, np.hanning(9)[1:-1] / np.hanning(9).sum(), "same")
    chord = line[first:last] - np.linspace(line[first], line[last - 1], last - first)
    top = first + int(np.argmax(np.abs(chord)))
    line = line * np.sign(chord[top - first])
    end = tangent(line, top, min(top + 50, line.size - 2))
    start = max(tangent(line[::-1], line.size - 1 - top, line.size - 1 - max(first - 5, top - 50)), 0)
    direction = np.sign(chord[top - first]) * vectors[:, -1]
    lag = wave_lag(windows, direction, top - 25, top + 25)
    return Repolarisation(line.size - 1 - start - BEFORE, float(top - BEFORE), end - BEFORE, lag, direction)


def tangent(line: Floats, top: int, last: int, tail: float = 1.0) -> float:
    """End of the wave that peaks at ``top``, not after ``last``: where its steepest tangent meets its foot.

    With a ``tail``, so many times as far from the steepest point.
    """
    part = line[top : last + 1]
    low = int(np.argmin(part))
    if low < 2:
        return float(last)
    slope = np.diff(part[: low + 1])
    steepest = int(np.argmin(slope))
    height = float(part[steepest] + part[steepest + 1]) / 2 - float(part[low])
    return min(top + steepest + 0.5 - tail * height / float(slope[steepest]), float(last))


def wave_lag(windows: Floats, direction: Floats, first: int, last: int, reach: int = 12) -> Floats:
    """Shift of a wave in each beat against its mean, samples, by cross-correlation along ``direction``; NaN unclear."""
    first, last = max(first, reach), min(last, windows.shape[2] - reach)
    lines = np.einsum("blt,l->bt", np.nan_to_num(windows), direction)
    mean = lines.mean(axis=0)[first:last]
    mean = mean - mean.mean()
    views = np.lib.stride_tricks.sliding_window_view(lines[:, first - reach : last + reach], last - first, axis=1)
    centred = views - views.mean(axis=2, keepdims=True)
    scores = (centred @ mean) / (np.sqrt((centred**2).sum(axis=2)) * np.sqrt((mean**2).sum()) + 1e-12)
    lag = peak_lag(scores.T) - reach
    return np.where((scores.max(axis=1) > 0.5) & (np.abs(lag) < reach - 1), lag, np.nan)


def axis(trace: Trace, mean: Floats, on: float, off: float) -> float:
    """Frontal QRS axis, degrees, from net amplitudes (R + S) in I and aVF (by 2 / sqrt 3 to the same lead strength)."""
    if 0 not in trace.leads or 1 not in trace.leads:
        return np.nan
    inside = mean[:2, BEFORE + int(on) : BEFORE + int(np.ceil(off)) + 1]
    one, two = inside - inside[:, :1]
    foot = two - one / 2
    one, foot = one.max() + one.min(), foot.max() + foot.min()
    if not np.hypot(one, foot) > 0.01:
        return np.nan
    return float(np.degrees(np.arctan2(foot * 2 / np.sqrt(3), one)))
