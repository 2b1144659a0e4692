"""Find the grid of ECG paper in a picture, and from it how the sheet lies and how large a millimetre is.

Printed lines repeat every 5 mm both ways, so in a small square of the picture each family of them is a peak of the
spectrum, which says how fast and which way the paper's millimetres run there. One projective map is fitted to all
squares' peaks: perspective is how they change from place to place.
"""

from dataclasses import dataclass
from functools import cache
from itertools import chain, product
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.edges import darkest
from ecglens.paper.page import Pixels, enlargement
from ecglens.paper.upright import as_paper

Floats = npt.NDArray[np.float64]

GRID_MM: Final = 5.0  # what the strong lines are apart
LONGEST: Final = 10.0  # times as long as high that pages and strips are; pictures that are longer show rolls

_MIN_STRENGTH: Final = 0.4  # of a grid that is there; pictures without one have less
# What the page itself shows of a grid that was found on its copy: of 16 false ones none shows more, of 546 true ones
# hardly one shows less of both.
_HINT: Final = 0.19  # its strength
_FAINTEST: Final = 1.05  # times what is around them, lines 1 mm apart
_TILE: Final = 128  # side of a square, pixels
_KERNEL: Final = 17  # pixels, wider than any line
_CLOSE_PX_PER_MM: Final = 8.0  # at which the page itself is looked at: three periods of 5 mm a square, 16 of 1 mm
_CLOSE_SIDE: Final = 1500.0  # pixels a side at which it is where no scale was found
_CLOSE_LOOKS: Final = 3  # squares along each side of it
_MORE_LOOKS: Final = 5  # where these show nothing
_SQUARE: Final = 0.1  # by how much the two periods of a flat page may differ, which are known to whole frequencies
_ABOUT: Final = np.linspace(0.97, 1.03, 13)  # times a frequency, where its lines may be
_CLEARER: Final = 5.0  # times as clear as lines so far apart as expected that others must be; JPEG's blocks are 4 times
_HIGHEST: Final = 49  # periods a square, up to which lines 5 mm apart are looked for
_LOWEST: Final = 2  # periods a square, from which on lines are no shading
_FINE: Final = 5 * _LOWEST  # periods a square, from which on lines may be 1 mm apart
_LINE_SHARE: Final = 0.15  # of the pixels that grid lines cover at least
_SPARSE: Final = 0.04  # the same, of thin lines 5 mm apart alone, in a close look
_TEETH: Final = np.arange(1.0, 7.0)
_MULTIPLES: Final = np.arange(1.0, 4.0)  # at which lines are looked for in each square
_SURE: Final = 3.0  # 1 + times the spectrum around it from which on a peak counts; twice as high, it counts in full
_FIFTHS: Final = np.arange(1, 5) / 5
_MIN_FIFTHS: Final = 0.5
_OUTSHINING: Final = 1.85  # times the amplitude of the lines found from which on finer ones tell the scale
_AS_LIKELY: Final = 0.9  # times as likely a page's size as with the lines found
_HARDLY_LIKELY: Final = 0.6  # the same, on the page itself, where lines 1 mm apart are no false ones
_LEAST_MM: Final = 100.0  # of a page on whose copy no grid was seen
_OWN: Final = 1.5  # times the amplitude of other multiples that lines of their own have
_SAME: Final = 0.2  # of a period, within which two frequencies are the same
_BETWEEN: Final = (_TEETH - 0.5, _FIFTHS, np.array([1, 2, 4, 5, 7, 8]) / 3)  # no line repeats there
_PAGE_MM: Final = np.geomspace(60, 700, 300)  # how long a picture's longer side may be on the paper
_LIKELIER: Final = np.exp(-((np.log(_PAGE_MM / 260) / 0.8) ** 2) / 4)
_SMALLEST: Final = _PAGE_MM[0] * _TILE / GRID_MM / _HIGHEST  # pixels of a picture in which lines 5 mm apart are told
_UNLIKE: Final = 0.15  # by how much the two periods may differ in a slanting view
_MOST_UNLIKE: Final = 0.4  # and in a picture that was pulled wider or higher
_PULLED_LIKELY: Final = 0.9  # times as likely as others such a picture is: of two grids that fit alike, the square one
_SLANT: Final = 0.25  # of the lines to the picture's edges
_NEAR: Final = 0.22  # share by which the period may change over the picture
_ROUNDS: Final = 8
_TOLERANCE: Final = 0.02  # of a frequency, beyond which a peak may be of something else
_AGREED: Final = 0.03  # of a frequency, up to which a peak is where the map says
_STIFFNESS: Final = np.array([0.1, 0.1, 0.1, 0.1, 0.2, 0.2])  # towards a flat sheet, where few squares speak


