"""12-lead ECGs of hearts that never were, whose truth is known to the millisecond."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ecglens.errors import UsageError
from ecglens.leads import DERIVED_FROM_I_II
from ecglens.record import Record, Signal, Truth
from ecglens.simulator.findings import FINDINGS, LOOK_ALIKES, check, draw_findings
from ecglens.simulator.heart import Heart, draw_heart, fibrillate, flutter, trace_beats
from ecglens.simulator.noise import draw_noise, lose_electrode, swap_arms
from ecglens.simulator.person import draw_person
from ecglens.simulator.rhythm import Beats, Floats, draw_beats, draw_breathing

__all__ = ["FINDINGS", "LOOK_ALIKES", "simulate"]


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
    ``noise`` scales what the recording adds: 1 is a routine resting ECG, 0 none; it changes neither heart nor truth.

    Raises UsageError for an unknown finding, findings that exclude each other, or a duration, rate or noise level
    that is out of range.

    >>> record = simulate({"AF", "RBBB", "male"}, rng=np.random.default_rng(1))
    >>> record.signal.shape, sorted(record.truth.labels)
    ((12, 5000), ['AF', 'RBBB', 'male'])
    """
    _check_recording(duration, fs, noise)
    wanted = draw_findings(rng) if findings is None else check(findings)
    samples = max(round(duration * fs), 1)
    person = draw_person(wanted, rng)
    heart = draw_heart(person, rng)
    breathing = draw_breathing(rng)
    beats = draw_beats(wanted, person.rate, person.pr, person.age, duration, breathing, rng)
    leads, waves, p_waves = trace_beats(heart, beats, breathing, fs, samples)
    if "AF" in wanted:
        leads += fibrillate(samples, fs, rng)
    if "AFLT" in wanted:
        leads += flutter(samples, fs, beats, rng)
    if noise:
        leads += draw_noise(samples, fs, noise, breathing, rng)
    if "SWAP" in wanted:
        leads = swap_arms(leads)
    if "OFF" in wanted:
        lose_electrode(leads, fs, rng)
    return Record(_twelve(leads), fs, _truth(heart, beats, waves, p_waves, duration))


def _check_recording(duration: float, fs: float, noise: float) -> None:
    if not 1 <= duration <= 86_400:
        raise UsageError(f"cannot simulate {duration:g} s: choose a duration from 1 s to a day")
    if not 50 <= fs <= 20_000:
        raise UsageError(f"cannot simulate at {fs:g} Hz: choose a sampling rate from 50 to 20000 Hz")
    if not 0 <= noise <= 100:
        raise UsageError(f"a noise level of {noise:g} is out of range: choose 0 for none, 1 for a routine ECG")


def _twelve(leads: Signal) -> Signal:
    """Complete I, II, V1..V6 to twelve leads; the limb leads follow from the rounded I and II."""
    out = np.empty((12, leads.shape[1]), np.float32)
    out[:2], out[6:] = leads[:2], leads[2:]
    np.matmul(DERIVED_FROM_I_II, out[:2], out=out[2:6])
    return out


def _truth(heart: Heart, beats: Beats, waves: dict[str, Floats], p_waves: Floats, duration: float) -> Truth:
    person = heart.person
    inside = (waves["R"] >= 0) & (waves["R"] < duration)
    peaks = waves["R"][inside]
    bounds = {name: times[inside] for name, times in waves.items() if name != "R"}
    codes = beats.code[inside]
    blocked = next((code for code in ("RBBB", "LBBB") if code in person.findings), "N")[0]
    escape = "E" in beats.code
    usual = codes == "E" if escape else (codes != "V") & (codes != "A")
    axis = heart.ectopic.axis if escape and heart.ectopic else heart.usual.axis
    if "SWAP" in person.findings:
        axis = (180 - axis + 180) % 360 - 180  # as the record shows it
    shown = (p_waves[:, 1] > 0) & (p_waves[:, 0] < duration)
    truth = Truth(
        labels=person.labels,
        findings=person.findings - person.labels - {"female"},
        r_peaks=peaks,
        beats=np.where(codes == "N", blocked, codes),
        waves=bounds,
        p_waves=p_waves[shown],
        intervals={},
        axis=axis,
        age=person.age,
    )
    means = {name: _mean(truth.per_beat(name)[usual]) for name in ("P", "PR", "QRS", "QT")}
    return replace(truth, intervals={"RR": 1000 * _mean(np.diff(peaks)), **means})


def _mean(values: Floats) -> float:
    """Mean of what is there; NaN of nothing."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")
