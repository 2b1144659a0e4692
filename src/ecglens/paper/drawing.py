"""Draw a record on ECG paper, true to scale, and know where every sample went.

Everything is placed in millimetres on the sheet and drawn on a canvas finer than the page; the page is the mean of
the canvas, so that lines keep their width and place below the pixel. Paper speed, gain and the 1 mm and 5 mm grid
follow the AHA/ACC/HRS recommendations (Kligfield et al., Circulation 115:1306, 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.errors import UsageError
from ecglens.leads import INDEX
from ecglens.paper.layout import PAPER_LAYOUTS, Layout, Panel, load_layout
from ecglens.paper.page import Page, Pixels, Trace, transform
from ecglens.paper.style import Colour, Style, load_style, mix, random_style
from ecglens.record import Record

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
Size = tuple[int, int]  # width, height
Area = tuple[float, float, float, float]  # left, top, right, bottom, mm

_FONTS: Final = {False: cv2.FONT_HERSHEY_SIMPLEX, True: cv2.FONT_HERSHEY_DUPLEX}
_TEXT_HEIGHT: Final = 2.6  # mm, of all lettering but the leads' names
_CANVAS_PX_PER_MM: Final = 3.0  # about how fine the canvas of a training page is
_SHIFT: Final = 4  # fractional bits of the coordinates OpenCV draws with
_FAR: Final = 1e6  # canvas pixels; further off than any page, and safe in OpenCV's fixed point


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A sheet of paper and what it shows; positions on it are mm from its top left corner."""

    record: Record
    layout: Layout
    style: Style
    start: float
    speed: float
    gain: float

    @property
    def size(self) -> tuple[float, float]:
        return self.layout.width(self.speed), self.layout.height

    def panels(self) -> tuple[Panel, ...]:
        return self.layout.panels(self.record.duration - self.start)

    def anchor(self, panel: Panel) -> tuple[float, float]:
        """The panel's left end of 0 mV, mm."""
        return self.layout.margin.left + self.speed * panel.left, self.layout.baseline(panel.row)

    def trace(self, panel: Panel) -> Trace:
        """The panel's samples in mm."""
        fs, begin = self.record.fs, self.start + panel.start
        first, last = (int(np.ceil(time * fs - 1e-6)) for time in (begin, begin + panel.seconds))
        millivolts = self.record.signal[INDEX[panel.lead], first:last]
        x, y = self.anchor(panel)
        seconds = (first + np.arange(len(millivolts))) / fs - begin
        points = np.column_stack([x + self.speed * seconds, y - self.gain * millivolts])
        return Trace(panel.lead, points.astype(np.float32), first / fs, fs)

    def pulses(self) -> list[Points]:
        """The 1 mV, 0.2 s calibration step at the left of every row, mm."""
        up, down, high = -3.0 - 0.2 * self.speed, -3.0, -self.gain
        step = np.array([(up - 2, 0), (up, 0), (up, high), (down, high), (down, 0), (down + 2, 0)], np.float32)
        rows = range(len(self.layout.rows) + len(self.layout.rhythm))
        places = [(self.layout.margin.left, self.layout.baseline(row)) for row in rows]
        return [step + np.array(place, np.float32) for place in places]


@dataclass(frozen=True, slots=True)
class _View:
    """What a page shows of a sheet: ``matrix`` (3, 3) takes mm to page pixels; ``factor`` canvas pixels make one."""

    matrix: Matrix
    size: Size
    factor: tuple[int, int]
    surface: Colour | None  # around the sheet; None where the paper goes on


