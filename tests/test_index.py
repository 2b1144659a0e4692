"""Datasets of any origin: folds, splits that respect patients, and the layouts a folder may have."""

from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets import Dataset, Exam, open_dataset
from ecglens.datasets.ptbxl import TABLE as PTBXL
from ecglens.datasets.table import COLUMNS, TABLE
from ecglens.errors import FormatError, UsageError
from ecglens.labels import KEYS
from ecglens.record import Record


def read(exam: Exam) -> Record:
    return Record(np.full((12, 100), float(exam.id), np.float32), 100)


def dataset(*members: tuple[str, int | None]) -> Dataset:
    """Exams of (patient, fold), numbered from 0."""
    unknown = np.full(len(KEYS), np.nan, np.float32)
    return Dataset(
        "mine",
        tuple(Exam(str(i), patient, fold, unknown, np.nan, Path(str(i))) for i, (patient, fold) in enumerate(members)),
        read,
    )


def test_an_exam_is_read_by_its_index() -> None:
    exams = dataset(("a", 1), ("b", 2))
    assert len(exams) == 2
    assert exams.read(1).signal[0, 0] == 1
    assert exams.labels.shape == (2, len(KEYS))


def test_folds_choose_exams_in_their_order() -> None:
    exams = dataset(("a", 2), ("b", 1), ("c", None), ("d", 2))
    assert exams.in_folds([2, 1]).tolist() == [0, 1, 3]
    assert [part.tolist() for part in exams.split([2], [1])] == [[0, 3], [1]]


def test_an_empty_fold_is_refused_and_the_others_named() -> None:
    with pytest.raises(UsageError, match="mine has no exam in fold 3, 4: choose from 1, 2"):
        dataset(("a", 2), ("b", 1), ("c", None)).in_folds([4, 3])
    with pytest.raises(UsageError, match="choose from a dataset with folds"):
        dataset(("a", None)).in_folds([1])


def test_no_patient_is_on_both_sides() -> None:
    exams = dataset(("a", 1), ("a", 1), ("b", 1), ("a", 2), ("c", 2), ("b", 3), ("d", 3))
    for train, valid, shared in (([1], [2], 1), ([1], [2, 3], 2), ([1], [1], 2)):
        with pytest.raises(UsageError, match=rf"same patients on both sides of the split \({shared} in all\)"):
            exams.split(train, valid)
    assert [part.tolist() for part in exams.split([2], [3])] == [[3, 4], [5, 6]]


def test_a_folder_of_no_known_layout_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"PTB-XL folder with {PTBXL}, or list the exams in {TABLE}"):
        open_dataset(tmp_path)
    with pytest.raises(UsageError, match="there is no folder nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_ptbxl_goes_before_a_table(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text(",".join(COLUMNS))
    (tmp_path / PTBXL).write_text("ecg_id")
    (tmp_path / "records100").mkdir()
    with pytest.raises(FormatError, match=PTBXL):
        open_dataset(tmp_path)
    (tmp_path / PTBXL).unlink()
    with pytest.raises(FormatError, match=TABLE):
        open_dataset(tmp_path)
