"""EDF, EDF+, BDF and BDF+ recordings: a header of fields as text, then records of all channels in turn.

Facts are from the specifications of EDF (Kemp et al. 1992) and EDF+ (Kemp and Olivan 2003), https://www.edfplus.info,
and of BDF (BioSemi), which is EDF with 24 bits a sample. The package edfio reads them too, but mends what does not fit
together, with a warning, and holds a whole BDF file several times in memory.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, source
from ecglens.leads import LEADS
from ecglens.record import Record, Signal

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_HEAD: Final = 256  # bytes of the header, and again of each channel's
_NOT_CLOSED: Final = -1  # as the number of records: unknown when the header was written
_GAPS: Final = (b"EDF+D", b"BDF+D")
_ANNOTATIONS: Final = ("EDF Annotations", "BDF Annotations")
_NO_LEADS: Final = (*_ANNOTATIONS, "Status")  # channels that the formats themselves keep for other things

_MOST_RECORDS: Final = 1_000_000  # the times of which are read one by one
_LARGEST: Final = 1e9  # mV at an end of a range; amplifiers end at some 1e3

_INTEGER: Final = re.compile(r"[-+]?\d{1,9}")
_NUMBER: Final = re.compile(source.NUMBER)
_ONSET: Final = re.compile(rb"([-+]\d{1,12}(?:\.\d{1,12})?)(?:\x15[\d.]+)?\x14")  # of the list that opens a record


@dataclass(frozen=True, slots=True)
class _Channel:
    """The header of one channel: its ``digital`` range means its ``physical`` one, in ``unit``."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    per_record: int


@dataclass(frozen=True, slots=True)
class _Header:
    """``size`` bytes of header, then ``records`` of ``duration`` seconds, a sample ``width`` bytes."""

    size: int
    width: int
    gaps: bool
    records: int
    duration: float
    channels: tuple[_Channel, ...]

    @property
    def record_size(self) -> int:
        return self.width * sum(channel.per_record for channel in self.channels)


