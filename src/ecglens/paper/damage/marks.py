"""Marks on the flat sheet: of the printer, of pens and stamps, of cups and punches."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
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


_HAND: Final = {  # as a pen writes, baseline at 0 and y upwards, x-height 1; strokes parted by ";"
    "a": "9,8 5,10 1,5 4,0 8,4 9,9 9,2 12,1",
    "b": "0,2 5,14 3,19 2,4 5,0 9,3 7,9 11,8",
    "c": "9,8 5,10 1,5 4,0 10,2",
    "d": "9,8 5,10 1,5 4,0 8,4 10,19 10,2 13,1",
    "e": "0,3 6,5 7,9 3,9 2,3 5,0 10,2",
    "f": "0,3 6,14 4,19 3,8 2,-7 5,-3 4,2 9,2",
    "g": "9,8 5,10 1,5 4,1 8,4 9,9 8,-6 4,-8 3,-4 12,1",
    "h": "0,3 5,14 3,19 2,0 3,6 7,10 9,6 9,1 12,1",
    "i": "0,3 3,10 3,2 6,1;4,14 4,15",
    "k": "0,3 5,14 3,19 2,0 3,5 8,10 5,5 9,0 12,2",
    "l": "0,3 5,14 3,19 2,4 4,0 8,2",
    "m": "0,3 2,10 2,0 3,6 6,10 7,6 7,0 8,6 11,10 13,6 13,1 16,1",
    "n": "0,3 2,10 2,0 3,6 7,10 9,6 9,1 12,1",
    "o": "6,10 1,6 3,0 8,3 7,9 5,10 11,8",
    "p": "0,3 3,10 2,-8 3,6 7,10 10,5 6,0 3,2 12,1",
    "r": "0,3 3,10 4,8 8,9 7,2 11,1",
    "s": "0,2 5,10 7,4 4,0 1,1 10,2",
    "t": "0,3 5,17 3,3 6,0 9,2;1,12 8,13",
    "u": "0,3 2,10 2,2 5,0 9,4 10,10 10,2 13,1",
    "v": "0,4 2,10 4,0 9,9 13,8",
    "w": "0,4 2,10 3,0 7,8 8,0 13,9 16,8",
    "y": "0,4 2,10 4,2 9,4 10,10 8,-6 4,-8 4,-4 13,1",
    "0": "6,19 2,14 2,4 6,0 10,5 10,14 6,19",
    "1": "2,14 7,19 6,0",
    "2": "1,15 5,19 10,14 5,6 0,0 11,1",
    "3": "1,17 7,19 9,14 4,11 10,6 7,0 0,1",
    "4": "7,19 1,7 11,7;8,12 7,0",
    "5": "10,19 3,19 2,11 8,12 9,4 5,0 0,1",
    "6": "8,19 2,9 2,2 6,0 10,5 6,9 2,4",
    "7": "0,19 10,19 5,9 3,0",
    "8": "9,17 4,18 2,14 9,5 6,0 1,3 9,13 9,17",
    "9": "9,14 5,19 1,14 5,10 9,15 7,0",
    "/": "0,-2 8,21",
    ":": "2,4 2,5;2,12 2,13",
    ".": "1,0 1,1",
}
_WORDS: Final = (
    "seen",
    "copy",
    "ward",
    "bed",
    "repeat",
    "note",
    "file",
    "new",
    "old",
    "time",
    "sent",
    "checked",
    "room",
)
_PENS: Final = ((35, 60, 160), (20, 35, 110), (30, 30, 38), (30, 30, 38), (185, 30, 40), (30, 110, 70), (95, 95, 100))


@cache
def _letter(letter: str) -> tuple[npt.NDArray[np.float64], ...]:
    """The strokes of a letter, x-height 1, y downwards; smooth curves through the corners of ``_HAND``."""
    strokes = (
        np.array([[float(value) for value in place.split(",")] for place in stroke.split()])
        for stroke in _HAND[letter].split(";")
    )
    return tuple(_smooth(stroke) * (0.1, -0.1) for stroke in strokes)


def _smooth(corners: npt.NDArray[np.float64], steps: int = 3) -> npt.NDArray[np.float64]:
    """A curve through ``corners`` (Catmull and Rom 1974), ``steps`` points from each to the next."""
    ends = np.vstack([2 * corners[0] - corners[1], corners, 2 * corners[-1] - corners[-2]])
    t = (np.arange(steps) / steps)[:, None]
    weights = np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]) / 2
    near = np.stack([ends[k : len(ends) - 3 + k] for k in range(4)])
    return np.vstack([np.einsum("sk,knd->nsd", weights, near).reshape(-1, 2), corners[-1:]])


def _text(rng: Rng) -> str:
    """What people note beside an ECG, and never a finding: the picture is no place to read the diagnosis from."""
    kind = rng.random()
    if kind < 0.45:
        return str(rng.choice(_WORDS))
    first, second, third = rng.integers(1, 32), rng.integers(10, 60), rng.integers(60, 200)
    return f"{first % 12 + 1}:{second}" if kind < 0.6 else f"{first}/{first % 12 + 1}" if kind < 0.75 else f"{third}"


def _letters(text: str, rng: Rng) -> list[Points]:
    """Strokes of ``text``, x-height 1: each letter a little else, and cursive ones joined where the pen stays down."""
    lines: list[npt.NDArray[np.float64]] = []
    left, tight, open_end = 0.0, rng.uniform(0.8, 1.05), False
    for letter in text:
        size, drop = rng.normal(1, 0.07), rng.normal(0, 0.05)
        first, *rest = (stroke * size * (tight, 1) + (left, drop) for stroke in _letter(letter))
        if open_end and letter.isalpha():
            lines[-1] = np.vstack([lines[-1], first])
            lines += rest
        else:
            lines += [first, *rest]
        open_end = letter.isalpha() and not rest
        left = float(first[:, 0].max()) + (0.0 if letter.isalpha() else 0.25)
    return _slanted([line + _tremor(len(line), rng) for line in lines], rng)


def _tremor(count: int, rng: Rng) -> npt.NDArray[np.float64]:
    """What makes a hand's line no ruler's: a slow wander."""
    return np.cumsum(rng.normal(0, 0.02, (count, 2)), axis=0)


def _signature(rng: Rng) -> list[Points]:
    """A name nobody can read: a tall start, and loops that sink into a line."""
    count = int(rng.integers(5, 10))
    heights = np.concatenate([[rng.uniform(2, 3.2)], rng.uniform(0.3, 1.3, count) * np.linspace(1, 0.3, count)])
    heights[int(rng.integers(2, count))] *= rng.uniform(1, 2.5)
    steps = np.arange(count + 1) * rng.uniform(0.8, 1.3)
    low, high = rng.normal(0, 0.15, count + 1), heights + rng.normal(0, 0.1, count + 1)
    corners = np.column_stack([np.repeat(steps, 2), -np.column_stack([low, high]).ravel()])
    corners[1::2, 0] += rng.uniform(0.2, 0.9)
    return _slanted([_smooth(corners, 4), *([_underline(rng, float(steps[-1]))] if rng.random() < 0.4 else [])], rng)


def _underline(rng: Rng, length: float) -> npt.NDArray[np.float64]:
    x = np.linspace(0, length, 8)
    return np.column_stack([x, 0.6 + rng.normal(0, 0.05) * x + rng.normal(0, 0.04, 8)])


def _slanted(lines: list[npt.NDArray[np.float64]], rng: Rng) -> list[Points]:
    angle, slant = rng.normal(0, 0.08), rng.uniform(-0.05, 0.35)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle) - slant, np.cos(angle)]])
    return [(line @ turn).astype(np.float32) for line in lines]


def _ring(rng: Rng) -> list[Points]:
    """A ring by hand, whose end misses its start."""
    turns = np.linspace(0, 2 * np.pi * rng.uniform(0.85, 1.2), 32) + rng.uniform(0, 6)
    swell = 1 + rng.normal(0, 0.03) * (turns - turns[0]) + 0.05 * np.sin(turns * 2 + rng.uniform(0, 6))
    size = np.array([rng.uniform(6, 16), rng.uniform(6, 13)])
    return [(np.column_stack([np.cos(turns), np.sin(turns)]) * swell[:, None] * size).astype(np.float32)]


def _arrow(rng: Rng) -> list[Points]:
    """An arrow with its point at 0, 0."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(10, 25)
    steps = np.linspace(1, 0, 8)[:, None]
    shaft = steps * length * (np.cos(angle), np.sin(angle)) + steps * (1 - steps) * rng.normal(0, 3, 2)
    barbs = [3.2 * np.array([np.cos(angle + side), np.sin(angle + side)]) for side in (-0.5, 0.5)]
    return [shaft.astype(np.float32), np.array([barbs[0], (0, 0), barbs[1]], np.float32)]


