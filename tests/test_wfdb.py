"""WFDB: what the reference package writes is read back equal; what a header leaves open is refused."""

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import EcgLensError, FileError, FormatError, SignalError, UnreadableError
from ecglens.io import source, wfdb
from ecglens.leads import LEADS
from hostile import peak, read_or_refuse

with warnings.catch_warnings():  # the reference package uses parts of pandas that pandas means to drop
    warnings.simplefilter("ignore")
    import wfdb as reference
    from wfdb.io.convert.matlab import wfdb_to_mat

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

NAMES = [name.upper() for name in LEADS]


def integers(samples: int = 101, channels: int = 12, bits: int = 10) -> np.ndarray:
    """Random stored values (samples, channels) that a format of so many bits holds, its invalid code left out."""
    half = 1 << (bits - 1)
    return np.random.default_rng(1).integers(1 - half, half, (samples, channels))


def write_header(
    folder: Path,
    values: np.ndarray,
    coding: str = "16",
    gain: str = "1000/mV",
    first_line: str | None = None,
    names: Sequence[str] = LEADS,
) -> Path:
    """Write ``a.hea`` for ``a.dat``, with the right initial values and checksums."""
    lines = [first_line or f"a {values.shape[1]} 100 {len(values)}"]
    lines += [
        f"a.dat {coding} {gain} 16 0 {x[0]} {x.sum() % 65536} 0 {name}" for x, name in zip(values.T, names, strict=True)
    ]
    (folder / "a.hea").write_text("\n".join(lines) + "\n")
    return folder / "a.hea"


def write_record(folder: Path, values: np.ndarray | None = None, **header: object) -> Path:
    values = integers() if values is None else values
    (folder / "a.dat").write_bytes(values.astype("<i2").tobytes())
    return write_header(folder, values, **header)  # type: ignore[arg-type]


def pack_310(values: Sequence[int]) -> bytes:
    words = b""
    for i in range(0, len(values), 3):
        a, b, c = ([int(v) & 0x3FF for v in values[i : i + 3]] + [0, 0])[:3]
        words += (a << 1 | (c & 0x1F) << 11).to_bytes(2, "little") + (b << 1 | c >> 5 << 11).to_bytes(2, "little")
    return words


def pack_311(values: Sequence[int]) -> bytes:
    words = b""
    for i in range(0, len(values), 3):
        a, b, c = ([int(v) & 0x3FF for v in values[i : i + 3]] + [0, 0])[:3]
        words += (a | b << 10 | c << 20).to_bytes(4, "little")
    return words


def pack_8(table: np.ndarray) -> bytes:
    return np.diff(table, axis=0, prepend=table[:1]).astype("i1").tobytes()


@pytest.mark.parametrize(("coding", "bits"), [("16", 16), ("24", 24), ("32", 32), ("80", 8), ("212", 12)])
@pytest.mark.parametrize("samples", [100, 101])
def test_reads_what_the_reference_package_writes(coding: str, bits: int, samples: int, tmp_path: Path) -> None:
    values = integers(samples, 12, bits)
    baseline = list(range(12))
    gain = [200.0 + lead for lead in range(12)]
    reference.wrsamp(
        "a", 250, ["mV"] * 12, NAMES, d_signal=values, fmt=[coding] * 12, adc_gain=gain, baseline=baseline,
        write_dir=str(tmp_path),
    )  # fmt: skip
    record = wfdb.read(tmp_path / "a.hea")
    assert record.fs == 250
    np.testing.assert_allclose(record.signal.T, (values - baseline) / np.array(gain), rtol=1e-6)


@pytest.mark.parametrize(
    ("coding", "bits", "pack"),
    [
        ("8", 7, pack_8),
        ("61", 16, lambda table: table.astype(">i2").tobytes()),
        ("160", 16, lambda table: (table + 32768).astype("<u2").tobytes()),
        ("310", 10, lambda table: pack_310(table.ravel())),
        ("311", 10, lambda table: pack_311(table.ravel())),
    ],
)
@pytest.mark.parametrize("samples", [99, 100, 101])
def test_reads_rare_formats_as_the_reference_package_does(
    coding: str, bits: int, pack: Callable[[np.ndarray], bytes], samples: int, tmp_path: Path
) -> None:
    values = integers(samples, 2, bits)
    (tmp_path / "a.dat").write_bytes(pack(values))
    write_header(tmp_path, values, coding, names=("I", "II"))
    record = wfdb.read(tmp_path / "a.hea")
    np.testing.assert_array_equal(record.signal[:2].T, (values / 1000).astype(np.float32))
    expected = reference.rdrecord(str(tmp_path / "a")).p_signal
    np.testing.assert_allclose(record.signal[:2].T, expected, atol=1e-6)


