"""The scene: where the sheet lies in the frame, what lies around it, and the hand that holds it."""

from collections.abc import Mapping
from typing import Final

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
    blend,
    empty_cover,
    extent_of,
    illuminate,
    quantize,
    size_of,
)
from ecglens.paper.damage.relief import Relief, model_relief
from ecglens.paper.page import Page, Pixels, Points
from ecglens.paper.style import Colour

Matrix = npt.NDArray[np.float64]

_FLATNESS: Final = {"photo": 1.0, "scan": 0.2, "photocopy": 0.2, "fax": 0.1, "screen": 0.0, "screenshot": 0.0}
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
    pixels = _remap(page.pixels, mesh.fill(flat), surface)
    beyond = _distance(flat, size, scale)
    if way == "photo" and float(beyond.max()) > 0:
        _lay(pixels, outline, mesh, beyond, scale, doses.get("desk"))
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
    outside = np.full(pixels.shape[:2], 255, np.uint8)
    cv2.fillPoly(outside, [np.rint(outline * 16).astype(np.int32)], 0, cv2.LINE_8, 4)
    surface = _desk(size_of(pixels), scale, *dose) if dose else pixels
    shadow = quantize(1 - 0.5 * np.exp(-np.maximum(beyond, 0) / 3))
    cv2.copyTo(illuminate(surface, mesh.fill(cv2.merge([shadow] * 3))), outside, pixels)


_DESKS: Final = (
    (150, 105, 65),
    (95, 60, 40),
    (190, 150, 105),
    (60, 62, 68),
    (205, 205, 200),
    (40, 70, 110),
    (35, 110, 95),
)


