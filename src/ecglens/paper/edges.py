"""Find where the sheet ends in a picture: its edges, or, where white paper lies on white, what is printed on it.

An edge is a straight line with a step in colour along it. Shadows, creases, traces, the ends of a coloured grid on
white paper and the frames of screens are such lines, too: which of the clearest lines is the sheet's edge a small
network says by the colours and the print beside it, and where it knows none, a rule of thumb. Its weights, in
``edges.json``, are fitted on drawn pages (``benchmarks/scan.py --fit edges``). All is looked for on reduced copies.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Pixels

Floats = npt.NDArray[np.float64]
Size = tuple[int, int]  # width, height
Layer = tuple[Floats, Floats]  # of a network: weights and offsets
Edges = tuple[Floats | None, Floats | None, Floats | None, Floats | None]

_COARSE: Final = 240  # long side of the copy on which the edges are looked for
_DEEPEST: Final = 0.42  # share of the picture that may be to one side of the sheet
_NARROW: Final = 24  # pixels of a coarse copy that has no room for edges
_SLANT: Final = 0.22  # of an edge
_STEP: Final = 3.0  # pixels of the coarse copy between lines that are tried
_CAP: Final = 24  # step in colour (0-255) beyond which an edge is no clearer
_WHITE: Final = 235
SEEN: Final = 0.3  # share of an edge that is in the picture at least, to know it by
_INK: Final = 16  # darkness (0-255) of print at least
_RIM: Final = 8  # pixels at the picture's edges in which print is not looked for
_FEW: Final = 12  # points in five rows that are no print
_SPECK: Final = 6  # pixels of the longest side of a speck
_ENOUGH: Final = 2500  # points that say how rows lie
_APART: Final = 12.0  # pixels of the coarse copy, the ends' together, by which a line is higher or lower than others
_SLEWED: Final = 30.0  # or by which it rises or falls more from end to end
_TRIES: Final = 3  # lines looked at on each side of the sheet
_CLEAR: Final = 6  # step in colour (0-255) that is seen
_LIKELY: Final = 0.4  # log-odds from which on a line is taken for an edge (pages of seeds 321 and 7001)
_MIN_STEP: Final = 7.0  # mean step (0-255) along an edge, by the rule of thumb
_DEEPER: Final = 40.0  # more at an edge that lies deep in the picture
_MIN_LASTING: Final = 5.0  # step in colour (0-255) that is left further off
_LEVEL: Final = 0.008  # slope of a line that is level in a drawn page
_CROSSING: Final = 0.35  # correlation of what is on both sides of a line, from which on paper goes on beyond it
_SHADOW: Final = 0.3  # share of the light that a shadow takes away at a clear line
_OVERRULED: Final = 2.0  # correlation that is due to other things, such as moire, where more of the light is missing
_WALL: Final = 0.23  # of the light, by which a wall is brighter than the frame of a screen at least
_FEWEST: Final = 20  # columns of the coarse copy in which a line must be seen; thrice as many of the other


class Place(NamedTuple):
    """Where a line lies and how clear it is."""

    rank: float  # of the clearest, from 0 on
    deep: float  # share of the picture beyond it
    slant: float  # rise over run
    step: float  # in colour (0-255) along it
    constant: float  # share of its length with a clear step
    outer: float  # the clearest step further out
    inner: float  # and further in


class Colours(NamedTuple):
    """Of what is beyond a line, and how it differs from what is within, as shares of the brightest colour.

    As they are from the start where too little of either is in the picture.
    """

    unseen: bool = True
    differing: float = 0.0  # in the channel that differs most
    brighter: float = 0.0
    more_colourful: float = 0.0
    colourful: float = 0.0
    whiteness: float = 0.0  # of the channel that has least
    from_paper: float = 0.0  # how far from the colour of the picture's middle
    from_paper_within: float = 0.0


class Ink(NamedTuple):
    """The print on both sides of a line; all but ``seen`` as from the start where too little is in the picture."""

    alike: float = 0.0  # correlation of both
    rough: float = 0.0  # 0-255, beyond it
    rough_within: float = 0.0
    seen: float = 0.0  # share of the columns


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line that may be an edge of the sheet, and what it is like.

    ``ends`` (2, 2) are pixels of the picture it was found in, clockwise around the sheet. ``light`` is the brightest of
    the colours (0-255), of which they are shares.
    """

    ends: Floats
    place: Place
    colours: Colours
    light: float
    ink: Ink

    @property
    def traits(self) -> Floats:
        """What the network goes by, (19,)."""
        return np.array([*self.place, *self.colours, *self.ink])


