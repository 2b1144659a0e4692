"""What the effects share: sizes on a picture, points spread over it, and laying colour and light on it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Pixels, Points
from ecglens.paper.style import Colour

Rng = np.random.Generator
Floats = npt.NDArray[np.float32]
Scale = tuple[float, float]  # pixels per mm, across and down

STEP: Final = 6  # pixels between the points of a mesh
LIGHT_UNIT: Final = 200.0  # the 8-bit level of a light that changes nothing
NO_MAP: Final[Any] = None  # the second of OpenCV's two, where the first holds both coordinates
_MOST_POINTS: Final = 32_000  # that cv2.remap takes at once


class Dose(NamedTuple):
    """How strong an effect is, 0-1, and its own stream of chance: what other effects draw does not change it."""

    strength: float
    rng: Rng


@dataclass(frozen=True, slots=True)
class Mesh:
    """Points ``STEP`` pixels apart over ``size`` (width, height) pixels, and ``rim`` of them beyond each edge."""

    size: tuple[int, int]
    rim: int = 1

    def points(self) -> Points:
        """The pixel positions, (rows, columns, 2)."""
        return _mesh_points(self)

    def fill(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values (rows, columns, ...) at the points, spread linearly over the pixels."""
        (width, height), first = self.size, self.rim * STEP
        spread = cv2.resize(values, None, fx=STEP, fy=STEP, interpolation=cv2.INTER_LINEAR)
        return np.asarray(spread[first : first + height, first : first + width])

    def look_up(self, values: Floats, points: Points) -> Floats:
        """Values (rows, columns, k) at any pixel positions (n, 2), linearly between the mesh's points; (n, k)."""
        index = points * np.float32(1 / STEP) + np.float32(self.rim - 0.5 + 0.5 / STEP)
        index = np.fmax(index, np.float32(0))  # which also takes NaN to 0; what is beyond the mesh is as at its edge
        parts = [index[None, first : first + _MOST_POINTS] for first in range(0, len(index), _MOST_POINTS)]
        if not parts:
            return np.empty((0, values.shape[2]), np.float32)
        found = [cv2.remap(values, part, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in parts]
        return np.concatenate(found, axis=1, dtype=np.float32).reshape(len(index), -1)


@lru_cache(maxsize=8)  # training pages are all of one size
def _mesh_points(mesh: Mesh) -> Points:
    across, down = ((np.arange(-(-length // STEP) + 2 * mesh.rim) - mesh.rim) * STEP for length in mesh.size)
    points = np.stack(np.meshgrid(across + (STEP - 1) / 2, down + (STEP - 1) / 2), -1).astype(np.float32)
    points.flags.writeable = False
    return points


def size_of(pixels: Pixels) -> tuple[int, int]:
    """Width and height in pixels."""
    return pixels.shape[1], pixels.shape[0]


def extent_of(pixels: Pixels, scale: Scale) -> tuple[float, float]:
    """Width and height of the page in mm."""
    return pixels.shape[1] / scale[0], pixels.shape[0] / scale[1]


def blend(pixels: Pixels, cover: Pixels, corner: tuple[int, int], colour: Colour, glaze: bool) -> None:
    """Lay ``colour`` over the patch of ``pixels`` at ``corner`` as densely as ``cover`` (h, w) says.

    A glaze lets what is under it through, as ink does; else the colour hides it.
    """
    left, top = corner
    (height, width), (x, y) = cover.shape, (max(0, -left), max(0, -top))
    patch = pixels[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    seen = cover[y : y + patch.shape[0], x : x + patch.shape[1]]
    if not seen.size:
        return
    share, tone = np.arange(256)[:, None, None] / 255, np.array(colour)
    covers, kept = cv2.merge([seen] * 3), 255 - share * (255 - tone if glaze else np.full(3, 255))
    left_over = cv2.multiply(patch, cv2.LUT(covers, _levels(kept)), scale=1 / 255)
    patch[:] = left_over if glaze else cv2.add(left_over, cv2.LUT(covers, _levels(share * tone)))


def _levels(table: npt.NDArray[np.float64]) -> Pixels:
    return np.rint(table).astype(np.uint8)


def empty_cover(shape: Points, scale: Scale, rim: float = 0.0) -> tuple[Pixels, tuple[int, int], Points]:
    """An empty cover around ``shape`` (n, 2) mm and ``rim`` mm more, its corner, and the shape on it in 1/16 pixels."""
    placed = shape * np.array(scale, np.float32)
    beyond = np.array(scale) * rim + 3
    low, high = np.floor(placed.min(0) - beyond).astype(int), np.ceil(placed.max(0) + beyond).astype(int)
    columns, rows = (high - low).tolist()
    return (
        np.zeros((rows, columns), np.uint8),
        (int(low[0]), int(low[1])),
        np.rint((placed - low) * 16).astype(np.int32),
    )


def quantize(factor: npt.NDArray[Any]) -> Pixels:
    """Factors of light in 8 bits, of which ``LIGHT_UNIT`` is 1: OpenCV multiplies those fastest."""
    return np.clip(factor * LIGHT_UNIT + 0.5, 0, 255).astype(np.uint8)


def illuminate(pixels: Pixels, levels: Pixels) -> Pixels:
    """Pixels in a light of ``levels`` that ``quantize`` made, of the same shape."""
    return np.asarray(cv2.multiply(pixels, levels, scale=1 / LIGHT_UNIT), np.uint8)
