"""SCP-ECG records (EN 1064, ISO 11073-91064, versions 1 to 3): one resting ECG in numbered sections with checksums.

The standard is not free. The facts here are those on which public readers agree (BioSig, ECG Toolkit, EDFbrowser).
What they decode differently is refused by name: bimodal compression (each has its own way back from the reduced rate),
several Huffman tables, and reference beats of another rate or step than the rhythm.
"""

import struct
from binascii import crc_hqx
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, source
from ecglens.leads import LEADS
from ecglens.record import Record, Signal

Samples = npt.NDArray[np.int64]
Code = tuple[str, int, int]  # its bits as "0" and "1", its value, and how many bits of a value follow instead
Codes = Mapping[str, tuple[int, int, int]]  # by any run of bits as long as the longest code: the code it begins with

_POINTERS, _CODES, _LEADS, _BEATS, _BEAT, _RHYTHM, _LONG_RHYTHM = 0, 2, 3, 4, 5, 6, 12
_HEAD: Final = 16  # bytes of a section before its content
_REFERENCE_BEATS, _SIMULTANEOUS = 1, 4  # flags of the lead section; the bits above count the simultaneous leads
_NO_TABLE, _DEFAULT_TABLE = 0, 19999
_LONGEST_CODE: Final = 16  # bits
_PADDING: Final = 32  # bits that may follow the last code: writers fill up to bytes, words or double words
_LARGEST: Final = 32767  # of a sample


