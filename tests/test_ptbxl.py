"""PTB-XL and the common shape of datasets: labels, folds that respect patients, signals."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecglens import datasets
from ecglens.datasets import ptbxl
from ecglens.datasets.index import Dataset
from ecglens.errors import EcgLensError, FileError, FormatError, UsageError
from ecglens.labels import KEYS
from ecglens.leads import LEADS

COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr", "filename_hr")
ROWS = (
    (1, "15709.0", "56.0", 1, "{'NORM': 100.0, 'SR': 0.0}", 3, "records100/1_lr", "records500/1_hr"),
    (2, "13243.0", "300.0", 0, "{'AFIB': 0.0, 'CRBBB': 100.0}", 8, "records100/2_lr", "records500/2_hr"),
    (3, "20372.0", "", "", "{'IRBBB': 100.0, '1AVB': 0.0}", 9, "records100/3_lr", "records500/3_hr"),
)  # fmt: skip


def write_signal(folder: Path, name: str, fs: int, level: int) -> None:
    """Ten seconds in which every lead stays at ``level`` uV."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".dat").write_bytes(np.full((10 * fs, 12), level, "<i2").tobytes())
    checksum = 10 * fs * level % 65536
    lines = [f"{path.name}.dat 16 1000.0(0)/mV 16 0 {level} {checksum} 0 {lead.upper()}" for lead in LEADS]
    path.with_suffix(".hea").write_text("\n".join([f"{path.name} 12 {fs} {10 * fs}", *lines]))


def write_dataset(folder: Path, rows: tuple[tuple[object, ...], ...] = ROWS, high_rate: bool = False) -> Path:
    with (folder / ptbxl.TABLE).open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    for row in rows:
        write_signal(folder, str(row[6]), 100, int(str(row[0])))
        if high_rate:
            write_signal(folder, str(row[7]), 500, 10 * int(str(row[0])))
    return folder


def test_exams_carry_id_patient_fold_labels_and_age(tmp_path: Path) -> None:
    dataset = datasets.open_dataset(write_dataset(tmp_path))
    assert dataset.name == "PTB-XL"
    assert [(exam.id, exam.patient, exam.fold) for exam in dataset.exams] == [
        ("1", "15709", 3), ("2", "13243", 8), ("3", "20372", 9),
    ]  # fmt: skip
    np.testing.assert_equal([exam.age for exam in dataset.exams], [56, 90, np.nan])
    held = [{key for key, value in zip(KEYS, row, strict=True) if value == 1} for row in dataset.labels]
    assert held == [set(), {"AF", "RBBB", "male"}, {"1dAVb"}]
    assert dataset.labels.dtype == np.float32
    assert np.argwhere(np.isnan(dataset.labels)).tolist() == [[2, KEYS.index("male")]]


@pytest.mark.parametrize(("high_rate", "fs", "level"), [(False, 100, 0.002), (True, 500, 0.02)])
def test_signals_are_read_at_the_highest_rate_there_is(high_rate: bool, fs: int, level: float, tmp_path: Path) -> None:
    record = datasets.open_dataset(write_dataset(tmp_path, high_rate=high_rate)).read(1)
    assert record.fs == fs
    np.testing.assert_allclose(record.signal, np.full((12, 10 * fs), level), rtol=1e-6)


def test_splits_are_by_fold(tmp_path: Path) -> None:
    dataset = datasets.open_dataset(write_dataset(tmp_path))
    train, valid = dataset.split(range(1, 9), [9])
    assert (train.tolist(), valid.tolist()) == ([0, 1], [2])
    with pytest.raises(UsageError, match=r"no exam in fold 10: choose from 3, 8, 9"):
        dataset.split([3], [10])


