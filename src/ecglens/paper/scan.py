"""From a photograph to a page: find the sheet of paper in a picture and lay it flat, upright and evenly lit.

All is looked for on reduced copies; the picture itself is moved once. The grid says how the paper lies (``grid``), the
edges of the sheet say where it ends, what is printed says which way is up (``upright``). Where the picture already is
a flat page, its pixels are handed back as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.grid import Grid, find_grid
from ecglens.paper.page import Page, Pixels, Points, transform
from ecglens.paper.upright import as_paper, find_turn

Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]
Size = tuple[int, int]  # width, height

MIN_SIDE: Final = 64  # pixels of a picture in which anything is looked for

_FINEST: Final = 2100  # long side of a page that was moved, pixels: 7 a mm of a sheet 300 mm wide
_WORK: Final = 720  # of the copy on which the grid is looked for
_COARSE: Final = 240  # of the copy on which the edges are
_DEEPEST: Final = 0.42  # share of the picture that may be to one side of the sheet
_NARROW: Final = 24  # pixels of a coarse copy that has no room for edges
_SLANT: Final = 0.22  # of an edge
_STEP: Final = 3.0  # pixels of the coarse copy between lines that are tried
_CAP: Final = 24  # step in colour (0-255) beyond which an edge is no clearer
_MIN_EDGE: Final = 7.0  # mean step along an edge of the sheet
_DEEPER: Final = 40.0  # more at an edge that lies deep in the picture
_MIN_LASTING: Final = 5.0  # step in colour that is left further off
_LEVEL: Final = 0.008  # slope of a line that is level in a drawn page
_WHITE: Final = 235
_SEEN: Final = 0.3  # share of an edge that is in the picture at least
_CROSSING: Final = 0.35  # correlation of what is on both sides of a line, from which on paper goes on beyond it
_TRIES: Final = 3  # lines looked at on each side of the sheet
_STILL: Final = 0.012  # share of the diagonal by which a sheet may be off the picture's corners and stay
_MAX_MISFIT: Final = 0.04  # of the grid on a sheet that is flat enough to go by it
_SQUARE: Final = 0.05  # radians by which the edges of a sheet seen from above may differ
_LIGHT: Final = 48  # long side of the copy on which the light is judged
_UNEVEN: Final = 0.8  # of the light that the darker parts get at least on a page that is left alone
_DARK: Final = 60  # light (0-255) of a screen's ground, or of a picture that is too dark
_DARKEST: Final = 0.3  # of the light, where paper is still to be seen in it


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A straightened page and how it lay in the picture.

    ``page`` is upright, its ``px_per_mm`` known where a grid was found. ``corners`` (4, 2) float32 are pixel positions
    in the original picture, from the upright sheet's upper left clockwise, beyond the picture where that cuts it.
    ``turn`` is by how many degrees clockwise the picture was turned to be upright, 0, 90, 180 or 270, and
    ``turn_odds`` the log-odds that it was right to. ``grid`` is how sure the grid is, from 0 (none) to 1.
    ``matrix`` (3, 3) takes pixels of the picture to pixels of the page.
    """

    page: Page
    corners: Points
    turn: int
    turn_odds: float
    grid: float
    matrix: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class _Pose:
    """How to see a picture flat: ``matrix`` takes its pixels to those of a view of ``size``; ``moved``: if it must."""

    matrix: Matrix
    size: Size
    corners: Floats
    px_per_mm: float | None
    moved: bool

    def look(self, picture: Pixels) -> Pixels:
        """The picture, flat."""
        if not self.moved:
            return picture
        seen = cv2.warpPerspective(picture, self.matrix, self.size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def turned(self, turn: int) -> "_Pose":
        """The same, turned clockwise by ``turn`` degrees."""
        pose = self
        for _ in range(turn // 90):
            width, height = pose.size
            quarter = np.array([[0.0, -1, height - 1], [1, 0, 0], [0, 0, 1]])
            pose = replace(
                pose, matrix=quarter @ pose.matrix, size=(height, width), corners=np.roll(pose.corners, 1, axis=0)
            )
        return pose

    def scaled(self, given: Size, before: Size, finest: int) -> "_Pose":
        """The same of a picture of size ``given`` reduced to ``before``, as if its long side were ``finest``."""
        if not self.moved:
            return _stay(given, self.px_per_mm and self.px_per_mm * max(given) / max(before))
        factor = finest / max(before)
        size = (max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor)))
        matrix = _resizing(self.size, size) @ self.matrix @ _resizing(given, before)
        corners = _map(self.corners, _resizing(before, given))
        return _Pose(matrix, size, corners, self.px_per_mm and self.px_per_mm * factor, True)


