"""Lay pages on grounds that ``wear`` does not draw: tables, cloth, tiles, other papers, windows and frames of screens.

The sheet may be small in the picture, in poor light, held by fingers or a clip, with a ruler across it. ``scan.py
--grounds`` measures on such pictures, ``outline.py`` trains on them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
from legibility import (
    clip,
    clouds,
    colour,
    form,
    landscape,
    lattice,
    noise,
    screenshot,
    shapes,
    text,
    texture,
    town,
    words,
)

from ecglens.paper.damage.scene import hold
from ecglens.paper.page import Page, Pixels, transform

Rng = np.random.Generator
Size = tuple[int, int]  # width, height

SHARES = {
    "plain": 0.11, "white": 0.12, "shaded": 0.06, "pattern": 0.09, "tiles": 0.10, "boards": 0.07, "things": 0.08,
    "papers": 0.12, "other ECG": 0.09, "frame": 0.06, "sleeve": 0.03, "window": 0.07,
}  # fmt: skip
ASPECTS = (4 / 3, 4 / 3, 4 / 3, 16 / 9, 1.5, 1.0)  # of pictures
SIDE = 24  # points of the outline on each side of the sheet, as ``hold`` expects


@dataclass(frozen=True)
class Laid:
    """A page on some ground."""

    page: Page
    ground: str


def lay(page: Page, rng: Rng, long: int) -> Laid:
    """The page on some ground, in a picture whose long side is ``long`` pixels; its truth moves along."""
    ground = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    size = draw_size(page, rng, long)
    page = halved(page, long)
    if rng.random() < 0.06:
        page = inverted(page)
    if rng.random() < 0.3:  # in the shade, against the light
        page = page.moved(clip(page.pixels * rng.uniform(0.35, 1)), lambda points: points, page.px_per_mm)
    flat = ground == "window"
    corners = place(page, size, rng, flat)
    matrix = cv2.getPerspectiveTransform(rectangle(page).astype(np.float32), corners.astype(np.float32))
    below = draw_ground(ground, size, corners, page, rng)
    cover = filled(corners, size)
    pixels = cv2.warpPerspective(page.pixels, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    if not flat and rng.random() < 0.7:
        below = below * (1 - shadow_of(cover, rng))[..., None]
    cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 1.2))[..., None]
    laid = pixels * cover + below * (1 - cover)
    laid = seen_through(laid, corners, rng) if ground == "sleeve" else laid
    laid = laid if flat else shine(laid, rng)
    laid = shoot(clip(laid), corners, rng, flat)
    return Laid(page.moved(laid, partial(transform, matrix=matrix)), ground)


def rectangle(page: Page) -> np.ndarray:
    height, width = page.pixels.shape[:2]
    return np.array([(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)])


def draw_size(page: Page, rng: Rng, long: int) -> Size:
    """Width and height of a picture, mostly along the page."""
    short = round(long / float(rng.choice(ASPECTS)))
    wide = page.pixels.shape[1] >= page.pixels.shape[0]
    return (long, short) if wide == (rng.random() < 0.85) else (short, long)


def halved(page: Page, long: int) -> Page:
    """The page, reduced to about what is seen of it."""
    factor = 0.9 * long / max(page.pixels.shape[:2])
    if factor > 0.7:
        return page
    pixels = np.asarray(cv2.resize(page.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.array(pixels.shape[1::-1]) / np.array(page.pixels.shape[1::-1])
    return page.moved(pixels, lambda points: (points + 0.5) * scale - 0.5, page.px_per_mm and page.px_per_mm * factor)


def inverted(page: Page) -> Page:
    """The page as a dark screen shows it."""
    return page.moved(np.asarray(255 - page.pixels, np.uint8), lambda points: points, page.px_per_mm)


def place(page: Page, size: Size, rng: Rng, flat: bool) -> np.ndarray:
    """The sheet's corners in the picture: askew and in perspective unless ``flat``, small now and then."""
    full = np.array(page.pixels.shape[1::-1])
    least = 0.35 if not flat and rng.random() < 0.2 else 0.5
    share = rng.uniform(0.7, 1.0) if flat else rng.uniform(least, 1.04)
    scale = share * min(size[0] / full[0], size[1] / full[1])
    corners = (rectangle(page) - (full - 1) / 2) * scale
    if not flat:
        angle = np.radians(rng.uniform(-20, 20) if rng.random() < 0.2 else rng.normal(0, 4))
        corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        bent = rng.uniform(0, 0.12 if rng.random() < 0.2 else 0.07)
        corners = corners + rng.uniform(-1, 1, (4, 2)) * bent * full * scale
    room = np.maximum(0.03 * np.array(size), (np.array(size) - np.ptp(corners, axis=0)) / 2)
    return np.asarray(corners + np.array(size) / 2 + rng.uniform(-1, 1, 2) * room)