@dataclass(frozen=True, slots=True)
class _Lead:
    """What the lead section says of one lead: its first and last sample (both belong to it) and its number."""

    start: int
    end: int
    code: int

    @property
    def name(self) -> str:
        return channels.CODED_LEADS.get(self.code, f"SCP lead {self.code}")

    @property
    def length(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class _Series:
    """The coded samples of all leads: ``step`` in nV, ``interval`` in us, ``order`` of the differences (0 for none)."""

    step: int
    interval: int
    order: int
    bimodal: int
    coded: list[bytes]


@dataclass(frozen=True, slots=True)
class _Zone:
    """Samples ``start`` to ``end``, from which the reference beat was taken away from its sample ``first`` on."""

    start: int
    end: int
    first: int


def recognise(head: bytes) -> bool:
    """Whether ``head`` begins like an SCP-ECG record: with its mark, or a pointer section that points to itself."""
    if head[16:22] == b"SCPECG":
        return True
    return len(head) >= 32 and head[8:10] == head[22:24] == bytes(2) and head[24:32] == head[10:14] + b"\7\0\0\0"


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open an SCP-ECG record; ``name`` stands for it in errors. Raises FileError where it cannot be loaded.

    Its reading raises FileError where it is damaged, FormatError for a variant that is not read, and SignalError for
    rate, step or leads that are missing or impossible. What lies outside the range of a lead is NaN.
    """
    content = source.load(given)
    return source.Opened(1, lambda _: _read(content, name))


def _read(content: bytes, name: str) -> Record:
    sections = _sections(content, name)
    leads, flags = _leads(sections[_LEADS], name)
    chosen = channels.choose_leads([lead.name for lead in leads], name)
    rhythm = _series(sections[_RHYTHM], len(leads), name)
    if rhythm.bimodal:
        raise FormatError(f"{name} uses SCP-ECG's bimodal compression, which is not read: export it without")
    codes = _codes(sections.get(_CODES, bytes(2)), name)
    samples = {i: _decode(rhythm, i, leads[i].length, codes, name) for i in chosen.values()}
    if flags & _REFERENCE_BEATS:
        beat = _beat(sections, rhythm, len(leads), name)
        zones, length = _zones(sections[_BEATS], beat, name)
        for i in chosen.values():
            _add_beats(samples[i], leads[i], _decode(beat, i, length, codes, name), zones, name)
    rows = _millivolts([(lead, leads[i].start, samples[i]) for lead, i in chosen.items()], rhythm.step, name)
    return Record.from_leads(rows, 1e6 / rhythm.interval)


def _sections(content: bytes, name: str) -> dict[int, bytes]:
    """Return the content of the sections that matter here by their number, their checksums and the record's proven."""
    checksum, size = _unpack("HI", content, 0, name)
    record = content[:size]
    if len(record) < size or crc_hqx(record[2:], 0xFFFF) != checksum:
        raise _damaged(name, "it is cut off or its checksum is wrong")
    (length,) = _unpack("I", record, 10, name)
    places = _places(_section(record, _POINTERS, length, 7, name), name)
    if _RHYTHM not in places and _LONG_RHYTHM in places:
        raise FormatError(f"{name} is a long-term SCP-ECG record, which is not read: export a resting ECG")
    if _RHYTHM not in places or _LEADS not in places:
        raise FileError(f"{name} holds no rhythm (SCP-ECG sections 3 and 6): export the whole ECG")
    wanted = {_CODES, _LEADS, _BEATS, _BEAT, _RHYTHM} & places.keys()
    return {number: _section(record, number, *places[number], name) for number in wanted}


def _places(pointers: bytes, name: str) -> dict[int, tuple[int, int]]:
    """Return (length, position from 1) of each section that is there, by its number."""
    whole = pointers[: len(pointers) // 10 * 10]
    found = [(number, (length, at)) for number, length, at in struct.iter_unpack("<HII", whole) if length]
    if len(dict(found)) != len(found):
        raise _damaged(name, "a section is there twice")
    return dict(found)


def _section(record: bytes, number: int, length: int, position: int, name: str) -> bytes:
    section = record[position - 1 : position - 1 + length] if position else b""
    if length < _HEAD or len(section) < length:
        raise _damaged(name, f"its section {number} is cut off")
    checksum, own_number, own_length = struct.unpack_from("<HHI", section)
    if (own_number, own_length) != (number, length) or crc_hqx(section[2:], 0xFFFF) != checksum:
        raise _damaged(name, f"its section {number} does not match its checksum or its place")
    return section[_HEAD:]


def _leads(content: bytes, name: str) -> tuple[list[_Lead], int]:
    """Return the leads in their order in the file, and the flags."""
    count, flags = _unpack("BB", content, 0, name)
    fields = _unpack("IIB" * count, content, 2, name)
    if not flags & _SIMULTANEOUS and flags >> 3 < count:
        raise FormatError(
            f"{name} does not say that its leads were recorded at the same time: export an ECG of simultaneous leads"
        )
    leads = [_Lead(*fields[i : i + 3]) for i in range(0, len(fields), 3)]
    if not leads or any(lead.length < 1 for lead in leads):
        raise _damaged(name, "it has no leads, or one that ends before it starts")
    return leads, flags


def _series(content: bytes, leads: int, name: str) -> _Series:
    """Parse section 5 or 6."""
    step, interval, order, mode, *sizes = _unpack(f"HHBB{leads}H", content, 0, name)
    if not step or not interval:
        raise SignalError(f"{name} gives {'no gain' if interval else 'no sampling rate'}: export the ECG again")
    if order > 2:
        raise FormatError(f"{name} holds differences of order {order}, which SCP-ECG does not know: export it again")
    ends = list(accumulate(sizes, initial=6 + 2 * leads))
    if ends[-1] > len(content):
        raise _damaged(name, "its samples are cut off")
    return _Series(step, interval, order, mode, [content[start:end] for start, end in pairwise(ends)])


def _codes(content: bytes, name: str) -> Codes | None:
    """Return the Huffman code of the file, None where samples are stored as they are."""
    (tables,) = _unpack("H", content, 0, name)
    if tables == _NO_TABLE:
        return None
    if tables == _DEFAULT_TABLE:
        return _default_codes()
    if tables > 1:
        raise FormatError(f"{name} uses several Huffman tables, which is not read: export it with the default table")
    (count,) = _unpack("H", content, 2, name)
    return _runs([_code(*_unpack("BBBhI", content, 4 + 9 * i, name), name=name) for i in range(count)], name)


@cache
def _default_codes() -> Codes:
    """Return table 19999: as many ones as the value is large, 0 and the sign; ten bits announce 8 or 16 bits."""
    codes = [("0", 0, 0), ("1" * 9 + "0", 0, 8), ("1" * 10, 0, 16)]
    for size in range(1, 9):
        codes += [("1" * size + "00", size, 0), ("1" * size + "01", -size, 0)]
    return _runs(codes, "table 19999")


def _code(bits: int, total: int, mode: int, value: int, code: int, *, name: str) -> Code:
    """Return one entry of a table in the file; its code is stored with its first bit lowest."""
    follow = total - bits
    if not 1 <= bits <= _LONGEST_CODE or not 0 <= follow <= 16 or mode != 1 or (follow and value):
        raise FormatError(f"{name} has a Huffman table of a kind that is not read: export it with the default table")
    return f"{code & (1 << bits) - 1:0{bits}b}"[::-1], value, follow


def _runs(codes: list[Code], name: str) -> Codes:
    """Return (its bits, its value, bits that follow) of the code that each run of bits begins with."""
    longest = max((len(code) for code, _, _ in codes), default=0)
    total = sum(1 << longest - len(code) for code, _, _ in codes)
    if not 0 < total <= 1 << longest:
        raise _damaged(name, "its Huffman table is impossible")
    runs = {
        code + "".join(more): (len(code), value, follow)
        for code, value, follow in codes
        for more in product("01", repeat=longest - len(code))
    }
    if len(runs) < total:
        raise _damaged(name, "its Huffman table has a code that begins another")
    return runs


def _decode(series: _Series, lead: int, count: int, codes: Codes | None, name: str) -> Samples:
    """Return (count,) samples of the lead in its place ``lead``, in steps."""
    coded = series.coded[lead]
    if codes is None:
        if len(coded) != 2 * count:
            raise _damaged(name, f"{len(coded)} bytes hold no {count} samples")
        values = np.frombuffer(coded, "<i2").astype(np.int64)
    else:
        values = _unpack_codes(coded, count, codes, name)
    samples = _integrate(values, series.order)
    if np.abs(samples).max() > _LARGEST:
        raise _damaged(name, "its samples exceed 16 bits")
    return samples


def _unpack_codes(coded: bytes, count: int, codes: Codes, name: str) -> Samples:
    size = 8 * len(coded)
    if count > size:  # no code is shorter than a bit
        raise _damaged(name, f"{len(coded)} bytes hold no {count} samples")
    longest = len(next(iter(codes)))
    bits = f"{int.from_bytes(coded, 'big'):0{size}b}" + "0" * longest
    values = np.empty(count, np.int64)
    at = 0
    for i in range(count):
        if (code := codes.get(bits[at : at + longest])) is None:
            raise _damaged(name, "its Huffman code is broken")
        own, value, follow = code
        end = at + own + follow
        values[i] = _signed(bits[end - follow : end]) if follow else value
        at = end
    if not at <= size < at + _PADDING:
        raise _damaged(name, f"{len(coded)} bytes of Huffman code do not hold {count} samples")
    return values


def _signed(bits: str) -> int:
    """Return a two's complement number, highest bit first; bits that are missing are found by the caller."""
    return int(bits or "0", 2) - (int(bits[:1] or "0") << len(bits))


def _integrate(values: Samples, order: int) -> Samples:
    """Undo differences; the first ``order`` samples are stored as they are."""
    if order == 2:
        slopes = values.copy()
        slopes[1:2] -= values[0]
        slopes[1:] = np.cumsum(slopes[1:])
        values = slopes
    return np.cumsum(values) if order else values


def _beat(sections: Mapping[int, bytes], rhythm: _Series, leads: int, name: str) -> _Series:
    """Return the reference beat of all leads, whose samples are those of the rhythm in rate and step."""
    if _BEATS not in sections or _BEAT not in sections:
        raise FileError(f"{name} lacks its reference beats (SCP-ECG sections 4 and 5): export the whole ECG")
    beat = _series(sections[_BEAT], leads, name)
    if (beat.step, beat.interval) != (rhythm.step, rhythm.interval):
        raise FormatError(f"{name} has reference beats of another rate or gain, which is not read: export it without")
    return beat


def _zones(content: bytes, beat: _Series, name: str) -> tuple[list[_Zone], int]:
    """Parse section 4: where the reference beat was taken away, and how many samples it has."""
    milliseconds, fiducial, count = _unpack("HHH", content, 0, name)
    fields = content[6:][: 14 * count]
    length = 1000 * milliseconds // beat.interval
    if not length or len(fields) < 14 * count:
        raise _damaged(name, "its reference beats are cut off")
    zones = [
        _Zone(start, end, fiducial - 1 - (own_fiducial - start))
        for kind, start, own_fiducial, end in struct.iter_unpack("<HIII", fields)
        if kind == 0  # beats of other kinds were left as they are
    ]
    if any(after.start < before.end for before, after in pairwise(zones)):
        raise _damaged(name, "its reference beats overlap")
    return zones, length


def _add_beats(samples: Samples, lead: _Lead, beat: Samples, zones: list[_Zone], name: str) -> None:
    for zone in zones:
        at, length = zone.start - lead.start, zone.end - zone.start + 1
        if at < 0 or length < 1 or at + length > len(samples) or zone.first < 0 or zone.first + length > len(beat):
            raise _damaged(name, "a reference beat lies outside the ECG")
        samples[at : at + length] += beat[zone.first : zone.first + length]


def _millivolts(leads: list[tuple[str, int, Samples]], step: int, name: str) -> dict[str, Signal]:
    """Put leads (name, number of the first sample, samples) on one axis of time, NaN where one has no samples."""
    first = min(start for _, start, _ in leads)
    total = max(start + len(samples) for _, start, samples in leads) - first
    source.check_samples(total * len(LEADS), name)
    rows = {lead: np.full(total, np.nan, np.float32) for lead, _, _ in leads}
    for lead, start, samples in leads:
        rows[lead][start - first :][: len(samples)] = samples * (step * 1e-6)
    return rows


def _unpack(layout: str, content: bytes, at: int, name: str) -> tuple[int, ...]:
    if at + struct.calcsize(f"<{layout}") > len(content):
        raise _damaged(name, "it is cut off")
    return struct.unpack_from(f"<{layout}", content, at)


def _damaged(name: str, how: str) -> FileError:
    return FileError(f"{name} is a damaged SCP-ECG record ({how}): copy it again")