def shrink(pixels: Pixels, long: int, how: int = cv2.INTER_LINEAR) -> Pixels:
    """Reduced until its long side is ``long``; smaller pictures stay; ``how`` is OpenCV's name of the way."""
    pixels = halve(pixels, long)
    scale = long / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


def halve(pixels: Pixels, long: int) -> Pixels:
    """Halved while its long side stays ``long`` at least; OpenCV is several times as quick at halves as at the rest."""
    while max(pixels.shape[:2]) >= 2 * long and min(pixels.shape[:2]) > 1:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels


def darkest(picture: Pixels) -> Pixels:
    """The darkest channel, (H, W): it shows coloured lines best."""
    return np.asarray(cv2.min(cv2.min(picture[..., 0], picture[..., 1]), picture[..., 2]), np.uint8)


def find_edges(work: Pixels, known: Edges, unsure: Sequence[int]) -> Edges:
    """The sheet's upper, right, lower and left edge, each two points, clockwise; None where none is in the picture.

    Those ``known``, and on the sides that are ``unsure`` (0: upper, 1: right, ...) what is found there.
    """
    found = dict(zip(unsure, map(_likeliest, list_lines(work, unsure)), strict=True))
    top, right, bottom, left = (found.get(side, known[side]) for side in range(4))
    return top, right, bottom, left


def list_lines(work: Pixels, sides: Sequence[int] = range(4)) -> list[list[Line]]:
    """What may be the edge on each of ``sides`` (0: upper, 1: right, ...): three lines at most, clearest first."""
    if not sides:
        return []
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (13, 13))
    coarse = shrink(np.asarray(cv2.morphologyEx(work, cv2.MORPH_CLOSE, kernel), np.uint8), _COARSE)
    if min(coarse.shape[:2]) < _NARROW:
        return [[] for _ in sides]
    wide = cv2.getStructuringElement(cv2.MORPH_RECT, (17, 17))
    ink = np.asarray(cv2.morphologyEx(darkest(work), cv2.MORPH_BLACKHAT, wide), np.uint8)
    size = (work.shape[1], work.shape[0])
    return [
        [
            replace(line, ends=seen_back(line.ends, side, size))
            for line in _list_upper(_seen_from(coarse, side), _seen_from(ink, side))
        ]
        for side in sides
    ]


def _likeliest(lines: list[Line]) -> Floats | None:
    """The ends of the line that is most likely an edge, if one is."""
    best = choose(np.array([line.traits for line in lines]), _network())
    return _clear_end(lines) if best is None else lines[best].ends


def _clear_end(lines: list[Line]) -> Floats | None:
    """The ends of the clearest line that ends the paper by a rule of thumb.

    For pictures unlike those drawn for the network, such as sheets on bright cloth, in sleeves or under a lamp.
    """
    wall = None
    for line in lines:
        if not _ends_paper(line):
            continue
        if wall is None and line.colours.brighter > _WALL:
            wall = line.ends  # may be where a wall ends and a screen's frame begins
        elif wall is None or line.colours.brighter < 0:
            return line.ends
    return wall


