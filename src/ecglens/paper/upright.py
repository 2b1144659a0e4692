"""Tell which way up a page lies.

Traces run along rows, so rows and columns of a page on its side are easily told apart. Upside down is harder, as a
page turned by 180 degrees is still an ECG, only backwards and inverted. What tells is the shape of printed letters and
words, where they stand on the page and against the traces, and the beat: T follows QRS, and is larger than P. Each
property changes its sign when the page is turned by 180 degrees, so one weighted sum is the log-odds of either way.
The weights, in ``upright.json``, are fitted on drawn pages (``benchmarks/scan.py --fit upright``).
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Pixels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CERTAIN: Final = 0.3  # log-odds from which on a page is turned over, somewhat above 0 since most lie upright
_LYING: Final = 0.2  # log-odds from which on a page is on its side
_WIDTH_MM: Final = 270.0  # of a page whose scale is not known
_INK_SHARE: Final = 0.045  # of a page
_RIM: Final = 50  # part of the long side that is not looked at, on each side
_FAINTEST: Final = 8  # darkness (0-255) below which nothing is ink
_DARK_GROUND: Final = 90  # light (0-255) below which the ground may be a screen's
_OPENINGS: Final = (7, 15, 31)  # pixels in a row that count as a line
_LETTER: Final = (8, 8)  # rows, columns to which letters are brought
_WORD: Final = (6, 12)  # and whatever is wider than high
_MAP: Final = (6, 8)  # rows, columns in which letters are counted
_MOST: Final = 100  # letters, and QRS complexes, that are looked at
_SPIKE_MM: Final = 3.5  # least height of a stroke that may be a QRS complex
_BEAT_MM: Final = 20.0  # looked at before and after it: 0.8 s at 25 mm/s
_BEAT_BINS: Final = 32
_TALL_MM: Final = 8.0  # above and below it
_LARGEST_MM: Final = 4.0  # deflection that counts


@dataclass(frozen=True, slots=True)
class _Marks:
    """Connected pieces of ink: boxes (``x``, ``y``, ...) of letters, and the ``trace``, (H, W) 0, 1."""

    ink: Pixels
    x: Ints
    y: Ints
    width: Ints
    height: Ints
    trace: Pixels


def find_turn(picture: Pixels, px_per_mm: float | None) -> int:
    """Return by how many degrees clockwise ``picture``, RGB, must be turned to be upright: 0, 90, 180 or 270."""
    ink = find_ink(picture)
    lying = float(_weights()["lying"] @ describe_rows(ink)) < -_LYING
    if lying:
        ink = np.ascontiguousarray(np.rot90(ink, -1))
    up = float(_weights()["upright"] @ describe_page(ink, px_per_mm))
    if lying:
        return 90 if up >= 0 else 270
    return 0 if up > -_CERTAIN else 180


def as_paper(picture: Pixels, sheet: npt.NDArray[np.bool_] | None = None) -> Pixels:
    """Return ``picture``, RGB or grey, dark on light: a screen's light traces inverted, paper in poor light not.

    ``sheet``, of any shape, says where in the picture the page is, if not everywhere.
    """
    some = picture[::4, ::4]
    if sheet is not None:
        shown = cv2.resize(sheet.astype(np.uint8), some.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        some = some[shown] if shown.any() else some
    no_lighter = np.bincount(some.ravel(), minlength=256).cumsum()  # several times as quick as percentiles
    low, middle, high = np.searchsorted(no_lighter, np.array([0.01, 0.5, 0.99]) * some.size)
    if middle < _DARK_GROUND and high - middle > 2 * (middle - low):
        return np.asarray(cv2.bitwise_not(picture), np.uint8)
    return picture


@cache
def _weights() -> dict[str, Floats]:
    text = resources.files(__package__).joinpath("upright.json").read_text(encoding="utf-8")
    return {name: np.array(values) for name, values in json.loads(text).items()}


def lightest(picture: Pixels) -> Pixels:
    """The lightest channel, (H, W): it shows ink, and coloured lines least."""
    return np.asarray(cv2.max(cv2.max(picture[..., 0], picture[..., 1]), picture[..., 2]), np.uint8)


def find_ink(picture: Pixels) -> Pixels:
    """Return (H, W), 1 where ``picture`` is much darker than the paper around it; coloured grids are not."""
    light = lightest(picture)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (19, 19))
    paper = cv2.morphologyEx(light, cv2.MORPH_CLOSE, kernel)
    dark = cv2.divide(cv2.subtract(paper, light), paper, scale=255)
    rim = max(1, max(dark.shape) // _RIM)  # where what lies around the sheet may still be seen
    dark[:rim] = dark[-rim:] = dark[:, :rim] = dark[:, -rim:] = 0
    counts = cv2.calcHist([dark], [0], None, [256], [0, 256]).ravel()
    most, darkest = (
        int(np.searchsorted(counts.cumsum(), (1 - share) * dark.size)) for share in (_INK_SHARE, _INK_SHARE / 10)
    )
    return np.asarray(cv2.threshold(dark, max(_FAINTEST, most, darkest // 5) - 1, 1, cv2.THRESH_BINARY)[1], np.uint8)


def describe_rows(ink: Pixels) -> Floats:
    """Return what tells rows from columns; all of it changes its sign when the page is turned by 90 degrees."""
    rows, columns = (ink.mean(axis=axis, dtype=np.float64) for axis in (1, 0))
    properties = [
        _roughness(rows) - _roughness(columns),
        float(np.log((rows**2).mean() + 1e-9) - np.log((columns**2).mean() + 1e-9)),
    ]
    for length in _OPENINGS:
        across, down = (
            cv2.countNonZero(cv2.erode(ink, np.ones(size, np.uint8))) for size in ((1, length), (length, 1))
        )
        properties.append(float(np.log((across + 20) / (down + 20))))
    return np.array([*properties, float(np.log(ink.shape[1] / ink.shape[0]))])


def _roughness(profile: Floats) -> float:
    rough = profile - cv2.blur(profile[None], (31, 1))[0]
    return float(np.log((rough**2).mean() + 1e-7))


def describe_page(ink: Pixels, px_per_mm: float | None) -> Floats:
    """Return what tells the top from the bottom; all of it changes its sign when the page is turned by 180 degrees."""
    scale = px_per_mm or max(ink.shape) / _WIDTH_MM
    marks = _sort(ink, scale)
    return np.concatenate([_letters(marks), _places(marks), _beats(marks.trace, scale), _map_of(marks)])


def _sort(ink: Pixels, scale: float) -> _Marks:
    """Tell letters from traces by their size."""
    labels, boxes, _ = _pieces(ink)
    x, y, width, height, area = boxes.T
    wide = width > 10 * scale
    wide[0] = False  # the paper
    trace = wide.astype(np.uint8).take(labels)
    small = (height >= max(4, 1.5 * scale)) & (height <= 7 * scale) & (width >= 2) & (width <= 9 * scale) & (area >= 6)
    small[0] = False
    kept = np.flatnonzero(small)
    kept = kept[:: len(kept) // _MOST + 1]
    return _Marks(ink, x[kept], y[kept], width[kept], height[kept], trace)


def _pieces(ink: Pixels) -> tuple[npt.NDArray[np.integer[Any]], Ints, Floats]:
    """Connected pieces of ink: labels, boxes and middles; with labels of 16 bits in a third of OpenCV's usual time."""
    enough = cv2.countNonZero(ink) < np.iinfo(np.uint16).max  # as a pixel begins one at most
    kind = cv2.CV_16U if enough else cv2.CV_32S
    _, labels, boxes, middles = cv2.connectedComponentsWithStatsWithAlgorithm(ink, 8, kind, cv2.CCL_BBDT)
    return np.asarray(labels), np.asarray(boxes, np.int64), np.asarray(middles, np.float64)