@pytest.mark.parametrize(("coding", "bits", "pack"), [("310", 10, pack_310), ("311", 10, pack_311)])
def test_a_packed_file_may_end_inside_a_block(
    coding: str, bits: int, pack: Callable[[Sequence[int]], bytes], tmp_path: Path
) -> None:
    values = integers(4, 1, bits)
    content = pack(values.ravel())
    (tmp_path / "a.dat").write_bytes(content[: 4 + 2])  # the fourth sample needs two bytes of its block
    write_header(tmp_path, values, coding, names=("I",))
    np.testing.assert_allclose(wfdb.read(tmp_path / "a.hea").signal[0] * 1000, values[:, 0], atol=1e-4)


def write_flac(folder: Path, values: np.ndarray, coding: str, names: Sequence[str], per_frame: int = 1) -> Path:
    """Write ``a.hea`` and ``a.dat`` in a compressed format with the reference package."""
    reference.wrsamp(
        "a", 100, ["mV"] * len(names), list(names), e_d_signal=list(values.T), fmt=[coding] * len(names),
        adc_gain=[200.0] * len(names), baseline=[7] * len(names), samps_per_frame=[per_frame] * len(names),
        write_dir=str(folder),
    )  # fmt: skip
    return folder / "a.hea"


@pytest.mark.parametrize(("coding", "bits"), [("508", 8), ("516", 16), ("524", 24), ("524", 16)])
@pytest.mark.parametrize("per_frame", [1, 3])
def test_reads_compressed_formats_as_the_reference_package_does(
    coding: str, bits: int, per_frame: int, tmp_path: Path
) -> None:
    values = integers(120, 8, bits)
    values[5, 3] = -(1 << int(coding) - 501)  # not recorded
    names = ("V6", "V5", "V4", "V3", "V2", "V1", "II", "I")
    record = wfdb.read(write_flac(tmp_path, values, coding, names, per_frame))
    expected = reference.rdrecord(str(tmp_path / "a"), smooth_frames=False)
    assert record.fs == 100 * per_frame
    for lead, samples in zip(names, expected.e_p_signal, strict=True):
        np.testing.assert_allclose(record.signal[LEADS.index(lead)], samples, rtol=1e-6)
    assert np.argwhere(np.isnan(record.signal[6:])).tolist() == [[2, 5]]


