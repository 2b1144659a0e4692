"""Relief of the paper: curls, folds and creases, as a camera above the sheet sees them.

Heights are in mm, at positions x, y in mm from the middle of a sheet of a given size in mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.damage.canvas import STEP, Dose, Floats, Mesh, Rng, Scale
from ecglens.paper.page import NODE_MM, Pixels, Points

Numbers = npt.NDArray[np.float64]

_STEEPEST: Final = 0.5  # pixels a pixel, by which paper may seem shifted: from 1 on it would hide itself
_BLOCK: Final = 100_000  # numbers of a step, of six for each ridge and point: what stays in the cache of a core
_STEPS: Final = np.linspace(0, 1, 8)  # the corners of a crease


class Crease(NamedTuple):
    """A worn line on the paper: ``points`` (n, 2) mm from the middle of the sheet, and how dark it is, 0-1."""

    points: Numbers
    depth: float


Shape = tuple[Floats, list[Crease]]  # heights, mm, and creases


@dataclass(frozen=True, slots=True)
class Relief:
    """Paper that is not flat: on the mesh, by how many pixels a camera sees a point displaced, and how bright it is."""

    mesh: Mesh
    shift: Points
    shade: Floats
    creases: tuple[Crease, ...] = ()

    def bend(self, points: Points) -> Points:
        """Where points (n, 2) of the flat page are seen; NaN stays NaN."""
        return points + self.mesh.look_up(self.shift, points)

    def unbend(self, points: Points) -> Points:
        """The points of the flat page that are seen at ``points``, to 0.2 px: the shift is a contraction."""
        flat = points
        for _ in range(9):
            before, flat = flat, points - self.mesh.look_up(self.shift, flat)
            if float(np.abs(flat - before).max()) < 0.05:
                break
        return flat

    def crease(self, pixels: Pixels, scale: Scale) -> Pixels:
        """The flat sheet with its creases: lines of broken paper, and beside them of ink that came off."""
        if not self.creases:
            return pixels
        cover = np.zeros(pixels.shape[:2], np.uint8)
        pen, middle = 0.35 * (scale[0] * scale[1]) ** 0.5, np.array(pixels.shape[1::-1]) / 2
        thick = max(1, round(pen))
        for line, depth in self.creases:
            placed = np.rint((line * np.array(scale) + middle) * 16).astype(np.int32)
            cv2.polylines(cover, [placed], False, round(170 * depth * min(1.0, 0.3 + pen)), thick, cv2.LINE_AA, 4)
        darker = np.asarray(cv2.subtract(pixels, cv2.merge([cover] * 3)), np.uint8)
        if pen < 1:
            return darker
        shifted = np.zeros_like(cover)
        shifted[thick:, thick:] = cover[:-thick, :-thick]
        return np.asarray(cv2.add(darker, cv2.merge([shifted] * 3)), np.uint8)


def model_relief(
    size: tuple[int, int], scale: Scale, flatness: float, shot: Rng, doses: Mapping[str, Dose]
) -> Relief | None:
    """The paper's relief seen by a camera above it, in light from one side; None of flat paper."""
    aside, azimuth = shot.uniform(0.3, 1.1), shot.uniform(0, 2 * np.pi)
    distance, lean = shot.uniform(300, 600), shot.normal(0, 0.25, 2).tolist()
    bent = {name: shape for name, shape in _RELIEFS.items() if name in doses}
    if not bent or flatness == 0:
        return None
    mesh = Mesh(size, 1 + round(0.05 * max(size) / STEP))
    extent = (size[0] / scale[0], size[1] / scale[1])
    x, y = np.moveaxis((mesh.points() - (np.array(size, np.float32) - 1) / 2) / np.array(scale, np.float32), -1, 0)
    height, creases = np.zeros_like(x), []
    for name, shape in bent.items():
        raised, worn = shape(x, y, extent, *doses[name])
        height += raised
        creases += worn
    height = np.asarray(cv2.GaussianBlur(height * np.float32(flatness), (3, 3), 0))
    shade = _shade(height, scale, (float(np.cos(azimuth)) * aside, float(np.sin(azimuth)) * aside))
    height = _smooth(height - height.mean(), scale)
    seen = (x / distance + lean[0], y / distance + lean[1])
    shift = np.stack([height * seen[0] * flatness * scale[0], height * seen[1] * flatness * scale[1]], -1)
    steepest = float(np.hypot(np.abs(np.diff(shift, axis=0)).max(), np.abs(np.diff(shift, axis=1)).max())) / STEP
    shift *= min(1.0, _STEEPEST / max(steepest, 1e-9))
    return Relief(mesh, shift.astype(np.float32), shade, tuple(creases))


