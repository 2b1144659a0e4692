"""Lettering as strokes of a pen: drawn by the same hand as the traces, on pixels and in vector files alike.

The letters are A. V. Hershey's, whose plotter alphabets early machines wrote with. They are the same on every system
and in every version of the drawing library, which the same seed's same pixels need.
"""

from functools import cache, lru_cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Points

Font = Literal["sans", "bold", "serif", "serif-bold"]
FONTS: Final[tuple[Font, ...]] = get_args(Font)

N = TypeVar("N", bound=np.generic)

_CAPITAL: Final = 21.0  # units of the font files
_FILES: Final = {"bold": "sans"}  # a bold sans is the plain one from a broader pen
_PENS: Final = {"sans": 1 / 9, "bold": 1 / 6, "serif": 1 / 16, "serif-bold": 1 / 15}  # of a capital's height


class Strokes(NamedTuple):
    """Polylines laid end to end: ``points`` (n, 2), and how many of them make each line."""

    points: Points
    lengths: tuple[int, ...]

    def lines(self) -> list[Points]:
        """The polylines one by one."""
        return pieces(self.points, self.lengths)


class _Glyph(NamedTuple):
    advance: float
    strokes: Strokes


def pieces(rows: npt.NDArray[N], lengths: tuple[int, ...]) -> list[npt.NDArray[N]]:
    """Return ``rows`` cut into pieces of ``lengths``; they share its memory."""
    return [rows[a:b] for a, b in pairwise(accumulate(lengths, initial=0))]


def join(parts: list[Strokes]) -> Strokes:
    """Return the strokes of all ``parts``."""
    if not parts:
        return Strokes(np.empty((0, 2), np.float32), ())
    return Strokes(np.concatenate([part.points for part in parts]), tuple(chain(*(part.lengths for part in parts))))


def write(texts: tuple[str, ...], font: Font, height: float, at: Points) -> Strokes:
    """Return the strokes of ``texts``, capitals ``height`` high, lower left corners ``at``, (n, 2), y downwards."""
    strokes, text = _together(texts, _FILES.get(font, font))
    return Strokes(strokes.points * np.float32(height) + at[text], strokes.lengths)


def text_width(text: str, font: Font, height: float) -> float:
    """Width of ``text`` in capitals ``height`` high."""
    return _unit(text, _FILES.get(font, font)).advance * height


def pen_width(font: Font, height: float) -> float:
    """Width of the pen that writes capitals ``height`` high."""
    return _PENS[font] * height


@lru_cache(maxsize=256)
def _together(texts: tuple[str, ...], file: str) -> tuple[Strokes, npt.NDArray[np.int64]]:
    """``texts`` in capitals of height 1, all at one place, and of each point the text that it belongs to."""
    units = [_unit(text, file).strokes for text in texts]
    return join(units), np.repeat(np.arange(len(units)), [len(unit.points) for unit in units])


@lru_cache(maxsize=256)
def _unit(text: str, file: str) -> _Glyph:
    """``text`` in capitals of height 1; a character that the font lacks is written as a question mark."""
    glyphs, left, parts = _load(file), 0.0, []
    for character in text:
        glyph = glyphs.get(character, glyphs["?"])
        parts.append(Strokes(glyph.strokes.points + np.array((left, 0), np.float32), glyph.strokes.lengths))
        left += glyph.advance
    return _Glyph(left, join(parts))


@cache
def _load(file: str) -> dict[str, _Glyph]:
    text = (Path(__file__).parent / "fonts" / f"{file}.txt").read_text(encoding="ascii")
    return {line[0]: _parse(line[1:]) for line in text.split("\n\n")[1].splitlines()}


def _parse(line: str) -> _Glyph:
    advance, *strokes = line.split()
    lines = [[[float(value) for value in pair.split(",")] for pair in stroke.split(";")] for stroke in strokes]
    points = np.array([pair for stroke in lines for pair in stroke], np.float32).reshape(-1, 2)
    return _Glyph(float(advance) / _CAPITAL, Strokes(points / np.float32(_CAPITAL), tuple(len(line) for line in lines)))
