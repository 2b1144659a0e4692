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
        if field is not None:  # paper shines most where it leans towards the lamp
            glare *= np.clip(0.4 + 8 * (field[..., None] - 0.92), 0.15, 1.3)
        factor *= 1 - glare
    pixels = illuminate(pixels, mesh.fill(quantize(factor)))
    if glare is not None:
        veil = mesh.fill(quantize(glare * (255 / LIGHT_UNIT)))
        pixels = np.asarray(cv2.add(pixels, cv2.merge([veil] * 3)), np.uint8)
    return pixels


def _lamp(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """A lamp at one side: brightest below it, warmer or cooler with distance; and the lens's darker corners."""
    lamp = np.array(extent) * rng.uniform(-0.4, 1.4, 2)
    away = ((at - lamp.astype(np.float32)) ** 2).sum(-1, keepdims=True) / np.float32(max(extent) ** 2)
    corner = ((at / np.array(extent, np.float32) - np.float32(0.5)) ** 2).sum(-1, keepdims=True)
    fall, vignette = rng.uniform(0.15, 0.8) * strength, rng.uniform(0, 0.6) * strength
    tint = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.35, 0.35) * strength * np.array([-1, 0, 1])
    level = (1 - np.float32(vignette) * corner) / (1 + fall * away * tint.astype(np.float32))
    return np.asarray(level * np.float32(1.04) / max(float(level.max()), 0.3), np.float32)


def _turned(at: Points, extent: tuple[float, float], angle: float, rng: Rng) -> Points:
    """Positions ``at``, seen from a place on the page or near it and along ``angle``."""
    centre = (np.array(extent) * rng.uniform(-0.1, 1.1, 2)).astype(np.float32)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    return np.asarray((at - centre) @ turn, np.float32)


def _cast_shadow(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """Shadows of the phone, a hand, an arm or a window's frame, the softer the farther away what casts them is."""
    factor = np.ones((*at.shape[:2], 1), np.float32)
    for _ in range(1 + int(rng.random() < 0.2 + 0.3 * strength)):
        near, kind = _turned(at, extent, rng.uniform(0, np.pi), rng), rng.random()
        if kind < 0.5:  # whoever bends over the page
            outside = near[..., 0] + 12 * np.sin(near[..., 1] / np.float32(rng.uniform(30, 90)))
        elif kind < 0.72:  # phone
            outside = _outside(near, (rng.uniform(30, 45), rng.uniform(60, 85)), 8)
        else:
            arm = _outside(near + np.array([rng.uniform(-25, 25), 120], np.float32), (rng.uniform(20, 36), 150), 14)
            hand = _outside(near, (rng.uniform(22, 42), rng.uniform(25, 55)), 20)
            outside = -18 * np.logaddexp(arm / -18, hand / -18)  # the lesser of both, where they meet rounded
        soft, depth = np.exp(rng.uniform(np.log(12), np.log(40))), rng.uniform(0.3, 0.6) * strength
        edge = np.clip(0.5 - outside / np.float32(2 * soft), 0, 1)
        factor *= (1 - np.float32(depth) * edge * edge * (3 - 2 * edge))[..., None]
    cool = np.array([1.04, 1.0, 0.95], np.float32)
    return np.asarray(1 - (1 - factor) * cool, np.float32)


def _outside(near: Points, half: tuple[float, float], round_by: float) -> Floats:
    """How far positions are from a box of half the sides ``half`` with round corners, mm; below 0 within."""
    beyond = np.abs(near) - np.array(half, np.float32) + np.float32(round_by)
    far = np.sqrt((np.maximum(beyond, 0) ** 2).sum(-1))
    return np.asarray(far + np.minimum(beyond.max(-1), 0) - np.float32(round_by), np.float32)


def _glare(at: Points, extent: tuple[float, float], strength: float, rng: Rng) -> Floats:
    """The reflection of a lamp, a window or a flash: how much white hides what is below, (rows, columns, 1)."""
    veil = np.zeros((*at.shape[:2], 1), np.float32)
    for _ in range(1 + int(rng.random() < 0.3)):
        near = _turned(at, extent, rng.uniform(0, np.pi), rng)
        peak = np.float32(rng.uniform(0.45, 0.95) * strength)
        if rng.random() < 0.65:
            spread = near / np.array([rng.uniform(10, 30), rng.uniform(15, 80)], np.float32)
            blob = 1 / (1 + (spread**2).sum(-1, keepdims=True)) ** 2
        else:  # a window
            outside = _outside(near, (rng.uniform(15, 40), rng.uniform(30, 80)), 10)
            blob = np.clip(0.5 - outside / np.float32(rng.uniform(12, 40)), 0, 1)[..., None] * np.float32(0.6)
        veil = np.maximum(veil, blob * peak)
    return veil