@dataclass(frozen=True, slots=True)
class Grid:
    """How the paper lies: ``matrix`` (3, 3) takes pixels to mm on the paper, from the picture's middle on.

    ``misfit`` is the mean share by which the periods differ from those of a flat sheet.
    """

    matrix: Floats
    misfit: float

    def px_per_mm(self, place: Floats) -> float:
        """Pixels a mm at a place (2,) of the picture, the mean of both ways."""
        return 1 / enlargement(self.matrix, place)


class _Tiles(NamedTuple):
    centres: Floats  # (n, 2) pixels
    spectra: npt.NDArray[np.float32]  # (n, _TILE, _TILE // 2 + 1) amplitude by frequency down and across
    heights: tuple[Floats, Floats]  # the typical spectrum's at each frequency across, and down


class _Period(NamedTuple):
    """How often the grid's lines repeat in a square."""

    across: float
    down: float
    mm: float  # from one line to the next
    clear: float  # how far what repeats every few lines stands out, up to 3


class _Peaks(NamedTuple):
    """Of the lines across and down, in each square."""

    at: Floats  # (n, 2, 2) family of lines, frequency across and down, periods a square
    sure: Floats  # (n, 2) 0 to 1


def find_grid(picture: Pixels) -> Grid | None:
    """Return the grid in ``picture``, (H, W) uint8 with dark lines on light paper; None where none is seen.

    There is one where its lines stand out of the spectrum, or squares agree on it that each show little of it.
    """
    tiles = _transform(lines(picture))
    side = _likely_side(picture.shape)
    if side < _SMALLEST:
        return None
    return _lie(tiles, _common_period(tiles.heights, side), np.array(picture.shape[::-1]))


def check_scale(pixels: Pixels, px_per_mm: float | None) -> float | None:
    """Return how many pixels a mm has on a flat page, (H, W, 3) uint8: as was found, or as the page itself tells.

    ``px_per_mm`` was found on a reduced copy, on which lines 1 mm apart may be too fine, and look like others that are
    farther apart; or none was found. A millimetre of which the page shows far clearer lines is the true one. None where
    the page shows none, as pictures whose JPEG blocks looked like a grid.
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, _CLOSE_PX_PER_MM / px_per_mm if px_per_mm else _CLOSE_SIDE / max(height, width))
    if min(height, width) * factor < _TILE:
        return px_per_mm
    tiles, size = _sample(pixels, factor, _CLOSE_LOOKS), np.array([width, height]) * factor
    period = _common_period(tiles.heights, _likely_side((height, width)) * factor, _HARDLY_LIKELY)
    found = period.mm * np.array([period.across, period.down])
    expected = _TILE / (px_per_mm * factor) if px_per_mm else np.inf
    claimed = max(1.0, _clearness(tiles.heights, np.full(2, expected)))
    is_clearer = _clearness(tiles.heights, found) > _CLEARER * claimed
    grid = _lie(tiles, period, size) if is_clearer else None
    if grid is not None:
        true = grid.px_per_mm(size / 2) / factor
        is_page = bool(px_per_mm) or _LEAST_MM < max(height, width) / true < _PAGE_MM[-1]
        return true if is_page and abs(np.log(found[0] / found[1])) < _SQUARE else None
    more = (_sample(pixels, factor, _MORE_LOOKS, share) for share in (_LINE_SHARE, _SPARSE))
    if px_per_mm and any(_is_shown(each, expected, size) for each in chain([tiles], more)):
        return px_per_mm
    return None


def _is_shown(tiles: _Tiles, frequency: float, size: npt.NDArray[Any]) -> bool:
    """Whether anything of lines 1 mm apart is seen at a frequency, or of lines 5 mm apart at a fifth of it."""
    if _clearness(tiles.heights, np.full(2, frequency)) > _FAINTEST:
        return True
    fifth = frequency / 5
    clear = min(float(_comb(_stand_out(height), fifth * _ABOUT).max()) for height in tiles.heights)
    return _lie(tiles, _Period(fifth, fifth, GRID_MM, clear), size, _HINT) is not None


def _likely_side(shape: tuple[float, ...]) -> float:
    """The long side of a picture, pixels; a roll's length says nothing of its scale."""
    return min(max(shape[:2]), LONGEST * min(shape[:2]))


