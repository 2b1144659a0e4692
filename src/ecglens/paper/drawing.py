"""Draw a sheet of ECG paper as pixels, and know where every sample went.

Ink is drawn on a canvas finer than the page, in one channel, and averaged; the grid, which repeats itself every 5 mm,
is worked out at each pixel as the mean of its lines over that pixel. So lines keep their width and place below the
pixel, and a page costs little more than its own pixels.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.errors import UsageError
from ecglens.paper import damage
from ecglens.paper.furniture import Notes, random_notes
from ecglens.paper.layout import PAPER_LAYOUTS, Layout, load_layout
from ecglens.paper.lettering import Strokes, join, pieces
from ecglens.paper.page import Page, Pixels, Points, transform
from ecglens.paper.settings import Gain
from ecglens.paper.sheet import RULE_WIDTH, Area, Sheet, compose
from ecglens.paper.style import Colour, Style, pick, random_style
from ecglens.record import Record

Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bins = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Size = tuple[int, int]  # width, height

_SHIFT: Final = 4  # fractional bits of the coordinates OpenCV draws with
_FAR: Final = 1e6  # canvas pixels; further off than any page, and safe in OpenCV's fixed point
_KEPT: Final = 4 * 10**6  # pixels of a grid that may be kept in memory
_AT_HAND: Final = 10**5  # pixels that processors keep at hand, rather than in memory that takes longer
_PERIOD: Final = 5  # mm, after which the grid repeats itself
_LARGEST: Final = 3 * 10**8  # pixels of a page
_GAINS: Final = ((10.0, 10.0), (5.0, 5.0), (20.0, 20.0), (10.0, 5.0))  # mm/mV of limb and chest leads
_GAIN_SHARES: Final = (0.84, 0.05, 0.05, 0.06)


@dataclass(frozen=True, slots=True)
class _View:
    """What a page shows of a sheet: ``matrix`` (3, 3) takes mm to page pixels."""

    matrix: Matrix
    size: Size
    surface: Colour | None  # around the sheet; None where the paper goes on

    @property
    def scale(self) -> float:
        """Pixels per mm; their geometric mean where the page is squashed."""
        (a, b, _), (c, d, _), _ = self.matrix.tolist()
        return math.sqrt(abs(a * d - b * c))


def render(
    record: Record,
    layout: str | Path | Layout = "3x4+1",
    style: str | Path | Style = "red",
    *,
    start: float = 0.0,
    px_per_mm: float = 8.0,
    rotation: float = 0.0,
    speed: float = 25.0,
    gain: Gain = 10.0,
    notes: Notes | None = None,
) -> Page:
    """Draw ``record`` from ``start`` s on, at ``speed`` mm/s and ``gain`` mm/mV (or two, of limb and chest leads).

    0 mV is at the middle of each row. ``notes`` are printed above everything. The page is just large enough for the
    sheet turned by ``rotation`` degrees (anticlockwise), white around it. What was not recorded leaves the paper empty.
    Raises UsageError for a layout, style, start or scale that does not exist, ConfigError for a wrong layout or style
    file.
    """
    return draw(compose(record, layout, style, start=start, speed=speed, gain=gain, notes=notes), px_per_mm, rotation)


def draw(sheet: Sheet, px_per_mm: float = 8.0, rotation: float = 0.0) -> Page:
    """Draw a whole sheet, as ``render`` does. Raises UsageError for a scale or an angle that does not exist."""
    if not 1 <= px_per_mm <= 50:
        raise UsageError(f"a page cannot be drawn at {px_per_mm:g} pixels per mm: give 1 to 50")
    if not abs(rotation) <= 360:
        raise UsageError(f"a page cannot be turned by {rotation:g} degrees: give -360 to 360")
    width, height = _turned(sheet.size, rotation)
    size = (round(width * px_per_mm), round(height * px_per_mm))
    if size[0] * size[1] > _LARGEST:
        raise UsageError(f"a page of {size[0]} x {size[1]} pixels is too large: give fewer pixels per mm")
    matrix = _placed(sheet.size, rotation, (width / 2, height / 2), (px_per_mm, px_per_mm))
    samples = sheet.samples()
    pixels = _paint(sheet, _View(matrix, size, (255, 255, 255) if rotation else None), samples)
    flat = Page(pixels, px_per_mm, sheet.traces(samples), sheet.boxes(), sheet.nodes())  # its places still in mm
    return flat.moved(pixels, lambda points: transform(points, matrix), px_per_mm)


def random_page(
    record: Record,
    rng: np.random.Generator,
    size: int = 300,
    layouts: Sequence[str] = PAPER_LAYOUTS,
    wear: float = 0.0,
) -> Page:
    """Draw a training page, ``size`` x ``size`` pixels: random layout, style and start.

    The page is squashed to the square, as a picture is for the model. Without wear it is turned by up to 10 degrees and
    cropped, never so far that a row's 0 mV is cut off. With ``wear`` of a grade up to 1 all that happens to the whole
    sheet is the wear's, and speed and gain vary as well. Whatever is printed is drawn apart from the record. Raises
    UsageError for a layout or a grade that does not exist.
    """
    layout, speed, gain = load_layout(layouts[int(rng.integers(len(layouts)))]), 25.0, (10.0, 10.0)
    if wear:
        layout, speed, gain = _random_settings(layout, rng)
    notes, style = random_notes(rng) if rng.random() < 0.1 else None, random_style(rng)
    start = _random_start(record, layout, rng)
    sheet = compose(record, layout, style, start=start, speed=speed, gain=gain, notes=notes)
    view = _upright_view(sheet, size) if wear else _random_view(sheet, size, rng)
    samples = sheet.samples()
    pixels = _paint(sheet, view, samples)
    traces = sheet.traces(Strokes(transform(samples.points, view.matrix), samples.lengths))
    if not wear:
        return Page(pixels, None, traces)
    nodes = sheet.nodes()  # from which wear knows how large a millimetre is, across and down
    placed = transform(nodes.reshape(-1, 2), view.matrix).reshape(nodes.shape)
    return damage.wear(Page(pixels, None, traces, nodes=placed), wear, rng)


def unbroken(strokes: Strokes) -> Strokes:
    """Return the lines that are left where ``strokes`` are cut at NaN."""
    missing = np.isnan(strokes.points[:, 1])
    if not missing.any():
        return strokes
    cuts = np.concatenate([[0], np.cumsum(strokes.lengths), np.flatnonzero(missing[1:] != missing[:-1]) + 1])
    lengths = tuple(b - a for a, b in pairwise(np.unique(cuts).tolist()) if not missing[a])
    return Strokes(strokes.points[~missing], lengths)


def _turned(size: tuple[float, float], rotation: float) -> tuple[float, float]:
    """Width and height of the upright box around a turned sheet."""
    (width, height), angle = size, math.radians(rotation)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    return width * cos + height * sin, width * sin + height * cos


def _placed(
    size: tuple[float, float], rotation: float, centre: tuple[float, float], scale: tuple[float, float]
) -> Matrix:
    """The matrix from mm on the sheet to page pixels: turned about its middle, which goes to ``centre`` (mm)."""
    (x, y), (across, down), angle = (size[0] / 2, size[1] / 2), scale, math.radians(rotation)
    cos, sin = math.cos(angle), math.sin(angle)
    left, top = centre[0] - cos * x - sin * y, centre[1] + sin * x - cos * y
    rows = [(across * cos, across * sin, across * left - 0.5), (-down * sin, down * cos, down * top - 0.5), (0, 0, 1)]
    return np.array(rows, np.float64)  # pixel 0 spans -0.5 to 0.5


def _random_start(record: Record, layout: Layout, rng: np.random.Generator) -> float:
    """A start (s) with enough signal for consecutive columns, or now and then with only about 5 s of it."""
    needed = layout.duration if rng.random() < 0.75 else 5.0
    return float(rng.uniform(0, max(record.duration - needed, 0)))


def _random_settings(layout: Layout, rng: np.random.Generator) -> tuple[Layout, float, tuple[float, float]]:
    """Speed and gains, mostly the usual ones. At 50 mm/s a column shows half the time, as paper is no wider."""
    gain = pick(rng, _GAINS, _GAIN_SHARES)
    return (replace(layout, seconds=layout.seconds / 2), 50.0, gain) if rng.random() < 0.08 else (layout, 25.0, gain)


def _upright_view(sheet: Sheet, size: int) -> _View:
    """The whole sheet and nothing else."""
    (width, height), scale = sheet.size, (size / sheet.size[0], size / sheet.size[1])
    return _View(_placed(sheet.size, 0.0, (width / 2, height / 2), scale), (size, size), None)


def _random_view(sheet: Sheet, size: int, rng: np.random.Generator) -> _View:
    """The sheet turned, with some of what is around it, or less than all of it."""
    rotation = rng.uniform(-10, 10)
    width, height = _turned(sheet.size, rotation)
    left, top, right, bottom = rng.uniform(-8, 12, 4)  # mm of view beyond the sheet
    scale = (size / (left + width + right), size / (top + height + bottom))
    matrix = _placed(sheet.size, rotation, (left + width / 2, top + height / 2), scale)
    return _View(matrix, (size, size), _random_surface(rng))


def _random_surface(rng: np.random.Generator) -> Colour | None:
    """What lies around the sheet: mostly more of the paper, else a table of any grey."""
    grey = int(rng.integers(20, 256))
    return (grey, grey, grey) if rng.random() < 0.35 else None


def _paint(sheet: Sheet, view: _View, samples: Strokes) -> Pixels:
    """Lay grid and ink over the paper, some rows at a time: what was just worked out is still at hand."""
    style, ink, (width, height) = sheet.style, _ink(sheet, view, samples), view.size
    above, below = _grid_of(style, sheet.grid_area(), view)
    channels = zip(style.paper, style.minor, style.major, style.ink, strict=True)
    shares = [((b - c) / 255, (a - b) / 255, (d - c) / 255, c) for a, b, c, d in channels]
    pixels, mixing = np.empty((height, width, 3), np.uint8), np.array(shares)
    step = max(1, _AT_HAND // width)
    for rows in (slice(first, first + step) for first in range(0, height, step)):
        bare = [cv2.subtract(part[rows], ink[rows]) for part in (above, below)]  # ink hides paper before lines
        cv2.transform(cv2.merge([*bare, ink[rows]]), mixing, pixels[rows])
    if view.surface:
        outer = np.array([(-9, -9), (width + 9, -9), (width + 9, height + 9), (-9, height + 9)], np.float32)
        rings = [_fixed(outer), _fixed(transform(_corners((0.0, 0.0, *sheet.size), 0.5 / view.scale), view.matrix))]
        cv2.fillPoly(pixels, rings, view.surface, cv2.LINE_AA, _SHIFT)
    return pixels


def _ink(sheet: Sheet, view: _View, samples: Strokes) -> Pixels:
    """How much of each pixel is inked, 0-255, (H, W)."""
    factor = 1 if not sheet.style.smooth else 2 if view.scale > 1 else 4
    matrix = view.matrix * ((factor,), (factor,), (1,))
    matrix[:2, 2] += (factor - 1) / 2
    scale, (columns, rows) = factor * view.scale, view.size
    canvas, layer = np.zeros((2, rows * factor, columns * factor), np.uint8)
    step = int(sheet.record.fs / (sheet.speed * math.hypot(*matrix[:2, 0])))  # samples within a canvas pixel
    traces = join([unbroken(_thinned(samples, step)), sheet.pulses()])
    canvas = _traced(canvas, traces, matrix, sheet.style)
    pens: defaultdict[int, list[Strokes]] = defaultdict(list)
    for width, strokes in [(RULE_WIDTH, sheet.rules()), *sheet.letters()]:
        pens[max(1, round(width * scale + 0.15))].append(strokes)
    for pen, drawn in pens.items():
        _stroke(canvas, layer, join(drawn), matrix, pen)
    for _ in range(factor // 2):
        canvas = np.asarray(cv2.resize(canvas, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    return canvas


def _traced(canvas: Pixels, strokes: Strokes, matrix: Matrix, style: Style) -> Pixels:
    """Draw with a round pen; a line thinner than the pen is paler by as much, unless edges are hard."""
    wide, high = (style.trace_width * math.hypot(*row) for row in matrix[:2, :2].tolist())
    spare = 0.1 if style.smooth else 0.5
    pen = tuple(max(1, math.ceil(side - spare)) for side in (wide, high))  # too broad: shade takes away, not adds
    level = round(255 * min(1.0, math.sqrt(wide * high / (pen[0] * pen[1])))) if style.smooth else 255
    middle = np.array([(1 - side % 2) / 2 for side in pen], np.float32)  # an even pen reaches further to one side
    lines = pieces(_fixed(transform(strokes.points, matrix) - middle), strokes.lengths)
    cv2.polylines(canvas, lines, False, level, 1, cv2.LINE_8, _SHIFT)
    return _broadened(canvas, *pen)


def _stroke(canvas: Pixels, layer: Pixels, strokes: Strokes, matrix: Matrix, pen: int) -> None:
    """Draw letters and marks ``pen`` pixels wide, never paler than ink; ``layer`` is empty, and is so again."""
    if not strokes.lengths:
        return
    lines = pieces(_fixed(transform(strokes.points, matrix)), strokes.lengths)
    if pen == 1 or canvas.size > 10**6:
        cv2.polylines(canvas, lines, False, 255, pen, cv2.LINE_8, _SHIFT)
    else:  # a broad pen takes long over each line, and a layer of its own hardly longer the smaller it is
        cv2.polylines(layer, lines, False, 255, 1, cv2.LINE_8, _SHIFT)
        cv2.max(canvas, _broadened(layer, pen, pen), canvas)
        layer[:] = 0


def _broadened(canvas: Pixels, width: int, height: int) -> Pixels:
    """What a pen ``width`` x ``height`` pixels large would have drawn where one of a pixel did."""
    if max(width, height) > 2:
        return np.asarray(cv2.dilate(canvas, _disc(width, height), canvas), np.uint8)
    if height > 1:
        canvas[1:] = cv2.max(canvas[1:], canvas[:-1])
    if width > 1:
        canvas[:, 1:] = cv2.max(canvas[:, 1:], canvas[:, :-1])
    return canvas


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    """Pixel positions as OpenCV's fixed-point numbers."""
    return np.asarray(np.rint(np.clip(points, -_FAR, _FAR) * np.float32(1 << _SHIFT)), np.int32)