def _ends_paper(line: Line) -> bool:
    """Whether a line is clear, the deeper in the picture the more, its sides differ, and no print crosses it.

    What is white above a level line is a margin of a drawn page, or a scanner's lid that does no harm.
    """
    place, colours = line.place, line.colours
    margin = colours.unseen or (colours.whiteness * line.light > _WHITE and colours.brighter >= 0)
    if place.step < _MIN_STEP + _DEEPER * place.deep or (place.slant < _LEVEL and margin):
        return False
    most_alike = _CROSSING * (1 - 2 * place.deep) + _OVERRULED * max(0.0, colours.differing - _SHADOW)
    lasting = colours.unseen or colours.differing * line.light >= _MIN_LASTING
    return lasting and line.ink.alike <= most_alike


def choose(traits: Floats, network: list[Layer]) -> int | None:
    """Return the number of the line that is most likely an edge, by ``traits`` (n, 19) of each; None if none is."""
    if not len(traits):
        return None
    (weights, offsets), (last, offset) = network
    odds = (np.maximum(traits @ weights + offsets, 0) @ last + offset)[:, 0]
    best = int(odds.argmax())
    return best if odds[best] > _LIKELY else None


@cache
def _network() -> list[Layer]:
    """Weights and offsets of a hidden layer, (19, 16) and (16,), and of the last, (16, 1) and (1,)."""
    text = resources.files(__package__).joinpath("edges.json").read_text(encoding="utf-8")
    return [(np.array(layer["weights"]), np.array(layer["offsets"])) for layer in json.loads(text)]


def _seen_from(picture: Pixels, side: int) -> Pixels:
    """The picture turned so that ``side`` (0: upper, 1: right, ...) is above."""
    return np.ascontiguousarray(np.rot90(picture, side))


def seen_back(line: Floats, side: int, size: Size) -> Floats:
    """The points of a line in the picture of ``size`` as it was before ``np.rot90(picture, side)``."""
    width, height = size if side % 2 == 0 else size[::-1]
    for _ in range(side):
        line = np.column_stack([height - 1 - line[:, 1], line[:, 0]])
        width, height = height, width
    return line


