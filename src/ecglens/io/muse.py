"""ECGs exported by GE MUSE as XML, with the root element ``RestingECG``.

There is no public standard. The facts are those of MUSE's own document type (``restecg.dtd``), whose element names
speak for themselves, and of published exports of version 9. Each ``Waveform`` of type Rhythm is an ECG; those of type
Median, a mean beat, are left out. Mostly eight leads are stored, from which the other limb leads follow.
``LeadDataCRC32`` is the CRC-32 of ISO 3309 (zlib's) over the decoded bytes: so it is, to the last bit, in a published
export of MUSE 9.0.
"""

import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, markup, source
from ecglens.record import Record, Signal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_UNITS: Final = {"MICROVOLTS": "uV", "MILLIVOLTS": "mV", "VOLTS": "V", "NANOVOLTS": "nV"}
_LARGEST_EXPONENT: Final = 9


def recognise(head: bytes) -> bool:
    """Whether a file that begins with ``head`` has the root element of MUSE."""
    return markup.root(head) == "RestingECG"


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open an export: as many ECGs as it has rhythm waveforms; ``name`` stands for the file in errors.

    Raises FileError where the file is damaged or does not match its counts and checksums, FormatError for variants
    that are not read, SignalError for absent or impossible rate, gain, unit or lead names; ``read`` raises them too.
    """
    root = markup.parse(given, name)
    rhythms = [waveform for waveform in root.findall("Waveform") if _is_rhythm(waveform)]
    if not rhythms:
        raise FormatError(f"{name} holds no rhythm waveform: export the whole ECG, not only its mean beat")
    return source.Opened(len(rhythms), lambda ecg: _read(rhythms[ecg - 1], name))


def _is_rhythm(waveform: "Element") -> bool:
    return markup.text(waveform, "WaveformType").lower() == "rhythm"


def _read(waveform: "Element", name: str) -> Record:
    sampling = markup.text(waveform, "SampleType")
    if sampling not in ("", "CONTINUOUS_SAMPLES"):
        raise FormatError(f"{name} has samples of type {sampling[:40]!r}, which are not read: export continuous ones")
    stored = waveform.findall("LeadData")
    markup.expect_count(markup.text(waveform, "NumberofLeads"), len(stored), "leads", name)
    chosen = channels.choose_leads([markup.text(lead, "LeadID") for lead in stored], name)
    return Record.from_leads(
        {lead: _signal(stored[i], lead, name) for lead, i in chosen.items()}, _rate(waveform, name)
    )


def _rate(waveform: "Element", name: str) -> float:
    base = markup.positive(markup.text(waveform, "SampleBase"), "sampling rate (SampleBase)", name)
    exponent = markup.number(markup.text(waveform, "SampleExponent"), "exponent of the sampling rate", name)
    if abs(exponent) > _LARGEST_EXPONENT or exponent % 1:
        raise SignalError(f"{name} gives an exponent of {exponent:g} for the sampling rate: export the ECG again")
    return float(base * 10**exponent)


def _signal(stored: "Element", lead: str, name: str) -> Signal:
    """Return the samples of one lead in mV."""
    field = partial(markup.text, stored)
    markup.expect(field("LeadSampleSize"), 2, f"the bytes per sample of lead {lead}", name)
    for shift in ("LeadTimeOffset", "LeadOffsetFirstSample", "FirstSampleBaseline"):  # what they do is not documented
        markup.expect(field(shift), 0, f"{shift} of lead {lead}", name)
    packed = markup.decode_base64(field("WaveFormData"), f"lead {lead}", name)
    markup.expect_count(field("LeadByteCountTotal"), len(packed), f"bytes of lead {lead}", name)
    _check(packed, field("LeadDataCRC32"), lead, name)
    samples = markup.decode_words(packed, f"lead {lead}", name)
    markup.expect_count(field("LeadSampleCountTotal"), len(samples), f"samples of lead {lead}", name)
    gain = markup.positive(field("LeadAmplitudeUnitsPerBit"), f"amplitude per bit of lead {lead}", name)
    unit = field("LeadAmplitudeUnits")
    return np.float32(gain * channels.millivolts(_UNITS.get(unit.upper(), unit), lead, name)) * samples


def _check(packed: bytes, checksum: str, lead: str, name: str) -> None:
    if checksum and markup.number(checksum, f"checksum of lead {lead}", name) != zlib.crc32(packed):
        raise FileError(
            f"{name} does not match its checksum of lead {lead}: it was damaged or changed; copy or export it again"
        )
