"""P waves: which beats follow one, where it begins and ends, and why there is none.

P waves are looked for in two ways. Most stand at one distance before every QRS, so that they add up in the mean beat
while noise and fibrillatory waves cancel. Where they do not, single P waves are followed from beat to beat: if they
come regularly, either PR grows until a beat is dropped (Wenckebach) or the atria go their own way (complete block).
"""

from dataclasses import dataclass
from typing import Final

import bottleneck as bn
import numpy as np

from ecglens.intervals.beats import Beats
from ecglens.intervals.trace import (
    AFTER,
    BEFORE,
    Flags,
    Floats,
    Ints,
    Trace,
    median,
    nanmean,
    quick_size,
    sd,
    windows,
)
from ecglens.intervals.waves import Repolarisation, tangent, wave_lag

# How a sinus P wave points in each lead of LEADS: upright in I, II and V3-V6, inverted in aVR.
DIRECTION: Final = np.array([0.6, 1.0, 0.4, -0.8, 0.1, 0.7, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])
WIDTH: Final = 5.5  # samples, standard deviation of the bump the P filter is matched to
ON_T: Final = 12  # samples after the peak of T from which on a P wave may stand on it
SHORTEST: Final = 11  # samples that a P wave lasts at least; a pacemaker's spike is shorter
CLEAR_OF_T: Final = 0.7  # of the highest crest, on T, that one clear of T must reach to be preferred
REACH: Final = 20  # samples from its peak within which a P wave begins and ends
T_FOOT: Final = 8  # samples after the end of T up to which the filter answers to it
T_FOOT_ALIKE: Final = 0.7  # cosine
# A bump on the T wave must point as a sinus P wave does (cosine), above all at the rates of re-entry (RR in samples).
ON_T_UPRIGHT, ON_T_UPRIGHT_FAST, FAST = 0.3, 0.5, 125
FAR, NEAR = 92, 9  # samples from P peak to QRS onset: furthest (a PR of about 420 ms) and nearest
SMALL: Final = 0.03  # mV, root sum of squares over leads
TAIL: Final = 1.3  # a tangent cuts the tail of a wave: a raised cosine ends at 1.57, a Gaussian falls to 5 % at 1.45

# Of the mean beat
CONSISTENT: Final = 10.0  # averaged P power over what beat-to-beat scatter alone would leave
SURE: Final = 25.0  # from here on its place may vary from beat to beat
SPREAD: Final = 2.5  # samples, SD of its place otherwise: 10 ms

# Of single P waves
ALIKE: Final = 0.7  # cosine between their directions
CLEAR: Final = 4.0  # times the median size of what is around them
BESIDE: Final = 30  # samples from their peak on
CYCLE: Final = (100, 400, 0.06)  # samples, shortest and longest time between P waves, and how far one may be off
# PR varies by more samples than the first while RR varies by less than this part of it, or while the growth of PR
# correlates no more negatively with RR than the last.
UNCOUPLED: Final = (8.0, 0.3, -0.7)
FEWEST_STEPS: Final = 4  # from beat to beat, to judge that

# Flutter comes 230 to 360 times a minute, without a pause.
FLUTTER: Final = (42, 66)  # samples
FLUTTER_SIZE: Final = 0.5  # of the wave before or after, at least
FLUTTER_ALIKE: Final = 0.85  # cosine between their directions
REPEATS: Final = {2: 0.5, 3: 0.65, 4: 0.6}  # how like itself, so many times a beat, the signal is in two leads

ABSENT: Final = "no P waves were found: there is no PR interval, or P lies hidden in T"
ALONE: Final = "P waves are not coupled to QRS complexes: the PR interval does not exist"
FLUTTERING: Final = "atrial flutter waves instead of P waves: the PR interval does not exist"
FEW: Final = "too few beats to tell a P wave from noise"


@dataclass(frozen=True, slots=True, eq=False)
class PWaves:
    """``onset`` and ``end`` (beats,) samples from the fiducial, NaN where there is none, and ``reason`` why."""

    onset: Floats
    end: Floats
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A P wave: its peak ``top`` in the window, its ``direction`` (leads,), its shift in each beat (NaN: not there)."""

    top: int
    direction: Floats
    lag: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Where P waves are looked for: ``bumps`` (beats, leads, window), how like one the signal is.

    ``onset`` is that of QRS in the window, ``rr`` (beats,) samples since the beat before, ``t`` its T wave.
    """

    bumps: Floats
    trace: Trace
    usual: Flags
    onset: int
    rr: Floats
    t: Repolarisation

    @property
    def upright(self) -> Floats:
        """The direction (leads,) of a sinus P wave, of length 1."""
        direction = DIRECTION[list(self.trace.leads)]
        return np.asarray(direction / np.linalg.norm(direction))

    @property
    def on_t(self) -> Flags:
        """Where in the window (window,) the T wave of the beat before mostly is or has just ended."""
        return np.asarray(np.arange(-BEFORE, AFTER) < self.t.end + T_FOOT - median(self.rr))

    @property
    def upright_on_t(self) -> float:
        """How much (cosine) a bump on T must point as a sinus P wave does."""
        return ON_T_UPRIGHT_FAST if median(self.rr) < FAST else ON_T_UPRIGHT

    def after(self, time: float) -> Floats:
        """``bumps`` with NaN for what comes before ``time``, counted from the beat before."""
        start = np.nan_to_num(time, nan=40.0) - np.where(np.isnan(self.rr), median(self.rr), self.rr)
        return np.where((np.arange(-BEFORE, AFTER) >= start[:, None])[:, None], self.bumps, np.nan)


