"""SCP-ECG: what the encoder below writes is read back equal; what it leaves open, or readers differ on, is refused.

The encoder is written from the format alone: its Huffman code and its differences share no code with the reader.
"""

import struct
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import EcgLensError, FileError, FormatError, SignalError, UnreadableError
from ecglens.io import scp
from ecglens.leads import LEADS
from ecglens.record import Record
from ecglens.simulator import simulate
from hostile import read_or_refuse

NUMBERS = {
    "I": 1,
    "II": 2,
    "V1": 3,
    "V2": 4,
    "V3": 5,
    "V4": 6,
    "V5": 7,
    "V6": 8,
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
}
ALL_AT_ONCE = 4
BEATS_TAKEN = 1
OWN_TABLE = {
    "0": (0, 0),
    "10": (1, 0),
    "110": (-1, 0),
    "1110": (0, 6),
    "1111": (0, 16),
}  # code: value or bits that follow


def checksum(data: bytes) -> int:
    """CRC-CCITT: polynomial x^16 + x^12 + x^5 + 1, all ones at the start."""
    return crc_hqx(data, 0xFFFF)


def section(number: int, content: bytes) -> bytes:
    content += bytes(len(content) % 2)
    rest = struct.pack("<HIBB", number, 16 + len(content), 20, 20) + (b"SCPECG" if number == 0 else bytes(6)) + content
    return struct.pack("<H", checksum(rest)) + rest


def assemble(contents: Mapping[int, bytes]) -> bytes:
    """Make a record of the contents of its sections."""
    sections = {number: section(number, content) for number, content in sorted(contents.items())}
    length = 16 + 10 * 12
    pointers, position = struct.pack("<HII", 0, length, 7), 7 + length
    for number in range(1, 12):
        size = len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, size, position if size else 0)
        position += size
    rest = section(0, pointers) + b"".join(sections.values())
    rest = struct.pack("<I", 6 + len(rest)) + rest
    return struct.pack("<H", checksum(rest)) + rest


def repaired(content: bytes) -> bytes:
    """Give a record whose sections were changed in place the checksums that belong to it."""
    record = bytearray(content)
    for i in range(12):
        length, position = struct.unpack_from("<II", record, 24 + 10 * i)
        if length > 2 and position > 0 and position - 1 + length <= len(record):
            struct.pack_into("<H", record, position - 1, checksum(record[position + 1 : position - 1 + length]))
    struct.pack_into("<H", record, 0, checksum(record[2:]))
    return bytes(record)


def code_of(value: int, table: Mapping[str, tuple[int, int]] | None) -> str:
    """Code one value with a table, or with the default one: ones as many as it is large, a zero, its sign."""
    if table is None and abs(value) <= 8:
        return "1" * abs(value) + "0" + ("" if value == 0 else "01"[value < 0])
    ways = {"1111111110": (0, 8), "1111111111": (0, 16)} if table is None else table
    for code, (fixed, bits) in ways.items():
        if not bits and fixed == value:
            return code
        if bits and -(1 << bits - 1) <= value < 1 << bits - 1:
            return code + f"{value % (1 << bits):0{bits}b}"
    raise AssertionError(f"{value} has no code")


def differences(row: np.ndarray, order: int) -> list[int]:
    """First or second differences, the samples before them as they are."""
    return [*row[:order].tolist(), *np.diff(row.astype(int), order).tolist()]


def coded(row: np.ndarray, order: int, coding: str) -> bytes:
    values = differences(row, order)
    if coding == "none":
        return struct.pack(f"<{len(values)}h", *values)
    bits = "".join(code_of(value, OWN_TABLE if coding == "own" else None) for value in values)
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def table_section(coding: str) -> dict[int, bytes]:
    if coding == "none":
        return {}
    if coding == "default":
        return {2: struct.pack("<H", 19999)}
    entries = [
        struct.pack("<BBBhI", len(code), len(code) + bits, 1, value, int(code[::-1], 2))
        for code, (value, bits) in OWN_TABLE.items()
    ]
    return {2: struct.pack("<HH", 1, len(entries)) + b"".join(entries)}


