"""NPY and NPZ: what was saved is read back; shape, rate, unit and names are said or refused; nothing is unpickled."""

import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError, UnreadableError
from ecglens.io import array, source
from ecglens.io.source import Given
from ecglens.leads import LEADS
from ecglens.record import Record
from hostile import damaged, peak, read_or_refuse

SAID = Given(250, "mV")
SIGNAL = np.random.default_rng(1).normal(0, 1, (12, 60)).astype(np.float32)


def npy(values: object, **how: bool) -> bytes:
    stream = BytesIO()
    np.save(stream, values, **how)  # type: ignore[arg-type]
    return stream.getvalue()


def npz(compressed: bool = False, **arrays: object) -> bytes:
    stream = BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def read(content: bytes, said: Given = SAID, number: int = 1) -> Record:
    return array.open_file(content, "a.npy", said).read(number)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", ">f8"])
@pytest.mark.parametrize("values", [SIGNAL, SIGNAL.T, np.asfortranarray(SIGNAL)])
def test_a_saved_signal_is_read_back(kind: str, values: np.ndarray, tmp_path: Path) -> None:
    content = npy(values.astype(kind))
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    for given_as in (content, path):
        opened = array.open_file(given_as, "a.npy", SAID)
        assert opened.count == 1
        assert opened.read(1).fs == 250
        np.testing.assert_array_equal(opened.read(1).signal, SIGNAL.astype(kind).astype(np.float32))


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e3), ("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("nV", 1e-6)])
@pytest.mark.parametrize("kind", ["i1", "u1", "<i2", ">i4", "<i8", "<u2"])
def test_the_unit_is_that_of_whole_numbers_too(unit: str, factor: float, kind: str) -> None:
    values = np.arange(12 * 10).reshape(12, 10).astype(kind)
    np.testing.assert_allclose(read(npy(values), Given(100, unit)).signal, values * factor, rtol=1e-6)


@pytest.mark.parametrize("by_time", [False, True])
def test_several_ecgs_are_told_apart(by_time: bool) -> None:
    values = np.stack([SIGNAL, 2 * SIGNAL, -SIGNAL])
    opened = array.open_file(npy(values.transpose(0, 2, 1) if by_time else values), "a.npy", SAID)
    assert opened.count == 3
    np.testing.assert_array_equal(opened.read(2).signal, 2 * SIGNAL)
    np.testing.assert_array_equal(opened.read(3).signal, -SIGNAL)


def test_twelve_ecgs_of_other_lengths_are_no_doubt() -> None:
    assert array.open_file(npy(np.zeros((12, 12, 60))), "a.npy", SAID).count == 12


def test_nan_stays_nan_and_a_missing_limb_lead_is_computed() -> None:
    values = SIGNAL.copy()
    values[7, 3], values[5] = np.nan, np.nan
    signal = read(npy(values)).signal
    assert np.argwhere(np.isnan(signal)).tolist() == [[7, 3]]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("key", ["signal", "anything"])
def test_an_npz_file_says_rate_and_unit_itself(compressed: bool, key: str) -> None:
    content = npz(compressed, fs=np.int64(500), unit="uV", **{key: SIGNAL})
    for said in (Given(), Given(500, "uV")):
        record = read(content, said)
        assert record.fs == 500
        np.testing.assert_allclose(record.signal, SIGNAL / 1000, rtol=1e-6)


def test_signal_is_chosen_among_other_arrays() -> None:
    content = npz(noise=np.zeros((12, 60)), signal=SIGNAL, label=np.array("text"))
    np.testing.assert_array_equal(read(content).signal, SIGNAL)


def test_names_say_which_lead_is_which() -> None:
    names = ["V1", "Lead II", "I"]
    record = read(npz(signal=SIGNAL[:3], leads=names))
    np.testing.assert_array_equal(record.signal[[6, 1, 0]], SIGNAL[:3])
    np.testing.assert_allclose(record.signal[2], SIGNAL[1] - SIGNAL[2], atol=1e-6)
    assert record.missing_leads() == ("V2", "V3", "V4", "V5", "V6")
    more = read(npz(signal=np.concatenate([SIGNAL[:1] * 0, SIGNAL]).T, leads=np.array(["RESP", *LEADS], "S")))
    np.testing.assert_array_equal(more.signal, SIGNAL)


class Told:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    ("content", "said", "error", "fragment"),
    [
        (npy(SIGNAL), Given(None, "mV"), SignalError, r"does not say its sampling rate: give it \(fs"),
        (npy(SIGNAL), Given(250, None), SignalError, r"does not say its unit: give it \(unit"),
        (npz(signal=SIGNAL, unit="mmHg"), Given(250), SignalError, "'mmHg': it must be in V, mV, uV or nV"),
        (npy(SIGNAL), Given(2, "mV"), SignalError, "a sampling rate of 2 Hz cannot be"),
        (npz(signal=SIGNAL, fs=500), SAID, SignalError, r"has 500 Hz, but 250 is given \(fs\)"),
        (npz(signal=SIGNAL, unit="uV"), SAID, SignalError, "is in 'uV', but 'mV' is given"),
        (npz(signal=SIGNAL, fs=[500, 500]), SAID, SignalError, "'fs' that is not one number"),
        (npz(signal=SIGNAL, fs="500"), SAID, SignalError, "'fs' that is not one number"),
        (npz(signal=SIGNAL, fs=np.nan), Given(None, "mV"), SignalError, "a sampling rate of nan Hz"),
        (npz(signal=SIGNAL, unit=["uV", "mV"]), SAID, SignalError, "'unit' that is not one word"),
        (npz(signal=SIGNAL, unit=3), Given(250), SignalError, "in '3': it must be"),
        (npz(signal=SIGNAL, leads=["I", "II"]), SAID, FormatError, r"\(12, 60\), in which 2 leads"),
        (npz(signal=SIGNAL[:2], leads=["I", "I"]), SAID, SignalError, "gives lead I twice"),
        (npz(signal=SIGNAL[:2], leads=["I", "MLII"]), SAID, SignalError, r"no standard lead \('MLII'\)"),
        (npz(signal=SIGNAL[:2], leads=[1, 2]), SAID, SignalError, "'leads' that is no list of names"),
        (npz(one=SIGNAL, two=SIGNAL), SAID, FormatError, r"one array of samples \('one', 'two' found\)"),
        (npz(fs=500), SAID, FormatError, r"one array of samples \(none found\)"),
        (npz(signal=np.array(["a", "b"])), SAID, FormatError, "not numbers"),
        (npy(np.zeros((12, 12))), SAID, FormatError, r"\(12, 12\), in which 12 leads are not to be told"),
        (npy(np.zeros((5, 12, 12))), SAID, FormatError, r"\(5, 12, 12\), in which"),
        (npy(np.zeros((8, 60))), SAID, FormatError, r"\(8, 60\), in which"),
        (npy(np.zeros((12, 8, 60))), SAID, FormatError, r"\(12, 8, 60\), in which"),
        (npy(np.zeros(60)), SAID, FormatError, r"\(60,\), in which"),
        (npy(np.zeros((1, 1, 12, 60))), SAID, FormatError, "an array of 4 dimensions"),
        (npy(np.zeros((12, 0))), SAID, FileError, "promises 0 bytes of samples"),
        (npy(np.zeros((12, 60), complex)), SAID, FormatError, "holds complex128, not numbers"),
        (npy(np.zeros((12, 60), bool)), SAID, FormatError, "holds bool, not numbers"),
        (npy(np.zeros((12, 60), [("a", "f4")])), SAID, FormatError, "not numbers"),
        (npy(np.full((12, 60), Told()), allow_pickle=True), SAID, FormatError, "holds object, not numbers"),
        (npz(signal=np.full((12, 60), Told())), SAID, FormatError, "holds object, not numbers"),
        (npy(np.full((12, 60), np.inf)), SAID, SignalError, "infinite"),
        (npy(np.full((12, 60), 1e300)), SAID, SignalError, "infinite"),
        (npy(SIGNAL)[:-1], SAID, FileError, "promises 2880 bytes of samples and has 2879"),
        (npy(SIGNAL) + b"\0", SAID, FileError, "promises 2880 bytes of samples and has 2881"),
        (npy(SIGNAL).replace(b"(12, 60)", b"(12, 9**9)"), SAID, FileError, "damaged NumPy header"),
        (npy(SIGNAL).replace(b"(12, 60), ", b"(12, 99999999999),"), SAID, FileError, "damaged|promises"),
        (npy(SIGNAL)[:40], SAID, FileError, "damaged NumPy header"),
        (npz(signal=SIGNAL)[:-30], SAID, FileError, "damaged or cut off"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_clear_sentence(
    content: bytes, said: Given, error: type[UnreadableError], fragment: str
) -> None:
    with pytest.raises(error, match=fragment) as caught:
        read(content, said)
    assert "\n" not in str(caught.value)


def test_a_small_archive_does_not_unpack_to_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 2 << 20)
    content = npz(True, a=np.zeros(1 << 17), b=np.zeros(1 << 17), c=np.zeros(1 << 17))
    assert len(content) < 10_000
    with pytest.raises(FileError, match="unpacks to more than 2 MB"):
        read(content)


def lying(kind: int, size: int, told: int) -> bytes:
    """An archive of one array, whose table of contents gives it ``told`` bytes instead of ``size``."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.writestr("signal.npy", bytes(size))
    content = bytearray(stream.getvalue())
    at = content.index(b"PK\x01\x02") + 24  # APPNOTE.TXT of PKWARE, 4.3.12
    content[at : at + 4] = told.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_lies_about_its_size_is_not_unpacked(kind: int, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(lying(kind, 128 << 20, 1000))
    [cost] = peak(tmp_path / "a.npz", fs=500, unit="mV")
    assert "damaged or cut off" in cost.outcome or "packed in a way that NumPy does not use" in cost.outcome
    assert cost.megabytes < 120  # of which the program takes 60


def test_the_longest_array_is_read_within_a_gigabyte(tmp_path: Path) -> None:
    values = np.zeros((12, source.MAX_SAMPLES // 12), np.float32)
    values[2] = np.nan  # which follows from I and II
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", np.zeros((12, source.MAX_SAMPLES // 12 + 1), np.float32))
    whole, longer = peak(tmp_path / "a.npy", tmp_path / "b.npy", fs=500, unit="mV")
    assert whole.outcome == "read"
    assert whole.megabytes < 1024
    assert "too long to read at once" in longer.outcome


def test_halves_do_not_overflow() -> None:
    values = np.full((12, 60), 60_000, "<f2")
    np.testing.assert_allclose(read(npy(values), Given(500, "V")).signal, 1e3 * values.astype(float), rtol=1e-6)


def test_an_archive_of_very_many_files_is_refused() -> None:
    with pytest.raises(FileError, match="holds more than 1000 arrays"):
        read(b"PK\x03\x04" + b"PK\x01\x02".ljust(46, b"\0") * 2000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (npy(SIGNAL), True),
        (npz(signal=SIGNAL), True),
        (npz(True, signal=SIGNAL), True),
        (b"PK\x03\x04".ljust(26, b"\0") + b"\x05\0\0\0a.txt", False),
        (pickle.dumps(SIGNAL), False),
        (b"", False),
        (b"PK\x03\x04", False),
    ],
)
def test_arrays_are_known_by_their_content(content: bytes, expected: bool) -> None:
    assert array.recognise(content[:4096]) is expected


@given(damaged(npy(SIGNAL), npy(SIGNAL.T), npz(signal=SIGNAL, fs=100), npz(True, signal=SIGNAL, unit="mV")))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_is_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: read(content))


@given(st.binary(max_size=200), st.sampled_from([npy(SIGNAL)[:10], npy(SIGNAL)[:128], npz(signal=SIGNAL)[:60]]))
@settings(max_examples=200, deadline=None)
def test_random_bytes_after_a_valid_head_are_read_or_refused(content: bytes, head: bytes) -> None:
    read_or_refuse(lambda: read(head + content))
