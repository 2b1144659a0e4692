"""Prepared records: the exams of a dataset made ready for training once, and kept beside the run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecglens.datasets.index import Dataset
from ecglens.errors import UnreadableError, UsageError
from ecglens.files import replace_file
from ecglens.inputs import SignalSpec, check_record, prepare_record, signal_windows
from ecglens.intervals import measure, scalars
from ecglens.processes import spread
from ecglens.record import Record

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Prepared records end to end; record i is ``samples[bounds[i] : bounds[i + 1]]``.

    ``samples`` is (total, 12) float16 mV at ``fs`` Hz, ``bounds`` (n + 1,), ``scalars`` (n, 8) and ``labels`` (n, 7).
    """

    samples: npt.NDArray[np.float16]
    bounds: npt.NDArray[np.int64]
    scalars: Array
    labels: Array
    fs: float

    def __len__(self) -> int:
        return len(self.labels)

    def record(self, i: int) -> Record:
        """Return prepared record ``i``."""
        return Record(np.ascontiguousarray(self.samples[self.bounds[i] : self.bounds[i + 1]].T, np.float32), self.fs)


def prepare_store(
    exams: Dataset,
    chosen: npt.NDArray[np.intp],
    path: Path,
    measured: bool,
    workers: int,
    tick: Callable[[], object] = lambda: None,
) -> Store:
    """Prepare the ``chosen`` exams once, in parallel, and keep them as ``path.npy`` and ``path.npz`` beside the run.

    With ``measured`` the eight scalars of each are kept too. Exams that cannot be used are left out and counted;
    ``tick`` is called after each. Raises UsageError where not one can be used.
    """
    spec = SignalSpec()
    samples_path, rest_path = path.with_suffix(".npy"), path.with_suffix(".npz")
    if not rest_path.exists():
        found = []
        for prepared in spread(partial(_prepared, exams, spec, measured), chosen.tolist(), workers, chunk=32):
            found.append(prepared)
            tick()
        kept = [(i, *pair) for i, pair in zip(chosen, found, strict=True) if pair is not None]
        if len(kept) < len(chosen):
            log.warning("%d of %d exams left out; --verbose says why", len(chosen) - len(kept), len(chosen))
        if not kept:
            raise UsageError(f"not one of {len(chosen)} exams can be used: run again with --verbose to see why")
        samples = np.concatenate([samples for _, samples, _ in kept])
        rest = {
            "bounds": np.cumsum([0] + [len(samples) for _, samples, _ in kept]),
            "scalars": np.stack([values for _, _, values in kept]),
            "labels": exams.labels[[i for i, _, _ in kept]],
        }
        replace_file(samples_path, partial(_save, samples))
        replace_file(rest_path, partial(_save, rest))
    rest = dict(np.load(rest_path))
    return Store(np.load(samples_path, mmap_mode="r"), rest["bounds"], rest["scalars"], rest["labels"], spec.fs)


def _prepared(exams: Dataset, spec: SignalSpec, measured: bool, i: int) -> tuple[npt.NDArray[np.float16], Array] | None:
    try:
        record = exams.read(i)
        check_record(record, spec)
        prepared = prepare_record(record, spec)
        signal_windows(prepared, spec)  # what diagnosis would refuse is not trained on
    except UnreadableError as error:
        log.info("exam %s left out: %s", exams.exams[i].id, error)
        return None
    values = scalars(measure(record)) if measured else np.full(8, np.nan, np.float32)
    short = max(spec.samples - prepared.signal.shape[1], 0)  # a sample or two, after rounding
    return np.pad(prepared.signal, ((0, 0), (0, short)), constant_values=np.nan).T.astype(np.float16), values


def _save(arrays: npt.NDArray[Any] | dict[str, npt.NDArray[Any]], path: Path) -> None:
    with path.open("wb") as file:  # a file object: NumPy would add an ending to the temporary name
        if isinstance(arrays, dict):
            np.savez(file, **arrays)  # type: ignore[arg-type]
        else:
            np.save(file, arrays)