def series(rows: np.ndarray, order: int, coding: str, step: int, interval: int, bimodal: int = 0) -> bytes:
    parts = [coded(row, order, coding) for row in rows]
    return struct.pack(f"<HHBB{len(parts)}H", step, interval, order, bimodal, *map(len, parts)) + b"".join(parts)


def lead_section(names: tuple[str, ...], ranges: list[tuple[int, int]], flags: int) -> bytes:
    entries = [struct.pack("<IIB", *ends, NUMBERS[name]) for name, ends in zip(names, ranges, strict=True)]
    return bytes([len(names), flags]) + b"".join(entries)


def contents(
    rows: np.ndarray, names: tuple[str, ...] = LEADS, order: int = 2, coding: str = "default", interval: int = 2000
) -> dict[int, bytes]:
    """The sections of an ECG of (leads, samples) steps of 2500 nV."""
    return {
        **table_section(coding),
        3: lead_section(names, [(1, rows.shape[1])] * len(rows), ALL_AT_ONCE | len(rows) << 3),
        6: series(rows, order, coding, 2500, interval),
    }


def steps(samples: int = 60, leads: int = 12, seed: int = 1) -> np.ndarray:
    """Random samples, most of them near the one before."""
    rng = np.random.default_rng(seed)
    jumps = np.where(rng.random((leads, samples)) < 0.1, rng.integers(-900, 900, (leads, samples)), 0)
    return np.cumsum(rng.integers(-3, 4, (leads, samples)), axis=1) + jumps


def read(content: bytes) -> Record:
    opened = scp.open_file(content, "a.scp")
    assert opened.count == 1
    record = opened.read(1)
    assert isinstance(record, Record)
    return record


def refused(content: bytes, error: type[EcgLensError], fragment: str) -> None:
    with pytest.raises(error, match=fragment):
        read(content)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("coding", ["none", "default", "own"])
@pytest.mark.parametrize("samples", [1, 2, 3, 60])
def test_reads_what_was_written(order: int, coding: str, samples: int) -> None:
    rows = steps(samples)
    record = read(assemble(contents(rows, order=order, coding=coding)))
    assert record.fs == 500
    np.testing.assert_array_equal(record.signal, (rows * 2500e-6).astype(np.float32))


def test_reads_a_simulated_ecg_to_half_a_step(tmp_path: Path) -> None:
    truth = simulate({"RBBB"}, rng=np.random.default_rng(1), fs=500)
    path = tmp_path / "a.scp"
    path.write_bytes(assemble(contents(np.rint(truth.signal / 2500e-6).astype(int))))
    record = scp.open_file(path, "a.scp").read(1)
    assert isinstance(record, Record)
    np.testing.assert_allclose(record.signal, truth.signal, atol=0.5 * 2500e-6 + 1e-6)


def test_known_bits_of_the_default_table() -> None:
    values = [0, 1, -1, 2, -8, 9, -300]
    bits = "0 100 101 1100 1111111101 1111111110" + f" {9:08b} " + "1111111111" + f" {2**16 - 300:016b}"
    bits = bits.replace(" ", "").ljust(80, "0")
    part = int(bits, 2).to_bytes(10, "big")
    sections = contents(np.array([values]), ("I",), 0)
    sections[6] = struct.pack("<HHBBH", 1000, 4000, 0, 0, len(part)) + part
    record = read(assemble(sections))
    assert record.fs == 250
    np.testing.assert_allclose(record.signal[0], np.array(values) / 1000, rtol=1e-6)


def test_the_checksum_is_that_of_the_standard() -> None:
    assert checksum(b"123456789") == 0x29B1  # the check value of CRC-16/CCITT-FALSE


