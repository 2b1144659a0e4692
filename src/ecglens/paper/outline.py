"""Find where in a picture the sheet lies: a small network says of each place in a reduced copy if it shows the sheet.

It knows paper with a grid, traces and letters from desks, other papers and the frames of screens. It was trained on
drawn pages on all kinds of grounds (``benchmarks/outline.py``). A straight line along each side of what it marks is an
edge of the sheet, where it is sure that the sheet goes no further.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.edges import SEEN, Edges, Floats, Size, halve, seen_back
from ecglens.paper.page import Pixels
from ecglens.sessions import open_session

_NETWORK: Final = Path(__file__).with_suffix(".onnx")
CELLS: Final = 96  # to a side of the picture, of each of which the network says if it shows the sheet
_SIDE: Final = 2 * CELLS  # of the square copy that the network sees, pixels
_GAP: Final = 5  # cells that may lie across the sheet
_OTHER: Final = 0.3  # of the largest piece, from which on another one is another sheet
_STEEPEST: Final = 0.7  # of an edge against the picture's sides, rise over run
_TRIED: Final = 24  # points of a side through which lines are tried, two at a time
_NEAR: Final = 1.0  # cells by which a point may be off a line that runs through it
# Log-odds on both sides of the answer, chosen on pages of seeds 321 (worn) and 556 (on grounds).
_SURE: Final = 2.2  # that there is no sheet this many
_BEYOND: Final = 2  # cells beyond an edge that is sure
_GOES_ON: Final = 3.0  # that there is the sheet, at a side of the picture where it runs out of it


def see(picture: Pixels) -> Pixels:
    """Return what the network sees of a picture, RGB: a square copy (192, 192, 3), stretched."""
    size = (_SIDE, _SIDE)
    return np.asarray(cv2.resize(halve(picture, 2 * _SIDE), size, interpolation=cv2.INTER_AREA), np.uint8)


def find_sheet(picture: Pixels) -> Floats:
    """Return the log-odds that there is the sheet in each of (96, 96) cells of a picture, RGB, of any size.

    Above 0 only in one piece, which what lies across the sheet may divide; 0 everywhere if there are several sheets.
    """
    inputs = {"pixels": see(picture)[None].astype(np.float32).transpose(0, 3, 1, 2) / 255}
    odds = np.asarray(_network().run(None, inputs)[0][0], np.float64)
    joined = cv2.morphologyEx((odds > 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    areas = np.array([0, *boxes[1:, cv2.CC_STAT_AREA]])
    if (areas >= max(1, _OTHER * areas.max())).sum() > 1:
        return np.zeros_like(odds)
    return np.where((odds <= 0) | (pieces == areas.argmax()), odds, 0.0)


def find_sides(sheet: Floats, size: Size) -> tuple[Edges, list[int]]:
    """Return the upper, right, lower and left edge of the sheet in a picture of ``size`` (width, height).

    ``sheet`` is what ``find_sheet`` says of it. Each edge is two points (2, 2) of the outline, pixels, clockwise, or
    None where the sheet runs out of the picture. Also returned: the sides (0: upper, 1: right, ...) that are unsure.
    """
    edges: list[Floats | None] = []
    unsure = []
    for side in range(4):
        seen = np.rot90(sheet, side)
        edge = _find_upper(seen, size if side % 2 == 0 else size[::-1])
        edges.append(None if edge is None else seen_back(edge, side, size))
        if edge is None and not _runs_out(seen):
            unsure.append(side)
    top, right, bottom, left = edges
    return (top, right, bottom, left), unsure


def _runs_out(sheet: Floats) -> bool:
    """Whether it is sure that the sheet goes on above the picture."""
    return bool(sheet[0, (sheet > 0).any(axis=0)].mean() > _GOES_ON) if (sheet > 0).any() else False


def _find_upper(sheet: Floats, size: Size) -> Floats | None:
    """The upper edge in a picture of ``size``, if it is sure."""
    columns = np.flatnonzero((sheet > 0).any(axis=0))
    rows = (sheet[:, columns] > 0).argmax(axis=0)
    inside = rows > 0  # those at 0 run out of the picture
    if inside.sum() < max(3, SEEN * len(columns)):
        return None
    x, row = columns[inside], rows[inside]
    after, before = sheet[row, x], sheet[row - 1, x]
    y = row - after / (after - before)
    points = (np.column_stack([x, y]) + 0.5) * np.array(size) / len(sheet) - 0.5
    slope, start, along = _fit(points, _NEAR * size[1] / len(sheet))
    beyond = sheet[np.maximum(row - _BEYOND, 0), x]
    if along.sum() < max(3, SEEN * len(columns)) or beyond[along].mean() > -_SURE:
        return None
    ends = points[along, 0][[0, -1]]
    return np.column_stack([ends, slope * ends + start])


def _fit(points: Floats, near: float) -> tuple[float, float, npt.NDArray[np.bool_]]:
    """Slope and start of the line along which most of the points (n, 2) lie, and which of them (n,) do."""
    some = points[np.unique(np.linspace(0, len(points) - 1, _TRIED).astype(np.intp))]
    one, other = (some[each] for each in np.triu_indices(len(some), 1))
    slopes = (other - one)[:, 1] / (other - one)[:, 0]
    starts = one[:, 1] - slopes * one[:, 0]
    close = np.abs(slopes[:, None] * points[:, 0] + starts[:, None] - points[:, 1]) < near
    best = int((close.sum(axis=1) * (np.abs(slopes) <= _STEEPEST)).argmax())
    slope, start, along = float(slopes[best]), float(starts[best]), close[best] & (abs(slopes[best]) <= _STEEPEST)
    for _ in range(2):
        if along.sum() < 3:
            break
        slope, start = np.polyfit(points[along, 0], points[along, 1], 1)
        along = np.abs(slope * points[:, 0] + start - points[:, 1]) < near
    return float(slope), float(start), along


@cache
def _network() -> Any:
    return open_session(_NETWORK.read_bytes(), threads=1)  # so small that more would only wait