def _desk(size: tuple[int, int], scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Wood, cloth, a plain top, or other papers; drawn coarsely, for it is seldom in focus."""
    width, height = ((length + 1) // 2 for length in size)
    colour = np.array(_DESKS[int(rng.integers(len(_DESKS)))]) * rng.uniform(0.6, 1.15)
    kind = rng.random()
    if kind < 0.4:  # wood: noise drawn out along the grain
        rough = rng.normal(0, 12, (max(2, round(size[1] / scale[1] / 1.5)), 4)).astype(np.float32)
        rough += 1.6 * cv2.resize(rng.normal(0, 12, (9, 3)).astype(np.float32), rough.shape[::-1])
    elif kind < 0.65:  # cloth: soft folds, and a weave
        rough = rng.normal(0, 20, (5, 6)).astype(np.float32)
    else:
        rough = rng.normal(0, 8, (4, 4)).astype(np.float32)
    tone = cv2.resize(np.clip(rough + 128, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    if 0.4 <= kind < 0.65:
        pitch = max(2, round(1.2 * min(scale)))
        tone[::pitch] = tone[::pitch] * np.float32(0.85)
        tone[:, ::pitch] = tone[:, ::pitch] * np.float32(0.85)
    curve = np.clip(np.arange(256)[:, None] / 128 * colour, 0, 255)
    surface = np.asarray(cv2.LUT(cv2.merge([tone] * 3), curve.astype(np.uint8)[:, None]), np.uint8)
    if rng.random() < 0.3 + 0.3 * strength:
        _scatter_papers(surface, (scale[0] / 2, scale[1] / 2), rng)
    return np.asarray(cv2.resize(surface, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _scatter_papers(surface: Pixels, scale: Scale, rng: Rng) -> None:
    """Other sheets on the desk, with lines of text too small to read."""
    width, height = extent_of(surface, scale)
    for _ in range(int(rng.integers(1, 4))):
        angle, grey = rng.uniform(-0.5, 0.5), rng.uniform(190, 250)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        at = rng.choice([0.0, 1.0], 2) * (width, height) + rng.normal(0, 25, 2)
        corners = np.array([(-75, -105), (75, -105), (75, 105), (-75, 105)]) @ turn + at
        cv2.fillPoly(surface, [np.rint(corners * scale * 16).astype(np.int32)], (grey, grey, grey - 6), cv2.LINE_AA, 4)
        ends = np.array([[(-60, y), (rng.uniform(0, 60), y)] for y in np.arange(-90, 90, 6)]) @ turn + at
        lines = [np.rint(line * scale * 16).astype(np.int32) for line in ends]
        cv2.polylines(surface, lines, False, (grey * 0.6,) * 3, max(1, round(scale[1])), cv2.LINE_AA, 4)


def hold(pixels: Pixels, outline: Points, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """A thumb or some fingers that hold the sheet at an edge, any tone of skin, and their shadow."""
    pixels = pixels.copy()
    width, height = extent_of(pixels, scale)
    light, dark = np.array([245, 205, 180]), np.array([75, 45, 32])
    skin = (dark + (light - dark) * rng.uniform(0, 1)) * rng.uniform(0.85, 1.05)
    side = int(rng.integers(4))
    inward = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)][side], np.float64)
    held = outline[side * _SIDE + int(rng.integers(4, _SIDE - 4))] / np.array(scale)  # of the sheet's edge
    edge = np.clip(held - inward * max(width, height), 0, (width, height))  # of the picture, beyond it
    count, girth = (1, rng.uniform(9, 12)) if rng.random() < 0.6 else (int(rng.integers(2, 4)), rng.uniform(7.5, 9))
    angle = rng.normal(0, 0.35)
    inward = inward @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    aside = np.array([-inward[1], inward[0]])
    depth = max(0.0, float((held - edge) @ inward)) + rng.uniform(8, 14) + 12 * strength
    for place in range(count):
        reach = depth * (1 - 0.2 * abs(place - (count - 1) / 2))
        _draw_finger(pixels, scale, edge + aside * 2.05 * girth * (place - (count - 1) / 2), inward, reach, girth, skin)
    return pixels


def _draw_finger(
    pixels: Pixels,
    scale: Scale,
    root: npt.NDArray[np.float64],
    inward: npt.NDArray[np.float64],
    reach: float,
    girth: float,
    skin: npt.NDArray[np.float64],
) -> None:
    """A finger from beyond the edge at ``root`` to ``reach`` mm inside, ``girth`` mm half as wide."""
    aside = np.array([-inward[1], inward[0]])
    turns = np.linspace(-np.pi / 2, np.pi / 2, 16)[:, None]
    tip = np.cos(turns) * inward * girth * 1.15 + np.sin(turns) * aside * girth * 0.92
    left, right = (root - inward * 30 + side * aside * girth * 1.1 for side in (-1, 1))
    shape = np.vstack([left, tip + root + inward * (reach - girth), right]).astype(np.float32)
    cover, corner, placed = empty_cover(shape, scale, 8)
    cv2.fillPoly(cover, [placed], 255, cv2.LINE_AA, 4)
    soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigmaX=3 * scale[0], sigmaY=3 * scale[1]), np.uint8)
    below = (corner[0] + round(2 * scale[0]), corner[1] + round(3 * scale[1]))
    blend(pixels, (soft * np.float32(0.5)).astype(np.uint8), below, (40, 36, 34), glaze=True)
    blend(pixels, cover, corner, _rgb(skin * 0.62), glaze=False)
    rounded = np.clip((soft.astype(np.float32) - 110) * 1.7, 0, 255) * (cover / np.float32(255))
    blend(pixels, rounded.astype(np.uint8), corner, _rgb(skin), glaze=False)
    nail = np.cos(turns * 2) * inward * girth * 0.62 + np.sin(turns * 2) * aside * girth * 0.5
    cover, corner, placed = empty_cover((nail + root + inward * (reach - girth * 0.55)).astype(np.float32), scale, 1)
    cv2.fillPoly(cover, [placed], 130, cv2.LINE_AA, 4)
    blend(pixels, cover, corner, _rgb(skin * 0.5 + np.array([120, 95, 90])), glaze=False)


def _rgb(levels: npt.NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(np.rint(levels), 0, 255).astype(int).tolist()
    return red, green, blue
