"""ECGs of Philips PageWriter and TraceMaster as Sierra XML 1.03 and 1.04, with the root element ``restingecgdata``.

Facts of the XML are from published files of both versions. XLI, the compression, has no public standard; its facts are
from the description of the sierra-ecg-tools project (github.com/sixlettervariables/sierra-ecg-tools/wiki), and hold in
a published file. Each lead is a chunk:

- 8 bytes of header: size of what follows (32 bits), a word not understood, the first delta code (16 bits);
- LZW with codes of ten bits, high bits first; the table holds codes to 1022 and is then full, 1023 ends the chunk;
- what comes out is the high bytes of all delta codes, then their low bytes. The first two codes are samples; each
  further one is 64 less the second difference of the next sample, and the last one is not used.

Compressed leads III, aVR, aVL and aVF are what I and II, by the identities of the limb leads in whole counts, leave
over. Mean beats (``repbeats``) are left out.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, markup, source
from ecglens.leads import LEADS
from ecglens.record import Record

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Counts = npt.NDArray[np.int32]

_VERSIONS: Final = frozenset({"1.03", "1.04", "1.04.01", "1.04.02"})
_TWELVE: Final = frozenset({"STD-12", "10-WIRE"})  # sets of leads whose order is the standard one
_MOST_LEADS: Final = 32  # 16 are known
_PLAIN: Final = frozenset({"", "none", "uncompressed"})
_CHUNK_HEADER: Final = 8
_LITERALS: Final = 256
_LAST_CODE: Final = 1022
_END: Final = 1023
_ZERO: Final = 64  # the delta code of a straight line
_LARGEST: Final = 1 << 15

Settings = Mapping[str, str]


def recognise(head: bytes) -> bool:
    """Whether a file that begins with ``head`` has the root element of Sierra XML."""
    return markup.root(head) == "restingecgdata"


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open a file: as many ECGs as it has parsed waveforms, mostly one; ``name`` stands for it in errors.

    Raises FileError where the file is damaged or does not match its counts, FormatError for variants that are not read,
    SignalError for absent or impossible rate, resolution or lead names; ``read`` raises them too.
    """
    root = markup.parse(given, name)
    version = markup.text(root, "documentinfo/documentversion")
    if version not in _VERSIONS:
        raise FormatError(f"{name} is of version {version[:40]!r}, which is not read: export it as 1.03 or 1.04")
    waveforms = root.findall("waveforms/parsedwaveforms")
    if not waveforms:
        raise FormatError(f"{name} holds no parsed waveforms: export the whole ECG")
    common = {
        found.tag: (found.text or "").strip() for found in root.findall("dataacquisition/signalcharacteristics/*")
    }
    return source.Opened(len(waveforms), lambda ecg: _read(waveforms[ecg - 1], common, name))


def _read(waveform: "Element", common: Settings, name: str) -> Record:
    settings = {**common, **{key: value.strip() for key, value in waveform.items() if value.strip()}}
    given = partial(_first, settings)
    markup.expect(given("bitspersample", "nbitspersample"), 16, "bits per sample", name)
    markup.expect(given("signaloffset"), 0, "offset of the signal", name)
    if given("signalsigned").lower() not in ("", "true"):
        raise FormatError(f"{name} has samples without sign, which are not read: export the ECG again")
    rate = markup.positive(given("samplespersecond", "samplingrate"), "sampling rate", name)
    resolution = markup.positive(given("resolution", "signalresolution"), "resolution", name)  # uV per count
    names = _names(settings, name)
    chosen = channels.choose_leads(names, name)
    counts = _counts(waveform, settings, names, _length(settings, rate, len(names), name), name)
    return Record.from_leads({lead: np.float32(resolution / 1000) * counts[i] for lead, i in chosen.items()}, rate)


def _first(settings: Settings, *keys: str) -> str:
    """Return the first of some settings that is given, empty where none is."""
    return next((settings[key] for key in keys if settings.get(key)), "")


def _names(settings: Settings, name: str) -> list[str]:
    """Return the names of the stored leads: by label (1.04), or the twelve of a known set (1.03)."""
    labels = _first(settings, "leadlabels").split()
    if labels:
        stored = markup.number(_first(settings, "numberofleads"), "number of leads", name)
        if not 1 <= stored <= min(len(labels), _MOST_LEADS) or stored % 1:
            raise FormatError(f"{name} names {len(labels)} leads and stores {stored:g}: export the ECG again")
        return labels[: int(stored)]
    if _first(settings, "acquisitiontype", "leadset") not in _TWELVE:
        raise SignalError(f"{name} does not name its leads: export the ECG again as version 1.04")
    markup.expect(_first(settings, "numberchannelsallocated"), len(LEADS), "number of leads", name)
    return list(LEADS)


def _length(settings: Settings, rate: float, leads: int, name: str) -> int:
    """Return how many samples each lead has."""
    samples = markup.positive(_first(settings, "durationperchannel"), "duration", name) / 1000 * rate
    source.check_samples(samples * leads, name, markup.MAX_SAMPLES)
    if samples < 3 or abs(samples - round(samples)) > 1e-6:
        raise SignalError(f"{name} gives {samples:g} samples a lead: export the ECG again")
    return round(samples)


