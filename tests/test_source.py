"""What is said of files, and files and bytes as they come in: limits, text, and one error for every failure."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError, UsageError
from ecglens.io import source
from ecglens.io.source import Given


@pytest.mark.parametrize("fs", [0, -500, float("nan"), float("inf")])
def test_a_rate_that_is_none_cannot_be_said(fs: float) -> None:
    with pytest.raises(UsageError, match="give a sampling rate above 0"):
        Given(fs=fs)


@pytest.mark.parametrize("unit", ["furlong", "MV", "", "mV "])
def test_a_unit_that_is_none_cannot_be_said(unit: str) -> None:
    with pytest.raises(UsageError, match=r"unit says .*: give V, mV, uV or nV"):
        Given(unit=unit)


def test_the_rate_is_found_or_said_and_never_contradicted() -> None:
    assert Given().settle_rate(500, "a") == Given(500).settle_rate(None, "a") == Given(500).settle_rate(500, "a") == 500
    with pytest.raises(SignalError, match="does not say its sampling rate"):
        Given().settle_rate(None, "a")
    with pytest.raises(SignalError, match=r"has 500 Hz, but 250 is given \(fs\)"):
        Given(250).settle_rate(500, "a")


@pytest.mark.parametrize("said", ["uV", "uv", "\u00b5V", "\u03bcV"])
@pytest.mark.parametrize("found", ["uV", "\u00b5V", "\u03bcV"])
def test_spellings_of_one_unit_are_no_contradiction(said: str, found: str) -> None:
    assert Given(unit=said).settle_unit(found, "a") == found


def test_the_unit_is_found_or_said_and_never_contradicted() -> None:
    assert Given(unit="mV").settle_unit("", "a") == Given().settle_unit("mV", "a") == "mV"
    with pytest.raises(SignalError, match="does not say its unit"):
        Given().settle_unit("", "a")
    for found in ("uV", "mmHg"):
        with pytest.raises(SignalError, match=f"is in '{found}', but 'mV' is given"):
            Given(unit="mV").settle_unit(found, "a")


def test_files_and_bytes_have_the_same_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.npy").write_bytes(bytes(21))
    monkeypatch.setattr(source, "MAX_BYTES", 21)
    assert source.load(bytes(21)) == bytes(21)
    monkeypatch.setattr(source, "MAX_BYTES", 20)
    with pytest.raises(FileError, match=r"^the input is larger than"):
        source.load(bytes(21))


def test_a_file_longer_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(21))
    assert source.content(tmp_path / "a", 21) == bytes(21)
    with pytest.raises(FileError, match=r"^a is larger than 0 kB: "):
        source.content(tmp_path / "a", 20)


def test_a_piece_is_what_the_file_has_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert source.piece(tmp_path / "a", 3, 4) == b"3456"
    assert source.piece(tmp_path / "a", 8, 4) == b"89"
    assert source.piece(tmp_path / "a", 99, 4) == b""


@given(st.text())
def test_text_is_utf_8_or_else_latin_1(text: str) -> None:
    assert source.decode(text.encode()) == text
    assert source.decode(b"\xff" + text.encode()) == "\xff" + text.encode().decode("latin-1")


@pytest.mark.parametrize("count", [11, float("inf"), float("nan")])
def test_too_many_samples_are_refused(count: float) -> None:
    source.check_samples(10, "a", limit=10)
    with pytest.raises(SignalError, match=r"^a is too long to read at once: "):
        source.check_samples(count, "a", limit=10)


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), MemoryError(), AssertionError()])
def test_a_librarys_error_is_a_damaged_file(error: Exception) -> None:
    with pytest.raises(FileError, match=r"^a is damaged or cut off: copy it again$"), source.reading("a"):
        raise error


def test_an_error_of_ours_stays_what_it_is() -> None:
    ours = FormatError("a is something else: give another")
    with pytest.raises(FormatError) as caught, source.reading("a"):
        raise ours
    assert caught.value is ours
