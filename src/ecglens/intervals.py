"""Beats, intervals and axis of a 12-lead ECG, and the paper's eight scalars.

All leads are read together. QRS complexes are peaks of the spatial velocity (root mean square of band-passed lead
derivatives). Beats of the commonest shape are aligned and averaged; waves are found on that mean beat, where noise and
fibrillatory waves cancel, and carried back to single beats by cross-correlation. Definitions follow the CSE working
party (Eur Heart J 6:815, 1985): global onsets and offsets over all leads. The T end is where the steepest tangent of
the T wave meets the baseline (Lepeschkin and Surawicz, Circulation 6:378, 1952).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import bottleneck as bn
import numpy as np
import numpy.typing as npt

from ecglens.leads import INDEPENDENT, INDEX, complete_limb_leads
from ecglens.record import Record

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

SCALARS: Final = ("rr_mean", "rr_sd", "pr_mean", "pr_sd", "qrs_mean", "qrs_sd", "st_mean", "st_sd")
WAVES: Final = ("rr", "pr", "qrs", "qt", "st")

RATE = 250.0  # Hz, the rate everything is measured at
MS = 1000.0
PAD = 1.0  # s of mirrored signal at both ends, so that filters see no edge
BEFORE, AFTER = 160, 190  # samples of a beat's window before and after its fiducial point
QRS_HALF = 25  # samples around the fiducial that decide whether two beats have one shape
MAX_LAG = 14  # samples a detection may be off
REFRACTORY = 50  # samples, 200 ms
LONE_BEAT = 5.0  # times the speed at rest that a QRS must reach when no second one has its shape
QRS_START, QRS_STOP = 0.06, 0.06  # part of the highest spatial velocity that bounds the QRS
QRS_BEND = 0.10  # part of the highest spatial acceleration that only a QRS reaches
QRS_PLATEAU = 13  # samples, the longest stretch without such bends inside a QRS
QRS_LONGEST = 50  # samples from onset up to which sharp bends belong to the QRS
TAIL = 1.3  # a tangent cuts the tail of a wave: a raised cosine ends at 1.57, a Gaussian falls to 5 % at 1.45
MOST_COMPARED = 200  # beats
ALIKE = 0.8  # correlation of QRS complexes of one shape

# How a sinus P wave points in each lead of LEADS: upright in I, II and V3-V6, inverted in aVR.
P_DIRECTION = np.array([0.6, 1.0, 0.4, -0.8, 0.1, 0.7, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What was measured of one record.

    ``r_peaks`` is (beats,) seconds from the start. ``rr`` (to the beat before), ``pr``, ``qrs``, ``qt`` and ``st`` (J
    point to T onset) are (beats,) ms, NaN where the wave is not there. ``heart_rate`` is 1/min over all RR,
    ``axis`` the frontal QRS axis in degrees, -180 to 180. ``reasons`` says for each missing quantity why it is missing.
    """

    r_peaks: Floats
    rr: Floats
    pr: Floats
    qrs: Floats
    qt: Floats
    st: Floats
    heart_rate: float
    axis: float
    reasons: dict[str, str]

    @property
    def qtc(self) -> float:
        """Median QT corrected for rate, ms, by Fridericia: QT / (RR in s) ** (1/3). NaN when QT or RR is missing."""
        return _median(self.qt) / float(np.cbrt(60.0 / self.heart_rate))

    def summary(self) -> dict[str, float | None]:
        """One number per quantity for reports: medians over beats, None where absent."""
        values = {
            "heart_rate_bpm": self.heart_rate,
            "pr_ms": _median(self.pr),
            "qrs_ms": _median(self.qrs),
            "qt_ms": _median(self.qt),
            "qtc_ms": self.qtc,
            "axis_deg": self.axis,
        }
        return {key: round(value, 1) if np.isfinite(value) else None for key, value in values.items()}


