"""Signals made ready: resampled, freed of baseline wander, cut to a window. NaN (not recorded) stays NaN.

Written on numpy and bottleneck alone: importing scipy.signal takes seconds cold and weighs more than all models.
"""

from fractions import Fraction
from functools import lru_cache

import bottleneck
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ecglens.leads import DERIVED_FROM_I_II
from ecglens.record import Record, Signal, fill_gaps

FLAT_MV = 0.01  # from end to end; amplifier noise alone is more
BEAT_S = 2.0  # holds a beat of all but the slowest hearts, and little baseline wander
_ZERO_CROSSINGS = 12  # of the windowed sinc, each side: right to 0.2 % up to 80 % of the Nyquist rate


def resample(record: Record, fs: float) -> Record:
    """Return the record at ``fs`` Hz: band-limited interpolation with a Kaiser-windowed sinc.

    Samples whose nearest original sample is NaN are NaN. Beat times in ``truth`` are in seconds and stay true.
    Raises SignalError for a rate that cannot be an ECG's.
    """
    ratio = Fraction(fs / record.fs).limit_denominator(1000)
    if ratio == 1:
        return record
    length = int(record.signal.shape[1] * ratio)
    gaps = np.isnan(record.signal)
    filled = fill_gaps(record.signal) if gaps.any() else record.signal
    weights, reach = _kernel(ratio.numerator, ratio.denominator)
    padded = np.pad(filled, ((0, 0), (reach, reach + 1)), mode="reflect", reflect_type="odd")
    padded = np.pad(padded, ((0, 0), (0, ratio.denominator)))  # for the last step, of which the surplus is cut off
    out = np.empty((filled.shape[0], length), np.float32)
    for row, lead in zip(out, padded, strict=True):  # one lead at a time: the pieces overlap, and hold it many times
        pieces = sliding_window_view(lead, len(weights))[:: ratio.denominator]
        row[:] = (np.ascontiguousarray(pieces) @ weights).reshape(-1)[:length]
    if gaps.any():
        nearest = np.minimum(np.rint(np.arange(length) / float(ratio)).astype(int), gaps.shape[1] - 1)
        out[gaps[:, nearest]] = np.nan
    return Record(out, fs, record.truth)


@lru_cache(maxsize=16)
def _kernel(up: int, down: int) -> tuple[Signal, int]:
    """The interpolating filter's weights (samples, up), and its reach in samples.

    A step over ``down`` samples gives ``up`` new ones, each a weighted sum of those around it.
    """
    cutoff = min(1.0, up / down)
    reach = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    distance = np.arange(-reach, down + reach + 1)[:, None] - np.arange(up) * down / up
    window = np.i0(6.0 * np.sqrt(np.clip(1 - (distance * cutoff / _ZERO_CROSSINGS) ** 2, 0, None))) / np.i0(6.0)
    weights = cutoff * np.sinc(cutoff * distance) * window * (np.abs(distance) * cutoff <= _ZERO_CROSSINGS)
    return (weights / weights.sum(axis=0)).astype(np.float32), reach


def remove_baseline(record: Record, window: float = 1.0) -> Record:
    """Subtract a running median of ``window`` seconds from each lead (Sangha et al. 2022, Methods); 0 changes nothing.

    The median is over the samples that were recorded; the window is centred and shrinks at the ends.
    """
    if window <= 0:
        return record
    half = int(window * record.fs) // 2
    padded = np.pad(record.signal, ((0, 0), (half, half)), constant_values=np.nan)
    median = bottleneck.move_median(padded, 2 * half + 1, min_count=1, axis=1)[:, 2 * half :]
    return Record((record.signal - median).astype(np.float32), record.fs, record.truth)


def crop(record: Record, start: float, duration: float) -> Record:
    """Return ``duration`` > 0 seconds from ``start`` s; samples outside the record are NaN, ``truth`` is dropped."""
    first, length = round(start * record.fs), round(duration * record.fs)
    out = np.full((record.signal.shape[0], length), np.nan, np.float32)
    begin, end = max(first, 0), min(first + length, record.signal.shape[1])
    if begin < end:
        out[:, begin - first : end - first] = record.signal[:, begin:end]
    return Record(out, record.fs)


def flat_leads(record: Record) -> npt.NDArray[np.bool_]:
    """Say for each lead (12,) whether it was recorded but carries nothing: under 10 uV from end to end."""
    with np.errstate(invalid="ignore"):
        span = np.fmax.reduce(record.signal, axis=1) - np.fmin.reduce(record.signal, axis=1)
    return np.asarray(span < FLAT_MV)


def amplitudes(record: Record) -> npt.NDArray[np.float32]:
    """From end to end, mV, each lead (12,): the median over pieces of ``BEAT_S``, NaN where nothing was recorded."""
    length = min(round(BEAT_S * record.fs), record.signal.shape[1])
    whole = record.signal.shape[1] // length * length
    pieces = record.signal[:, :whole].reshape(len(record.signal), -1, length)
    with np.errstate(invalid="ignore"):
        spans = np.fmax.reduce(pieces, axis=2) - np.fmin.reduce(pieces, axis=2)
    return np.asarray(bottleneck.nanmedian(spans, axis=1), np.float32)


def limb_contradiction(record: Record) -> float:
    """How much the limb leads break the identities that bind them: what is left over, as a share of their energy.

    Constant offsets and flat leads do not count; 0 where too few leads are left. Of 1634 PTB-XL records none has more
    than 0.04; with I and II in each other's place none of 327 has less than 0.13, with the twelve reversed 0.67.
    """
    limb = record.signal[:6][:, ~np.isnan(record.signal[:6]).any(axis=0)]
    flat = flat_leads(record)[:6]
    if limb.shape[1] == 0 or flat[:2].any():
        return 0.0
    limb = limb - np.median(limb, axis=1, keepdims=True)
    over = (limb[2:] - DERIVED_FROM_I_II @ limb[:2])[~flat[2:]]
    return float((over**2).sum() / max(float((limb**2).sum()), 1e-9))
