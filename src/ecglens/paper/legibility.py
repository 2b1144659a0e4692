"""Judge whether a picture shows a legible 12-lead ECG, and say why where it does not.

The picture is reduced, made as dark as its ink stands out from the paper around it, and squashed to a small grey copy.
A network of 200,000 weights tells from that copy whether it shows a whole page, a part of one, a page that lies on its
side or upside down, or something else. It was trained on drawn pages and on pictures that show no ECG
(``benchmarks/legibility.py --fit``). What is too dark, pale or small for it is told before, from the pixels, and so
is what is blurred, unless the network sees no ECG at all in it.
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Page, Pixels
from ecglens.paper.upright import as_paper, lightest
from ecglens.sessions import open_session

Floats = npt.NDArray[np.float64]

# Least picture in which the leads of a whole page can still be told apart, pixels; a roll is long and narrow.
MIN_LONG_SIDE: Final = 280
MIN_SHORT_SIDE: Final = 48
LEGIBLE_WIDTH: Final = 550  # pixels across a page of usual width from which the names of its leads can be read

# Share of the sharpest steps in the ink's darkness: hardly a page worn to grade 0.6 at most has less, and most with a
# blur of 3 pixels at 720 pixels a page do.
MIN_SHARPNESS: Final = 0.25
ARGUABLE_SHARPNESS: Final = 0.14  # of pages whose leads may be read all the same: a blur of 0.6 mm, most photographs
MIN_CONTRAST: Final = 0.06

# What a picture shows, in the order of the network's answers; the turned ones by where the top of the page points.
KINDS: Final = ("whole", "part", "left", "upside down", "right", "other")

_NETWORK: Final = Path(__file__).with_suffix(".onnx")
_SEEN: Final = (448, 256)  # width and height of what the network sees
_WORK: Final = 560  # mean side of the reduced copy, pixels: 720 across for most pages

_DARKEST_SHARE: Final = 0.004  # the ink's darkness is what this share of the picture reaches
_MOST_INK: Final = 0.12  # share of the small copy above which what is dark is the grid, not ink
_FAINTEST: Final = 8  # darkness (0-255) below which nothing is ink
_NIGHT: Final = 30  # light (0-255) that hardly a pixel of a picture reaches that is nearly black
_DAZZLE: Final = 245  # light (0-255) of a picture that is over-exposed
_ARGUABLE: Final = -4.0  # likeness of pictures that are hardly ever whole pages
_NO_ECG: Final = -3.0  # likeness: drawn pages that are blurred by up to 1.2 mm have 0 and more
_BLANK: Final = 0.012  # contrast of paper with nothing on it


@dataclass(frozen=True, slots=True)
class Quality:
    """How legible a picture is as a 12-lead ECG.

    ``width`` and ``height`` are pixels.
    ``sharpness`` is the steepest step in the ink's contrast (0-1), ``contrast`` the ink's darkness against the paper
    (0-1), ``ink`` the share of the picture that is at least half as dark as the ink, ``rows`` how many rows of traces a
    whole page would seem to have, ``likeness`` the log-odds that this is a whole, upright page. ``reason`` is None for
    a legible ECG, else one sentence for who took the picture.
    """

    width: int
    height: int
    sharpness: float
    contrast: float
    ink: float
    rows: float
    likeness: float
    reason: str | None

    @property
    def legible(self) -> bool:
        """Whether the picture is worth a diagnosis."""
        return self.reason is None

    @property
    def arguable(self) -> bool:
        """Whether this may be a whole page all the same: blurred, or not much like one, which its leads can settle."""
        likely = self.likeness > _ARGUABLE and self.sharpness >= ARGUABLE_SHARPNESS
        return likely and self.reason in (_BLURRED, _REASONS["part"], _REASONS["other"])

    def as_dict(self) -> dict[str, Any]:
        """The values for JSON, rounded to what they are worth; the reason is for the answer to give."""
        values = {key: value for key, value in asdict(self).items() if key != "reason"}
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}


def assess(page: Page) -> Quality:
    """Judge the picture in ``page.pixels`` as it lies: the leads must read from left to right.

    Takes some ten milliseconds whatever the size; never raises for a valid page.
    """
    height, width = page.pixels.shape[:2]
    if max(height, width) < MIN_LONG_SIDE or min(height, width) < MIN_SHORT_SIDE:
        return Quality(width, height, 0.0, 0.0, 0.0, 0.0, 0.0, _too_small(width, height))
    light = _reduced(page.pixels)
    darkness = _darkness(as_paper(light))
    reaching = _reaching(darkness)
    level = _level(reaching, _DARKEST_SHARE)
    sharpness = _sharpness(darkness, level)
    answers, rows = _ask(_shown(darkness, level), float(np.log(width / height)))
    likeness = float(answers[0] - np.logaddexp.reduce(answers[1:]))
    kind = KINDS[1 + int(answers[1:].argmax())]
    is_blurred = sharpness < MIN_SHARPNESS and not (kind == "other" and likeness < _NO_ECG)
    reason = (
        _exposure(light, level / 255)
        or (_BLURRED if is_blurred else None)
        or (None if likeness >= 0 else _REASONS[kind])
    )
    ink = float(reaching[max(_FAINTEST, level // 2)])
    return Quality(width, height, sharpness, level / 255, ink, rows, likeness, reason)


def look(pixels: Pixels) -> tuple[Pixels, float]:
    """What the network sees: darkness (256, 448), the ink's being 255, and the logarithm of width over height."""
    darkness = _darkness(as_paper(_reduced(pixels)))
    return _shown(darkness, _level(_reaching(darkness), _DARKEST_SHARE)), float(
        np.log(pixels.shape[1] / pixels.shape[0])
    )


