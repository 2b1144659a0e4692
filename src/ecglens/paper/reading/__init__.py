"""Read a page: find the names of its leads, follow their traces, and give them back as a signal in mV.

The page is brought to ``PX_PER_MM``. One small network finds where a lead's name is printed and where its trace begins
(``names``); rows of names are cut out as strips, and another one says in every column of a strip how high the trace is
(``rows``). Both were trained on drawn and worn pages (``benchmarks/reading.py``).

What a page cannot tell is taken as usual and said to be so: a speed of 25 mm/s and a gain of 10 mm/mV; on paper without
a grid, that a row is 10 s long.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ecglens.leads import INDEX, LEADS
from ecglens.paper.page import Page, Pixels, Points, Trace
from ecglens.paper.reading.arrangement import arrange
from ecglens.paper.reading.names import find_names
from ecglens.paper.reading.rows import Stretch, follow
from ecglens.record import Record

PX_PER_MM: Final = 4.0  # of the page that is read: a column every 10 ms, a row every 25 uV
SPEED: Final = 25.0  # mm/s
GAIN: Final = 10.0  # mm/mV
FS: Final = PX_PER_MM * SPEED
SECONDS: Final = 10.0  # of a page; rows that are longer are rolls of leads one after the other
USUAL_WIDTH: Final = 270.0  # mm of a page that does not say

_LARGEST: Final = 6e6  # pixels of the page that is read, for pages whose scale was found wrong
_SPARE: Final = 0.4  # s by which a row may be longer than ``SECONDS``


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read off a page.

    ``record`` holds the leads, NaN where they are not shown, time 0 being the left end of the rows; None if no name was
    found. ``page`` is the page given, with the ``traces`` that were read. ``missing`` names leads that were not found.
    ``certainty`` is the mean probability (0-1) that the traces run where they are said to. ``scale`` says where
    the millimetre comes from.
    """

    record: Record | None
    page: Page
    missing: tuple[str, ...]
    certainty: float
    scale: str


def read_page(page: Page) -> Reading:
    """Read a straightened page. Never raises for a valid page; what is not found is missing."""
    factor = PX_PER_MM / (page.px_per_mm or page.pixels.shape[1] / USUAL_WIDTH)
    pixels = _resized(page.pixels, factor)
    stretches = [stretch for row in arrange(find_names(pixels)) for stretch in follow(pixels, row)]
    if not stretches:
        return Reading(None, page, LEADS, 0.0, "none")
    origin = min(stretch.x for stretch in stretches)
    reach = max(stretch.x + len(stretch.heights) for stretch in stretches) - origin
    fs = FS if page.px_per_mm else reach / SECONDS
    chosen = _choose(stretches)
    starts = {name: _start(stretch, origin, reach, fs) for name, stretch in chosen.items()}
    signal = np.full((len(LEADS), round(SECONDS * fs)), np.nan, np.float32)
    for name, stretch in chosen.items():
        first = round(starts[name] * fs)
        values = stretch.millivolts(GAIN * PX_PER_MM)[: signal.shape[1] - first]
        signal[INDEX[name], first : first + len(values)] = values
    traces = tuple(
        _trace(stretch, starts[name], fs, pixels.shape, page.pixels.shape) for name, stretch in chosen.items()
    )
    known = np.concatenate([stretch.certainty for stretch in chosen.values()])
    return Reading(
        Record(signal, fs),
        Page(page.pixels, page.px_per_mm, traces),
        tuple(lead for lead in LEADS if lead not in chosen),
        float(np.nanmean(known)) if np.isfinite(known).any() else 0.0,
        "grid" if page.px_per_mm else "row of 10 s",
    )


def _resized(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    factor = min(factor, float(np.sqrt(_LARGEST / (height * width))))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR))


def _choose(stretches: list[Stretch]) -> dict[str, Stretch]:
    """The longest stretch of each lead; none of two leads that were found on the same trace."""
    longest: dict[str, Stretch] = {}
    for stretch in sorted(stretches, key=lambda stretch: int(np.isfinite(stretch.heights).sum())):
        longest[stretch.lead] = stretch
    alone = [all(one is other or not one.coincides(other) for other in longest.values()) for one in longest.values()]
    kept = {lead for lead, free in zip(longest, alone, strict=True) if free}
    return {lead: longest[lead] for lead in LEADS if lead in kept}


def _start(stretch: Stretch, origin: int, reach: int, fs: float) -> float:
    """Seconds from the rows' left end; leads on a roll follow each other on paper, and are laid side by side."""
    return 0.0 if reach / fs > SECONDS + _SPARE else (stretch.x - origin) / fs


def _trace(stretch: Stretch, start: float, fs: float, read: tuple[int, ...], given: tuple[int, ...]) -> Trace:
    """A stretch as a trace on the page that was given."""
    columns = stretch.x + np.arange(len(stretch.heights))
    scale = np.array([given[1] / read[1], given[0] / read[0]])
    points: Points = ((np.column_stack([columns, stretch.heights]) + 0.5) * scale - 0.5).astype(np.float32)
    return Trace(stretch.lead, points, start, fs)
