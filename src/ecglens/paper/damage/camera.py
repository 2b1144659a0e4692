"""Copier, camera and file: what they do to the whole picture."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.damage.canvas import Dose, Mesh, Rng, Scale, extent_of, illuminate, quantize, size_of
from ecglens.paper.page import Pixels

_LONG: Final = 16  # pixels of a blur's path, beyond which OpenCV's filter takes many times as long as ``_smear``


def capture(pixels: Pixels, scale: Scale, doses: Mapping[str, Dose]) -> Pixels:
    """The picture as a device passes it on, each change after the other in the order of ``_CAMERA``."""
    for name, change in _CAMERA.items():
        if name in doses:
            pixels = change(pixels, scale, *doses[name])
    return pixels


def _photocopy(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Grey, hard, with uneven toner, specks, streaks and the dark edge of an open lid."""
    mesh = Mesh(size_of(pixels))
    rows, columns = mesh.points().shape[:2]
    toner = cv2.resize(rng.normal(1, 0.1 * strength, (4, 5)).astype(np.float32), (columns, rows))
    if rng.random() < 0.5:
        edge = np.linspace(0, 1, columns, dtype=np.float32) * (extent_of(pixels, scale)[0])
        toner *= 1 - np.float32(0.8 * strength) * np.exp(-edge / rng.uniform(2, 9))[:: int(rng.choice([-1, 1]))]
    grey = illuminate(_grey(pixels), mesh.fill(quantize(toner)))
    white, steep = float(np.percentile(grey[::4, ::4], 60)), 1 + 1.2 * strength * rng.random()
    curve = 255 - np.clip((white - 4 - np.arange(256)) * steep, 0, 255 - rng.uniform(0, 50))
    grey = np.asarray(cv2.LUT(grey, curve.astype(np.uint8)), np.uint8)
    _speckle(grey, scale, 0.025 * strength, rng)
    for x in rng.uniform(0, extent_of(pixels, scale)[0], int(rng.poisson(2 * strength))).tolist():
        column = int(x * scale[0])
        dark = rng.uniform(0.1, 0.5) * min(1.0, 0.4 * scale[0])
        grey[:, column : column + 1] = (grey[:, column : column + 1] * (1 - dark)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _speckle(grey: Pixels, scale: Scale, density: float, rng: Rng) -> None:
    """Dark specks, ``density`` of them per square mm."""
    width, height = extent_of(grey, scale)
    count = int(rng.poisson(min(density * width * height, 4000)))
    x, y = (rng.random((2, count)) * [[grey.shape[1]], [grey.shape[0]]]).astype(int)
    size = min(1.0, 0.2 * scale[0] * scale[1])  # of a speck in pixels; in a coarse one it is paler
    grey[y, x] = (grey[y, x] * (1 - size * rng.uniform(0.1, 0.8, count))).astype(np.uint8)


def _fax(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Black and white at 8 by 3.85 dots per mm (ITU-T T.4), with lost lines; coarser pages show its grain as grey."""
    size = size_of(pixels)
    across, down = (max(8, min(n, round(n / mm * dots))) for n, mm, dots in zip(size, scale, (8, 3.85), strict=True))
    coarse = cv2.resize(_grey(pixels), (across, down), interpolation=cv2.INTER_AREA)
    paper, dots = float(np.percentile(coarse[::4, ::4], 60)), 8 * 3.85 * (size[0] / across) * (size[1] / down)
    rough = (0.35 + 0.4 * strength) * min(1.0, (scale[0] * scale[1] / dots) ** 0.5)  # a coarse pixel is a mean of dots
    coarse = cv2.addWeighted(coarse, 1, _grain((across, down), 1, 0.0, rng), rough, -128 * rough)
    steep = 1 + 3 * strength * min(1.0, scale[0] / 6) * min(1.0, scale[1] / 3)
    middle = paper * rng.uniform(0.62, 0.74)
    curve = np.clip(128 + (np.arange(256) - middle) * steep * 128 / max(paper - middle, 20), 0, 255)
    coarse = cv2.LUT(coarse, curve.astype(np.uint8))
    for row in rng.integers(0, down, int(rng.poisson(2 * strength))).tolist():
        coarse[row] = 255 if rng.random() < 0.7 else coarse[row - 1]
    return np.asarray(cv2.cvtColor(cv2.resize(coarse, size), cv2.COLOR_GRAY2RGB), np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _defocus(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    spread = 0.05 + rng.uniform(0.0, 0.45) * strength**1.5  # mm
    across, down = (max(0.35, spread * each) for each in scale)
    size, coarse = size_of(pixels), max(1, int(min(across, down) / 3))
    if coarse > 1:  # a wide blur leaves nothing for so many pixels to show
        pixels = np.asarray(_fewer(pixels, 1 / coarse), np.uint8)
    kernel = [2 * math.ceil(2 * spread / coarse) + 1 for spread in (across, down)]
    pixels = np.asarray(cv2.GaussianBlur(pixels, kernel, sigmaX=across / coarse, sigmaY=down / coarse), np.uint8)
    return pixels if coarse == 1 else np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _fewer(pixels: Pixels, factor: float) -> Pixels:
    """The picture ``factor`` times as large, at most 1; halved first, as OpenCV is ten times as fast at that."""
    width, height = (max(1, round(length * factor)) for length in size_of(pixels))
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        half = ((pixels.shape[1] + 1) // 2, (pixels.shape[0] + 1) // 2)
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _shake(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Motion blur along a straight path."""
    length, angle = rng.uniform(0.4, 1.6) * strength, rng.uniform(0, np.pi)  # mm
    path = np.array([np.cos(angle) * scale[0], np.sin(angle) * scale[1]]) * length
    share = min(1.0, float(np.hypot(*path)) / 1.2)  # a path of less than a pixel blurs less, not along less
    path /= share
    if np.hypot(*path) > _LONG:
        return _smear(pixels, path)
    half = int(np.ceil(np.abs(path).max() / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
    ends = np.rint((np.array([-path, path]) / 2 + half) * 256).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, 8)
    weights = kernel * np.float32(share / kernel.sum())
    weights[half, half] += np.float32(1 - share)
    return np.asarray(cv2.filter2D(pixels, -1, weights), np.uint8)


def _smear(pixels: Pixels, path: npt.NDArray[np.float64]) -> Pixels:
    """The picture's mean along ``path``: laid over itself a half of the path aside, then a quarter, and so on."""
    halvings = np.arange(1, math.ceil(np.log2(np.abs(path).max())) + 1)
    shifts = np.rint(path / 2.0 ** halvings[:, None]).astype(int)
    shifts[-1] += shifts.sum(0) % 2  # an even sum, so that nothing moves
    across, down = (np.abs(shifts).sum(0) // 2).tolist()
    pixels = np.asarray(cv2.copyMakeBorder(pixels, down, down, across, across, cv2.BORDER_REFLECT_101), np.uint8)
    for x, y in shifts.tolist():  # y is never below 0
        rows, columns, left = pixels.shape[0] - y, pixels.shape[1] - abs(x), max(0, -x)
        other = pixels[y:, left + x : left + x + columns]
        pixels = np.asarray(cv2.addWeighted(pixels[:rows, left : left + columns], 0.5, other, 0.5, 0), np.uint8)
    return pixels


def _moire(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """The beat of a display's lattice with a sensor's: coloured waves that bend across the picture."""
    width, height = size_of(pixels)
    turn = rng.uniform(0, 2 * np.pi)
    for depth in (1.0, 0.6):
        period, angle = rng.uniform(2.5, 14) * max(min(width, height) / 300, 0.5) ** 0.5, turn + rng.normal(0, 0.3)
        turn += np.pi / 2
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        bend = rng.normal(0, 0.25, 2) / (width, height)
        across = 256 / period * np.cos(angle) * (x + bend[0] * x * x)
        down = 256 / period * np.sin(angle) * (y + bend[1] * y * y)
        phase = (np.rint(across) % 256).astype(np.uint8)[None] + (np.rint(down) % 256).astype(np.uint8)[:, None]
        beat = np.arange(256)[:, None] * (2 * np.pi / 256) + np.array([0, 0.7, 1.4]) * rng.uniform(0, 1.5)
        wave = quantize(1 - depth * (0.02 + 0.065 * strength) * (1 - np.cos(beat)))
        pixels = illuminate(pixels, np.asarray(cv2.LUT(cv2.merge([phase] * 3), wave[:, None]), np.uint8))
    return pixels


def _cast_colour(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Exposure, white balance, contrast and saturation of a camera that was not told the paper is white."""
    exposure = 1 - rng.uniform(0.05, 0.5) * strength
    warm, green = rng.normal(0.03, 0.07) * strength, rng.normal(0, 0.03) * strength
    gains, lift = exposure * np.array([1 + warm, 1 + green, 1 - warm]), rng.uniform(-15, 25) * strength
    colour = 1 + rng.uniform(-0.7, 0.2) * strength
    mixing = colour * np.eye(3) + (1 - colour) * np.array([0.3, 0.59, 0.11])
    balance = np.column_stack([(gains - lift / 255)[:, None] * mixing, np.full(3, lift)])
    return np.asarray(cv2.transform(pixels, balance), np.uint8)


@cache
def _noise(channels: int) -> Pixels:
    """A tile of normal noise about 128 with the standard deviation 32; the same in every process."""
    tile = np.random.default_rng(channels).normal(128, 32, (256, 256, channels))
    return np.clip(np.rint(tile), 0, 255).astype(np.uint8)


def _grain(size: tuple[int, int], channels: int, blur: float, rng: Rng) -> Pixels:
    """Noise of ``size``: the tile from a random place on, repeated."""
    tile = np.roll(_noise(channels), rng.integers(0, 256, 2).tolist(), (0, 1))
    if blur:
        tile = np.asarray(cv2.GaussianBlur(tile, (3, 3), blur, borderType=cv2.BORDER_REFLECT), np.uint8)
    (width, height), cut = size, tile[: size[1], : size[0]]
    rest = (0, max(0, height - 256), 0, max(0, width - 256))
    return np.asarray(cv2.copyMakeBorder(cut, *rest, cv2.BORDER_WRAP), np.uint8)


def _add_noise(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """Noise of a sensor: fine in good light, blotched after a phone has smoothed it."""
    blur = rng.uniform(0.4, 1) if rng.random() < 0.5 else 0.0
    level = (0.02 + 0.28 * strength * rng.uniform(0.3, 1)) * (1 + blur)
    level *= float(np.clip(min(scale) / 4, 0.35, 1))  # few pixels a mm are each the mean of many of the sensor's
    grain = _grain(size_of(pixels), 3, blur, rng)
    return np.asarray(cv2.addWeighted(pixels, 1, grain, level, -128 * level), np.uint8)


def _sharpen(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """What phones and scanners do to look crisp: edges with too much contrast (an unsharp mask)."""
    amount, width = rng.uniform(0.5, 2.5) * strength, 3 + 2 * round(rng.uniform(0.0, 0.3) * scale[0])
    soft = cv2.GaussianBlur(pixels, (width, width), 0)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0), np.uint8)


def _shrink(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    """As a small picture that was made larger again."""
    wanted = np.exp(rng.uniform(np.log(1.0), np.log(4.0)) * (1 - strength) + np.log(1.05))  # pixels per mm
    factor = float(np.clip(wanted / (scale[0] * scale[1]) ** 0.5, 0.2, 0.95 - 0.2 * strength))
    small = _fewer(pixels, factor)
    return np.asarray(cv2.resize(small, size_of(pixels), interpolation=cv2.INTER_LINEAR), np.uint8)


def _compress(pixels: Pixels, scale: Scale, strength: float, rng: Rng) -> Pixels:
    quality = round(92 - rng.uniform(15, 68) * strength)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    read: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)


_CAMERA: Final[Mapping[str, Callable[[Pixels, Scale, float, Rng], Pixels]]] = {
    "photocopy": _photocopy,
    "fax": _fax,
    "defocus": _defocus,
    "motion": _shake,
    "moire": _moire,
    "colour_cast": _cast_colour,
    "noise": _add_noise,
    "sharpening": _sharpen,
    "low_resolution": _shrink,
    "jpeg": _compress,
}
