"""WFDB records (PhysioNet): a text header ``.hea`` and the signal files it names.

Facts are from the WFDB Applications Guide, header(5) and signal(5); of the compressed formats, which are FLAC streams,
from the ``wfdb`` package of its authors. Where the guide lets a reader assume a value that decides what the numbers
mean (250 Hz, 200 units per mV), this reader refuses instead.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError, UsageError
from ecglens.io import channels, source
from ecglens.leads import LEADS
from ecglens.record import Record, Signal

Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int32]

MAX_HEADER: Final = 1 << 20  # bytes; a header of 10,000 segments has a quarter of that
_LARGEST_16: Final = 32767

_INTEGER = r"[-+]?\d{1,15}"
_RECORD = re.compile(
    rf"(?P<name>[^\s/]+)(?:/(?P<segments>\d{{1,9}}))?\s+(?P<channels>\d{{1,9}})"
    rf"(?:\s+(?P<fs>{source.NUMBER})(?:/{source.NUMBER}(?:\({source.NUMBER}\))?)?(?:\s+(?P<length>\d{{1,15}})(?:\s.*)?)?)?\s*"
)
_CHANNEL = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d{1,4})(?:x(?P<per_frame>[1-9]\d{0,5}))?(?::(?P<skew>\d{1,9}))?(?:\+(?P<offset>\d{1,12}))?"
    rf"(?:\s+(?P<gain>{source.NUMBER})(?:\((?P<baseline>{_INTEGER})\))?(?:/(?P<unit>\S+))?"
    rf"(?:\s+{_INTEGER}(?:\s+(?P<zero>{_INTEGER})(?:\s+(?P<first>{_INTEGER})(?:\s+(?P<checksum>{_INTEGER})"
    rf"(?:\s+{_INTEGER}(?:\s+(?P<name>.*\S))?)?)?)?)?)?)?\s*"
)
_SEGMENT = re.compile(r"(?P<name>\S+)\s+(?P<length>\d{1,15})\s*")


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal line of a header. ``gain`` is units per physical ``unit``, 0 where the header gives none."""

    name: str
    file: str
    format: int
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    first: int
    checksum: int | None


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header: ``fs`` in frames per second, ``length`` in frames, each None where it is not given.

    ``segments`` holds (record name, frames) pairs and is empty in an ordinary record. ``comments`` are the lines
    that begin with ``#``, without it.
    """

    file: str
    fs: float | None
    length: int | None
    channels: tuple[Channel, ...]
    segments: tuple[tuple[str, int], ...]
    comments: tuple[str, ...]

    @property
    def stored(self) -> int:
        """Samples of all channels, as far as the header says."""
        return (self.length or 0) * sum(channel.per_frame for channel in self.channels)


def is_header(content: bytes) -> bool:
    """Whether ``content`` begins like a WFDB header: a record line with a rate, then a signal or segment line.

    Stricter than ``parse_header``, so that a table of numbers is not taken for one.
    """
    lines = [line for line in _lines(content[: source.HEAD]) if not line.startswith("#")]
    record = _RECORD.fullmatch(lines[0]) if len(lines) > 1 else None
    if record is None or record["fs"] is None:
        return False
    if record["segments"]:
        return bool(_SEGMENT.fullmatch(lines[1]))
    channel = _CHANNEL.fullmatch(lines[1])
    return channel is not None and int(channel["format"]) in (*_FORMATS, *_COMPRESSED)


def header_of(path: Path) -> Path | None:
    """Find the header that describes ``path``: itself, a record name plus ``.hea``, or a sibling naming that file.

    Gives None where there is none; what cannot be looked at is left to the reader to complain of.
    """
    try:
        if path.suffix == ".hea":
            return path
        if not path.name or path.is_dir():
            return None
        named, sibling = path.with_name(path.name + ".hea"), path.with_suffix(".hea")
        if not path.exists():
            return named if named.is_file() else None
        if sibling.is_file() and path.name in _named_files(sibling):
            return sibling
        return path if is_header(source.head(path)) else None
    except (OSError, FileError):
        return None


def _named_files(header: Path) -> list[str]:
    """The first words of a header's lines below the record line, whether the rest of them can be parsed or not."""
    return [line.split()[0] for line in _lines(source.content(header, MAX_HEADER)) if not line.startswith("#")][1:]


