"""From a photograph to a page: find the sheet of paper in a picture and lay it flat, upright and evenly lit.

All is looked for on reduced copies; the picture itself is moved once, and its scale checked on what comes of it. Where
the sheet is small in the picture (``outline``), only what is around it is looked at. The grid says how the paper lies
(``grid``), once more where it only shows on the sheet laid flat by its edges; the edges say where the sheet ends
(``edges``), what is printed says which way is up (``upright``). Where the picture already is a flat page, its pixels
are handed back as they are.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.edges import Edges, darkest, extent_of, find_edges, find_print, halve, measure_skew, shrink
from ecglens.paper.grid import LONGEST, Grid, check_scale, find_grid
from ecglens.paper.outline import find_sheet, find_sides
from ecglens.paper.page import Page, Pixels, Points, enlargement, transform
from ecglens.paper.upright import as_paper, find_turn, lightest

Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]
Size = tuple[int, int]  # width, height

MIN_SIDE: Final = 64  # pixels of a picture in which anything is looked for

_FINEST: Final = 1500  # long side of a page that was moved, pixels: 5 a mm of a sheet 300 mm wide
_PIXELS: Final = 1500 * 500  # of that page, up to which a long one, such as a roll, may be longer
_WORK: Final = 720  # of the copy on which all is looked for, if it is no roll
_AROUND: Final = 0.05  # of the sheet, that is seen around it in the part of the picture that is looked at
_MOST: Final = 0.8  # of the picture's sides that this part has, or it is all of the picture
_TILTED: Final = 0.16  # radians: grids are found up to 0.2
_STILL: Final = 0.012  # share of the diagonal by which a sheet may be off the picture's corners and stay
_PULLED: Final = 0.03  # share by which a page may be wider or narrower than it was and stay; scanners keep to 0.01
_TURNED: Final = 0.005  # radians from which on a sheet lies askew
_MARGIN: Final = 0.005  # of the long side, left around what is printed
_MOST_PX_PER_MM: Final = 12.0  # of that copy: a page is 60 mm wide or more; finer, and what was found is no grid
_MAX_MISFIT: Final = 0.04  # of the grid on a sheet that is flat enough to go by it
_ASKEW: Final = 0.1  # radians by which an edge may lie off the lines of the grid; fingers and folds lie as they will
_BENT: Final = 0.03  # radians from which on an edge's place counts, but not its direction
_SQUARE: Final = 0.05  # radians by which adjacent edges of a sheet may be off a right angle, a single one off level
_CONVERGING: Final = 0.25  # radians by which opposite edges may run together
_LIGHT: Final = 48  # long side of the copy on which the light is judged
_UNEVEN: Final = 0.8  # of the light that the darker parts get at least on a page that is left alone
_DARK: Final = 60  # light (0-255) of a screen's ground, or of a picture that is too dark
_DARKEST: Final = 0.3  # of the light, where paper is still to be seen in it


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A straightened page and how it lay in the picture.

    ``page`` is upright, its ``px_per_mm`` known where a grid was found, or where it was known of a page that shows none
    and was not moved. ``corners`` (4, 2) float32 are pixel positions in the original picture, from the upright sheet's
    upper left clockwise, beyond the picture where that cuts it.
    ``turn`` is by how many degrees clockwise the picture was turned to be upright, 0, 90, 180 or 270. ``matrix``
    (3, 3) takes pixels of the picture to pixels of the page.
    """

    page: Page
    corners: Points
    turn: int
    matrix: Matrix

    def turned_over(self) -> "Scan":
        """The same, had the other way been up."""
        last = np.array(_size_of(self.page.pixels), np.float64) - 1
        matrix = np.array([[-1, 0, last[0]], [0, -1, last[1]], [0, 0, 1]])
        pixels = np.ascontiguousarray(np.rot90(self.page.pixels, 2))
        page = self.page.moved(pixels, lambda points: transform(points, matrix), self.page.px_per_mm)
        return Scan(page, np.roll(self.corners, 2, axis=0), (self.turn + 180) % 360, matrix @ self.matrix)

    def seen_before(self, matrix: Matrix) -> "Scan":
        """The same, of the picture of which ``matrix`` made the one that was straightened."""
        corners = _map(self.corners.astype(np.float64), np.asarray(np.linalg.inv(matrix), np.float64))
        return replace(self, corners=corners.astype(np.float32), matrix=self.matrix @ matrix)

    def as_it_came(self, page: Page) -> Page:
        """``page`` as it was before it was straightened, since it only seemed to lie otherwise; but with its scale."""
        if not self.page.px_per_mm:
            return page
        middle = self.corners.mean(axis=0).astype(np.float64)
        return replace(page, px_per_mm=self.page.px_per_mm / enlargement(self.matrix, middle))


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

    def scaled(self, given: Size, before: Size) -> "_Pose":
        """The same of a picture of size ``given`` that was reduced to ``before``."""
        if not self.moved:
            return _stay(given, self.px_per_mm and self.px_per_mm * max(given) / max(before))
        finest = max(_FINEST / max(self.size), (_PIXELS / (self.size[0] * self.size[1])) ** 0.5)
        factor = min(max(given) / max(before), finest)
        size = (max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor)))
        matrix = _resizing(self.size, size) @ self.matrix @ _resizing(given, before)
        corners = _map(self.corners, _resizing(before, given))
        return _Pose(matrix, size, corners, self.px_per_mm and self.px_per_mm * factor, True)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A page, reduced copies of it, one ``fine`` enough for most and a ``small`` one, and where the sheet lies.

    ``sheet`` are the log-odds of its cells (``outline``). All is looked for on a copy of ``long`` pixels a side, more
    of a roll, to which the small one is reduced at last.
    """

    page: Page
    fine: Pixels
    small: Pixels
    sheet: Floats
    long: int

    @classmethod
    def of(cls, page: Page) -> "_View":
        """The page, looked at."""
        size, fine = _size_of(page.pixels), halve(page.pixels, _FINEST)
        long = round(_WORK * float(max(1.0, max(size) / min(size) / LONGEST) ** 0.5))
        small = halve(fine, long)
        return cls(page, fine, small, find_sheet(small), long)

    @property
    def size(self) -> Size:
        """Width and height of the page."""
        return _size_of(self.page.pixels)

    def on_paper(self) -> Pixels:
        """The small copy, dark on light."""
        return as_paper(self.small, self.sheet > 0)


def straighten(page: Page) -> Scan:
    """Return ``page`` flat, upright, cropped to its sheet and evenly lit; traces, boxes and nodes move along.

    Pixels are resampled only where the sheet lies askew or was pulled wider or higher, or edges are to be cut off, and
    then to no more than 1500 a side, or as many in all as a page of 1500 x 500 has. Never raises for a valid page; a
    picture in which nothing is found comes back as it is.
    """
    if min(page.pixels.shape[:2]) < MIN_SIDE:
        return Scan(page, _rectangle(_size_of(page.pixels)).astype(np.float32), 0, np.eye(3))
    view = _View.of(page)
    part = _part_to_look_at(view)
    if part is None:
        return _straighten_level(view)
    left, top, right, bottom = part
    offset = np.array((left, top), np.float32)
    pixels = np.ascontiguousarray(page.pixels[top:bottom, left:right])
    nearer = page.moved(pixels, lambda points: points - offset, page.px_per_mm)
    return _straighten_level(_View.of(nearer)).seen_before(np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]))


def _straighten_level(view: _View) -> Scan:
    """``straighten``, but a sheet that is not small is levelled first if it is so tilted that grids are not found."""
    sides = known, _ = find_sides(view.sheet, view.size)
    tilts = [_tilt(edge, side) for side, edge in enumerate(known) if edge is not None]
    tilt = float(np.median(tilts)) if len(tilts) > 1 else 0.0
    if abs(tilt) < _TILTED:
        return _straighten_near(view, sides)
    turn = _levelling(tilt)
    outline = _map(_meet(_complete(view.size, known)), turn)
    low, high = outline.min(axis=0), outline.max(axis=0)
    margin = _AROUND * (high - low)
    turn[:2, 2] = margin - low
    width, height = np.ceil(high - low + 2 * margin).astype(int).tolist()
    level = _Pose(turn, (width, height), outline, None, True)
    levelled = _View.of(view.page.moved(level.look(view.page.pixels), lambda points: transform(points, turn)))
    return _straighten_near(levelled, find_sides(levelled.sheet, level.size)).seen_before(turn)


def _tilt(edge: Floats, side: int) -> float:
    """By how many radians clockwise the edge of a ``side`` (0: upper, 1: right, ...) is turned."""
    x, y = edge[1] - edge[0]
    return float((np.arctan2(y, x) - side * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi)


def _part_to_look_at(view: _View) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom, pixels, of the part that shows the sheet, if that is far smaller than a picture."""
    box = []
    for axis, length in enumerate(view.size):
        cells = np.flatnonzero((view.sheet > 0).any(axis=axis))
        if not len(cells):
            return None
        margin = _AROUND * (cells[-1] + 1 - cells[0])
        low, high = np.array([cells[0] - margin, cells[-1] + 1 + margin]) * length / len(view.sheet)
        box.append((max(0, int(low)), min(length, int(high))))
    (left, right), (top, bottom) = box
    across, down = right - left, bottom - top
    if min(across, down) < MIN_SIDE or (across > _MOST * view.size[0] and down > _MOST * view.size[1]):
        return None
    return left, top, right, bottom


