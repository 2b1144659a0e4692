"""Where the names of leads are printed on a page, and where the trace of each begins."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.leads import LEADS
from ecglens.paper.page import Pixels
from ecglens.sessions import open_session

Chances = npt.NDArray[np.float32]

NAMES: Final = (*LEADS, "-aVR")  # in the order of the network's answers

_LEAST: Final = 0.2  # probability of what may be a name
_CELL: Final = 8  # pixels of the page a side of each answer
_UNIT: Final = 40.0  # pixels: of the network's distances
_CLEAR: Final = 0.4  # probability of a name that says on which side of their traces a page's names stand
_DECIDED: Final = 30.0  # log-odds of that side, of all names together, beyond which it is no question
_SMALLER: Final = 0.7  # times the page's size: names farther from their traces than any drawn for training seem nearer
_NEAR: Final = 3  # cells within which there is but one name


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A lead's name in print: the ``chances`` (13,) of ``NAMES``, and where its trace begins, pixels from the corner.

    ``settled`` is the name it is taken for, where more than the print says so.
    """

    chances: Chances
    start: tuple[float, float]
    settled: str | None = None

    @property
    def name(self) -> str:
        """The name it is taken for."""
        return self.settled or NAMES[int(self.chances.argmax())]

    @property
    def probability(self) -> float:
        """How likely it is to be that name."""
        return float(self.chances[NAMES.index(self.name)])

    @property
    def assumed(self) -> bool:
        """Whether nothing in print says that it is that name."""
        return self.probability < _LEAST


def find_names(pixels: Pixels) -> list[list[Name]]:
    """Return what may be the names on a page of 4 pixels a mm: in one way or in two ways, the likelier first.

    Names stand over their traces on some pages and under them on others, and between close rows one name does not tell
    which; but those of a page all stand on the same side, so they settle it together, or leave it open.
    """
    ways, odds = _look(pixels)
    return ways[: 1 + (abs(odds) < _DECIDED)]


def find_far_names(pixels: Pixels) -> list[list[Name]]:
    """The same where names stand far from their traces: both ways, found on a smaller copy of the page."""
    size = (max(1, round(pixels.shape[1] * _SMALLER)), max(1, round(pixels.shape[0] * _SMALLER)))
    ways, _ = _look(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
    across, down = (size[axis] / pixels.shape[1 - axis] for axis in (0, 1))
    return [[replace(name, start=(name.start[0] / across, name.start[1] / down)) for name in way] for way in ways]


def _look(pixels: Pixels) -> tuple[list[list[Name]], float]:
    """What may be names, both ways, the likelier first, and the log-odds of their standing under their traces."""
    height, width = pixels.shape[:2]
    padded = cv2.copyMakeBorder(pixels, 0, -height % 16, 0, -width % 16, cv2.BORDER_REPLICATE)
    inputs = {"pixels": padded.transpose(2, 0, 1)[None].astype(np.float32) / 255}
    named, placed = (network.run(None, inputs)[0][0] for network in _networks())
    chances = 1 / (1 + np.exp(-np.maximum(named[: len(NAMES)], placed[: len(NAMES)])))
    best = np.ascontiguousarray(chances.max(axis=0))
    peaks = (best >= _LEAST) & (best == cv2.dilate(best, np.ones((_NEAR, _NEAR))))
    across, over, under, side = placed[len(NAMES) :]
    odds = float(side[peaks & (best >= _CLEAR)].sum())
    ways = [under, over] if odds > 0 else [over, under]
    cells = np.argwhere(peaks).tolist()
    return [[_name(chances, across, down, *cell) for cell in cells] for down in ways], odds


def _name(chances: Chances, across: Chances, down: Chances, row: int, column: int) -> Name:
    x, y = (_CELL * index + (_CELL - 1) / 2 for index in (column, row))
    start = (x + float(across[row, column]) * _UNIT, y + float(down[row, column]) * _UNIT)
    near = chances[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]  # names are told apart next door, too
    return Name(near.max(axis=(1, 2)), start)


@cache
def _networks() -> tuple[Any, Any]:
    """Two networks that find names: one knows more lettering, the other smaller, and where traces begin."""
    names, starts = (Path(__file__).with_name(f"{name}.onnx") for name in ("names", "starts"))
    return open_session(names.read_bytes()), open_session(starts.read_bytes())
