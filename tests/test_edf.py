"""EDF and BDF: what edfio writes is read as edfio reads it; what a header leaves open or does not fit is refused."""

import io
from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import EcgLensError, FileError, FormatError, SignalError, UnreadableError
from ecglens.io import edf
from ecglens.leads import LEADS
from ecglens.record import Record
from ecglens.simulator import simulate
from hostile import read_or_refuse

FORMATS = {"EDF": (edfio.Edf, edfio.EdfSignal), "BDF": (edfio.Bdf, edfio.BdfSignal)}


def millivolts(samples: int = 1000, leads: int = 12) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (leads, samples))


def write(
    signals: np.ndarray,
    labels: Sequence[str] = LEADS,
    kind: str = "EDF",
    fs: float = 500,
    duration: float = 1,
    unit: str = "mV",
    limit: float = 8,
    annotations: Sequence[edfio.EdfAnnotation] | None = None,
) -> bytes:
    """Write (leads, samples) in ``unit`` with edfio, from -limit to limit."""
    recording, channel = FORMATS[kind]
    found = [
        channel(row, fs, label=label, physical_dimension=unit, physical_range=(-limit, limit))
        for row, label in zip(signals, labels, strict=True)
    ]
    file = io.BytesIO()
    recording(found, data_record_duration=duration, annotations=annotations).write(file)
    return file.getvalue()


def as_edfio_reads(content: bytes, kind: str = "EDF") -> np.ndarray:
    reader = edfio.read_edf if kind == "EDF" else edfio.read_bdf
    return np.array([signal.data for signal in reader(io.BytesIO(content)).signals])


def read(content: bytes | Path) -> Record:
    opened = edf.open_file(content, "a.edf")
    assert opened.count == 1
    record = opened.read(1)
    assert isinstance(record, Record)
    return record


def refused(content: bytes, error: type[EcgLensError], fragment: str) -> None:
    with pytest.raises(error, match=fragment) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def put(content: bytes, at: int, text: str, width: int = 8) -> bytes:
    """Replace a field of a header."""
    return content[:at] + text.encode().ljust(width) + content[at + width :]


def field(channels: int, before: int, channel: int = 0, width: int = 8) -> int:
    """Where the field of a channel is that has so many bytes of other fields before it."""
    return 256 + before * channels + width * channel


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
@pytest.mark.parametrize(("fs", "duration"), [(500, 1), (500, 2), (250, 0.1), (100, 0.5), (1000, 1)])
def test_reads_what_edfio_writes(kind: str, fs: float, duration: float, tmp_path: Path) -> None:
    content = write(millivolts(), kind=kind, fs=fs, duration=duration)
    (tmp_path / "a.edf").write_bytes(content)
    for given_as in (content, tmp_path / "a.edf"):
        record = read(given_as)
        assert record.fs == pytest.approx(fs)
        np.testing.assert_allclose(record.signal, as_edfio_reads(content, kind), rtol=1e-6, atol=1e-9)
    step = 16 / (2**16 if kind == "EDF" else 2**24)
    np.testing.assert_allclose(record.signal, millivolts(), atol=step + 1e-6)


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
def test_the_ends_of_the_range_keep_their_sign(kind: str) -> None:
    ends = np.tile([-8.0, 8.0, 0.0, -1e-3], (12, 125))
    np.testing.assert_allclose(read(write(ends, kind=kind)).signal, ends, atol=3e-4)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1), ("uV", 1e-3), ("V", 1e3), ("nV", 1e-6)])
def test_units_become_millivolts(unit: str, factor: float) -> None:
    content = write(millivolts(), unit=unit)
    np.testing.assert_allclose(read(content).signal, as_edfio_reads(content) * factor, rtol=1e-5)


@pytest.mark.parametrize("micro", [b"\xb5V", "µV".encode(), "μV".encode()])
def test_micro_is_read_in_any_of_its_spellings(micro: bytes) -> None:
    content = write(millivolts())
    for i in range(12):
        at = field(12, 96, i)
        content = content[:at] + micro.ljust(8) + content[at + 8 :]
    np.testing.assert_allclose(read(content).signal, millivolts() / 1000, atol=1e-6)