def scalars(measurements: Measurements) -> npt.NDArray[np.float32]:
    """Mean and SD over beats of RR, PR, QRS and ST in ms, in the order of ``SCALARS``: (8,), NaN where absent."""
    waves = (measurements.rr, measurements.pr, measurements.qrs, measurements.st)
    return np.array([f(wave) for wave in waves for f in (_mean, _sd)], np.float32)


def measure(record: Record) -> Measurements:
    """Find the beats of a record and measure their intervals. Never raises: what is missing has a reason."""
    trace = _prepare(record)
    if trace is None:
        return _nothing("no lead is recorded for long enough")
    found = _detect(trace)
    if found.size == 0:
        return _nothing("no heart beat was found")
    beats = _align(trace, found)
    if beats.usual.sum() < 2 and trace.speed[found].max() < LONE_BEAT * _rest(trace.speed):
        return _nothing("no heart beat was found: no two peaks have one shape")
    return _measure_beats(trace, beats)


# --- Preparation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """The leads in use at ``rate`` Hz: ``wave`` (leads, T) mV without baseline wander, 0 where nothing was recorded."""

    wave: Floats
    speed: Floats  # (T,) spatial velocity of the QRS band, arbitrary units
    known: Flags  # (leads, T)
    rate: float
    leads: tuple[int, ...]


