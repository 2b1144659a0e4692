"""Damage to a page: what happens to an ECG between the printer and the pixels somebody sends.

A picture is made in one way of six (``WAYS``): photographed, scanned, photocopied, faxed, photographed from a screen
or copied from one. The way decides what can happen to it. Everything that moves paper is one map from the page's
pixels to the picture's: the paper's relief shifts each point as a camera above it sees it, then a projective matrix
places the sheet in the frame. Pixels and truth go through that same map. Sizes are in mm on the sheet.
"""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from ecglens.errors import UsageError
from ecglens.paper.damage.camera import capture
from ecglens.paper.damage.canvas import Dose, Rng, Scale
from ecglens.paper.damage.light import cast_light
from ecglens.paper.damage.marks import mark
from ecglens.paper.damage.scene import hold, shoot
from ecglens.paper.page import NODE_MM, Page

__all__ = ["EFFECTS", "WAYS", "wear"]

WAYS: Final = ("photo", "scan", "photocopy", "fax", "screen", "screenshot")
_WAY_SHARES: Final = np.array(
    [(0.35, 0.23, 0.10, 0.06, 0.13, 0.13), (0.83, 0.02, 0.05, 0.03, 0.06, 0.01)]
)  # grade 0, 1


def _chances(*chances: float) -> Mapping[str, float]:
    return dict(zip(WAYS, chances, strict=True))


EFFECTS: Final[Mapping[str, Mapping[str, float]]] = {
    # printer                 photo  scan  copy   fax  screen  screenshot
    "fading": _chances(0.30, 0.45, 0.40, 0.20, 0.00, 0.00),
    # paper
    "highlighter": _chances(0.12, 0.12, 0.00, 0.00, 0.00, 0.00),
    "handwriting": _chances(0.45, 0.60, 0.50, 0.40, 0.00, 0.00),
    "stamp": _chances(0.15, 0.25, 0.25, 0.20, 0.00, 0.00),
    "stains": _chances(0.40, 0.60, 0.30, 0.00, 0.00, 0.00),
    "holes": _chances(0.20, 0.35, 0.30, 0.15, 0.00, 0.00),
    "curl": _chances(0.85, 0.00, 0.00, 0.00, 0.00, 0.00),
    "fold": _chances(0.60, 0.85, 0.60, 0.30, 0.00, 0.00),
    "crumple": _chances(0.85, 0.85, 0.60, 0.20, 0.00, 0.00),
    # scene
    "desk": _chances(0.60, 0.00, 0.00, 0.00, 0.70, 0.00),
    "hand": _chances(0.30, 0.00, 0.00, 0.00, 0.00, 0.00),
    "light": _chances(1.00, 0.40, 0.00, 0.00, 0.80, 0.00),
    "shadow": _chances(0.75, 0.00, 0.00, 0.00, 0.00, 0.00),
    "glare": _chances(0.35, 0.00, 0.00, 0.00, 0.75, 0.00),
    # camera
    "perspective": _chances(0.95, 0.00, 0.00, 0.00, 0.95, 0.00),
    "rotation": _chances(0.95, 0.85, 0.90, 0.90, 0.90, 0.00),
    "crop": _chances(0.60, 0.40, 0.40, 0.30, 0.50, 0.80),
    "photocopy": _chances(0.00, 0.00, 1.00, 0.30, 0.00, 0.00),
    "fax": _chances(0.00, 0.00, 0.00, 1.00, 0.00, 0.00),
    "defocus": _chances(0.75, 0.85, 0.70, 0.00, 0.85, 0.00),
    "motion": _chances(0.30, 0.00, 0.00, 0.00, 0.25, 0.00),
    "moire": _chances(0.00, 0.00, 0.00, 0.00, 1.00, 0.00),
    "colour_cast": _chances(0.98, 0.70, 0.00, 0.00, 0.95, 0.60),
    "noise": _chances(0.95, 0.80, 0.80, 0.40, 0.95, 0.00),
    "sharpening": _chances(0.85, 0.30, 0.00, 0.00, 0.50, 0.00),
    # file
    "low_resolution": _chances(0.45, 0.65, 0.50, 0.20, 0.40, 1.00),
    "jpeg": _chances(0.95, 0.90, 0.85, 0.60, 0.95, 1.00),
}
"""The chance of every effect at grade 1 in each of ``WAYS``, in the order in which they happen."""