def test_a_range_the_other_way_round_turns_the_signal_over() -> None:
    content = write(millivolts())
    for i in range(12):
        content = put(put(content, field(12, 104, i), "8"), field(12, 112, i), "-8")
    np.testing.assert_allclose(read(content).signal, -read(write(millivolts())).signal, atol=3e-4)


@pytest.mark.parametrize("spelling", ["{}", "ECG {}", "Lead {}", "ecg_{}"])
def test_labels_of_edf_plus_and_common_ones_are_known(spelling: str) -> None:
    order = list(reversed(range(12)))
    content = write(millivolts()[order], [spelling.format(LEADS[i]) for i in order])
    np.testing.assert_allclose(read(content).signal, millivolts(), atol=3e-4)


def test_limb_leads_that_were_not_recorded_follow_from_two() -> None:
    signals = millivolts(leads=8)
    record = read(write(signals, ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]))
    np.testing.assert_allclose(record.signal[2], signals[1] - signals[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
def test_annotations_are_passed_over_always_and_other_channels_beside_twelve_leads(kind: str) -> None:
    notes = [edfio.EdfAnnotation(0.5, None, "Smith")]
    np.testing.assert_allclose(read(write(millivolts(), kind=kind, annotations=notes)).signal, millivolts(), atol=3e-4)
    two = read(write(millivolts(leads=2), ["V1", "V2"], kind, annotations=notes))
    assert len(two.missing_leads()) == 10
    more = write(millivolts(leads=14), ["Resp", *LEADS, "SaO2"], kind)
    np.testing.assert_allclose(read(more).signal, millivolts(leads=14)[1:13], atol=3e-4)
    refused(write(millivolts(leads=3), ["I", "II", "Resp"], kind), SignalError, r"no standard lead \('Resp'\)")


def test_the_status_channel_of_bdf_is_no_lead() -> None:
    record = read(write(millivolts(leads=3), ["V1", "V2", "Status"], "BDF"))
    np.testing.assert_allclose(record.signal[6:8], millivolts(leads=3)[:2], atol=1e-5)


def test_channels_of_other_rates_do_not_matter_beside_twelve_leads() -> None:
    signals = [edfio.EdfSignal(row, 500, label=lead, physical_dimension="mV", physical_range=(-8, 8))
               for row, lead in zip(millivolts(), LEADS, strict=True)]  # fmt: skip
    slow = edfio.EdfSignal(np.arange(20.0), 10, label="Resp")
    file = io.BytesIO()
    edfio.Edf([*signals[:5], slow, *signals[5:]], data_record_duration=1).write(file)
    np.testing.assert_allclose(read(file.getvalue()).signal, millivolts(), atol=3e-4)


def test_a_recording_that_was_not_closed_has_as_many_records_as_follow() -> None:
    content = put(write(millivolts()), 236, "-1")
    np.testing.assert_array_equal(read(content).signal, read(write(millivolts())).signal)
    assert read(content[:-1]).signal.shape == (12, 500)  # the record that was begun is left out
    refused(content[: 256 * 13 + 100], FileError, "cut off or damaged")


def with_onsets(kind: str, onsets: Sequence[str], leads: int = 12) -> bytes:
    """A discontinuous recording whose records of a second at 100 Hz begin at ``onsets``."""
    notes = [edfio.EdfAnnotation(i, None, "a long note") for i in range(len(onsets))]  # room for any onset
    content = write(millivolts(len(onsets) * 100, leads), LEADS[:leads], kind, 100, annotations=notes)
    content = content.replace(f"{kind}+C".encode(), f"{kind}+D".encode())
    start = 256 * (leads + 2)
    size = (len(content) - start) // len(onsets)
    samples = leads * 100 * (2 if kind == "EDF" else 3)
    records = [content[start + i * size :][:samples] for i in range(len(onsets))]
    lists = [f"{onset}\x14\x14\0".encode().ljust(size - samples, b"\0") for onset in onsets]
    return content[:start] + b"".join(a + b for a, b in zip(records, lists, strict=True))


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
def test_gaps_of_a_discontinuous_recording_are_nan(kind: str) -> None:
    record = read(with_onsets(kind, ["+3", "+4", "+7", "+9"]))
    assert record.signal.shape == (12, 700)
    found = np.where(np.isnan(record.signal[0]).reshape(7, 100).all(axis=1))[0]
    assert found.tolist() == [2, 3, 5]
    assert np.isnan(record.signal).sum() == 12 * 300
    np.testing.assert_allclose(record.signal[~np.isnan(record.signal)].reshape(12, 400), millivolts(400), atol=3e-4)


def test_discontinuous_records_without_a_gap_are_one_piece() -> None:
    np.testing.assert_allclose(read(with_onsets("EDF", ["+0", "+1", "+2"])).signal, millivolts(300), atol=3e-4)


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (with_onsets("EDF", ["+3", "+2", "+5"]), FileError, "records that overlap in time"),
        (with_onsets("EDF", ["+0", "+0", "+5"]), FileError, "records that overlap in time"),
        (with_onsets("EDF", ["+0", "+1", "+9000000"]), SignalError, "too long to read at once"),
        (
            with_onsets("EDF", ["+0", "+1", "+2"]).replace(b"+1\x14\x14", bytes(4)),
            FileError,
            "gaps and does not say where",
        ),
        (put(write(millivolts()), 192, "EDF+D", 44), FileError, "gaps and does not say where"),
    ],
)
def test_gaps_that_are_not_clear_are_refused(content: bytes, error: type[EcgLensError], fragment: str) -> None:
    refused(content, error, fragment)


