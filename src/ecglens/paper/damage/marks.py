"""Marks on the flat sheet: of the printer, of pens and stamps, of cups and punches."""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.damage.canvas import Dose, Rng, Scale, blend, empty_cover, extent_of
from ecglens.paper.page import Pixels, Points
from ecglens.paper.style import Colour


def mark(pixels: Pixels, scale: Scale, doses: Mapping[str, Dose]) -> Pixels:
    """A copy of the sheet with marks on it; without any the sheet itself."""
    marks = {name: draw for name, draw in _MARKS.items() if name in doses}
    pixels = pixels.copy() if marks else pixels
    for name, draw in marks.items():
        draw(pixels, scale, *doses[name])
    return pixels


def _place(pixels: Pixels, scale: Scale, rng: Rng, rim: float) -> Points:
    """A place on the page, mm; with the chance ``rim`` near its upper or lower edge, where there is room to write."""
    width, height = extent_of(pixels, scale)
    y = rng.uniform(0.03, 0.97)
    if rng.random() < rim:
        y = rng.uniform(0.03, 0.14) if rng.random() < 0.6 else rng.uniform(0.88, 0.97)
    return np.array([rng.uniform(0.04, 0.85) * width, y * height], np.float32)


def _write(pixels: Pixels, scale: Scale, lines: list[Points], width: float, colour: Colour, density: float) -> None:
    """Draw polylines (mm) with a pen ``width`` mm wide; a line thinner than a pixel is paler by as much."""
    cover, corner, placed = empty_cover(np.concatenate(lines), scale)
    pen = width * (scale[0] * scale[1]) ** 0.5
    thickness = max(1, round(pen))
    cuts = np.cumsum([len(line) for line in lines])[:-1]
    shade = round(255 * density * min(1.0, pen / thickness))
    cv2.polylines(cover, np.split(placed, cuts), False, shade, thickness, cv2.LINE_AA, 4)
    blend(pixels, cover, corner, colour, glaze=True)