def _letters(marks: _Marks) -> Floats:
    """The mean letter and the mean word, less the same turned over."""
    means = []
    for size, chosen in ((_LETTER, marks.width <= 1.4 * marks.height), (_WORD, marks.width > 1.4 * marks.height)):
        shapes = np.zeros((1, size[0] * size[1]))
        if chosen.any():
            shapes = np.array([_brought(marks, int(number), size) for number in np.flatnonzero(chosen)])
            shapes -= shapes.mean(axis=1, keepdims=True)
            shapes /= np.sqrt((shapes**2).sum(axis=1, keepdims=True)) + 0.3
        total = shapes.sum(axis=0) / np.sqrt(np.count_nonzero(chosen) + 6)
        means.append((total - total[::-1])[: total.size // 2])
    return np.concatenate(means)


def _brought(marks: _Marks, number: int, size: tuple[int, int]) -> Floats:
    """One letter at ``size`` rows and columns."""
    x, y = marks.x[number], marks.y[number]
    letter = marks.ink[y : y + marks.height[number], x : x + marks.width[number]].astype(np.float32)
    how = cv2.INTER_AREA if min(letter.shape) > 8 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(letter, size[::-1], interpolation=how).ravel(), np.float64)


def _places(marks: _Marks) -> Floats:
    """Where letters stand about the middle of the traces: mean to the right and below, share above less that below."""
    y, x = np.nonzero(marks.trace[::2, ::2])
    if not len(marks.x) or len(x) < 50:
        return np.zeros(3)
    left, right = 2 * np.percentile(x, (1, 99)) + 0.5
    top, bottom = 2 * np.percentile(y, (1.5, 98.5)) + 0.5
    across = (marks.x + (marks.width - 1) / 2 - left) / max(1.0, right - left) - 0.5
    down = (marks.y + (marks.height - 1) / 2 - top) / max(1.0, bottom - top) - 0.5
    beyond = float((down < -0.5).mean() - (down > 0.5).mean())
    return np.array([np.clip(across, -0.7, 0.7).mean(), np.clip(down, -0.9, 0.9).mean(), beyond])


def _map_of(marks: _Marks) -> Floats:
    """How many letters stand in each part of the page, less those of the opposite part."""
    rows, columns = _MAP
    ink = np.zeros_like(marks.ink)
    for x, y, width, height in zip(marks.x, marks.y, marks.width, marks.height, strict=True):
        ink[y : y + height, x : x + width] = marks.ink[y : y + height, x : x + width]
    parts = cv2.resize(ink.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA).ravel().astype(np.float64)
    parts = np.sqrt(parts / (parts.mean() + 1e-6))
    return np.asarray((parts - parts[::-1])[: rows * columns // 2], np.float64)


def _beats(trace: Pixels, scale: float) -> Floats:
    """The traces around QRS complexes: how far from the baseline after one less before, and how far below it."""
    strokes = cv2.erode(trace, np.ones((max(5, round(_SPIKE_MM * scale)), 1), np.uint8))
    middles = _pieces(np.asarray(strokes, np.uint8))[2][1:]
    middles = middles[:: len(middles) // _MOST + 1]
    half = _BEAT_BINS // 2
    off = np.rint((np.arange(_BEAT_BINS) - half + 0.5) * (_BEAT_MM / half * scale))
    heights = _heights(trace, middles, off, round(_TALL_MM * scale))
    known = ~np.isnan(heights)
    heights, known = heights[known.any(axis=1)], known[known.any(axis=1)]
    if not len(heights):
        return np.zeros(_BEAT_BINS)
    deflection = (heights - np.nanmedian(heights, axis=1, keepdims=True)) / scale
    deflection = np.where(known, np.clip(deflection, -_LARGEST_MM, _LARGEST_MM), 0)
    count = np.maximum(known.sum(axis=0), 1)
    size, mean = np.abs(deflection).sum(axis=0) / count, deflection.sum(axis=0) / count
    return np.concatenate([(size - size[::-1])[:half], (mean + mean[::-1])[:half]])


def _heights(trace: Pixels, middles: Floats, off: Floats, tall: int) -> Floats:
    """Mean height of the trace at ``off`` pixels from each of ``middles`` (n, 2), NaN where none is within ``tall``."""
    rows = np.rint(middles[:, 1:]).astype(np.int64) + np.arange(-tall, tall + 1)
    columns = (np.rint(middles[:, :1]) + off).astype(np.int64)
    framed = np.pad(trace, 1)  # what is beyond the page is empty
    rows, columns = np.clip(rows + 1, 0, len(framed) - 1), np.clip(columns + 1, 0, framed.shape[1] - 1)
    seen = framed.ravel().take(rows[:, None, :] * framed.shape[1] + columns[:, :, None])
    count, total = np.moveaxis(
        seen.astype(np.float64) @ np.vander(np.arange(-tall, tall + 1.0), 2, increasing=True), 2, 0
    )
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
