"""DICOM: ECG waveforms as records; pictures, frame by frame, and enclosed PDF files as pages.

Facts are from the DICOM standard: PS3.3 C.10.9 (waveforms), C.7.6.3 (pixels), C.11 (windows), PS3.5 7.1 and annex A
(encoding), PS3.16 CID 3001 (leads). Only what makes the signal or the picture is looked at; nothing else is kept.
"""

import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, picture, source
from ecglens.io.source import Opened
from ecglens.leads import LEADS, canonical
from ecglens.paper.page import Page, Pixels
from ecglens.record import Record, Signal

if TYPE_CHECKING:  # importing it takes a second
    from pydicom.dataset import Dataset

MAX_BYTES: Final = 128 << 20  # reading copies the content three times
MAX_PIXELS: Final = 40_000_000  # of one frame
MAX_YBR: Final = 25_000_000  # of one that pydicom makes RGB, by way of float32
MAX_RLE: Final = 8 << 20  # bytes of one frame, which can grow 64-fold and are unpacked in Python
MAX_SKEW: Final = 1.0  # s; leads so far apart were recorded one after the other

_MARK: Final = slice(128, 132), b"DICM"
_META: Final = b"\2\0\0\0UL\4\0"  # the length of the file meta information
_SHORT_VR: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_PLAIN: Final = b"1.2.840.10008.1.2.1\0\0\0"

_TYPES: Final = {  # (bits allocated, sample interpretation)
    (8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2", (32, "SL"): "i4", (32, "UL"): "u4",
}  # fmt: skip
_LEAD_CODE: Final = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,5})")  # of MDC, whose leads are in partition 2, and SCP-ECG
_DAMAGED: Final = "is a damaged DICOM file: copy or export it again"


def recognise(head: bytes) -> bool:
    """Whether a file begins like DICOM; without the usual preamble its first four elements must be in order."""
    where, mark = _MARK
    if head[where] == mark or head.startswith(_META):
        return True
    tags: list[tuple[int, int]] = []
    at = 0
    while len(tags) < 4:
        tags.append((_word(head, at), _word(head, at + 2)))
        short = head[at + 4 : at + 6] in _SHORT_VR  # else the length has the VR's two bytes, as in implicit VR
        length = _word(head, at + 6) if short else int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8 + length
        if tags[-1][0] not in (2, 8) or length % 2 or at > len(head):
            return False
    return all(tag < following for tag, following in pairwise(tags))


def _word(head: bytes, at: int) -> int:
    return int.from_bytes(head[at : at + 2], "little")


