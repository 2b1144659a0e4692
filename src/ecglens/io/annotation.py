"""WFDB annotations: what is known of a record's beats and waves, as the binary file ``NAME.atr``.

The format is from the WFDB Applications Guide, annot(5) (MIT format), its codes from ``ecgcodes.h``, the names of
rhythms from the MIT-BIH Arrhythmia Database. Waves are marked as ecgpuwave(1) marks them: ``(`` onset, ``)`` end, and
the field ``num`` of both says of which wave: 0 P, 1 QRS, 2 T.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from ecglens.errors import SignalError, UsageError
from ecglens.record import Record, Truth

CODES: Final = {
    "N": 1, "L": 2, "R": 3, "a": 4, "V": 5, "F": 6, "J": 7, "A": 8, "S": 9, "E": 10, "j": 11, "/": 12, "Q": 13, "p": 24,
    "B": 25, "^": 26, "t": 27, "+": 28, "e": 34, "n": 35, "x": 37, "f": 38, "(": 39, ")": 40, "r": 41,
}  # fmt: skip

# What holds (a label or a finding), and the rhythm it is; the first that holds names the whole record.
RHYTHMS: Final = (
    ("PACE", "(P"),
    ("AF", "(AFIB"),
    ("AFLT", "(AFL"),
    ("SVTAC", "(SVTA"),
    ("WPW", "(PREX"),
    ("2AVB", "(BII"),
    ("BIGU", "(B"),
    ("TRIGU", "(T"),
    ("SB", "(SBR"),
)

_SKIP, _NUM, _AUX = 59, 60, 63
_LARGEST_STEP: Final = 1023  # samples, in the ten bits beside a code
_END: Final = bytes(2)
_P, _QRS, _T = range(3)


@dataclass(frozen=True, slots=True)
class Mark:
    """One annotation: ``time`` in seconds, ``symbol`` of ``CODES``, the ``wave`` it belongs to, and a ``note``."""

    time: float
    symbol: str
    wave: int = _P
    note: str = ""


def rhythm(truth: Truth) -> str:
    """Name a record's rhythm as the MIT-BIH database does, such as ``"(AFIB"``; ``"(N"`` where nothing else holds."""
    held = truth.labels | truth.findings
    if "3AVB" in held:  # the database has no name for it, only for what then escapes
        return "(NOD" if "j" in truth.beats else "(IVR"
    return next((name for code, name in RHYTHMS if code in held), "(N")


def write(record: Record, path: Path) -> Path:
    """Write the truth of a simulated record as ``path.atr``; return that path.

    The rhythm is noted at the first sample (``+``). Of each P wave, conducted or not, stand onset, middle (``p``) and
    end; of each beat QRS onset, R peak (the beat's code) and end, and onset, peak (``t``) and end of its T wave. Waves
    may overlap, such as a P wave with a T wave at high rates; ``num``, which their middles carry
    too, tells the marks apart. A wave whose middle lies outside the record is left out, and so is a bound that does.

    Raises SignalError where the record has no truth or a beat has an unknown code, UsageError where the file cannot
    be written.
    """
    if record.truth is None:
        raise SignalError("the record has no known beats and waves to annotate: simulate one")
    if unknown := sorted(set(record.truth.beats.tolist()) - CODES.keys()):
        raise SignalError(f"WFDB has no beat {unknown[0]!r}: use one of its codes, such as N, L, R, A, V")
    target = path.with_name(f"{path.name}.atr")
    content = encode(list(marks(record.truth, record.duration)), record.fs, record.signal.shape[1])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    return target


def marks(truth: Truth, duration: float) -> Iterator[Mark]:
    """Give what is known of a record of ``duration`` seconds, wave by wave in order of their onsets."""
    yield Mark(0.0, "+", note=rhythm(truth))
    waves = [_wave(onset, (onset + end) / 2, end, "p", _P) for onset, end in truth.p_waves.tolist()]
    bounds = (truth.waves[name].tolist() for name in ("QRS on", "QRS off", "T on", "T", "T off"))
    for peak, beat, onset, end, *t in zip(truth.r_peaks.tolist(), truth.beats.tolist(), *bounds, strict=True):
        waves += [_wave(onset, peak, end, beat, _QRS), _wave(t[0], t[1], t[2], "t", _T)]
    inside = (wave for wave in waves if wave and 0 <= _middle(wave).time < duration)
    for wave in sorted(inside, key=lambda wave: wave[0].time):
        yield from (mark for mark in wave if 0 <= mark.time < duration)


def encode(marked: list[Mark], fs: float, samples: int) -> bytes:
    """Code annotations in MIT format, in order of time, for a record of ``samples`` samples at ``fs`` Hz."""
    placed = sorted(((min(round(mark.time * fs), samples - 1), mark) for mark in marked), key=lambda pair: pair[0])
    steps = pairwise([(0, Mark(0.0, "+")), *placed])
    return b"".join(_coded(mark, now - before, mark.wave != last.wave) for (before, last), (now, mark) in steps) + _END


def _wave(onset: float, middle: float, end: float, symbol: str, wave: int) -> list[Mark]:
    """Mark the bounds of a wave that are known around its middle."""
    found = [Mark(onset, "(", wave), Mark(middle, symbol, wave), Mark(end, ")", wave)]
    return [mark for mark in found if not math.isnan(mark.time)]


def _middle(wave: list[Mark]) -> Mark:
    return next(mark for mark in wave if mark.symbol not in "()")


def _coded(mark: Mark, step: int, new_wave: bool) -> bytes:
    code = CODES[mark.symbol]
    coded = _word(code, step) if step <= _LARGEST_STEP else _skip(step) + _word(code, 0)
    if new_wave:
        coded += _word(_NUM, mark.wave)
    if mark.note:
        note = mark.note.encode("ascii")
        coded += _word(_AUX, len(note)) + note + bytes(len(note) % 2)
    return coded


def _skip(step: int) -> bytes:
    """Code an interval of many samples: its high 16 bits come first."""
    return _word(_SKIP, 0) + (step >> 16).to_bytes(2, "little") + (step & 0xFFFF).to_bytes(2, "little")


def _word(code: int, value: int) -> bytes:
    return (code << 10 | value).to_bytes(2, "little")