def test_compressed_files_may_be_several_lie_apart_and_have_no_length(tmp_path: Path) -> None:
    values = integers(50, 6)
    for names, other in ((LEADS[:6], "limb"), (LEADS[6:], "chest")):
        write_flac(tmp_path, values, "516", names)
        (tmp_path / "a.dat").rename(tmp_path / f"{other}.dat")
    lines = [
        f"{'limb' if i < 6 else 'chest'}.dat 516+10 200(7)/mV 16 0 0 {values[10:, i % 6].sum() % 65536} 0 {lead}"
        for i, lead in enumerate(LEADS)
    ]
    (tmp_path / "b.hea").write_text("\n".join(["b 12 100", *lines]))
    expected = (np.tile(values[10:], 2) - 7) / 200
    np.testing.assert_allclose(wfdb.read(tmp_path / "b.hea").signal.T, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "error", "fragment"),
    [
        ("a 2 100 120", "a 2 100 121", FileError, "is cut off (a.hea promises 121 samples of each lead)"),
        ("a 2 100 120", "a 2 100 99999999999", SignalError, "too long"),
        ("a 2 100 120", "a 1 100 120", FormatError, "a.dat is not the FLAC file that a.hea describes"),
        ("a.dat 516", "a.dat 508", FormatError, "a.dat is not the FLAC file that a.hea describes"),
        ("a.dat 516", "a.dat 516+121", FileError, "a.dat is damaged or cut off"),
        (" 0 II\n", " 0 II\n", FileError, "does not match the checksum of lead I in a.hea"),
    ],
)
def test_a_wrong_compressed_record_is_refused(
    old: str, new: str, error: type[EcgLensError], fragment: str, tmp_path: Path
) -> None:
    values = integers(120, 2)
    write_flac(tmp_path, values, "516", ("I", "II"))
    header = write_header(tmp_path, values if old != new else values[::-1] // 2, "516", names=("I", "II"))
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(error, match=re.escape(fragment)):
        wfdb.read(header)


def test_compressed_channels_of_different_rates_are_refused(tmp_path: Path) -> None:
    values = integers(120, 2)
    write_flac(tmp_path, values, "516", ("I", "II"))
    header = write_header(tmp_path, values, "516", names=("I", "RESP"))
    header.write_text(header.read_text().replace("a.dat 516", "a.dat 516x2", 1))
    with pytest.raises(UnreadableError, match="no standard lead"):
        wfdb.read(header)
    header.write_text(header.read_text().replace("RESP", "II"))
    with pytest.raises(FormatError, match="leads of different sampling rates"):
        wfdb.read(header)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_a_damaged_compressed_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "flac"
    if not folder.exists():
        folder.mkdir()
        write_flac(folder, integers(400, 2), "516", ("I", "II"))
        (folder / "a.dat").rename(folder / "whole.dat")
    content = bytearray((folder / "whole.dat").read_bytes())
    for at, value in changes:
        content[at % len(content)] = value
    (folder / "a.dat").write_bytes(content[: end + 1])
    read_or_refuse(lambda: wfdb.read(folder / "a.hea"))


def convert_to_mat(folder: Path, coding: str) -> np.ndarray:
    """Write the record ``am`` as the reference package's wfdb2mat does; return what it should hold, in mV."""
    values = integers(100, 12, 8)
    reference.wrsamp(
        "a", 250, ["mV"] * 12, NAMES, d_signal=values, fmt=[coding] * 12, adc_gain=[200.0] * 12, baseline=[3] * 12,
        write_dir=str(folder),
    )  # fmt: skip
    with contextlib.chdir(folder):  # where the converter writes to
        wfdb_to_mat("a")
    return (values - 3) / 200


@pytest.mark.parametrize("coding", ["16", "212"])
def test_what_wfdb2mat_writes_is_read_with_its_header(coding: str, tmp_path: Path) -> None:
    expected = convert_to_mat(tmp_path, coding)
    for name in ("am", "am.hea", "am.mat"):
        np.testing.assert_allclose(wfdb.read(tmp_path / name).signal.T, expected, rtol=1e-6)
    (tmp_path / "am.hea").unlink()
    with pytest.raises(FileError, match=r"am\.mat has no WFDB header beside it: put am\.hea in the same folder"):
        wfdb.read(tmp_path / "am.mat")


@pytest.mark.parametrize(("coding", "fragment"), [("24", "cut off"), ("32", "cut off"), ("80", "checksum of lead I")])
def test_what_wfdb2mat_writes_wrongly_is_refused(coding: str, fragment: str, tmp_path: Path) -> None:
    convert_to_mat(tmp_path, coding)  # version 4.3.1 stores 16 bits, or adds 128, and its header says otherwise
    with pytest.raises(FileError, match=fragment):
        wfdb.read(tmp_path / "am.hea")


def test_samples_may_begin_behind_a_matlab_4_header(tmp_path: Path) -> None:
    values = integers()
    head = np.array([30, 12, len(values), 0, 4], "<i4").tobytes() + b"val\0"
    (tmp_path / "a.dat").write_bytes(head + values.astype("<i2").tobytes())
    header = write_header(tmp_path, values, "16+24")
    np.testing.assert_allclose(wfdb.read(header).signal.T, values / 1000, rtol=1e-6)


@pytest.mark.parametrize(("coding", "invalid"), [("16", -(1 << 15)), ("24", -(1 << 23)), ("80", -128), ("212", -2048)])
def test_invalid_samples_are_nan(coding: str, invalid: int, tmp_path: Path) -> None:
    values = integers(30, 12, 8)
    values[7, 3] = invalid
    reference.wrsamp(
        "a", 250, ["mV"] * 12, NAMES, d_signal=values, fmt=[coding] * 12, adc_gain=[200.0] * 12, baseline=[0] * 12,
        write_dir=str(tmp_path),
    )  # fmt: skip
    assert np.argwhere(np.isnan(wfdb.read(tmp_path / "a.hea").signal)).tolist() == [[3, 7]]


def test_real_records_equal_the_reference_package(data_dir: Path) -> None:
    headers = sorted((data_dir / "cinc").glob("*.hea"))
    assert len(headers) == 20
    for header in headers:
        record, expected = wfdb.read(header), reference.rdrecord(str(header.with_suffix("")))
        assert record.fs == expected.fs
        np.testing.assert_allclose(record.signal.T, expected.p_signal, atol=1e-6)
        assert any(line.startswith("Sex: ") for line in wfdb.load_header(header).comments)


@pytest.mark.parametrize("name", ["a.hea", "a.dat", "a"])
def test_a_record_is_found_by_header_signal_file_or_name(name: str, tmp_path: Path) -> None:
    write_record(tmp_path)
    assert wfdb.read(tmp_path / name).signal.shape == (12, 101)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("V", 1e3), ("nV", 1e-6)])