def _smooth(height: Floats, scale: Scale) -> Floats:
    """Heights without crests so sharp that the page's nodes would miss what is between them."""
    across, down = (NODE_MM / 2 * each / STEP for each in scale)
    if min(across, down) < 0.3:
        return height
    return np.asarray(cv2.GaussianBlur(height, (0, 0), across, sigmaY=down), np.float32)


def _shade(height: Floats, scale: Scale, towards: tuple[float, float]) -> Floats:
    """How bright paper is, where light falls on it from the side ``towards`` (Lambert's cosine law).

    What is brighter than flat paper is less so than the law says, for a camera sets its exposure by it.
    """
    uphill = (
        cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=scale[0] / 8 / STEP),
        cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=scale[1] / 8 / STEP),
    )
    lit = (1 - uphill[0] * towards[0] - uphill[1] * towards[1]) / np.sqrt(1 + uphill[0] ** 2 + uphill[1] ** 2)
    return np.asarray(np.where(lit < 1, np.maximum(lit, 0.45), np.minimum(0.6 + 0.4 * lit, 1.12)), np.float32)


def _curl(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Shape:
    """A sheet that was rolled, lies in a file, or lifts off the desk at an edge."""
    angle = rng.normal(0, 0.25) + (np.pi / 2 if rng.random() < 0.35 else 0)
    along = (x * float(np.cos(angle)) + y * float(np.sin(angle))) / (0.5 * max(size))
    kind, height = rng.random(), strength * rng.uniform(4, 16)
    if kind < 0.35:
        raised = height * along**2
    elif kind < 0.7:
        side = float(rng.choice([-1, 1]))
        raised = 2 * height * np.maximum(0, along * side - rng.uniform(0, 0.5)) ** 2
    else:
        raised = 0.5 * height * np.sin(along * rng.uniform(1.5, 4.5) + rng.uniform(0, 6))
    return np.asarray(raised, np.float32), []


def _fold(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Shape:
    """A sheet folded to halves, thirds or quarters and opened again: straight edges, from which paper sinks to flat."""
    parts, lines = (int(rng.integers(2, 5)), int(rng.choice([1, 1, 2]))), []
    first = rng.choice([-1.0, 1.0])
    for axis, count in enumerate(parts):
        for place in range(1, count):
            at = (place / count - 0.5 + rng.normal(0, 0.015)) * size[axis]
            turn = (rng.normal(0, 0.015), 1.0) if axis == 0 else (1.0, rng.normal(0, 0.015))
            along, across = np.array(turn) / np.hypot(*turn), np.array([at, 0.0] if axis == 0 else [0.0, at])
            half = along * 0.6 * max(size)
            height = strength * rng.uniform(1.6, 4.0) * first * (-1) ** place
            lines.append((*(across - half), *(across + half), height, rng.uniform(12, 40)))
    ridges = np.array(lines).reshape(-1, 6)
    straight = np.zeros(len(ridges))
    return _raise(x, y, ridges, 0.6, straight, straight), _creases(ridges, straight, 0.25 * strength, rng)


def _crumple(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Shape:
    """Ridges of many lengths and directions, the long ones between dents where some of them meet; a few are creased."""
    dents = rng.uniform(-0.58, 0.58, (9, 2)) * size
    starts, apart = rng.integers(0, 9, 12), np.linalg.norm(dents[:, None] - dents, axis=-1)
    ends = dents[np.argsort(apart, axis=1)[starts, rng.integers(1, 6, 12)]] + rng.normal(0, 4, (12, 2))
    turns, near = rng.uniform(0, np.pi, 12), rng.uniform(-0.55, 0.55, (12, 2)) * size
    short = np.column_stack([np.cos(turns), np.sin(turns)]) * rng.uniform(4, 18, 12)[:, None]
    ridges = np.vstack([np.hstack([dents[starts], ends]), np.hstack([near - short, near + short])])
    lengths = np.hypot(*(ridges[:, 2:] - ridges[:, :2]).T)
    heights = 0.06 * strength * rng.choice([-1, 1], 24) * rng.uniform(0.3, 1.5, 24) * np.minimum(lengths, 80)
    ridges = np.column_stack([ridges, heights, lengths * rng.uniform(0.12, 0.35, 24) + 3])
    bend, lean, worn = rng.normal(0, 0.12, 24), rng.uniform(-0.7, 0.7, 24), rng.random(24) < 0.35
    return _raise(x, y, ridges, 2.0, bend, lean), _creases(ridges[worn], bend[worn], 0.2 * strength, rng)


def _raise(x: Floats, y: Floats, ridges: Numbers, soft: float, bend: Numbers, lean: Numbers) -> Floats:
    """Heights of ``ridges``, a row each: both ends, height and width of its flanks, all mm.

    Crests are rounded over ``soft`` mm, and bowed by ``bend`` and steeper on one side by ``lean`` (both without unit).
    """
    ends = ridges[:, :4].reshape(-1, 2, 2)
    middle, half = ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2
    reach = np.maximum(np.linalg.norm(half, axis=1), 1)[:, None]
    along = half / reach
    turn = np.stack([along / reach, np.column_stack([-along[:, 1], along[:, 0]])])  # 1 at the ends; mm beside
    across = (turn[..., :1] * x[0]).astype(np.float32)[:, :, None]
    down = (turn[..., 1:] * y[:, 0] - (turn * middle).sum(-1, keepdims=True)).astype(np.float32)[..., None]
    forms = np.stack([bend * reach[:, 0], lean, 1 / ridges[:, 5]], 1).astype(np.float32)[..., None, None]
    crests, raised = ridges[:, 4].astype(np.float32), np.empty_like(x)
    rows = 1 + _BLOCK // (1 + ridges.size * x.shape[1])
    for first in range(0, len(x), rows):
        places = across + down[:, :, first : first + rows]
        flanks = _flanks(places[0], places[1], forms, soft)
        np.einsum("r,rij->ij", crests, flanks, out=raised[first : first + rows])  # BLAS may sum in any order
    return raised


def _flanks(u: Floats, v: Floats, forms: Floats, soft: float) -> Floats:
    """How high ridges are at points, as shares of their crests; ``u`` and ``v`` are overwritten.

    The points lie ``u`` along each ridge, of which 1 is its end, and ``v`` mm beside it.
    """
    bow, lean, width = np.moveaxis(forms, 1, 0)
    u *= u
    v += u * bow
    away = v * v
    away += np.float32(soft * soft)
    np.sqrt(away, out=away)
    v *= lean
    away += v
    away *= width
    away += 1
    away *= away
    u += 1
    away *= u
    return np.asarray(np.reciprocal(away, out=away), np.float32)


def _creases(ridges: Numbers, bend: Numbers, depth: float, rng: Rng) -> list[Crease]:
    """The worn lines along the tops of ``ridges``, of bent ones on a part of their length."""
    count = len(ridges)
    low, high = np.where(bend == 0, [[-1.0], [1.0]], np.sort(rng.uniform(-1, 1, (2, count)), axis=0))
    steps = (low[:, None] + (high - low)[:, None] * _STEPS)[..., None]
    start, end = ridges[:, None, :2], ridges[:, None, 2:4]
    half = (end - start) / 2
    aside = half[..., ::-1] * (-1, 1)
    lines = (start + end) / 2 + half * steps - aside * bend[:, None, None] * steps**2
    lines += rng.normal(0, 0.25, lines.shape)
    return [Crease(*each) for each in zip(lines, (depth * rng.uniform(0.5, 1, count)).tolist(), strict=True)]


_RELIEFS: Final = {"curl": _curl, "fold": _fold, "crumple": _crumple}
