"""Prepared records: the exams of a dataset made ready for training once, and kept beside the run.

A store is a folder. Its packed parts are all that has to travel where training goes on elsewhere; what is unfolded from
them is made again where it is missing.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.datasets.index import Dataset, Exam
from ecglens.datasets.pack import Facts, read_pack, write_pack
from ecglens.errors import UnreadableError, UsageError
from ecglens.files import replace_file
from ecglens.inputs import LEAST_DURATION, SignalSpec, check_record, prepare_record, signal_windows
from ecglens.intervals import SCALARS, measure, scalars
from ecglens.labels import KEYS
from ecglens.leads import LEADS
from ecglens.processes import spread
from ecglens.record import Record

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Half = npt.NDArray[np.float16]
Read = Mapping[str, Half]  # a network's inputs as read off an exam's page: signal (12, samples), beats (12, fs), mV

MOST_BEATS: Final = 600  # of an exam that are kept: five minutes at 120 a minute
PART: Final = 1024  # exams, of which a part takes some 4 MB
SAMPLES, FACTS = "samples.f16", "facts.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Prepared records end to end; record i is ``samples[bounds[i] : bounds[i + 1]]``.

    ``samples`` is (total, 12) float16 mV at ``fs`` Hz, ``bounds`` (n + 1,), ``scalars`` (n, 8) and ``peaks`` (n, most
    beats), s, NaN unless measured, ``labels`` (n, 7), and ``statements`` (n,) each exam's codes with blanks between.
    ``source`` is the dataset's name.
    """

    samples: Half
    fs: float
    bounds: npt.NDArray[np.int64]
    scalars: Array
    peaks: Array
    labels: Array
    statements: npt.NDArray[np.str_]
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    def record(self, i: int) -> Record:
        """Return prepared record ``i``."""
        samples = self.samples[self.bounds[i] : self.bounds[i + 1]].T
        return Record(np.ascontiguousarray(samples, np.float32), self.fs)


def is_packed(folder: Path) -> bool:
    """Whether ``folder`` has all packed parts of a store."""
    names = [path.stem for path in folder.glob("*-of-*.bz2")]
    return bool(names) and len(names) == int(names[0].partition("-of-")[2])


def pack_exams(
    exams: Dataset,
    chosen: npt.NDArray[np.intp],
    folder: Path,
    measured: bool,
    workers: int,
    tick: Callable[[int], object] = lambda count: None,
) -> None:
    """Write the packed parts that ``folder`` lacks of the ``chosen`` exams, in parallel.

    With ``measured`` the eight scalars and the beats of each exam are kept too. ``tick`` is called with the number of
    exams after each part.
    """
    missing = missing_parts(folder, "bz2", chosen, PART)
    for count in spread(partial(_pack, exams, measured), missing, workers, chunk=1):
        tick(count)


