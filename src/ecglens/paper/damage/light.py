"""Light on the scene: factors over positions (mm) on the mesh, and glare on top."""

from collections.abc import Mapping

import cv2
import numpy as np

from ecglens.paper.damage.canvas import (
    LIGHT_UNIT,
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
from ecglens.paper.page import Pixels, Points


def cast_light(pixels: Pixels, field: Floats | None, scale: Scale, doses: Mapping[str, Dose]) -> Pixels:
    """The picture under its lamps: all that multiplies it at once, then glare on top."""
    mesh = Mesh(size_of(pixels))
    lights = [name for name in ("light", "shadow", "glare") if name in doses]
    if field is None and not lights:
        return pixels
    at = np.asarray(mesh.points() / np.array(scale), np.float32)
    extent = extent_of(pixels, scale)
    factor = np.ones((*at.shape[:2], 3), np.float32) if field is None else np.repeat(field[..., None], 3, 2)
    if "light" in doses:
        factor *= _lamp(at, extent, *doses["light"])
    if "shadow" in doses:
        factor *= _cast_shadow(at, extent, *doses["shadow"])
    glare = _glare(at, extent, *doses["glare"]) if "glare" in doses else None
    if glare is not None:
        factor *= 1 - glare
    pixels = illuminate(pixels, mesh.fill(quantize(factor)))
    if glare is not None:
        veil = mesh.fill(quantize(glare * (255 / LIGHT_UNIT)))
        pixels = np.asarray(cv2.add(pixels, cv2.merge([veil] * 3)), np.uint8)
    return pixels


def _lamp(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """A lamp at one side: brightest below it, warmer or cooler with distance."""
    lamp = np.array(extent) * rng.uniform(-0.4, 1.4, 2)
    away = ((at - lamp.astype(np.float32)) ** 2).sum(-1, keepdims=True) / np.float32(max(extent) ** 2)
    fall = rng.uniform(0.15, 0.75) * strength
    tint = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.15, 0.15) * strength * np.array([-1, 0, 1])
    level = 1 / (1 + fall * away * tint.astype(np.float32))
    return np.asarray(level * np.float32(1.04) / max(float(level.max()), 0.3), np.float32)


def _cast_shadow(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """Shadows of a head, an arm or the camera, soft at the edge."""
    factor = np.ones((*at.shape[:2], 1), np.float32)
    for _ in range(1 + int(rng.random() < 0.35)):
        centre, angle = np.array(extent) * rng.uniform(-0.1, 1.1, 2), rng.uniform(0, np.pi)
        near = (at - centre.astype(np.float32)) @ np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32
        )
        if rng.random() < 0.4:
            outside = near[..., :1]
        else:
            half = np.array([rng.uniform(15, 60), rng.uniform(60, 200)], np.float32)
            outside = np.hypot(*np.moveaxis(np.maximum(np.abs(near) - half, 0), -1, 0))[..., None] - 12
        soft, depth = np.exp(rng.uniform(np.log(4), np.log(40))), rng.uniform(0.12, 0.5) * strength
        factor *= (1 - depth / (1 + np.exp(np.clip(outside / soft * 3, -30, 30)))).astype(np.float32)
    cool = np.array([1.03, 1.0, 0.97], np.float32)
    return np.asarray(factor**cool, np.float32)


def _glare(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """The reflection of a lamp, a window or a flash: how much white hides what is below, (rows, columns, 1)."""
    veil = np.zeros((*at.shape[:2], 1), np.float32)
    for _ in range(1 + int(rng.random() < 0.3)):
        centre, angle = np.array(extent) * rng.uniform(0, 1, 2), rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        near = (
            (at - centre.astype(np.float32)) @ turn / (np.array([rng.uniform(10, 35), rng.uniform(20, 90)], np.float32))
        )
        veil = np.maximum(
            veil, np.exp(-(near**2).sum(-1, keepdims=True)) * np.float32(rng.uniform(0.3, 0.7) * strength)
        )
    return veil