def _clearness(heights: tuple[Floats, Floats], frequency: Floats) -> float:
    """How many times as high as around them the spectrum is at frequencies across and down; the lesser counts."""
    if frequency.min() < 2 or frequency.max() > len(heights[0]) - 2:
        return 0.0
    both = zip(frequency, heights, strict=True)
    return min(float(np.interp(at, np.arange(len(height)), _relative(height))) for at, height in both)


def _lie(tiles: _Tiles, period: _Period, size: npt.NDArray[Any], least: float = _MIN_STRENGTH) -> Grid | None:
    """How a grid of this ``period`` lies in a picture of ``size`` (width, height); None where it has less strength."""
    middle = (size - 1) / 2
    reach = float(middle.max())
    places = (tiles.centres - middle) / reach
    peaks = _find_peaks(tiles.spectra, period.across, period.down)
    (a, b, c, d, g, h), misfit, agreed = _fit(places, peaks, np.array([period.across, period.down]))
    if period.clear + agreed < least:
        return None
    mm = period.mm * reach / _TILE
    pose = np.array([[a * mm, b * mm, 0], [c * mm, d * mm, 0], [g, h, 1]])
    centred = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, reach]]) / reach
    return Grid(pose @ centred, misfit)


def lines(picture: Pixels) -> Pixels:
    """How much darker each pixel is than the paper near it; at least one square large."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_KERNEL, _KERNEL))
    dark = cv2.subtract(cv2.morphologyEx(picture, cv2.MORPH_CLOSE, kernel), picture)
    below, right = (max(0, _TILE - length) for length in picture.shape)
    return np.asarray(cv2.copyMakeBorder(dark, 0, below, 0, right, cv2.BORDER_CONSTANT), np.uint8)


def _transform(dark: Pixels) -> _Tiles:
    """Spectra of squares that cover the picture."""
    down, across = (_starts(length) for length in dark.shape)
    spectra = [_spectrum(dark[y : y + _TILE, x : x + _TILE]) for y in down for x in across]
    centres = np.array([(x, y) for y in down for x in across]) + (_TILE - 1) / 2
    return _gathered(centres, spectra)


def _sample(pixels: Pixels, factor: float, looks: int, share: float = _LINE_SHARE) -> _Tiles:
    """Spectra of ``looks`` squares a side, all over a page that is ``factor`` times as large; only they are resized."""
    height, width = pixels.shape[:2]
    rim = _KERNEL // 2
    side = min(round((_TILE + 2 * rim) / factor), height, width)
    small = round(side * factor)
    down, across = (
        np.linspace(0, length - side, min(looks, round(1.5 * length / side)) if length > side else 1).astype(int)
        for length in (height, width)
    )
    spectra, centres = [], []
    for y, x in product(down.tolist(), across.tolist()):
        near = darkest(pixels[y : y + side, x : x + side])
        near = np.asarray(cv2.resize(near, (small, small), interpolation=cv2.INTER_AREA), np.uint8)
        first = max(0, (small - _TILE) // 2)
        spectra.append(_spectrum(lines(as_paper(near))[first : first + _TILE, first : first + _TILE], share))
        centres.append((x + (side - 1) / 2, y + (side - 1) / 2))
    return _gathered(np.array(centres) * factor, spectra)


def _gathered(centres: Floats, spectra: list[npt.NDArray[np.float32]]) -> _Tiles:
    both = np.array(spectra)
    return _Tiles(centres, both, _profiles(_typical(both)))


def _starts(length: int) -> list[int]:
    count = max(1, round((length - _TILE) / (0.9 * _TILE)) + 1) if length > _TILE else 1
    return [int(start) for start in np.linspace(0, length - _TILE, count)]


def faint(dark: Pixels, share: float = _LINE_SHARE) -> npt.NDArray[np.float32]:
    """What is no darker than grid lines, which cover a ``share`` at least, about its mean; 0 where the trace is."""
    counts = cv2.calcHist([dark], [0], None, [256], [0, 256]).ravel()
    level = max(3, int(np.searchsorted(counts.cumsum(), (1 - share) * dark.size)))
    trace = cv2.threshold(dark, min(254, 3 * level), 1, cv2.THRESH_BINARY)[1]
    paper = 1 - np.asarray(cv2.dilate(trace, np.ones((3, 3), np.uint8)), np.uint8)
    capped = np.minimum(dark, np.uint8(min(255, level)))
    return np.asarray((capped - np.float32(cv2.mean(capped, paper)[0])) * paper, np.float32)


def _spectrum(tile: Pixels, share: float = _LINE_SHARE) -> npt.NDArray[np.float32]:
    """Amplitudes of what is no darker than grid lines; in both halves of the spectrum their squares sum to 1.

    NumPy's transform gives the same to the last bit wherever the square lies in memory, unlike OpenCV's.
    """
    seen = cv2.multiply(faint(tile, share), _taper())
    return np.asarray(np.abs(np.fft.rfft2(seen)) / max(_TILE * float(cv2.norm(seen)), 1e-6), np.float32)


@cache
def _taper() -> npt.NDArray[np.float32]:
    return np.outer(np.hanning(_TILE), np.hanning(_TILE)).astype(np.float32)


def _common_period(heights: tuple[Floats, Floats], side: float, as_likely: float = _AS_LIKELY) -> _Period:
    """The period that lines 5 mm apart have in the squares; that of lines 1 mm apart, where these tell more."""
    periods = _PAGE_MM * (_TILE / GRID_MM / side)
    profiles = [_stand_out(height) for height in heights]
    across, down = (_comb(profile, periods) for profile in profiles)
    apart, most = (round(unlike / float(np.log(_PAGE_MM[1] / _PAGE_MM[0]))) for unlike in (_UNLIKE, _MOST_UNLIKE))
    number = np.arange(len(periods))
    score = (across[:, None] + down) * np.sqrt(_LIKELIER[:, None] * _LIKELIER)
    off = np.abs(number[:, None] - number)
    score[off > apart] *= _PULLED_LIKELY
    score[off > most] = -np.inf
    score[periods > _HIGHEST] = score[:, periods > _HIGHEST] = -np.inf
    best = np.unravel_index(int(score.argmax()), score.shape)
    strength = float(min(across[best[0]], down[best[1]]))
    found = periods[list(best)]
    clearest = np.array([_FINE + float(height[_FINE:].argmax()) for height in heights])
    if _outshine(clearest, found, heights, periods, as_likely):
        return _Period(float(clearest[0]), float(clearest[1]), 1.0, strength)
    if _are_fine(profiles, found):
        found = found / 5
    return _Period(float(found[0]), float(found[1]), GRID_MM, strength)


def _are_fine(profiles: list[Floats], found: Floats) -> bool:
    """Whether the lines across and down that were ``found`` are 1 mm apart: every fifth of them is stronger."""
    fifths = [_teeth(profile, one[None], _FIFTHS)[0] for profile, one in zip(profiles, found, strict=True)]
    return bool(min(fifths) > _MIN_FIFTHS and min(found) > _FINE)


def _outshine(
    clearest: Floats, found: Floats, heights: tuple[Floats, Floats], periods: Floats, as_likely: float
) -> bool:
    """Whether the ``clearest`` lines, across and down, are 1 mm apart, and those ``found`` no more than their pattern.

    Equal lines are clearest at their own frequency. Clearer ones than those found are thus lines of their own; that
    every third or seventh of them differs comes of drawing on whole pixels. The page must stay as likely.
    """
    both = list(zip(clearest, found, heights, strict=True))
    likely, likely_found = np.interp([clearest / 5, found], periods, _LIKELIER)
    square = abs(float(np.log(clearest[0] / clearest[1]))) < _MOST_UNLIKE
    likely_enough = bool((likely > as_likely * likely_found).all())
    outshine = all(_outshines(*each) for each in both) and not all(_is_foreign(*each) for each in both)
    return square and likely_enough and outshine


def _outshines(clearest: float, found: float, height: Floats) -> bool:
    """Whether the clearest lines are clearer by far than those found at any of their first multiples."""
    others = [at for at in found * _MULTIPLES if at < len(height) - 2 and abs(at - clearest) > _SAME * found]
    return _near(height, clearest) > _OUTSHINING * max((_near(height, at) for at in others), default=np.inf)


def _is_foreign(clearest: float, found: float, height: Floats) -> bool:
    """Whether the clearest lines are a screen's stripes: those ``found`` have others, 1 mm apart, between them.

    Such lines outshine the other multiples; where they are too fine for the spectrum, they are folded back, and are no
    multiple of the others.
    """
    fine, last = 5 * found, len(height) - 2
    if fine > last:
        return bool(
            abs(_TILE - fine - clearest) < _SAME * found and abs((clearest / found + 0.5) % 1 - 0.5) > _SAME / 2
        )
    own = _near(height, fine) > _OWN * max(_near(height, at) for at in (4 * found, 6 * found) if at < last)
    return own and abs(fine - clearest) > _SAME * found


def _near(height: Floats, at: float) -> float:
    """The highest within one of a frequency."""
    return float(height[max(0, round(at) - 1) : round(at) + 2].max())


def _typical(spectra: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The geometric mean over the squares, which a trace or letters in some of them hardly change."""
    return np.asarray(np.exp(cv2.log(spectra + np.float32(1e-6)).mean(axis=0)), np.float32)