_SHEET_WIDTH: Final = 250.0  # mm, of a page that does not say


def wear(page: Page, grade: float, rng: Rng, *, ways: Collection[str] = WAYS, without: Collection[str] = ()) -> Page:
    """Return ``page`` as a picture of it after some use; pixels keep their number, truth moves along.

    ``grade`` is from 0 (nothing happens) over 0.5 (an average phone photograph or bad scan) to 1 (a bad photograph of
    a crumpled sheet on a messy desk, which a trained person can still read). The picture is made in one of ``ways``.
    Effects named in ``without`` do not happen; the others stay as they were. Annotations stay where the record was
    drawn, even if something covers them. Raises UsageError for a grade outside 0 to 1, for ways that are not in
    ``WAYS`` or none at all, and for effects that are not in ``EFFECTS``.
    """
    if not 0 <= grade <= 1:
        raise UsageError(f"a page cannot be worn to grade {grade:g}: give a grade from 0 to 1")
    if unknown := sorted(set(without) - EFFECTS.keys()):
        raise UsageError(f"{unknown[0]!r} is no effect of wear: choose from {', '.join(EFFECTS)}")
    if not ways or not set(ways) <= set(WAYS):
        raise UsageError(f"{', '.join(sorted(ways))!r} is no way to wear a page: choose from {', '.join(WAYS)}")
    if grade == 0:
        return page
    way, shot, doses = _draw(grade, rng, ways, without)
    scale = _scale(page)
    worn = Page(mark(page.pixels, scale, doses), page.px_per_mm, page.traces, page.boxes, page.nodes)
    worn, outline, field = shoot(worn, scale, way, shot, doses)
    pixels = worn.pixels
    if "hand" in doses:
        pixels = hold(pixels, outline, scale, *doses["hand"])
    pixels = cast_light(pixels, field, scale, doses)
    pixels = capture(pixels, scale, doses)
    return Page(pixels, worn.px_per_mm, worn.traces, worn.boxes, worn.nodes)


def _draw(grade: float, rng: Rng, ways: Collection[str], without: Collection[str]) -> tuple[str, Rng, dict[str, Dose]]:
    """The way the picture is made, chance for the shot itself, and what happens to the picture."""
    shares = _WAY_SHARES[0] * (1 - grade) + _WAY_SHARES[1] * grade
    shares = np.cumsum(shares * [way in ways for way in WAYS])
    way = WAYS[int(np.searchsorted(shares, rng.random() * shares[-1]))]
    lots, strengths = rng.random(len(EFFECTS)), grade * rng.uniform(0.4 + 0.35 * grade, 1.0, len(EFFECTS))
    shot, *seeds = rng.integers(0, 2**63, 1 + len(EFFECTS)).tolist()
    rows = zip(EFFECTS.items(), lots.tolist(), strengths.tolist(), seeds, strict=True)
    doses = {
        name: Dose(strength, np.random.default_rng(seed))
        for (name, chances), lot, strength, seed in rows
        if lot < 1 - (1 - chances[way]) ** grade and name not in without
    }
    return way, np.random.default_rng(shot), doses


def _scale(page: Page) -> Scale:
    """Pixels per mm of the sheet, as its nodes say; a page without them is taken for a sheet of ordinary width."""
    if page.nodes is not None and min(page.nodes.shape[:2]) > 1:
        rows, columns = page.nodes.shape[:2]
        across, down = page.nodes[0, -1] - page.nodes[0, 0], page.nodes[-1, 0] - page.nodes[0, 0]
        return float(np.hypot(*across)) / (columns - 1) / NODE_MM, float(np.hypot(*down)) / (rows - 1) / NODE_MM
    px_per_mm = page.px_per_mm or page.pixels.shape[1] / _SHEET_WIDTH
    return px_per_mm, px_per_mm
