"""Where the beats are, which of them have the commonest shape, and how they lie on each other.

QRS complexes are peaks of the spatial velocity: the root mean square of band-passed lead derivatives.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import bottleneck as bn
import numpy as np

from ecglens.intervals.trace import Flags, Floats, Ints, Trace, median, qrs_level

# Parts of a typical QRS speed that a QRS must reach, and one that is missed: P waves reach a fifth, large T a quarter.
STRONG, WEAK = 0.4, 0.28
MAX_LAG: Final = 14  # samples a detection may be off
THROUGHOUT: Final = 0.9  # of the time
QRS_HALF: Final = 25  # samples around the fiducial that decide whether two beats have one shape
CUT: Final = 25  # samples from either end within which a QRS may not be whole
REFRACTORY: Final = 50  # samples, 200 ms
AT_SEAM: Final = 25  # samples (100 ms) around a seam of two columns in which a peak may be the seam's
SOON: Final = 0.6  # of the usual RR interval, less than which one of the seam's comes from a beat
LONGEST_RR: Final = 312  # samples (1250 ms) between beats; in bigeminy those of one kind are farther apart
LATEST_T: Final = 95  # samples (380 ms) after a QRS
IN_TIME: Final = 0.15  # of the RR interval by which a beat may come early or late and still when it is due
MOST_COMPARED: Final = 200  # beats
ALIKE: Final = 0.8  # correlation of QRS complexes of one shape
NEARLY_AS_COMMON: Final = 0.6  # part of the beats of the commonest shape
LATER: Final = 1.15  # times the RR interval before the others


def detect(trace: Trace) -> Ints:
    """Sample indices of QRS complexes: peaks of spatial speed over an adaptive threshold, with search back."""
    speed = trace.speed
    size = speed.size
    width = 2 * 20 + 1
    padded = np.pad(speed, 20)
    crest = bn.move_max(padded, width)[width - 1 :]
    peaks = np.flatnonzero((speed == crest) & (speed > 1e-9))
    if peaks.size == 0:
        return peaks
    level = qrs_level(speed)
    floor = 2.0 * speed_at_rest(speed)
    strong = _spaced(peaks[speed[peaks] > max(STRONG * level, floor)], speed)
    strong = _without_seams(strong, trace.seams)
    if strong.size == 0:
        return strong
    return _searched_back(strong, peaks[speed[peaks] > max(WEAK * level, floor)], speed, size)


def speed_at_rest(speed: Floats) -> float:
    """Spatial speed between beats, however wide and fast they are."""
    return float(np.quantile(speed, 0.2))


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


def _without_seams(beats: Ints, seams: Ints) -> Ints:
    """Drop peaks at the seams of a page's columns that come too soon after or before a beat to be one."""
    if beats.size < 3 or not seams.size:
        return beats
    near = at_seam(beats, seams)
    gaps = np.diff(beats).astype(float)
    sure = gaps[~(near[1:] | near[:-1])]
    usual = median(sure if sure.size else gaps)
    kept = beats[~near]
    for beat in beats[near].tolist():
        if kept.size == 0 or np.abs(kept - beat).min() > SOON * usual:
            kept = np.append(kept, beat)
    return np.sort(kept)


def at_seam(beats: Floats | Ints, seams: Ints) -> Flags:
    """Which beats (n,) lie where two of a page's columns meet."""
    return np.asarray(np.abs(beats[:, None] - seams).min(axis=1) <= AT_SEAM)


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


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """``at`` (beats,) fractional sample of each beat's fiducial; ``usual`` marks those of the commonest shape."""

    at: Floats
    usual: Flags


def by_column(trace: Trace, found: Ints) -> list[Ints]:
    """The beats of each column of a page; all together where leads that are shown throughout tell them apart."""
    if not trace.seams.size or _throughout(trace).any():
        return [found]
    column = np.searchsorted(trace.seams, found, side="right")
    return [found[column == k] for k in np.unique(column)]


def _throughout(trace: Trace) -> Flags:
    """Which leads (leads,) are shown nearly all the time, as rhythm strips are."""
    return np.asarray(trace.known.mean(axis=1) > THROUGHOUT)


def align(trace: Trace, found: Ints) -> Beats:
    """Group beats by QRS shape and align the commonest group to its mean, to a fraction of a sample.

    On a page, shapes are compared in the leads that are shown throughout, if any are.
    """
    strips = _throughout(trace)
    wave = trace.wave[strips] if trace.seams.size and strips.any() else trace.wave
    shifts = _shifted(wave, found, np.arange(-MAX_LAG, MAX_LAG + 1), QRS_HALF)  # (lags, beats, D)
    still = shifts[MAX_LAG]
    some = np.linspace(0, found.size - 1, min(found.size, MOST_COMPARED)).astype(int)  # memory grows with its square
    alike = (shifts[:, some] @ still[some].T).max(axis=0) >= ALIKE
    medoid = int(some[_commonest(alike & alike.T, np.diff(found, prepend=np.nan)[some])])
    scores = shifts @ still[medoid]
    usual = scores.max(axis=0) >= ALIKE
    usual[medoid] = True
    lag = scores.argmax(axis=0)
    mean = shifts[lag[usual], np.flatnonzero(usual)].mean(axis=0)
    lags = peak_lag(shifts @ mean) - MAX_LAG
    # At an end half a T wave may look like a QRS: what is cut there must have the commonest shape.
    whole = (found >= CUT) & (found < trace.wave.shape[1] - CUT)
    sure = usual | whole & ~_are_t_waves(found, usual)
    return Beats((found + np.where(usual, lags, 0.0))[sure], usual[sure])


def _are_t_waves(found: Ints, usual: Flags) -> Flags:
    """Which beats (n,) of other shapes follow a common one as T does, the next common one coming when it is due.

    Where common ones are far apart, they are the early beats of bigeminy.
    """
    out = np.zeros(found.size, bool)
    common = np.flatnonzero(usual)
    steps = np.diff(found[common])
    if common.size < 4 or (due := median(steps.astype(float))) > LONGEST_RR:
        return out
    for before, after, step in zip(common, common[1:], steps, strict=False):
        if abs(step - due) < IN_TIME * due:
            between = np.arange(before + 1, after)
            out[between] = found[between] - found[before] < LATEST_T
    return out


def _commonest(alike: Flags, since: Floats) -> int:
    """Index of the beat to which most are ``alike`` (n, n); of two such shapes, of the one that comes later.

    Ectopic beats come early: in bigeminy there are as many of them as of the others. ``since`` (n,) is the time from
    the beat before.
    """
    first = int(np.argmax(alike.sum(axis=1)))
    others = ~alike[first]
    if others.sum() < NEARLY_AS_COMMON * alike[first].sum():
        return first
    second = int(np.argmax(np.where(others, (alike & others).sum(axis=1), 0)))
    later = median(since[alike[second] & others]) > LATER * median(since[alike[first]])
    return second if later and (alike[second] & others).sum() >= NEARLY_AS_COMMON * alike[first].sum() else first


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


def peak_lag(scores: Floats) -> Floats:
    """Fractional position of the maximum along axis 0, by a parabola through three points."""
    top = np.clip(scores.argmax(axis=0), 1, scores.shape[0] - 2)
    column = np.arange(scores.shape[1])
    a, b, c = (scores[top + i, column] for i in (-1, 0, 1))
    bend = a - 2 * b + c
    return np.asarray(top + np.where(bend < -1e-12, np.clip(0.5 * (a - c) / np.where(bend == 0, 1, bend), -1, 1), 0.0))