def open_file(given: Path | bytes, name: str) -> Opened:
    """Open a DICOM file; ``name`` stands for it in errors.

    Every multiplex group with standard leads is an ECG; derived ones and median beats only where no other is there.
    Without waveforms, the pages of an enclosed PDF, or the frames of the picture, are. Here and in ``read``: FileError
    for a damaged file, FormatError for content or a variant that is not read, SignalError for leads, units, gains or
    rates that are missing or impossible.
    """
    content = source.load(given)
    with _reading(name):
        dataset = _load(content, name)
        if "WaveformSequence" in dataset:
            groups = _choose(_groups(dataset, name), name)
            return Opened(len(groups), lambda number: _read_group(groups[number - 1], name))
        if "EncapsulatedDocument" in dataset:
            return _open_document(dataset, name)
        if "PixelData" in dataset:
            return _open_frames(dataset, name)
    if "DirectoryRecordSequence" in dataset:
        raise FormatError(f"{name} is a list of DICOM files: give the files that it lists")
    raise FormatError(f"{name} is a DICOM file without waveform, picture or PDF: export the ECG itself")


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Whatever pydicom raises on damaged content is a FileError; what it logs or warns of is kept quiet.

    It quotes odd elements, which may tell who the patient is. It stays quiet afterwards, since levels and filters are
    those of the process: another thread, still reading, would lose them.
    """
    from pydicom.config import logger  # only those who read DICOM wait for it

    logger.setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"(pydicom|PIL)\.")
    with np.errstate(all="ignore"), source.reading(name, _DAMAGED):  # what becomes infinite is refused
        yield


def _cut_off(name: str) -> FileError:
    return FileError(f"{name} is cut off: copy or export it again")


def _load(content: bytes, name: str) -> "Dataset":
    from pydicom import dcmread

    if _DEFLATED in content[: source.HEAD]:
        content = _inflate(content, name)
    if len(content) > MAX_BYTES:
        raise FormatError(f"{name} has more than {MAX_BYTES >> 20} MB: export the ECG alone")
    return dcmread(picture.Blocks(content), force=True)


def _inflate(content: bytes, name: str) -> bytes:
    """Unpack a deflated file (PS3.5 A.5) to at most ``MAX_BYTES``."""
    start = 144 + int.from_bytes(content[140:144], "little")
    packed = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = packed.decompress(content[start:], MAX_BYTES)
    if not packed.eof and len(unpacked) < MAX_BYTES:
        raise _cut_off(name)
    return content[:start].replace(_DEFLATED, _PLAIN) + unpacked


def _items(dataset: "Dataset", keyword: str) -> "list[Dataset]":
    """The items of a sequence, none where it is absent; read in so many pieces at most."""
    from pydicom.dataelem import RawDataElement
    from pydicom.filereader import read_sequence

    if keyword not in dataset:
        return []
    raw = dataset.get_item(keyword)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
        implicit = raw.is_implicit_VR or raw.VR == "UN"
        stream = picture.Blocks(raw.value)
        return list(read_sequence(stream, implicit, raw.is_little_endian, len(raw.value), "iso8859"))
    return list(dataset[keyword].value or ())


@dataclass(frozen=True, slots=True)
class _Group:
    """A multiplex group: the names of its channels, and how far it is from what was recorded (0 is nearest)."""

    item: "Dataset"
    definitions: "list[Dataset]"
    names: list[str]
    distance: int
    little_endian: bool


def _groups(dataset: "Dataset", name: str) -> list[_Group]:
    little_endian = dataset.original_encoding[1] is not False
    groups = []
    for item in _items(dataset, "WaveformSequence"):
        definitions = _items(item, "ChannelDefinitionSequence")
        median = re.search("MEDIAN|AVERAGE|TEMPLATE", str(item.get("MultiplexGroupLabel") or "").upper())
        distance = 2 * bool(median) + (item.get("WaveformOriginality") == "DERIVED")
        names = [_channel_name(definition, name) for definition in definitions]
        groups.append(_Group(item, definitions, names, distance, little_endian))
    return groups


def _choose(groups: list[_Group], name: str) -> list[_Group]:
    """Those groups with standard leads that are nearest to what was recorded."""
    ecgs = [group for group in groups if any(map(canonical, group.names))]
    if not ecgs:
        named = ", ".join(repr(channel[:40]) for group in groups for channel in group.names[:12]) or "none"
        raise SignalError(f"{name} has no channel that is a standard ECG lead ({named[:200]}): export a 12-lead ECG")
    nearest = min(group.distance for group in ecgs)
    return [group for group in ecgs if group.distance == nearest]


def _channel_name(definition: "Dataset", name: str) -> str:
    """A channel's lead by its code, else by the code's meaning or the channel's label. Raises SignalError for both."""
    sources = _items(definition, "ChannelSourceSequence")
    code = str(sources[0].get("CodeValue") or "") if sources else ""
    meaning = str(sources[0].get("CodeMeaning") or "") if sources else ""
    said = meaning if canonical(meaning) else str(definition.get("ChannelLabel") or meaning)
    number = _LEAD_CODE.fullmatch(code)
    if number is None:
        return code.removeprefix(channels.MDC_LEAD) if code.startswith(channels.MDC_LEAD) else said
    lead = channels.CODED_LEADS.get(int(number[1]))
    if canonical(meaning) not in (None, lead):
        raise SignalError(f"{name} calls the lead of code {code} {meaning[:40]!r}: export the ECG again")
    return lead or meaning or code


def _read_group(group: _Group, name: str) -> Record:
    with _reading(name):
        chosen = channels.choose_leads(group.names, name)
        fs = _rate(group.item, name)
        table = _samples(group, name)
        padding = _padding(group, table.dtype)
        late = _delays(group, list(chosen.values()), fs, name)
        leads = {}
        for lead, column in chosen.items():
            samples = _millivolts(table[:, column], group.definitions[column], lead, name)
            if padding is not None:
                samples[table[:, column] == padding] = np.nan
            leads[lead] = _delay(samples, late[column])
        return Record.from_leads(leads, fs)


def _rate(item: "Dataset", name: str) -> float:
    fs = float(item.get("SamplingFrequency") or 0)
    if not 0 < fs < np.inf:
        raise SignalError(f"{name} gives no sampling rate: export the ECG with it")
    return fs


