"""12-lead ECGs of hearts that never were, whose truth is known to the millisecond."""

from collections.abc import Iterable
from dataclasses import replace

import bottleneck as bn
import numpy as np

from ecglens.errors import UsageError
from ecglens.leads import DERIVED_FROM_I_II
from ecglens.record import Record, Signal, Truth
from ecglens.simulator.findings import FINDINGS, LOOK_ALIKES, check, draw_findings
from ecglens.simulator.heart import Heart, draw_heart, fibrillate, flutter, trace_beats
from ecglens.simulator.noise import draw_noise, draw_swap, lose_electrode
from ecglens.simulator.person import draw_person
from ecglens.simulator.rhythm import Beats, Floats, draw_beats, draw_breathing

__all__ = ["FINDINGS", "LOOK_ALIKES", "simulate"]

_GAIN_SD = 0.02  # by which amplifiers differ
_MOST_SAMPLES = 5_000_000  # a lead; what a WFDB file that is read may have


def simulate(
    findings: Iterable[str] | None = (),
    *,
    rng: np.random.Generator,
    duration: float = 10.0,
    fs: float = 500.0,
    noise: float = 1.0,
) -> Record:
    """Simulate a 12-lead ECG that has exactly ``findings``; the record's ``truth`` says where its waves are.

    ``findings`` are codes of ``FINDINGS``: diagnoses, ``"male"`` or ``"female"`` (else the sex is drawn), look-alikes.
    Without any the ECG is normal; None draws them as in a mixed collection. ``duration`` in seconds, ``fs`` in Hz.
    ``noise`` scales what the recording adds: 1 is a routine resting ECG, 0 none; it changes neither heart nor truth,
    nor what ``SWAP`` and ``OFF`` do.

    Raises UsageError for an unknown finding, findings that exclude each other, or a duration, rate or noise level
    that is out of range.

    >>> record = simulate({"AF", "RBBB", "male"}, rng=np.random.default_rng(1))
    >>> record.signal.shape, sorted(record.truth.labels)
    ((12, 5000), ['AF', 'RBBB', 'male'])
    """
    _check_recording(duration, fs, noise)
    wanted = draw_findings(rng) if findings is None else check(findings)
    noise_rng, fault_rng = rng.spawn(2)
    samples = round(duration * fs)
    person = draw_person(wanted, rng)
    heart = draw_heart(person, rng)
    breathing = draw_breathing(rng)
    qt = person.qtc * float(np.cbrt(60 / person.rate))
    beats = draw_beats(wanted, person.rate, person.pr, person.age, duration, breathing, rng, qt)
    leads, waves, p_waves = trace_beats(heart, beats, breathing, fs, samples)
    if "AF" in wanted:
        leads += fibrillate(samples, fs, rng)
    if beats.flutter:
        leads += flutter(samples, fs, beats.flutter, beats.onset[0], rng)
    leads *= np.float32(1 + _GAIN_SD * noise * noise_rng.standard_normal())
    if noise:
        leads += draw_noise(samples, fs, noise, breathing, noise_rng)
    limbs = np.eye(2)
    if "SWAP" in wanted:
        limbs = draw_swap(fault_rng)
        leads[:2] = limbs.astype(np.float32) @ leads[:2]
    if "OFF" in wanted:
        lose_electrode(leads, fs, fault_rng)
    return Record(_twelve(leads), fs, _truth(heart, beats, waves, p_waves, duration, limbs))


def _check_recording(duration: float, fs: float, noise: float) -> None:
    if not 5 <= duration <= 86_400:
        raise UsageError(f"cannot simulate {duration:g} s: choose a duration from 5 s on")
    if not 50 <= fs <= 20_000:
        raise UsageError(f"cannot simulate at {fs:g} Hz: choose a sampling rate from 50 to 20000 Hz")
    if duration * fs > _MOST_SAMPLES:
        raise UsageError(f"{duration:g} s at {fs:g} Hz are too many samples: choose at most {_MOST_SAMPLES / fs:.0f} s")
    if not 0 <= noise <= 20:
        raise UsageError(
            f"a noise level of {noise:g} is out of range: choose 0 for none, 1 for a routine ECG, at most 20"
        )


def _twelve(leads: Signal) -> Signal:
    """Complete I, II, V1..V6, in whole uV, to twelve leads; so Einthoven's law holds in a file of whole uV, too."""
    out = np.empty((12, leads.shape[1]), np.float32)
    leads = np.rint(leads * np.float32(1000)) / np.float32(1000)
    out[:2], out[6:] = leads[:2], leads[2:]
    np.matmul(DERIVED_FROM_I_II, out[:2], out=out[2:6])
    return out


def _truth(
    heart: Heart, beats: Beats, waves: dict[str, Floats], p_waves: Floats, duration: float, limbs: Floats
) -> Truth:
    person = heart.person
    inside = (waves["R"] >= 0) & (waves["R"] < duration)
    peaks = waves["R"][inside]
    bounds = {name: times[inside] for name, times in waves.items() if name != "R"}
    codes = beats.code[inside]
    blocked = next((beat for code, beat in (("RBBB", "R"), ("LBBB", "L")) if code in person.labels), "N")
    escape = "E" in beats.code
    usual = codes == "E" if escape else (codes != "V") & (codes != "A")
    ventricles = heart.ectopic if escape and heart.ectopic else heart.usual
    shown = (p_waves[:, 1] > 0) & (p_waves[:, 0] < duration)
    truth = Truth(
        labels=person.labels,
        findings=person.findings - person.labels - {"female"},
        r_peaks=peaks,
        beats=np.where(codes == "N", blocked, codes),
        waves=bounds,
        p_waves=p_waves[shown],
        intervals={},
        axis=ventricles.axis(limbs),  # as the record shows it
        age=person.age,
    )
    means = {name: float(bn.nanmean(truth.per_beat(name)[usual])) for name in ("P", "PR", "QRS", "ST", "QT")}
    return replace(truth, intervals={"RR": 1000 * float(bn.nanmean(np.diff(peaks))), **means})
