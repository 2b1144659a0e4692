"""A folder of simulated ECGs: the table and the headers say what the truth is, whoever made them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets import open_dataset
from ecglens.datasets.simulated import Plan, write_simulated
from ecglens.errors import UsageError
from ecglens.io import wfdb
from ecglens.labels import KEYS
from ecglens.simulator import simulate

PLAN = Plan(frozenset({"RBBB", "1dAVb", "male"}), seed=3, duration=5, fs=100)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def notes_of(header: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in wfdb.load_header(header).comments)


def test_the_folder_is_a_dataset_that_says_the_truth(tmp_path: Path) -> None:
    headers = write_simulated(tmp_path, PLAN, 12)
    assert headers == [tmp_path / f"sim{i:05d}.hea" for i in range(12)]
    dataset = open_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.labels, [[key in ("RBBB", "1dAVb", "male") for key in KEYS]] * 12)
    assert [exam.fold for exam in dataset.exams] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2]
    assert len({exam.patient for exam in dataset.exams}) == 12
    with (tmp_path / "ecglens.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for i in (0, 11):
        record = simulate(PLAN.findings, rng=np.random.default_rng([3, i]), duration=5, fs=100)
        assert record.truth is not None
        np.testing.assert_allclose(dataset.read(i).signal, record.signal, atol=0.00051)
        intervals = record.truth.intervals
        assert dataset.exams[i].age == round(record.truth.age)
        assert float(rows[i]["heart_rate_bpm"]) == pytest.approx(60_000 / intervals["RR"], abs=0.051)
        assert float(rows[i]["pr_ms"]) == pytest.approx(intervals["PR"], abs=0.051)
        assert float(rows[i]["qrs_ms"]) == pytest.approx(intervals["QRS"], abs=0.051)
        assert float(rows[i]["axis_deg"]) == pytest.approx(record.truth.axis, abs=0.051)


def test_a_wave_that_is_not_there_has_no_interval(tmp_path: Path) -> None:
    write_simulated(tmp_path, Plan(frozenset({"AF"}), fs=100), 1)
    with (tmp_path / "ecglens.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["p_ms"], row["pr_ms"]) == ("", "")
    assert float(row["qt_ms"]) > 0


def test_headers_carry_age_sex_and_diagnoses(tmp_path: Path) -> None:
    write_simulated(tmp_path / "a", PLAN, 1)
    write_simulated(tmp_path / "b", Plan(frozenset(), fs=100), 1)
    notes = notes_of(tmp_path / "a" / "sim00000.hea")
    assert notes["Dx"] == "713427006,270492004"
    assert (notes["Sex"], notes["Source"]) == ("Male", "simulated")
    assert 18 <= int(notes["Age"]) <= 110
    assert notes_of(tmp_path / "b" / "sim00000.hea")["Dx"] == "426783006"


def test_any_number_of_processes_writes_the_same_files(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_simulated(tmp_path / str(workers), Plan(None, seed=5, duration=5, fs=100), 33, workers=workers)
    one, two = (contents(tmp_path / name) for name in "12")
    assert one == two
    assert len(one) == 33 * 3 + 1


def test_every_record_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    write_simulated(tmp_path, PLAN, 3, tick=lambda: told.append(1))
    assert len(told) == 3


@pytest.mark.parametrize("name", ["ecglens.csv", "sim00007.hea"])
def test_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} exists already: choose another folder"):
        write_simulated(tmp_path, PLAN, 1)
    assert contents(tmp_path) == {name: b"mine"}


@pytest.mark.parametrize("n", [1, 40])
def test_what_cannot_be_simulated_leaves_no_folder(n: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="AF"):
        write_simulated(tmp_path / "a", Plan(frozenset({"AF", "SB"})), n, workers=2)
    assert not list(tmp_path.iterdir())