def working_copy(picture: Pixels) -> Pixels:
    """Return the copy of a picture in which its edges are looked for, dark on light."""
    view = _View.of(Page(picture))
    return shrink(view.on_paper(), view.long)


def _straighten_near(view: _View, sides: tuple[Edges, list[int]]) -> Scan:
    """``straighten`` for a page in which the sheet is neither small nor tilted.

    Its ``sides`` are as ``find_sides`` says, in pixels of the page.
    """
    small = view.on_paper()
    work = shrink(small, view.long)
    lines = shrink(darkest(small), view.long, cv2.INTER_AREA)  # in which lines 1 mm apart show no false ones
    shrinking, (known, unsure) = _resizing(view.size, _size_of(work)), sides
    top, right, bottom, left = (None if edge is None else _map(edge, shrinking) for edge in known)
    edges = find_edges(work, (top, right, bottom, left), unsure)
    flat = _lay_flat(work, edges, find_grid(lines))
    again = _look_again(work, lines, edges, flat) if flat.moved and flat.px_per_mm is None else None
    if again is not None:
        scan = _straightened(view, work, again)
        if _agrees(scan.page, again):
            return scan
    scan = _straightened(view, work, flat)
    if flat.moved and _is_still(flat, _size_of(work)) and not _agrees(scan.page, flat):  # pulled by what is no grid
        return _straightened(view, work, _stay(_size_of(work), None))
    return scan