def _profiles(spectrum: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The highest amplitude at each frequency across, and down, whatever the slant."""
    frequency, off = np.arange(_TILE // 2), np.arange(-_TILE // 6, _TILE // 6 + 1)
    slanting = np.abs(off)[:, None] > _SLANT * frequency + 1
    across, down = _at(spectrum, off, frequency), _at(spectrum, frequency, off).T
    highest = (np.where(slanting, 0, values).max(axis=0).astype(np.float64) for values in (across, down))
    return next(highest), next(highest)


def _stand_out(profile: Floats) -> Floats:
    """By what share the profile lies above the median around it, 0 to 3."""
    above = np.clip(_relative(profile) - 1, 0, 3)
    above[:2] = 0
    return np.asarray(above, np.float64)


def _relative(profile: Floats) -> Floats:
    """The profile over the median around it."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(profile, 8, mode="reflect"), 17)
    return np.asarray(profile / np.maximum(np.median(around, axis=1), 1e-9), np.float64)


def _comb(profile: Floats, periods: Floats) -> Floats:
    """Mean of the profile at the multiples of each period, less that between them."""
    return np.asarray(
        _teeth(profile, periods, _TEETH) - np.max([_teeth(profile, periods, each) for each in _BETWEEN], axis=0),
        np.float64,
    )


def _teeth(profile: Floats, periods: Floats, multiples: Floats) -> Floats:
    """Mean of the profile at ``multiples`` of each period; the higher ones, blurred in a photograph, weigh less."""
    at = periods[:, None] * multiples
    weight = _weight(multiples) * (at < len(profile) - 1.5)
    values = np.interp(at, np.arange(len(profile)), profile) * weight
    return np.asarray(values.sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9))