def _counts(waveform: "Element", settings: Settings, names: list[str], length: int, name: str) -> list[Counts]:
    """Return the stored counts of each lead, (length,) each."""
    packing = (_first(settings, "dataencoding"), _compression(settings))
    text = waveform.text or ""
    if packing == ("Base64", "xli"):
        return _unpack(markup.decode_base64(text, "the waveform", name), names, length, name)
    if packing == ("Base64", ""):
        words = markup.decode_base64(text, "the waveform", name)
        stored: npt.NDArray[Any] = markup.decode_words(words, "the waveform", name)
    elif packing == ("Plain", ""):
        stored = markup.decode_integers(text, "the waveform", name)
    else:
        coding, method = (part[:40] for part in packing)
        raise FormatError(
            f"{name} codes its waveform as {coding!r} and packs it by {method!r}, which is not read: export it as XLI"
        )
    markup.expect_count(str(len(names) * length), len(stored), "samples", name)
    return list(_in_range(stored, name).reshape(len(names), length))


def _compression(settings: Settings) -> str:
    """Return the method by which the waveform is compressed, in small letters, empty where it is not."""
    flag = _first(settings, "compressflag").lower()
    method = _first(settings, "compression", "compressmethod").lower()
    if flag == "false" or (method in _PLAIN and not flag):
        return ""
    return method or "unknown"


def _unpack(packed: bytes, names: list[str], length: int, name: str) -> list[Counts]:
    if [lead.upper() for lead in names[:6]] != [lead.upper() for lead in LEADS[:6]]:
        raise FormatError(f"{name} compresses leads that do not begin with I to aVF: export it uncompressed")
    leads: list[Counts] = []
    for lead in names:
        size = int.from_bytes(packed[:4], "little")
        chunk, packed = packed[:_CHUNK_HEADER], packed[_CHUNK_HEADER:]
        if len(chunk) < _CHUNK_HEADER or size > len(packed):
            raise FileError(f"{name} is cut off in lead {lead}: copy or export it again")
        first = int.from_bytes(chunk[6:], "little", signed=True)
        leads.append(_in_range(_integrate(_expand(packed[:size], 2 * length, lead, name), first), name))
        packed = packed[size:]
    if len(packed) >= _CHUNK_HEADER:
        raise FileError(f"{name} compresses more leads than the {len(names)} it names: copy or export it again")
    return [_in_range(lead, name) for lead in _reconstruct(leads)]


def _expand(packed: bytes, length: int, lead: str, name: str) -> bytes:
    """Undo LZW: exactly ``length`` bytes, or FileError."""
    table = [bytes([i]) for i in range(_LITERALS)]
    out = bytearray()
    last = b""
    for code in _codes(packed):
        if code == _END or len(out) > length:
            break
        if code > len(table) or (code == len(table) and not last):
            raise FileError(f"{name} is damaged in lead {lead}: copy or export it again")
        found = table[code] if code < len(table) else last + last[:1]
        out += found
        if last and len(table) <= _LAST_CODE:
            table.append(last + found[:1])
        last = found
    if len(out) != length:
        raise FileError(f"{name} is damaged, lead {lead} has not {length // 2} samples: copy or export it again")
    return bytes(out)


def _codes(packed: bytes) -> list[int]:
    """Return the whole ten-bit codes of ``packed``, high bits first: five bytes hold four."""
    count = len(packed) * 8 // 10
    five = np.frombuffer(packed + bytes(-len(packed) % 5), np.uint8).reshape(-1, 5).astype(np.uint16).T
    shifts = ((2, 0x3FF, 6), (4, 0x3FF, 4), (6, 0x3FF, 2), (8, 0x3FF, 0))
    four = [(five[i] << up & mask) | five[i + 1] >> down for i, (up, mask, down) in enumerate(shifts)]
    codes: list[int] = np.stack(four, axis=1).reshape(-1)[:count].tolist()
    return codes


def _integrate(expanded: bytes, first: int) -> npt.NDArray[np.int64]:
    """Undo the second differences of delta codes, whose high bytes all come first."""
    high, low = np.frombuffer(expanded, np.uint8).reshape(2, -1).astype(np.uint16)
    codes = (high << 8 | low).view(np.int16).astype(np.int64)
    bends = np.concatenate([[first], codes[2:-1] - _ZERO])
    slopes = codes[1] - codes[0] - np.cumsum(bends)
    return np.concatenate([codes[:2], codes[1] + np.cumsum(slopes)])


def _in_range(samples: npt.NDArray[Any], name: str) -> Counts:
    # Sums of damaged differences run away; what was stored had 16 bits.
    if np.abs(samples, dtype=np.float64).max() > _LARGEST:
        raise FileError(f"{name} is damaged, its samples exceed 16 bits: copy or export it again")
    return samples.astype(np.int32)


def _reconstruct(leads: list[Counts]) -> list[Counts]:
    """Return all leads of a compressed waveform: of III, aVR, aVL and aVF, what is left over was stored."""
    one, two, three, right, left, foot = leads[:6]
    three = two - one - three
    augmented = [-((one + two) // 2) - right, (one - three) // 2 - left, (two + three) // 2 - foot]
    return [one, two, three, *augmented, *leads[6:]]
