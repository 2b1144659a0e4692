"""What every dataset looks like: a list of exams with labels, patients and folds, and a way to read each signal."""

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, UsageError
from ecglens.record import Record

Labels = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """One ECG of a dataset, its signal not yet read.

    ``labels`` is float32 (7,) in the order of ``labels.KEYS``: 1, 0, or NaN where unknown. ``age`` in years, NaN
    where unknown. ``fold`` is None in a dataset that has none. ``statements`` are codes of whatever else, or more
    finely, is said of the ECG.
    """

    id: str
    patient: str
    fold: int | None
    labels: Labels
    age: float
    path: Path
    statements: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Dataset:
    """The exams of one folder; ``load`` reads the signal of an exam."""

    name: str
    exams: tuple[Exam, ...]
    load: Callable[[Exam], Record]

    def __len__(self) -> int:
        return len(self.exams)

    def read(self, index: int) -> Record:
        """Read the signal of the exam at ``index``. Raises UnreadableError."""
        return self.load(self.exams[index])

    @cached_property
    def labels(self) -> Labels:
        """Labels of all exams, float32 (n, 7), NaN where unknown."""
        return np.stack([exam.labels for exam in self.exams])

    def in_folds(self, folds: Collection[int]) -> Indices:
        """Indices of the exams in ``folds``. Raises UsageError where there are none."""
        chosen = [i for i, exam in enumerate(self.exams) if exam.fold in folds]
        if not chosen:
            there = ", ".join(str(fold) for fold in sorted({exam.fold for exam in self.exams if exam.fold is not None}))
            wanted = ", ".join(str(fold) for fold in sorted(folds))
            raise UsageError(f"{self.name} has no exam in fold {wanted}: choose from {there or 'a dataset with folds'}")
        return np.array(chosen, np.intp)

    def split(self, train: Collection[int], valid: Collection[int]) -> tuple[Indices, Indices]:
        """Indices of the exams to train and to validate on, by fold.

        Raises UsageError where a fold is empty or a patient would be on both sides.
        """
        parts = self.in_folds(train), self.in_folds(valid)
        patients = Counter(patient for part in parts for patient in {self.exams[i].patient for i in part})
        if shared := sum(count > 1 for count in patients.values()):
            raise UsageError(
                f"{self.name} would have the same patients on both sides of the split ({shared} in all): "
                "choose folds that share none"
            )
        return parts


@contextmanager
def reading(table: str, otherwise: str) -> Iterator[None]:
    """Turn what fails while ``table`` is read into FileError, or FormatError where it is no text ``otherwise``."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{table} cannot be read ({error.strerror}): check the file and its permissions") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{table} is no table of comma-separated {otherwise}") from error


def open_dataset(folder: Path) -> Dataset:
    """Open a folder of ECGs by the layout it has: PTB-XL, or any signals listed in ``ecglens.csv``.

    Raises UsageError where the folder does not exist or has no known layout, FormatError where its table is wrong.
    """
    from ecglens.datasets import ptbxl, table  # here, because each dataset's module takes Exam from this one

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.name}: give the folder that holds the dataset")
    if ptbxl.recognise(folder):
        return ptbxl.open_ptbxl(folder)
    if table.recognise(folder):
        return table.open_table(folder)
    raise UsageError(
        f"{folder.name} is no dataset of a known layout: give a PTB-XL folder with {ptbxl.TABLE}, "
        f"or list the exams in {table.TABLE}"
    )
