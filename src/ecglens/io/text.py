"""Tables of samples as text: CSV, TSV and their kin. A header line names the leads, every line after it is one sample.

Columns are parted by commas, semicolons, tabs or blanks; where not by commas, numbers may have a decimal comma. Names
may carry a unit, as in ``I [mV]``, ``I (uV)`` or ``I_mV``. A column of times (``time``, ``t``, ``time [s]``,
``time_ms``, ...) gives the rate. Without a unit it is in seconds; milliseconds are never taken for those, since their
rate would be no ECG's. Empty cells and ``nan`` were not recorded. Lines that begin with ``#`` are passed over, except
that the last of them before the samples may be the header, as NumPy writes it.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, source
from ecglens.leads import LEADS, canonical
from ecglens.record import Record, Signal

_BOM: Final = b"\xef\xbb\xbf"
_CONTROLS: Final = bytes({*range(32), 127} - {*b"\t\n\f\r"})
_SEPARATORS: Final = (b";", b"\t", b",", None)  # None for any blanks
_LONGEST_NAME: Final = 80
_LONGEST_LINE: Final = 1 << 17  # bytes
_LINES: Final = 50_000  # parsed at once
_MOST_LINES: Final = 600_000  # 20 minutes at 500 Hz, which take some seconds
_MOST_CELLS: Final = 10_000_000  # in so many lines, 16 columns
_SECONDS: Final = {"": 1.0, "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
_TIMES: Final = frozenset({"time", "t", *_SECONDS} - {""})
_JITTER: Final = 0.3  # of a step, that a time may lie beside its place; 360 Hz rounded to 1 ms has 0.18
_NAME = re.compile(r"(?P<name>.*?)(?:\s*[\[(](?P<bracketed>[^\])]*)[\])]|_(?P<joined>[mnuµμ]?V|[muµμ]?s))?")
_CELL = re.compile(rb'"?\s*(?:[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?|[-+]?nan|)\s*"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class _Header:
    """The names of the columns, what parts these, and how many lines the header and those before it are."""

    columns: tuple[_Column, ...]
    separator: bytes | None
    lines: int

    def split(self, line: bytes) -> list[bytes]:
        return [cell.strip() for cell in line.split(self.separator)]


def recognise(head: bytes) -> bool:
    """Whether ``head`` begins a table: a line that names two leads or more, then one with a number for each name."""
    if head.translate(None, _CONTROLS) != head:
        return False
    stream = BytesIO(head.removeprefix(_BOM))
    header = _find_header(stream)
    if header is None:
        return False
    first = next((line for line in stream if _is_row(line)), b"")
    if len(head) < source.HEAD or first.endswith(b"\n"):
        return _is_sample(header.split(first), header)
    cells = header.split(first)[:-1]  # the line goes on beyond the head
    return bool(cells) and _is_sample(cells + [b"0"] * (len(header.columns) - len(cells)), header)


def open_file(given: Path | bytes, name: str, said: source.Given) -> source.Opened:
    """Open a table of samples, which is one ECG; ``said`` gives rate and unit where the table does not.

    Raises FormatError where there is no header with leads; the reading FileError for a malformed line, and SignalError
    where rate or unit are not known, or not what was said, or the times are not regular.
    """
    content = source.load(given).removeprefix(_BOM)
    top = BytesIO(content[: source.HEAD])
    header = _find_header(top)
    if header is None:
        raise FormatError(
            f"{name} is a text file without a header line: name the lead of each column in the first line"
        )
    start = top.tell()

    def read(_: int) -> Record:
        stream = BytesIO(content)
        stream.seek(start)
        return _read(stream, header, name, said)

    return source.Opened(1, read)


def write(record: Record, path: Path) -> None:
    """Write an ECG as a table that ``open_file`` reads: seconds, and each lead in mV to 0.1 uV, "nan" where missing.

    Limb leads that are missing altogether are computed when it is read, if others give them.
    """
    times = np.arange(record.signal.shape[1]) / record.fs
    names = ",".join(["time [s]", *(f"{lead} [mV]" for lead in LEADS)])
    table = np.column_stack([times, record.signal.T])
    np.savetxt(path, table, fmt=["%.9g", *["%.4f"] * len(LEADS)], delimiter=",", header=names, comments="")


def _find_header(stream: BytesIO) -> _Header | None:
    """Read on to the samples; give the line before them that names two leads or more."""
    remark, number = b"", 0
    while line := stream.readline():
        number += 1
        if not _is_row(line):
            remark = line if line.strip() else remark
            continue
        if header := _parse_header(line, number):
            return header
        stream.seek(-len(line), 1)
        return _parse_header(remark.lstrip().removeprefix(b"#"), number - 1)
    return None


def _is_row(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")


def _parse_header(line: bytes, number: int) -> _Header | None:
    text = " ".join(source.decode(line).splitlines()).strip()  # the csv module stumbles over a lone carriage return
    found = [_Header(_columns(text, separator), separator, number) for separator in _SEPARATORS]
    best = max(found, key=_count_leads)
    return best if _count_leads(best) > 1 else None


def _columns(text: str, separator: bytes | None) -> tuple[_Column, ...]:
    cells = next(csv.reader([text], delimiter=separator.decode()), []) if separator else text.split()
    return tuple(_parse_name(cell.strip().strip('"')) for cell in cells)


def _parse_name(cell: str) -> _Column:
    field = _NAME.fullmatch(cell) if len(cell) <= _LONGEST_NAME else None
    if field is None:
        return _Column(cell, "")
    return _Column(field["name"].strip(), (field["bracketed"] or field["joined"] or "").strip())


def _count_leads(header: _Header) -> int:
    return sum(canonical(column.name) is not None for column in header.columns)


def _is_sample(cells: Sequence[bytes], header: _Header) -> bool:
    """Whether a line has as many cells as the header, and numbers, one at least, where that names leads."""
    leads = [i for i, column in enumerate(header.columns) if canonical(column.name) is not None]
    return len(cells) == len(header.columns) and all(_CELL.fullmatch(cells[i]) for i in leads) and any(cells)


def _read(stream: BytesIO, header: _Header, name: str, said: source.Given) -> Record:
    times = [i for i, column in enumerate(header.columns) if column.name.lower() in _TIMES]
    if len(times) > 1:
        raise SignalError(f"{name} has {len(times)} columns of times: keep one of them")
    names = [column.name for column in header.columns]
    places = channels.choose_leads(names, name, skip=[names[i] for i in times])
    scales = [_scale(header.columns[i], lead, name, said) for lead, i in places.items()]
    signal, time = _parse(stream, header, [*places.values(), *times], len(places), name)
    found = _rate(time[0] * _step(header.columns[times[0]], name), name) if times else None
    fs = said.settle_rate(found, name)
    signal *= np.array(scales, np.float32)[:, None]
    return Record.from_leads(dict(zip(places, signal, strict=True)), fs)


def _scale(column: _Column, lead: str, name: str, said: source.Given) -> float:
    return channels.millivolts(said.settle_unit(column.unit, name), lead, name)


def _step(column: _Column, name: str) -> float:
    """Seconds in the unit of a column of times."""
    unit = column.unit or (column.name.lower() if column.name.lower() in _SECONDS else "")
    if unit not in _SECONDS:
        raise SignalError(f"{name} has times in {unit[:40]!r}: give them in s or ms")
    return _SECONDS[unit]


def _rate(time: npt.NDArray[np.float64], name: str) -> float:
    """The rate in Hz of regular times, a whole number where their rounding allows of one and no other."""
    span = float(time[-1] - time[0])
    if len(time) < 2 or not span > 0:
        raise SignalError(f"{name} has times that do not increase: check the column of times, or leave it out")
    step = span / (len(time) - 1)
    aside = float(np.abs(time - time[0] - step * np.arange(len(time))).max())
    if not aside < _JITTER * step:
        raise SignalError(f"{name} has times that are not regular: resample it to one rate, without gaps")
    rate, doubt = 1 / step, max(2 * aside / span, 1e-6)
    return float(round(rate)) if abs(rate - round(rate)) <= doubt * rate < 0.5 else rate


def _parse(
    stream: BytesIO, header: _Header, places: list[int], leads: int, name: str
) -> tuple[Signal, npt.NDArray[np.float64]]:
    """Read all samples: those of the first ``leads`` of ``places`` as float32, the times as float64, a row each."""
    signal: list[Signal] = []
    time: list[npt.NDArray[np.float64]] = []
    number, width = header.lines, len(header.columns)
    while lines := list(islice(stream, max(1, min(_LINES, _MOST_CELLS // width)))):
        source.check_samples(number + len(lines), name, _MOST_LINES)
        source.check_samples((number + len(lines)) * width, name, _MOST_CELLS)
        values = _parse_lines(lines, header, places, name, number)
        number += len(lines)
        with np.errstate(over="ignore"):  # infinity, which Record refuses
            signal.append(values[:, :leads].T.astype(np.float32))
        time.append(values[:, leads:].T)
    if not sum(block.shape[1] for block in signal):
        raise SignalError(f"{name} has no samples below its header: copy it again")
    return np.concatenate(signal, axis=1), np.concatenate(time, axis=1)


def _parse_lines(
    lines: list[bytes], header: _Header, places: list[int], name: str, before: int
) -> npt.NDArray[np.float64]:
    """Numbers (rows, places) of some lines, of which ``before`` stand above them in the file."""
    rows = [line for line in lines if _is_row(line)]
    if not rows:
        return np.empty((0, len(places)))
    if not all(_has_all(row, header) for row in rows):
        raise _complaint(lines, header, places, name, before)
    if header.separator != b",":
        rows = _with_points(rows, name)
    try:
        return _numbers(rows, header, places)
    except ValueError:  # an empty cell, or no number
        pass
    try:
        return _numbers([_filled(row, header) for row in rows], header, places)
    except ValueError as error:
        raise _complaint(lines, header, places, name, before) from error


def _numbers(rows: list[bytes], header: _Header, places: list[int]) -> npt.NDArray[np.float64]:
    delimiter = header.separator.decode() if header.separator else None
    return np.loadtxt(rows, delimiter=delimiter, comments=None, quotechar='"', usecols=places, ndmin=2)


def _has_all(row: bytes, header: _Header) -> bool:
    return len(row) <= _LONGEST_LINE and len(row.split(header.separator)) == len(header.columns)


def _with_points(rows: list[bytes], name: str) -> list[bytes]:
    whole = b"".join(rows)
    if b"," in whole and b"." in whole:
        raise FormatError(f"{name} has decimal commas and decimal points: write all numbers in one way")
    return [row.replace(b",", b".") for row in rows] if b"," in whole else rows


def _filled(row: bytes, header: _Header) -> bytes:
    return (header.separator or b" ").join(cell.strip(b'"') or b"nan" for cell in header.split(row))


def _complaint(lines: list[bytes], header: _Header, places: list[int], name: str, before: int) -> FileError:
    """Find the first of some lines that cannot be read."""
    for number, line in enumerate(lines, before + 1):
        if not _is_row(line):
            continue
        if len(line) > _LONGEST_LINE:
            return FileError(f"{name} has {len(line)} bytes in line {number}: break it into lines of one sample each")
        cells = header.split(line)
        if len(cells) != len(header.columns):
            found = f"{len(cells)} cells for {len(header.columns)} columns"
            return FileError(f"{name} has {found} in line {number}: correct that line")
        for i in places:
            if not _CELL.fullmatch(cells[i]):
                found = f"no number under {header.columns[i].name[:40]!r}"
                return FileError(f"{name} has {found} in line {number}: correct that line")
    return FileError(f"{name} has something that is no number from line {before + 1} on: correct it")
