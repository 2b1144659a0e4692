"""Where the evidence lies: Grad-CAM maps laid over the picture, or along the traces of a drawn signal."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Page, Pixels

Map = npt.NDArray[np.float32]

OPACITY: Final = 0.45
COLOUR: Final = (226, 61, 40)  # of full evidence, laid over the page; no evidence leaves the page as it is
_CAPTION: Final = 0.035  # caption height over page width
_FINER: Final = 4  # parts of a position of the mean beat that are put to their times one by one
_WINDOW_MM: Final = 5.0  # how far evidence along a trace is painted above and below it


def overlay(page: Page, evidence: Map) -> Pixels:
    """Return the page's pixels (H, W, 3) with a map (h, w) >= 0 laid over them: redder where more speaks for the label.

    The map is stretched over the whole page, as the page was for the model, and scaled to its own maximum.
    """
    height, width = page.pixels.shape[:2]
    stretched = cv2.resize(normalise(evidence), (width, height), interpolation=cv2.INTER_CUBIC)
    return tint(page.pixels, np.asarray(np.clip(stretched, 0, 1), np.float32))


def overlay_traces(page: Page, evidence: Map, duration: float) -> Pixels:
    """Return the page's pixels with evidence over time, (t,) >= 0 for ``duration`` seconds, painted along every trace.

    Raises ValueError for a page whose traces are not known.
    """
    if not page.traces or page.px_per_mm is None:
        raise ValueError("the page's traces are not known: draw it with render()")
    strength = normalise(evidence)
    times = (np.arange(len(strength)) + 0.5) * duration / len(strength)
    layer = np.zeros(page.pixels.shape[:2], np.float32)
    reach = round(_WINDOW_MM * page.px_per_mm)
    for trace in page.traces:
        at = np.interp(trace.start + np.arange(len(trace.points)) / trace.fs, times, strength)
        for (x, y), value in zip(trace.points, at, strict=True):
            if not np.isnan(y) and value > 0.02:
                column, row = round(float(x)), round(float(y))
                part = layer[_span(row, reach), _span(column, 1)]
                np.maximum(part, value, out=part)
    return tint(page.pixels, np.asarray(cv2.GaussianBlur(layer, (0, 0), page.px_per_mm), np.float32))


def _span(centre: int, reach: int) -> slice:
    """Indices no further than ``reach`` from ``centre``; none where that is before the first."""
    return slice(max(centre - reach, 0), max(centre + reach + 1, 0))


def join(maps: Map, starts: Map, window: float, duration: float) -> Map:
    """Join maps (n, labels, t) of overlapping windows into their mean over ``duration`` s, (labels, times).

    Each map covers ``window`` seconds from its ``starts`` (n,) s. Times that no window covers are 0.
    """
    step = window / maps.shape[2]
    total, count = np.zeros((maps.shape[1], round(duration / step)), np.float32), np.zeros(round(duration / step))
    for evidence, start in zip(maps, starts, strict=True):
        place = slice(round(float(start) / step), round(float(start) / step) + maps.shape[2])
        length = total[:, place].shape[1]
        total[:, place] += evidence[:, :length]
        count[place] += 1
    return np.asarray(total / np.maximum(count, 1), np.float32)


def spread(evidence: Map, peaks: npt.ArrayLike, span: tuple[float, float], duration: float, times: int) -> Map:
    """Spread evidence over a mean beat (labels, t) over the beats of ``duration`` s, in equal shares: (labels, times).

    The mean beat reaches from ``span[0]`` to ``span[1]`` s about each of the ``peaks`` (s). What is spread keeps its
    sum, but for what lies before the start or after the end.
    """
    step, beat_step = duration / times, (span[1] - span[0]) / evidence.shape[1]
    at = np.asarray(peaks)[:, None] + span[0] + (np.arange(evidence.shape[1] * _FINER) + 0.5) * beat_step / _FINER
    place = np.floor(at.ravel() / step).astype(int)
    inside = (place >= 0) & (place < times)
    out = np.zeros((len(evidence), times), np.float32)
    for row, label in zip(out, evidence, strict=True):
        shares = np.tile(np.repeat(label, _FINER), len(at)) / (_FINER * max(len(at), 1))
        row += np.bincount(place[inside], shares[inside], times).astype(np.float32)
    return out


def normalise(evidence: Map) -> Map:
    """Scale a map to a maximum of 1; a map of zeros stays so."""
    return np.asarray(evidence / max(float(evidence.max()), 1e-12), np.float32)


def tint(pixels: Pixels, strength: Map) -> Pixels:
    """Lay ``COLOUR`` over pixels (H, W, 3) as strongly as ``strength`` (H, W) in [0, 1] says; dark ink stays dark."""
    share = (OPACITY * strength)[..., None]
    tinted = pixels * (1 - share) + np.minimum(pixels, np.array(COLOUR, np.uint8)) * share
    return np.asarray(tinted.round(), np.uint8)


def stack(panels: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Return panels (H, W, 3) of one width, each under its caption, one below the other: (sum of heights, W, 3).

    Raises ValueError for no panels or unequal widths.
    """
    return np.vstack([part for caption, pixels in panels for part in (_captioned(caption, pixels.shape[1]), pixels)])


def _captioned(text: str, width: int) -> Pixels:
    height = max(16, round(_CAPTION * width))
    bar = np.full((height, width, 3), 255, np.uint8)
    font, scale, line = cv2.FONT_HERSHEY_SIMPLEX, height / 42, max(1, height // 24)
    (length, _), _ = cv2.getTextSize(text, font, scale, line)
    scale *= min(1.0, (width - height) / max(length, 1))
    cv2.putText(bar, text, (height // 2, round(height * 0.7)), font, scale, (20, 20, 20), line, cv2.LINE_AA)
    return bar
