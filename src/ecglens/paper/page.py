"""A page: pixels, and where on them each lead is. Pixels and annotations move together."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.errors import PictureError

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One lead's stretch of signal on a page.

    ``points`` is (n, 2) float32 pixel positions (x, y), one a drawn sample, NaN where nothing was recorded.
    ``start`` and ``fs`` say which samples of the record they are: sample k is at ``start + k / fs`` seconds.
    """

    lead: str
    points: npt.NDArray[np.float32]
    start: float
    fs: float


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A picture of an ECG: ``pixels`` uint8 RGB, shape (H, W, 3); ``px_per_mm`` and ``traces`` where known.

    Raises PictureError when ``pixels`` is not such an array.
    """

    pixels: Pixels
    px_per_mm: float | None = None
    traces: tuple[Trace, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            given = f"{self.pixels.dtype} {self.pixels.shape}"
            raise PictureError(f"a page needs uint8 RGB pixels (H, W, 3), got {given}: convert it first")

    def warp(
        self, matrix: npt.NDArray[np.float64], size: tuple[int, int], paper: tuple[int, int, int] = (255, 255, 255)
    ) -> "Page":
        """Return the page under a 3x3 projective ``matrix`` (old to new pixels), ``size`` (width, height).

        Every trace moves with the pixels. ``paper`` fills what the old page did not cover. ``px_per_mm`` is kept
        where the matrix is a rotation with one scale, and dropped where the scale varies over the page.
        """
        pixels = cv2.warpPerspective(
            self.pixels, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=paper
        )
        traces = tuple(replace(trace, points=transform(trace.points, matrix)) for trace in self.traces)
        linear = matrix[:2, :2] / matrix[2, 2]
        scale = float(np.sqrt(abs(np.linalg.det(linear))))
        similar = np.allclose(matrix[2, :2], 0) and np.allclose(linear @ linear.T, scale**2 * np.eye(2), rtol=1e-3)
        px_per_mm = self.px_per_mm * scale if self.px_per_mm and similar else None
        return Page(np.asarray(pixels, np.uint8), px_per_mm, traces)


def transform(points: npt.NDArray[np.float32], matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Map (n, 2) pixel positions by a 3x3 projective matrix; NaN stays NaN."""
    if matrix[2].tolist() == [0, 0, 1]:
        return points @ matrix[:2, :2].T.astype(np.float32) + matrix[:2, 2].astype(np.float32)
    homogeneous = np.column_stack([points.astype(np.float64), np.ones(len(points))]) @ matrix.T
    return (homogeneous[:, :2] / homogeneous[:, 2:]).astype(np.float32)