class _Canvas:
    """Pixels to draw on in mm of the sheet; the page is their mean over blocks of ``view.factor``."""

    def __init__(self, view: _View, paper: Colour) -> None:
        (fx, fy), (width, height) = view.factor, view.size
        self.paper = paper
        self.page_size = view.size
        self.factor = view.factor
        self.matrix = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1.0]]) @ view.matrix
        self.scale = float(np.sqrt(abs(np.linalg.det(self.matrix[:2, :2]))))
        self.pixels = np.empty((height * fy, width * fx, 3), np.uint8)
        cv2.rectangle(self.pixels, (0, 0), (width * fx, height * fy), paper, cv2.FILLED)

    def draw(self, lines: Sequence[Points], width: float, colour: Colour) -> None:
        """Draw polylines ``width`` mm wide, broken at NaN."""
        placed = np.clip(transform(np.concatenate(lines), self.matrix), -_FAR, _FAR)
        runs = _runs(np.isnan(placed[:, 1]), [len(line) for line in lines])
        self._stroke([placed[run] for run in runs], width, colour)

    def rule(self, segments: Points, width: float, colour: Colour) -> None:
        """Draw (n, 2, 2) straight lines ``width`` mm wide."""
        self._stroke([transform(segments.reshape(-1, 2), self.matrix).reshape(-1, 2, 2)], width, colour)

    def _stroke(self, lines: list[Points], width: float, colour: Colour) -> None:
        """Draw canvas pixels with a round pen; a line thinner than the pen is paler by as much."""
        pen = _pen(width * self.scale)
        shade = mix(self.paper, colour, min(1.0, width * self.scale / pen))
        for offset in _disc(pen):
            fixed = [np.rint((line + offset) * (1 << _SHIFT)).astype(np.int32) for line in lines]
            for group in fixed:
                cv2.polylines(self.pixels, group if group.ndim == 3 else [group], False, shade, 1, cv2.LINE_8, _SHIFT)

    def dot(self, points: Points, width: float, colour: Colour) -> None:
        """Draw round dots ``width`` mm wide."""
        pen = _pen(width * self.scale)
        shade = mix(self.paper, colour, min(1.0, (width * self.scale / pen) ** 2))
        placed = transform(points, self.matrix)
        rows, columns = self.pixels.shape[:2]
        for offset in _disc(pen):
            x, y = np.floor(placed + offset + 0.5).astype(int).T  # np.rint would leave holes: it rounds halves to even
            inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
            self.pixels[y[inside], x[inside]] = shade

    def write(self, text: str, at: tuple[float, float], height: float, bold: bool, colour: Colour) -> None:
        """Write ``text`` with its lower left corner ``at`` mm, capitals ``height`` mm high."""
        stencil, base = _stencil(text, max(4, round(height * self.scale)), bold)
        linear = self.matrix[:2, :2] / self.scale
        origin = self.matrix[:2] @ (at[0], at[1] - base / self.scale, 1)
        rows, columns = stencil.shape
        corners = np.array([(0, 0, columns, columns), (0, rows, 0, rows)]).T @ linear.T + origin
        left, top = np.maximum(corners.min(0), 0).astype(int).tolist()
        right, bottom = np.maximum(corners.max(0) + 1, 0).astype(int).tolist()
        patch = self.pixels[top:bottom, left:right]
        if patch.size:
            matrix = np.column_stack([linear, origin - (left, top)])
            cover = cv2.warpAffine(stencil, matrix, patch.shape[1::-1], flags=cv2.INTER_LINEAR)[..., None]
            patch[:] = patch + (np.array(colour, np.float32) - patch) * (cover / np.float32(255)) + np.float32(0.5)

    def area(self) -> Area:
        """The upright box on the paper that holds all of the canvas, mm."""
        rows, columns = self.pixels.shape[:2]
        corners = np.array([(0, 0), (columns, 0), (0, rows), (columns, rows)], np.float32)
        placed = transform(corners, np.asarray(np.linalg.inv(self.matrix), np.float64))
        (left, top), (right, bottom) = placed.min(0).tolist(), placed.max(0).tolist()
        return left, top, right, bottom

    def cut(self, size: tuple[float, float], surface: Colour) -> None:
        """Cover everything beyond the sheet of ``size`` mm with what lies around it."""
        rim = 1 / self.scale  # OpenCV fills a polygon's edge, too
        left, top, right, bottom = -rim, -rim, size[0] + rim, size[1] + rim
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
        height, width = self.pixels.shape[:2]
        outer = np.array([(-9, -9), (width + 9, -9), (width + 9, height + 9), (-9, height + 9)])
        rings = [np.rint(ring * (1 << _SHIFT)).astype(np.int32) for ring in (outer, transform(corners, self.matrix))]
        cv2.fillPoly(self.pixels, rings, surface, cv2.LINE_8, _SHIFT)

    def page(self) -> Pixels:
        """The mean of every block: what cv2.resize with INTER_AREA gives, three times as fast."""
        means = cv2.blur(self.pixels, self.factor, anchor=(0, 0))  # at its first pixel, the mean of a block
        return np.asarray(cv2.resize(means, self.page_size, interpolation=cv2.INTER_NEAREST), np.uint8)


