"""Rows of leads on a page: how high the trace is in every column of one."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Pixels
from ecglens.paper.reading.names import Name
from ecglens.record import correlation
from ecglens.sessions import open_session

Floats = npt.NDArray[np.float32]

HEIGHT: Final = 288  # pixels of a strip: 36 mm above and below the row's level

_BEFORE: Final = 16  # pixels of a strip before its first trace
_REACH: Final = 3  # pixels around the likeliest height that count for it
_SHORTEST: Final = 40  # columns of a stretch
_BEGINNING: Final = 160  # columns that a trace's beginning is the median of
_FRAYED: Final = 8  # columns at a trace's ends, up to the innermost uncertain one of which they are left out
_SURE_END: Final = 0.3  # certainty of a trace's ends
_LONGER: Final = 1.3  # times the longest other lead of a row, which its last one may be long
_WARPED: Final = 6  # columns that two rows may be off against each other
_APART: Final = 3.0  # pixels between two traces


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """One lead's trace: its ``heights`` (n,), pixels from the page's top in the columns from ``x`` on, NaN where lost.

    ``sign`` is -1 where the lead is shown upside down. ``certainty`` (n,) is how likely each height is. ``assumed``
    says that the lead's name follows from those around it alone. ``off`` is how many pixels up or down the trace begins
    from where its name says.
    """

    lead: str
    sign: int
    x: int
    heights: Floats
    certainty: Floats
    assumed: bool = False
    off: float = 0.0

    def millivolts(self, px_per_mv: float) -> Floats:
        """The signal (n,) about its median."""
        return np.asarray(self.sign * (np.nanmedian(self.heights) - self.heights) / px_per_mv, np.float32)

    @property
    def likelihood(self) -> float:
        """The mean certainty of what was not lost."""
        return float(self.certainty[np.isfinite(self.heights)].mean())

    def coincides(self, other: "Stretch") -> bool:
        """Whether both run along the same ink, where they lie over each other."""
        first, last = max(self.x, other.x), min(self.x + len(self.heights), other.x + len(other.heights))
        one, two = (each.heights[first - each.x : max(last - each.x, 0)] for each in (self, other))
        apart = np.abs(one - two) if last > first else np.empty(0)
        return bool(np.isfinite(apart).sum() >= _SHORTEST and np.nanmedian(apart) < _APART)

    def likeness(self, other: "Stretch") -> float:
        """The correlation of both in the columns they share, moved a little for warped paper; NaN for none shared."""
        return float(np.fmax.reduce([self._correlation(other, moved) for moved in range(-_WARPED, _WARPED + 1, 2)]))

    def _correlation(self, other: "Stretch", moved: int) -> float:
        begin = other.x + moved
        first, last = max(self.x, begin), min(self.x + len(self.heights), begin + len(other.heights))
        one, two = (each.heights[first - x : max(last - x, 0)] for each, x in ((self, self.x), (other, begin)))
        return self.sign * other.sign * correlation(one, two, _SHORTEST)


def follow(pixels: Pixels, row: list[Name]) -> list[Stretch]:
    """Return the trace of each lead of a row: from where it begins to where the next one does, or where it ends.

    The last one is hardly longer than the others: what follows it on pages of 15 leads is another lead.
    """
    first = max(0, round(row[0].start[0]) - _BEFORE)
    if first >= pixels.shape[1]:
        return []
    level = np.interp(np.arange(first, pixels.shape[1]), *np.transpose([name.start for name in row])).astype(np.float32)
    strip = _cut(pixels, first, level)
    heights, certainty = _ask(strip)
    heights += level - (HEIGHT - 1) / 2
    heights[(heights < -0.5) | (heights > len(pixels) - 0.5)] = np.nan  # beyond the page there is nothing to read
    starts = [max(round(name.start[0]), first) for name in row]
    last = starts[-1] + round(_LONGER * max(np.diff(starts))) if len(row) > 1 else pixels.shape[1]
    ends = [*starts[1:], min(last, pixels.shape[1])]
    found = [
        _stretch(name, *span, first, heights, certainty)
        for name, span in zip(row, zip(starts, ends, strict=True), strict=True)
    ]
    return [stretch for stretch in found if stretch is not None]


def _cut(pixels: Pixels, first: int, level: Floats) -> Pixels:
    """The strip (192, n, 3) around ``level`` (n,), from column ``first`` on."""
    columns = np.arange(first, first + len(level), dtype=np.float32)
    down = (np.arange(HEIGHT, dtype=np.float32) - (HEIGHT - 1) / 2)[:, None]
    across = np.broadcast_to(columns, (HEIGHT, len(level)))
    return np.asarray(
        cv2.remap(pixels, across, level + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _ask(strip: Pixels) -> tuple[Floats, Floats]:
    """Height of the trace in every column of a strip, pixels from its top, NaN where none is; and its certainty."""
    width = strip.shape[1]
    padded = cv2.copyMakeBorder(strip, 0, 0, 0, -width % 16, cv2.BORDER_REPLICATE)
    inputs = {"pixels": padded.transpose(2, 0, 1)[None].astype(np.float32) / 255}
    answers, shown = (answer[0][..., :width] for answer in _network().run(None, inputs))
    chances = np.exp(answers - answers.max(axis=0))
    chances /= chances.sum(axis=0)
    near = chances.argmax(axis=0) + np.arange(-_REACH, _REACH + 1)[:, None]
    weights = np.take_along_axis(chances, np.clip(near, 0, HEIGHT - 1), axis=0) * ((near >= 0) & (near < HEIGHT))
    certainty = weights.sum(axis=0)
    heights = (weights * near).sum(axis=0) / certainty
    heights[shown < 0] = np.nan
    return heights.astype(np.float32), certainty.astype(np.float32)


def _stretch(name: Name, start: int, end: int, first: int, heights: Floats, certainty: Floats) -> Stretch | None:
    """What of a row is this lead's, without what is lost at its ends; None where next to nothing is left."""
    seen = np.flatnonzero(np.isfinite(heights[start - first : end - first]))
    if len(seen) < _SHORTEST:
        return None
    unsure = certainty[start - first + seen] < _SURE_END  # where one trace ends and another begins it may jump
    head, tail = np.flatnonzero(unsure[:_FRAYED]), np.flatnonzero(unsure[-_FRAYED:])
    kept = seen[head[-1] + 1 if len(head) else 0 : len(seen) - _FRAYED + tail[0] if len(tail) else None]
    span = slice(start - first, start - first + int(kept[-1]) + 1)
    trace = np.where(np.arange(kept[-1] + 1) < kept[0], np.float32(np.nan), heights[span])
    sign = -1 if name.name.startswith("-") else 1
    off = abs(float(np.nanmedian(trace[: kept[0] + _BEGINNING])) - name.start[1])
    return Stretch(name.name.removeprefix("-"), sign, start, trace, certainty[span], name.assumed, off)


@cache
def _network() -> Any:
    return open_session(Path(__file__).with_name("traces.onnx").read_bytes())