def find_p_waves(trace: Trace, rest: Floats, beats: Beats, on: float, rr: Floats, t: Repolarisation) -> PWaves:
    """Find the P wave before each beat of the commonest shape.

    ``rest`` is the trace without QRS complexes, ``on`` their onset in samples from the fiducial, ``rr`` (beats,)
    samples since the beat before.
    """
    if beats.usual.sum() < 2:
        return _none(beats, FEW)
    search = _Search(
        windows(_bump_filtered(rest), trace.known, beats.at), trace, beats.usual, BEFORE + round(on), rr, t
    )
    found = _coupled(search, 0.4 * t.peak + 0.6 * t.end)  # the T wave before is mostly over
    if found is None and np.isfinite(t.peak):
        found = _coupled(search, t.peak + ON_T)
    if found is None:
        found = _followed(search, beats.at)
    if found is None:
        return _none(beats, ABSENT)
    if _uncoupled(search, found.lag):
        return _none(beats, ALONE)
    if _flutters(search, found):
        return _none(beats, FLUTTERING)
    p = _bounded(search, rest, beats, found, t.end - median(rr))
    return p if median(p.end - p.onset) >= SHORTEST else _none(beats, ABSENT)


def _none(beats: Beats, reason: str) -> PWaves:
    nowhere = np.full(beats.at.size, np.nan)
    return PWaves(nowhere, nowhere, reason)


def _coupled(search: _Search, free: float) -> _Found | None:
    """Find a P wave at one distance before all QRS: the highest crest of the mean that scatter cannot explain.

    P waves are not looked for before the time ``free`` after the beat before.
    """
    usual, onset = search.usual, search.onset
    picked = search.after(free)[usual]
    count = np.isfinite(picked).any(axis=1).sum(axis=0)
    mean = np.nan_to_num(nanmean(picked))
    scatter = np.nan_to_num(bn.nanvar(picked, axis=0)) / np.maximum(count - 1, 1)
    power = (mean**2).sum(axis=0)
    ratio = power / (scatter.sum(axis=0) + 1e-8)
    score = 0.2 * np.sqrt(power) + 0.8 * (search.upright @ mean)
    score[count < max(2, 0.5 * count[onset - NEAR])] = -1.0
    # Where T ends, the filter answers as to a bump that points the other way.
    foot = -(search.t.direction @ mean) > T_FOOT_ALIKE * np.sqrt(power)
    doubtful = search.on_t & (foot | (search.upright @ mean < search.upright_on_t * np.sqrt(power)))
    crest = _crests(score, 0.0)
    crest = crest[(crest >= onset - FAR) & (crest < onset - NEAR)]
    crest = crest[(ratio[crest] > CONSISTENT) & (power[crest] > SMALL**2) & ~doubtful[crest]]
    if not crest.size:
        return None
    clear = crest[~search.on_t[crest]]
    if clear.size and score[clear].max() > CLEAR_OF_T * score[crest].max():
        crest = clear
    top = int(crest[np.argmax(score[crest])])
    direction = mean[:, top] / np.linalg.norm(mean[:, top])
    lag = np.where(usual, wave_lag(search.bumps, direction, top - 12, top + 13, 10), np.nan)
    if np.isfinite(lag[usual]).mean() < 0.5 or (ratio[top] < SURE and sd(lag) > SPREAD):
        return None
    return _Found(top, direction, lag)


def _followed(search: _Search, at: Floats) -> _Found | None:
    """Find P waves that come regularly, whatever their distance to QRS: in each beat the highest crest before it."""
    before = np.nan_to_num(search.after(0.4 * search.t.peak + 0.6 * search.t.end)[:, :, : search.onset - NEAR])
    some = search.usual & (np.abs(before).max(axis=(1, 2)) > 0)
    beat = np.arange(at.size)
    direction = search.upright
    for _ in range(2):  # first as P waves usually point, then as these do
        line = np.einsum("blt,l->bt", before, direction)
        vectors = before[beat, :, line.argmax(axis=1)]
        direction = _unit(_unit(vectors[some]).sum(axis=0))
    line = np.einsum("blt,l->bt", before, direction)
    crest = line.argmax(axis=1)
    height = line[beat, crest]
    alike = height > ALIKE * np.linalg.norm(before[beat, :, crest], axis=1)
    there = some & alike & (height > 0.5 * median(height[some])) & (crest > 0)
    if there.sum() < max(4, 0.5 * some.sum()):
        return None
    away = np.abs(np.arange(line.shape[1]) - crest[:, None]) > BESIDE
    around = np.abs(line[there][(away & (line != 0))[there]])
    if median(height[there]) < max(SMALL, CLEAR * median(around)) or not _regular(at[there] + crest[there]):
        return None
    top = int(np.median(crest[there]))
    if top < search.onset - FAR or (search.on_t[top] and search.upright @ direction < search.upright_on_t):
        return None
    return _Found(top, direction, np.where(there, crest - top, np.nan))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