def _lines(content: bytes) -> list[str]:
    return [line.strip() for line in source.decode(content).splitlines() if line.strip()]


def read(path: Path) -> Record:
    """Read a record by its header, one of its signal files, or its name without extension.

    Invalid samples, and leads that are absent and do not follow from others, are NaN. Raises FileError where a file
    is missing, shorter than the header says or unlike its checksum; FormatError for a header or storage format that
    is not understood; SignalError for absent or unknown rate, gain, unit or lead names.
    """
    header_path = header_of(path)
    if header_path is None:
        raise FileError(f"{path.name} has no WFDB header beside it: put {path.stem}.hea in the same folder")
    header = load_header(header_path)
    if header.segments:
        leads, fs = _read_segments(header, header_path.parent)
    else:
        leads, fs = _read_leads(header, header_path.parent)
    return Record.from_leads(leads, fs)


def write(record: Record, path: Path, notes: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Write a record as ``path.hea`` and ``path.dat`` (format 16, 1 uV steps); return the header's path.

    NaN becomes the format's invalid-sample code. ``notes`` become ``# key: value`` comments. Raises SignalError where
    the signal exceeds the format's +-32.767 mV, UsageError where the files cannot be written.
    """
    counts = np.rint(record.signal * 1000)
    if np.nanmax(np.abs(counts), initial=0) > _LARGEST_16:
        raise SignalError("the signal exceeds 32.767 mV, which WFDB format 16 cannot hold in 1 uV steps: scale it")
    samples = np.where(np.isnan(counts), -32768, counts).astype("<i2")
    lines = [f"{path.name} {len(LEADS)} {record.fs:.10g} {samples.shape[1]}"]
    for lead, row in zip(LEADS, samples, strict=True):
        checksum = int(row.sum(dtype=np.int64)) % 65536
        lines.append(f"{path.name}.dat 16 1000(0)/mV 16 0 {row[0]} {checksum} 0 {lead}")
    lines += [f"# {key}: {value}" for key, value in notes.items()]
    header = path.with_name(f"{path.name}.hea")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.dat").write_bytes(samples.T.tobytes())
        header.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {header}: {error.strerror}; choose another folder") from error
    return header


def load_header(path: Path) -> Header:
    """Read and parse a ``.hea`` file. Raises FileError where it cannot be read, FormatError where it is no header."""
    return parse_header(source.content(path, MAX_HEADER), path.name)


def parse_header(content: bytes, file: str) -> Header:
    """Parse the bytes of a header; ``file`` names it in errors. Raises FormatError."""
    lines = _lines(content)
    remarks = tuple(line[1:].strip() for line in lines if line.startswith("#"))
    body = [line for line in lines if not line.startswith("#")]
    record = _RECORD.fullmatch(body[0]) if body else None
    if record is None:
        raise FormatError(f"{file} is no WFDB header: its first line must give record name, channels and rate")
    parts = int(record["segments"] or 0)
    count = parts or int(record["channels"])
    if len(body) - 1 < count or not count:
        raise FormatError(f"{file} describes {len(body) - 1} of {count} signals: the header is cut off; copy it again")
    body = body[1 : count + 1]
    return Header(
        file,
        float(record["fs"]) if record["fs"] else None,
        int(record["length"] or 0) or None,
        () if parts else tuple(_parse_channel(line, file) for line in body),
        tuple(_parse_segment(line, file) for line in body) if parts else (),
        remarks,
    )


def _parse_channel(line: str, file: str) -> Channel:
    field = _CHANNEL.fullmatch(line)
    if field is None:
        raise FormatError(f"{file} has a signal line that is no WFDB ({line[:60]!r}): correct the header")
    zero = int(field["zero"] or 0)
    return Channel(
        name=field["name"] or "",
        file=_plain_name(field["file"], file),
        format=int(field["format"]),
        per_frame=int(field["per_frame"] or 1),
        skew=int(field["skew"] or 0),
        offset=int(field["offset"] or 0),
        gain=float(field["gain"] or 0),
        baseline=int(field["baseline"]) if field["baseline"] else zero,
        unit=field["unit"] or "mV",
        first=int(field["first"]) if field["first"] else zero,
        checksum=int(field["checksum"]) if field["checksum"] else None,
    )


def _parse_segment(line: str, file: str) -> tuple[str, int]:
    field = _SEGMENT.fullmatch(line)
    if field is None:
        raise FormatError(f"{file} has a segment line that is no WFDB ({line[:60]!r}): correct the header")
    return _plain_name(field["name"], file), int(field["length"])


def _plain_name(name: str, file: str) -> str:
    # A header may come from a stranger: it must not make us open files outside its own folder.
    if re.search(r"[/\\:]", name) or not name.isprintable() or name in (".", ".."):
        raise FormatError(f"{file} points outside its own folder ({name!r}): keep a record's files in one folder")
    if len(name.encode()) > _LONGEST_NAME:
        raise FormatError(
            f"{file} names a file by more than {_LONGEST_NAME} bytes, which none can have: correct the header"
        )
    return name


def _read_segments(header: Header, folder: Path) -> tuple[dict[str, Signal], float]:
    """Join the segments of a record by lead name; what a segment lacks is NaN (fixed and variable layout alike)."""
    total = sum(length for _, length in header.segments)
    source.check_samples(total * len(LEADS), header.file)
    fs = _rate(header)
    names = [name for name, _ in header.segments if name != "~"]
    if len(set(names)) < len(names):  # no recorder writes this, and it would make little files much work
        raise FormatError(f"{header.file} names a segment twice: name each once")
    joined: dict[str, Signal] = {}
    at = stored = 0
    for name, length in header.segments:
        if name != "~" and length:
            segment = load_header(_beside(folder, f"{name}.hea"))
            if segment.segments:
                raise FormatError(f"{header.file} nests records ({name}): a segment must be an ordinary record")
            segment = replace(segment, length=segment.length or length)
            stored += segment.stored
            source.check_samples(stored, header.file)  # of channels that are no leads too, over all segments
            leads, own_fs = _read_leads(segment, folder)
            for lead, samples in leads.items():
                if own_fs != fs or len(samples) != length:
                    raise FormatError(f"{segment.file} has not the rate and length {header.file} says: copy it again")
                joined.setdefault(lead, np.full(total, np.nan, np.float32))[at : at + length] = samples
        at += length
    if not joined:
        raise SignalError(f"{header.file} holds no recorded segment: choose another record")
    return joined, fs


def _read_leads(header: Header, folder: Path) -> tuple[dict[str, Signal], float]:
    """Read the standard leads of an ordinary record: millivolts by lead name, and their rate in Hz."""
    fs = _rate(header)
    source.check_samples(header.stored, header.file)
    chosen = channels.choose_leads([channel.name for channel in header.channels], header.file)
    wanted = {lead: header.channels[i] for lead, i in chosen.items()}
    per_frame = {channel.per_frame for channel in wanted.values()}
    if len(per_frame) != 1:
        raise FormatError(f"{header.file} has leads of different sampling rates: resample them to one rate first")
    leads: dict[str, Signal] = {}
    for name, group in groupby(header.channels, key=lambda channel: channel.file):
        stored = list(group)
        kept = {lead: channel for lead, channel in wanted.items() if any(channel is c for c in stored)}
        if kept:
            columns = _read_file(_beside(folder, name), stored, header)
            leads |= {lead: _millivolts(columns[stored.index(c)], c, lead, header) for lead, c in kept.items()}
    return leads, fs * per_frame.pop()


def _rate(header: Header) -> float:
    if header.fs is None:
        raise SignalError(f"{header.file} gives no sampling rate: add it to the first line of the header")
    if not 0 < header.fs < np.inf:
        raise SignalError(f"{header.file} gives a sampling rate of {header.fs:g} Hz: correct the header")
    return header.fs


def _read_file(path: Path, stored: Sequence[Channel], header: Header) -> list[Samples]:
    """Read one signal file: the samples of each of its channels, not yet calibrated or deskewed."""
    if len({(channel.format, channel.offset) for channel in stored}) != 1:
        raise FormatError(f"{path.name} has several storage formats in {header.file}: correct the header")
    kind = stored[0].format
    if kind in _COMPRESSED:
        return _read_flac(path, stored, header)
    if kind not in _FORMATS:
        raise FormatError(f"{path.name} is stored in WFDB format {kind}, which is not read: convert it to format 16")
    coding = _FORMATS[kind]
    frame = sum(channel.per_frame for channel in stored)
    size = source.MAX_BYTES if header.length is None else coding.size(frame * header.length)
    raw = np.frombuffer(source.piece(path, stored[0].offset, size), np.uint8)
    frames = coding.capacity(len(raw)) // frame if header.length is None else header.length
    source.check_samples(frame * frames, path.name)
    if not frames or len(raw) < coding.size(frame * frames):
        wanted = f"{coding.size(frame * frames)} bytes of samples, not {len(raw)}" if frames else "samples"
        raise FileError(f"{path.name} is cut off ({header.file} promises {wanted}): copy it again")
    table = coding.decode(raw[: coding.size(frame * frames)], frame * frames).reshape(frames, frame)
    ends = np.cumsum([channel.per_frame for channel in stored])[:-1]
    return [part.reshape(-1) for part in np.split(table, ends, axis=1)]


def _read_flac(path: Path, stored: Sequence[Channel], header: Header) -> list[Samples]:
    """As ``_read_file``. The offset counts samples here, and a channel's samples of a frame follow each other."""
    import soundfile

    first = stored[0]
    source.head(path)  # complains of what is no file
    with source.reading(path.name), path.open("rb") as file, soundfile.SoundFile(file) as sound:
        depth = _DEPTHS.get(sound.subtype, 32)
        fits = sound.format == "FLAC" and sound.channels == len(stored) and depth <= _COMPRESSED[first.format]
        if not fits or any(channel.per_frame != first.per_frame for channel in stored):
            raise FormatError(f"{path.name} is not the FLAC file that {header.file} describes: copy both again")
        frames = (sound.frames - first.offset) // first.per_frame if header.length is None else header.length
        count = frames * first.per_frame
        source.check_samples(count * len(stored), path.name)
        sound.seek(first.offset)
        values = np.empty((max(count, 0), len(stored)), np.int32)
        read = sum(len(sound.read(out=values[at : at + _BLOCK])) for at in range(0, count, _BLOCK))
    if read < max(count, 1):
        raise FileError(f"{path.name} is cut off ({header.file} promises {count} samples of each lead): copy it again")
    values >>= 32 - depth  # the library fills 32 bits from the top
    return list(values.T)


def _beside(folder: Path, name: str) -> Path:
    """The file of that name which a header names. Raises FileError where it is missing, or really lies elsewhere."""
    path = folder / name
    if not path.is_file():
        raise FileError(f"{name} is missing: put it beside the header that names it")
    if path.resolve().parent != folder.resolve():  # a link, which might lead anywhere if it comes from a stranger
        raise FileError(f"{name} is a link out of its folder: put the file itself there")
    return path


def _millivolts(samples: Samples, channel: Channel, lead: str, header: Header) -> Signal:
    """Check, calibrate and deskew the stored samples of one lead; invalid samples become NaN."""
    if channel.gain == 0 or not np.isfinite(channel.gain):
        raise SignalError(f"{header.file} gives no gain for lead {lead}: add its units per mV to the header")
    scale = channels.millivolts(channel.unit, lead, header.file)
    values: npt.NDArray[np.integer] = samples
    if channel.format == 8:  # first differences
        values = channel.first + np.cumsum(samples, dtype=np.int64)
    if channel.checksum is not None and (int(values.sum(dtype=np.int64)) - channel.checksum) % 65536:
        raise FileError(
            f"{channel.file} does not match the checksum of lead {lead} in {header.file}: "
            "it was damaged or changed; copy it again"
        )
    with np.errstate(over="ignore"):  # a preposterous gain gives infinity, which Record refuses
        signal = ((values - float(channel.baseline)) * (scale / channel.gain)).astype(np.float32)
    invalid = _invalid(channel.format)
    if invalid is not None:
        signal[values == invalid] = np.nan
    if channel.skew:
        # The guide's skew: this signal's samples lag the others' by that many frames in the file.
        shift = min(channel.skew * channel.per_frame, len(signal))
        signal = np.concatenate([signal[shift:], np.full(shift, np.nan, np.float32)])
    return signal


def _invalid(kind: int) -> int | None:
    return -(1 << _COMPRESSED[kind] - 1) if kind in _COMPRESSED else _FORMATS[kind].invalid


def _decode_words(dtype: str, zero: int = 0) -> Callable[[Bytes, int], Samples]:
    def decode(raw: Bytes, count: int) -> Samples:
        return raw.view(dtype)[:count].astype(np.int32) - np.int32(zero)

    return decode


def _decode_24(raw: Bytes, count: int) -> Samples:
    parts = raw.reshape(-1, 3).astype(np.int32)
    return _signed(parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16, 24)[:count]


def _decode_212(raw: Bytes, count: int) -> Samples:
    low, shared, high = _blocks(raw, 3).T.astype(np.int32)
    return _signed(np.stack([low | (shared & 0x0F) << 8, high | (shared & 0xF0) << 4], axis=1), 12)[:count]


def _decode_310(raw: Bytes, count: int) -> Samples:
    one, two = _blocks(raw, 4).view("<u2").T.astype(np.int32)
    third = one >> 11 | two >> 11 << 5
    return _signed(np.stack([one >> 1 & 0x3FF, two >> 1 & 0x3FF, third], axis=1), 10)[:count]


def _decode_311(raw: Bytes, count: int) -> Samples:
    word = _blocks(raw, 4).view("<u4")[:, 0].astype(np.int64)
    return _signed(np.stack([word & 0x3FF, word >> 10 & 0x3FF, word >> 20 & 0x3FF], axis=1), 10)[:count]


def _blocks(raw: Bytes, width: int) -> Bytes:
    return np.pad(raw, (0, -len(raw) % width)).reshape(-1, width)


def _signed(values: npt.NDArray[np.integer], bits: int) -> Samples:
    half = 1 << (bits - 1)
    return ((values.reshape(-1) ^ half) - half).astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a format stores samples: ``tails[r]`` bytes hold r samples, and the last of them a whole block."""

    tails: tuple[int, ...]
    decode: Callable[[Bytes, int], Samples]
    invalid: int | None

    def size(self, samples: int) -> int:
        blocks, rest = divmod(samples, len(self.tails) - 1)
        return blocks * self.tails[-1] + self.tails[rest]

    def capacity(self, size: int) -> int:
        blocks, rest = divmod(size, self.tails[-1])
        return blocks * (len(self.tails) - 1) + max(n for n, tail in enumerate(self.tails) if tail <= rest)


_COMPRESSED: Final = {508: 8, 516: 16, 524: 24}  # bits of a sample at most, in FLAC
_DEPTHS: Final = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}  # what soundfile calls bits of a sample
_BLOCK: Final = 1 << 20  # samples of a channel; libsndfile fails over 2^24 of all (its issue 431)
_LONGEST_NAME: Final = 250  # bytes of a name, with room for an ending; file systems take 255
_FORMATS: Final = {
    8: _Coding((0, 1), _decode_words("i1"), None),
    16: _Coding((0, 2), _decode_words("<i2"), -(1 << 15)),
    24: _Coding((0, 3), _decode_24, -(1 << 23)),
    32: _Coding((0, 4), _decode_words("<i4"), -(1 << 31)),
    61: _Coding((0, 2), _decode_words(">i2"), -(1 << 15)),
    80: _Coding((0, 1), _decode_words("u1", 1 << 7), -(1 << 7)),
    160: _Coding((0, 2), _decode_words("<u2", 1 << 15), -(1 << 15)),
    212: _Coding((0, 2, 3), _decode_212, -(1 << 11)),
    310: _Coding((0, 2, 4, 4), _decode_310, -(1 << 9)),
    311: _Coding((0, 2, 3, 4), _decode_311, -(1 << 9)),
}
