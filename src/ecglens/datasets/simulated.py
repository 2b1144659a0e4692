"""A folder of simulated ECGs: WFDB records with their annotations, and the table that makes it a dataset."""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Final

import numpy as np

from ecglens.datasets.table import TABLE, write_table
from ecglens.errors import UsageError
from ecglens.io import annotation, wfdb
from ecglens.labels import KEYS, snomed
from ecglens.record import Truth
from ecglens.simulator import simulate

FOLDS: Final = 10
SINUS_RHYTHM: Final = "426783006"  # SNOMED CT

Row = dict[str, object]
_CHUNK: Final = 16  # records a process makes at a time


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
    for row in _rows(partial(_write_one, folder, plan), names, workers or len(os.sched_getaffinity(0))):
        rows.append(row)
        tick()
    write_table(folder, rows)
    return [folder / f"{name}.hea" for name in names]


def _rows(write_one: Callable[[int, str], Row], names: list[str], workers: int) -> Iterator[Row]:
    """Make the records in order, in other processes where there is more than one chunk of them."""
    workers = min(workers, math.ceil(len(names) / _CHUNK))
    if workers <= 1:
        yield from map(write_one, range(len(names)), names)
        return
    # Spawned: this process may have threads (a progress bar's), and a fork of one that has may hang.
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawning, initializer=_end_with_parent)
    try:
        yield from pool.map(write_one, range(len(names)), names, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this process end when the one that started it is killed; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)


def _write_one(folder: Path, plan: Plan, i: int, name: str) -> Row:
    """Make and write record ``i``; return its row of the table."""
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