def _look_again(work: Pixels, lines: Pixels, edges: Edges, flat: _Pose) -> _Pose | None:
    """As a grid says that is seen only where the sheet lies ``flat`` by its ``edges``, if it is as wide as high then.

    A grid that slants or narrows too much is not seen in the picture itself. None where there is none, or the edges
    contradict it.
    """
    grid = find_grid(flat.look(lines)) if any(edge is not None for edge in edges) else None
    if grid is None:
        return None
    matrix = np.asarray(grid.matrix @ flat.matrix, np.float64)
    if any(edge is not None and _slope(_map(edge, matrix)) > _ASKEW for edge in edges):
        return None
    pose = _lay_flat(work, edges, Grid(matrix, grid.misfit))
    seen = find_grid(pose.look(lines)) if pose.moved else None
    if seen is None or pose.px_per_mm is None:
        return None
    off = [np.log(np.hypot(*seen.matrix[:2, axis]) * pose.px_per_mm) for axis in range(2)]
    return pose if np.abs(off).max() < _PULLED else None


def _agrees(page: Page, flat: _Pose) -> bool:
    """Whether the page has the scale by which it was laid flat."""
    scale = (flat.px_per_mm or 0.0) * max(page.pixels.shape[:2]) / max(flat.size)
    return bool(abs((page.px_per_mm or 0.0) - scale) < _PULLED * scale)


def _straightened(view: _View, work: Pixels, flat: _Pose) -> Scan:
    """The page as it lies in its copy ``work``."""
    turn = find_turn(flat.look(work), flat.px_per_mm)
    pose, pixels = flat.scaled(view.size, _size_of(work)).turned(turn), view.page.pixels
    fine = halve(pixels, max(pose.size)) if max(pose.size) > _FINEST else view.fine
    moved = _move(view.page, _even_out(_develop(pixels, fine, pose, turn)), pose)
    return Scan(moved, pose.corners.astype(np.float32), turn, pose.matrix)