def _shown(darkness: Pixels, level: int) -> Pixels:
    """The small copy, without what is as dark as the grid: what more of it is covered by than ink ever covers."""
    full = cv2.convertScaleAbs(darkness, alpha=255 / max(_FAINTEST, level))
    seen = np.asarray(cv2.resize(full, _SEEN, interpolation=cv2.INTER_AREA), np.uint8)
    grid = min(127, _level(_reaching(seen), _MOST_INK))
    return np.asarray(cv2.convertScaleAbs(seen - np.minimum(seen, np.uint8(grid)), alpha=255 / (255 - grid)), np.uint8)


def _ask(seen: Pixels, shape: float) -> tuple[Floats, float]:
    """The network's answers for ``KINDS`` in log-odds, and the rows it counts."""
    inputs = {"pixels": seen[None, None].astype(np.float32) / 255, "shape": np.array([[shape]], np.float32)}
    said = np.asarray(_network().run(None, inputs)[0][0], np.float64)
    return said[: len(KINDS)], float(np.exp(said[len(KINDS)]))


@cache
def _network() -> Any:
    return open_session(_NETWORK.read_bytes(), threads=1)  # so small that more would only wait


_BLURRED: Final = "The picture is blurred: hold the phone still, wait until it is in focus and take it again"
_REASONS: Final = {
    "part": "Not all 12 leads are seen in this picture: show the whole page, with every lead",
    "left": "The page lies on its side: turn the picture so that the leads read from left to right",
    "right": "The page lies on its side: turn the picture so that the leads read from left to right",
    "upside down": "The page is upside down: turn the picture round",
    "other": (
        "No ECG is seen in this picture: show the whole 12-lead page, flat, upright, on a plain ground and filling the "
        "picture"
    ),
}


def _too_small(width: int, height: int) -> str:
    return (
        f"The picture is too small ({width} x {height} pixels): "
        f"scan or photograph the page with at least {LEGIBLE_WIDTH} pixels across, better 1000"
    )


def _exposure(lightest: Pixels, contrast: float) -> str | None:
    """Why nothing stands out, where nothing does."""
    if _level(_reaching(lightest), 0.01) < _NIGHT:
        return "The picture is nearly black: take it again in more light"
    if contrast >= MIN_CONTRAST:
        return None
    if contrast < _BLANK:
        return "The picture is blank: nothing is seen on it, take it again with the page in view"
    if lightest.mean() > _DAZZLE:
        return "The picture is over-exposed: take it again without flash, and out of direct light"
    return "The picture is too pale to read: take it again in brighter, even light"


def _reduced(pixels: Pixels) -> Pixels:
    """The lightest channel, mean side ``_WORK`` at most.

    Coloured grids are light in one channel at least, dark ink is in none. Whole factors first: only they are quick.
    """
    height, width = pixels.shape[:2]
    factor = int(np.sqrt(height * width) / _WORK)
    if factor > 1:
        size = (width // factor, height // factor)
        whole = pixels[: size[1] * factor, : size[0] * factor]
        pixels = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    light = lightest(pixels)
    scale = _WORK / np.sqrt(pixels.shape[0] * pixels.shape[1])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return light


def _darkness(channel: Pixels) -> Pixels:
    """How much darker each pixel is than the paper around it, as a share of the paper's light, 0-255."""
    side = max(9, max(channel.shape) // 40 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.morphologyEx(channel, cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.divide(cv2.subtract(paper, channel), paper, scale=255), np.uint8)


def _reaching(levels: Pixels) -> Floats:
    """(256,) share of the pixels that are at each level or above it."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    return np.asarray(counts[::-1].cumsum(dtype=np.float64)[::-1] / levels.size)


def _level(reaching: Floats, share: float) -> int:
    """The lowest level that at most ``share`` of the pixels reach, or the highest there is."""
    return min(255, int(np.searchsorted(-reaching, -share)))


def _sharpness(darkness: Pixels, level: int) -> float:
    """Steepest steps between neighbours against the ink's darkness, of the two ways the one that has less.

    A page has steep steps both ways, in its complexes and in what lies level; a shaken phone blurs only one.
    """
    down, across = cv2.absdiff(darkness[1:], darkness[:-1]), cv2.absdiff(darkness[:, 1:], darkness[:, :-1])
    steepest = min(_level(_reaching(np.asarray(steps, np.uint8)), _DARKEST_SHARE) for steps in (down, across))
    return steepest / max(level, 1)