def _weight(multiples: Floats) -> Floats:
    return np.asarray(np.maximum(multiples, 1) ** -0.7, np.float64)


def _find_peaks(spectra: npt.NDArray[np.float32], across: float, down: float) -> _Peaks:
    """The peaks of both families of lines in every square."""
    families = [_highest(spectra, near) for near in ((across, 0.0), (0.0, down))]
    at, sure = zip(*families, strict=True)
    return _Peaks(np.stack(at, axis=1), np.stack(sure, axis=1))


def _highest(spectra: npt.NDArray[np.float32], near: tuple[float, float]) -> tuple[Floats, Floats]:
    """The highest peak near a frequency (across, down) in every square, (n, 2), and how far each stands out."""
    reach = max(2, round(_NEAR * max(near))) + 0.5
    window = np.arange(-reach, reach + 0.5, 0.5)
    across, down = (round(2 * each) / 2 + window for each in near)
    height = _harmony(spectra, across, down)
    inner = height[:, 1:-1, 1:-1].reshape(len(spectra), -1)
    row, column = (each + 1 for each in np.divmod(inner.argmax(axis=1), len(window) - 2))
    number = np.arange(len(spectra))
    three = np.array([-1, 0, 1])[:, None]
    sideways = _crest(height[number, row, column + three])
    upright = _crest(height[number, row + three, column])
    at = np.column_stack([across[column] + sideways / 2, down[row] + upright / 2])
    return at, np.clip(inner.max(axis=1) / _SURE - 1, 0.0, 1.0)