def missing_parts(
    folder: Path, ending: str, chosen: npt.NDArray[np.intp], size: int
) -> list[tuple[Path, npt.NDArray[np.intp]]]:
    """Return what is yet to be written of the ``chosen`` exams: files of at most ``size`` of them, and which these are.

    Makes the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = np.array_split(chosen, max(1, -(-len(chosen) // size)))
    named = [(folder / f"{i + 1:03d}-of-{len(parts):03d}.{ending}", part) for i, part in enumerate(parts)]
    return [(path, part) for path, part in named if not path.exists()]


def open_store(
    folder: Path, spec: SignalSpec, workers: int, tick: Callable[[int], object] = lambda count: None
) -> Store:
    """Return the store whose packed parts ``folder`` has, unfolding them as ``spec`` says where that was not yet done.

    Exams that cannot be used are left out; ``tick`` is called with the number of exams after each part. Raises
    UsageError where not one can be used, FileError where a part is damaged.
    """
    if not (folder / FACTS).exists():
        _unfold(folder, spec, workers, tick)
    with np.load(folder / FACTS) as file:
        facts = dict(file)
    samples = np.memmap(folder / SAMPLES, np.float16, "r").reshape(-1, len(LEADS))
    named = {name: facts[name] for name in ("bounds", "scalars", "peaks", "labels", "statements")}
    return Store(samples, spec.fs, **named, source=str(facts["source"][0]))


def _pack(exams: Dataset, measured: bool, item: tuple[Path, npt.NDArray[np.intp]]) -> int:
    path, chosen = item
    found = [(exam, record) for exam in (exams.exams[i] for i in chosen) if (record := _usable(exams, exam))]
    measurements = [measure(record) if measured else None for _, record in found]
    unmeasured = np.full(len(SCALARS), np.nan, np.float32)
    facts = {
        "source": np.full(len(found), exams.name),
        "ids": np.array([exam.id for exam, _ in found], np.str_),
        "labels": np.array([exam.labels for exam, _ in found], np.float32).reshape(-1, len(KEYS)),
        "statements": np.array([" ".join(sorted(exam.statements)) for exam, _ in found], np.str_),
        "scalars": np.array([scalars(m) if m else unmeasured for m in measurements], np.float32),
        "peaks": _rows([m.r_peaks if m else np.empty(0) for m in measurements]),
    }
    write_pack(path, [record for _, record in found], facts)
    return len(chosen)


def _rows(values: Sequence[npt.ArrayLike]) -> Array:
    """Values of any number as rows of one array, (n, ``MOST_BEATS``), NaN after the last."""
    out = np.full((len(values), MOST_BEATS), np.nan, np.float32)
    for row, each in zip(out, values, strict=True):
        row[: np.size(each)] = np.asarray(each)[:MOST_BEATS]
    return out


def _usable(exams: Dataset, exam: Exam) -> Record | None:
    try:
        record = exams.load(exam)
        check_record(record, SignalSpec())
    except UnreadableError as error:
        log.warning("exam %s left out: %s", exam.id, error)
        return None
    return record


def _unfold(folder: Path, spec: SignalSpec, workers: int, tick: Callable[[int], object]) -> None:
    """Prepare the records of all parts, in parallel, and write them one after the other as they come."""
    paths, found, lengths = sorted(folder.glob("*-of-*.bz2")), [], [0]

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for prepared, facts in spread(partial(_prepare, spec), paths, workers, chunk=1):
                file.writelines(samples.data for samples in prepared)
                lengths.extend(map(len, prepared))
                found.append(facts)
                tick(len(prepared))

    replace_file(folder / SAMPLES, write)
    if len(lengths) == 1:
        raise UsageError(f"not one exam of {folder.name} can be used: the warnings say why")
    joined = {name: np.concatenate([facts[name] for facts in found if len(facts["ids"])]) for name in found[0]}
    save_arrays(folder / FACTS, joined | {"bounds": np.cumsum(lengths)})


def _prepare(spec: SignalSpec, path: Path) -> tuple[list[Half], Facts]:
    """The usable records of a part, (length, 12) each, and their facts."""
    records, facts = read_pack(path)
    prepared = [_prepared(record, spec, name) for record, name in zip(records, facts["ids"], strict=True)]
    kept = [samples is not None for samples in prepared]
    return [samples for samples in prepared if samples is not None], {n: values[kept] for n, values in facts.items()}


def _prepared(record: Record, spec: SignalSpec, name: str) -> Half | None:
    prepared = prepare_record(record, spec)
    try:
        signal_windows(prepared, spec)  # what diagnosis would refuse is not trained on
    except UnreadableError as error:
        log.warning("exam %s left out: %s", name, error)
        return None
    short = max(round(LEAST_DURATION * spec.fs) - prepared.signal.shape[1], 0)  # a sample or two, after rounding
    return np.ascontiguousarray(np.pad(prepared.signal, ((0, 0), (0, short)), constant_values=np.nan).T, np.float16)


def save_arrays(path: Path, arrays: Facts) -> None:
    """Write arrays by name as an NPZ file, whole or not at all."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # a file object: NumPy would add an ending to the temporary name
            np.savez(file, **arrays)  # type: ignore[arg-type]

    replace_file(path, write)