def _list_upper(coarse: Pixels, ink: Pixels) -> list[Line]:
    """Lines that may be the sheet's upper edge, in pixels of ``ink``; ``coarse`` is the same picture, reduced."""
    steps = _steps(coarse)
    lines = list(_clearest(steps))
    height, width = coarse.shape[:2]
    scale = np.array([ink.shape[1] / width, ink.shape[0] / height])
    third = coarse[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    paper = np.median(third.reshape(-1, 3), axis=0)  # whatever else is in the picture, its middle is paper
    found = []
    for rank, (left, right, step) in enumerate(lines):
        ends = np.array([(0.0, left), (width - 1, right)])
        fine = np.asarray((ends + 0.5) * scale - 0.5, np.float64)
        middle = (left + right) / 2
        outer, inner = (
            max((other[2] for other in lines if sign * ((other[0] + other[1]) / 2 - middle) > _STEP), default=0.0)
            for sign in (-1, 1)
        )
        slant = abs(left - right) / width
        place = Place(rank, max(0.0, middle / height), slant, step, _constancy(steps[3], ends), outer, inner)
        found.append(Line(fine, place, *_colours(coarse, ends, paper), _print_beside(ink, fine)))
    return found


def _constancy(step: npt.NDArray[np.float32], line: Floats) -> float:
    """The share of a line's columns with a clear step, by ``step`` (H, W); beyond the picture there is none."""
    columns = np.arange(2, step.shape[1] - 2)
    rows = np.rint(np.interp(columns, line[:, 0], line[:, 1])).astype(np.intp)
    inside = (rows > 0) & (rows < len(step) - 1)
    return float((step[rows[inside], columns[inside]] > _CLEAR).sum() / len(columns))


def _colours(coarse: Pixels, line: Floats, paper: Floats) -> tuple[Colours, float]:
    """The colours above and below a line and of the ``paper`` (3,), and the brightest of them (0-255)."""
    columns = np.arange(2, coarse.shape[1] - 2)
    middle = np.interp(columns, line[:, 0], line[:, 1])
    above, below = (_strip(coarse, np.rint(middle + side * np.arange(3, 9)[:, None]), columns, 2) for side in (-1, 1))
    both = above[1] & below[1]
    if both.sum() < _FEWEST:
        return Colours(), 255.0
    outside, inside = (values[both].mean(axis=0) for values, _ in (above, below))
    light = max(1.0, outside.max(), inside.max())
    outside, inside, paper = outside / light, inside / light, paper / light
    colours = Colours(
        unseen=False,
        differing=float(np.abs(outside - inside).max()),
        brighter=float(outside.mean() - inside.mean()),
        more_colourful=float(np.ptp(outside) - np.ptp(inside)),
        colourful=float(np.ptp(outside)),
        whiteness=float(outside.min()),
        from_paper=float(np.abs(outside - paper).max()),
        from_paper_within=float(np.abs(inside - paper).max()),
    )
    return colours, float(light)


def _clearest(steps: npt.NDArray[np.float32]) -> Iterator[tuple[float, float, float]]:
    """Lines from left to right with the clearest steps: their heights at both ends and the step, clearest first."""
    _, height, width = steps.shape
    ends = np.arange(-0.12 * height, _DEEPEST * height, _STEP)
    left, right = (each.ravel() for each in np.meshgrid(ends, ends, indexing="ij"))
    fair = (np.abs(left - right) < _SLANT * width) & (np.maximum(left, right) > _STEP / 2)
    left, right = left[fair], right[fair]
    clear = _clarity(steps, left, right, np.arange(2, width - 2, 8))
    around = np.arange(-2, 2.5, 0.5) * _STEP / 2
    for _ in range(_TRIES):
        best = int(clear.argmax())
        if clear[best] <= 0:
            return
        near = [each.ravel() for each in np.meshgrid(left[best] + around, right[best] + around)]
        exact = _clarity(steps, near[0], near[1], np.arange(2, width - 2, 3))
        finest = int(exact.argmax())
        yield float(near[0][finest]), float(near[1][finest]), float(exact[finest])
        higher, steeper = left - left[best] + right - right[best], left - left[best] - right + right[best]
        clear = np.where((np.abs(higher) < _APART) & (np.abs(steeper) < _SLEWED), 0, clear)


def _steps(coarse: Pixels) -> npt.NDArray[np.float32]:
    """From above to below each pixel: the step in colour of each channel, and the largest of these, (4, H, W)."""
    padded = cv2.copyMakeBorder(coarse, 2, 2, 0, 0, cv2.BORDER_REPLICATE)
    channels = np.array(cv2.split(cv2.subtract(padded[4:], padded[:-4], dtype=cv2.CV_32F)))
    steps = np.clip([*channels, np.abs(channels).max(axis=0)], -_CAP, _CAP)
    steps[:, [0, -1]] = 0  # which stand for all that is beyond the picture
    return np.asarray(steps, np.float32)


def _clarity(
    steps: npt.NDArray[np.float32], left: Floats, right: Floats, columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Mean step along each line from height ``left`` to ``right``, as far as it is in the picture."""
    _, height, width = steps.shape
    rows = np.rint(left[:, None] + (right - left)[:, None] * (columns / (width - 1))).astype(np.intp)
    rows = np.clip(rows, 0, height - 1)
    seen = (rows > 0) & (rows < height - 1)
    at = rows * width + columns
    *sums, most = (each.ravel().take(at).sum(axis=1) for each in steps)
    count = seen.sum(axis=1)
    clear = (most + np.abs(sums).max(axis=0)) / 2 / np.sqrt(np.maximum(count, 1) * len(columns))
    return np.where(count < SEEN * len(columns), 0, clear)


def _print_beside(ink: Pixels, line: Floats) -> Ink:
    """How much the print above a line is like that below it, and how rough either is.

    A grid's lines and traces cross a line that is no edge; but moire crosses edges, too.
    """
    columns = np.arange(2, ink.shape[1] - 2)
    middle = np.interp(columns, line[:, 0], line[:, 1])
    above, below = (_strip(ink, np.rint(middle + side * np.arange(4, 13)[:, None]), columns, 5) for side in (-1, 1))
    both = above[1] & below[1]
    if both.sum() < 3 * _FEWEST:
        return Ink(seen=float(both.mean()))
    one, other = (_rough(strip[0][both, 0]) for strip in (above, below))
    shifted = [(one[3 + k : len(one) - 3 + k], other[3:-3]) for k in range(-3, 4)]
    alike = max(float(a @ b) / max(1e-9, float(np.linalg.norm(a) * np.linalg.norm(b))) for a, b in shifted)
    return Ink(alike, float(np.abs(one).mean()), float(np.abs(other).mean()), float(both.mean()))


def _strip(
    picture: Pixels, rows: Floats, columns: npt.NDArray[np.int64], least: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The mean of each column, (columns, channels), over ``rows`` (n, columns); where ``least`` are in the picture."""
    height, width = picture.shape[:2]
    inside = (rows >= 0) & (rows < height)
    at = np.clip(rows, 0, height - 1).astype(np.intp) * width + columns
    values = picture.reshape(height * width, -1).take(at, axis=0) * inside[..., None]
    count = inside.sum(axis=0)
    return values.sum(axis=0) / np.maximum(count, 1)[:, None], count >= least


def _rough(values: Floats) -> Floats:
    """What is left of a profile without its slow changes and its extremes."""
    rough = values - cv2.blur(values[None], (15, 1))[0]
    most = 2.5 * np.median(np.abs(rough)) + 1
    return np.asarray(np.clip(rough, -most, most), np.float64)


def find_print(work: Pixels) -> Floats:
    """Return points (n, 2) of what is printed on a white page on white, specks left out; none on other pages."""
    dark = darkest(work)
    if np.median(dark) < _WHITE:
        return np.empty((0, 2))
    ink = cv2.morphologyEx(dark, cv2.MORPH_BLACKHAT, np.ones((13, 13), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((ink > _INK).astype(np.uint8), connectivity=8)
    kept = (boxes[:, [2, 3]].max(axis=1) >= _SPECK) & (boxes[:, [2, 3]].min(axis=1) > 2)  # no streaks either
    kept[0] = False
    seen = kept[labels]
    seen[:_RIM] = seen[-_RIM:] = seen[:, :_RIM] = seen[:, -_RIM:] = False  # the dark of an open lid
    y, x = np.nonzero(seen)
    return np.column_stack([x, y]).astype(np.float64)


def extent_of(ink: Floats) -> Floats:
    """Return left, top, right and bottom (4,) of printed points, but for a few, as of a streak, that are far out."""
    low, high = [], []
    for each in ink.T:
        first = each.min()
        many = np.convolve(np.bincount((each - first).astype(np.intp)), np.ones(5), "same") >= _FEW
        at = np.flatnonzero(many) if many.any() else np.array([0, len(many) - 1])
        low.append(at[0] + first)
        high.append(at[-1] + first)
    return np.array(low + high)


def measure_skew(ink: Floats) -> float:
    """Return by how many radians clockwise rows or columns of printed points are turned: as the rows are sharpest."""
    if not len(ink):
        return 0.0
    points = ink[:: len(ink) // _ENOUGH + 1]
    angles = np.radians(np.arange(-10, 10.1, 0.25))
    return float(angles[int(np.argmax([_sharpness(points, angle) for angle in angles]))])


def _sharpness(points: Floats, angle: float) -> float:
    """How unevenly points lie across the rows or columns that are turned by ``angle``."""
    x, y = points.T
    cos, sin = np.cos(angle), np.sin(angle)
    rows, columns = (
        np.bincount((each - each.min()).astype(np.intp)) for each in (y * cos - x * sin, x * cos + y * sin)
    )
    return float(max((rows**2).sum(), (columns**2).sum()))