def test_units_become_millivolts(unit: str, factor: float, tmp_path: Path) -> None:
    record = wfdb.read(write_record(tmp_path, gain=f"200(24)/{unit}"))
    np.testing.assert_allclose(record.signal.T, (integers() - 24) / 200 * factor, rtol=1e-6)


def test_a_gain_without_unit_is_per_millivolt_as_the_guide_says(tmp_path: Path) -> None:
    np.testing.assert_allclose(wfdb.read(write_record(tmp_path, gain="500")).signal.T, integers() / 500, rtol=1e-6)


def test_without_baseline_the_adc_zero_is_zero_volts(tmp_path: Path) -> None:
    header = write_record(tmp_path)
    header.write_text(header.read_text().replace(" 16 0 ", " 16 7 "))
    np.testing.assert_allclose(wfdb.read(header).signal.T, (integers() - 7) / 1000, atol=1e-6)


def test_length_is_taken_from_the_file_where_the_header_has_none(tmp_path: Path) -> None:
    assert wfdb.read(write_record(tmp_path, first_line="a 12 100")).signal.shape == (12, 101)


def test_skewed_leads_are_put_back_in_step(tmp_path: Path) -> None:
    header = write_record(tmp_path)
    header.write_text(header.read_text().replace("a.dat 16 ", "a.dat 16:3 ", 1))
    record, expected = wfdb.read(header), reference.rdrecord(str(tmp_path / "a")).p_signal
    np.testing.assert_allclose(record.signal[:, :-3].T, expected[:-3], atol=1e-6)
    assert np.isnan(record.signal[0, -3:]).all()


def test_several_signal_files_make_one_record(tmp_path: Path) -> None:
    values = integers()
    names = ["limb.dat"] * 6 + ["chest.dat"] * 6
    reference.Record(
        record_name="a", n_sig=12, fs=100, sig_len=len(values), file_name=names, fmt=["16"] * 6 + ["212"] * 6,
        adc_gain=[500.0] * 12, baseline=[0] * 12, units=["mV"] * 12, sig_name=NAMES, d_signal=values,
        adc_res=[16] * 12, adc_zero=[0] * 12,
        init_value=values[0].tolist(), checksum=(values.sum(0) % 65536).tolist(), block_size=[0] * 12,
        samps_per_frame=[1] * 12, skew=[None] * 12, byte_offset=[None] * 12,
    ).wrsamp(write_dir=str(tmp_path))  # fmt: skip
    np.testing.assert_allclose(wfdb.read(tmp_path / "a").signal.T, values / 500, atol=1e-6)
    with pytest.raises(FileError, match=r"chest\.dat has no WFDB header beside it: put chest\.hea"):
        wfdb.read(tmp_path / "chest.dat")


