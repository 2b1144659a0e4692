"""Relief of the paper: curls, folds and creases, as a camera above the sheet sees them.

Heights are in mm, at positions x, y in mm from the middle of a sheet of a given size in mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ecglens.paper.damage.canvas import STEP, Dose, Floats, Mesh, Rng, Scale
from ecglens.paper.page import Points

_STEEPEST: Final = 0.5  # pixels a pixel, by which paper may seem shifted: from 1 on it would hide itself


@dataclass(frozen=True, slots=True)
class Relief:
    """Paper that is not flat: on the mesh, by how many pixels a camera sees a point displaced, and how bright it is."""

    mesh: Mesh
    shift: Points
    shade: Floats

    def bend(self, points: Points) -> Points:
        """Where points (n, 2) of the flat page are seen; NaN stays NaN."""
        return points + self.mesh.look_up(self.shift, points)

    def unbend(self, points: Points) -> Points:
        """The points of the flat page that are seen at ``points``, to 0.02 px: the shift is a contraction."""
        flat = points
        for _ in range(12):
            before, flat = flat, points - self.mesh.look_up(self.shift, flat)
            if float(np.abs(flat - before).max()) < 0.02:
                break
        return flat


def model_relief(
    size: tuple[int, int], scale: Scale, flatness: float, shot: Rng, doses: Mapping[str, Dose]
) -> Relief | None:
    """The paper's relief seen by a camera above it, in light from one side; None of flat paper."""
    aside, azimuth = shot.uniform(0.3, 1.3), shot.uniform(0, 2 * np.pi)
    distance, lean = shot.uniform(300, 600), shot.normal(0, 0.25, 2)
    bent = {name: shape for name, shape in _RELIEFS.items() if name in doses}
    if not bent or flatness == 0:
        return None
    mesh = Mesh(size, 1 + round(0.05 * max(size) / STEP))
    extent = (size[0] / scale[0], size[1] / scale[1])
    x, y = np.moveaxis((mesh.points() - (np.array(size, np.float32) - 1) / 2) / np.array(scale, np.float32), -1, 0)
    height = np.zeros_like(x)
    for name, shape in bent.items():
        height += shape(x, y, extent, *doses[name])
    height = np.asarray(cv2.GaussianBlur(height * np.float32(flatness), (3, 3), 0))
    shade = _shade(height, scale, (np.cos(azimuth) * aside, np.sin(azimuth) * aside))
    height -= height.mean()
    seen = (x / distance + lean[0], y / distance + lean[1])
    shift = np.stack([height * seen[0] * flatness * scale[0], height * seen[1] * flatness * scale[1]], -1)
    steepest = float(np.hypot(np.abs(np.diff(shift, axis=0)).max(), np.abs(np.diff(shift, axis=1)).max())) / STEP
    shift *= min(1.0, _STEEPEST / max(steepest, 1e-9))
    return Relief(mesh, shift.astype(np.float32), shade)


def _shade(height: Floats, scale: Scale, towards: tuple[float, float]) -> Floats:
    """How bright paper is, where light falls on it from the side ``towards`` (Lambert's cosine law)."""
    uphill = (
        cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=scale[0] / 8 / STEP),
        cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=scale[1] / 8 / STEP),
    )
    lit = (1 - uphill[0] * towards[0] - uphill[1] * towards[1]) / np.sqrt(1 + uphill[0] ** 2 + uphill[1] ** 2)
    return np.asarray(np.clip(lit, 0.45, 1.2), np.float32)


def _curl(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """A sheet that was rolled, lies in a file, or lifts off the desk at an edge."""
    angle = rng.normal(0, 0.25) + (np.pi / 2 if rng.random() < 0.35 else 0)
    along = (x * np.cos(angle) + y * np.sin(angle)) / (0.5 * max(size))
    kind, height = rng.random(), strength * rng.uniform(4, 16)
    if kind < 0.35:
        return np.asarray(height * along**2, np.float32)
    if kind < 0.7:
        side = rng.choice([-1, 1])
        return np.asarray(2 * height * np.maximum(0, along * side - rng.uniform(0, 0.5)) ** 2, np.float32)
    return np.asarray(0.5 * height * np.sin(along * rng.uniform(1.5, 4.5) + rng.uniform(0, 6)), np.float32)


def _fold(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """A sheet folded to halves, thirds or quarters and opened again."""
    parts = (int(rng.integers(2, 5)), int(rng.choice([1, 1, 2])))
    height = np.zeros_like(x)
    for at, length, count in zip((x, y), size, parts, strict=True):
        slope = rng.uniform(0.05, 0.22) * strength
        place = (at / length + 0.5 + rng.normal(0, 0.02)) * count
        height += slope * length / count * np.abs((place + 1) % 2 - 1) * (count > 1)
    return height


def _crumple(x: Floats, y: Floats, size: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """Facets with straight creases, where tops of random planes meet, and softer waves between."""
    count, slope = 6, 0.13 * strength
    reach = 0.5 * max(size)
    height = np.zeros_like(x)
    for _ in range(int(rng.integers(2, 6))):
        tilt = rng.normal(0, slope, (2, count, 1, 1)).astype(np.float32)
        level = rng.normal(0, slope * reach * 0.5, (count, 1, 1)).astype(np.float32)
        height += (tilt[0] * x + tilt[1] * y + level).max(0) * np.float32(rng.choice([-0.7, 0.7]))
    lumps = rng.normal(0, 1, (6, 8)).astype(np.float32)
    waves = cv2.resize(lumps, x.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(height + waves * np.float32(strength * reach * 0.012), np.float32)


_RELIEFS: Final = {"curl": _curl, "fold": _fold, "crumple": _crumple}
