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

from ecglens.paper.edges import Edges, Floats, Size, halve, seen_back
from ecglens.paper.page import Pixels
from ecglens.sessions import open_session

_NETWORK: Final = Path(__file__).with_suffix(".onnx")
_SIDE: Final = 192  # of the square copy that the network sees, pixels
_STEEPEST: Final = 0.7  # of an edge against the picture's sides, rise over run
_TRIED: Final = 24  # points of a side through which lines are tried, two at a time
_NEAR: Final = 1.0  # cells by which a point may be off a line that runs through it
_SEEN: Final = 0.3  # share of a side along which its edge is in the picture at least
_BEYOND: Final = 2  # cells beyond an edge, where
_SURE: Final = 3.0  # are the log-odds that there is no sheet at least (pages of seeds 321 and 556)


def see(picture: Pixels) -> Pixels:
    """Return what the network sees of a picture, RGB: a square copy (192, 192, 3), stretched."""
    size = (_SIDE, _SIDE)
    return np.asarray(cv2.resize(halve(picture, 2 * _SIDE), size, interpolation=cv2.INTER_AREA), np.uint8)


def find_sheet(picture: Pixels) -> Floats:
    """Return the log-odds that there is the sheet in each of (96, 96) cells of a picture, RGB, of any size.

    Below 0 everywhere but in the largest connected piece of what is likelier the sheet.
    """
    inputs = {"pixels": see(picture)[None].astype(np.float32).transpose(0, 3, 1, 2) / 255}
    odds = np.asarray(_network().run(None, inputs)[0][0], np.float64)
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats((odds > 0).astype(np.uint8), connectivity=4)
    boxes[0, cv2.CC_STAT_AREA] = 0
    largest = int(boxes[:, cv2.CC_STAT_AREA].argmax())
    return np.where((pieces == largest) & (odds > 0), odds, -np.abs(odds))


def find_sides(sheet: Floats, size: Size) -> Edges:
    """Return the upper, right, lower and left edge of the sheet in a picture of ``size`` (width, height).

    ``sheet`` is what ``find_sheet`` says of it. Each is two points (2, 2) of the outline, pixels, clockwise; None where
    the sheet runs out of the picture or it is not sure that there is none beyond.
    """
    top, right, bottom, left = (_find_upper(np.rot90(sheet, side), side, size) for side in range(4))
    return top, right, bottom, left


def _find_upper(sheet: Floats, side: int, size: Size) -> Floats | None:
    """The upper edge in a picture turned so that ``side`` is above, in pixels of the picture as it was."""
    width, height = size if side % 2 == 0 else size[::-1]
    columns = np.flatnonzero((sheet > 0).any(axis=0))
    rows = (sheet[:, columns] > 0).argmax(axis=0)
    inside = rows > 0  # those at 0 run out of the picture
    if inside.sum() < max(3, _SEEN * len(columns)):
        return None
    x, row = columns[inside], rows[inside]
    after, before = sheet[row, x], sheet[row - 1, x]
    y = row - after / (after - before)
    points = (np.column_stack([x, y]) + 0.5) * np.array([width, height]) / len(sheet) - 0.5
    slope, start, along = _fit(points, _NEAR * height / len(sheet))
    beyond = sheet[np.maximum(row - _BEYOND, 0), x]
    if along.sum() < max(3, _SEEN * len(columns)) or beyond[along].mean() > -_SURE:
        return None
    ends = points[along, 0][[0, -1]]
    return seen_back(np.column_stack([ends, slope * ends + start]), side, size)


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
