"""A page: pixels, and where on them each lead is. Pixels and annotations move together."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.errors import PictureError

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

NODE_MM: Final = 5.0  # close enough that what lies between is found to half a pixel on crumpled paper


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One lead's stretch of signal on a page.

    ``lead`` is its name, ``-aVR`` where aVR is shown upside down. ``points`` is (n, 2) float32 pixel positions (x, y),
    one a drawn sample, NaN where nothing was recorded.
    ``start`` and ``fs`` say which samples of the record they are: sample k is at ``start + k / fs`` seconds.
    """

    lead: str
    points: Points
    start: float
    fs: float


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Where something of a lead stands: its ``"panel"`` (the room of its trace) or its ``"label"`` (its name in print).

    ``corners`` is (4, 2) float32 pixel positions from the upper left clockwise, as seen on the upright sheet.
    """

    lead: str
    kind: Literal["panel", "label"]
    corners: Points


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A picture of an ECG: ``pixels`` uint8 RGB, shape (H, W, 3); where known, ``px_per_mm``, ``traces`` and ``boxes``.

    ``nodes`` is (rows, columns, 2) float32: the pixel positions of the points that lie every ``NODE_MM`` mm on the
    sheet, from its upper left corner on; so it says where paper went, flat or curled. Raises PictureError when
    ``pixels`` is not such an array.
    """

    pixels: Pixels
    px_per_mm: float | None = None
    traces: tuple[Trace, ...] = ()
    boxes: tuple[Box, ...] = ()
    nodes: Points | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            given = f"{self.pixels.dtype} {self.pixels.shape}"
            raise PictureError(f"a page needs uint8 RGB pixels (H, W, 3), got {given}: convert it first")

    def moved(self, pixels: Pixels, move: Callable[[Points], Points], px_per_mm: float | None = None) -> "Page":
        """Return the page as ``pixels`` show it: ``move`` takes (n, 2) old pixel positions to new ones, NaN to NaN."""
        places = [trace.points for trace in self.traces] + [box.corners for box in self.boxes]
        places += [] if self.nodes is None else [self.nodes.reshape(-1, 2)]
        if not places:
            return Page(pixels, px_per_mm)
        everything = move(np.concatenate(places))  # at once: calls for each trace would take longer than the sums
        moved = (everything[b - len(a) : b] for a, b in zip(places, accumulate(map(len, places)), strict=True))
        traces = tuple(Trace(trace.lead, next(moved), trace.start, trace.fs) for trace in self.traces)
        boxes = tuple(Box(box.lead, box.kind, next(moved)) for box in self.boxes)
        nodes = None if self.nodes is None else next(moved).reshape(self.nodes.shape)
        return Page(pixels, px_per_mm, traces, boxes, nodes)


def transform(points: Points, matrix: npt.NDArray[np.float64]) -> Points:
    """Map (n, 2) pixel positions by a 3x3 projective matrix; NaN stays NaN."""
    if len(points) == 0:
        return points
    if matrix[2].tolist() == [0, 0, 1]:  # many times as fast as numpy's product
        moved = np.asarray(cv2.transform(points[None], matrix[:2])[0], np.float32)
        if np.isnan(points).any():
            moved[np.isnan(points).any(axis=1)] = np.nan
        return moved
    homogeneous = np.column_stack([points.astype(np.float64), np.ones(len(points))]) @ matrix.T
    return (homogeneous[:, :2] / homogeneous[:, 2:]).astype(np.float32)


def enlargement(matrix: npt.NDArray[np.float64], place: npt.NDArray[np.float64]) -> float:
    """How many times as long a 3x3 projective matrix makes lengths at a place (2,), the mean of both ways."""
    at = cv2.perspectiveTransform((place + np.array([(0, 0), (1, 0), (0, 1)]))[None], matrix)[0]
    return float(abs(np.linalg.det(at[1:] - at[0])) ** 0.5)