def straighten(page: Page) -> Scan:
    """Return ``page`` flat, upright, cropped to its sheet and evenly lit; traces, boxes and nodes move along.

    Pixels are resampled only where the sheet lies askew or does not fill the picture, and then to no more than 2100 a
    side. Never raises for a valid page; a picture in which nothing is found comes back as it is.
    """
    given = (page.pixels.shape[1], page.pixels.shape[0])
    if min(given) < MIN_SIDE:
        return Scan(page, _rectangle(given).astype(np.float32), 0, 0.0, 0.0, np.eye(3))
    fine = _halve(page.pixels, min(*given, -(-max(given) // _FINEST)))
    work = as_paper(_shrink(fine, _WORK))
    grid = find_grid(np.asarray(cv2.min(cv2.min(work[..., 0], work[..., 1]), work[..., 2]), np.uint8))
    flat = _lay_flat(work, grid)
    turn, odds = find_turn(flat.look(work), flat.px_per_mm)
    before = (work.shape[1], work.shape[0])
    pose = flat.scaled(given, before, max(fine.shape[:2])).turned(turn)
    pixels = _even_out(_develop(page.pixels, fine, pose, turn))
    if pixels is page.pixels:
        moved = replace(page, px_per_mm=pose.px_per_mm or page.px_per_mm)
    else:
        moved = page.moved(pixels, lambda points: transform(points, pose.matrix), pose.px_per_mm)
    sure = min(1.0, grid.strength / 2) if grid else 0.0
    return Scan(moved, pose.corners.astype(np.float32), turn, odds, sure, pose.matrix)


def _halve(pixels: Pixels, factor: int) -> Pixels:
    """Reduced by a whole factor, which is quick."""
    height, width = pixels.shape[:2]
    if factor < 2:
        return pixels
    size = (width // factor, height // factor)
    whole = pixels[: size[1] * factor, : size[0] * factor]
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)


def _shrink(pixels: Pixels, long: int) -> Pixels:
    """Reduced until its long side is ``long``; smaller pictures stay."""
    pixels = _halve(pixels, min(*pixels.shape[:2], max(pixels.shape[:2]) // long))
    scale = long / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _resizing(old: Size, new: Size) -> Matrix:
    """The matrix by which a picture of the one size becomes one of the other."""
    across, down = new[0] / old[0], new[1] / old[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _rectangle(size: Size) -> Floats:
    """The corners of a picture, from the upper left clockwise."""
    right, below = size[0] - 0.5, size[1] - 0.5
    return np.array([(-0.5, -0.5), (right, -0.5), (right, below), (-0.5, below)])


def _stay(size: Size, px_per_mm: float | None) -> _Pose:
    """A picture that is flat as it is."""
    return _Pose(np.eye(3), size, _rectangle(size), px_per_mm, False)


def _lay_flat(work: Pixels, grid: Grid | None) -> _Pose:
    """How the sheet lies in the picture."""
    size = (work.shape[1], work.shape[0])
    edges = _find_edges(work)
    if grid is not None and grid.misfit <= _MAX_MISFIT:
        pose = _by_grid(size, edges, grid)
    else:
        pose = _by_edges(size, edges if _agree(edges) else (None, None, None, None))
    still = np.abs(pose.corners - _rectangle(size)).max() < _STILL * np.hypot(*size)
    if still or not 0.2 < pose.size[0] * pose.size[1] / (size[0] * size[1]) < 3:
        return _stay(size, pose.px_per_mm)
    return pose


def _by_grid(size: Size, edges: "_Edges", grid: Grid) -> _Pose:
    """As the grid says; the edges only crop."""
    middle = np.array([[size[0] / 2, size[1] / 2], [size[0] / 2 + 1, size[1] / 2], [size[0] / 2, size[1] / 2 + 1]])
    at = _map(middle, grid.matrix)
    px_per_mm = float(abs(np.linalg.det(at[1:] - at[0]))) ** -0.5
    flat = np.asarray(np.diag([px_per_mm, px_per_mm, 1.0]) @ grid.matrix, np.float64)
    seen = _map(_rectangle(size), flat)
    low, high = seen.min(axis=0), seen.max(axis=0)
    top, right, bottom, left = (None if edge is None else _map(edge, flat).mean(axis=0) for edge in edges)
    x0, x1 = low[0] if left is None else left[0], high[0] if right is None else right[0]
    y0, y1 = low[1] if top is None else top[1], high[1] if bottom is None else bottom[1]
    box = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    back = _map(box, np.asarray(np.linalg.inv(flat), np.float64))
    sides = [back[[k, (k + 1) % 4]] if edge is None else edge for k, edge in enumerate(edges)]
    matrix = np.array([[1, 0, -x0 - 0.5], [0, 1, -y0 - 0.5], [0, 0, 1]]) @ flat
    return _Pose(matrix, (max(1, round(x1 - x0)), max(1, round(y1 - y0))), _meet(sides), px_per_mm, True)


def _by_edges(size: Size, edges: "_Edges") -> _Pose:
    """As the sheet's edges say, which is all there is without a grid."""
    corners = _meet(_complete(size, edges))
    across = np.hypot(*(corners[[1, 2]] - corners[[0, 3]]).T).mean()
    down = np.hypot(*(corners[[3, 2]] - corners[[0, 1]]).T).mean()
    flat = (max(1, round(across)), max(1, round(down)))
    target = _rectangle(flat).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return _Pose(np.asarray(matrix, np.float64), flat, corners, None, True)


def _agree(edges: "_Edges") -> bool:
    """Whether edges lie as those of a sheet seen from above: square, and level if there is one. Three show more."""
    found = [(side, edge[1] - edge[0]) for side, edge in enumerate(edges) if edge is not None]
    turns = [np.arctan2(y, x) - side * np.pi / 2 for side, (x, y) in found]
    off = [float((turn + np.pi) % (2 * np.pi) - np.pi) for turn in turns]
    if len(off) == 1:
        return abs(off[0]) < _SQUARE
    return len(off) > 2 or np.ptp(off or [0.0]) < _SQUARE


def _map(points: Floats, matrix: Matrix) -> Floats:
    return np.asarray(cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0], np.float64)


def _complete(size: Size, edges: "_Edges") -> list[Floats]:
    """The edges, and for those not found lines along the picture that are parallel to the others."""
    ahead = [None if edge is None else (edge[1] - edge[0]) / np.hypot(*(edge[1] - edge[0])) for edge in edges]
    sides = []
    for k, edge in enumerate(edges):
        if edge is None:
            along = _along(ahead, k)
            inward = np.array([-along[1], along[0]])
            rim = _rectangle(size)
            outermost = rim[int((rim @ inward).argmin())]
            edge = np.array([outermost, outermost + along * max(size)])
        sides.append(edge)
    return sides


def _along(ahead: list[Floats | None], side: int) -> Floats:
    """The direction of an edge that is not seen, from those that are."""
    opposite = ahead[(side + 2) % 4]
    if opposite is not None:
        return -opposite
    known = ahead[(side + 1) % 4], ahead[(side + 3) % 4]
    turned = [np.array([a[1], -a[0]]) * sign for a, sign in zip(known, (1, -1), strict=True) if a is not None]
    if turned:
        return np.asarray(np.mean(turned, axis=0))
    return np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][side])


def _meet(sides: list[Floats]) -> Floats:
    """Where each side, two points of it, meets the one before: (4, 2)."""
    lines = [np.cross([*one, 1], [*other, 1]) for one, other in sides]
    crossings = [np.cross(lines[k - 1], lines[k]) for k in range(4)]
    return np.array([point[:2] / (point[2] or 1e-9) for point in crossings])


_Edges = tuple[Floats | None, Floats | None, Floats | None, Floats | None]


def _find_edges(work: Pixels) -> _Edges:
    """The sheet's upper, right, lower and left edge, each two points, clockwise; None where none is in the picture."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (13, 13))
    coarse = _shrink(np.asarray(cv2.morphologyEx(work, cv2.MORPH_CLOSE, kernel), np.uint8), _COARSE)
    darkest = cv2.min(cv2.min(work[..., 0], work[..., 1]), work[..., 2])
    wide = cv2.getStructuringElement(cv2.MORPH_RECT, (17, 17))
    ink = np.asarray(cv2.morphologyEx(darkest, cv2.MORPH_BLACKHAT, wide), np.uint8)
    found = [_find_edge(_seen_from(coarse, side), _seen_from(ink, side)) for side in range(4)]
    size = (work.shape[1], work.shape[0])
    top, right, bottom, left = (None if e is None else _seen_back(e, side, size) for side, e in enumerate(found))
    return top, right, bottom, left


def _seen_from(picture: Pixels, side: int) -> Pixels:
    """The picture turned so that ``side`` (0: upper, 1: right, ...) is above."""
    return np.ascontiguousarray(np.rot90(picture, side))


def _seen_back(line: Floats, side: int, size: Size) -> Floats:
    """The points of a line in the picture of ``size`` as it was before ``_seen_from``."""
    width, height = size if side % 2 == 0 else size[::-1]
    for _ in range(side):
        line = np.column_stack([height - 1 - line[:, 1], line[:, 0]])
        width, height = height, width
    return line


def _find_edge(coarse: Pixels, ink: Pixels) -> Floats | None:
    """The sheet's upper edge in pixels of ``ink``: the line with the clearest step in colour that nothing crosses."""
    scale = ink.shape[1] / coarse.shape[1]
    if min(coarse.shape[:2]) < _NARROW:
        return None
    for left, right, step in _clearest(coarse):
        if step < _MIN_EDGE:
            return None
        line = np.array([(0.0, left), (coarse.shape[1] - 1, right)])
        deep = max(0.0, (left + right) / 2 / len(coarse))
        if step < _MIN_EDGE + _DEEPER * deep or not _ends_paper(coarse, line):
            continue
        line = np.asarray((line + 0.5) * (scale, ink.shape[0] / coarse.shape[0]) - 0.5, np.float64)
        if _crossing(ink, line) < _CROSSING * (1 - 2 * deep):
            return line
    return None


def _ends_paper(coarse: Pixels, line: Floats) -> bool:
    """Whether the colour further off a line differs above and below it, as it does not at a trace or a crease.

    What is white above a level line is a margin of a drawn page, or a scanner's lid that does no harm.
    """
    columns = np.arange(2, coarse.shape[1] - 2)
    middle = np.interp(columns, line[:, 0], line[:, 1])
    rows = [np.rint(middle + side * np.arange(3, 9)[:, None]) for side in (-1, 1)]
    above, below = ([_strip(coarse[..., c], each, columns, 2) for c in range(3)] for each in rows)
    both = above[0][1] & below[0][1]
    if both.sum() < 20:
        return True
    outside, inside = (np.array([values[both].mean() for values, _ in strips]) for strips in (above, below))
    level = abs(line[1, 1] - line[0, 1]) < _LEVEL * coarse.shape[1]
    if level and outside.min() > _WHITE and (outside >= inside - 1).all():
        return False
    return bool(np.abs(outside - inside).max() >= _MIN_LASTING)


def _clearest(coarse: Pixels) -> Iterator[tuple[float, float, float]]:
    """Lines from left to right with the clearest steps: their heights at both ends and the step, clearest first."""
    height, width = coarse.shape[:2]
    steps = _steps(coarse)
    ends = np.arange(-0.12 * height, _DEEPEST * height, _STEP)
    left, right = (each.ravel() for each in np.meshgrid(ends, ends, indexing="ij"))
    fair = (np.abs(left - right) < _SLANT * width) & (np.maximum(left, right) > _STEP / 2)
    left, right = left[fair], right[fair]
    clear = _clarity(steps, left, right, np.arange(2, width - 2, 6))
    around = np.arange(-2, 2.5, 0.5) * _STEP / 2
    for _ in range(_TRIES):
        best = int(clear.argmax())
        near = [each.ravel() for each in np.meshgrid(left[best] + around, right[best] + around)]
        exact = _clarity(steps, near[0], near[1], np.arange(2, width - 2, 3))
        finest = int(exact.argmax())
        yield float(near[0][finest]), float(near[1][finest]), float(exact[finest])
        clear = np.where(np.abs(left - left[best]) + np.abs(right - right[best]) < 12, 0, clear)


def _steps(coarse: Pixels) -> npt.NDArray[np.float32]:
    """From above to below each pixel: the step in colour of each channel, and the largest of these, (4, H, W)."""
    padded = cv2.copyMakeBorder(coarse, 2, 2, 0, 0, cv2.BORDER_REPLICATE).astype(np.int16)
    steps = np.moveaxis(np.clip(padded[4:] - padded[:-4], -_CAP, _CAP), -1, 0)
    steps = np.concatenate([steps, np.abs(steps).max(axis=0)[None]]).astype(np.float32)
    steps[:, [0, -1]] = 0  # which stand for all that is beyond the picture
    return steps


def _clarity(
    steps: npt.NDArray[np.float32], left: Floats, right: Floats, columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Mean step along each line from height ``left`` to ``right``, as far as it is in the picture."""
    _, height, width = steps.shape
    rows = np.rint(left[:, None] + (right - left)[:, None] * (columns / (width - 1))).astype(np.intp)
    seen = (rows >= 1) & (rows < height - 1)
    at = np.clip(rows, 0, height - 1) * width + columns
    *sums, most = (each.ravel().take(at).sum(axis=1) for each in steps)
    count = seen.sum(axis=1)
    clear = (most + np.abs(sums).max(axis=0)) / 2 / np.sqrt(np.maximum(count, 1) * len(columns))
    return np.where(count < _SEEN * len(columns), 0, clear)


def _crossing(ink: Pixels, line: Floats) -> float:
    """How much what is printed above a line is like what is below it: lines of a grid, or traces, that cross it."""
    columns = np.arange(2, ink.shape[1] - 2)
    middle = np.interp(columns, line[:, 0], line[:, 1])
    above, below = (_strip(ink, np.rint(middle + side * np.arange(4, 13)[:, None]), columns, 5) for side in (-1, 1))
    both = above[1] & below[1]
    if both.sum() < 60:
        return 0.0
    one, other = (_rough(strip[0][both]) for strip in (above, below))
    shifted = [(one[3 + k : len(one) - 3 + k], other[3:-3]) for k in range(-3, 4)]
    return max(float(a @ b) / max(1e-9, float(np.linalg.norm(a) * np.linalg.norm(b))) for a, b in shifted)


def _strip(
    ink: Pixels, rows: Floats, columns: npt.NDArray[np.int64], least: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The mean ink of each column over ``rows`` (n, columns), and where ``least`` of these are in the picture."""
    inside = (rows >= 0) & (rows < len(ink))
    values = ink[np.clip(rows, 0, len(ink) - 1).astype(np.intp), columns] * inside
    count = inside.sum(axis=0)
    return values.sum(axis=0) / np.maximum(count, 1), count >= least


def _rough(values: Floats) -> Floats:
    """What is left of a profile without its slow changes and its extremes."""
    rough = values - cv2.blur(values[None], (15, 1))[0]
    most = 2.5 * np.median(np.abs(rough)) + 1
    return np.asarray(np.clip(rough, -most, most), np.float64)


def _develop(pixels: Pixels, fine: Pixels, pose: _Pose, turn: int) -> Pixels:
    """The picture's pixels as the pose says."""
    if not pose.moved:
        return pixels if turn == 0 else np.ascontiguousarray(np.rot90(pixels, -turn // 90))
    given, reduced = ((each.shape[1], each.shape[0]) for each in (pixels, fine))
    paper = [*np.median(fine[::16, ::16].reshape(-1, 3), axis=0).tolist(), 0]
    wide = cv2.cvtColor(fine, cv2.COLOR_RGB2RGBA)  # four channels are moved faster than three
    seen = cv2.warpPerspective(wide, pose.matrix @ _resizing(reduced, given), pose.size, borderValue=paper)
    return np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), np.uint8)


def _even_out(pixels: Pixels) -> Pixels:
    """The page as if its paper had the same light everywhere; the same pixels where it does."""
    small = _shrink(pixels, 4 * _LIGHT)
    level = cv2.max(cv2.max(small[..., 0], small[..., 1]), small[..., 2])
    paper = cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    light = cv2.GaussianBlur(cv2.medianBlur(paper, 9), (0, 0), 4).astype(np.float32)
    dim, bright = (float(value) for value in np.percentile(light, (10, 95)))
    if dim > _UNEVEN * bright or np.median(level) < _DARK:
        return pixels
    gain = bright / np.clip(light, _DARKEST * bright, bright)
    spread = cv2.resize(np.asarray(gain * 64, np.uint8), (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.multiply(pixels, cv2.merge([spread] * 3), scale=1 / 64), np.uint8)