def _grid_of(style: Style, area: Area, view: _View) -> tuple[Pixels, Pixels]:
    """The grid of a page; that of the last upright one is kept, as pages often come in rows of the same kind."""
    if style.grid == "none":
        return (np.full(view.size[::-1], 255, np.uint8),) * 2
    if view.matrix[0, 1] or view.size[0] * view.size[1] > _KEPT:
        return _grid(style, area, view)
    return _upright_grid(style, area, tuple(view.matrix.ravel().tolist()), view.size)


@lru_cache(maxsize=1)
def _upright_grid(style: Style, area: Area, matrix: tuple[float, ...], size: Size) -> tuple[Pixels, Pixels]:
    return _grid(style, area, _View(np.reshape(matrix, (3, 3)), size, None))


def _grid(style: Style, area: Area, view: _View) -> tuple[Pixels, Pixels]:
    """How much of each pixel major lines leave bare, and how much all lines do, 0-255, (H, W)."""
    to_mm = np.asarray(cv2.invertAffineTransform(view.matrix[:2]), np.float64)
    bins = 256 if _PERIOD * np.abs(view.matrix[:2, :2]).max() < 32 else 4096
    places = [_places(row, view.size, bins) for row in to_mm]
    majors, minors = _bare(style, np.abs(to_mm[:, :2]), bins)
    if style.grid == "dots":
        above, gaps = _both(majors, places, view.size), _both(255 - minors, places, view.size)
        below = np.asarray(cv2.multiply(above, cv2.bitwise_not(gaps), scale=1 / 255), np.uint8)
    else:
        above = _both(majors, places, view.size)
        below = _both(np.rint(majors * (minors / 255)).astype(np.uint8), places, view.size)
    if not style.bleed:
        rim = np.full(above.shape, 255, np.uint8)
        inside = _fixed(transform(_corners(area, 0.0), view.matrix))
        cv2.fillPoly(rim, [inside], 0, cv2.LINE_8, _SHIFT)
        for part in (above, below):
            cv2.max(part, rim, part)
    return above, below


