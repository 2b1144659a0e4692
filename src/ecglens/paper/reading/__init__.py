"""Read a page: find the names of its leads, follow their traces, and give them back as a signal in mV.

The page is brought to ``PX_PER_MM``. Two small networks find where a lead's name is printed, one of them also where its
trace begins (``names``), on a smaller copy once more if leads are missing; rows of names are cut out as strips, and a
third one says in every column of a strip how high the trace is (``rows``). All were trained on drawn and worn pages
(``benchmarks/reading.py``). Where the grid shows how the paper is bent (``bending``), that is taken out of the times.

What is not said of a page is taken as usual and said to be so: a speed of 25 mm/s and a gain of 10 mm/mV; on paper
without a grid, that a row is 250 mm long.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.leads import INDEX, LEADS
from ecglens.paper.bending import FLAT, Bend, find_bend
from ecglens.paper.page import Page, Pixels, Points, Trace
from ecglens.paper.reading.arrangement import SURE, arrange
from ecglens.paper.reading.names import Name, find_far_names, find_names
from ecglens.paper.reading.rows import Stretch, follow
from ecglens.paper.settings import Settings
from ecglens.record import Record, Signal, fill_gaps

Floats = npt.NDArray[np.float64]

PX_PER_MM: Final = 4.0  # of the page that is read: at 25 mm/s and 10 mm/mV, a column every 10 ms, a row every 25 uV
FS: Final = 100.0  # Hz
USUAL: Final = Settings()  # of pages of which nothing else is known
SECONDS: Final = 10.0  # of a page; rows that are longer are rolls of leads one after the other
USUAL_WIDTH: Final = 270.0  # mm of a page that does not say
USUAL_ROW: Final = 250.0  # mm of its rows

# Least resolution at which names are read, pixels a mm: the smallest lettering, 2.4 mm, is then 5 pixels high. Below,
# V5 and V6 look the same to people, too, at 1.5 on worn pages and at 1 on new ones.
LEAST_PX_PER_MM: Final = 2.0

MOST_REPEATED: Final = 6  # leads that a page of one ECG names twice: strips, and misread names; photographs up to 4

_LARGEST: Final = 6e6  # pixels of the page that is read, for pages whose scale was found wrong
_LONGEST: Final = 4000.0  # pixels a side of it
_FINEST, _COARSEST = 1.6, 16.0  # columns a mm; beyond, the scale was found wrong
_WELL: Final = 0.8  # likelihood of a trace that may stand for its lead rather than a shorter one
_UNLIKE: Final = 0.1  # correlation by which a strip is more like another lead than like its own
_ALIKE: Final = 0.8  # correlation of a strip with its own lead where that is read too badly to tell
_NEARER: Final = 12.0  # pixels by which a trace begins nearer to where the one name says than to where the other does
_MANY: Final = 3  # leads not read well, from which on names may be far from their traces
_FAVOUR: Final = 24.0  # pixels by which the unlikelier way must be better
_LONGEST_ROW: Final = 60.0  # s
_SPARE: Final = 0.4  # s by which a row may be longer than ``SECONDS``


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read off a page.

    ``record`` holds the leads at ``FS`` Hz, NaN where they are not shown, time 0 being the left end of the rows; None
    where no name or no scale was found. ``beside`` is the same unless the rows are longer than ``SECONDS``, as those of
    a roll, on which leads follow each other; there they begin together. ``page`` is the page given, with the ``traces``
    that were read, in the times of ``beside``. ``missing`` names leads that were not found, ``assumed`` those whose
    names follow from a usual order of leads, not from print, ``repeated`` those that are named in more than one place,
    as strips are. ``strip_likeness`` is the correlation of a strip with its lead's other trace, of the strip for which
    it is least; NaN where none is read well. ``certainty`` is the mean probability (0-1) that the least certain lead's
    trace runs where it is said to. ``scale`` says where the millimetre comes from: "grid", "none", or how long a row
    then is, such as "row of 10 s". ``seconds`` is how long rows are. ``settings`` are speed and gains.
    """

    record: Record | None
    beside: Record | None
    page: Page
    missing: tuple[str, ...]
    assumed: tuple[str, ...]
    repeated: tuple[str, ...]
    strip_likeness: float
    certainty: float
    scale: str
    seconds: float
    settings: Settings


class _Shown(NamedTuple):
    """A lead's stretch, where the columns of flat paper lie on it (n,), and its signal (n,), mV."""

    stretch: Stretch
    places: Floats
    values: Signal


def resolution(page: Page) -> float:
    """Pixels a mm: as the page says, or those of a page of usual width."""
    return page.px_per_mm or page.pixels.shape[1] / USUAL_WIDTH


