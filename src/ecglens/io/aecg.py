"""HL7 annotated ECGs (aECG), as the FDA receives them, with the root element ``AnnotatedECG``.

The facts are from the HL7 aECG Implementation Guide (Brown, Badilini, 2005) and the HL7 version 3 data types. Each
set of sequences of a series coded ``RHYTHM`` is an ECG: one sequence of time, and one of each lead, recorded together.
Series coded ``REPRESENTATIVE_BEAT`` and series derived from others are left out. A sample is origin + scale x digit.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ecglens.errors import FormatError, SignalError
from ecglens.io import channels, markup, source
from ecglens.record import Record, Signal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_TIME: Final = "TIME_"  # TIME_ABSOLUTE or TIME_RELATIVE


def recognise(head: bytes) -> bool:
    """Whether a file that begins with ``head`` has the root element of an aECG."""
    return markup.root(head) == "AnnotatedECG"


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open an aECG: as many ECGs as its rhythm series have sets of sequences; ``name`` stands for it in errors.

    Raises FileError where the file is damaged, FormatError for variants that are not read, SignalError for absent or
    impossible rate, scale, unit or lead names; ``read`` raises them too.
    """
    root = markup.parse(given, name)
    rhythms = [series for series in root.findall("component/series") if _attribute(series, "code", "code") == "RHYTHM"]
    sets = [found for series in rhythms for found in series.findall("component/sequenceSet")]
    if not sets:
        raise FormatError(f"{name} holds no series coded RHYTHM with samples: export the whole ECG")
    return source.Opened(len(sets), lambda ecg: _read(sets[ecg - 1], name))


def _read(sequences: "Element", name: str) -> Record:
    coded = [(_attribute(found, "code", "code"), found) for found in sequences.findall("component/sequence")]
    times = [found for code, found in coded if code.startswith(_TIME)]
    stored = [(code.removeprefix(channels.MDC_LEAD), found) for code, found in coded if not code.startswith(_TIME)]
    if len(times) != 1:
        raise SignalError(f"{name} gives {len(times)} sequences of time for one ECG, not one: export the ECG again")
    chosen = channels.choose_leads([code for code, _ in stored], name)
    return Record.from_leads(
        {lead: _signal(stored[i][1], lead, name) for lead, i in chosen.items()}, _rate(times[0], name)
    )


def _rate(time: "Element", name: str) -> float:
    """Return the sampling rate in Hz of a generated list of times: head, head + increment, and so on."""
    value = time.find("value")
    if value is None or _type(value) not in ("GLIST_TS", "GLIST_PQ") or not _is_even(value):
        raise FormatError(
            f"{name} gives its time in a way that is not read: export it with one step from sample to sample"
        )
    step = markup.positive(_attribute(value, "increment", "value"), "increment of time", name)
    unit = _attribute(value, "increment", "unit")
    if unit not in _SECONDS:
        raise SignalError(f"{name} gives its increment of time in {unit[:40]!r}: it must be in s, ms or us")
    return 1 / (step * _SECONDS[unit])


def _signal(sequence: "Element", lead: str, name: str) -> Signal:
    """Return the samples of one lead in mV."""
    value = sequence.find("value")
    if value is None or _type(value) not in ("SLIST_PQ", "SLIST_INT"):
        raise FormatError(f"{name} gives lead {lead} not as a scaled list of samples: export the ECG again")
    volts = partial(_millivolts, value, lead=lead, name=name)
    origin, scale = volts("origin"), volts("scale")
    if scale <= 0:
        raise SignalError(f"{name} gives lead {lead} a scale that is not above 0: export the ECG again")
    return (origin + scale * markup.decode_integers(markup.text(value, "digits"), f"lead {lead}", name)).astype(
        np.float32
    )


def _millivolts(value: "Element", path: str, lead: str, name: str) -> float:
    amount = markup.number(_attribute(value, path, "value"), f"{path} of lead {lead}", name)
    return amount * channels.millivolts(_attribute(value, path, "unit"), lead, name)


def _type(value: "Element") -> str:
    return value.get("type", "").rpartition(":")[2]


def _is_even(value: "Element") -> bool:
    """Whether a generated list takes a step at each place, and never begins again."""
    return value.get("denominator", "1") == "1" and value.get("period") is None


def _attribute(element: "Element", path: str, key: str) -> str:
    found = element.find(path)
    return "" if found is None else found.get(key, "").strip()
