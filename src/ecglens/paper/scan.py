"""Judge whether a picture shows a legible 12-lead ECG, and say why where it does not.

The picture is reduced, what is darker than the paper around it becomes ink, and the ink's wide connected pieces are
taken for traces if they look like them: thin, along straight baselines in several rows, with narrow spikes (the QRS
complexes) that stand above one another in all rows, since all leads show the same beats. How much each of these
properties counts is fitted on drawn pages and on pictures that show no ECG (``benchmarks/legibility.py``).
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Page, Pixels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Least picture in which the leads of a whole page can still be told apart, pixels.
MIN_LONG_SIDE: Final = 280
MIN_SHORT_SIDE: Final = 100

# Share of the sharpest steps in the ink's contrast: a blur of 2 pixels at 720 pixels a page gives 0.25, a scan 0.75.
MIN_SHARPNESS: Final = 0.23
MIN_CONTRAST: Final = 0.06
MIN_ROWS: Final = 2.5

_WORK: Final = 720  # long side of the reduced copy, pixels
_GRID_PATCH: Final = 192  # side of the square in its middle in which the grid is looked for, pixels
_MIN_GRID: Final = 0.12

# Shares of the picture that may be trace: the best of them counts. The first fits most pages, the next ones crowded
# or small pages and those with a sparse trace.
_INK_SHARES: Final = (0.032, 0.05, 0.02, 0.08)

FEATURES: Final = (
    "rows",
    "alignment",
    "excursion",
    "spike_width",
    "uprights",
    "crossings",
    "pieces_per_row",
    "thin",
    "tall",
    "baseline",
    "straight",
    "spikes",
    "ink_in_traces",
    "ink",
    "evenness",
    "slopes",
    "wander",
    "cut",
)


@dataclass(frozen=True, slots=True)
class Quality:
    """How legible a picture is as a 12-lead ECG.

    ``width`` and ``height`` are pixels. ``px_per_mm`` is the estimate from the grid, None where none is found.
    ``sharpness`` is the steepest step in the ink's contrast (0-1), ``contrast`` the ink's darkness against the paper
    (0-1), ``ink`` the share of the picture taken for ink, ``rows`` the rows of traces seen, ``likeness`` the log-odds
    that these are ECG traces. ``reason`` is None for a legible ECG, else one sentence for who took the picture.
    """

    width: int
    height: int
    px_per_mm: float | None
    sharpness: float
    contrast: float
    ink: float
    rows: float
    likeness: float
    reason: str | None

    @property
    def legible(self) -> bool:
        """Whether the picture is worth a diagnosis."""
        return self.reason is None

    def as_dict(self) -> dict[str, Any]:
        """The values for JSON, rounded to what they are worth."""
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Runs:
    """Vertical runs of ink in the wide pieces, column by column: ``x``, ``top``, ``bottom`` (inclusive), ``piece``."""

    x: Ints
    top: Ints
    bottom: Ints
    piece: Ints
    widths: Floats  # of each piece, pixels


def assess(page: Page) -> Quality:
    """Judge the picture in ``page.pixels`` as it lies: the leads must read from left to right.

    Takes a few milliseconds whatever the size; never raises for a valid page.
    """
    height, width = page.pixels.shape[:2]
    if max(height, width) < MIN_LONG_SIDE or min(height, width) < MIN_SHORT_SIDE:
        return Quality(width, height, None, 0.0, 0.0, 0.0, 0.0, 0.0, _too_small(width, height))
    lightest, darkest = _reduced(page.pixels)
    darkness = _darkness(lightest)
    contrast, sharpness = _contrast(darkness), _sharpness(darkness)
    ink, rows, likeness = _best_traces(darkness)
    period = _grid_period(darkest)
    px_per_mm = period * width / darkest.shape[1] if period else None
    reason = _reason(lightest, darkness, contrast, sharpness, rows, likeness)
    return Quality(width, height, px_per_mm, sharpness, contrast, ink, rows, likeness, reason)


def trace_features(pixels: Pixels) -> Floats:
    """Return (cuts, features): the properties named in ``FEATURES`` for every cut between ink and paper."""
    darkness = _darkness(_reduced(pixels)[0])
    return np.array([_features(darkness, cut) for cut in _cuts(darkness)])


def _too_small(width: int, height: int) -> str:
    return (
        f"The picture is too small ({width} x {height} pixels): "
        f"scan or photograph the page with at least {MIN_LONG_SIDE} x {MIN_SHORT_SIDE} pixels, better 1000 across"
    )


def _reason(
    lightest: Pixels, darkness: Pixels, contrast: float, sharpness: float, rows: float, likeness: float
) -> str | None:
    """Why the picture cannot be read, the first cause that holds; None when it can."""
    if contrast < MIN_CONTRAST:
        light = float(lightest.mean())
        if light < 40:
            return "The picture is nearly black: take it again in more light"
        return "No ECG is seen in this picture: it is blank or too pale, take it again in even light"
    if sharpness < MIN_SHARPNESS:
        return "The picture is blurred: hold the phone still, wait until it is in focus and take it again"
    if likeness >= 0 and rows >= MIN_ROWS:
        return None
    if likeness >= 0:
        return "Fewer than three rows of ECG are seen in this picture: show the whole page with all 12 leads"
    if _lies_on_its_side(darkness):
        return "The page lies on its side: turn the picture so that the leads read from left to right"
    return "No ECG is seen in this picture: show the whole 12-lead page, flat, upright and filling the picture"


def _lies_on_its_side(darkness: Pixels) -> bool:
    _, rows, likeness = _best_traces(np.ascontiguousarray(darkness.T))
    return likeness >= 0 and rows >= MIN_ROWS


def _reduced(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """The lightest and the darkest channel, long side ``_WORK`` at most.

    Coloured grids are light in one channel at least, dark ink is in none; so the lightest channel shows the trace
    and the darkest one the grid. Whole factors first: only they are quick.
    """
    height, width = pixels.shape[:2]
    factor = max(height, width) // _WORK
    if factor > 1:
        size = (width // factor, height // factor)
        whole = pixels[: size[1] * factor, : size[0] * factor]
        pixels = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    red, green, blue = cv2.split(pixels)
    channels = (cv2.max(red, cv2.max(green, blue)), cv2.min(red, cv2.min(green, blue)))
    scale = _WORK / max(pixels.shape[:2])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        channels = tuple(cv2.resize(channel, size, interpolation=cv2.INTER_LINEAR) for channel in channels)
    return np.asarray(channels[0], np.uint8), np.asarray(channels[1], np.uint8)


def _darkness(channel: Pixels) -> Pixels:
    """How much darker each pixel is than the paper around it, as a share of the paper's light, 0-255."""
    side = max(9, max(channel.shape) // 40 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.morphologyEx(channel, cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.divide(cv2.subtract(paper, channel), paper, scale=255), np.uint8)


def _exceeded_by(levels: Pixels, share: float) -> int:
    """The level that at most ``share`` of the pixels reach."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    reached = counts[::-1].cumsum()[::-1]
    return int(np.searchsorted(-reached, -share * levels.size))


def _contrast(darkness: Pixels) -> float:
    return _exceeded_by(darkness, 0.004) / 255


def _sharpness(darkness: Pixels) -> float:
    """Steepest steps between neighbours against the ink's contrast; upwards and sideways, as a hand shakes one way."""
    contrast = _exceeded_by(darkness, 0.004)
    steps = (cv2.absdiff(darkness[1:], darkness[:-1]), cv2.absdiff(darkness[:, 1:], darkness[:, :-1]))
    return max(_exceeded_by(np.asarray(step, np.uint8), 0.004) for step in steps) / max(1, contrast)