def _samples(group: _Group, name: str) -> npt.NDArray[np.integer]:
    """The stored samples of a group, (samples, channels)."""
    item = group.item
    bits, kind = item.get("WaveformBitsAllocated"), item.get("WaveformSampleInterpretation")
    if (bits, kind) not in _TYPES or (bits == 8 and not group.little_endian):
        stored = f"{kind!s:.9} of {bits!s:.9} bits"
        raise FormatError(f"{name} stores samples as {stored}, which is not read: export it as SS of 16 bits")
    dtype = np.dtype(_TYPES[bits, kind]).newbyteorder("<" if group.little_endian else ">")
    count, width = int(item.NumberOfWaveformSamples), int(item.NumberOfWaveformChannels)
    if width != len(group.definitions) or not count:
        raise FileError(
            f"{name} defines {len(group.definitions)} channels of {width}, {count} samples: export it again"
        )
    source.check_samples(count * max(width, len(LEADS)), name)  # as a record has them all
    raw, size = item.WaveformData, count * width * dtype.itemsize
    if len(raw or b"") < size:
        raise _cut_off(name)
    if len(raw) > size + size % 2:
        raise FileError(f"{name} holds more samples than it says ({len(raw)} bytes, not {size}): export it again")
    return np.frombuffer(raw[:size], dtype).reshape(count, width)


def _padding(group: _Group, dtype: np.dtype[np.integer]) -> int | None:
    """The stored value that stands for no sample."""
    raw = group.item.get("WaveformPaddingValue")
    return int(np.frombuffer(raw[: dtype.itemsize], dtype)[0]) if raw else None


def _millivolts(samples: npt.NDArray[np.integer], definition: "Dataset", lead: str, name: str) -> Signal:
    """Calibrate one channel: stored value x sensitivity x correction + baseline, in the unit of the sensitivity."""
    factor = definition.get("ChannelSensitivityCorrectionFactor")  # where it is empty there is nothing to correct
    gain = float(definition.get("ChannelSensitivity") or 0) * (1.0 if factor is None else float(factor))
    baseline = float(definition.get("ChannelBaseline") or 0)
    if not gain or not np.isfinite([gain, baseline]).all():
        raise SignalError(f"{name} gives lead {lead} no possible sensitivity or baseline: export the ECG with its gain")
    units = _items(definition, "ChannelSensitivityUnitsSequence")
    scale = channels.millivolts(str(units[0].get("CodeValue") or "") if units else "", lead, name)
    return ((samples * gain + baseline) * scale).astype(np.float32)


def _delays(group: _Group, columns: list[int], fs: float, name: str) -> dict[int, int]:
    """How many samples later than the first of them each channel begins (skew and offset), to the nearest sample."""
    begin = {column: _skew(group.definitions[column], fs) for column in columns}
    first, last = min(begin.values()), max(begin.values())
    if not last - first <= MAX_SKEW:
        raise SignalError(f"{name} holds leads that were recorded one after the other: export leads recorded together")
    return {column: round((at - first) * fs) for column, at in begin.items()}


def _skew(definition: "Dataset", fs: float) -> float:
    """When a channel begins, in s from the group's start."""
    skew = definition.get("ChannelTimeSkew")
    if skew is None:
        skew = float(definition.get("ChannelSampleSkew") or 0) / fs
    return float(skew) + float(definition.get("ChannelOffset") or 0)


def _delay(samples: Signal, count: int) -> Signal:
    if not count:
        return samples
    return np.concatenate([np.full(count, np.nan, np.float32), samples])[: len(samples)]


def _open_document(dataset: "Dataset", name: str) -> Opened:
    document = bytes(dataset.EncapsulatedDocument)
    if picture.recognise(document[: source.HEAD]) != "PDF":
        raise FormatError(f"{name} encloses a document that is no PDF: export the ECG as PDF, picture or waveform")
    return picture.open_file(document, name)


def _open_frames(dataset: "Dataset", name: str) -> Opened:
    frames = int(dataset.get("NumberOfFrames") or 1)
    pixels = int(dataset.Rows) * int(dataset.Columns)
    if not 1 <= frames <= source.MAX_PAGES:
        raise FormatError(f"{name} has {frames} frames, of which at most {source.MAX_PAGES} are read: split it")
    limit = MAX_YBR if str(dataset.PhotometricInterpretation).startswith("YBR") else MAX_PIXELS
    if pixels > limit:
        raise FormatError(f"{name} has more than {limit // 1_000_000} million pixels: export it at a smaller size")
    return Opened(frames, lambda number: _read_frame(dataset, number - 1, name))


