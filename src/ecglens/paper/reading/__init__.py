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
FS: Final = PX_PER_MM * SPEED  # Hz, of what is read on paper with a grid
SECONDS: Final = 10.0  # of a page; rows that are longer are rolls of leads one after the other
USUAL_WIDTH: Final = 270.0  # mm of a page that does not say

_LARGEST: Final = 6e6  # pixels of the page that is read, for pages whose scale was found wrong
_LONGEST: Final = 4000.0  # pixels a side of it
_LEAST_FS, _MOST_FS = 40.0, 400.0  # Hz; beyond, the scale was found wrong
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
    pixels = _resized(page.pixels, PX_PER_MM / (page.px_per_mm or page.pixels.shape[1] / USUAL_WIDTH))
    factor = pixels.shape[1] / page.pixels.shape[1]
    stretches = _choose([stretch for row in arrange(find_names(pixels)) for stretch in follow(pixels, row)])
    if not stretches:
        return Reading(None, page, LEADS, 0.0, "none")
    origin = min(stretch.x for stretch in stretches)
    reach = max(stretch.x + len(stretch.heights) for stretch in stretches) - origin
    px_per_mm = page.px_per_mm * factor if page.px_per_mm else reach / (SECONDS * SPEED)
    fs = px_per_mm * SPEED
    if not _LEAST_FS <= fs <= _MOST_FS:
        return Reading(None, page, LEADS, 0.0, "none")
    starts = [0.0 if reach / fs > SECONDS + _SPARE else (stretch.x - origin) / fs for stretch in stretches]
    traces = tuple(
        _trace(stretch, start, fs, pixels.shape, page.pixels.shape)
        for stretch, start in zip(stretches, starts, strict=True)
    )
    certainty = np.concatenate([stretch.certainty for stretch in stretches])
    return Reading(
        _record(stretches, starts, fs, GAIN * px_per_mm),
        Page(page.pixels, px_per_mm / factor, traces),
        tuple(lead for lead in LEADS if lead not in {stretch.lead for stretch in stretches}),
        float(np.mean(certainty)),
        "grid" if page.px_per_mm else "row of 10 s",
    )


def _resized(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    factor = min(factor, float(np.sqrt(_LARGEST / (height * width))), _LONGEST / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR))


def _choose(stretches: list[Stretch]) -> list[Stretch]:
    """The longest stretch of each lead; none of two leads that were found on the same trace."""
    longest: dict[str, Stretch] = {}
    for stretch in sorted(stretches, key=lambda stretch: int(np.isfinite(stretch.heights).sum())):
        longest[stretch.lead] = stretch
    kept = longest.values()
    return [one for one in kept if not any(one is not other and one.coincides(other) for other in kept)]


def _record(stretches: list[Stretch], starts: list[float], fs: float, px_per_mv: float) -> Record:
    """The leads at their times; leads on a roll, which follow each other on paper, are laid side by side."""
    signal = np.full((len(LEADS), round(SECONDS * fs)), np.nan, np.float32)
    for stretch, start in zip(stretches, starts, strict=True):
        room = signal[INDEX[stretch.lead], round(start * fs) :]
        values = stretch.millivolts(px_per_mv)[: len(room)]
        room[: len(values)] = values
    return Record(signal, fs)


def _trace(stretch: Stretch, start: float, fs: float, read: tuple[int, ...], given: tuple[int, ...]) -> Trace:
    """A stretch as a trace on the page that was given."""
    columns = stretch.x + np.arange(len(stretch.heights))
    scale = np.array([given[1] / read[1], given[0] / read[0]])
    points: Points = ((np.column_stack([columns, stretch.heights]) + 0.5) * scale - 0.5).astype(np.float32)
    return Trace(stretch.lead, points, start, fs)