def _move(page: Page, pixels: Pixels, pose: _Pose) -> Page:
    """The page as ``pixels`` show it, to the scale of its grid."""
    if pixels is page.pixels:
        known = pose.px_per_mm or page.px_per_mm
        return replace(page, px_per_mm=check_scale(pixels, known) or page.px_per_mm)
    return page.moved(pixels, lambda points: transform(points, pose.matrix), check_scale(pixels, pose.px_per_mm))


def _size_of(picture: Pixels) -> Size:
    return picture.shape[1], picture.shape[0]


def _resizing(old: Size, new: Size) -> Matrix:
    """The matrix by which a picture of the one size becomes one of the other."""
    across, down = new[0] / old[0], new[1] / old[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _levelling(tilt: float) -> Matrix:
    """The matrix that turns back what is turned by ``tilt`` radians clockwise."""
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def _rectangle(size: Size) -> Floats:
    """The corners of a picture, from the upper left clockwise."""
    right, below = size[0] - 0.5, size[1] - 0.5
    return np.array([(-0.5, -0.5), (right, -0.5), (right, below), (-0.5, below)])


def _stay(size: Size, px_per_mm: float | None) -> _Pose:
    """A picture that is flat as it is."""
    return _Pose(np.eye(3), size, _rectangle(size), px_per_mm, False)


def _lay_flat(work: Pixels, edges: Edges, grid: Grid | None) -> _Pose:
    """How the sheet lies in the picture."""
    size = _size_of(work)
    by_grid = _by_grid(work, edges, grid) if grid is not None and grid.misfit <= _MAX_MISFIT else None
    if by_grid is not None and by_grid.px_per_mm is not None and by_grid.px_per_mm <= _MOST_PX_PER_MM:
        pose = by_grid
    elif any(edge is not None for edge in edges) and _agree(edges):
        pose = _by_edges(size, edges)
    else:
        pose = _by_print(work)
    pulled = abs(np.log(pose.size[0] * size[1] / (pose.size[1] * size[0]))) > _PULLED
    if (_is_still(pose, size) and not pulled) or not 0.2 < pose.size[0] * pose.size[1] / (size[0] * size[1]) < 3:
        return _stay(size, pose.px_per_mm)
    return pose


def _is_still(pose: _Pose, size: Size) -> bool:
    """Whether the sheet fills the picture."""
    return bool(np.abs(pose.corners - _rectangle(size)).max() < _STILL * np.hypot(*size))


def _by_grid(work: Pixels, edges: Edges, grid: Grid) -> _Pose:
    """As the grid says; the edges only crop."""
    px_per_mm = grid.px_per_mm(np.array(_size_of(work)) / 2)
    flat = np.asarray(np.diag([px_per_mm, px_per_mm, 1.0]) @ grid.matrix, np.float64)
    top, right, bottom, left = (None if edge is None or _slope(_map(edge, flat)) > _ASKEW else edge for edge in edges)
    return _crop(work, (top, right, bottom, left), flat, px_per_mm)


def _slope(edge: Floats) -> float:
    """By how many radians an edge lies off rows and columns."""
    return float(np.arctan2(*np.sort(np.abs(edge[1] - edge[0]))))


def _by_print(work: Pixels) -> _Pose:
    """As rows of print lie, which is all there is where neither grid nor edges are seen."""
    return _crop(work, (None, None, None, None), _levelling(measure_skew(find_print(work))), None)


def _crop(work: Pixels, edges: Edges, flat: Matrix, px_per_mm: float | None) -> _Pose:
    """The picture as ``flat`` maps it, up to the edges; where there are none, to the end of what is seen."""
    x0, y0, x1, y1 = _extent(work, flat)
    top, right, bottom, left = (None if edge is None else _map(edge, flat).mean(axis=0) for edge in edges)
    x0, x1 = x0 if left is None else left[0], x1 if right is None else right[0]
    y0, y1 = y0 if top is None else top[1], y1 if bottom is None else bottom[1]
    box = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    back = _map(box, np.asarray(np.linalg.inv(flat), np.float64))
    sides = [
        back[[k, (k + 1) % 4]] if edge is None or _slope(_map(edge, flat)) > _BENT else edge
        for k, edge in enumerate(edges)
    ]
    matrix = np.array([[1, 0, -x0 - 0.5], [0, 1, -y0 - 0.5], [0, 0, 1]]) @ flat
    return _Pose(matrix, (max(1, round(x1 - x0)), max(1, round(y1 - y0))), _meet(sides), px_per_mm, True)


def _extent(work: Pixels, flat: Matrix) -> Floats:
    """Left, top, right and bottom of the picture under ``flat``; of its print, if it is a white one that lay askew."""
    outline = _map(_rectangle(_size_of(work)), flat)
    along = np.arctan2(*(outline[1] - outline[0])[::-1])
    ink = find_print(work) if abs(along) > _TURNED else np.empty((0, 2))
    if not len(ink):
        return np.concatenate([outline.min(axis=0), outline.max(axis=0)])
    printed, margin = extent_of(_map(ink, flat)), _MARGIN * max(work.shape)
    low = np.maximum(printed[:2] - margin, outline.min(axis=0))
    high = np.minimum(printed[2:] + margin, outline.max(axis=0))
    return np.concatenate([low, high])


def _by_edges(size: Size, edges: Edges) -> _Pose:
    """As the sheet's edges say, which is all there is without a grid."""
    corners = _meet(_complete(size, edges))
    across = np.hypot(*(corners[[1, 2]] - corners[[0, 3]]).T).mean()
    down = np.hypot(*(corners[[3, 2]] - corners[[0, 1]]).T).mean()
    flat = (max(1, round(across)), max(1, round(down)))
    target = _rectangle(flat).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return _Pose(np.asarray(matrix, np.float64), flat, corners, None, True)


def _agree(edges: Edges) -> bool:
    """Whether edges lie as those of a sheet do: a single one level, adjacent ones square, opposite ones about parallel.

    Three and more tell of themselves.
    """
    found = [side for side, edge in enumerate(edges) if edge is not None]
    off = [_tilt(edge, side) for side, edge in enumerate(edges) if edge is not None]
    if len(off) == 1:
        return abs(off[0]) < _SQUARE
    opposite = len(found) == 2 and found[1] - found[0] == 2
    return len(off) > 2 or np.ptp(off or [0.0]) < (_CONVERGING if opposite else _SQUARE)


def _map(points: Floats, matrix: Matrix) -> Floats:
    return np.asarray(cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0], np.float64)


