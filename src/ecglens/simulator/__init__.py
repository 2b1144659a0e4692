"""12-lead ECGs of hearts that never were, whose truth is known to the millisecond."""

from collections.abc import Iterable

import numpy as np

from ecglens.errors import UsageError
from ecglens.labels import KEYS
from ecglens.leads import DERIVED_FROM_I_II
from ecglens.record import Record, Signal, Truth
from ecglens.simulator.heart import draw_heart, draw_person, fibrillate, trace_beats
from ecglens.simulator.noise import draw_noise
from ecglens.simulator.rhythm import Floats, draw_breathing, draw_rate, fibrillating_beats, sinus_beats

__all__ = ["simulate"]

_EXCLUDE = (
    ("AF", "1dAVb", "in atrial fibrillation no P wave is there to conduct"),
    ("AF", "ST", "the rhythm is either fibrillation or sinus"),
    ("AF", "SB", "the rhythm is either fibrillation or sinus"),
    ("ST", "SB", "the rate is either above 100 or below 60"),
    ("RBBB", "LBBB", "with both bundle branches blocked nothing is conducted"),
)


def simulate(
    labels: Iterable[str] = (),
    *,
    rng: np.random.Generator,
    duration: float = 10.0,
    fs: float = 500.0,
    noise: float = 1.0,
) -> Record:
    """Simulate a 12-lead ECG for which exactly ``labels`` hold; the record's ``truth`` says where its waves are.

    ``labels`` are keys of ``ecglens.labels``; without ``"male"`` the person is a woman, without a rhythm or rate label
    the rhythm is sinus at 61 to 98 a minute. ``duration`` in seconds, ``fs`` in Hz. ``noise`` scales what the recording
    adds: 1 is a routine resting ECG, 0 none; it changes neither heart nor truth.

    Raises UsageError for an unknown label, labels that exclude each other, or a duration, rate or noise level that is
    out of range.

    >>> record = simulate({"AF", "RBBB"}, rng=np.random.default_rng(1))
    >>> record.signal.shape, sorted(record.truth.labels)
    ((12, 5000), ['AF', 'RBBB'])
    """
    wanted = _checked(labels)
    _check_recording(duration, fs, noise)
    samples = max(round(duration * fs), 1)
    rate = draw_rate(wanted, rng)
    person = draw_person(wanted, rate, rng)
    heart = draw_heart(person, rng)
    breathing = draw_breathing(rng)
    if fibrillating := "AF" in wanted:
        peaks = fibrillating_beats(rate, duration, rng)
    else:
        peaks = sinus_beats(rate, person.age, duration, breathing, rng)
    leads, waves = trace_beats(heart, peaks, breathing, fs, samples)
    if fibrillating:
        leads += fibrillate(samples, fs, rng)
    if noise:
        leads += draw_noise(samples, fs, noise, breathing, rng)
    inside = (peaks >= 0) & (peaks < duration)
    truth = _truth(wanted, peaks[inside], {name: times[inside] for name, times in waves.items()}, heart.axis)
    return Record(_twelve(leads), fs, truth)


def _checked(labels: Iterable[str]) -> frozenset[str]:
    wanted = frozenset([labels] if isinstance(labels, str) else labels)
    if unknown := sorted(wanted - set(KEYS)):
        raise UsageError(f"{unknown[0]!r} is no known label: choose from {', '.join(KEYS)}")
    for one, other, why in _EXCLUDE:
        if {one, other} <= wanted:
            raise UsageError(f"{one} and {other} cannot be simulated together because {why}: leave one of them out")
    return wanted


def _check_recording(duration: float, fs: float, noise: float) -> None:
    if not 1 <= duration <= 86_400:
        raise UsageError(f"cannot simulate {duration:g} s: choose a duration from 1 s to a day")
    if not 50 <= fs <= 20_000:
        raise UsageError(f"cannot simulate at {fs:g} Hz: choose a sampling rate from 50 to 20000 Hz")
    if not 0 <= noise <= 100:
        raise UsageError(f"a noise level of {noise:g} is out of range: choose 0 for none, 1 for a routine ECG")


def _twelve(leads: Floats) -> Signal:
    """Complete I, II, V1..V6 to twelve leads; the limb leads follow from the rounded I and II."""
    one_two = leads[:2].astype(np.float32)
    return np.concatenate([one_two, DERIVED_FROM_I_II @ one_two, leads[2:].astype(np.float32)])


def _truth(labels: frozenset[str], peaks: Floats, waves: dict[str, Floats], axis: float) -> Truth:
    truth = Truth(labels, peaks, {}, waves, axis)
    means = {
        name: float(truth.per_beat(name).mean()) if peaks.size else float("nan") for name in ("P", "PR", "QRS", "QT")
    }
    rr = float(np.diff(peaks).mean()) * 1000 if peaks.size > 1 else float("nan")
    return Truth(labels, peaks, {"RR": rr, **means}, waves, axis)