def test_leads_of_several_samples_a_frame_have_the_higher_rate(tmp_path: Path) -> None:
    frames = integers(50, 12 * 2 + 1)  # two of each lead, one of respiration
    (tmp_path / "a.dat").write_bytes(frames.astype("<i2").tobytes())
    lines = ["a 13 100 50", *(f"a.dat 16x2 1000/mV 16 0 0 {frames[:, 2*i:2*i+2].sum() % 65536} 0 {lead}"
                             for i, lead in enumerate(LEADS)), "a.dat 16 1/NU 16 0 0 0 0 RESP"]  # fmt: skip
    (tmp_path / "a.hea").write_text("\n".join(lines))
    record = wfdb.read(tmp_path / "a.hea")
    assert record.fs == 200
    expected = reference.rdrecord(str(tmp_path / "a"), smooth_frames=False).e_p_signal
    np.testing.assert_allclose(record.signal, np.array(expected[:12]), atol=1e-6)


def test_channels_that_are_no_lead_are_passed_over_beside_all_twelve(tmp_path: Path) -> None:
    values = integers(20, 13)
    (tmp_path / "a.dat").write_bytes(values.astype("<i2").tobytes())
    record = wfdb.read(write_header(tmp_path, values, names=(*LEADS[:4], "RESP", *LEADS[4:])))
    np.testing.assert_allclose(record.signal.T * 1000, np.delete(values, 4, axis=1), atol=1e-4)


def test_missing_chest_leads_are_nan_and_missing_limb_leads_are_computed(tmp_path: Path) -> None:
    values = integers(20, 3)
    (tmp_path / "a.dat").write_bytes(values.astype("<i2").tobytes())
    record = wfdb.read(write_header(tmp_path, values, names=("II", "V1", "I")))
    assert record.missing_leads() == ("V2", "V3", "V4", "V5", "V6")
    np.testing.assert_allclose(record.signal[2] * 1000, values[:, 0] - values[:, 2], atol=1e-3)


def write_segments(folder: Path, lines: Sequence[str]) -> Path:
    (folder / "whole.hea").write_text("\n".join(lines) + "\n")
    for name, leads in (("one", NAMES), ("two", NAMES[::-1])):
        values = integers(60, 12)
        reference.wrsamp(
            name, 100, ["mV"] * 12, list(leads), d_signal=values, fmt=["16"] * 12, adc_gain=[500.0] * 12,
            baseline=[0] * 12, write_dir=str(folder),
        )  # fmt: skip
    return folder / "whole.hea"


def test_segments_are_joined_by_lead_name_with_gaps_nan(tmp_path: Path) -> None:
    record = wfdb.read(write_segments(tmp_path, ["whole/3 12 100 130", "one 60", "~ 10", "two 60"]))
    expected = (integers(60, 12) / 500).T
    np.testing.assert_allclose(record.signal[:, :60], expected, atol=1e-6)
    assert np.isnan(record.signal[:, 60:70]).all()
    np.testing.assert_allclose(record.signal[:, 70:], expected[::-1], atol=1e-6)


def test_variable_layout_is_read_as_the_reference_package_does(tmp_path: Path) -> None:
    header = write_segments(tmp_path, ["whole/4 12 100 130", "layout 0", "one 60", "~ 10", "few 60"])
    values = integers(60, 3)
    reference.wrsamp(
        "few", 100, ["mV", "uV", "mV"], ["V2", "V1", "AVR"], d_signal=values, fmt=["16"] * 3,
        adc_gain=[100.0, 0.1, 300.0], baseline=[5, 6, 7], write_dir=str(tmp_path),
    )  # fmt: skip
    layout = ["layout 12 100 0", *(f"~ 0 500/{'uV' if name == 'V1' else 'mV'} 16 0 0 0 0 {name}" for name in NAMES)]
    (tmp_path / "layout.hea").write_text("\n".join(layout) + "\n")
    record, expected = wfdb.read(header), reference.rdrecord(str(tmp_path / "whole")).p_signal
    expected[70:, 6] *= 1e-3  # the reference gives the numbers of each segment as they are, here uV
    np.testing.assert_allclose(record.signal.T, expected, atol=1e-6)


def test_a_layout_segment_holds_no_samples(tmp_path: Path) -> None:
    header = write_segments(tmp_path, ["whole/2 12 100 60", "layout 0", "one 60"])
    assert wfdb.read(header).signal.shape == (12, 60)


def replace(old: str, new: str, times: int = -1) -> Callable[[Path], None]:
    def damage(header: Path) -> None:
        text = header.read_text()
        assert old in text
        header.write_text(text.replace(old, new, times))

    return damage


def cut_signal(header: Path) -> None:
    signal = header.with_suffix(".dat")
    signal.write_bytes(signal.read_bytes()[:-1])