def _complete(size: Size, edges: Edges) -> list[Floats]:
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


def _develop(pixels: Pixels, fine: Pixels, pose: _Pose, turn: int) -> Pixels:
    """The picture's pixels as the pose says."""
    if not pose.moved:
        return pixels if turn == 0 else np.ascontiguousarray(np.rot90(pixels, -turn // 90))
    paper = [*np.median(fine[::16, ::16].reshape(-1, 3), axis=0).tolist(), 0]
    wide = cv2.cvtColor(fine, cv2.COLOR_RGB2RGBA)  # four channels are moved faster than three
    matrix = pose.matrix @ _resizing(_size_of(fine), _size_of(pixels))
    seen = cv2.warpPerspective(wide, matrix, pose.size, borderValue=paper)
    return np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), np.uint8)


def _even_out(pixels: Pixels) -> Pixels:
    """The page as if its paper had the same light everywhere; the same pixels where it does."""
    step = max(1, max(pixels.shape) // (8 * _LIGHT))
    small = shrink(np.ascontiguousarray(pixels[::step, ::step]), 4 * _LIGHT)
    level = lightest(small)
    paper = cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    light = cv2.GaussianBlur(cv2.medianBlur(paper, 9), (0, 0), 4).astype(np.float32)
    dim, bright = (float(value) for value in np.percentile(light, (10, 95)))
    if dim > _UNEVEN * bright or np.median(level) < _DARK:
        return pixels
    gain = bright / np.clip(light, _DARKEST * bright, bright)
    spread = cv2.resize(np.asarray(gain * 64, np.uint8), (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.multiply(pixels, cv2.merge([spread] * 3), scale=1 / 64), np.uint8)
