"""Anyone's own ECGs as a dataset: a folder of signals and ``ecglens.csv``, which lists them.

One row an exam, in UTF-8 with commas. ``id`` and ``patient`` are any text; ``path`` is relative to the folder and stays
in it; ``fold`` is a whole number and ``age`` in years, either may be empty. Then one column for each key of
``labels.KEYS``: 1, 0, or empty where unknown. A column ``findings`` may hold codes of anything else, separated by
semicolons. Further columns are passed over.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

import numpy as np

from ecglens.datasets.index import Dataset, Exam, reading
from ecglens.errors import FormatError, UsageError
from ecglens.io import read, wfdb
from ecglens.labels import KEYS
from ecglens.record import Record

TABLE: Final = "ecglens.csv"
COLUMNS: Final = ("id", "path", "patient", "fold", "age", *KEYS)
OLDEST: Final = 130.0

_LABEL: Final = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": np.nan}  # 1.0: as tables with gaps are often saved

T = TypeVar("T")


def recognise(folder: Path) -> bool:
    """Whether ``folder`` has a table of this kind."""
    return (folder / TABLE).is_file()


def open_table(folder: Path) -> Dataset:
    """List the exams of a folder with ``ecglens.csv``.

    Raises FileError where the table cannot be read; FormatError, with line and column, where it is wrong, names an exam
    twice or a path that leaves the folder.
    """
    with (
        reading(TABLE, "UTF-8 text: save it as one"),
        (folder / TABLE).open(encoding="utf-8-sig", newline="") as file,
    ):
        rows = csv.DictReader(file)
        _check_columns(rows.fieldnames or ())
        exams = tuple(_exams(rows, folder))
    if not exams:
        raise FormatError(f"{TABLE} lists no exam: add one row for each")
    return Dataset(folder.resolve().name, exams, partial(read_exam, folder))


def read_exam(folder: Path, exam: Exam) -> Record:
    """Read the signal of one exam of ``folder``. Raises UnreadableError; pictures are not signals."""
    file = wfdb.header_of(exam.path) or exam.path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise FormatError(f"{exam.path.name} is a link out of the folder of {TABLE}: copy the file into it")
    ecg = read(exam.path, page=1)
    if not isinstance(ecg, Record):
        raise FormatError(f"{exam.path.name} is a picture, and {TABLE} lists signals: give the digital ECG")
    return ecg


def write_table(folder: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write ``ecglens.csv`` with ``rows``, whose keys are ``COLUMNS`` and, in each the same, any others.

    Raises UsageError where the folder has such a table already, or the file cannot be written.
    """
    path = folder / TABLE
    names = [*COLUMNS, *(name for name in (rows[0] if rows else ()) if name not in COLUMNS)]
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, names, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already: choose another folder, or remove that one") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    return path


def _check_columns(names: Sequence[str]) -> None:
    if absent := [name for name in COLUMNS if name not in names]:
        raise FormatError(f"{TABLE}, line 1, has no column {absent[0]}: it must name {', '.join(COLUMNS)}")
    if repeated := [name for name in COLUMNS if names.count(name) > 1]:
        raise FormatError(f"{TABLE}, line 1, has column {repeated[0]} twice: keep one of them")


def _exams(rows: "csv.DictReader[str]", folder: Path) -> Iterator[Exam]:
    lines: dict[str, int] = {}
    for row in rows:
        line = rows.line_num
        if None in row or None in row.values():
            raise FormatError(f"{TABLE}, line {line}, has more or fewer fields than the first line: correct it")
        exam = _exam(row, line, folder)
        if (first := lines.setdefault(exam.id, line)) != line:
            raise FormatError(f"{TABLE}, line {line}, column id: line {first} has the same; give each its own")
        yield exam


def _exam(row: Mapping[str, str], line: int, folder: Path) -> Exam:
    def value(column: str, parse: Callable[[str], T], wanted: str) -> T:
        try:
            return parse(row[column].strip())
        except (ValueError, KeyError) as error:
            raise FormatError(f"{TABLE}, line {line}, column {column}: write {wanted}") from error

    return Exam(
        id=value("id", _name, "a name for the exam"),
        patient=value("patient", _name, "a name for the patient; exams of one patient share it"),
        fold=value("fold", _fold, "a whole number, or nothing"),
        labels=np.array([value(key, _LABEL.__getitem__, "1, 0, or nothing where unknown") for key in KEYS], np.float32),
        age=value("age", _age, f"years from 0 to {OLDEST:g}, or nothing"),
        path=folder / value("path", _path, "a path inside the folder, its parts separated by /"),
        statements=frozenset(row.get("findings", "").replace(";", " ").split()),
    )


def _name(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


def _fold(text: str) -> int | None:
    return int(text.removesuffix(".0")) if text else None


def _age(text: str) -> float:
    age = float(text) if text else 0.0
    if not 0 <= age <= OLDEST:
        raise ValueError("no age")
    return age if text else np.nan


def _path(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in text or not text.isprintable():
        raise ValueError("outside")
    return path
