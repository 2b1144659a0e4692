"""The signal everything is measured on: the leads at one rate, without baseline wander, and how fast QRS moves."""

from dataclasses import dataclass
from typing import Any, Final

import bottleneck as bn
import numpy as np
import numpy.typing as npt

from ecglens.leads import INDEPENDENT, INDEX, complete_limb_leads
from ecglens.record import Record, fill_gaps

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

RATE: Final = 250.0  # Hz, the rate everything is measured at
PAD: Final = 1.0  # s of mirrored signal at both ends, so that filters see no edge
SHORTEST_COLUMN: Final = 250  # samples: 1 s
SEAM: Final = 60  # samples (240 ms) on either side of a seam, where a QRS cut in two may be faster than any
MOST_LEVELLED: Final = 4.0  # times by which one column's QRS may be raised to another's
STANDS_OUT: Final = 4.0  # times the speed between beats that a QRS reaches; a column without one is not raised
BEFORE, AFTER = 160, 190  # samples of a beat's window before and after its fiducial point


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The leads in use at ``rate`` Hz: ``wave`` (leads, T) mV without baseline wander, 0 where nothing was recorded."""

    wave: Floats
    speed: Floats  # (T,) spatial velocity of the QRS band, arbitrary units, brought to one height in all columns
    known: Flags  # (leads, T)
    rate: float
    leads: tuple[int, ...]
    seams: Ints  # (n,) samples at which one column of a page ends and the next begins, or leads were interrupted


def prepare(record: Record) -> Trace | None:
    """Bring the leads in use to one rate and free them of wander; None where no lead holds a second of signal."""
    signal = complete_limb_leads(record.signal)
    known = ~np.isnan(signal)
    leads = _leads_in_use(known, record.fs)
    if not leads:
        return None
    rows, known = fill_gaps(signal[list(leads)]), known[list(leads)]
    both, rate = _filtered(rows, record.fs)
    length = both.shape[1]
    if known.all():
        known = np.ones((len(leads), length), bool)
    else:
        nearest = np.minimum((np.arange(length) * record.fs / rate).astype(int), known.shape[1] - 1)
        known = known[:, nearest]
        both *= np.concatenate([known, known])
    wave, velocity = np.split(both.astype(np.float32, copy=False), 2)
    seams = _seams(known)
    return Trace(wave, _levelled(_spatial_speed(velocity, known), seams), known, rate, leads, seams)


def _filtered(rows: Floats, fs: float) -> tuple[Floats, float]:
    """Resample (leads, T) at ``fs`` by one Fourier transform: the wave, below it the velocity of the QRS band.

    Also returns the new rate, which is ``RATE`` but for the rounding of sizes.
    """
    pad = min(int(PAD * fs), rows.shape[1] - 1)
    padded = _mirrored(rows, pad)
    size_in = quick_size(padded.shape[1])
    padded = np.pad(padded, ((0, 0), (0, size_in - padded.shape[1])), mode="edge")
    size = quick_size(round(size_in * RATE / fs))
    rate = size / size_in * fs
    spectrum = np.fft.rfft(padded, axis=1)[:, : size // 2 + 1] * (size / size_in)
    spectrum = np.pad(spectrum, ((0, 0), (0, size // 2 + 1 - spectrum.shape[1])))
    f = np.fft.rfftfreq(size, 1 / rate)
    wave_band = (f**2 / (f**2 + 0.4**2)) * np.exp(-((f / 40) ** 6))
    qrs_band = 2j * np.pi * f * (1 - np.exp(-((f / 7) ** 4))) * np.exp(-((f / 22) ** 4))
    both = np.concatenate([spectrum * wave_band.astype(np.float32), spectrum * qrs_band.astype(np.complex64)])
    start, length = round(pad * rate / fs), round(rows.shape[1] * rate / fs)
    return np.asarray(np.fft.irfft(both, size, axis=1)[:, start : start + length]), rate


def _leads_in_use(known: Flags, fewest: float) -> tuple[int, ...]:
    """Leads with at least ``fewest`` samples: the independent ones, all limb leads where I or II is partly missing."""
    usable = known.sum(axis=1) >= fewest
    wanted = {INDEX[name] for name in INDEPENDENT}
    if (known[:6].any(axis=0) & ~(known[0] & known[1])).any():
        wanted |= set(range(6))
    return tuple(i for i in sorted(wanted) if usable[i])


def quick_size(at_least: int) -> int:
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


def _seams(known: Flags) -> Ints:
    """Where leads (leads, T) begin and end, and so columns of a page, at least ``SHORTEST_COLUMN`` apart."""
    length = known.shape[1]
    ends = np.sort(np.concatenate([known.argmax(axis=1), length - known[:, ::-1].argmax(axis=1)]))
    seams = [0]
    for end in ends.tolist():
        if end - seams[-1] >= SHORTEST_COLUMN and length - end >= SHORTEST_COLUMN:
            seams.append(end)
    return np.array(seams[1:], np.intp)


def _levelled(speed: Floats, seams: Ints) -> Floats:
    """The speed (T,), QRS complexes being as high in each column of a page: leads shown in turn differ in size."""
    columns = np.split(speed, seams)
    levels = np.array([qrs_level(column[SEAM:-SEAM]) for column in columns]) if seams.size else np.zeros(1)
    if not levels.max() > 0:
        return speed
    still = [level < STANDS_OUT * np.quantile(column, 0.2) for level, column in zip(levels, columns, strict=True)]
    factors = np.where(still, 1.0, levels.max() / np.maximum(levels, levels.max() / MOST_LEVELLED))
    return np.concatenate([column * factor for column, factor in zip(columns, factors.tolist(), strict=True)])


def qrs_level(speed: Floats) -> float:
    """A typical QRS height: the median of the maxima of 2 s pieces; from 6 s on no ectopic or artefact moves it."""
    count = max(1, speed.size // int(2 * RATE))
    return float(np.median([piece.max() for piece in np.array_split(speed, count)]))


def windows(wave: Floats, known: Flags, at: Floats) -> Floats:
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


def nanmean(stack: Floats) -> Floats:
    return np.asarray(bn.nanmean(stack, axis=0))


def finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def median(values: Floats) -> float:
    kept = finite(values)
    return float(np.median(kept)) if kept.size else float("nan")


def mean(values: Floats) -> float:
    kept = finite(values)
    return float(kept.mean()) if kept.size else float("nan")


def sd(values: Floats) -> float:
    kept = finite(values)
    return float(kept.std()) if kept.size > 1 else float("nan")