def _prepare(record: Record) -> _Trace | None:
    signal = complete_limb_leads(record.signal)
    known = ~np.isnan(signal)
    leads = _leads_in_use(known, record.fs)
    if not leads:
        return None
    rows, known = _filled(signal[list(leads)], known[list(leads)]), known[list(leads)]
    pad = min(int(PAD * record.fs), rows.shape[1] - 1)
    padded = _mirrored(rows, pad)
    size_in = _quick_size(padded.shape[1])
    padded = np.pad(padded, ((0, 0), (0, size_in - padded.shape[1])), mode="edge")
    size = _quick_size(round(size_in * RATE / record.fs))
    rate = size / size_in * record.fs
    spectrum = np.fft.rfft(padded, axis=1)[:, : size // 2 + 1] * (size / size_in)
    if spectrum.shape[1] < size // 2 + 1:
        spectrum = np.pad(spectrum, ((0, 0), (0, size // 2 + 1 - spectrum.shape[1])))
    f = np.fft.rfftfreq(size, 1 / rate)
    wave_band = (f**2 / (f**2 + 0.4**2)) * np.exp(-((f / 40) ** 6))
    qrs_band = 2j * np.pi * f * (1 - np.exp(-((f / 7) ** 4))) * np.exp(-((f / 22) ** 4))
    length = round(record.signal.shape[1] * rate / record.fs)
    start = round(pad * rate / record.fs)
    both = np.fft.irfft(
        np.concatenate([spectrum * wave_band.astype(np.float32), spectrum * qrs_band.astype(np.complex64)]),
        size,
        axis=1,
    )
    both = both[:, start : start + length]
    if not known.all():
        nearest = np.minimum((np.arange(length) * record.fs / rate).astype(int), known.shape[1] - 1)
        known = known[:, nearest]
        both *= np.concatenate([known, known])
    else:
        known = np.ones((len(leads), length), bool)
    wave, velocity = np.split(both.astype(np.float32, copy=False), 2)
    return _Trace(wave, _spatial_speed(velocity, known), known, rate, leads)


def _leads_in_use(known: Flags, fewest: float) -> tuple[int, ...]:
    """Leads with at least ``fewest`` samples: the independent ones, all limb leads where I or II is partly missing."""
    usable = known.sum(axis=1) >= fewest
    wanted = {INDEX[name] for name in INDEPENDENT}
    if (known[:6].any(axis=0) & ~(known[0] & known[1])).any():
        wanted |= set(range(6))
    return tuple(i for i in sorted(wanted) if usable[i])


def _filled(rows: npt.NDArray[np.float32], known: Flags) -> Floats:
    out = rows.copy()
    times = np.arange(rows.shape[1])
    for row, here in zip(out, known, strict=True):
        if not here.all():
            row[~here] = np.interp(times[~here], times[here], row[here])
    return out


def _quick_size(at_least: int) -> int:
    """The next multiple of 2 with no prime factor above 5, which a Fourier transform takes quickly."""
    size = at_least + at_least % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


def _mirrored(rows: Floats, pad: int) -> Floats:
    """Odd extension at both ends, so that value and slope go on."""
    left = 2 * rows[:, :1] - rows[:, pad:0:-1]
    right = 2 * rows[:, -1:] - rows[:, -2 : -pad - 2 : -1]
    return np.concatenate([left, rows, right], axis=1)


def _spatial_speed(velocity: Floats, known: Flags) -> Floats:
    """Root mean square over leads, a noisy lead counting less; smoothed over 60 ms."""
    square = velocity**2
    noise = bn.median(square, axis=1) if known.all() else bn.nanmedian(np.where(known, square, np.nan), axis=1)
    weight = known / (noise + np.median(noise) + 1e-6)[:, None]
    power = (square * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)
    return np.sqrt(np.convolve(power, np.hanning(17) / np.hanning(17).sum(), "same"))


# --- Detection -------------------------------------------------------------------------------------------------------


def _detect(trace: _Trace) -> Ints:
    """Sample indices of QRS complexes: peaks of spatial speed over an adaptive threshold, with search back."""
    speed = trace.speed
    size = speed.size
    width = 2 * 20 + 1
    padded = np.pad(speed, 20)
    crest = bn.move_max(padded, width)[width - 1 :]
    peaks = np.flatnonzero((speed == crest) & (speed > 1e-9))
    if peaks.size == 0:
        return peaks
    level = _level(speed)
    floor = 2.0 * _rest(speed)
    strong = _spaced(peaks[speed[peaks] > max(0.4 * level, floor)], speed)
    if strong.size == 0:
        return strong
    return _searched_back(strong, peaks[speed[peaks] > max(0.15 * level, floor)], speed, size)


def _rest(speed: Floats) -> float:
    """Spatial speed between beats, however wide and fast they are."""
    return float(np.quantile(speed, 0.2))


def _level(speed: Floats) -> float:
    """A typical QRS height: the median of the maxima of 2 s pieces, which an ectopic or an artefact does not move."""
    step = int(2 * RATE)
    count = max(1, speed.size // step)
    tops = [piece.max() for piece in np.array_split(speed, count)]
    return float(np.median(tops))


def _spaced(peaks: Ints, speed: Floats) -> Ints:
    """Drop T waves: a peak within 300 (360) ms of a beat must reach 65 (50) % of its speed; keep 200 ms apart."""
    kept: list[int] = []
    for peak in peaks.tolist():
        if kept:
            gap, ratio = peak - kept[-1], speed[peak] / speed[kept[-1]]
            if gap < REFRACTORY or (gap < 75 and ratio < 0.65) or (gap < 90 and ratio < 0.5):
                if gap < REFRACTORY and ratio > 1:
                    kept[-1] = peak
                continue
            if gap < 90 and ratio > 2.5 and len(kept) == 1:
                kept[-1] = peak
                continue
        kept.append(peak)
    return np.array(kept, np.intp)


def _searched_back(beats: Ints, candidates: Ints, speed: Floats, size: int) -> Ints:
    """Where a pause exceeds 1.6 usual RR, take the strongest weaker peak in it, if one stands clear of both ends."""
    if beats.size < 3:
        return beats
    usual = float(np.median(np.diff(beats)))
    clear = max(REFRACTORY, 0.45 * usual)
    edges = [beats[0] - usual, *beats.tolist(), beats[-1] + usual]
    edges[0], edges[-1] = min(edges[0], 0.0) - 0.7 * usual, max(edges[-1], size) + 0.7 * usual
    extra: list[int] = []
    for left, right in pairwise(edges):
        if right - left < 1.6 * usual:
            continue
        # Beyond the ends nothing is known: a peak there must lie where a beat is due, or it may be a T wave.
        away = 0.7 * usual if left == edges[0] or right == edges[-1] else clear
        inside = candidates[(candidates > left + away) & (candidates < right - away)]
        if inside.size:
            extra.append(int(inside[np.argmax(speed[inside])]))
    return np.sort(np.concatenate([beats, np.array(extra, np.intp)]))


# --- Alignment -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Beats:
    """``at`` (beats,) fractional sample of each beat's fiducial; ``usual`` marks those of the commonest shape."""

    at: Floats
    usual: Flags


def _align(trace: _Trace, found: Ints) -> _Beats:
    """Group beats by QRS shape and align the commonest group to its mean, to a fraction of a sample."""
    shifts = _shifted(trace.wave, found, np.arange(-MAX_LAG, MAX_LAG + 1), QRS_HALF)  # (lags, beats, D)
    still = shifts[MAX_LAG]
    some = np.linspace(0, found.size - 1, min(found.size, MOST_COMPARED)).astype(int)  # memory grows with its square
    alike = (shifts[:, some] @ still[some].T).max(axis=0) >= ALIKE
    medoid = int(some[np.argmax(alike.sum(axis=1) + alike.sum(axis=0))])
    scores = shifts @ still[medoid]
    usual = scores.max(axis=0) >= ALIKE
    usual[medoid] = True
    lag = scores.argmax(axis=0)
    mean = shifts[lag[usual], np.flatnonzero(usual)].mean(axis=0)
    lags = _peak_lag(shifts @ mean) - MAX_LAG
    return _Beats(found.astype(np.float64) + np.where(usual, lags, 0.0), usual)


def _shifted(wave: Floats, at: Ints, lags: Ints, half: int) -> Floats:
    """QRS windows of every beat at every lag, mean removed and of unit length: (lags, beats, leads x samples)."""
    reach = half + int(np.abs(lags).max())
    padded = np.pad(wave, ((0, 0), (reach, reach)))
    flat = np.empty((lags.size, at.size, wave.shape[0], half + 1), wave.dtype)
    for i, place in enumerate(at.tolist()):  # every second sample: the signal ends at 40 Hz
        near = padded[:, place : place + 2 * reach + 1]
        views = np.lib.stride_tricks.sliding_window_view(near, 2 * half + 1, axis=1)[:, :, ::2]
        flat[:, i] = views.transpose(1, 0, 2)
    flat -= flat.mean(axis=3, keepdims=True)
    rows = flat.reshape(lags.size, at.size, -1)
    rows /= np.sqrt(np.einsum("lbd,lbd->lb", rows, rows))[:, :, None] + wave.dtype.type(1e-9)
    return np.asarray(rows)


def _peak_lag(scores: Floats) -> Floats:
    """Fractional position of the maximum along axis 0, by a parabola through three points."""
    top = np.clip(scores.argmax(axis=0), 1, scores.shape[0] - 2)
    column = np.arange(scores.shape[1])
    a, b, c = (scores[top + i, column] for i in (-1, 0, 1))
    bend = a - 2 * b + c
    return np.asarray(top + np.where(bend < -1e-12, np.clip(0.5 * (a - c) / np.where(bend == 0, 1, bend), -1, 1), 0.0))


def _windows(wave: Floats, known: Flags, at: Floats) -> Floats:
    """(beats, leads, BEFORE + AFTER) around each fiducial, linear between samples, NaN where nothing is recorded."""
    reach = BEFORE + AFTER + 2
    padded = np.full((wave.shape[0], wave.shape[1] + 2 * reach), np.nan, wave.dtype)
    padded[:, reach:-reach] = wave
    if not known.all():
        padded[:, reach:-reach][~known] = np.nan
    out = np.empty((at.size, wave.shape[0], BEFORE + AFTER), wave.dtype)
    for window, place in zip(out, at.tolist(), strict=True):
        first = int(np.floor(place)) - BEFORE + reach
        part = wave.dtype.type(place % 1)
        np.multiply(padded[:, first : first + BEFORE + AFTER], 1 - part, out=window)
        window += padded[:, first + 1 : first + BEFORE + AFTER + 1] * part
    return out


# --- Delineation -----------------------------------------------------------------------------------------------------


def _measure_beats(trace: _Trace, beats: _Beats) -> Measurements:
    windows = _windows(trace.wave, trace.known, beats.at)
    mean = _nanmean(windows[beats.usual])
    on, off, peak = _qrs_bounds(mean)
    count = beats.at.size
    onset, offset = np.full(count, on), np.full(count, off)
    for i in np.flatnonzero(~beats.usual):
        onset[i], offset[i], _ = _qrs_bounds(np.nan_to_num(windows[i]))
    scale = MS / trace.rate
    rr = np.concatenate([[np.nan], np.diff(beats.at + np.where(beats.usual, peak, 0.0))])
    usual_rr = float(np.median(rr[1:])) if count > 1 else RATE
    rest = _without_qrs(trace, beats.at + onset, beats.at + offset)
    rest_windows = _windows(rest, trace.known, beats.at)
    t_on, t_end, t_peak, t_lag = _t_wave(rest_windows, beats.usual, on, off, usual_rr)
    p_on, p_reason = _p_wave(trace, rest, rest_windows, beats, on, rr, t_peak, t_end)
    nan = np.nan
    usual = beats.usual
    pr = np.where(usual, on - p_on, nan) * scale
    qt = np.where(usual, t_end + t_lag - on, nan) * scale
    st = np.where(usual, np.maximum(t_on + t_lag - off, 0), nan) * scale
    reasons: dict[str, str] = {}
    if np.isnan(pr).all():
        reasons["pr"] = p_reason
    if np.isnan(qt).all():
        reasons["qt"] = reasons["st"] = "no T wave: the QT interval does not exist"
    if count < 2:
        reasons["rr"] = reasons["heart_rate"] = "a single beat: there is no RR interval"
    axis = _axis(trace, mean, on, off)
    if np.isnan(axis):
        reasons["axis"] = "leads I and aVF are not both recorded or their QRS is isoelectric"
    rate = 60_000 / (float(np.nanmean(rr[1:])) * scale) if count > 1 else nan
    times = (beats.at + np.where(usual, peak, 0.0)) / trace.rate
    return Measurements(times, rr * scale, pr, (offset - onset) * scale, qt, st, rate, axis, reasons)


def _qrs_bounds(beat: Floats) -> tuple[float, float, float]:
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


def _without_qrs(trace: _Trace, onset: Floats, offset: Floats) -> Floats:
    """The trace with each QRS replaced by the straight line between its ends, so that only P and T are left."""
    out = trace.wave.copy()
    for a, b in zip(onset, offset, strict=True):
        left, right = max(int(a) - 1, 0), min(int(np.ceil(b)) + 1, out.shape[1] - 1)
        if right > left:
            out[:, left : right + 1] = np.linspace(out[:, left], out[:, right], right - left + 1, axis=1)
    return out


def _t_wave(windows: Floats, usual: Flags, on: float, off: float, rr: float) -> tuple[float, float, float, Floats]:
    """Onset, end and peak of the T wave (samples from the fiducial) and each beat's shift of it."""
    mean = np.nan_to_num(_nanmean(windows[usual]))
    nothing = (np.nan, np.nan, np.nan, np.full(usual.size, np.nan))
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
    end = _tangent(line, top, min(top + 50, line.size - 2))
    start = max(_tangent(line[::-1], line.size - 1 - top, line.size - 1 - max(first - 5, top - 50)), 0)
    lag = _wave_lag(windows, np.sign(chord[top - first]) * vectors[:, -1], top - 25, top + 25)
    return line.size - 1 - start - BEFORE, end - BEFORE, float(top - BEFORE), lag


def _tangent(line: Floats, top: int, last: int) -> float:
    """End of a wave: from its steepest point, ``TAIL`` times as far as where its tangent meets its foot."""
    part = line[top : last + 1]
    low = int(np.argmin(part))
    if low < 2:
        return float(last)
    slope = np.diff(part[: low + 1])
    steepest = int(np.argmin(slope))
    height = float(part[steepest] + part[steepest + 1]) / 2 - float(part[low])
    return min(top + steepest + 0.5 - TAIL * height / float(slope[steepest]), float(last))


def _wave_lag(windows: Floats, direction: Floats, first: int, last: int, reach: int = 12) -> Floats:
    """Shift of a wave in each beat against its mean, samples, by cross-correlation along ``direction``; NaN unclear."""
    first, last = max(first, reach), min(last, windows.shape[2] - reach)
    lines = np.einsum("blt,l->bt", np.nan_to_num(windows), direction)
    mean = lines.mean(axis=0)[first:last]
    mean = mean - mean.mean()
    views = np.lib.stride_tricks.sliding_window_view(lines[:, first - reach : last + reach], last - first, axis=1)
    centred = views - views.mean(axis=2, keepdims=True)
    scores = (centred @ mean) / (np.sqrt((centred**2).sum(axis=2)) * np.sqrt((mean**2).sum()) + 1e-12)
    lag = _peak_lag(scores.T) - reach
    return np.where((scores.max(axis=1) > 0.5) & (np.abs(lag) < reach - 1), lag, np.nan)


# --- P wave ----------------------------------------------------------------------------------------------------------

P_WIDTH = 5.5  # samples, standard deviation of the bump the P filter is matched to
P_FAR, P_NEAR = 105, 9  # samples from P peak to QRS onset: furthest (a PR of about 460 ms) and nearest
P_CONSISTENT = 10.0  # averaged P power over what beat-to-beat scatter alone would leave
P_SURE = 25.0  # from here on its place may vary from beat to beat
P_SPREAD = 2.5  # samples, SD of its place otherwise: 10 ms
P_SMALL = 0.03  # mV, root sum of squares over leads


def _p_wave(
    trace: _Trace,
    rest: Floats,
    rest_windows: Floats,
    beats: _Beats,
    on: float,
    rr: Floats,
    t_peak: float,
    t_end: float,
) -> tuple[Floats, str]:
    """P onset of each beat, samples from the fiducial (NaN where none), and the reason when there is no P wave."""
    nothing = np.full(beats.at.size, np.nan)
    bumps = _windows(_bump_filtered(rest), trace.known, beats.at)
    qrs_on = BEFORE + round(on)
    before = np.where(np.isnan(rr), np.inf, rr)
    free = -before + (np.nan_to_num(0.4 * t_peak + 0.6 * t_end, nan=40.0))  # the T wave before is mostly over
    times = np.arange(-BEFORE, AFTER)
    use = beats.usual & np.isfinite(bumps[:, :, qrs_on - P_FAR : qrs_on]).any(axis=(1, 2))
    hidden = times[None, None, :] < free[:, None, None]
    picked = np.where(hidden, np.nan, bumps)[use]
    if picked.shape[0] < 2:
        return nothing, "too few beats to tell a P wave from noise"
    count = np.maximum(np.isfinite(picked).sum(axis=0), 0)
    mean = _nanmean(picked)
    scatter = np.nan_to_num(bn.nanvar(picked, axis=0)) * count / np.maximum(count - 1, 1)
    power = (np.nan_to_num(mean) ** 2).sum(axis=0)
    error = (scatter / np.maximum(count, 1)).sum(axis=0) + 1e-8
    seen = count.max(axis=0) >= max(2, 0.5 * use.sum())
    prior = P_DIRECTION[list(trace.leads)]
    upright = np.nan_to_num(mean * prior[:, None]).sum(axis=0) / np.sqrt((prior**2).sum())
    score = np.where(seen, 0.2 * np.sqrt(power) + 0.8 * upright, -1.0)
    first, last = max(qrs_on - P_FAR, 1), qrs_on - P_NEAR
    inner = score[first:last]
    crest = (inner > 0) & (inner > score[first - 1 : last - 1]) & (inner >= score[first + 1 : last + 1])
    ratio = power / error
    good = crest & (ratio[first:last] > P_CONSISTENT) & (power[first:last] > P_SMALL**2)
    if not good.any():
        return nothing, "no P waves: the PR interval does not exist"
    top = first + int(np.argmax(np.where(good, inner, 0.0)))
    direction = np.nan_to_num(mean[:, top])
    direction = direction / np.sqrt((direction**2).sum())
    lag = _wave_lag(bumps, direction, top - 12, top + 13, 10)
    spread = _sd(lag[beats.usual])
    if np.isfinite(lag[beats.usual]).mean() < 0.5 or (ratio[top] < P_SURE and spread > P_SPREAD):
        return nothing, "no P waves: the PR interval does not exist"
    line = direction @ np.nan_to_num(_nanmean(rest_windows[beats.usual]))
    start = line.size - 1 - _tangent(line[::-1], line.size - 1 - top, line.size - 1 - max(top - 20, 0))
    return start - BEFORE + lag, "no P waves: the PR interval does not exist"


def _bump_filtered(wave: Floats) -> Floats:
    """Answer to bumps as wide as a P wave, blind to level and slope: a Gaussian's negative second derivative."""
    size = _quick_size(wave.shape[1] + 100)
    f = 2 * np.pi * np.fft.rfftfreq(size) * P_WIDTH
    gain = 2.0**1.5 * f**2 * np.exp(-(f**2) / 2)
    return np.asarray(
        np.fft.irfft(np.fft.rfft(wave, size, axis=1) * gain.astype(np.float32), size, axis=1)[:, : wave.shape[1]]
    )


# --- Axis and small helpers ------------------------------------------------------------------------------------------


def _axis(trace: _Trace, mean: Floats, on: float, off: float) -> float:
    """Frontal QRS axis, degrees, from net QRS areas in I and aVF (scaled by 2 / sqrt 3 to the same lead strength)."""
    if 0 not in trace.leads or 1 not in trace.leads:
        return np.nan
    inside = mean[:2, BEFORE + int(on) : BEFORE + int(np.ceil(off)) + 1]
    base = (mean[:2, BEFORE + int(on)])[:, None]
    one, two = (inside - base).sum(axis=1) / RATE
    foot = two - one / 2
    if not np.hypot(one, foot) > 1e-4:
        return np.nan
    return float(np.degrees(np.arctan2(foot * 2 / np.sqrt(3), one)))


def _nanmean(stack: Floats) -> Floats:
    return np.asarray(bn.nanmean(stack, axis=0))


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _median(values: Floats) -> float:
    kept = _finite(values)
    return float(np.median(kept)) if kept.size else float("nan")


def _mean(values: Floats) -> float:
    kept = _finite(values)
    return float(kept.mean()) if kept.size else float("nan")


def _sd(values: Floats) -> float:
    kept = _finite(values)
    return float(kept.std()) if kept.size > 1 else float("nan")


def _nothing(reason: str) -> Measurements:
    empty = np.empty(0)
    reasons = dict.fromkeys((*WAVES, "heart_rate", "axis"), reason)
    return Measurements(empty, empty, empty, empty, empty, empty, np.nan, np.nan, reasons)
