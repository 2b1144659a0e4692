"""PTB-XL in its official layout (Wagner et al., Scientific Data 7:154, 2020; PhysioNet, doi 10.13026/kfzx-aw45).

``ptbxl_database.csv`` lists the exams; ``records500`` or ``records100`` hold them as WFDB. Folds respect patients:
its authors mean 1 to 8 to train on, 9 to choose on, 10 to test on.
"""

import ast
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from ecglens.datasets.index import Dataset, Exam, Labels, reading
from ecglens.errors import FileError, FormatError
from ecglens.io import wfdb
from ecglens.labels import LABELS
from ecglens.record import Record

TABLE: Final = "ptbxl_database.csv"
COLUMNS: Final = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold")
RECORDS: Final = {"records500": "filename_hr", "records100": "filename_lr"}  # the higher rate first
OLDEST: Final = 90.0  # ages above 89 are hidden in the table as 300


def recognise(folder: Path) -> bool:
    """Whether ``folder`` has PTB-XL's table."""
    return (folder / TABLE).is_file()


def open_ptbxl(folder: Path) -> Dataset:
    """List the exams of a PTB-XL folder, at 500 Hz where those records are there, else at 100 Hz.

    A diagnosis holds where its SCP code is listed: rhythm codes mostly carry likelihood 0. Raises FileError where the
    table or the record folders cannot be read, FormatError where the table lacks a column or a row is wrong.
    """
    column = next((column for name, column in RECORDS.items() if (folder / name).is_dir()), None)
    if column is None:
        raise FileError(f"{folder.name} has neither records500 nor records100: unpack the signals beside {TABLE}")
    with reading(TABLE, "text: download it again"), (folder / TABLE).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if absent := [name for name in (*COLUMNS, column) if name not in (rows.fieldnames or ())]:
            raise FormatError(f"{TABLE} has no column {absent[0]}: use the file as PhysioNet publishes it")
        exams = tuple(_exam(row, rows.line_num, folder, column) for row in rows)
    if not exams:
        raise FormatError(f"{TABLE} lists no exam: download it again")
    return Dataset("PTB-XL", exams, read_exam)


def read_exam(exam: Exam) -> Record:
    """Read the signal of one exam. Raises UnreadableError."""
    return wfdb.read(exam.path)


def _exam(row: Mapping[str, str], line: int, folder: Path, column: str) -> Exam:
    try:
        codes = _codes(row["scp_codes"])
        return Exam(
            id=str(int(row["ecg_id"])),
            patient=str(int(float(row["patient_id"]))),
            fold=int(row["strat_fold"]),
            labels=_labels(codes, row["sex"]),
            age=_age(row["age"]),
            path=folder / f"{row[column]}.hea",
            statements=codes,
        )
    except (ValueError, KeyError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError) as error:
        raise FormatError(f"{TABLE} has a wrong value in line {line}: download it again") from error


def _codes(text: str) -> frozenset[str]:
    likelihoods = ast.literal_eval(text)
    if not isinstance(likelihoods, dict):
        raise ValueError("scp_codes is no dictionary")
    return frozenset(likelihoods)


def _labels(codes: frozenset[str], sex: str) -> Labels:
    male = {"0": 1.0, "1": 0.0, "": np.nan}[sex.removesuffix(".0")]
    return np.array([male if label.ptbxl is None else label.ptbxl in codes for label in LABELS], np.float32)


def _age(text: str) -> float:
    age = float(text) if text else np.nan
    return OLDEST if age > OLDEST else age
