"""Find how the paper is bent in a picture of it that was laid flat: where its upright grid lines stand.

Leads of one column are shown at one time, so what moves one of them against the others, as curled paper does, makes
QRS complexes longer than they are. Lines 5 mm apart are a wave across the page; where its phase runs ahead or behind,
the paper is bent, and a polynomial smooths what is found from place to place.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.edges import darkest
from ecglens.paper.grid import GRID_MM, faint, lines
from ecglens.paper.page import Pixels
from ecglens.paper.upright import as_paper

Floats = npt.NDArray[np.float64]
Waves = npt.NDArray[np.complex128]

_DEGREE: Final = 4
_POWERS: Final = np.array([each for each in product(range(_DEGREE + 1), repeat=2) if 0 < sum(each) <= _DEGREE])
_RIGHT: Final = int(np.flatnonzero((_POWERS == (1, 0)).all(axis=1))[0])
_SMOOTH: Final = 1.6  # periods over which a phase is the mean
_CLEAR: Final = 3.0  # times the amplitude of noise from which on a phase counts
_SURE: Final = 10.0  # times that amplitude more, from which on it counts in full
_FEWEST: Final = 4  # periods a side of a page whose bend can be told
_LEAST_SURE: Final = 4.0  # the same, of the median place of a page whose lines are seen
_ALIKE: Final = 0.8  # of the lines that are where the polynomial has them, 0 for none to 1 for all
_TOLERANCE: Final = 0.3  # radians, beyond which a phase may be of something else
_ROUNDS: Final = 4
_STIFFNESS: Final = 1e-6  # towards flat paper, for each place
_LEAST: Final = 1e-9  # of the stiffness, where nothing is sure


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """How far upright lines stand from where flat paper's would, as a polynomial of the place on a page of ``size``.

    ``widening`` is by what share the page is wider, on the whole, than its scale says; it is not in the polynomial.
    """

    size: tuple[int, int]  # width and height, pixels
    weights: Floats  # (14,) pixels, of the polynomial's terms
    widening: float

    def shift(self, x: Floats, y: float) -> Floats:
        """How many pixels right of its place on flat paper lies what should be at ``x`` (n,), ``y``, but a constant.

        Beyond the page it is as at its edges.
        """
        if not self.weights.any():
            return np.zeros(len(x))
        inside = np.clip(x, 0, self.size[0] - 1)
        return np.asarray(_terms(inside, np.full(len(x), y), self.size) @ self.weights, np.float64)


FLAT: Final = Bend((1, 1), np.zeros(len(_POWERS)), 0.0)


def find_bend(pixels: Pixels, px_per_mm: float) -> Bend:
    """Return how a flat page, (H, W, 3), is bent; ``FLAT`` where its lines are not seen well enough to tell."""
    height, width = pixels.shape[:2]
    size, period = (width, height), GRID_MM * px_per_mm
    phases, sure = _phases(faint(lines(darkest(as_paper(pixels)))[:height, :width]), period)
    if min(sure.shape) < _FEWEST or np.median(sure) < _LEAST_SURE:
        return FLAT
    across, down = ((np.arange(n) + 0.5) * length / n for n, length in zip(phases.shape[::-1], size, strict=True))
    terms = _terms(across, down[:, None], size)
    turns = _fit_steps(terms, phases, sure)
    turns += _fit_rest(terms, phases, sure, turns)
    left = phases * np.exp(-1j * (terms @ turns))
    if abs((left / np.abs(left) * sure).sum()) < _ALIKE * sure.sum():
        return FLAT
    weights = -period / (2 * np.pi) * turns
    widening = float(np.polyfit(across, (terms @ weights).mean(axis=0), 1)[0])
    weights[_RIGHT] -= widening * max(size) / 2
    return Bend(size, weights, widening)


def _terms(x: Floats, y: Floats, size: tuple[int, int]) -> Floats:
    """The polynomial's terms at each place, (..., 14): of how far it lies right of the page's middle and below."""
    right, below = ((2 * each[..., None] - length) / max(size) for each, length in zip((x, y), size, strict=True))
    return np.asarray(right ** _POWERS[:, 0] * below ** _POWERS[:, 1], np.float64)


def _phases(waves: npt.NDArray[np.float32], period: float) -> tuple[Waves, Floats]:
    """The phase of lines so many pixels apart, as complex numbers, in each square of a period, and how sure it is."""
    turn = 2 * np.pi / period * np.arange(waves.shape[1], dtype=np.float32)
    size = (max(1, round(waves.shape[1] / period)), max(1, round(waves.shape[0] / period)))
    real, imaginary, energy = (
        cv2.GaussianBlur(cv2.resize(each, size, interpolation=cv2.INTER_AREA), (0, 0), _SMOOTH).astype(np.float64)
        for each in (waves * np.cos(turn), waves * -np.sin(turn), waves * waves)
    )
    phases = np.asarray(real + 1j * imaginary + 1e-12, np.complex128)
    noise = np.sqrt(energy / (8 * np.pi)) / (_SMOOTH * period) + 1e-9
    return phases, np.clip(np.abs(phases) / noise - _CLEAR, 0.0, _SURE)


def _fit_steps(terms: Floats, phases: Waves, sure: Floats) -> Floats:
    """The polynomial whose changes from place to place are those of the phase, which are all less than half a turn."""
    steps = [np.diff(terms, axis=axis).reshape(-1, terms.shape[-1]) for axis in (0, 1)]
    turns = [phases[1:] * phases[:-1].conj(), phases[:, 1:] * phases[:, :-1].conj()]
    both = [np.minimum(sure[1:], sure[:-1]), np.minimum(sure[:, 1:], sure[:, :-1])]
    return _solve(np.concatenate(steps), np.concatenate([np.angle(turn).ravel() for turn in turns]), both)


def _fit_rest(terms: Floats, phases: Waves, sure: Floats, weights: Floats) -> Floats:
    """What the polynomial lacks to be the phase itself, but a constant."""
    left = phases * np.exp(-1j * (terms @ weights))
    left *= np.exp(-1j * np.angle((left / np.abs(left) * sure).sum()))
    columns = np.concatenate([terms, np.ones((*phases.shape, 1))], axis=-1)
    return _solve(columns.reshape(-1, columns.shape[-1]), np.angle(left).ravel(), [sure])[:-1]


def _solve(columns: Floats, wanted: Floats, sure: list[Floats]) -> Floats:
    """Least squares; what is far off counts less."""
    weight = np.concatenate([each.ravel() for each in sure])
    stiffness = (_STIFFNESS * weight.sum() + _LEAST) * np.eye(columns.shape[1])
    found = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        off = wanted - columns @ found
        pull = columns * (weight / (1 + (off / _TOLERANCE) ** 2))[:, None]
        found = np.linalg.solve(pull.T @ columns + stiffness, pull.T @ wanted)
    return found