def test_limb_leads_that_were_not_recorded_follow_from_two() -> None:
    names = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    rows = steps(leads=8)
    record = read(assemble(contents(rows, names)))
    np.testing.assert_allclose(record.signal[2], (rows[1] - rows[0]) * 2500e-6, atol=1e-5)
    np.testing.assert_array_equal(record.signal[6:], (rows[2:] * 2500e-6).astype(np.float32))


def test_other_leads_are_passed_over_where_all_twelve_are_there() -> None:
    rows = steps(leads=13)
    sections = contents(rows[:12])
    entry = struct.pack("<IIB", 1, 60, 66)  # V8
    sections[3] = bytes([13, ALL_AT_ONCE]) + entry + sections[3][2:]
    sections[6] = series(np.roll(rows, 1, axis=0), 2, "default", 2500, 2000)
    np.testing.assert_array_equal(read(assemble(sections)).signal, (rows[:12] * 2500e-6).astype(np.float32))


def test_a_lead_is_where_its_range_says_and_nan_elsewhere() -> None:
    rows = steps(20, 2)
    sections = contents(rows, ("V1", "V2"))
    sections[3] = lead_section(("V1", "V2"), [(11, 30), (1, 20)], ALL_AT_ONCE)
    signal = read(assemble(sections)).signal
    assert signal.shape == (12, 30)
    np.testing.assert_array_equal(
        signal[6], np.concatenate([np.full(10, np.nan), rows[0] * 2500e-6]).astype(np.float32)
    )
    np.testing.assert_array_equal(
        signal[7], np.concatenate([rows[1] * 2500e-6, np.full(10, np.nan)]).astype(np.float32)
    )


def with_reference_beats(rows: np.ndarray, beat: np.ndarray, coding: str = "default") -> dict[int, bytes]:
    """Take a beat of 40 samples, its fiducial point the 15th, from around samples 30 and 100, but not 160 (type 1)."""
    rest = rows.copy()
    zones = [(0, 21, 30, 50), (0, 86, 100, 125), (1, 150, 160, 180)]
    for kind, start, fiducial, end in zones:
        for sample in range(start, end + 1):
            if kind == 0:
                rest[:, sample - 1] -= beat[:, 15 + sample - fiducial - 1]
    sections = contents(rest, coding=coding)
    sections[3] = lead_section(LEADS, [(1, rows.shape[1])] * 12, BEATS_TAKEN | ALL_AT_ONCE)
    sections[4] = struct.pack("<HHH", 80, 15, 3) + b"".join(struct.pack("<HIII", *zone) for zone in zones)
    sections[4] += b"".join(
        struct.pack("<II", start + 5, end - 5) for _, start, _, end in zones
    )  # protected: not needed
    sections[5] = series(beat, 1, coding, 2500, 2000)
    return sections


@pytest.mark.parametrize("coding", ["none", "default", "own"])
def test_reference_beats_are_added_back(coding: str) -> None:
    rows, beat = steps(200), steps(40, seed=2)
    sections = with_reference_beats(rows, beat, coding)
    np.testing.assert_array_equal(read(assemble(sections)).signal, (rows * 2500e-6).astype(np.float32))
    sections[3] = lead_section(LEADS, [(1, 200)] * 12, ALL_AT_ONCE)
    residual = read(assemble(sections)).signal
    assert (residual != (rows * 2500e-6).astype(np.float32)).any()  # without the flag they stay out


def changed(**sections: bytes | Callable[[bytes], bytes] | None) -> Callable[[], bytes]:
    """Change sections (``s6=...``) of a sound record with reference beats; None leaves one out."""

    def make() -> bytes:
        found = with_reference_beats(steps(200), steps(40, seed=2))
        for key, change in sections.items():
            number = int(key[1:])
            if change is None:
                del found[number]
            else:
                found[number] = change(found[number]) if callable(change) else change
        return assemble(found)

    return make


def put(layout: str, at: int, *values: int) -> Callable[[bytes], bytes]:
    packed = struct.pack(f"<{layout}", *values)
    return lambda content: content[:at] + packed + content[at + len(packed) :]


