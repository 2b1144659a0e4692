"""Reading by content: every file gives an ECG or one clear sentence."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecglens import io
from ecglens.errors import FAULT, EcgLensError, FileError, FormatError, SignalError, UnreadableError, UsageError
from ecglens.io import source
from ecglens.leads import LEADS
from ecglens.paper.page import Page
from ecglens.record import Record
from hostile import read_or_refuse


def png(width: int = 6) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, 4), (1, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def tiff(pages: int) -> bytes:
    buffer = BytesIO()
    images = [Image.new("RGB", (10 + number, 8)) for number in range(pages)]
    images[0].save(buffer, "TIFF", save_all=True, append_images=images[1:])
    return buffer.getvalue()


def write_record(folder: Path, begin: bytes = b"") -> np.ndarray:
    """Write the WFDB record ``a``, its signal file beginning with ``begin``; return its millivolts (12, 50)."""
    content = np.arange(12 * 50, dtype="<i2").tobytes()
    content = begin + content[len(begin) :]
    (folder / "a.dat").write_bytes(content)
    values = np.frombuffer(content, "<i2").reshape(50, 12).T
    lines = [f"a.dat 16 1000/mV 16 0 0 {row.sum() % 65536} 0 {lead}" for row, lead in zip(values, LEADS, strict=True)]
    (folder / "a.hea").write_text("\n".join(["a 12 500 50", *lines]))
    return values / 1000


def test_a_picture_is_told_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.dat", "a.hea", "a"):
        (tmp_path / name).write_bytes(png())
        page = io.read(tmp_path / name)
        assert isinstance(page, Page)
        assert page.pixels.shape == (4, 6, 3)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("name", ["a.hea", "a.dat", "a"])
def test_a_record_is_given_by_header_signal_file_or_name(name: str, tmp_path: Path) -> None:
    expected = write_record(tmp_path)
    record = io.read(str(tmp_path / name))
    assert isinstance(record, Record)
    np.testing.assert_allclose(record.signal, expected, atol=1e-6)


@pytest.mark.parametrize("begin", [b"\xff\xd8\xff\xe0", b"%PDF-1", b"PK\x03\x04"])
def test_a_signal_file_that_begins_like_a_picture_is_still_a_signal(begin: bytes, tmp_path: Path) -> None:
    expected = write_record(tmp_path, begin)
    record = io.read(tmp_path / "a.dat")
    assert isinstance(record, Record)
    np.testing.assert_allclose(record.signal, expected, atol=1e-5)


def test_a_header_of_another_name_is_read(tmp_path: Path) -> None:
    write_record(tmp_path)
    (tmp_path / "a.hea").rename(tmp_path / "header.txt")
    assert isinstance(io.read(tmp_path / "header.txt"), Record)


def test_bytes_are_read_as_the_content_of_a_file() -> None:
    page = io.read(png())
    assert isinstance(page, Page)
    assert page.pixels[0, 0].tolist() == [1, 2, 3]


def test_several_pages_need_a_choice(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(3))
    with pytest.raises(UsageError, match=r"^a\.tif has 3 pages: choose one of them, or read them all$"):
        io.read(tmp_path / "a.tif")
    chosen = io.read(tmp_path / "a.tif", page=2)
    assert isinstance(chosen, Page)
    assert chosen.pixels.shape == (8, 11, 3)
    assert io.open_file(tmp_path / "a.tif").count == 3


@pytest.mark.parametrize("page", [0, 4, -1])
def test_a_page_that_is_not_there_is_wrong_usage(page: int) -> None:
    with pytest.raises(UsageError, match=f"has no page {page}: choose from 1 to 3"):
        io.read(tiff(3), page)


def test_every_page_of_an_open_file_is_read_by_its_number(tmp_path: Path) -> None:
    opened = io.open_file(tiff(3))
    pages = [opened.read(number) for number in (1, 2, 3)]
    assert [page.pixels.shape[1] for page in pages if isinstance(page, Page)] == [10, 11, 12]
    write_record(tmp_path)
    assert io.open_file(tmp_path / "a.hea").count == 1
    with pytest.raises(FormatError):
        io.open_file(b"nothing")


def test_rate_and_unit_are_said_where_a_file_does_not() -> None:
    lines = [",".join(LEADS), *(",".join([str(1000 * k)] * 12) for k in range(60))]
    content = "\n".join(lines).encode()
    with pytest.raises(UnreadableError, match=r"give it \((fs|unit)"):
        io.read(content)
    record = io.read(content, fs=50, unit="uV")
    assert isinstance(record, Record)
    assert record.fs == 50
    assert record.signal[0, 2] == pytest.approx(2.0)


def test_a_rate_that_is_said_is_held_against_the_files(tmp_path: Path) -> None:
    write_record(tmp_path)
    assert isinstance(io.read(tmp_path / "a.hea", fs=500, unit="uV"), Record)
    with pytest.raises(SignalError, match=r"a\.hea has 500 Hz, but 100 is given \(fs\)"):
        io.read(tmp_path / "a.hea", fs=100)
    with pytest.raises(UsageError, match="unit says 'furlong'"):
        io.read(tmp_path / "a.hea", unit="furlong")


@pytest.mark.parametrize("said", [{"fs": 500}, {"unit": "uV"}])
def test_a_picture_has_no_rate_and_no_unit(said: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is a picture, which has no rate and no unit: leave fs and unit out"):
        io.read(png(), **said)


def test_every_ecg_of_a_file_is_taken_or_refused_in_its_place() -> None:
    def take(page: Page | Record, number: int, _: int) -> int:
        if number == 2:
            raise SignalError("no: do not")
        return page.pixels.shape[1] if number == 1 else {}["a fault of ours"]

    done = list(io.for_each(tiff(3), io.Given(), take, lambda *refused: refused))
    assert done == [10, ("no: do not", 2, 3), (FAULT, 3, 3)]
    ((_, *place),) = io.for_each(b"", io.Given(), take, lambda *refused: refused)
    assert place == [1, 1]
    with pytest.raises(UsageError):
        list(io.for_each(tiff(1), io.Given(), lambda *_: io.read(tiff(2)), lambda *_: None))


def test_a_folder_is_searched_by_endings_and_by_content(tmp_path: Path) -> None:
    write_record(tmp_path, b"\xff\xd8\xff\xe0")  # a signal that begins like a picture
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(40))
    (tmp_path / "x.bin").write_bytes(png())
    (tmp_path / "t.txt").write_text("I,II,V1\n1,2,3\n")
    (tmp_path / "readme").write_text("nothing here")
    (tmp_path / "labels.csv").write_text("id,AF\n1,0\n")
    (tmp_path / "b.png").write_bytes(b"damaged")  # it says that it is an ECG, so it must be complained of
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    np.save(tmp_path / "features.npy", np.zeros(3))
    found = [path.name for path in io.find_files(tmp_path)]
    assert found == ["IM0001", "a.hea", "b.png", "gone", "t.txt", "x.bin"]
    said = [path.name for path in io.find_files(tmp_path, io.Given(fs=500))]
    assert said == sorted([*found, "features.npy", "labels.csv"])
    assert [path.name for path in io.find_files(tmp_path, pictures=False)] == ["IM0001", "a.hea", "gone", "t.txt"]


PAD = bytes(40)


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (b"", FileError, "is empty: copy it again"),
        (b"PK\x03\x04" + PAD, FormatError, "is a ZIP archive, which is not read: unpack it"),
        (b"\x1f\x8b\x08" + PAD, FormatError, "is a gzip archive"),
        (b"MATLAB 5.0 MAT-file, made by hand" + PAD, FormatError, "is a MATLAB file, "),
        (b"\x1e\0\0\0" + PAD, FormatError, "is a MATLAB file without its WFDB header"),
        (b"\0\0\0\x18ftypisom" + PAD, FormatError, "is a video, which is not read: take a photograph"),
        (b"<svg xmlns='x'/>", FormatError, "is an SVG drawing"),
        (b"<!DOCTYPE html><HTML>", FormatError, "is a web page"),
        (b"<?xml version='1.0'?><a/>", FormatError, "is an XML file"),
        (b"a,b\n0.1,0.2\n", FormatError, "is a text file"),
        (b"BM is how this text begins, not a bitmap", FormatError, "is a text file"),
        (bytes(range(256)), FormatError, "is of no format that ecglens reads: give a picture"),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    content: bytes, error: type[EcgLensError], fragment: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(error, match=fragment) as caught:
        io.read(path)
    assert str(caught.value).startswith("a.png is ")
    with pytest.raises(error, match=r"^the input is "):
        io.read(content)


def test_a_header_without_its_folder_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path)
    with pytest.raises(FormatError, match="is a WFDB header alone: its signal file is needed too"):
        io.read((tmp_path / "a.hea").read_bytes())


@pytest.mark.parametrize(
    ("path", "fragment"),
    [
        ("missing.png", "missing.png does not exist: check the name and the folder"),
        ("missing.hea", "missing.hea does not exist"),
        ("missing", "missing does not exist"),
        ("", "is a folder, of which no file was read: give the files in it"),
        ("folder", "folder is a folder, of which no file was read: give the files in it"),
        ("folder.hea", "folder.hea is a folder"),
        ("x" * 300, "cannot be read"),
        ("a.png/b.png", "b.png cannot be read"),
        ("zero\0byte", "this file name is impossible"),
    ],
)
def test_what_is_no_file_is_refused(path: str, fragment: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.hea").mkdir()
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(FileError, match=fragment) as caught:
        io.read(tmp_path / path)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileError, match=r"a\.png may not be read: ask for permission"):
        io.read(tmp_path / "a.png")


def test_a_device_that_never_ends_is_refused() -> None:
    with pytest.raises(FileError, match="zero is no ordinary file"):
        io.read("/dev/zero")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png() + bytes(10))
    with pytest.raises(FileError, match=r"a\.png is larger than"):
        source.content(tmp_path / "a.png", limit=20)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: io.open_file(content).read(1))


@given(cut=st.floats(0, 1), number=st.integers(0, 19), part=st.sampled_from(["hea", "mat"]))
@settings(max_examples=40, deadline=None)
def test_truncated_real_records_are_read_or_refused(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory, cut: float, number: int, part: str
) -> None:
    header = sorted((data_dir / "cinc").glob("*.hea"))[number]
    folder = tmp_path_factory.getbasetemp()
    for path in (header, header.with_suffix(".mat")):
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[: int(len(content) * cut)] if path.suffix[1:] == part else content)
    read_or_refuse(lambda: io.open_file(folder / header.name).read(1))


@given(cut=st.floats(0, 0.999), number=st.integers(0, 47))
@settings(max_examples=40, deadline=None)
def test_truncated_real_photos_are_read_or_refused(data_dir: Path, cut: float, number: int) -> None:
    content = sorted((data_dir / "photos").iterdir())[number].read_bytes()
    read_or_refuse(lambda: io.open_file(content[: int(len(content) * cut)]).read(1))
