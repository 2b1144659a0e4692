"""What machines print around the traces: patient, measurements, statements.

Nothing here is read from a record's labels. Invented notes are drawn apart from the record altogether, so that no text
on a training page says anything of its ECG; measured ones are given by who renders the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

_SURNAMES: Final = ("Specimen", "Sample", "Example", "Placeholder", "Testcase", "Nobody", "Invented", "Dummy")
_FIRST_NAMES: Final = ("Ada", "Bo", "Cleo", "Dot", "Eli", "Fay", "Gus", "Test", "Demo", "Trial")
_STATEMENTS: Final = (
    "Normal sinus rhythm", "Normal ECG", "Abnormal ECG", "Otherwise normal ECG", "Borderline ECG", "Sinus bradycardia",
    "Sinus tachycardia", "Sinus rhythm with sinus arrhythmia", "Atrial fibrillation", "First degree AV block",
    "Right bundle branch block", "Left bundle branch block", "Incomplete right bundle branch block",
    "Left axis deviation", "Right axis deviation", "Nonspecific ST abnormality", "Nonspecific T wave abnormality",
    "Prolonged QT", "Low voltage QRS", "Left ventricular hypertrophy", "Poor R wave progression",
    "Possible left atrial enlargement", "Cannot rule out anterior infarct, age undetermined", "Early repolarization",
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
    """Draw notes of somebody who does not exist; any block may be absent."""
    patient, measurements, statements = _random_patient(rng), _random_measurements(rng), _random_statements(rng)
    kept = rng.random(3) < (0.8, 0.7, 0.6)
    return Notes(patient if kept[0] else (), measurements if kept[1] else (), statements if kept[2] else ())


def _print(summary: Mapping[str, float | None], manner: int) -> tuple[str, ...]:
    values = {key: summary.get(key) for key, _ in _NAMES}
    shown = {key: "--" if value is None else f"{value:.0f}" for key, value in values.items()}
    return tuple(f"{names[manner]}  {shown[key]} {_UNITS.get(key, 'ms')}" for key, names in _NAMES)


def _random_patient(rng: np.random.Generator) -> tuple[str, ...]:
    name = f"{rng.choice(_SURNAMES)}, {rng.choice(_FIRST_NAMES)}"
    lines = (
        f"Name: {name}" if rng.random() < 0.5 else name.upper(),
        f"ID: X{rng.integers(10**6):06d}",
        f"{rng.integers(18, 96)} yr  {rng.choice(('Male', 'Female', 'M', 'F', '--'))}",
        f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1990, 2030)}"
        f"  {rng.integers(24):02d}:{rng.integers(60):02d}",
    )
    return lines[: int(rng.integers(2, len(lines) + 1))]


def _random_measurements(rng: np.random.Generator) -> tuple[str, ...]:
    rate, pr, qrs, qt, qtc = (
        float(rng.uniform(*span)) for span in ((40, 140), (110, 240), (70, 170), (320, 480), (360, 500))
    )
    summary = {
        "heart_rate_bpm": rate,
        "pr_ms": pr if rng.random() < 0.9 else None,
        "qrs_ms": qrs,
        "qt_ms": qt,
        "qtc_ms": qtc,
        "axis_deg": float(rng.uniform(-90, 180)),
    }
    return _print(summary, int(rng.integers(4)))[: int(rng.integers(3, 7))]


def _random_statements(rng: np.random.Generator) -> tuple[str, ...]:
    lines = rng.choice(_STATEMENTS, size=int(rng.integers(1, 5)), replace=False).tolist()
    return tuple(line for line in (*lines, str(rng.choice(_ENDINGS))) if line)