def read_page(page: Page, settings: Settings = USUAL) -> Reading:
    """Read a straightened page. Never raises for a page of pixels; what is not found is missing.

    Where it is open to which traces the names belong, most leads count, then how near to where names say traces begin.
    """
    pixels = _resized(page.pixels, PX_PER_MM / resolution(page))
    found = find_names(pixels)
    ways = [_follow_all(pixels, names) for names in found]
    chosen = [_choose(way) for way in ways]
    if all(_misfit(each, False)[0] >= _MANY for each in chosen):
        farther = [_follow_all(pixels, names) for names in find_far_names(pixels)]
        ways, chosen = ways + farther, chosen + [_choose(way) for way in farther]
    best = min(range(len(ways)), key=lambda k: _misfit(chosen[k], k == 0))
    repeated = _repeated(name.name for name in found[0] if name.probability >= SURE)
    if len(repeated) <= MOST_REPEATED:  # misread print aside
        repeated = _repeated(stretch.lead for stretch in ways[best])
    likeness = _strip_likeness(chosen[best], ways[best])
    return _reading(page, pixels, chosen[best], repeated, likeness, settings)


def _follow_all(pixels: Pixels, names: Sequence[Name]) -> list[Stretch]:
    """The traces of all names that fit into rows and columns."""
    return [stretch for row in arrange(names) for stretch in follow(pixels, row)]


def _repeated(names: Iterable[str]) -> tuple[str, ...]:
    """Leads that are named in more than one place."""
    counts = Counter(name.removeprefix("-") for name in names)
    return tuple(lead for lead in LEADS if counts[lead] > 1)


def _misfit(stretches: list[Stretch], likelier: bool) -> tuple[int, float]:
    """How many leads are not read well, and how far off they begin, pixels in all; the likelier way is favoured."""
    well = sum(stretch.likelihood >= _WELL for stretch in stretches)
    return len(LEADS) - well, sum(stretch.off for stretch in stretches) - _FAVOUR * likelier


def _reading(
    page: Page,
    pixels: Pixels,
    stretches: list[Stretch],
    repeated: tuple[str, ...],
    likeness: float,
    settings: Settings,
) -> Reading:
    """What the leads' traces give; ``pixels`` are those of the page that is read."""
    factor = pixels.shape[1] / page.pixels.shape[1]
    missing = tuple(lead for lead in LEADS if lead not in {stretch.lead for stretch in stretches})
    origin = min((stretch.x for stretch in stretches), default=0)
    reach = max((stretch.x + len(stretch.heights) for stretch in stretches), default=0) - origin
    px_per_mm = page.px_per_mm * factor if page.px_per_mm else reach / USUAL_ROW
    if not stretches or not _FINEST <= px_per_mm <= _COARSEST:
        return Reading(
            None, None, replace(page, traces=()), missing, (), repeated, likeness, 0.0, "none", 0.0, settings
        )
    bend = find_bend(pixels, px_per_mm) if page.px_per_mm else FLAT
    rate = px_per_mm * (1 + bend.widening) * settings.speed
    seconds = reach / rate
    starts = [(stretch.x - origin) / rate for stretch in stretches]
    shown = [
        _Shown(stretch, places, stretch.millivolts(px_per_mm * settings.gain(stretch.lead)))
        for stretch, places in zip(stretches, _unbent(stretches, bend), strict=True)
    ]
    record = beside = _record(shown, starts, rate, max(seconds, SECONDS))
    if seconds > SECONDS + _SPARE:
        starts = [0.0] * len(stretches)
        beside = _record(shown, starts, rate, SECONDS)
    traces = tuple(
        _trace(one, start, rate, pixels.shape, page.pixels.shape) for one, start in zip(shown, starts, strict=True)
    )
    read = replace(page, px_per_mm=px_per_mm / factor, traces=traces)
    certainty = min(stretch.likelihood for stretch in stretches)
    assumed = tuple(stretch.lead for stretch in stretches if stretch.assumed)
    scale = "grid" if page.px_per_mm else f"row of {USUAL_ROW / settings.speed:g} s"
    return Reading(record, beside, read, missing, assumed, repeated, likeness, certainty, scale, seconds, settings)


def _resized(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    factor = min(factor, float(np.sqrt(_LARGEST / (height * width))), _LONGEST / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR))


def _choose(stretches: list[Stretch]) -> list[Stretch]:
    """The longest stretch of each lead that is read well; of leads that were found on one trace, one at most."""
    longest: dict[str, Stretch] = {}
    own = [one for one in stretches if all(_owns(one, other, stretches) for other in _sharing(one, stretches))]
    for stretch in sorted(own, key=lambda s: (s.likelihood >= _WELL, int(np.isfinite(s.heights).sum()))):
        if not _is_anothers(stretch, longest):
            longest[stretch.lead] = stretch
    kept = list(longest.values())
    return [one for one in kept if not _sharing(one, kept)]


