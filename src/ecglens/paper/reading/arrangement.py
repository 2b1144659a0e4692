"""How the names on a page are arranged: in rows and columns, as one of the known layouts if that fits.

Names in print are small, and some are blurred or hidden; but there are few ways in which twelve leads are laid out. An
arrangement that agrees with most of the print, and that no name read for sure contradicts, settles the rest. Where none
does, the print alone counts.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.paper.layout import LAYOUTS
from ecglens.paper.reading.names import NAMES, Name

Floats = npt.NDArray[np.float64]
Leads = tuple[tuple[str, ...], ...]  # of each row, from left to right

SURE: Final = 0.4  # probability from which the print alone counts

_SAME_ROW: Final = 24.0  # pixels up or down from one name's trace to the next one's in a row
_SAME_COLUMN: Final = 40.0  # pixels across between names in a column
_UNSEEN: Final = 0.02  # chance that a name stands where it is not seen
_LEAST_FIT: Final = 0.2  # geometric mean of the chances of an arrangement's twelve names
_MOST_UNSEEN: Final = 2  # of the twelve
_MOST_ROWS: Final = 20  # of a page; where more are found, it is none
_STRAY: Final = 3  # columns of print that is no name, and is passed over


def arrange(names: Sequence[Name]) -> list[list[Name]]:
    """Return the rows of names, each from left to right, without what fits nowhere."""
    for clusters in (_chained, _likeliest):
        settled = _as_known(names, clusters(names, 1, _SAME_ROW), clusters(names, 0, _SAME_COLUMN))
        if settled:
            return settled + _rhythm(names, settled)
    printed = _group([name for name in names if name.probability >= SURE])
    return printed if len(printed) <= _MOST_ROWS else []


def _as_known(names: Sequence[Name], rows: Sequence[float], columns: Sequence[float]) -> list[list[Name]]:
    """The names as the known layout that fits best has them, in some of ``rows`` and ``columns``; none if none fits."""
    if not names:
        return []
    logs = np.log(np.maximum(_chances(names, rows, columns), _UNSEEN))
    fits = [(*_fit(logs, leads), leads) for leads in _arrangements()]
    score, down, across, leads = max(fits, key=lambda fit: fit[0])
    if score < _LEAST_FIT:
        return []
    settled = _settle(names, leads, [rows[k] for k in down], [columns[k] for k in across])
    unseen = [name for row in settled for name in row if name.probability < _UNSEEN]
    return [] if len(unseen) > _MOST_UNSEEN or any(map(_is_overruled, unseen)) else settled


@cache
def _arrangements() -> tuple[Leads, ...]:
    """The ways in which known layouts arrange the twelve leads."""
    return tuple(dict.fromkeys(LAYOUTS.find(name).rows for name in LAYOUTS.names()))


def _likeliest(names: Sequence[Name], axis: int, gap: float) -> list[float]:
    """Where names' traces begin along an axis: those of the likeliest names, which hold for all within ``gap``.

    Print that is no name, such as the numbers of a time axis, may lie between.
    """
    places: list[float] = []
    for name in sorted(names, key=lambda name: -name.probability):
        if all(abs(name.start[axis] - place) >= gap for place in places):
            places.append(name.start[axis])
    return sorted(places)


def _chained(names: Sequence[Name], axis: int, gap: float) -> list[float]:
    """Where names' traces begin along an axis: the means of what lies closer together than ``gap``.

    So a row may rise and fall, as those of warped pages do.
    """
    places = np.sort([name.start[axis] for name in names])
    return [float(part.mean()) for part in np.split(places, np.flatnonzero(np.diff(places) > gap) + 1) if len(part)]


def _chances(names: Sequence[Name], rows: Sequence[float], columns: Sequence[float]) -> Floats:
    """The chance of each of ``NAMES`` in every row and column, (rows, columns, 13)."""
    out = np.zeros((len(rows), len(columns), len(NAMES)))
    for name in names:
        cell = out[_nearest(rows, name.start[1]), _nearest(columns, name.start[0])]
        np.maximum(cell, name.chances, out=cell)
    return out


def _nearest(places: Sequence[float], place: float) -> int:
    return int(np.abs(np.array(places) - place).argmin())


def _fit(logs: Floats, leads: Leads) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
    """How well ``leads`` fit (0-1), and the rows and the columns in which they fit best; ``logs`` as ``_chances``."""
    wanted = np.array([[NAMES.index(lead) for lead in row] for row in leads])
    high, wide = wanted.shape
    best: tuple[float, tuple[int, ...], tuple[int, ...]] = -np.inf, (), ()
    if high <= logs.shape[0]:
        weights = np.exp(logs.max(axis=2)).sum(axis=0)
        likely = sorted(np.argsort(-weights, kind="stable")[: wide + _STRAY].tolist())
        for across in combinations(likely, wide):
            cells = logs[:, across][:, np.arange(wide), wanted].sum(axis=2)  # (rows, high)
            score, down = _best_rows(cells)
            best = max(best, (score, down, across))
    return float(np.exp(best[0] / wanted.size)), best[1], best[2]


def _best_rows(cells: Floats) -> tuple[float, tuple[int, ...]]:
    """The rows, in order, with the highest sum of scores; ``cells`` is (rows, rows wanted)."""
    impossible: tuple[float, tuple[int, ...]] = (-np.inf, ())
    ways = [(0.0, impossible[1]), *[impossible] * cells.shape[1]]
    for row, scores in enumerate(cells.tolist()):
        for k in range(len(scores), 0, -1):
            total, before = ways[k - 1]
            ways[k] = max(ways[k], (total + scores[k - 1], (*before, row)))
    return ways[-1]


def _settle(names: Sequence[Name], leads: Leads, rows: Sequence[float], columns: Sequence[float]) -> list[list[Name]]:
    """The names at the places of an arrangement, each taken for its lead's; one that is not seen is put there."""
    return [
        [_at(names, lead, (x, y)) for lead, x in zip(row, columns, strict=True)]
        for row, y in zip(leads, rows, strict=True)
    ]