def flip_a_byte(header: Path) -> None:
    signal = header.with_suffix(".dat")
    content = bytearray(signal.read_bytes())
    content[100] ^= 1
    signal.write_bytes(content)


def remove_signal(header: Path) -> None:
    header.with_suffix(".dat").unlink()


@pytest.mark.parametrize(
    ("damage", "error", "fragment"),
    [
        (replace("a 12 100 101", "a 12"), SignalError, "gives no sampling rate"),
        (replace("a 12 100 101", "a 12 0 101"), SignalError, "sampling rate of 0 Hz"),
        (replace("a 12 100 101", "a 12 1 101"), SignalError, "cannot be an ECG's"),
        (replace("a 12 100 101", "a 13 100 101"), FormatError, "describes 12 of 13 signals"),
        (replace("a 12 100 101", "a 0 100 101"), FormatError, "describes 12 of 0 signals"),
        (replace("a 12 100 101", "twelve leads"), FormatError, "is no WFDB header"),
        (replace("1000/mV", "0/mV"), SignalError, "gives no gain for lead I"),
        (replace("1000/mV 16 0", "1e999/mV 16 0"), SignalError, "gives no gain for lead I"),
        (replace("1000/mV", "1e-300/mV"), SignalError, "infinite"),
        (replace("1000/mV", "1000/mmHg"), SignalError, "'mmHg': it must be in V, mV, uV or nV"),
        (replace(" V6", " MLII"), SignalError, r"no standard lead \('MLII'\)"),
        (replace(" V6", " V5"), SignalError, "gives lead V5 twice"),
        (replace(" V6", ""), SignalError, r"no standard lead \(''\)"),
        (replace("a.dat 16", "a.dat 516"), FileError, "a.dat is damaged or cut off"),
        (replace("a.dat 16", "a.dat 212", 1), FormatError, "several storage formats in a.hea"),
        (replace("a.dat 16", "a.dat 17"), FormatError, "format 17, which is not read"),
        (replace("a.dat 16 ", "a.dat sixteen "), FormatError, "a signal line that is no WFDB"),
        (replace("a.dat 16 1000/mV 16 0", "a.dat 16x0 1000/mV 16 0"), FormatError, "a signal line that is no WFDB"),
        (replace("a.dat", "../a.dat"), FormatError, "points outside its own folder"),
        (replace("a.dat", "/etc/passwd"), FormatError, "points outside its own folder"),
        (replace("a.dat", ".."), FormatError, "points outside its own folder"),
        (replace("a.dat", 130 * "\xff"), FormatError, "which none can have"),
        (replace("a.dat", "b.dat"), FileError, "b.dat is missing: put it beside the header that names it"),
        (replace("a 12 100 101", "a 12 100 102"), FileError, "a.dat is cut off"),
        (replace("a 12 100 101", "a 12 100 999999999999"), SignalError, "too long"),
        (cut_signal, FileError, "a.dat is cut off"),
        (flip_a_byte, FileError, "does not match the checksum of lead"),
        (remove_signal, FileError, "a.dat is missing"),
    ],
)
def test_a_wrong_record_is_refused_in_one_clear_sentence(
    damage: Callable[[Path], None], error: type[EcgLensError], fragment: str, tmp_path: Path
) -> None:
    header = write_record(tmp_path)
    damage(header)
    with pytest.raises(error, match=fragment) as caught:
        wfdb.read(header)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "error", "fragment"),
    [
        (["whole/2 12 100 120", "one 60", "whole 60"], FormatError, "nests records"),
        (["whole/2 12 100 120", "one 60", "../one 60"], FormatError, "points outside its own folder"),
        (["whole/2 12 100 121", "one 60", "two 61"], FormatError, "has not the rate and length"),
        (["whole/2 12 500 120", "one 60", "two 60"], FormatError, "has not the rate and length"),
        (["whole/2 12 100 120", "one 60", "three 60"], FileError, "three.hea is missing"),
        (["whole/2 12 100 120", "one 60"], FormatError, "describes 1 of 2 signals"),
        (["whole/2 12 100 120", "one 60", "one 60"], FormatError, "names a segment twice"),
        (["whole/1 12 100 120", "~ 60"], SignalError, "no recorded segment"),
        (["whole/1 12 100 0", "one 0"], SignalError, "holds no recorded segment"),
        (["whole/1 12 100 9", "~ 999999999999"], SignalError, "whole.hea is too long to read at once"),
    ],
)
def test_wrong_segments_are_refused(
    lines: Sequence[str], error: type[EcgLensError], fragment: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=fragment):
        wfdb.read(write_segments(tmp_path, lines))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"100 2 360 650000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n", True),
        (b"# made by hand\r\na/2 12 500 100\r\none 60\r\n", True),
        (b"a 12 500\nplain words\n", False),
        (b"0.0 1 2 3\n0.1 1 2 3\n0.2 1 2 3\n", False),
        (b"time I\n0 1\n", False),
        (b"", False),
        (b"\x89PNG\r\n\x1a\n\0\0", False),
    ],
)
def test_headers_are_told_from_other_text(content: bytes, expected: bool) -> None:
    assert wfdb.is_header(content) is expected


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_a_random_header_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    header = tmp_path_factory.getbasetemp() / "random.hea"
    header.write_bytes(content)
    read_or_refuse(lambda: wfdb.read(header))