def render(
    record: Record,
    layout: str | Path | Layout = "3x4+1",
    style: str | Path | Style = "red",
    *,
    start: float = 0.0,
    px_per_mm: float = 8.0,
    rotation: float = 0.0,
    speed: float = 25.0,
    gain: float = 10.0,
) -> Page:
    """Draw ``record`` from ``start`` s on, at ``speed`` mm/s and ``gain`` mm/mV; 0 mV is at the middle of each row.

    The page is just large enough for the sheet turned by ``rotation`` degrees (anticlockwise), white around it.
    What was not recorded leaves the paper empty. Raises UsageError for a layout, style, start or scale that does
    not exist, ConfigError for a wrong layout or style file.
    """
    sheet = _sheet(record, layout, style, start, speed, gain)
    if not 1 <= px_per_mm <= 50:
        raise UsageError(f"a page cannot be drawn at {px_per_mm:g} pixels per mm: give 1 to 50")
    width, height = _turned(sheet.size, rotation)
    factor = max(2, round(12 / px_per_mm))
    size = (round(width * px_per_mm), round(height * px_per_mm))
    matrix = _placed(sheet.size, rotation, (width / 2, height / 2), (px_per_mm, px_per_mm))
    pixels, traces = _draw(sheet, _View(matrix, size, (factor, factor), (255, 255, 255)))
    return Page(pixels, px_per_mm, traces)


def random_page(
    record: Record, rng: np.random.Generator, size: int = 300, layouts: Sequence[str] = PAPER_LAYOUTS
) -> Page:
    """Draw a training page, ``size`` x ``size`` pixels: random layout, style, start, rotation to 10 degrees, crop.

    The page is squashed to the square, as a picture is for the model; the crop never cuts off a row's 0 mV.
    """
    layout = load_layout(layouts[int(rng.integers(len(layouts)))])
    style = random_style(rng)
    sheet = _sheet(record, layout, style, _random_start(record, layout, rng), 25.0, 10.0)
    rotation = rng.uniform(-10, 10)
    width, height = _turned(sheet.size, rotation)
    left, top, right, bottom = rng.uniform(-8, 12, 4)  # mm of view beyond the sheet
    scale = (size / (left + width + right), size / (top + height + bottom))
    matrix = _placed(sheet.size, rotation, (left + width / 2, top + height / 2), scale)
    factor = (max(2, round(_CANVAS_PX_PER_MM / scale[0])), max(2, round(_CANVAS_PX_PER_MM / scale[1])))
    pixels, traces = _draw(sheet, _View(matrix, (size, size), factor, _random_surface(rng)))
    return Page(pixels, None, traces)


def _sheet(
    record: Record, layout: str | Path | Layout, style: str | Path | Style, start: float, speed: float, gain: float
) -> _Sheet:
    if not 0 <= start < record.duration:
        raise UsageError(f"a page cannot start at {start:g} s of {record.duration:g} s: choose a start inside")
    if not (5 <= speed <= 200 and 1 <= gain <= 100):
        raise UsageError(f"{speed:g} mm/s and {gain:g} mm/mV are no ECG's: give 5 to 200 mm/s and 1 to 100 mm/mV")
    layout = layout if isinstance(layout, Layout) else load_layout(layout)
    style = style if isinstance(style, Style) else load_style(style)
    return _Sheet(record, layout, style, start, speed, gain)


def _turned(size: tuple[float, float], rotation: float) -> tuple[float, float]:
    """Width and height of the upright box around a turned sheet."""
    (width, height), angle = size, np.radians(rotation)
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    return float(width * cos + height * sin), float(width * sin + height * cos)


def _placed(
    size: tuple[float, float], rotation: float, centre: tuple[float, float], scale: tuple[float, float]
) -> Matrix:
    """The matrix from mm on the sheet to page pixels: turned about its middle, which goes to ``centre`` (mm)."""
    angle = np.radians(rotation)
    cos, sin = np.cos(angle), np.sin(angle)
    to_middle = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]])
    turn = np.array([[cos, sin, centre[0]], [-sin, cos, centre[1]], [0, 0, 1]])
    to_pixels = np.array([[scale[0], 0, -0.5], [0, scale[1], -0.5], [0, 0, 1]])  # pixel 0 spans -0.5 to 0.5
    return np.asarray(to_pixels @ turn @ to_middle, np.float64)


def _random_start(record: Record, layout: Layout, rng: np.random.Generator) -> float:
    """A start (s) with enough signal for consecutive columns, or now and then with only about 5 s of it."""
    needed = layout.duration if rng.random() < 0.75 else 5.0
    return float(rng.uniform(0, max(record.duration - needed, 0)))


def _random_surface(rng: np.random.Generator) -> Colour | None:
    """What lies around the sheet: mostly more of the paper, else a table of any grey."""
    grey = int(rng.integers(20, 256))
    return (grey, grey, grey) if rng.random() < 0.35 else None


