"""The scene: where the sheet lies in the frame, what lies around it, and the hand that holds it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.damage.canvas import (
    NO_MAP,
    Dose,
    Floats,
    Mesh,
    Rng,
    Scale,
    extent_of,
    illuminate,
    quantize,
    size_of,
)
from ecglens.paper.damage.relief import Relief, model_relief
from ecglens.paper.page import Page, Pixels, Points
from ecglens.paper.style import Colour

Matrix = npt.NDArray[np.float64]

_FLATNESS: Final = {"photo": 1.0, "scan": 0.6, "photocopy": 0.5, "fax": 0.3, "screen": 0.0, "screenshot": 0.0}
_SIDE: Final = 24  # points of the outline on each side of the sheet


def shoot(
    page: Page, scale: Scale, way: str, shot: Rng, doses: Mapping[str, Dose]
) -> tuple[Page, Points, Floats | None]:
    """The page in its place in the frame, the sheet's outline there, and how paper that is not flat catches light."""
    size = size_of(page.pixels)
    relief = model_relief(size, scale, _FLATNESS[way], shot, doses)
    surface = _plain_surface(way, shot)
    matrix = _pose(size, scale, doses)
    if relief is None and np.abs(matrix - np.eye(3)).max() < 1e-9:
        return page, _outline(size), None

    def move(points: Points) -> Points:
        return _project(relief.bend(points) if relief else points, matrix)

    mesh, outline = Mesh(size), move(_outline(size))
    flat = _flatten(mesh, relief, matrix)
    sheet = relief.crease(page.pixels, scale) if relief else page.pixels
    pixels = _remap(sheet, mesh.fill(flat), surface)
    beyond = _distance(flat, size, scale)
    if float(beyond.max()) > 0 and way == "photo":
        _lay(pixels, outline, mesh, beyond, scale, doses.get("desk"))
    if float(beyond.max()) > 0 and way == "screen":
        cv2.copyTo(_bezel(mesh, beyond, shot), _outside(pixels, outline), pixels)
    return page.moved(pixels, move), outline, _look_up_shade(relief, flat, beyond) if relief else None


def _flatten(mesh: Mesh, relief: Relief | None, matrix: Matrix) -> Points:
    """The points of the flat page that are seen at the mesh's points in the picture, (rows, columns, 2)."""
    grid = mesh.points()
    flat = _project(grid.reshape(-1, 2), np.asarray(np.linalg.inv(matrix), np.float64))
    return (relief.unbend(flat) if relief else flat).reshape(grid.shape)


def _remap(pixels: Pixels, maps: Points, surface: Colour) -> Pixels:
    """The picture that shows at each pixel what is at ``maps`` (h, w, 2) in ``pixels``, or ``surface`` beyond them."""
    moved = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)  # OpenCV moves four channels faster than three
    moved = cv2.remap(moved, maps, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=surface)
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB), np.uint8)


def _distance(flat: Points, size: tuple[int, int], scale: Scale) -> Floats:
    """How far points (rows, columns, 2) lie beyond the sheet, mm; below 0 on it."""
    x, y = np.moveaxis(flat, -1, 0)
    beyond = np.maximum(np.maximum(-x, x - size[0]), np.maximum(-y, y - size[1]))
    return np.asarray(beyond / np.float32(min(scale)), np.float32)


def _look_up_shade(relief: Relief, flat: Points, beyond: Floats) -> Floats:
    """How bright the relief makes what is seen at each point; the desk is not bent."""
    shade = relief.mesh.look_up(relief.shade[..., None], flat.reshape(-1, 2)).reshape(beyond.shape)
    return np.asarray(1 + (shade - 1) * np.exp(np.minimum(-beyond, 0) / 3), np.float32)


def _pose(size: tuple[int, int], scale: Scale, doses: Mapping[str, Dose]) -> Matrix:
    """The projective matrix from the sheet's pixels to the picture's."""
    half = np.array(size) / 2
    matrix = np.array([[1, 0, 0.5 - half[0]], [0, 1, 0.5 - half[1]], [0, 0, 1]])
    if "rotation" in doses:
        strength, rng = doses["rotation"]
        angle = np.radians(np.clip(rng.normal(0, 4), -9, 9) * strength)
        cos, sin, squash = np.cos(angle), np.sin(angle), scale[0] / scale[1]
        matrix = np.array([[cos, -sin * squash, 0], [sin / squash, cos, 0], [0, 0, 1]]) @ matrix
    if "perspective" in doses:
        strength, rng = doses["perspective"]
        tilt = np.clip(rng.normal(0, 0.07, 2), -0.16, 0.16) * strength / half
        matrix = np.array([[1, 0, 0], [0, 1, 0], [*tilt, 1]]) @ matrix
    return _framed(matrix, size, _margins(doses))