FIRST_SIZE = 6  # where section 6 gives the bytes of its first lead


@pytest.mark.parametrize(
    ("make", "error", "fragment"),
    [
        (changed(s6=put("B", 5, 1)), FormatError, "bimodal compression, which is not read"),
        (changed(s6=put("B", 4, 3)), FormatError, "differences of order 3"),
        (changed(s6=put("H", 0, 0)), SignalError, "no gain"),
        (changed(s6=put("H", 2, 0)), SignalError, "no sampling rate"),
        (changed(s6=put("H", FIRST_SIZE, 65535)), FileError, "samples are cut off"),
        (changed(s6=put("H", FIRST_SIZE, 2)), FileError, "Huffman code is broken|do not hold|hold no"),
        (changed(s6=None), FileError, "holds no rhythm"),
        (changed(s3=None), FileError, "holds no rhythm"),
        (changed(s6=b""), FileError, "is cut off"),
        (changed(s3=put("B", 1, BEATS_TAKEN)), FormatError, "recorded at the same time"),
        (changed(s3=put("B", 0, 0)), FileError, "no leads"),
        (changed(s3=put("B", 0, 255)), FileError, "is cut off"),
        (changed(s3=put("I", 2, 999)), FileError, "ends before it starts"),
        (changed(s3=put("II", 2, 1, 2**32 - 1)), FileError, "hold no 4294967295 samples"),
        (changed(s3=put("II", 2, 2**31, 2**31 + 199)), FileError, "a reference beat lies outside"),
        (changed(s3=put("B", 10, 9)), SignalError, r"no standard lead \('SCP lead 9'\)"),
        (changed(s3=put("B", 10, 2)), SignalError, "lead II twice"),
        (changed(s4=None), FileError, "lacks its reference beats"),
        (changed(s5=None), FileError, "lacks its reference beats"),
        (changed(s5=put("H", 0, 5000)), FormatError, "another rate or gain"),
        (changed(s5=put("H", 2, 1000)), FormatError, "another rate or gain"),
        (changed(s4=put("H", 0, 0)), FileError, "reference beats are cut off"),
        (changed(s4=put("H", 4, 65535)), FileError, "reference beats are cut off"),
        (changed(s4=put("I", 8 + 14, 49)), FileError, "reference beats overlap"),
        (changed(s4=put("I", 8, 300)), FileError, "a reference beat lies outside"),
        (changed(s4=put("I", 12, 50)), FileError, "a reference beat lies outside"),
        (changed(s2=put("H", 0, 2)), FormatError, "several Huffman tables"),
        (changed(s2=struct.pack("<HHBBBhI", 1, 1, 0, 16, 1, 0, 0)), FormatError, "Huffman table of a kind"),
        (changed(s2=struct.pack("<HHBBBhI", 1, 1, 1, 1, 0, 2, 0)), FormatError, "Huffman table of a kind"),
        (changed(s2=struct.pack("<HHBBBhI", 1, 1, 1, 9, 1, 3, 0)), FormatError, "Huffman table of a kind"),
        (changed(s2=struct.pack("<HH" + "BBBhI" * 2, 1, 2, *(1, 1, 1, 0, 0) * 2)), FileError, "begins another"),
        (changed(s2=struct.pack("<HH" + "BBBhI" * 2, 1, 2, 1, 1, 1, 0, 0, 2, 2, 1, 0, 0)), FileError, "begins another"),
        (changed(s2=struct.pack("<HHBBBhI", 1, 1, 1, 1, 1, 0, 0)), FileError, "Huffman code is broken"),
        (changed(s2=struct.pack("<HHBBBhI", 1, 1, 17, 17, 1, 0, 0)), FormatError, "Huffman table of a kind"),
        (changed(s2=struct.pack("<HH" + "BBBhI" * 3, 1, 3, *(1, 1, 1, 0, 0) * 3)), FileError, "table is impossible"),
        (changed(s2=struct.pack("<HH", 1, 0)), FileError, "table is impossible"),
        (changed(s2=struct.pack("<HH", 1, 9)), FileError, "is cut off"),
        (changed(s2=None), FileError, "bytes hold no 200 samples"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_open_is_refused(make: Callable[[], bytes], error: type[EcgLensError], fragment: str) -> None:
    refused(make(), error, fragment)


def test_an_impossible_rate_is_refused() -> None:
    refused(assemble(contents(steps(), interval=65535)), SignalError, "15.259 Hz cannot be an ECG's")


def test_leads_far_apart_are_refused_before_they_take_memory() -> None:
    sections = contents(steps(20, 2), ("V1", "V2"))
    sections[3] = lead_section(("V1", "V2"), [(1, 20), (2**32 - 20, 2**32 - 1)], ALL_AT_ONCE)
    refused(assemble(sections), SignalError, "too long to read at once")


def test_samples_beyond_16_bits_are_refused() -> None:
    sections = contents(steps(100))
    rising = np.full(100, 30000)
    part = coded(rising, 0, "none")
    sections.pop(2)
    sections[6] = struct.pack("<HHBB12H", 2500, 2000, 2, 0, *[len(part)] * 12) + part * 12
    refused(assemble(sections), FileError, "exceed 16 bits")


def test_a_long_term_record_is_refused_by_name() -> None:
    record = bytearray(assemble({3: contents(steps())[3]}))
    struct.pack_into("<HII", record, 22 + 110, 12, 999, 7)
    refused(repaired(bytes(record)), FormatError, "long-term SCP-ECG record")


def test_a_section_that_is_there_twice_is_refused() -> None:
    record = bytearray(assemble(contents(steps())))
    record[22 + 70 : 22 + 80] = record[22 + 60 : 22 + 70]
    refused(repaired(bytes(record)), FileError, "a section is there twice")


def test_every_changed_byte_is_noticed() -> None:
    sound = assemble(contents(steps(20)))
    for at in range(len(sound)):
        refused(sound[:at] + bytes([sound[at] ^ 4]) + sound[at + 1 :], FileError, "damaged")


def test_a_section_that_fails_its_own_checksum_is_refused() -> None:
    record = bytearray(assemble(contents(steps(20))))
    record[-1] ^= 1
    struct.pack_into("<H", record, 0, checksum(record[2:]))
    refused(bytes(record), FileError, "section 6 does not match")


def test_every_truncation_is_refused() -> None:
    sound = assemble(contents(steps(20)))
    for length in range(len(sound)):
        refused(sound[:length], FileError, "damaged")


def test_bytes_after_the_record_do_not_matter() -> None:
    sound = assemble(contents(steps()))
    np.testing.assert_array_equal(read(sound + b"tail").signal, read(sound).signal)


def test_records_are_known_by_their_mark_or_their_pointers() -> None:
    sound = assemble(contents(steps()))
    unmarked = sound[:16] + bytes(6) + sound[22:]
    assert scp.recognise(sound[:4096])
    assert scp.recognise(unmarked[:4096])
    assert not scp.recognise(b"")
    assert not scp.recognise(bytes(4096))
    assert not scp.recognise(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_messages_name_the_file_and_no_patient() -> None:
    sections = contents(steps())
    sections[1] = b"\0\5\0Smith" + b"\xff\0\0"
    record = assemble(sections)
    with pytest.raises(FileError) as caught:
        read(record[:-1])
    assert str(caught.value).startswith("a.scp ")
    assert "Smith" not in str(caught.value)


SOUND = assemble(with_reference_beats(steps(200), steps(40, seed=2), "own"))


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_record_changed_before_its_checksums_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    record = bytearray(SOUND)
    for at, byte in changes:
        record[at] = byte
    read_or_refuse(lambda: read(repaired(bytes(record))))


@given(st.binary(max_size=300), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_a_sound_head_are_refused(tail: bytes, length: int) -> None:
    with pytest.raises(UnreadableError):
        read(SOUND[:length] + tail)