def test_a_patient_on_both_sides_of_a_split_is_refused(tmp_path: Path) -> None:
    rows = (*ROWS, (4, "15709", "56.0", 1, "{}", 9, "records100/4_lr", ""))
    dataset = datasets.open_dataset(write_dataset(tmp_path, rows))
    with pytest.raises(UsageError, match=r"the same patients on both sides of the split \(1 in all\): choose folds"):
        dataset.split([3, 8], [9])
    assert dataset.split([8], [9])[1].tolist() == [2, 3]
    with pytest.raises(UsageError, match="on both sides"):
        dataset.split([8], [8])


def edit(old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / ptbxl.TABLE).read_text()
        assert old in text
        (folder / ptbxl.TABLE).write_text(text.replace(old, new))

    return damage


def keep_only_columns(folder: Path) -> None:
    (folder / ptbxl.TABLE).write_text(",".join(COLUMNS))


def write_noise(folder: Path) -> None:
    (folder / ptbxl.TABLE).write_bytes(bytes(range(128, 256)))


def remove_records(folder: Path) -> None:
    (folder / "records100").rename(folder / "records")


@pytest.mark.parametrize(
    ("damage", "error", "fragment"),
    [
        (edit("strat_fold", "fold"), FormatError, "has no column strat_fold: use the file as PhysioNet publishes it"),
        (edit("{'AFIB': 0.0, 'CRBBB': 100.0}", "{'AFIB': 0.0"), FormatError, "has a wrong value in line 3"),
        (edit("{'AFIB': 0.0, 'CRBBB': 100.0}", "[]"), FormatError, "has a wrong value in line 3"),
        (edit("{'AFIB': 0.0, 'CRBBB': 100.0}", "__import__('os')"), FormatError, "has a wrong value in line 3"),
        (edit("13243.0", "unknown"), FormatError, "has a wrong value in line 3"),
        (edit("56.0,1,", "56.0,2,"), FormatError, "has a wrong value in line 2"),
        (edit(",8,records100/2_lr,records500/2_hr", ""), FormatError, "wrong value in line 3"),
        (keep_only_columns, FormatError, "lists no exam"),
        (write_noise, FormatError, "is no table of comma-separated text"),
        (remove_records, FileError, "has neither records500 nor records100"),
    ],
)
def test_a_wrong_table_is_refused(
    damage: Callable[[Path], None], error: type[EcgLensError], fragment: str, tmp_path: Path
) -> None:
    damage(write_dataset(tmp_path))
    with pytest.raises(error, match=fragment) as caught:
        datasets.open_dataset(tmp_path)
    assert str(tmp_path.parent) not in str(caught.value)


def test_a_missing_signal_is_refused_when_it_is_read(tmp_path: Path) -> None:
    dataset = datasets.open_dataset(write_dataset(tmp_path))
    (tmp_path / "records100/2_lr.hea").unlink()
    with pytest.raises(FileError, match=r"2_lr\.hea does not exist"):
        dataset.read(1)


def test_an_unknown_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no dataset of a known layout: give a PTB-XL folder"):
        datasets.open_dataset(tmp_path)
    with pytest.raises(UsageError, match="there is no folder nowhere"):
        datasets.open_dataset(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def real(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The real table of folds 1 to 9, without signals."""
    folder = tmp_path_factory.mktemp("ptbxl")
    (folder / ptbxl.TABLE).symlink_to(data_dir / "ptbxl" / ptbxl.TABLE)
    (folder / "records100").mkdir()
    return datasets.open_dataset(folder)


def test_counts_of_the_real_dataset(real: Dataset) -> None:
    train, valid = real.split(range(1, 9), [9])
    assert (len(train), len(valid)) == (17_418, 2_183)
    counts = dict(zip(KEYS, real.labels[train].sum(axis=0).astype(int).tolist(), strict=True))
    del counts["male"]
    assert counts == {"AF": 1211, "RBBB": 432, "LBBB": 428, "1dAVb": 634, "ST": 661, "SB": 509}
    assert not np.isnan(real.labels).any()
    assert max(exam.age for exam in real.exams) == 90