def _places(row: Floats, size: Size, bins: int) -> Bins:
    """Where in the grid's period each pixel is, one of ``bins``: (H, W), or (H, 1) or (1, W) for an upright sheet."""
    along, down, begin = row * (bins / _PERIOD)
    kind = np.uint8 if bins == 256 else np.uint16
    x = np.rint(along * np.arange(size[0]) + begin).astype(np.int64).astype(kind)[None]
    y = np.rint(down * np.arange(size[1])).astype(np.int64).astype(kind)[:, None]
    place: Bins = y + x[:, :1] if abs(along) < 1e-9 else x if abs(down) < 1e-9 else x + y
    return place if kind == np.uint8 else place & np.uint16(bins - 1)


def _both(tables: Pixels, places: Sequence[Bins], size: Size) -> Pixels:
    """What lines across and lines down do together, (H, W)."""
    across, down = (_look_up(table, place, size) for table, place in zip(tables, places, strict=True))
    return np.asarray(cv2.multiply(across, down, scale=1 / 255), np.uint8)


def _look_up(table: Pixels, place: Bins, size: Size) -> Pixels:
    if place.dtype == np.uint8 and place.shape == size[::-1]:
        return np.asarray(cv2.LUT(place, table), np.uint8)
    return np.ascontiguousarray(np.broadcast_to(table[place], size[::-1]))


