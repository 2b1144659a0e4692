"""Anyone's own folder as a dataset: what the table says is what the exams carry; what is wrong in it is located."""

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecglens.datasets import open_dataset
from ecglens.datasets.table import COLUMNS, TABLE, open_table, recognise, write_table
from ecglens.errors import EcgLensError, FileError, FormatError, UsageError
from ecglens.io import wfdb
from ecglens.record import Record

ROWS = (
    ("a", "one/a.hea", "p1", "1", "62.5", "1", "0", "0", "0", "0", "0", "1"),
    ("b", "one/b", "p1", "2", "", "0", "", "1.0", "0.0", "0", "1", ""),
    ("c", "c.dat", "p2", "", "40", "", "", "", "", "", "", "0"),
)


def write_rows(folder: Path, *rows: tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> Path:
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


def write_level(path: Path, millivolts: float) -> None:
    wfdb.write(Record(np.full((12, 1000), millivolts, np.float32), 100), path)


def changed(column: str, value: str) -> tuple[str, ...]:
    return tuple(value if name == column else old for name, old in zip(COLUMNS, ROWS[1], strict=True))


def test_exams_carry_what_the_table_says(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    dataset = open_dataset(write_rows(folder, *ROWS))
    assert dataset.name == "mine"
    assert [(exam.id, exam.patient, exam.fold) for exam in dataset.exams] == [
        ("a", "p1", 1), ("b", "p1", 2), ("c", "p2", None),
    ]  # fmt: skip
    np.testing.assert_equal([exam.age for exam in dataset.exams], [62.5, np.nan, 40])
    nan = np.nan
    np.testing.assert_equal(
        dataset.labels,
        np.array([[1, 0, 0, 0, 0, 0, 1], [0, nan, 1, 0, 0, 1, nan], [nan, nan, nan, nan, nan, nan, 0]], np.float32),
    )


def test_signals_are_found_by_header_name_or_signal_file(tmp_path: Path) -> None:
    dataset = open_table(write_rows(tmp_path, *ROWS))
    for level, name in enumerate(("one/a", "one/b", "c"), 1):
        write_level(tmp_path / name, level)
    dataset = pickle.loads(pickle.dumps(dataset))  # as it reaches the processes that prepare training
    assert [dataset.read(i).signal[0, 0] for i in range(3)] == [1, 2, 3]


def test_further_columns_their_order_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    columns = ("note", *reversed(COLUMNS))
    write_rows(tmp_path, *((f"x{row[0]}", *reversed(row)) for row in ROWS), columns=columns)
    (tmp_path / TABLE).write_bytes(b"\xef\xbb\xbf" + (tmp_path / TABLE).read_bytes())
    assert [exam.id for exam in open_table(tmp_path).exams] == ["a", "b", "c"]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = [{**dict(zip(COLUMNS, row, strict=True)), "findings": "LVH;PVC"} for row in ROWS]
    assert write_table(tmp_path, rows) == tmp_path / TABLE
    assert recognise(tmp_path)
    with (tmp_path / TABLE).open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
    assert [exam.id for exam in open_table(tmp_path).exams] == ["a", "b", "c"]


def test_no_table_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("mine")
    with pytest.raises(UsageError, match=r"ecglens\.csv exists already: choose another folder"):
        write_table(tmp_path, [])
    assert (tmp_path / TABLE).read_text() == "mine"
    with pytest.raises(UsageError, match="cannot write"):
        write_table(tmp_path / "nowhere", [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", ""),
        ("patient", " "),
        ("fold", "first"),
        ("fold", "1.5"),
        ("fold", "nan"),
        ("age", "old"),
        ("age", "nan"),
        ("age", "-1"),
        ("age", "300"),
        ("AF", "yes"),
        ("AF", "0.5"),
        ("male", "M"),
        ("path", ""),
        ("path", "."),
        ("path", "/etc/passwd"),
        ("path", "../a.hea"),
        ("path", "one/../../a.hea"),
        ("path", "one\\a.hea"),
        ("path", "one/a\0.hea"),
    ],
)
def test_a_wrong_value_is_located(column: str, value: str, tmp_path: Path) -> None:
    write_rows(tmp_path, ROWS[0], changed(column, value), ROWS[2])
    with pytest.raises(FormatError, match=rf"^ecglens\.csv, line 3, column {column}: write ") as caught:
        open_table(tmp_path)
    assert not value.strip(" .") or value not in str(caught.value)  # it might name a patient


def test_an_id_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    write_rows(tmp_path, *ROWS, changed("id", "a"))
    with pytest.raises(FormatError, match="line 5, column id: line 2 has the same"):
        open_table(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (",".join(COLUMNS[:-1]), FormatError, "line 1, has no column male: it must name id, path, patient"),
        (";".join(COLUMNS), FormatError, "line 1, has no column id"),
        ("", FormatError, "has no column id"),
        (",".join((*COLUMNS, "AF")), FormatError, "line 1, has column AF twice"),
        (",".join(COLUMNS), FormatError, "lists no exam"),
        (f"{','.join(COLUMNS)}\n{','.join(ROWS[0][:-1])}", FormatError, "line 2, has more or fewer fields"),
        (f"{','.join(COLUMNS)}\n{','.join((*ROWS[0], ''))}", FormatError, "line 2, has more or fewer fields"),
    ],
)
def test_a_wrong_table_is_refused(content: str, error: type[EcgLensError], fragment: str, tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text(content)
    with pytest.raises(error, match=fragment):
        open_dataset(tmp_path)


def test_noise_is_no_table(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_bytes(bytes(range(128, 256)))
    with pytest.raises(FormatError, match="is no table of comma-separated UTF-8 text"):
        open_table(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    write_level(outside / "a", 1)
    write_level(outside / "b", 1)
    inside.mkdir()
    (inside / "one").symlink_to(outside)
    (inside / "c.hea").symlink_to(outside / "b.hea")
    dataset = open_table(write_rows(inside, *ROWS[:2], ("z", "c.hea", *ROWS[2][2:])))
    for i in range(3):
        with pytest.raises(FormatError, match=r"is a link out of the folder of ecglens\.csv"):
            dataset.read(i)


def test_pictures_and_missing_files_are_refused_when_they_are_read(tmp_path: Path) -> None:
    page = Image.new("RGB", (800, 600), "white")
    page.save(tmp_path / "page.png")
    page.save(tmp_path / "pages.pdf", save_all=True, append_images=[page])
    rows = [(name, name, *ROWS[0][2:]) for name in ("page.png", "pages.pdf", "gone.hea")]
    dataset = open_table(write_rows(tmp_path, *rows))
    for i in (0, 1):
        with pytest.raises(FormatError, match=r"is a picture, and ecglens\.csv lists signals"):
            dataset.read(i)
    with pytest.raises(FileError, match=r"gone\.hea does not exist"):
        dataset.read(2)