def _sharing(stretch: Stretch, stretches: Sequence[Stretch]) -> list[Stretch]:
    """Other leads that were found on the same trace."""
    return [other for other in stretches if other.lead != stretch.lead and stretch.coincides(other)]


def _strip_likeness(chosen: Sequence[Stretch], stretches: Sequence[Stretch]) -> float:
    """How like its other trace the lead is that is least so; NaN where none is read well twice.

    Columns follow each other, or all show the same time, which strips then show where they begin.
    """
    likeness = np.nan
    for one in chosen:
        if one.likelihood >= _WELL:
            there = [each for each in stretches if each.lead == one.lead]
            at_once = [replace(each, x=one.x) for each in there]
            likeness = np.fmin(likeness, np.fmax(_likeness_besides(one, there), _likeness_besides(one, at_once)))
    return float(likeness)


def _owns(one: Stretch, other: Stretch, stretches: Sequence[Stretch]) -> bool:
    """Whether the trace on which both leads were found is rather the one's.

    It is if it looks more like that lead where both are shown elsewhere, too; otherwise if it begins nearer to where
    the one's name says or, that being open, looks like the one elsewhere.
    """
    likeness, others = _likeness_besides(one, stretches), _likeness_besides(other, stretches)
    if np.isfinite(likeness) and np.isfinite(others):
        return likeness > others + _UNLIKE
    if abs(one.off - other.off) > _NEARER:
        return one.off < other.off
    return likeness >= _ALIKE


def _likeness_besides(stretch: Stretch, stretches: Sequence[Stretch]) -> float:
    """The correlation of a stretch with its lead where it is read well in another place; NaN if it is nowhere."""
    besides = (s for s in stretches if s.lead == stretch.lead and s.likelihood >= _WELL and not s.coincides(stretch))
    return float(np.fmax.reduce([stretch.likeness(each) for each in besides], initial=np.nan))


def _is_anothers(strip: Stretch, shown: Mapping[str, Stretch]) -> bool:
    """Whether a lead shown once more is another one's trace, or looks more like it: its name or place was misread."""
    if strip.lead not in shown:
        return False
    itself = shown[strip.lead]
    own = strip.likeness(itself) if itself.likelihood >= _WELL else max(_ALIKE, strip.likeness(itself))  # may be NaN
    others = [stretch for stretch in shown.values() if stretch is not itself and stretch.likelihood >= _WELL]
    return any(strip.coincides(other) or strip.likeness(other) > own + _UNLIKE for other in others)


def _unbent(stretches: list[Stretch], bend: Bend) -> list[Floats]:
    """Where the columns of flat paper lie on each stretch, (n,) columns from its first; the leftmost's first stays."""
    moved = [
        bend.shift(stretch.x + np.arange(float(len(stretch.heights))), float(np.nanmedian(stretch.heights)))
        for stretch in stretches
    ]
    leftmost = min(range(len(stretches)), key=lambda k: stretches[k].x)
    return [np.arange(len(each)) + each - moved[leftmost][0] for each in moved]


def _record(shown: list[_Shown], starts: list[float], rate: float, seconds: float) -> Record:
    """The leads at their times (s), columns of flat paper, which come at ``rate`` (1/s), interpolated to ``FS``."""
    times = np.arange(round(min(seconds, _LONGEST_ROW) * FS)) / FS
    signal = np.full((len(LEADS), len(times)), np.nan, np.float32)
    for (stretch, places, values), start in zip(shown, starts, strict=True):
        flat, columns = (times - start) * rate, np.arange(len(values))
        at = flat + np.interp(flat, columns, places - columns)
        inside = (at >= -0.5) & (at <= len(values) - 0.5)
        if inside.any():
            signal[INDEX[stretch.lead], inside] = _between(values, at[inside].astype(np.float32))
    return Record(signal, FS)


def _between(values: Signal, at: Signal) -> Signal:
    """Values (n,) at places between them, NaN where the nearest is; cubic, since lines would blunt every QRS."""
    lost = np.isnan(values)
    whole = fill_gaps(values[None])
    found = cv2.remap(whole, at[None], np.zeros_like(at)[None], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)[0]
    nearest = np.clip(np.rint(at).astype(int), 0, len(values) - 1)
    return np.asarray(np.where(lost[nearest], np.float32(np.nan), found), np.float32)


def _trace(shown: _Shown, start: float, rate: float, read: tuple[int, ...], given: tuple[int, ...]) -> Trace:
    """A stretch as a trace on the page that was given, a point for each column of flat paper."""
    stretch, places, _ = shown
    heights = _between(stretch.heights, places.astype(np.float32))
    heights[(places < -0.5) | (places > len(heights) - 0.5)] = np.nan
    scale = np.array([given[1] / read[1], given[0] / read[0]])
    points: Points = ((np.column_stack([stretch.x + places, heights]) + 0.5) * scale - 0.5).astype(np.float32)
    return Trace(stretch.lead, points, start, rate)