def _fade(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Pale ink, and the white lines of dead points of the print head."""
    step = 1 + min(pixels.shape[:2]) // 50
    paper = np.median(pixels[::step, ::step].reshape(-1, 3), axis=0)
    share = rng.uniform(0.2, 0.6) * strength
    cv2.transform(pixels, np.column_stack([np.eye(3) * (1 - share), paper * share]), pixels)
    height = extent_of(pixels, scale)[1]
    for y in rng.uniform(0, height, int(rng.poisson(2 * strength))).tolist():
        row, thick = int(y * scale[1]), max(1, round(0.25 * scale[1]))
        band = pixels[row : row + thick]
        band[:] = band + (paper.astype(np.float32) - band) * np.float32(min(0.8, 0.5 * scale[1]))


_MARKERS: Final = ((255, 245, 60), (255, 140, 200), (140, 250, 130), (120, 220, 255), (255, 190, 90))


def _highlight(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    colour = _MARKERS[int(rng.integers(len(_MARKERS)))]
    for _ in range(1 + int(rng.poisson(1.2 * strength))):
        length, steps = rng.uniform(15, 70), np.linspace(0, 1, 12)
        line = np.column_stack([steps * length, rng.uniform(-0.04, 0.04) * length * steps + rng.normal(0, 0.25, 12)])
        stroke = (line + _place(pixels, scale, rng, 0.6)).astype(np.float32)
        _write(pixels, scale, [stroke], rng.uniform(3.5, 6), colour, 0.45 + 0.4 * strength)


_DIGITS: Final = (  # as a hand writes them in a box one unit high, y down; strokes parted by None
    [(0.3, 0), (0.05, 0.3), (0.05, 0.7), (0.3, 1), (0.55, 0.7), (0.55, 0.3), (0.3, 0)],
    [(0.1, 0.25), (0.35, 0), (0.3, 1)],
    [(0.05, 0.2), (0.3, 0), (0.55, 0.25), (0.3, 0.6), (0, 1), (0.6, 0.97)],
    [(0.05, 0.1), (0.4, 0), (0.5, 0.25), (0.2, 0.45), (0.55, 0.7), (0.4, 0.97), (0, 0.95)],
    [(0.35, 0), (0.05, 0.6), (0.6, 0.6), (0.45, 0.35), (0.4, 1)],
    [(0.55, 0), (0.15, 0), (0.1, 0.4), (0.45, 0.45), (0.5, 0.8), (0.25, 1), (0, 0.9)],
    [(0.45, 0), (0.1, 0.5), (0.1, 0.85), (0.35, 1), (0.55, 0.75), (0.35, 0.5), (0.1, 0.7)],
    [(0, 0.03), (0.55, 0), (0.3, 0.5), (0.2, 1)],
    [(0.5, 0.1), (0.2, 0.05), (0.15, 0.3), (0.5, 0.65), (0.4, 0.95), (0.1, 0.95), (0.1, 0.65), (0.5, 0.1)],
    [(0.5, 0.25), (0.25, 0), (0.05, 0.25), (0.25, 0.5), (0.5, 0.25), (0.4, 1)],
)
_PENS: Final = ((35, 60, 160), (20, 35, 110), (30, 30, 38), (30, 30, 38), (185, 30, 40), (30, 110, 70))


def _number(rng: Rng, height: float) -> list[Points]:
    """Two to five digits by hand."""
    lines = []
    for place in range(int(rng.integers(2, 6))):
        digit = np.array(_DIGITS[int(rng.integers(10))])
        lines.append((digit + rng.normal(0, 0.035, digit.shape) + (place * 0.8, 0)) * height)
    return _slanted(lines, rng)


def _scrawl(rng: Rng, height: float) -> list[Points]:
    """Words nobody can read: loops that run to the right, some tall."""
    lines, left = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        letters = int(rng.integers(3, 9))
        steps = np.arange(letters * 9) / 9
        tall = np.repeat(np.where(rng.random(letters) < 0.25, rng.uniform(1.6, 2.4), rng.uniform(0.6, 1.1, letters)), 9)
        phase = 2 * np.pi * steps
        x = left + 0.55 * steps + rng.uniform(0.12, 0.3) * np.cos(phase + rng.uniform(0, 6))
        y = 1 - 0.5 * tall * (1 - np.cos(phase)) / 1.2 + 0.08 * np.sin(phase * 0.37)
        lines.append(np.column_stack([x, y]) * height * 0.8)
        left += 0.55 * letters + 0.6
    return _slanted(lines, rng)


def _slanted(lines: list[npt.NDArray[np.float64]], rng: Rng) -> list[Points]:
    angle, slant = rng.normal(0, 0.06), rng.uniform(0, 0.35)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle) - slant, np.cos(angle)]])
    return [(line @ turn).astype(np.float32) for line in lines]


def _sketch(rng: Rng) -> list[Points]:
    """A ring around something, an underline, a tick or an arrow."""
    turns = np.linspace(0, 2 * np.pi * rng.uniform(0.9, 1.15), 24) + rng.uniform(0, 6)
    width, height = rng.uniform(6, 18), rng.uniform(5, 12)
    ring = np.column_stack([np.cos(turns) * width, np.sin(turns) * height * (1 + 0.02 * turns)])
    line = np.column_stack([np.linspace(0, 4 * width, 6), rng.normal(0, 0.4, 6)])
    tick = np.array([(0, 0), (2, 4), (8, -6)]) * rng.uniform(0.6, 1.3)
    arrow = np.array([(0, 0), (12, 9), (9.5, 8.5), (12, 9), (11.5, 6)]) * rng.choice([-1, 1], 2)
    return [(ring, line, tick, arrow)[int(rng.integers(4))].astype(np.float32)]


def _handwrite(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Numbers, scrawls and marks of a pen. Never a word: a word could be a diagnosis."""
    colour, width = _PENS[int(rng.integers(len(_PENS)))], rng.uniform(0.35, 0.7)
    for _ in range(1 + int(rng.poisson(2.5 * strength))):
        kind, height = rng.random(), rng.uniform(3, 7)
        lines = _number(rng, height) if kind < 0.3 else _scrawl(rng, height) if kind < 0.7 else _sketch(rng)
        at = _place(pixels, scale, rng, 0.7 if kind < 0.7 else 0.2)
        _write(pixels, scale, [line + at for line in lines], width, colour, 0.95)


def _stamp(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """A ring or a frame of uneven ink, with a number and lines too small to read."""
    colour = ((50, 60, 150), (160, 40, 50), (90, 50, 130), (40, 110, 90))[int(rng.integers(4))]
    half = np.array([rng.uniform(11, 20), rng.uniform(7, 11)])
    turns = np.linspace(0, 2 * np.pi, 40)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
    outline = np.column_stack([np.cos(turns), np.sin(turns)]) * half.mean() if rng.random() < 0.5 else corners * half
    lines = [outline, outline * 0.86]
    lines += [line - (half[0] * 0.5, 2) for line in _number(rng, 4.0)]
    for y in (-0.45, 0.45):
        x = np.linspace(-0.5, 0.5, 30) * half[0]
        lines.append(np.column_stack([x, y * half[1] + rng.uniform(-0.6, 0.6, 30)]))
    angle = rng.normal(0, 0.25)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    at = _place(pixels, scale, rng, 0.7) + np.array((10, 0))
    placed = [(line @ turn + at).astype(np.float32) for line in lines]
    _write(pixels, scale, placed, 0.6, colour, rng.uniform(0.35, 0.55 + 0.4 * strength))


def _stain(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Rings of cups, blots and drops."""
    colours = ((205, 170, 120), (225, 205, 160), (190, 200, 215), (215, 160, 140))
    for _ in range(1 + int(rng.poisson(1.5 * strength))):
        ring, colour = rng.random() < 0.4, colours[int(rng.integers(4))]
        radius = rng.uniform(25, 42) if ring else np.exp(rng.uniform(np.log(2), np.log(35 * strength + 4)))
        turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        wobble = sum(rng.normal(0, 0.25 / k**1.5) * np.cos(k * turns + rng.uniform(0, 6)) for k in range(1, 6))
        reach = radius * (1 + wobble * (0.1 if ring else 1.0))
        shape = np.column_stack([np.cos(turns), np.sin(turns)]) * reach[:, None]
        width, height = extent_of(pixels, scale)
        shape = (shape + rng.uniform(0, 1, 2) * (width, height)).astype(np.float32)
        cover, corner, placed = empty_cover(shape, scale, 2)
        density = 255 * (0.25 + 0.5 * strength) * rng.uniform(0.6, 1)
        if not ring:
            cv2.fillPoly(cover, [placed], round(density * 0.7), cv2.LINE_AA, 4)
        pen = max(1, round(rng.uniform(0.8, 3) * scale[0])) if ring else max(1, round(0.6 * scale[0]))
        cv2.polylines(cover, [placed], True, round(density), pen, cv2.LINE_AA, 4)
        soft = rng.uniform(0.4, 1.2)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=soft * scale[0], sigmaY=soft * scale[1]), np.uint8)
        blend(pixels, cover, corner, colour, glaze=True)


def _punch(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Holes of a punch along an edge, and what is behind them."""
    width, height = extent_of(pixels, scale)
    middle, apart, inset = 0.5 + rng.normal(0, 0.05), rng.choice([70.0, 80.0]), rng.uniform(6, 12)
    grey = int(rng.choice([20, 70, 235]))
    along = (-0.5, 0.5) if rng.random() < 0.7 else (-1.5, -0.5, 0.5, 1.5)
    turns = np.linspace(0, 2 * np.pi, 20)
    for step in along:
        place = middle + apart * step / (height if height > 150 else width)
        at = (inset, place * height) if height > 150 else (place * width, inset)
        shape = (np.column_stack([np.cos(turns), np.sin(turns)]) * 3 + at).astype(np.float32)
        cover, corner, placed = empty_cover(shape, scale)
        cv2.fillPoly(cover, [placed], 255, cv2.LINE_AA, 4)
        blend(pixels, cover, corner, (grey, grey, grey), glaze=False)
        _write(pixels, scale, [shape], 0.4, (90, 90, 90), 0.3 + 0.4 * strength)


_MARKS: Final[Mapping[str, Callable[[Pixels, Scale, float, Rng], None]]] = {
    "fading": _fade,
    "highlighter": _highlight,
    "handwriting": _handwrite,
    "stamp": _stamp,
    "stains": _stain,
    "holes": _punch,
}
