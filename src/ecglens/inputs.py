"""From a record or a page to the numbers a network takes. Training and diagnosis both go through here.

The parameters stand in a specification that is stored in the model's card: a model always gets what it was trained on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ecglens import signal
from ecglens.errors import SignalError
from ecglens.intervals import Measurements, measure, scalars
from ecglens.leads import LEADS
from ecglens.paper.page import Page
from ecglens.record import Record

Tensor = npt.NDArray[np.float32]

MAX_FLAT_LEADS = 2  # of twelve; more and the electrodes were off
LEAST_DURATION = 5.0  # s of a signal, and of a page's half
LEAST_RECORDED = 4.5  # s of a window, in the mean over leads
MAX_MISSING = 0.1  # of the samples of a second that counts
LEAST_LEAD = 2.5  # s of each lead in a window
LEAST_SHOWN = 1.0  # s of each lead in a partial window
MAX_CONTRADICTION = 0.1
# mV, of the 0.2 % largest samples: real ECGs have 0.15 (one of Georgia's) to 7 (PTB-XL). A gain wrong by a thousand is
# outside, one wrong by ten often is not.
LEAST_PEAK, MOST_PEAK = 0.1, 12.0
BEFORE_BEAT, AFTER_BEAT = 0.4, 0.6  # s of a mean beat around its QRS
QRS_HALF = 0.08  # s before and after a QRS's middle


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """How a page becomes ``pixels`` (1, 3, size, size): squeezed to a square, RGB in [0, 1] less mean, over SD."""

    size: int = 300
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """How a record becomes ``signal`` (n, 12, samples) mV at ``fs`` Hz, NaN where nothing was recorded.

    With ``scalars`` it gives ``scalars`` (n, 8) as well, with ``beats`` the mean beat of each window, ``beats``
    (n, 12, fs). ``baseline`` is the running median's window in seconds. A longer record gives several windows that
    overlap by half. With ``partial`` each lead may be there for a part of the window only, as pages show them.
    """

    fs: float = 300.0
    samples: int = 1500
    baseline: float = 1.0
    scalars: bool = False
    partial: bool = False
    beats: bool = False

    @property
    def duration(self) -> float:
        """Length of one window in seconds."""
        return self.samples / self.fs


def image_tensor(page: Page, spec: ImageSpec) -> Tensor:
    """Return ``pixels`` (1, 3, size, size) float32 of a page, as ``spec`` says."""
    pixels = page.pixels
    if pixels.shape[:2] != (spec.size, spec.size):
        pixels = np.asarray(cv2.resize(pixels, (spec.size, spec.size), interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.float32(1 / 255) / np.asarray(spec.std, np.float32)
    shift = np.asarray(spec.mean, np.float32) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray((pixels * scale - shift).transpose(2, 0, 1)[None], np.float32)


def prepare_record(record: Record, spec: SignalSpec) -> Record:
    """Return the record at the model's rate and free of baseline wander (Sangha et al. 2022, Methods)."""
    return signal.remove_baseline(signal.resample(record, spec.fs), spec.baseline)


def check_record(record: Record, spec: SignalSpec) -> None:
    """Raise SignalError, naming what is wrong, when the record cannot be answered for."""
    if missing := record.missing_leads():
        names = ", ".join(missing)
        raise SignalError(f"lead{'s' * (len(missing) > 1)} {names} not recorded: all twelve leads are needed")
    if not spec.partial and record.duration < LEAST_DURATION - 1 / record.fs:
        raise SignalError(f"only {record.duration:.2f} s recorded: at least {LEAST_DURATION:g} s are needed")
    if not spec.partial and signal.limb_contradiction(record) > MAX_CONTRADICTION:
        raise SignalError("the limb leads contradict each other (III is not II - I): check the leads' names and order")
    flat = signal.flat_leads(record)
    if flat.sum() > MAX_FLAT_LEADS:
        names = ", ".join(lead for lead, off in zip(LEADS, flat, strict=True) if off)
        raise SignalError(f"leads {names} are flat: check the electrodes and record again")


def signal_windows(prepared: Record, spec: SignalSpec) -> tuple[Tensor, Tensor]:
    """Cut a prepared record into windows (n, 12, samples) mV, half overlapping; return them and their starts (n,) in s.

    Gaps, and what a record is shorter than a window, are NaN. Windows in which too little was recorded are left out:
    less than ``LEAST_RECORDED`` or ``LEAST_LEAD``, seconds with more than ``MAX_MISSING`` not counted, or less than
    ``LEAST_SHOWN`` of a lead if they may be partial. Raises SignalError when none is left.
    """
    short = max(spec.samples - prepared.signal.shape[1], 0)
    samples = np.pad(prepared.signal, ((0, 0), (0, short)), constant_values=np.nan)
    last = max(prepared.signal.shape[1] - spec.samples, 0)
    count = 1 + round(2 * last / spec.samples)
    starts = np.linspace(0, last, count).round().astype(int)
    windows = np.stack([samples[:, s : s + spec.samples] for s in starts])
    whole = _is_shown(~np.isnan(windows), spec)
    flat = np.fmax.reduce(windows, axis=2) - np.fmin.reduce(windows, axis=2) < signal.FLAT_MV
    whole &= flat.sum(axis=1) <= MAX_FLAT_LEADS
    if not whole.any():
        needed = f"{LEAST_SHOWN:g} s of every lead" if spec.partial else f"{LEAST_DURATION:g} s in one piece"
        raise SignalError(f"too much of the signal is missing or flat: {needed} are needed")
    windows = windows[whole]
    peak = float(np.percentile(np.abs(windows[~np.isnan(windows)]), 99.8))
    if not LEAST_PEAK <= peak <= MOST_PEAK:
        raise SignalError(f"amplitudes of {peak:.3g} mV are no ECG's: check the gain and the unit")
    return windows, (starts[whole] / spec.fs).astype(np.float32)