TOKENS = ["a.dat", "16", "8", "212", "1000/mV", "0", "-1", "99999999999", "1e308", "x", "I", "V1", "~", "a/2", "16x3"]


@given(st.integers(0, 90), st.sampled_from(TOKENS), st.integers(0, 2500))
@settings(max_examples=200, deadline=None)
def test_a_header_with_one_word_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, word: str, length: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    header = write_record(folder, integers(20))
    words = header.read_text().replace("\n", " \n ").split(" ")
    words[position % len(words)] = word
    header.write_text(" ".join(words))
    os.truncate(folder / "a.dat", min(length, 480))
    read_or_refuse(lambda: wfdb.read(header))


def test_segments_over_one_large_file_read_only_their_part(tmp_path: Path) -> None:
    with (tmp_path / "a.dat").open("wb") as file:
        file.truncate(200 << 20)
    whole = [f"whole/20 12 500 {20 * 100}"]
    for i in range(20):
        lines = [f"s{i} 12 500 100", *(f"a.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS)]
        (tmp_path / f"s{i}.hea").write_text("\n".join(lines))
        whole.append(f"s{i} 100")
    (tmp_path / "whole.hea").write_text("\n".join(whole))
    [cost] = peak(tmp_path / "whole.hea")
    assert cost.outcome == "read"
    assert cost.megabytes < 200  # of which the program takes 60


def test_segments_share_one_limit_of_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        header = write_record(tmp_path, integers(60))
        header.rename(tmp_path / f"{name}.hea")
    (tmp_path / "whole.hea").write_text("whole/2 12 100 120\none 60\ntwo 60")
    monkeypatch.setattr(source.check_samples, "__defaults__", (12 * 120,))
    assert wfdb.read(tmp_path / "whole.hea").signal.shape == (12, 120)
    more = (tmp_path / "two.hea").read_text().replace(" 12 ", " 13 ", 1) + "\na.dat 16 1000/mV 16 0 0 0 0 RESP"
    (tmp_path / "two.hea").write_text(more)
    with pytest.raises(SignalError, match="too long to read at once"):
        wfdb.read(tmp_path / "whole.hea")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_out_of_the_folder_is_not_followed(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    header = write_record(folder, integers(60))
    (folder / "a.dat").rename(tmp_path / "b.dat")
    (folder / "a.dat").symlink_to(tmp_path / ("b.dat" if there else "c.dat"))
    with pytest.raises(FileError, match=r"a\.dat is a link out of its folder|a\.dat is missing"):
        wfdb.read(header)
    (folder / "a.dat").unlink()
    (tmp_path / "b.dat").rename(folder / "b.dat")
    (folder / "a.dat").symlink_to("b.dat")  # within the folder
    assert wfdb.read(header).signal.shape == (12, 60)


def test_a_file_that_a_comment_names_is_no_signal_file(tmp_path: Path) -> None:
    header = write_record(tmp_path)
    header.write_text(header.read_text() + "\n# drawn in a.png")
    (tmp_path / "a.png").write_bytes(b"a picture")
    assert wfdb.header_of(tmp_path / "a.png") is None
    assert wfdb.header_of(tmp_path / "a.dat") == header