def _margins(doses: Mapping[str, Dose]) -> npt.NDArray[np.float64]:
    """Room left, above, right and below the sheet in the picture, as shares of it; below 0 where the sheet is cut."""
    room = np.zeros(4)
    if "desk" in doses:
        strength, rng = doses["desk"]
        room += rng.uniform(0.01, 0.14, 4) * strength * (rng.random(4) < 0.65)
    if "crop" in doses:
        strength, rng = doses["crop"]
        room -= rng.uniform(0.01, 0.07, 4) * strength * np.roll([1, *(rng.random(3) < 0.5)], int(rng.integers(4)))
    return room


def _framed(matrix: Matrix, size: tuple[int, int], room: npt.NDArray[np.float64]) -> Matrix:
    """``matrix`` and then a move that fits the sheet between ``room``; a picture is stretched by 12 % at most."""
    (width, height), edge = size, -0.5
    corners = np.array([[(edge, edge), (width + edge, edge), (width + edge, height + edge), (edge, height + edge)]])
    corners = cv2.perspectiveTransform(corners, matrix)[0]
    low, high = corners.min(0), corners.max(0)
    inner = np.array(size) * (1 - room[:2] - room[2:])
    fit = inner / (high - low)
    fit = np.minimum(fit, 1.12 * fit.min())
    middle = np.array(size) * (0.5 + (room[:2] - room[2:]) / 2) - 0.5
    shift = middle - fit * (low + high) / 2
    return np.array([[fit[0], 0, shift[0]], [0, fit[1], shift[1]], [0, 0, 1]]) @ matrix


def _project(points: Points, matrix: Matrix) -> Points:
    """What ``page.transform`` does, several times as fast; NaN stays NaN."""
    if not len(points):
        return points
    moved = cv2.perspectiveTransform(points[:, None], matrix)[:, 0]
    missing = np.isnan(points)
    moved[missing[:, 0] | missing[:, 1]] = np.nan
    return np.asarray(moved, np.float32)


def _outline(size: tuple[int, int]) -> Points:
    """Points along the upper, right, lower and left edge of a page, ``_SIDE`` on each; clockwise."""
    steps = np.arange(_SIDE) / _SIDE
    zero, one = np.zeros(_SIDE), np.ones(_SIDE)
    x, y = np.concatenate([steps, one, 1 - steps, zero]), np.concatenate([zero, steps, one, 1 - steps])
    return (np.column_stack([x, y]) * size - 0.5).astype(np.float32)


def _plain_surface(way: str, shot: Rng) -> Colour:
    """The colour around the sheet: a table's, the lid of a scanner or copier, or the dark around a screen."""
    level, tint = shot.uniform(30, 210), shot.normal(0, 10, 3)
    grey = float(shot.choice([15, 250, 255])) if way == "scan" else 20.0 if way == "screen" else 250.0
    return _rgb(level + tint if way == "photo" else np.full(3, grey))


def _lay(pixels: Pixels, outline: Points, mesh: Mesh, beyond: Floats, scale: Scale, dose: Dose | None) -> None:
    """Put what the sheet lies on outside of its ``outline``, and the sheet's shadow on that, ``beyond`` mm from it."""
    surface = _desk(size_of(pixels), scale, *dose) if dose else pixels
    shadow = quantize(1 - 0.4 * np.exp(-np.maximum(beyond, 0) / 3))
    cv2.copyTo(illuminate(surface, mesh.fill(cv2.merge([shadow] * 3))), _outside(pixels, outline), pixels)


def _outside(pixels: Pixels, outline: Points) -> Pixels:
    """255 at the pixels that lie outside of ``outline``, 0 at the others."""
    outside = np.full(pixels.shape[:2], 255, np.uint8)
    cv2.fillPoly(outside, [np.rint(outline * 16).astype(np.int32)], 0, cv2.LINE_8, 4)
    return outside


def _bezel(mesh: Mesh, beyond: Floats, shot: Rng) -> Pixels:
    """The frame of a display, ``beyond`` mm from what it shows, with a rim that catches light, and the wall behind."""
    width, body, wall = shot.uniform(5, 18), shot.choice([16.0, 28.0, 60.0, 190.0]), shot.uniform(40, 170)
    away = np.arange(256) / 8
    level = np.where(away < width, body + 12 * (away < 0.8), wall) + 30 * np.exp(-((away - width) ** 2) * 3)
    table = np.clip(level[:, None] + shot.normal(0, 4, 3), 0, 255).astype(np.uint8)
    distance = mesh.fill(np.clip(beyond * 8, 0, 255).astype(np.uint8))
    return np.asarray(cv2.LUT(cv2.merge([distance] * 3), table[:, None]), np.uint8)