def _draw(sheet: _Sheet, view: _View) -> tuple[Pixels, tuple[Trace, ...]]:
    style, traces = sheet.style, [sheet.trace(panel) for panel in sheet.panels()]
    canvas = _Canvas(view, style.paper)
    _draw_grid(canvas, style, (0.0, 0.0, *sheet.size) if view.surface else canvas.area())
    _draw_texts(canvas, sheet)
    pulses = sheet.pulses() if style.pulse else []
    canvas.draw([*(trace.points for trace in traces), *pulses], style.trace_width, style.ink)
    if view.surface:
        canvas.cut(sheet.size, view.surface)
    return canvas.page(), tuple(replace(trace, points=transform(trace.points, view.matrix)) for trace in traces)


def _draw_grid(canvas: _Canvas, style: Style, area: Area) -> None:
    if style.grid == "dots":
        x, y = np.meshgrid(*_steps(area, 1))
        canvas.dot(np.column_stack([x.ravel(), y.ravel()]), style.minor_width, style.minor)
    elif style.grid == "lines":
        lines = _ruled(area, 1)
        under_major = (lines[:, 0] == lines[:, 1]) & (lines[:, 0] % 5 == 0)
        canvas.rule(lines[~under_major.any(1)], style.minor_width, style.minor)
    if style.grid != "none":
        canvas.rule(_ruled(area, 5), style.major_width, style.major)


def _steps(area: Area, step: int) -> tuple[Points, Points]:
    """Multiples of ``step`` mm within ``area``, across and down."""
    left, top, right, bottom = area
    across, down = (np.arange(np.ceil(a / step), b / step + 1e-6) * step for a, b in ((left, right), (top, bottom)))
    return across.astype(np.float32), down.astype(np.float32)


def _ruled(area: Area, step: int) -> Points:
    """Upright and level lines over ``area`` at each ``step`` mm, (n, 2, 2)."""
    left, top, right, bottom = area
    across, down = _steps(area, step)
    lines = np.empty((len(across) + len(down), 2, 2), np.float32)
    upright, level = lines[: len(across)], lines[len(across) :]
    upright[..., 0], upright[..., 1] = across[:, None], (top, bottom)
    level[..., 0], level[..., 1] = (left, right), down[:, None]
    return lines


def _draw_texts(canvas: _Canvas, sheet: _Sheet) -> None:
    """Write lead names, marks between columns, header and footer."""
    style, left, height = sheet.style, sheet.layout.margin.left, sheet.layout.height
    for panel in sheet.panels():
        x, y = sheet.anchor(panel)
        canvas.write(panel.lead, (x + 1, y - style.label_rise), style.label_height, style.bold, style.ink)
        if style.separators and panel.left > 0:
            marks = [[(x, y + near), (x, y + near + 4)] for near in (-7, 3)]
            canvas.rule(np.array(marks, np.float32), 0.5, style.ink)
    if style.header:
        canvas.write("12-lead ECG", (left, 7), _TEXT_HEIGHT, style.bold, style.ink)
    if style.footer:
        scales = f"{sheet.speed:g} mm/s   {sheet.gain:g} mm/mV"
        canvas.write(scales, (left, height - 5), _TEXT_HEIGHT, style.bold, style.ink)


@cache
def _stencil(text: str, height: int, bold: bool) -> tuple[Pixels, int]:
    """``text`` in white on black with capitals ``height`` pixels high, and the row it stands on."""
    font, pen = _FONTS[bold], max(1, round(height / 12))
    scale = cv2.getFontScaleFromHeight(font, height, pen)
    (width, _), below = cv2.getTextSize(text, font, scale, pen)
    stencil = np.zeros((height + 2 * below + 4, width + 4), np.uint8)
    cv2.putText(stencil, text, (2, height + below), font, scale, 255, pen)
    return stencil, height + below


def _pen(width: float) -> int:
    """Whole pixels to draw ``width`` pixels with, sooner too many than too few: shade can take away, not add."""
    return max(1, round(width + 0.2))


@cache
def _disc(pen: int) -> Points:
    """Offsets of the pixels of a round pen ``pen`` pixels wide, (n, 2), about its middle."""
    steps = np.arange(pen) - (pen - 1) / 2
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    return np.asarray(grid[np.hypot(*grid.T) <= pen / 2 + 0.01], np.float32)


def _runs(missing: npt.NDArray[np.bool_], lengths: list[int]) -> list[slice]:
    """Where polylines of ``lengths``, laid end to end, run without a ``missing`` point."""
    cuts = np.concatenate([[0], np.cumsum(lengths), np.flatnonzero(missing[1:] != missing[:-1]) + 1])
    edges = np.unique(cuts).tolist()
    return [slice(a, b) for a, b in pairwise(edges) if not missing[a]]