def _is_shown(there: npt.NDArray[np.bool_], spec: SignalSpec) -> npt.NDArray[np.bool_]:
    """Say for each window (n,) whether enough of it is ``there``, (n, 12, samples)."""
    if spec.partial:
        return np.asarray((there.sum(axis=2) / spec.fs).min(axis=1) >= LEAST_SHOWN)
    second = round(spec.fs)
    padded = np.pad(there, ((0, 0), (0, 0), (0, -spec.samples % second)))
    shares = padded.reshape(*there.shape[:2], -1, second).mean(axis=3)
    seconds = np.where(shares >= 1 - MAX_MISSING, shares, 0).sum(axis=2)
    return np.asarray((seconds.mean(axis=1) >= LEAST_RECORDED) & (seconds.min(axis=1) >= LEAST_LEAD))


def mean_beat(window: Tensor, peaks: npt.ArrayLike, fs: float) -> Tensor:
    """Return the mean of a window (12, samples) around R peaks, in s from its start: (12, one second of samples).

    Samples from ``BEFORE_BEAT`` before to ``AFTER_BEAT`` after the middle of each QRS count where they were recorded;
    NaN where none was. As each lead is averaged over the beats it shows, leads that a page shows one after the other
    lie side by side.
    """
    before, length = round(BEFORE_BEAT * fs), round((BEFORE_BEAT + AFTER_BEAT) * fs)
    first = np.rint(_middles(window, np.asarray(peaks, np.float64) * fs, round(QRS_HALF * fs))).astype(int) - before
    first = first[(first > -length) & (first < window.shape[1])]
    padded = np.pad(window, ((0, 0), (length, length)), constant_values=np.nan)
    beats = padded[:, (first + length)[:, None] + np.arange(length)]
    there = ~np.isnan(beats)
    count = there.sum(axis=1)
    total = np.where(there, beats, np.float32(0)).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float32)


def _middles(window: Tensor, peaks: npt.NDArray[np.float64], half: int) -> npt.NDArray[np.float64]:
    """Where QRS complexes have their middle: ``peaks`` (samples) moved to the centre of how fast the leads move there.

    Which lead peaks when differs, and with it the peak of whatever leads a page shows at a time; when leads move at all
    differs less. Half of what is looked at lies before, ``half`` samples.
    """
    speed = np.pad(np.nansum(np.diff(window, axis=1) ** 2, axis=0), 2 * half)  # of steps from each sample to the next
    for _ in range(3):
        steps = np.rint(peaks).astype(int)[:, None] + np.arange(-half, half)
        weights = speed[np.clip(steps + 2 * half, 0, len(speed) - 1)]
        total = weights.sum(axis=1)
        peaks = np.where(total > 0, (weights * (steps + 0.5)).sum(axis=1) / np.maximum(total, 1e-12), peaks)
    return peaks


def signal_tensors(
    record: Record, spec: SignalSpec, measured: Measurements | None = None, apart: Record | None = None
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the network's inputs by name for one record, as ``spec`` says, and each window's start (n,) in seconds.

    ``measured`` is what was measured of the record, if it was before. ``apart`` is the same ECG with each lead at its
    own time, where those of ``record`` begin together; then ``measured`` is of that. Raises SignalError when the record
    cannot be answered for.
    """
    check_record(record, spec)
    windows, starts = signal_windows(prepare_record(record, spec), spec)
    inputs = {"signal": windows}
    if not (spec.scalars or spec.beats):
        return inputs, starts
    measured = measured or measure(apart or record)
    if spec.scalars:
        inputs["scalars"] = np.tile(scalars(measured), (len(windows), 1))
    if spec.beats:
        if apart is None:
            found = zip(windows, starts, strict=True)
            beats = [mean_beat(window, measured.r_peaks - start, spec.fs) for window, start in found]
        else:  # one mean beat, of all that is shown, for every window
            beats = [mean_beat(prepare_record(apart, spec).signal, measured.r_peaks, spec.fs)] * len(windows)
        inputs["beats"] = np.stack(beats)
    return inputs, starts