def recognise(head: bytes) -> bool:
    """Whether ``head`` begins like an EDF or BDF recording."""
    if head.startswith(_BDF):
        return True
    numbers = (head[184:192], head[236:244], head[252:_HEAD])
    return head.startswith(_EDF) and all(_INTEGER.fullmatch(_text(number)) for number in numbers)


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open an EDF or BDF recording; ``name`` stands for it in errors. Raises FileError where it cannot be loaded.

    Its reading raises FileError where it is damaged, FormatError for leads of different rates, and SignalError for
    rate, range, unit or leads that are missing or impossible. Between the records of a discontinuous one is NaN.
    """
    content = source.load(given)
    return source.Opened(1, lambda _: _read(content, name))


def _read(content: bytes, name: str) -> Record:
    header = _header(content, name)
    table = np.frombuffer(content, np.uint8, header.records * header.record_size, header.size)
    columns = _columns(table.reshape(header.records, -1), header)
    chosen = _choose(header.channels, name)
    per_record = _per_record(chosen, header, name)
    fs = per_record / header.duration
    starts = _starts(columns, header, per_record, fs, name)
    scales = {lead: _scale(header.channels[i], header.width, lead, name) for lead, i in chosen.items()}
    rows = {lead: _placed(_millivolts(columns[i], header.width, *scales[lead]), starts) for lead, i in chosen.items()}
    return Record.from_leads(rows, fs)


def _header(content: bytes, name: str) -> _Header:
    """Parse the header and hold its counts against the size of the file."""
    count = _integer(content[252:_HEAD], "number of channels", name)
    size = _HEAD * (count + 1)
    if count < 1 or _integer(content[184:192], "size of the header", name) != size or len(content) < size:
        raise FileError(f"{name} is no whole EDF recording (its header does not fit its channels): copy it again")
    header = _Header(
        size=size,
        width=3 if content.startswith(_BDF) else 2,
        gaps=content[192:197] in _GAPS,
        records=_integer(content[236:244], "number of records", name),
        duration=_number(content[244:252], "duration of a record", name),
        channels=tuple(_channel(content, count, i, name) for i in range(count)),
    )
    if not 0 < header.duration < float("inf"):
        raise SignalError(f"{name} gives its records no duration, so no sampling rate: export the recording again")
    return _counted(header, len(content) - size, name)


def _channel(content: bytes, count: int, i: int, name: str) -> _Channel:
    """Parse the header of channel ``i``; each field comes for all channels in turn."""

    def field(before: int, width: int = 8) -> bytes:
        at = _HEAD + before * count + width * i
        return content[at : at + width]

    return _Channel(
        label=_text(field(0, 16)),
        unit=_text(field(96)),
        physical=(_number(field(104), "physical minimum", name), _number(field(112), "physical maximum", name)),
        digital=(_integer(field(120), "digital minimum", name), _integer(field(128), "digital maximum", name)),
        per_record=_integer(field(216), "number of samples", name),
    )


def _counted(header: _Header, stored: int, name: str) -> _Header:
    """Return the header with as many records as there are. Raises FileError where it promises others."""
    if min(channel.per_record for channel in header.channels) < 1:
        raise FileError(f"{name} has a channel without samples: export the recording again")
    records = stored // header.record_size if header.records == _NOT_CLOSED else header.records
    promised = records * header.record_size
    if records < 1 or promised > stored or (promised < stored and header.records != _NOT_CLOSED):
        raise FileError(
            f"{name} is cut off or damaged (its header promises {header.records} records of {header.record_size} "
            f"bytes, and {stored} bytes follow): copy it again"
        )
    return replace(header, records=records)


def _choose(found: tuple[_Channel, ...], name: str) -> dict[str, int]:
    """Return the place of each lead among the channels."""
    chosen = channels.choose_leads([channel.label for channel in found], name, skip=_NO_LEADS)
    if not chosen:
        raise SignalError(f"{name} has no ECG leads: name the leads {', '.join(LEADS)}")
    return chosen


def _per_record(chosen: Mapping[str, int], header: _Header, name: str) -> int:
    """Return how many samples a record holds of each lead."""
    counts = {header.channels[i].per_record for i in chosen.values()}
    if len(counts) > 1:
        raise FormatError(f"{name} has leads of different sampling rates: resample them to one rate first")
    return counts.pop()


def _columns(table: Bytes, header: _Header) -> list[Bytes]:
    """Cut (records, bytes of a record) into those of each channel."""
    ends = accumulate((header.width * channel.per_record for channel in header.channels), initial=0)
    return [table[:, start:end] for start, end in pairwise(ends)]


def _starts(columns: list[Bytes], header: _Header, per_record: int, fs: float, name: str) -> Places:
    """Return the sample with which each record begins. Raises SignalError where the whole is too long."""
    source.check_samples(header.records, name, _MOST_RECORDS)
    source.check_samples(header.records * per_record * len(LEADS), name)
    seconds = _onsets(columns, header, name) if header.gaps else np.arange(header.records) * header.duration
    source.check_samples(((seconds[-1] - seconds[0]) * fs + per_record) * len(LEADS), name)
    starts: Places = np.rint((seconds - seconds[0]) * fs).astype(np.int64)
    if (np.diff(starts) < per_record).any():
        raise FileError(f"{name} has records that overlap in time: export the recording again")
    return starts


def _onsets(columns: list[Bytes], header: _Header, name: str) -> npt.NDArray[np.float64]:
    """Return the second in which each record begins, as its first annotation says."""
    places = [i for i, channel in enumerate(header.channels) if channel.label in _ANNOTATIONS]
    found = [_ONSET.match(record.tobytes()) for record in columns[places[0]]] if places else []
    if not found or None in found:
        raise FileError(f"{name} has gaps and does not say where: export it without gaps (EDF+C)")
    return np.array([float(match[1]) for match in found if match])


def _scale(channel: _Channel, width: int, lead: str, name: str) -> tuple[float, float]:
    """Return what one step and a stored 0 are in mV."""
    unit = channels.millivolts(channel.unit, lead, name)
    low, high = (unit * value for value in channel.physical)
    first, last = channel.digital
    limit = 1 << (8 * width - 1)
    if not -limit <= first < last < limit or low == high or max(abs(low), abs(high)) > _LARGEST:
        raise SignalError(f"{name} gives no possible range for lead {lead}: export the recording again")
    gain = (high - low) / (last - first)
    return gain, low - first * gain


def _millivolts(column: Bytes, width: int, gain: float, zero: float) -> Signal:
    """Return (records, samples a record) mV of one channel's bytes."""
    return (_digital(column, width) * gain + zero).astype(np.float32)


def _digital(column: Bytes, width: int) -> npt.NDArray[np.integer]:
    if width == 2:
        return column.view("<i2")
    low, middle, high = (column[:, i::3] for i in range(3))
    return low | middle.astype(np.int32) << 8 | high.view(np.int8).astype(np.int32) << 16


def _placed(records: Signal, starts: Places) -> Signal:
    """Lay records (records, samples a record) out in time, NaN where there are none."""
    per_record = records.shape[1]
    out = np.full(starts[-1] + per_record, np.nan, np.float32)
    if len(out) == records.size:
        return records.reshape(-1)
    out[starts[:, None] + np.arange(per_record)] = records
    return out


def _integer(field: bytes, what: str, name: str) -> int:
    text = _text(field)
    if not _INTEGER.fullmatch(text):
        raise FileError(f"{name} is no whole EDF recording (its {what} is {text!r}): copy it again")
    return int(text)


def _number(field: bytes, what: str, name: str) -> float:
    text = _text(field)
    if not _NUMBER.fullmatch(text):
        raise FileError(f"{name} is no whole EDF recording (its {what} is {text!r}): copy it again")
    return float(text)


def _text(field: bytes) -> str:
    return source.decode(field).strip(" \0")