def _regular(times: Floats) -> bool:
    """Whether most times between P waves are multiples of one cycle."""
    shortest, longest, off = CYCLE
    gaps = np.diff(times)
    cycles = (gaps[:, None] / np.array([1, 2, 3])).ravel()
    cycles = cycles[(cycles >= shortest) & (cycles <= longest)]
    parts = gaps / cycles[:, None]
    return bool(((np.abs(parts - np.rint(parts)) < off).mean(axis=1) >= 0.8).any()) if cycles.size else False


def _uncoupled(search: _Search, lag: Floats) -> bool:
    """Whether PR varies, but RR does not, or not as in Wenckebach periods, in which it is short while PR grows."""
    least, part, coupled = UNCOUPLED
    if not sd(lag) > least:
        return False
    if sd(search.rr[search.usual]) < part * sd(lag):
        return True
    growth, rr = -np.diff(lag), search.rr[1:]  # the later the P wave, the shorter is PR
    both = np.isfinite(growth) & np.isfinite(rr)
    return both.sum() >= FEWEST_STEPS and bool(np.corrcoef(growth[both], rr[both])[0, 1] > coupled)


def _flutters(search: _Search, found: _Found) -> bool:
    """Whether a like wave comes one flutter cycle before or after, or each beat holds several like waves."""
    shortest, longest = FLUTTER
    clear = np.nan_to_num(nanmean(search.after(search.t.end + T_FOOT)[search.usual]))
    away = _repeated(clear[:, : search.onset - NEAR], found)
    if ((away >= shortest) & (away <= longest)).any():
        return True
    rr = median(search.rr)
    possible = [n for n in REPEATS if shortest <= rr / n <= longest]
    return any(_likeness(search, round(rr), n) >= REPEATS[n] for n in possible)


def _likeness(search: _Search, rr: int, count: int) -> float:
    """Correlation of the mean cycle between beats with itself one ``count``-th later, in the lead second in this.

    A single lead may be as like itself by chance; flutter waves show clearly in several, mostly II and V1.
    """
    start = max(search.onset - rr, 0)
    cycle = np.nan_to_num(nanmean(search.bumps[search.usual]))[:, start : start + rr]
    cycle = cycle - cycle.mean(axis=1, keepdims=True)
    product = (cycle * np.roll(cycle, round(rr / count), axis=1)).sum(axis=1)
    return float(np.sort(product / ((cycle**2).sum(axis=1) + 1e-9))[-2:][0])


def _repeated(mean: Floats, found: _Found) -> Ints:
    """How far from the P wave, samples, other waves of its direction and size stand in ``mean`` (leads, window)."""
    line = found.direction @ mean
    crests = _crests(line, FLUTTER_SIZE * line[found.top])
    like = line[crests] > FLUTTER_ALIKE * np.linalg.norm(mean[:, crests], axis=0)
    like &= line[crests] < line[found.top] / FLUTTER_SIZE
    return np.asarray(np.abs(crests[like] - found.top))


def _crests(line: Floats, least: float) -> Ints:
    inner = line[1:-1]
    return np.flatnonzero((inner > least) & (inner > line[:-2]) & (inner >= line[2:])) + 1


def _bounded(search: _Search, rest: Floats, beats: Beats, found: _Found, t_end: float) -> PWaves:
    """Onset and end on the mean of the P waves, laid on each other; ``t_end`` is the end of the T wave before."""
    here = np.isfinite(found.lag)
    mean = nanmean(windows(rest, search.trace.known, beats.at[here] + found.lag[here]))
    mean, top = np.nan_to_num(mean), found.top
    line = found.direction @ mean
    start = line.size - 1 - tangent(line[::-1], line.size - 1 - top, line.size - 1 - max(top - REACH, 0), TAIL)
    last = min(top + REACH, search.onset)
    # The left atrium may point elsewhere than the right: the end is where all leads have come to rest.
    size = np.linalg.norm(mean - mean[:, last - 2 : last + 1].mean(axis=1, keepdims=True), axis=0)
    end = tangent(size, top, last)
    if start - BEFORE < t_end:  # it begins on the T wave, and is as long before its peak as after it
        start = min(start, 2 * top - end)
    return PWaves(start - BEFORE + found.lag, end - BEFORE + found.lag, ABSENT)


def _bump_filtered(wave: Floats) -> Floats:
    """Answer to bumps as wide as a P wave, blind to level and slope: a Gaussian's negative second derivative."""
    size = quick_size(wave.shape[1] + 100)
    f = 2 * np.pi * np.fft.rfftfreq(size) * WIDTH
    gain = (2.0**1.5 * f**2 * np.exp(-(f**2) / 2)).astype(np.float32)
    return np.asarray(np.fft.irfft(np.fft.rfft(wave, size, axis=1) * gain, size, axis=1)[:, : wave.shape[1]])
