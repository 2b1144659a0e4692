"""How a page looks: paper, grid, ink, lettering. Styles are data; random ones vary without steps."""

import colorsys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ecglens.paper.catalogue import Catalogue

Colour = tuple[int, int, int]

GRIDS: Final = ("lines", "dots", "none")


@dataclass(frozen=True, slots=True)
class Style:
    """Colours are RGB 0-255; widths and heights are mm.

    ``minor`` and ``major`` are the 1 mm and 5 mm grid; a "dots" grid has dots for the 1 mm lines. ``label_rise`` is
    how far a lead's name stands above the row's baseline, negative for below it. Raises ValueError naming the field.
    """

    paper: Colour = (255, 248, 246)
    grid: str = "lines"
    minor: Colour = (250, 214, 210)
    minor_width: float = 0.12
    major: Colour = (240, 158, 152)
    major_width: float = 0.2
    ink: Colour = (25, 22, 28)
    trace_width: float = 0.3
    bold: bool = False
    label_height: float = 3.0
    label_rise: float = 6.0
    pulse: bool = True
    separators: bool = False
    header: bool = False
    footer: bool = True

    def __post_init__(self) -> None:
        for key in ("paper", "minor", "major", "ink"):
            if not all(0 <= level <= 255 for level in getattr(self, key)):
                raise ValueError(f"{key}: {list(getattr(self, key))} is no colour; give red, green, blue from 0 to 255")
        for key in ("minor_width", "major_width", "trace_width", "label_height"):
            if not 0 < getattr(self, key) <= 20:
                raise ValueError(f"{key}: {getattr(self, key):g} is no size; give millimetres above 0, at most 20")
        if self.grid not in GRIDS:
            raise ValueError(f"grid: {self.grid!r} is not known; choose {', '.join(GRIDS)}")


_STYLES: Final = Catalogue(Path(__file__).parent / "styles", Style)


def styles() -> tuple[str, ...]:
    """Names of the styles that come with ecglens."""
    return _STYLES.names()


def load_style(wanted: str | Path) -> Style:
    """Return a style by name or from a TOML file. Raises UsageError (unknown name) or ConfigError (wrong file)."""
    return _STYLES.find(wanted)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour with ``share`` (0-1) of ``second`` in ``first``."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def random_style(rng: np.random.Generator) -> Style:
    """Draw a style: grids from red over orange to green and blue or grey, papers from white to dim, dark inks."""
    hue, saturation = _random_hue(rng)
    light = rng.uniform(0.6, 1.0) if rng.random() < 0.4 else rng.uniform(0.9, 1.0)  # photographs are dimmer than scans
    paper = _rgb(hue, saturation * rng.uniform(0.0, 0.15), light)
    line = _rgb(hue, saturation, light * rng.uniform(0.6, 0.9))
    strength = rng.uniform(0.4, 1.0)
    return Style(
        paper=paper,
        grid=str(rng.choice(GRIDS, p=(0.85, 0.08, 0.07))),
        minor=mix(paper, line, strength * rng.uniform(0.25, 0.7)),
        minor_width=rng.uniform(0.1, 0.2),
        major=mix(paper, line, strength),
        major_width=rng.uniform(0.15, 0.35),
        ink=_rgb(rng.uniform(0.55, 0.75), rng.uniform(0.0, 0.5), light * rng.uniform(0.0, 0.35)),
        trace_width=rng.uniform(0.22, 0.45),
        bold=bool(rng.random() < 0.7),
        label_height=rng.uniform(3.2, 5.5),
        label_rise=rng.uniform(3.0, 9.0) if rng.random() < 0.7 else -rng.uniform(4.0, 9.0),
        pulse=bool(rng.random() < 0.7),
        separators=bool(rng.random() < 0.3),
        header=bool(rng.random() < 0.3),
        footer=bool(rng.random() < 0.5),
    )


def _random_hue(rng: np.random.Generator) -> tuple[float, float]:
    """Hue and saturation of a grid; most printed paper is red to orange."""
    centre, spread, saturation = (
        (0.97, 0.04, rng.uniform(0.4, 1.0)),  # red, pink
        (0.07, 0.04, rng.uniform(0.4, 0.9)),  # orange, tan
        (0.38, 0.08, rng.uniform(0.3, 0.8)),  # green
        (0.60, 0.06, rng.uniform(0.2, 0.7)),  # blue
        (0.10, 0.50, rng.uniform(0.0, 0.1)),  # grey
    )[rng.choice(5, p=(0.5, 0.15, 0.1, 0.1, 0.15))]
    return rng.normal(centre, spread / 2) % 1.0, saturation


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * level) for level in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
