"""Beats, intervals and axis of a 12-lead ECG, and the paper's eight scalars.

All leads are read together. Beats of the commonest shape are aligned and averaged; waves are found on that mean beat,
where noise and fibrillatory waves cancel, and carried back to single beats by cross-correlation. ``trace`` prepares the
signal, ``beats`` finds and aligns QRS complexes, ``waves`` bounds QRS and T, ``atrial`` P.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.intervals.atrial import find_p_waves
from ecglens.intervals.beats import IN_TIME, Beats, align, at_seam, by_column, detect, speed_at_rest
from ecglens.intervals.trace import Flags, Floats, Ints, Trace, mean, median, nanmean, prepare, sd, windows
from ecglens.intervals.waves import axis, qrs_bounds, t_wave, without_qrs
from ecglens.record import Record

SCALARS: Final = ("rr_mean", "rr_sd", "pr_mean", "pr_sd", "qrs_mean", "qrs_sd", "st_mean", "st_sd")
WAVES: Final = ("rr", "p", "pr", "qrs", "qt", "st")

MS: Final = 1000.0
EARLY: Final = 0.8  # of most RR intervals: a beat that comes sooner may lie on the T wave of the one before
COARSEST: Final = 80.0  # Hz; waves are bounded on the signal up to 40 Hz, and below this rate QRS comes out too long
FEWEST: Final = 5  # beats of a page whose rhythm can be told
FEWEST_WITHIN: Final = 3  # RR intervals within columns, which tell whether it is regular
LONE_BEAT: Final = 5.0  # times the speed at rest that a QRS must reach when no second one has its shape


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What was measured of one record.

    ``r_peaks`` is (beats,) seconds from the start; ``usual`` (beats,) marks the beats of the commonest shape. ``rr``
    (to the beat before), ``p`` (duration), ``pr``, ``qrs``, ``qt`` and ``st`` (J point to T onset) are (beats,) ms, NaN
    where the wave is not there; of beats of other shapes only ``rr`` and ``qrs`` are measured. ``heart_rate`` is 1/min
    over all RR, ``axis`` the frontal QRS axis in degrees, -180 to 180. ``reasons`` says for each missing quantity why
    it is missing.
    """

    r_peaks: Floats
    usual: Flags
    rr: Floats
    p: Floats
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
        return median(self.qt) / float(np.cbrt(60.0 / self.heart_rate))

    def summary(self) -> dict[str, float | None]:
        """One number per quantity for reports, None where absent.

        Medians over the beats of the commonest shape, but rate and SD of RR over all.
        """
        values = {
            "heart_rate_bpm": self.heart_rate,
            "rr_sd_ms": sd(self.rr),
            "p_ms": median(self.p),
            "pr_ms": median(self.pr),
            "qrs_ms": median(self.qrs[self.usual]),
            "qt_ms": median(self.qt),
            "qtc_ms": self.qtc,
            "axis_deg": self.axis,
        }
        return {key: round(value, 1) if np.isfinite(value) else None for key, value in values.items()}


def scalars(measurements: Measurements) -> npt.NDArray[np.float32]:
    """Mean and SD of RR and QRS over all beats, of PR and ST over those of the commonest shape, ms.

    In the order of ``SCALARS``: (8,), NaN where absent.
    """
    m = measurements
    return np.array([f(wave) for wave in (m.rr, m.pr, m.qrs, m.st) for f in (mean, sd)], np.float32)


def measure(record: Record) -> Measurements:
    """Find the beats of a record and measure their intervals. Never raises: what is missing has a reason."""
    trace = prepare(record)
    if trace is None:
        return _nothing("no lead is recorded for long enough")
    found = detect(trace)
    if found.size == 0:
        return _nothing("no heart beat was found")
    beats = _aligned(trace, found)
    if beats.usual.sum() < 2 and trace.speed[found].max() < LONE_BEAT * speed_at_rest(trace.speed):
        return _nothing("no heart beat was found: no two peaks have one shape")
    measured = _measure_beats(trace, beats)
    return measured if record.fs >= COARSEST else _without_waves(measured)


def _aligned(trace: Trace, found: Ints) -> Beats:
    """The beats grouped by shape and aligned; on a page without strips column by column.

    Columns are then brought together by where QRS begins, which is at one time in all leads.
    """
    parts = [align(trace, beats) for beats in by_column(trace, found)]
    if len(parts) == 1:
        return parts[0]
    means = (nanmean(windows(trace.wave, trace.known, part.at[part.usual])) for part in parts)
    onsets = [qrs_bounds(beat)[0] for beat in means]
    middle = median(np.array(onsets))
    at = [part.at + onset - middle for part, onset in zip(parts, onsets, strict=True)]
    return Beats(np.concatenate(at), np.concatenate([part.usual for part in parts]))