def _bare(style: Style, footprints: Floats, bins: int) -> tuple[Pixels, Pixels]:
    """How bare major and minor lines, or columns and rows of dots, leave a pixel by its place across them: (2, bins).

    The lines' Fourier series times those of the pixel's two sides, (2, 2) mm, which blur it to the pixel's mean.
    """
    widths = np.array([style.major_width, style.minor_width])
    if style.grid == "dots":
        widths[1] *= math.sqrt(math.pi) / 2  # a square dot as large as a round one
    if not style.smooth:
        widths = np.maximum(widths, footprints.sum(1).max())
    k = np.arange(bins // 2 + 1)
    waves = np.sinc(np.outer([*widths, *footprints.ravel()], k / _PERIOD))
    combs = np.ones((2, 1, len(k)))
    combs[1] = _PERIOD * (k % _PERIOD == 0) - (style.grid == "lines")  # no minor line is under a major one
    blur = waves[2::2] * waves[3::2] if style.smooth else np.ones((2, len(k)))
    lines = combs * (widths[:, None] / _PERIOD * waves[:2])[:, None] * blur
    bare = 1 - np.fft.irfft(lines, bins) * bins
    major, minor = np.asarray(np.clip(255 * (bare if style.smooth else bare > 0.5), 0, 255) + 0.5, np.uint8)
    return major, minor


def _corners(area: Area, rim: float) -> Points:
    left, top, right, bottom = area[0] - rim, area[1] - rim, area[2] + rim, area[3] + rim
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def _thinned(strokes: Strokes, step: int) -> Strokes:
    """The least and the greatest of every ``step`` samples of a line, in the order that their ends suggest."""
    if step < 2:
        return strokes
    groups, lengths = _groups(strokes.lengths, step)
    x, y = strokes.points.T
    heights = np.ascontiguousarray(y)[groups]
    least, most, falls = np.fmin.reduce(heights), np.fmax.reduce(heights), heights[0] > heights[-1]
    thin = np.empty((len(falls), 4), np.float32)
    thin[:, 0], thin[:, 2] = x[groups[0]], x[groups[-1]]
    thin[:, 1], thin[:, 3] = np.where(falls, most, least), np.where(falls, least, most)
    return Strokes(thin.reshape(-1, 2), lengths)


@lru_cache(maxsize=16)
def _groups(lengths: tuple[int, ...], step: int) -> tuple[Ints, tuple[int, ...]]:
    """Each ``step`` samples of lines laid end to end, (step, groups), and how many pairs' ends each line has."""
    bounds = list(pairwise(accumulate(lengths, initial=0)))
    firsts = [np.arange(a, b, step) for a, b in bounds]
    groups = [np.minimum(first + np.arange(step)[:, None], b - 1) for first, (_, b) in zip(firsts, bounds, strict=True)]
    return np.concatenate(groups, axis=1), tuple(2 * len(first) for first in firsts)


@cache
def _disc(width: int, height: int) -> Pixels:
    """The pixels of a round pen, or of one as squashed as the page."""
    x, y = ((np.arange(side) - (side - 1) / 2) / side for side in (width, height))
    return np.asarray(np.hypot(*np.meshgrid(x, y)) <= 0.5 + 0.01 / max(width, height), np.uint8)