def _read_frame(dataset: "Dataset", index: int, name: str) -> Page:
    with _reading(name):
        values, kind = _decode(dataset, index, name)
        bits = int(dataset.BitsStored)
        if kind in ("MONOCHROME1", "MONOCHROME2") and values.ndim == 2 and bits <= 16:
            return Page(_grey(values, dataset, kind == "MONOCHROME1"))
        if kind == "PALETTE COLOR" and values.ndim == 2:
            from pydicom.pixels.processing import apply_color_lut

            values = apply_color_lut(values, dataset)
            return Page(_eight_bits(values, 8 * values.itemsize))
        if kind == "RGB" and values.ndim == 3 and values.dtype.kind == "u" and 8 <= bits <= 16:
            return Page(_eight_bits(values, bits))
    raise FormatError(f"{name} stores its picture as {kind:.20} of {bits} bits, which is not read: export it as RGB")


def _eight_bits(values: npt.NDArray[np.integer], bits: int) -> Pixels:
    return np.ascontiguousarray(values[..., :3] >> (bits - 8), np.uint8)


def _decode(dataset: "Dataset", index: int, name: str) -> tuple[npt.NDArray[np.integer], str]:
    """One frame, (H, W) or (H, W, 3), and its photometric interpretation: YBR is made RGB."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder

    try:
        syntax = dataset.file_meta.TransferSyntaxUID
    except AttributeError as error:
        raise FormatError(f"{name} does not say how its picture is encoded: export it again") from error
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise _compressed(name, syntax.name)
    if syntax.is_compressed:
        frame = get_frame(dataset.PixelData, index, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
        _check_frame(frame, dataset, name)
    values, properties = decoder.as_array(dataset, index=index)
    return values, str(properties["photometric_interpretation"])


def _compressed(name: str, how: str) -> FormatError:
    return FormatError(f"{name} is compressed in a way that is not read ({how[:90]}): export it as 8-bit JPEG")


def _check_frame(frame: bytes, dataset: "Dataset", name: str) -> None:
    """Refuse a compressed frame that is larger than its file says."""
    kind = picture.recognise(frame[: source.HEAD])
    if kind is None:
        if len(frame) > MAX_RLE:
            raise FormatError(f"{name} has a frame of more than {MAX_RLE >> 20} MB of RLE: export it uncompressed")
        return
    if kind == "JPEG" and int(dataset.BitsStored) > 8:
        raise _compressed(name, "JPEG of more than 8 bits")
    limit = picture.MAX_PIXELS_OF.get(kind, MAX_PIXELS)
    with Image.open(BytesIO(frame), formats=(kind,)) as image:
        if image.size != (dataset.Columns, dataset.Rows) or image.width * image.height > limit:
            raise FileError(f"{name} {_DAMAGED}")
        picture.check_scans(image, frame, name)


def _grey(values: npt.NDArray[np.integer], dataset: "Dataset", inverse: bool) -> Pixels:
    """Return (H, W, 3) of stored grey values, through rescaling and window (PS3.3 C.11.1 and C.11.2).

    Without a window, values of 8 bits are as they are, and of more those of the frame make black to white.
    """
    bits, signed = int(dataset.BitsStored), int(dataset.get("PixelRepresentation") or 0)
    least = -(1 << (bits - 1)) if signed else 0
    stored = np.arange(least, least + (1 << bits))
    shown = stored * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0)
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is not None and width is not None and width >= 1:
        share = (shown - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    elif bits == 8:
        share = (shown - shown.min()) / np.ptp(shown)
    else:
        dark, bright = sorted((shown[int(values.min()) - least], shown[int(values.max()) - least]))
        share = (shown - dark) / max(bright - dark, 1e-9)
    if not np.isfinite(share).all():
        raise ValueError("a rescaling or window that is no number")
    levels = np.rint(255 * np.clip(1 - share if inverse else share, 0, 1)).astype(np.uint8)
    return np.repeat(levels[values - least][..., np.newaxis], 3, axis=2)


def _first(value: object) -> float | None:
    """The first of one or several numbers."""
    if value is None or isinstance(value, float | int):
        return value
    return float(next(iter(value)))  # type: ignore[call-overload]