def _without_waves(measured: Measurements) -> Measurements:
    """Beats and rate alone, for records that are sampled too coarsely to bound waves."""
    reasons = dict.fromkeys(
        ("p", "pr", "qrs", "qt", "st"), f"sampled too coarsely: waves are measured from {COARSEST:g} Hz on"
    )
    gone = np.full(measured.rr.size, np.nan)
    reasons = measured.reasons | reasons
    return replace(measured, p=gone, pr=gone, qrs=gone, qt=gone, st=gone, reasons=reasons)


def _measure_beats(trace: Trace, beats: Beats) -> Measurements:
    cut = windows(trace.wave, trace.known, beats.at)
    mean_beat = nanmean(cut[beats.usual])
    on, off, peak = qrs_bounds(mean_beat)
    onset, offset = np.full(beats.at.size, on), np.full(beats.at.size, off)
    for i in np.flatnonzero(~beats.usual):
        onset[i], offset[i], _ = qrs_bounds(np.nan_to_num(cut[i]))
    peaks = beats.at + np.where(beats.usual, peak, 0.0)
    rr = np.diff(peaks, prepend=np.nan)
    rest = without_qrs(trace, beats.at + onset, beats.at + offset)
    after = np.append(rr[1:], np.nan)
    calm = _undisturbed(after, beats.usual)
    t = t_wave(windows(rest, trace.known, beats.at), calm, on, off, median(after[calm]))
    p = find_p_waves(trace, rest, beats, on, rr, t)
    ms = MS / trace.rate
    waves = {
        "rr": _without_breaks(rr, peaks, trace.seams) * ms,
        "p": (p.end - p.onset) * ms,
        "pr": (on - p.onset) * ms,
        "qrs": (offset - onset) * ms,
        "qt": np.where(beats.usual, t.end + t.lag - on, np.nan) * ms,
        "st": np.where(beats.usual, np.maximum(t.onset + t.lag - off, 0), np.nan) * ms,
    }
    rate = 60 * MS / mean(waves["rr"])
    angle = axis(trace, mean_beat, on, off)
    reasons = _reasons(waves, p.reason, angle)
    return Measurements(peaks / trace.rate, beats.usual, **waves, heart_rate=rate, axis=angle, reasons=reasons)


def _without_breaks(rr: Floats, peaks: Floats, seams: Ints) -> Floats:
    """The RR intervals (beats,); NaN where a regular rhythm seems broken over the seams and ends of a page's columns.

    There a QRS may be cut in two, or lie a little off, and a beat be made, lost or moved.
    """
    if not seams.size or rr.size < FEWEST:
        return rr
    near = at_seam(peaks, seams)
    over = near | np.append(True, near[:-1] | (np.diff(np.searchsorted(seams, peaks)) > 0))
    over[[1, -1]] = True
    within = rr[~over]
    usual = median(within)
    if within.size < FEWEST_WITHIN or (np.abs(within - usual) > IN_TIME * usual).any():
        return rr
    return np.where(over & (np.abs(rr - usual) > IN_TIME * usual), np.nan, rr)


def _undisturbed(after: Floats, usual: Flags) -> Flags:
    """Beats of the commonest shape whose T wave no early beat cuts short; ``after`` (beats,) is the RR that follows."""
    known = after[usual & np.isfinite(after)]
    return usual & (np.nan_to_num(after, nan=np.inf) >= EARLY * np.quantile(known, 0.75)) if known.size else usual


def _reasons(waves: dict[str, Floats], no_p: str, angle: float) -> dict[str, str]:
    """Say for each quantity that is missing why."""
    no_t, alone = "no T wave: the QT interval does not exist", "a single beat: there is no RR interval"
    why = {"rr": alone, "p": no_p, "pr": no_p, "qt": no_t, "st": no_t}
    reasons = {name: why[name] for name in why if np.isnan(waves[name]).all()}
    if "rr" in reasons:
        reasons["heart_rate"] = alone
    if np.isnan(angle):
        reasons["axis"] = "leads I and aVF are not both recorded or their QRS is isoelectric"
    return reasons


def _nothing(reason: str) -> Measurements:
    empty = np.empty(0)
    reasons = dict.fromkeys((*WAVES, "heart_rate", "axis"), reason)
    waves = dict.fromkeys(WAVES, empty)
    return Measurements(empty, np.empty(0, bool), **waves, heart_rate=np.nan, axis=np.nan, reasons=reasons)