def _harmony(spectra: npt.NDArray[np.float32], across: Floats, down: Floats) -> Floats:
    """How far lines of frequencies ``across`` and ``down`` stand out of each square's spectrum, (n, down, across).

    It is the mean of what is at the frequency and its multiples: stripes of a screen and traces lack the multiples, and
    these tell a frequency more exactly. Frequencies are whole or halves.
    """
    highest = float(max(across.max(), down.max()))
    multiples = _MULTIPLES[: max(1, int((_TILE / 2 - 1) // highest))]
    total = np.zeros((len(spectra), len(down), len(across)))
    for multiple, weight in zip(multiples, _weight(multiples), strict=True):
        here = _between(spectra, multiple * across, multiple * down)
        usual = np.maximum(np.median(here, axis=(1, 2), keepdims=True), 1e-9)
        total += weight * np.log1p(here / usual)
    return np.asarray(np.exp(total / max(1e-9, _weight(multiples).sum())), np.float64)


def _between(spectra: npt.NDArray[np.float32], across: Floats, down: Floats) -> npt.NDArray[np.float32]:
    """The spectra at whole frequencies and, as the mean of their neighbours, halfway between."""
    rows, columns = ((np.floor(each).astype(np.intp), np.ceil(each).astype(np.intp)) for each in (down, across))
    return np.asarray(np.mean([_at(spectra, row, column) for row in rows for column in columns], axis=0))


def _at(
    spectra: npt.NDArray[np.float32], down: npt.NDArray[np.intp], across: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """What is at whole frequencies, (..., down, across); in the half not kept, what is at the opposite ones."""
    across = across % _TILE
    other = across > _TILE // 2
    return spectra[..., np.where(other, -down[:, None], down[:, None]), np.where(other, _TILE - across, across)]


def _crest(three: npt.NDArray[np.float32]) -> Floats:
    """Where between three neighbours, (3, n), a parabola through their logarithms is highest; -0.5 to 0.5."""
    before, at, after = np.log(np.maximum(three, 1e-12)).astype(float)
    bend = np.minimum(before + after - 2 * at, -1e-9)
    return np.asarray(np.clip((before - after) / 2 / bend, -0.5, 0.5), np.float64)


def _fit(places: Floats, peaks: _Peaks, start: Floats) -> tuple[Floats, float, float]:
    """The projective map (a, b, c, d, g, h) whose slopes at ``places`` are the peaks, and how well it fits.

    It takes (x, y) to (a x + b y, c x + d y) / (g x + h y + 1). How well: the mean misfit of the peaks, and the share
    of squares whose peak is where the map says, of the family of lines for which fewer are.
    """
    wanted = (peaks.at / start[:, None]).reshape(-1, 4)
    sure = np.repeat(peaks.sure, 2, axis=1)
    pose = _solve(places, wanted, sure)
    off = wanted - _slopes(pose, places)
    misfit = float((np.abs(off) * sure).sum() / max(1e-9, sure.sum()))
    agreed = np.hypot(off[:, ::2], off[:, 1::2]) < _AGREED
    return pose * [*np.repeat(start, 2), 1, 1], misfit, float(agreed.mean(axis=0).min())


def _solve(places: Floats, wanted: Floats, sure: Floats) -> Floats:
    """The map whose slopes at ``places`` (n, 2) are ``wanted`` (n, 4): Gauss-Newton; what is far off counts less."""
    flat = pose = np.array([1.0, 0, 0, 1, 0, 0])
    for _ in range(_ROUNDS):
        now = _slopes(pose, places)
        off = wanted - now
        weight = (sure / np.maximum(1, np.abs(off) / _TOLERANCE)).ravel()
        bends = np.stack([_slopes(pose + step, places) - now for step in np.eye(6) * 1e-4], axis=-1) / 1e-4
        bends = bends.reshape(-1, 6)
        square = (bends * weight[:, None]).T @ bends + np.diag(_STIFFNESS)
        pull = (bends * weight[:, None]).T @ off.ravel() + _STIFFNESS * (flat - pose)
        pose = pose + np.linalg.solve(square, pull)
    return pose


def _slopes(pose: Floats, places: Floats) -> Floats:
    """The map's four derivatives at each place, (n, 4): of the first number by x, by y, of the second by x, by y."""
    a, b, c, d, g, h = pose
    x, y = places.T
    depth = 1 + g * x + h * y
    one, other = a * h - b * g, c * h - d * g
    return np.asarray(
        np.column_stack([a + one * y, b - one * x, c + other * y, d - other * x]) / depth[:, None] ** 2, np.float64
    )
