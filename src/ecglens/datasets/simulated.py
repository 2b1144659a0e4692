"""A folder of simulated ECGs: WFDB records with their annotations, and the table that makes it a dataset."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from ecglens.datasets.table import TABLE, write_table
from ecglens.errors import UsageError
from ecglens.io import annotation, wfdb
from ecglens.labels import KEYS, snomed
from ecglens.processes import spread
from ecglens.record import Truth
from ecglens.simulator import simulate

FOLDS: Final = 10
SINUS_RHYTHM: Final = "426783006"  # SNOMED CT

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated: record i follows from these and i alone.

    ``findings`` are codes of ``simulator.FINDINGS`` that hold in every record; None draws them anew for each.
    """

    findings: frozenset[str] | None = None
    seed: int = 0
    duration: float = 10.0
    fs: float = 500.0
    noise: float = 1.0


def write_simulated(
    folder: Path, plan: Plan, n: int, *, workers: int | None = None, tick: Callable[[], object] = lambda: None
) -> list[Path]:
    """Write ``n`` records (.hea, .dat, .atr) and their table to ``folder``; return the headers' paths.

    Record i is in fold i % 10 + 1, and every record is another patient. ``workers`` processes, one a core by default,
    give the same files as one. ``tick`` is called after each record. The table comes last, so that a folder left by a
    run that was killed is no dataset.

    Raises UsageError where the folder holds simulated records or a table already, or cannot be written; whatever
    ``simulate`` refuses.
    """
    if found := [*folder.glob(TABLE), *folder.glob("sim*.hea")]:
        raise UsageError(f"{min(found)} exists already: choose another folder, or remove what is in that one")
    digits = max(5, len(str(n - 1)))
    names = [f"sim{i:0{digits}d}" for i in range(n)]
    rows = []
    for row in spread(partial(_write_one, folder, plan), list(enumerate(names)), workers):
        rows.append(row)
        tick()
    write_table(folder, rows)
    return [folder / f"{name}.hea" for name in names]


def _write_one(folder: Path, plan: Plan, item: tuple[int, str]) -> Row:
    """Make and write a record by its number and name; return its row of the table."""
    i, name = item
    rng = np.random.default_rng([plan.seed, i])
    record = simulate(plan.findings, rng=rng, duration=plan.duration, fs=plan.fs, noise=plan.noise)
    assert record.truth is not None
    wfdb.write(record, folder / name, _notes(record.truth))
    annotation.write(record, folder / name)
    return {"id": name, "path": f"{name}.hea", "patient": name, "fold": i % FOLDS + 1, **_facts(record.truth)}


def _notes(truth: Truth) -> dict[str, str]:
    """The header's comments, as the PhysioNet Challenge writes them; look-alikes go under Findings."""
    codes = snomed(truth.labels) or (() if truth.findings else (SINUS_RHYTHM,))
    notes = {"Age": f"{truth.age:.0f}", "Sex": "Male" if "male" in truth.labels else "Female"}
    if codes:
        notes["Dx"] = ",".join(codes)
    if truth.findings:
        notes["Findings"] = ",".join(sorted(truth.findings))
    return {**notes, "Source": "simulated"}


def _facts(truth: Truth) -> Row:
    intervals = truth.intervals
    return {
        "age": f"{truth.age:.0f}",
        **{key: int(key in truth.labels) for key in KEYS},
        "findings": ";".join(sorted(truth.findings)),
        "heart_rate_bpm": _number(60_000 / intervals["RR"]),
        **{f"{name.lower()}_ms": _number(intervals[name]) for name in ("P", "PR", "QRS", "QT")},
        "axis_deg": _number(truth.axis),
    }


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"
