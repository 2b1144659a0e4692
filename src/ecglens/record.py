"""A 12-lead ECG as numbers: the one type every reader returns and everything else takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecglens.errors import SignalError
from ecglens.leads import LEADS, canonical, complete_limb_leads

Signal = npt.NDArray[np.float32]

_BOUNDS = {
    "P": ("P on", "P off"),
    "PR": ("P on", "QRS on"),
    "QRS": ("QRS on", "QRS off"),
    "ST": ("QRS off", "T on"),
    "QT": ("QRS on", "T off"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of a simulated ECG because it was made that way.

    ``labels`` names the diagnoses (and ``"male"``) that hold, ``findings`` everything else that does, by its code in
    ``simulator.FINDINGS``. ``r_peaks`` is (beats,) seconds from the start, ``beats`` (beats,) their WFDB annotation
    codes (``"N"``, ``"L"``, ``"R"``, ``"A"``, ``"V"``, ``"/"``, ...). ``waves`` holds (beats,) seconds by name
    (``"P on"``, ``"P off"``, ``"QRS on"``, ``"QRS off"``, ``"T on"``, ``"T"`` for its peak, ``"T off"``), NaN where a
    beat has no such wave; a wave of the first or last beat may lie outside the record. ``p_waves`` is (n, 2), onset
    and end of every P wave, whether it was conducted or not. ``intervals`` holds means by name in ms: ``"RR"`` over
    all beats, ``"P"``, ``"PR"``, ``"QRS"``, ``"ST"`` (end of QRS to onset of T) and ``"QT"`` over those of the
    commonest kind; NaN where the wave does not exist. ``axis`` is their frontal QRS axis in degrees, as recorded;
    ``age`` in years.
    """

    labels: frozenset[str]
    findings: frozenset[str]
    r_peaks: npt.NDArray[np.float64]
    beats: npt.NDArray[np.str_]
    waves: Mapping[str, npt.NDArray[np.float64]]
    p_waves: npt.NDArray[np.float64]
    intervals: Mapping[str, float]
    axis: float
    age: float

    def per_beat(self, interval: str) -> npt.NDArray[np.float64]:
        """Return ``"P"``, ``"PR"``, ``"QRS"``, ``"ST"`` or ``"QT"`` of each beat, (beats,) ms. Raises KeyError else."""
        start, end = _BOUNDS[interval]
        return 1000 * (self.waves[end] - self.waves[start])


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A 12-lead ECG: ``signal`` float32 mV, shape (12, T), rows in the order of ``leads.LEADS``; ``fs`` in Hz.

    NaN means "not recorded". ``id`` is what its file calls this one of several ECGs; never anything of a patient.
    Raises SignalError when the shape, type, rate or values cannot be an ECG.
    """

    signal: Signal
    fs: float
    truth: Truth | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(LEADS) or self.signal.shape[1] == 0:
            raise SignalError(f"a record needs shape (12, samples), got {self.signal.shape}: pass one row per lead")
        if self.signal.dtype != np.float32:
            raise SignalError(f"a record needs float32 millivolts, got {self.signal.dtype}: convert the samples first")
        if not (np.isfinite(self.fs) and 25 <= self.fs <= 20_000):
            raise SignalError(f"a sampling rate of {self.fs:g} Hz cannot be an ECG's: check the rate in the header")
        if np.isinf(self.signal).any():
            raise SignalError("the signal holds infinite values: mark missing samples as NaN")

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return float(self.signal.shape[1] / self.fs)

    @classmethod
    def from_leads(cls, leads: Mapping[str, npt.ArrayLike], fs: float) -> "Record":
        """Build a record from millivolt samples by lead name; limb leads that follow from others are computed.

        ``leads`` maps a name in any common spelling to T samples. Leads that are absent and cannot be computed
        become NaN. Raises SignalError for no leads, unknown or repeated names, unequal lengths, samples that are not
        one row, and whatever a Record refuses.
        """
        rows: dict[str, Signal] = {}
        for name, samples in leads.items():
            lead = canonical(name)
            if lead is None:
                raise SignalError(f"lead {name!r} is none of the twelve standard leads: name it {', '.join(LEADS)}")
            if lead in rows:
                raise SignalError(f"lead {lead} is given twice: keep one of them")
            rows[lead] = np.asarray(samples, np.float32)
        if not rows:
            raise SignalError("there are no leads: give the samples of each by its name")
        if any(row.ndim != 1 for row in rows.values()):
            raise SignalError("the samples of a lead are not in one row: give one list of numbers for each lead")
        if len({row.shape for row in rows.values()}) != 1:
            raise SignalError("the leads have different lengths: give the same number of samples for each")
        length = next(iter(rows.values())).shape[0]
        missing = np.full(length, np.nan, np.float32)
        return cls(complete_limb_leads(np.stack([rows.get(lead, missing) for lead in LEADS])), fs)

    def missing_leads(self) -> tuple[str, ...]:
        """Names of the leads with no recorded sample at all."""
        return tuple(lead for lead, row in zip(LEADS, self.signal, strict=True) if np.isnan(row).all())


def fill_gaps(signal: Signal) -> Signal:
    """Return (L, T) mV with NaN replaced by a straight line between the neighbours; a lead of only NaN becomes 0."""
    out = signal.copy()
    at = np.arange(signal.shape[1])
    for row in out:
        gap = np.isnan(row)
        if gap.all():
            row[:] = 0
        elif gap.any():
            row[gap] = np.interp(at[gap], at[~gap], row[~gap])
    return out


def correlation(one: Signal, other: Signal, least: int) -> float:
    """Pearson's of two signals (n,) where neither is NaN; NaN for fewer than ``least`` samples, or of a constant."""
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if len(one) < least or not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(np.corrcoef(one.astype(np.float64), other.astype(np.float64))[0, 1])