def _measure(rng: Rng) -> list[Points]:
    """Two ticks and a line between, as one measures an interval, or the line alone."""
    length, drop = rng.uniform(4, 22), rng.uniform(3, 7)
    bar = np.column_stack([np.linspace(0, length, 6), drop + rng.normal(0, 0.15, 6)])
    ticks = [np.array([(x, drop - 2), (x + rng.normal(0, 0.2), drop + 1.5)]) for x in (0, length)]
    return [line.astype(np.float32) for line in ([bar] if rng.random() < 0.5 else [bar, *ticks])]


def _handwrite(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Notes beside the ECG; rings, arrows and ticks at beats; a name struck out. No word of them is a finding."""
    colour, width = _PENS[int(rng.integers(len(_PENS)))], rng.uniform(0.25, 0.5)
    if rng.random() < 0.12 * strength:
        _strike_out(pixels, scale, rng)
    for _ in range(1 + int(rng.poisson(2 * strength))):
        kind = rng.random()
        if kind < 0.55:
            lines = _signature(rng) if kind < 0.15 else _letters(_text(rng), rng)
            height = np.float32(rng.uniform(2, 4.5))
            lines, at = [line * height for line in lines], _place(pixels, scale, rng, 0.75)
        else:
            sketch = _ring if kind < 0.7 else _arrow if kind < 0.83 else _measure
            lines, at = sketch(rng), _dark_place(pixels, scale, rng)
        _ink(pixels, scale, [line + at for line in lines], width, colour, 0.55 + 0.4 * strength, rng)


def _strike_out(pixels: Pixels, scale: Scale, rng: Rng) -> None:
    """A name near the upper edge made illegible with a broad black pen, to and fro."""
    width, height = extent_of(pixels, scale)
    turns = int(rng.integers(3, 7))
    zigzag = np.column_stack([np.arange(turns) % 2 * rng.uniform(18, 42), np.arange(turns) * 1.4])
    at = np.array([rng.uniform(0.03, 0.7) * width, rng.uniform(0.01, 0.05) * height])
    line = _smooth(zigzag + rng.normal(0, 0.6, zigzag.shape) + at)
    _write(pixels, scale, [line.astype(np.float32)], 2.4, (22, 22, 26), rng.uniform(0.85, 1))


def _dark_place(pixels: Pixels, scale: Scale, rng: Rng) -> Points:
    """The darkest of some places on the page, mm: more often than not on a trace."""
    height, width = pixels.shape[:2]
    rows, columns = rng.integers(height // 8, height - height // 8, 60), rng.integers(width // 12, width, 60)
    found = int(pixels[rows, columns].sum(1, dtype=np.int64).argmin())
    return np.array([columns[found] / scale[0], rows[found] / scale[1]], np.float32)


def _ink(
    pixels: Pixels, scale: Scale, lines: list[Points], width: float, colour: Colour, density: float, rng: Rng
) -> None:
    """Draw polylines (mm) by hand: a pen presses harder downwards, and runs dry here and there."""
    cover, corner, placed = empty_cover(np.concatenate(lines), scale)
    pen, steps = width * (scale[0] * scale[1]) ** 0.5, np.diff(placed, axis=0)
    down = steps[:, 1] / (1 + np.abs(steps).max(1))
    press = np.convolve(0.8 + 0.25 * down + rng.normal(0, 0.12, len(down)), (0.25, 0.5, 0.25))[1:-1]
    pens = np.maximum(1, np.rint(pen * (0.6 + 0.5 * press) if pen > 3 else np.full(len(down), pen)))
    shades = 255 * density * np.minimum(np.maximum(press * 1.1, 0.3), 1) * np.minimum(1, 0.25 + pen / pens)
    shades[np.cumsum([len(line) for line in lines[:-1]], dtype=np.int64) - 1] = 0  # the pen is lifted
    strokes = zip(pairwise(placed.tolist()), shades.astype(int).tolist(), pens.astype(int).tolist(), strict=True)
    for (start, end), shade, thick in strokes:
        if shade:
            cv2.line(cover, start, end, shade, thick, cv2.LINE_AA, 4)
    blend(pixels, cover, corner, colour, glaze=True)


def _stamp(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """A ring or a frame with a date and lines too small to read; the ink is uneven, as the pad and the hand were."""
    colour = ((50, 60, 150), (160, 40, 50), (90, 50, 130), (40, 110, 90))[int(rng.integers(4))]
    half = np.array([rng.uniform(12, 21), rng.uniform(7, 11)])
    turns = np.linspace(0, 2 * np.pi, 40)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
    outline = np.column_stack([np.cos(turns), np.sin(turns)]) * half.mean() if rng.random() < 0.5 else corners * half
    lines = [outline, outline * 0.88]
    date = f"{rng.integers(1, 29)}.{rng.integers(1, 13)}.{rng.integers(10, 30)}"
    lines += [line * 1.7 - (half[0] * 0.6, -1.7) for line in _letters(date, rng)]
    for y in (-0.5, 0.5):
        x = np.linspace(-0.5, 0.5, 30) * half[0]
        lines.append(np.column_stack([x, y * half[1] + rng.uniform(-0.6, 0.6, 30)]))
    angle = rng.normal(0, 0.3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    at = _place(pixels, scale, rng, 0.75) + np.array((10, 0))
    cover, corner, placed = empty_cover((np.concatenate(lines) @ turn + at).astype(np.float32), scale)
    pen, parts = 0.42 * (scale[0] * scale[1]) ** 0.5, np.split(placed, np.cumsum([len(line) for line in lines])[:-1])
    cv2.polylines(cover, parts, False, round(255 * min(1.0, 0.3 + pen)), max(1, round(pen)), cv2.LINE_AA, 4)
    blend(pixels, _uneven(cover, 5, (0.15, 0.5 + 0.5 * strength), rng), corner, colour, glaze=True)


def _uneven(cover: Pixels, patches: int, share: tuple[float, float], rng: Rng) -> Pixels:
    """``cover`` times a share that varies over it softly between the two given."""
    shares = (255 * rng.uniform(*share, (patches, patches))).astype(np.uint8)
    spread = cv2.resize(shares, cover.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(cover, spread, scale=1 / 255), np.uint8)


_DRINKS: Final = ((150, 105, 60), (185, 145, 85), (160, 120, 80), (205, 185, 130))  # coffee, tea
_BLOTS: Final = ((205, 170, 120), (225, 205, 160), (190, 195, 205), (120, 118, 115), (215, 160, 140))


def _stain(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Rings of cups with splashes beside them, dried drops and smudges."""
    width, height = extent_of(pixels, scale)
    for _ in range(1 + int(rng.poisson(1.3 * strength))):
        at = rng.uniform(0, 1, 2) * (width, height)
        if rng.random() < 0.45:
            colour, radius = _DRINKS[int(rng.integers(len(_DRINKS)))], rng.uniform(25, 42)
            density = 0.04 + 0.1 * strength, 0.15 + 0.75 * strength
            _blot(pixels, scale, at, radius, 0.03, colour, density, int(rng.poisson(2 + 5 * strength)), rng)
        else:
            radius, dry = np.exp(rng.uniform(np.log(2), np.log(30 * strength + 5))), rng.uniform(0.3, 1)
            density = 0.1 + 0.55 * strength, dry * (0.1 + 0.6 * strength)
            _blot(pixels, scale, at, radius, 0.25, _BLOTS[int(rng.integers(len(_BLOTS)))], density, 0, rng)


def _blot(
    pixels: Pixels,
    scale: Scale,
    at: npt.NDArray[np.float64],
    radius: float,
    rough: float,
    colour: Colour,
    density: tuple[float, float],
    splashes: int,
    rng: Rng,
) -> None:
    """A dried liquid: the first ``density`` within, the second along its rim, to which the dregs were drawn."""
    turns, waves = np.linspace(0, 2 * np.pi, 40, endpoint=False), np.arange(1, 9)[:, None]
    wobble = (rng.normal(0, rough, (8, 1)) / waves * np.cos(waves * turns + rng.uniform(0, 6, (8, 1)))).sum(0)
    shape = np.column_stack([np.cos(turns), np.sin(turns)]) * (radius * (1 + wobble))[:, None] + at
    cover, corner, placed = empty_cover(shape.astype(np.float32), scale, 0.3 * radius if splashes else 2.0)
    pen, middle = (scale[0] * scale[1]) ** 0.5, placed.mean(0)
    cv2.fillPoly(cover, [placed], round(255 * density[0]), cv2.LINE_AA, 4)
    broad, rim = (max(1, round(width * pen)) for width in (min(4.0, 0.4 * radius), 0.7))
    cv2.polylines(cover, [placed], True, round(255 * (0.6 * density[0] + 0.25 * density[1])), broad, cv2.LINE_8, 4)
    away, turn, drops = rng.uniform(0.9, 1.4, splashes), rng.uniform(0, 6.3, splashes), rng.exponential(0.7, splashes)
    spots = middle + 16 * radius * (away * [np.cos(turn) * scale[0], np.sin(turn) * scale[1]]).T
    for spot, size in zip(
        np.rint(spots).astype(int).tolist(), (pen * (drops + 0.4) * 16).astype(int).tolist(), strict=True
    ):
        cv2.circle(cover, spot, size, round(255 * (0.1 + 0.5 * density[1])), -1, cv2.LINE_AA, 4)
    if pen > 2:  # else it is less than a pixel
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=0.4 * scale[0], sigmaY=0.4 * scale[1]), np.uint8)
    thin = np.zeros_like(cover)
    cv2.polylines(thin, [placed], True, round(255 * density[1] * min(1.0, 0.3 + 0.7 * pen)), rim, cv2.LINE_AA, 4)
    both = np.asarray(cv2.max(cover, _uneven(thin, 4, (0.0, 1.0), rng)), np.uint8)
    blend(pixels, _uneven(both, 6, (0.5, 1.0), rng), corner, colour, glaze=True)


