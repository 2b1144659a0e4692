"""What machines print around the traces: patient, measurements, statements.

Nothing here is read from a record's labels. Invented notes are drawn apart from the record altogether, so that no text
on a training page says anything of its ECG; measured ones are given by who renders the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_SURNAMES: Final = ("Specimen", "Sample", "Example", "Placeholder", "Testcase", "Nobody", "Invented", "Dummy")
_FIRST_NAMES: Final = ("Ada", "Bo", "Cleo", "Dot", "Eli", "Fay", "Gus", "Test", "Demo", "Trial")
_ASIDES: Final = (  # what an ECG may show besides its rate, intervals and axis
    "Nonspecific ST abnormality", "Nonspecific T wave abnormality", "Left ventricular hypertrophy",
    "Poor R wave progression", "Possible left atrial enlargement", "Cannot rule out anterior infarct, age undetermined",
    "Early repolarization",
)  # fmt: skip
_ENDINGS: Final = ("", "Unconfirmed", "Unconfirmed Diagnosis", "Confirmed by: INVENTED", "Referred by: NOBODY")
_UNITS: Final = {"heart_rate_bpm": "/min", "axis_deg": "deg"}  # of what is not in ms
_NAMES: Final = (
    ("heart_rate_bpm", ("Vent. rate", "Heart rate", "HR", "Rate")),
    ("pr_ms", ("PR interval", "PR int.", "PR", "PQ")),
    ("qrs_ms", ("QRS duration", "QRS dur.", "QRSD", "QRS")),
    ("qt_ms", ("QT interval", "QT int.", "QT", "QT")),
    ("qtc_ms", ("QTc", "QTc int.", "QTcB", "QTc")),
    ("axis_deg", ("QRS axis", "Axis", "QRS Axis", "QRS<")),
)


@dataclass(frozen=True, slots=True)
class Notes:
    """Lines printed above the traces, in three blocks from left to right; empty blocks take no room."""

    patient: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    def blocks(self) -> tuple[tuple[str, ...], ...]:
        """The blocks that say something."""
        return tuple(block for block in (self.patient, self.measurements, self.statements) if block)


def measured_notes(summary: Mapping[str, float | None]) -> Notes:
    """Return notes that print ``summary``, as ``intervals.Measurements.summary()`` gives it, with dashes for None."""
    return Notes(measurements=_print(summary, 0))


def random_notes(rng: np.random.Generator) -> Notes:
    """Draw notes of somebody who does not exist; any block may be absent, and none contradicts another."""
    summary = _random_summary(rng)
    patient, statements = _random_patient(rng), _state(summary, rng)
    measurements = _print(summary, int(rng.integers(4)))[: int(rng.integers(3, 7))]
    kept = rng.random(3) < (0.8, 0.7, 0.6)
    return Notes(patient if kept[0] else (), measurements if kept[1] else (), statements if kept[2] else ())


def _print(summary: Mapping[str, float | None], manner: int) -> tuple[str, ...]:
    values = {key: summary.get(key) for key, _ in _NAMES}
    shown = {key: "--" if value is None else f"{value:.0f}" for key, value in values.items()}
    return tuple(f"{names[manner]}  {shown[key]} {_UNITS.get(key, 'ms')}" for key, names in _NAMES)


def _random_patient(rng: np.random.Generator) -> tuple[str, ...]:
    name = f"{_one(rng, _SURNAMES)}, {_one(rng, _FIRST_NAMES)}"
    lines = (
        f"Name: {name}" if rng.random() < 0.5 else name.upper(),
        f"ID: X{rng.integers(10**6):06d}",
        f"{rng.integers(18, 96)} yr  {_one(rng, ('Male', 'Female', 'M', 'F', '--'))}",
        f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1990, 2030)}"
        f"  {rng.integers(24):02d}:{rng.integers(60):02d}",
    )
    return lines[: int(rng.integers(2, len(lines) + 1))]


def _random_summary(rng: np.random.Generator) -> dict[str, float | None]:
    """Measurements as ``intervals.Measurements.summary()`` names them; without PR in fibrillation."""
    rate, pr, qtc, axis = rng.uniform((40, 110, 360, -90), (140, 240, 500, 180)).tolist()
    wide, fibrillates = (rng.random(2) < (0.25, 0.1)).tolist()
    return {
        "heart_rate_bpm": rate,
        "pr_ms": None if fibrillates else pr,
        "qrs_ms": float(rng.uniform(120, 170) if wide else rng.uniform(70, 110)),
        "qt_ms": qtc * (60 / rate) ** 0.5,  # Bazett's correction, as most machines print it
        "qtc_ms": qtc,
        "axis_deg": axis,
    }


def _state(summary: Mapping[str, float | None], rng: np.random.Generator) -> tuple[str, ...]:
    """Statements on a summary and a few asides, as machines word them."""
    number = {key: value or 0.0 for key, value in summary.items()}
    rate, qrs, qtc, axis = (number[key] for key in ("heart_rate_bpm", "qrs_ms", "qtc_ms", "axis_deg"))
    fibrillates = summary["pr_ms"] is None
    sinus = "Sinus tachycardia" if rate > 100 else "Sinus bradycardia" if rate < 60 else "Sinus rhythm"
    seen = [
        ("First degree AV block", number["pr_ms"] > 200),
        (_one(rng, ("Right bundle branch block", "Left bundle branch block")), qrs >= 120),
        ("Left axis deviation", axis < -30),
        ("Right axis deviation", axis > 90),
        ("Prolonged QT", qtc > 460),
    ]
    lines = ["Atrial fibrillation" if fibrillates else sinus, *(text for text, holds in seen if holds)]
    lines += [_ASIDES[i] for i in rng.permutation(len(_ASIDES))[: rng.integers(0, 3)]]
    verdict = "Abnormal ECG"
    if lines == ["Sinus rhythm"]:
        lines, verdict = ["Normal sinus rhythm"], "Normal ECG"
    elif len(lines) == 1 and not fibrillates:
        verdict = _one(rng, ("Otherwise normal ECG", "Borderline ECG"))
    return tuple(line for line in (*lines, verdict, _one(rng, _ENDINGS)) if line)


def _one(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]  # many times as fast as rng.choice