SOUND = write(millivolts())


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (SOUND[:-1], FileError, "promises 2 records of 12000 bytes, and 23999 bytes follow"),
        (SOUND + b"\0", FileError, "promises 2 records"),
        (put(SOUND, 236, "1"), FileError, "promises 1 records"),
        (put(SOUND, 236, "0"), FileError, "promises 0 records"),
        (put(SOUND, 236, "99999999"), FileError, "promises 99999999 records"),
        (put(SOUND, 236, "-2"), FileError, "promises -2 records"),
        (put(SOUND, 236, "two"), FileError, "its number of records is 'two'"),
        (put(SOUND, 184, "256"), FileError, "its header does not fit its channels"),
        (put(SOUND, 252, "9999", 4), FileError, "its header does not fit its channels"),
        (put(SOUND, 252, "0", 4), FileError, "its header does not fit its channels"),
        (put(SOUND, 252, "-1", 4), FileError, "its header does not fit its channels"),
        (put(SOUND, 244, "0"), SignalError, "no sampling rate"),
        (put(SOUND, 244, "-1"), SignalError, "no sampling rate"),
        (put(SOUND, 244, "nan"), FileError, "its duration of a record is 'nan'"),
        (put(SOUND, 244, "1,5"), FileError, "its duration of a record is '1,5'"),
        (put(SOUND, 244, "1e-99"), SignalError, "cannot be an ECG's"),
        (put(SOUND, 244, "100"), SignalError, "5 Hz cannot be an ECG's"),
        (put(SOUND, field(12, 216), "0"), FileError, "a channel without samples"),
        (put(SOUND, field(12, 216), "-500"), FileError, "a channel without samples"),
        (put(SOUND, field(12, 216), "99999999"), FileError, "promises 2 records"),
        (put(SOUND, field(12, 104), "8"), SignalError, "no possible range for lead I:"),
        (put(SOUND, field(12, 120), "32767"), SignalError, "no possible range for lead I:"),
        (put(SOUND, field(12, 128, 1), "-32769"), SignalError, "no possible range for lead II:"),
        (put(SOUND, field(12, 128), "32768"), SignalError, "no possible range for lead I:"),
        (put(SOUND, field(12, 112), "inf"), FileError, "its physical maximum is 'inf'"),
        (put(SOUND, field(12, 112), "1e99"), SignalError, "no possible range for lead I:"),
        (put(SOUND, field(12, 112), ""), FileError, "its physical maximum is ''"),
        (put(SOUND, field(12, 96), ""), SignalError, "gives no unit of lead I: "),
        (put(SOUND, field(12, 96), "degC"), SignalError, "gives lead I in 'degC'"),
        (put(SOUND, 256, "EEG Fz", 16), SignalError, r"no standard lead \('EEG Fz'\)"),
        (put(SOUND, 256, "ECG I-REF", 16), SignalError, r"no standard lead \('ECG I-REF'\)"),
        (put(SOUND, 256, "ECG", 16), SignalError, r"no standard lead \('ECG'\)"),
        (put(SOUND, 256, "II", 16), SignalError, "gives lead II twice"),
        (write(millivolts(leads=1), ["Status"]), SignalError, "no ECG leads"),
        (b"0       ", FileError, "its number of channels is ''"),
        (b"\xffBIOSEMI", FileError, "its number of channels is ''"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_open_is_refused(content: bytes, error: type[EcgLensError], fragment: str) -> None:
    refused(content, error, fragment)


def test_leads_of_different_rates_are_refused() -> None:
    fast, slow = (edfio.EdfSignal(millivolts(2 * fs, 1)[0], fs, label=lead, physical_dimension="mV")
                  for lead, fs in (("I", 500), ("II", 250)))  # fmt: skip
    file = io.BytesIO()
    edfio.Edf([fast, slow], data_record_duration=1).write(file)
    refused(file.getvalue(), FormatError, "leads of different sampling rates")


def test_more_samples_than_fit_are_refused() -> None:
    header = write(np.zeros((1, 100)), ["I"], fs=100)[:512]
    records = 60_000_000 // 12 // 100 + 1
    refused(put(header, 236, str(records)) + bytes(records * 200), SignalError, "too long to read at once")


def test_recordings_are_known_by_their_heads() -> None:
    assert edf.recognise(SOUND[:4096])
    assert edf.recognise(put(SOUND, 236, "-1")[:4096])
    assert edf.recognise(write(millivolts(), kind="BDF")[:4096])
    assert not edf.recognise(b"")
    assert not edf.recognise(b"0       1.5     2.5\n" * 100)
    assert not edf.recognise(b"time I II\n0 1 2\n")


def test_a_simulated_ecg_comes_back_to_a_step() -> None:
    truth = simulate({"LBBB"}, rng=np.random.default_rng(1), fs=500)
    record = read(write(truth.signal.astype(float)))
    np.testing.assert_allclose(record.signal, truth.signal, atol=16 / 2**16)


GAPS = with_onsets("EDF", ["+3", "+4", "+7", "+9"], leads=2)
TOKENS = ["0", "1", "-1", "1e99", "1e-99", "99999999", "x", "", "I", "mV", "EDF+D", "\0", "é"]


@given(
    st.sampled_from([SOUND, GAPS, write(millivolts(leads=2), ["I", "II"], "BDF")]),
    st.lists(st.tuples(st.integers(0, 420), st.sampled_from(TOKENS)), min_size=1, max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_a_header_with_fields_changed_is_read_or_refused(content: bytes, changes: list[tuple[int, str]]) -> None:
    for place, text in changes:
        content = put(content, 184 + 4 * place, text, len(text.encode()))
    read_or_refuse(lambda: read(content))


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=5), st.integers(0, len(GAPS)))
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_and_truncations_are_read_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(GAPS)
    for at, byte in changes:
        content[at % len(content)] = byte
    read_or_refuse(lambda: read(bytes(content)))
    read_or_refuse(lambda: read(bytes(content[:length])))


@given(st.sampled_from([b"0       ", b"\xffBIOSEMI", SOUND[:256]]), st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_a_head_are_refused(head: bytes, tail: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(head + tail)


def test_very_many_records_are_refused_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edf, "_MOST_RECORDS", 1)
    for content in (GAPS, SOUND):
        refused(content, SignalError, "too long to read at once")