def filled(corners: np.ndarray, size: Size) -> np.ndarray:
    """(H, W) float32, 1 within the corners."""
    cover = np.zeros(size[::-1], np.float32)
    cv2.fillPoly(cover, [np.rint(corners * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return cover


def shadow_of(cover: np.ndarray, rng: Rng) -> np.ndarray:
    """The light (0-1) that the sheet takes away from what it lies on; it falls up to some percent of the width off."""
    shift = np.column_stack([np.eye(2), rng.normal(0, 0.008, 2) * cover.shape[1]])
    fallen = cv2.warpAffine(cover, shift, cover.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(fallen, (0, 0), rng.uniform(0.002, 0.012) * cover.shape[1])
    return soft * rng.uniform(0, 0.5)


def draw_ground(ground: str, size: Size, corners: np.ndarray, page: Page, rng: Rng) -> np.ndarray:
    """What lies below the sheet, (H, W, 3)."""
    if ground == "window":
        return window(size, corners, rng)
    if ground == "white":
        return like_paper(size, np.median(page.pixels.reshape(-1, 3), axis=0), rng)
    below = (KINDS.get(ground) or list(KINDS.values())[rng.integers(len(KINDS))])(size, rng)
    if ground == "papers":
        for _ in range(int(rng.integers(1, 9))):
            larger = rng.uniform(0.8, 1.6, 2) if rng.random() < 0.4 else rng.uniform(0.6, 1.1, 2)
            paper = (text, form, squared)[rng.choice(3, p=(0.4, 0.4, 0.2))](rng)
            put(below, paper, near(corners, size, rng, larger), rng)
    if ground == "other ECG":
        put(below, page.pixels, near(corners, size, rng, rng.uniform(0.8, 1.1, 2)), rng)
    if ground == "frame":
        frame(below, corners, rng)
    return below


def like_paper(size: Size, paper: np.ndarray, rng: Rng) -> np.ndarray:
    """A sheet or table of nearly the same colour as the ``paper`` (3,), with folds."""
    tint = np.clip(paper * rng.uniform(0.8, 1.15) + rng.normal(0, 5, 3), 0, 255)
    folds = np.zeros(size[::-1], np.float32)
    for _ in range(int(rng.integers(0, 12))):
        ends = [tuple(map(int, end)) for end in rng.uniform(-0.2, 1.2, (2, 2)) * size]
        line = cv2.line(np.zeros_like(folds), *ends, 1.0, int(rng.uniform(1, 20)), cv2.LINE_AA)
        folds += cv2.GaussianBlur(line, (0, 0), rng.uniform(1, 12)) * rng.uniform(-60, 25)
    uneven = cv2.resize(clouds(rng, (size[0] // 4, size[1] // 4)) - 0.5, size) * rng.uniform(0, 40)
    return np.clip(tint + (folds + uneven)[..., None], 0, 255)


def plain(size: Size, rng: Rng) -> np.ndarray:
    """One colour, any, that is a little uneven."""
    tint = np.full(3, rng.uniform(0, 256)) + rng.normal(0, 8, 3) if rng.random() < 0.6 else rng.uniform(0, 256, 3)
    uneven = (clouds(rng, (size[0] // 4, size[1] // 4)) - 0.5) * rng.uniform(0, 30)
    grain = rng.normal(0, rng.uniform(0, 6), size[::-1])
    return np.clip(tint + (cv2.resize(uneven, size) + grain)[..., None], 0, 255)


def shaded(size: Size, rng: Rng) -> np.ndarray:
    """Colours that run into each other."""
    cells = rng.uniform(0, 256, (*rng.integers(2, 7, 2), 3)) * rng.uniform(0.2, 1) + rng.uniform(0, 60)
    return np.clip(cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC), 0, 255)


def pattern(size: Size, rng: Rng) -> np.ndarray:
    """Tiles, checks, stripes, weaves."""
    picture = stretched((lattice, lattice, noise, texture)[rng.integers(4)](rng), size)
    one, other = rng.uniform(0, 256, (2, 3))
    share = picture.mean(axis=2, keepdims=True) / 255 if rng.random() < 0.7 else picture / 255
    return np.asarray(one * share + other * (1 - share))


def tiles(size: Size, rng: Rng) -> np.ndarray:
    """Square or oblong tiles, smooth or uneven, with lighter or darker joints."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) / max(size), np.arange(height) / max(size))
    angle, pitch = rng.normal(0, 0.15), np.exp(rng.uniform(np.log(0.03), np.log(0.4)))
    u = (x * np.cos(angle) + y * np.sin(angle)) / pitch + rng.random()
    v = (y * np.cos(angle) - x * np.sin(angle)) / pitch / rng.choice([1, 1, rng.uniform(0.4, 2.5)]) + rng.random()
    thin = max(rng.uniform(0.01, 0.08), 1.2 / pitch / max(size))
    joints = cv2.GaussianBlur(((u % 1 < thin) | (v % 1 < thin)).astype(np.float32), (0, 0), rng.uniform(0.3, 1))
    base, depth = plain(size, rng), rng.uniform(25, 120) * rng.choice([-1, -1, 1])
    return np.clip(base + depth * joints[..., None], 0, 255)


def squared(rng: Rng) -> Pixels:
    """A sheet of squared paper."""
    across = int(rng.integers(500, 800))
    picture = np.full((across, int(across * rng.uniform(0.6, 1.5)), 3), 255, np.uint8)
    step, line = int(rng.integers(8, 30)), colour(rng, 60, 230)
    picture[::step] = line
    picture[:, ::step] = line
    return picture


def boards(size: Size, rng: Rng) -> np.ndarray:
    """Planks or folds of cloth: what runs along one way, between joints."""
    upright = rng.random() < 0.5
    width, height = size[::-1] if upright else size
    rough = np.zeros((height, width))
    for rows, columns, depth in ((height // 3, 5, 8), (height // 14, 3, 12), (6, 3, 14)):
        rough += cv2.resize(rng.normal(0, depth, (rows, columns)), (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.6:
        rough[int(rng.integers(height // 5)) :: int(rng.uniform(0.08, 0.4) * height)] -= 50
    tint = np.array((1.0, rng.uniform(0.6, 1), rng.uniform(0.35, 1))) * rng.uniform(50, 240)
    return np.clip(tint * (1 + (rough.T if upright else rough)[..., None] / 128), 0, 255)


def things(size: Size, rng: Rng) -> np.ndarray:
    """A picture of something else."""
    return stretched((shapes, landscape, town, screenshot)[rng.integers(4)](rng), size)


def stretched(picture: Pixels, size: Size) -> np.ndarray:
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float64)


KINDS: dict[str, Callable[[Size, Rng], np.ndarray]] = {
    "plain": plain,
    "shaded": shaded,
    "pattern": pattern,
    "tiles": tiles,
    "boards": boards,
    "things": things,
}


def near(corners: np.ndarray, size: Size, rng: Rng, larger: np.ndarray) -> np.ndarray:
    """Corners of something that much ``larger`` (2,) than the sheet that lies below or beside it."""
    angle = rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    direction = rng.uniform(0, 2 * np.pi)
    shift = np.array([np.cos(direction), np.sin(direction)]) * rng.uniform(0.05, 0.6) * np.array(size)
    middle = corners.mean(axis=0)
    return np.asarray((corners - middle) * larger @ turn + middle + shift)


def put(below: np.ndarray, picture: Pixels, corners: np.ndarray, rng: Rng) -> None:
    """Lay another picture within ``corners``, in place."""
    size = below.shape[1::-1]
    matrix = cv2.getPerspectiveTransform(rectangle(Page(picture)).astype(np.float32), corners.astype(np.float32))
    cover = filled(corners, size)
    below *= (1 - shadow_of(cover, rng))[..., None]
    seen = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    below += (seen * rng.uniform(0.7, 1) - below) * cover[..., None]


def frame(below: np.ndarray, corners: np.ndarray, rng: Rng) -> None:
    """The frame of a tablet or a clipboard's board around the sheet, in place."""
    middle, wider = corners.mean(axis=0), rng.uniform(1.01, 1.3, (4, 1))
    tint = rng.uniform(0, 60) + rng.normal(0, 5, 3)  # a light one would look like the sheet's margin
    board = np.array((1, rng.uniform(0.6, 0.9), rng.uniform(0.3, 0.8))) * rng.uniform(60, 200)
    around = (corners - middle) * (wider if rng.random() < 0.5 else wider.mean()) + middle
    cover = filled(around, below.shape[1::-1])[..., None]
    below += ((tint if rng.random() < 0.6 else board) - below) * cover


def window(size: Size, corners: np.ndarray, rng: Rng) -> np.ndarray:
    """A screen with bars, buttons and lists around the page, or a scan with a plain border."""
    level = float(rng.choice([255, 240, 32, 0, 200]))
    below = np.full((size[1], size[0], 3), level, np.uint8)
    if rng.random() < 0.3:
        return below.astype(np.float64)
    if rng.random() < 0.3:
        below = clip(stretched(screenshot(rng), size))
    left, top, right, bottom = (*corners.min(axis=0), *corners.max(axis=0))
    for low, high, across in ((0, top, False), (bottom, size[1], False), (0, left, True), (right, size[0], True)):
        edges = np.sort(rng.uniform(low, high, int(rng.integers(0, 4)))) if high - low > 4 else ()
        for one, other in pairwise((low, *edges)):
            bar = below[:, int(one) : int(other)] if across else below[int(one) : int(other)]
            bar[:] = colour(rng) if rng.random() < 0.4 else rng.uniform(0, 256)
            if bar.size and min(bar.shape[:2]) > 12:
                drawn = np.ascontiguousarray(bar)
                for at in rng.random((int(rng.integers(0, 20)), 2)) * bar.shape[1::-1]:
                    cv2.putText(drawn, words(rng, 2), tuple(map(int, at)), 0, rng.uniform(0.25, 0.6), colour(rng), 1)
                bar[:] = drawn
    return below.astype(np.float64)


def seen_through(picture: np.ndarray, corners: np.ndarray, rng: Rng) -> np.ndarray:
    """The sheet in a clear sleeve that is larger than it and shines in places."""
    middle = corners.mean(axis=0)
    cover = filled((corners - middle) * rng.uniform(1.02, 1.15) + middle, picture.shape[1::-1])[..., None]
    gloss = np.clip(cv2.resize(rng.normal(-0.3, 0.4, (6, 6)), picture.shape[1::-1]), 0.1, 0.7)[..., None] * cover
    return np.asarray(picture * (1 - gloss) + 255 * gloss)


def shine(picture: np.ndarray, rng: Rng) -> np.ndarray:
    """The picture in light that falls off, in a lamp's spot or in shadows, and tinted by it."""
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.3) * (np.cos(angle) * x + np.sin(angle) * y)
    if rng.random() < 0.15:
        spot = np.exp(-((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2) / rng.uniform(0.1, 0.8))
        light *= rng.uniform(0.4, 1) + spot * rng.uniform(0.2, 1)
    if rng.random() < 0.25:
        cast = filled(rng.uniform(-0.3, 1.3, (4, 2)) * (width, height), (width, height))
        light *= 1 - rng.uniform(0.1, 0.5) * cv2.GaussianBlur(cast, (0, 0), rng.uniform(0.003, 0.04) * width)
    tint = 1 + rng.normal(0, 0.06, 3)
    return picture * light[..., None] * tint * rng.uniform(0.45, 1.1)


def shoot(picture: Pixels, corners: np.ndarray, rng: Rng, flat: bool) -> Pixels:
    """Held by fingers or a clip, or with a ruler on it, now and then; a little blurred, noisy, and stored as JPEG."""
    if not flat and rng.random() < 0.2:
        along = np.arange(SIDE)[:, None] / SIDE
        outline = np.concatenate([a + (b - a) * along for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
        scale = np.hypot(*(corners[1] - corners[0])) / 280
        picture = hold(picture, outline.astype(np.float32), (scale, scale), rng.uniform(0, 1), rng)
    if not flat and rng.random() < 0.08:  # a ruler, a pen or a strap across it
        ends = corners[rng.permutation(4)[:2]] + rng.normal(0, 0.15, (2, 2)) * np.ptp(corners, axis=0)
        ends = ends + (ends - ends[::-1]) * rng.uniform(0, 0.5, (2, 1))
        one, other = (tuple(map(int, end)) for end in ends)
        picture = cv2.line(picture.copy(), one, other, colour(rng), int(rng.uniform(0.01, 0.04) * picture.shape[1]))
    if not flat and rng.random() < 0.08:
        side = int(rng.integers(4))
        (x, y), half = corners[[side, side - 3]].mean(axis=0), rng.uniform(0.03, 0.1, 2) * picture.shape[1]
        low, high = (tuple(map(int, (x + sign * half[0], y + sign * half[1]))) for sign in (-1, 1))
        picture = cv2.rectangle(picture.copy(), low, high, (int(rng.uniform(60, 220)),) * 3, -1)
    if not flat:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2))
        picture = clip(picture + rng.normal(0, rng.uniform(0, 6), (*picture.shape[:2], 1)))
    stored = cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))))[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)