def _punch(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> None:
    """Holes of a punch along an edge, and what is behind them; worn ones are torn out to the edge."""
    width, height = extent_of(pixels, scale)
    middle, apart, inset = 0.5 + rng.normal(0, 0.05), rng.choice([70.0, 80.0]), rng.uniform(6, 12)
    grey = int(rng.choice([20, 70, 235]))
    along = (-0.5, 0.5) if rng.random() < 0.7 else (-1.5, -0.5, 0.5, 1.5)
    turns, torn = np.linspace(-np.pi, np.pi, 20), rng.random(4) < strength - 0.4
    for step, tears in zip(along, torn.tolist(), strict=False):
        hole = np.column_stack([np.cos(turns), np.sin(turns)]) * 3
        if tears:
            rip = np.column_stack([[-inset - 2] * 2, rng.normal((3.5, -3.5), 1)])
            hole = np.vstack([hole[4:-4], rip]) + rng.normal(0, 0.25, (14, 2))
        place = middle + apart * step / (height if height > 150 else width)
        at = (inset, place * height) if height > 150 else (place * width, inset)
        shape = ((hole if height > 150 else hole[:, ::-1]) + at).astype(np.float32)
        cover, corner, placed = empty_cover(shape, scale)
        cv2.fillPoly(cover, [placed], 255, cv2.LINE_AA, 4)
        blend(pixels, cover, corner, (grey, grey, grey), glaze=False)
        _write(pixels, scale, [shape], 0.4, (90, 90, 90), 0.2 + 0.2 * strength)


_MARKS: Final[Mapping[str, Callable[[Pixels, Scale, float, Rng], None]]] = {
    "fading": _fade,
    "highlighter": _highlight,
    "handwriting": _handwrite,
    "stamp": _stamp,
    "stains": _stain,
    "holes": _punch,
}
