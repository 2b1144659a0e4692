"""How a page looks: paper, grid, ink, lettering. Styles are data; random ones vary without steps."""

import colorsys
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar, get_args

import numpy as np

from ecglens.paper.catalogue import Catalogue
from ecglens.paper.lettering import FONTS, Font

Colour = tuple[int, int, int]

Grid = Literal["lines", "dots", "none"]
Spelling = Literal["aVR", "AVR", "avR"]
Pulse = Literal["left", "right", "none"]
Separators = Literal["none", "ticks", "dots", "lines"]
T = TypeVar("T")

GRIDS: Final[tuple[Grid, ...]] = get_args(Grid)


@dataclass(frozen=True, slots=True)
class Style:
    """A look; ``ecglens render --list`` shows what is said here of each field. Raises ValueError naming the field."""

    paper: Annotated[Colour, "red, green, blue from 0 to 255"] = (255, 248, 246)
    grid: Annotated[Grid, "dots stand for the lines every 1 mm"] = "lines"
    minor: Annotated[Colour, "of the grid every 1 mm"] = (250, 214, 210)
    minor_width: Annotated[float, "mm"] = 0.12
    major: Annotated[Colour, "of the grid every 5 mm"] = (240, 158, 152)
    major_width: Annotated[float, "mm"] = 0.2
    bleed: Annotated[bool, "the grid goes to the paper's edges"] = True
    ink: Annotated[Colour, "of traces and print"] = (25, 22, 28)
    trace_width: Annotated[float, "mm"] = 0.3
    reach: Annotated[float, "mm from its baseline at which a trace's pen stops; 0 for never"] = 0.0
    font: Font = "sans"
    label_height: Annotated[float, "mm"] = 3.0
    label_rise: Annotated[float, "mm, of a lead's name above its baseline; negative for below"] = 6.0
    label_shift: Annotated[float, "mm, of a lead's name from its panel's left edge"] = 1.0
    spelling: Spelling = "aVR"
    pulse: Annotated[Pulse, "where the calibration pulse is"] = "left"
    separators: Annotated[Separators, "between the columns"] = "none"
    header: Annotated[str, "may hold {speed} (mm/s), {gain}, {limb}, {chest} (mm/mV)"] = ""
    footer: Annotated[str, "as the header"] = "{speed} mm/s   {gain} mm/mV"
    sheet: Annotated[tuple[float, float], "least width and height of the paper, mm"] = (0.0, 0.0)
    smooth: Annotated[bool, "edges between pixels are not hard"] = True

    def __post_init__(self) -> None:
        for key in ("paper", "minor", "major", "ink"):
            if not all(0 <= level <= 255 for level in getattr(self, key)):
                raise ValueError(f"{key}: {list(getattr(self, key))} is no colour; give red, green, blue from 0 to 255")
        for key in ("minor_width", "major_width", "trace_width", "label_height"):
            if not 0 < getattr(self, key) <= 20:
                raise ValueError(f"{key}: {getattr(self, key):g} is no size; give millimetres above 0, at most 20")
        for key, least, most in (("reach", 0, 500), ("label_rise", -100, 100), ("label_shift", -100, 100)):
            if not least <= getattr(self, key) <= most:
                raise ValueError(f"{key}: {getattr(self, key):g} is no place; give millimetres from {least} to {most}")
        if not all(0 <= side <= 2000 for side in self.sheet):
            raise ValueError(f"sheet: {list(self.sheet)} is no size; give width and height in mm, 0 for any")
        for key in ("header", "footer"):
            try:
                getattr(self, key).format(speed="", gain="", limb="", chest="")
            except (LookupError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"{key}: {getattr(self, key)!r} has braces around other words than speed, gain, limb, chest"
                ) from error

    def spell(self, lead: str) -> str:
        """Return a lead's name as this style prints it."""
        return lead.replace("aV", {"aVR": "aV", "AVR": "AV", "avR": "av"}[self.spelling])


_SPELLINGS: Final[tuple[Spelling, ...]] = get_args(Spelling)
_PULSES: Final[tuple[Pulse, ...]] = get_args(Pulse)
_SEPARATORS: Final[tuple[Separators, ...]] = get_args(Separators)
_HUES: Final = (  # hue, its spread, least and most saturation
    (0.97, 0.04, 0.4, 1.0),  # red, pink
    (0.07, 0.04, 0.4, 0.9),  # orange, tan
    (0.38, 0.08, 0.3, 0.8),  # green
    (0.60, 0.06, 0.2, 0.7),  # blue
    (0.10, 0.50, 0.0, 0.1),  # grey
)
_HEADERS: Final = ("12-lead ECG", "Resting ECG", "12 LEAD", "Unconfirmed", "Standard 12-Lead", "Auto 12-lead")
_FOOTERS: Final = (
    "{speed} mm/s   {gain} mm/mV",
    "{speed}mm/s  {gain}mm/mV  100Hz",
    "{speed} mm/sec    {gain} mm/mV    0.05-150 Hz",
    "Speed: {speed} mm/sec   Limb: {limb} mm/mV   Chest: {chest} mm/mV   F 50~ 0.15-100 Hz",
    "{gain}mm/mV  {speed}mm/s  AC 60Hz",
)

STYLES: Final = Catalogue(Path(__file__).parent / "styles", Style)


def styles() -> tuple[str, ...]:
    """Names of the styles that come with ecglens."""
    return STYLES.names()


def load_style(wanted: str | Path) -> Style:
    """Return a style by name or from a TOML file. Raises UsageError (unknown name) or ConfigError (wrong file)."""
    return STYLES.find(wanted)


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
        grid=pick(rng, GRIDS, (0.85, 0.08, 0.07)),
        minor=mix(paper, line, strength * rng.uniform(0.25, 0.7)),
        minor_width=rng.uniform(0.1, 0.2),
        major=mix(paper, line, strength),
        major_width=rng.uniform(0.15, 0.35),
        ink=_rgb(rng.uniform(0.55, 0.75), rng.uniform(0.0, 0.5), light * rng.uniform(0.0, 0.35)),
        trace_width=rng.uniform(0.22, 0.45),
        bleed=bool(rng.random() < 0.9),
        font=pick(rng, FONTS, (0.3, 0.4, 0.15, 0.15)),
        label_height=rng.uniform(2.4, 4.2),
        label_rise=rng.uniform(4.0, 9.0) if rng.random() < 0.7 else -rng.uniform(4.0, 9.0),
        label_shift=rng.uniform(0.0, 2.5),
        spelling=pick(rng, _SPELLINGS, (0.75, 0.15, 0.1)),
        pulse=pick(rng, _PULSES, (0.55, 0.15, 0.3)),
        separators=pick(rng, _SEPARATORS, (0.65, 0.2, 0.05, 0.1)),
        header=_HEADERS[rng.integers(len(_HEADERS))] if rng.random() < 0.3 else "",
        footer=_FOOTERS[rng.integers(len(_FOOTERS))] if rng.random() < 0.5 else "",
    )


def _random_hue(rng: np.random.Generator) -> tuple[float, float]:
    """Hue and saturation of a grid; most printed paper is red to orange."""
    centre, spread, pale, strong = pick(rng, _HUES, (0.5, 0.15, 0.1, 0.1, 0.15))
    return rng.normal(centre, spread / 2) % 1.0, rng.uniform(pale, strong)


def pick(rng: np.random.Generator, options: Sequence[T], shares: tuple[float, ...]) -> T:
    """One of ``options``, each as often as its share says; a tenth of the time that rng.choice takes."""
    return options[min(bisect(list(accumulate(shares)), rng.random()), len(options) - 1)]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * level) for level in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