def _at(names: Sequence[Name], lead: str, place: tuple[float, float]) -> Name:
    x, y = place
    near = [n for n in names if abs(n.start[0] - x) < _SAME_COLUMN and abs(n.start[1] - y) < _SAME_ROW]
    likeliest = max(near, key=lambda name: float(name.chances[NAMES.index(lead)]), default=None)
    if likeliest is None:
        return Name(np.zeros(len(NAMES), np.float32), place, lead)
    return replace(likeliest, start=(x, likeliest.start[1]), settled=lead)  # leads of a column begin at one time


def _is_overruled(name: Name) -> bool:
    """Whether a name was read for sure, and as another lead's; a minus alone is easily lost."""
    printed = NAMES[int(name.chances.argmax())]
    return name.chances.max() >= SURE and printed.removeprefix("-") != name.name.removeprefix("-")


def _rhythm(names: Sequence[Name], settled: list[list[Name]]) -> list[list[Name]]:
    """Rows of one lead below the others, from the same left edge; of names in the same place the likeliest."""
    left, bottom = settled[0][0].start[0], max(name.start[1] for name in settled[-1])
    below = [name for name in names if name.start[1] > bottom + _SAME_ROW and name.probability >= SURE]
    strips: list[Name] = []
    for name in sorted(below, key=lambda name: -name.probability):
        alone = all(abs(name.start[1] - other.start[1]) >= _SAME_ROW for other in strips)
        if alone and abs(name.start[0] - left) < _SAME_COLUMN:
            strips.append(replace(name, start=(left, name.start[1])))
    return [[name] for name in strips]


def _group(names: Sequence[Name]) -> list[list[Name]]:
    """Rows of names by where their traces begin."""
    rows: list[list[Name]] = []
    for name in sorted(names, key=lambda name: name.start[0]):
        near = [row for row in rows if abs(row[-1].start[1] - name.start[1]) < _SAME_ROW]
        near = [row for row in near if name.start[0] - row[-1].start[0] > _SAME_COLUMN]
        if near:
            min(near, key=lambda row: abs(row[-1].start[1] - name.start[1])).append(name)
        else:
            rows.append([name])
    return rows