_WOODS: Final = ((150, 105, 65), (95, 60, 40), (190, 150, 105), (200, 175, 140), (120, 70, 45))
_TOPS: Final = ((60, 62, 68), (205, 205, 200), (150, 152, 155), (40, 70, 110), (90, 130, 125), (225, 220, 210))


def _desk(size: tuple[int, int], scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Wood, cloth or a plain top, and other papers on it; drawn coarsely, for it is seldom in focus."""
    width, height = ((length + 1) // 2 for length in size)
    kind = rng.random()
    tones = _WOODS if kind < 0.4 else _TOPS
    colour = np.array(tones[int(rng.integers(len(tones)))]) * rng.uniform(0.65, 1.1)
    patches, depth = ((5, 7), 16.0) if kind < 0.6 else ((4, 4), 7.0)
    rough = np.asarray(cv2.resize(rng.normal(0, depth, patches).astype(np.float32), (width, height)), np.float32)
    if kind < 0.4:
        rough = _grain_of_wood((height, width), scale, rng)
    elif kind < 0.6:  # the threads of cloth
        rough += rng.normal(0, 5, width).astype(np.float32) + rng.normal(0, 5, (height, 1)).astype(np.float32)
    tone = np.clip(rough + 128, 0, 255).astype(np.uint8)
    curve = np.clip(np.arange(256)[:, None] / 128 * colour, 0, 255)
    surface = np.asarray(cv2.LUT(cv2.merge([tone] * 3), curve.astype(np.uint8)[:, None]), np.uint8)
    if rng.random() < 0.3 + 0.3 * strength:
        _scatter_papers(surface, (scale[0] / 2, scale[1] / 2), rng)
    return np.asarray(cv2.resize(surface, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _grain_of_wood(shape: tuple[int, int], scale: Scale, rng: Rng) -> Floats:
    """Fibres drawn out along the grain, which runs across or down, between the joints of boards."""
    upright = rng.random() < 0.5
    height, width = shape[::-1] if upright else shape
    rough = np.zeros((height, width), np.float32)
    for rows, columns, depth in ((max(2, round(height / 3)), 4, 7), (max(2, round(height / 12)), 3, 9), (5, 2, 10)):
        rough += cv2.resize(rng.normal(0, depth, (rows, columns)).astype(np.float32), (width, height))
    board = max(4, round(rng.uniform(60, 140) * min(scale) / 2))
    rough[int(rng.integers(board)) :: board] -= 40
    return np.ascontiguousarray(rough.T) if upright else rough


def _scatter_papers(surface: Pixels, scale: Scale, rng: Rng) -> None:
    """Other sheets on the desk, with lines of text too small to read."""
    width, height = extent_of(surface, scale)
    for _ in range(int(rng.integers(1, 4))):
        angle, grey = rng.uniform(-0.5, 0.5), rng.uniform(190, 250)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        at = rng.choice([0.0, 1.0], 2) * (width, height) + rng.normal(0, 25, 2)
        corners = np.array([(-75, -105), (75, -105), (75, 105), (-75, 105)]) @ turn + at
        cv2.fillPoly(surface, [np.rint(corners * scale * 16).astype(np.int32)], (grey, grey, grey - 6), cv2.LINE_AA, 4)
        y = np.repeat(np.arange(-90, 90, 5.5), 3) + rng.choice([0.0, 5.5])
        left = np.tile((-60.0, -22.0, 18.0), len(y) // 3)
        ends = np.stack([np.column_stack([left, y]), np.column_stack([left + rng.uniform(8, 36, len(y)), y])], 1)
        lines = np.rint((ends @ turn + at) * scale * 16).astype(np.int32)
        cv2.polylines(surface, lines, False, (grey * 0.72,) * 3, max(1, round(0.5 * scale[1])), cv2.LINE_AA, 4)


def hold(pixels: Pixels, outline: Points, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """A thumb or some fingers that hold the sheet at an edge, any tone of skin, and their shadow."""
    pixels = pixels.copy()
    width, height = extent_of(pixels, scale)
    light, dark = np.array([240, 198, 172]), np.array([88, 56, 42])
    skin = (dark + (light - dark) * rng.uniform(0, 1)) * rng.uniform(0.8, 1.02)
    side = int(rng.integers(4))
    inward = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)][side], np.float64)
    held = outline[side * _SIDE + int(rng.integers(2, _SIDE - 2))] / np.array(scale)  # of the sheet's edge
    edge = np.clip(held - inward * max(width, height), 0, (width, height))  # of the picture, beyond it
    count, girth = (1, rng.uniform(9, 12)) if rng.random() < 0.65 else (int(rng.integers(2, 4)), rng.uniform(7.5, 9))
    inward = _turned(inward, rng.normal(0, 0.45))
    aside = np.array([-inward[1], inward[0]])
    depth = max(0.0, float((held - edge) @ inward)) + rng.uniform(-3, 8) + 20 * strength
    for place in range(count):
        beside = place - (count - 1) / 2
        finger = _Finger(
            edge + aside * 2.0 * girth * beside,
            _turned(inward, 0.08 * beside + rng.normal(0, 0.04)),
            depth * (1 - 0.2 * abs(beside)) + rng.normal(0, 1.5),
            girth * rng.uniform(0.93, 1.05),
        )
        _draw_finger(pixels, scale, finger, skin, rng)
    return pixels


def _turned(direction: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(direction @ turn, np.float64)


class _Finger(NamedTuple):
    """From beyond the picture's edge at ``root`` to ``reach`` mm inwards, ``girth`` mm half as wide."""

    root: npt.NDArray[np.float64]
    inward: npt.NDArray[np.float64]
    reach: float
    girth: float


def _draw_finger(pixels: Pixels, scale: Scale, finger: _Finger, skin: npt.NDArray[np.float64], rng: Rng) -> None:
    """A rounded finger, out of focus at its edges, with a nail and creases at its joint, over its own shadow."""
    root, inward, reach, girth = finger
    tip = root + inward * reach
    low, high = np.minimum(root, tip) - 2 * girth, np.maximum(root, tip) + 2 * girth
    left, top = np.clip(np.floor(low * scale), 0, None).astype(int).tolist()
    patch = pixels[top : max(0, int(high[1] * scale[1])), left : max(0, int(high[0] * scale[0]))]
    if not patch.size:
        return
    (east, south), (right, down) = inward.tolist(), root.tolist()  # Python's numbers leave the arrays float32
    x = (np.arange(patch.shape[1], dtype=np.float32) + left) / scale[0] - right
    y = ((np.arange(patch.shape[0], dtype=np.float32) + top) / scale[1] - down)[:, None]
    along = (x * east + y * south - (reach - girth)) / girth  # 0 where the tip begins to round off, 1 at it
    across = (y * east - x * south) / (girth * (1 - 0.06 * np.clip(along + 1.5, 0, 2)))
    far = np.sqrt(across**2 + np.maximum(along, 0) ** 2)
    cover = np.clip(0.5 + (1 - far) * girth / rng.uniform(0.8, 2.2), 0, 1)
    shadow = 1 - 0.38 * np.clip((1.55 - np.hypot(across - 0.25, np.maximum(along - 0.15, 0))) / 0.8, 0, 1)
    side, joint = float(rng.choice([-1.0, 1.0])), (along + 1.6) * girth
    lit = 0.5 + 0.5 * np.sqrt(np.clip(1.05 - far**2, 0, 1)) + 0.12 * side * across
    for crease in (-1.2, 0.3, 1.6):
        lit -= 0.09 * np.exp(-((joint - crease - across**2) ** 2) * 2.5)
    lit = np.maximum(lit, 0.05)
    colour = skin.astype(np.float32) * lit[..., None] ** np.array([0.85, 1.1, 1.2], np.float32)
    if rng.random() < 0.7:
        nail = (np.abs(across / 0.6) ** 3 + np.abs((along - 0.2) / 0.62) ** 3)[..., None]
        share = np.clip((1.1 - nail) / 0.35, 0, 1) * 0.65
        gloss = 45 * np.exp(-((across - 0.25 * side) ** 2) * 30 - (along - 0.25) ** 2 * 6)[..., None]
        rim = 15 * np.exp(-((nail - 1.1) ** 2) * 25)
        colour = (
            colour + share * (lit[..., None] * (0.55 * skin + (92, 78, 74)).astype(np.float32) + gloss - colour) - rim
        )
    shaded = patch * np.minimum(shadow, 1)[..., None]
    patch[:] = np.clip(shaded + (colour - shaded) * cover[..., None], 0, 255).astype(np.uint8)


def _rgb(levels: npt.NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(np.rint(levels), 0, 255).astype(int).tolist()
    return red, green, blue
