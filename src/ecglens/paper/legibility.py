"""Judge whether a picture shows a legible 12-lead ECG, and say why where it does not.

The picture is reduced, what is darker than the paper around it becomes ink, and the ink's wide connected pieces are
taken for traces if they look like them: thin, along straight baselines in several rows, with narrow spikes (the QRS
complexes) that stand above one another in all rows, since all leads show the same beats. How much each of these
properties counts is fitted on drawn pages and on pictures that show no ECG (``benchmarks/legibility.py``).
"""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ecglens.paper.page import Page, Pixels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Least picture in which the leads of a whole page can still be told apart, pixels.
MIN_LONG_SIDE: Final = 280
MIN_SHORT_SIDE: Final = 100

# Share of the sharpest steps in the ink's contrast: a blur of 2 pixels at 720 pixels a page gives 0.25, a scan 0.75.
MIN_SHARPNESS: Final = 0.23
MIN_CONTRAST: Final = 0.06
MIN_ROWS: Final = 2.3

_WORK: Final = 720  # long side of the reduced copy, pixels
_GRID_PATCH: Final = 192  # side of the square in its middle in which the grid is looked for, pixels
_GRID_SHARE: Final = 0.12  # share of the picture that the lines of a 5 mm grid cover at least
_MIN_GRID: Final = 0.07  # least strength of its period; pages without a grid have less

# Shares of the picture that may be trace: the best of them counts. The first fits most pages, the next ones crowded
# or small pages and those with a sparse trace.
_INK_SHARES: Final = (0.036, 0.05, 0.024, 0.075)

_BANDS: Final = 6
_DARKEST_SHARE: Final = 0.004  # the ink's darkness is what this share of the picture reaches
_DARK_GROUND: Final = 90  # light (0-255) below which the ground may be a screen's
_FAINTEST: Final = 8  # darkness (0-255) below which nothing is ink
_FAINTEST_INK: Final = 0.2  # share of the darkest ink's darkness below which nothing is ink

# Properties of the ink, in the order _shape and _features give them: name, mean, spread, and the weights of the scaled
# value and of its square in the log-odds. Fitted as ``benchmarks/legibility.py --fit`` does, on its pages and on others
# of PTB-XL records from a second renderer, so that command gives weights like these, not these digits. How much false
# acceptance weighs against false refusal was chosen so that all complete real pictures in the tests are accepted.
_MODEL: Final = (
    ("rows", 3.3109, 3.2206, -0.1635, -0.2522),
    ("alignment", 0.8793, 0.5401, 2.6741, -0.2799),
    ("spiky", 0.2156, 0.2254, -0.2989, -0.3786),
    ("spike_width", 2.0636, 1.1807, 0.2718, -0.6739),
    ("uprights", 0.0436, 0.1210, -0.0114, -0.0587),
    ("crossings", 0.2055, 0.3272, 0.4549, -0.4529),
    ("pieces", 2.0372, 0.7634, -0.3112, -0.3633),
    ("thin", 0.6127, 0.3339, 2.0847, 0.2573),
    ("tall", 0.2861, 0.2177, 1.1973, -1.3594),
    ("baseline", 0.7695, 0.3012, -0.1754, -0.3280),
    ("straight", 0.1533, 0.2394, -1.3566, -0.6733),
    ("spikes", 2.1393, 1.0757, -0.1818, -0.9375),
    ("unevenness", 0.5213, 0.5133, -1.9908, 0.0371),
    ("slopes", 0.2122, 0.1344, -0.6900, -0.8592),
    ("wander", 1.3720, 0.9200, 0.5292, 1.6410),
    ("inside", 0.5460, 0.3421, 1.2894, -0.2585),
    ("ink", 0.0412, 0.0187, 0.7946, 0.1060),
    ("fainter", 2.5368, 1.8452, 0.8952, 0.1508),
    ("cut", 0.3338, 0.2307, -0.2211, -0.3492),
)
_BIAS: Final = -0.4706
FEATURES: Final = tuple(row[0] for row in _MODEL)
_MEAN, _SPREAD, _LINEAR, _SQUARE = np.array([row[1:] for row in _MODEL]).T
_ROWS: Final = FEATURES.index("rows")
_INK: Final = FEATURES.index("ink")
_MARGIN: Final = 4.0  # log-odds by which a page must look better turned than as it lies to be called turned
_CERTAIN: Final = 2.0  # log-odds from which on a page is not looked at sideways


@dataclass(frozen=True, slots=True)
class Quality:
    """How legible a picture is as a 12-lead ECG.

    ``width`` and ``height`` are pixels. ``px_per_mm`` is the estimate from the grid, None where none is found.
    ``sharpness`` is the steepest step in the ink's contrast (0-1), ``contrast`` the ink's darkness against the paper
    (0-1), ``ink`` the share of the picture taken for ink, ``rows`` the rows of traces seen, ``likeness`` the log-odds
    that these are ECG traces. ``reason`` is None for a legible ECG, else one sentence for who took the picture.
    """

    width: int
    height: int
    px_per_mm: float | None
    sharpness: float
    contrast: float
    ink: float
    rows: float
    likeness: float
    reason: str | None

    @property
    def legible(self) -> bool:
        """Whether the picture is worth a diagnosis."""
        return self.reason is None

    def as_dict(self) -> dict[str, Any]:
        """The values for JSON, rounded to what they are worth."""
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Runs:
    """Vertical runs of ink in the wide pieces, column by column: ``x``, ``top``, ``bottom`` (inclusive), ``piece``."""

    x: Ints
    top: Ints
    bottom: Ints
    piece: Ints
    widths: Floats  # of each piece, pixels


def assess(page: Page) -> Quality:
    """Judge the picture in ``page.pixels`` as it lies: the leads must read from left to right.

    Takes some ten milliseconds whatever the size; never raises for a valid page.
    """
    height, width = page.pixels.shape[:2]
    if max(height, width) < MIN_LONG_SIDE or min(height, width) < MIN_SHORT_SIDE:
        return Quality(width, height, None, 0.0, 0.0, 0.0, 0.0, 0.0, _too_small(width, height))
    lightest, darkest = _reduced(page.pixels)
    darkness = _darkness(_as_paper(lightest))
    reaching = _reaching(darkness)
    contrast = _level(reaching, _DARKEST_SHARE) / 255
    sharpness = _sharpness(darkness, contrast)
    ink, rows, likely = _best_traces(darkness, reaching)
    period = _grid_period(darkest)
    px_per_mm = period * width / darkest.shape[1] if period else None
    reason = _reason(lightest, darkness, contrast, sharpness, rows, likely)
    return Quality(width, height, px_per_mm, sharpness, contrast, ink, rows, likely, reason)


def trace_features(pixels: Pixels) -> Floats:
    """Return (cuts, features): the properties named in ``FEATURES`` for every cut between ink and paper."""
    darkness = _darkness(_as_paper(_reduced(pixels)[0]))
    reaching = _reaching(darkness)
    return np.array([_features(darkness, reaching, cut) for cut in _cuts(reaching)])


def _too_small(width: int, height: int) -> str:
    return (
        f"The picture is too small ({width} x {height} pixels): "
        f"scan or photograph the page with at least {MIN_LONG_SIDE} x {MIN_SHORT_SIDE} pixels, better 1000 across"
    )


def _reason(
    lightest: Pixels, darkness: Pixels, contrast: float, sharpness: float, rows: float, likely: float
) -> str | None:
    """Why the picture cannot be read, the first cause that holds; None when it can."""
    if contrast < MIN_CONTRAST:
        light = float(lightest.mean())
        if light < 40:
            return "The picture is nearly black: take it again in more light"
        return "No ECG is seen in this picture: it is blank or too pale, take it again in even light"
    if sharpness < MIN_SHARPNESS:
        return "The picture is blurred: hold the phone still, wait until it is in focus and take it again"
    if likely < _CERTAIN and _lies_on_its_side(darkness, likely):
        return "The page lies on its side: turn the picture so that the leads read from left to right"
    if likely >= 0 and rows >= MIN_ROWS:
        return None
    if likely >= 0:
        return "Fewer than three rows of ECG are seen in this picture: show the whole page with all 12 leads"
    return "No ECG is seen in this picture: show the whole 12-lead page, flat, upright and filling the picture"


def _lies_on_its_side(darkness: Pixels, upright: float) -> bool:
    """Whether the picture is more like an ECG when turned, ``upright`` being its likeness as it lies."""
    turned = np.ascontiguousarray(darkness.T)
    _, rows, likely = _best_traces(turned, _reaching(turned))
    return likely >= max(0.0, upright + _MARGIN) and rows >= MIN_ROWS


def _reduced(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """The lightest and the darkest channel, long side ``_WORK`` at most.

    Coloured grids are light in one channel at least, dark ink is in none; so the lightest channel shows the trace
    and the darkest one the grid. Whole factors first: only they are quick.
    """
    height, width = pixels.shape[:2]
    factor = max(height, width) // _WORK
    if factor > 1:
        size = (width // factor, height // factor)
        whole = pixels[: size[1] * factor, : size[0] * factor]
        pixels = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    red, green, blue = cv2.split(pixels)
    lightest, darkest = cv2.max(red, cv2.max(green, blue)), cv2.min(red, cv2.min(green, blue))
    scale = _WORK / max(pixels.shape[:2])
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        lightest, darkest = (
            cv2.resize(channel, size, interpolation=cv2.INTER_LINEAR) for channel in (lightest, darkest)
        )
    return np.asarray(lightest, np.uint8), np.asarray(darkest, np.uint8)


def _as_paper(channel: Pixels) -> Pixels:
    """Dark on light: a screen's light traces on a dark ground are inverted, paper in poor light is not."""
    reaching = _reaching(np.ascontiguousarray(channel[::4, ::4]))
    low, middle, high = (_level(reaching, share) for share in (0.99, 0.5, 0.01))
    if middle < _DARK_GROUND and high - middle > 2 * (middle - low):
        return np.asarray(cv2.bitwise_not(channel), np.uint8)
    return channel


def _darkness(channel: Pixels) -> Pixels:
    """How much darker each pixel is than the paper around it, as a share of the paper's light, 0-255."""
    side = max(9, max(channel.shape) // 40 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.morphologyEx(channel, cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.divide(cv2.subtract(paper, channel), paper, scale=255), np.uint8)


def _reaching(levels: Pixels) -> Floats:
    """(256,) share of the pixels that are at each level or above it."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    return np.asarray(counts[::-1].cumsum(dtype=np.float64)[::-1] / levels.size)


def _level(reaching: Floats, share: float) -> int:
    """The lowest level that at most ``share`` of the pixels reach, or the highest there is."""
    return min(255, int(np.searchsorted(-reaching, -share)))


def _sharpness(darkness: Pixels, contrast: float) -> float:
    """Steepest steps between neighbours against the ink's contrast; both ways, as a shaken phone blurs only one."""
    down, across = cv2.absdiff(darkness[1:], darkness[:-1]), cv2.absdiff(darkness[:, 1:], darkness[:, :-1])
    steepest = _level(_reaching(np.asarray(cv2.max(down[:, 1:], across[1:]), np.uint8)), _DARKEST_SHARE)
    return steepest / 255 / max(contrast, 1 / 255)


def _cuts(reaching: Floats) -> list[int]:
    """Darkness from which on a pixel is ink, for each of ``_INK_SHARES``; fewer where little stands out."""
    faintest = max(_FAINTEST, round(_FAINTEST_INK * _level(reaching, _DARKEST_SHARE)))
    return list(dict.fromkeys(max(faintest, _level(reaching, share)) for share in _INK_SHARES))


def _best_traces(darkness: Pixels, reaching: Floats) -> tuple[float, float, float]:
    """Share of ink, rows and likeness at the cut that shows ECG traces best; stops at the first that is good enough."""
    best = (0.0, 0.0, -np.inf)
    for cut in _cuts(reaching):
        features = _features(darkness, reaching, cut)
        found = (float(features[_INK]), float(features[_ROWS]), _likeness(features))
        best = max(best, found, key=lambda traces: (traces[1] >= MIN_ROWS, traces[2]))
        if best[2] >= 0 and best[1] >= MIN_ROWS:
            break
    return best


def _features(darkness: Pixels, reaching: Floats, cut: int) -> Floats:
    """The properties named in ``FEATURES`` of the ink from ``cut`` on."""
    ink = np.asarray(cv2.threshold(darkness, cut - 1, 1, cv2.THRESH_BINARY)[1], np.uint8)
    runs, inside = _runs(ink)
    shape = _shape(runs, ink.shape[1]) if len(runs.x) else [0.0] * (len(FEATURES) - 4)
    share = float(reaching[cut])
    fainter = float(reaching[round(0.6 * cut)]) / max(share, 1e-4)
    return np.array([*shape, inside, share, min(fainter, 10.0), cut / 255])


def _runs(ink: Pixels) -> tuple[_Runs, float]:
    """Vertical runs of the wide pieces of ``ink``, and the share of the ink that is in those pieces.

    The picture is cut into bands first, so that a trace is several pieces: two rows that touch in one band are still
    apart in the others, and each piece's baseline is straight even where the paper is not.
    """
    closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    height, width = closed.shape
    closed[:, np.linspace(0, width, _BANDS + 1).astype(int)[1:-1]] = 0
    columns = np.zeros((width + 1, height + 1), np.uint8)  # a blank before each column and after the last one
    columns[:width, 1:] = cv2.transpose(closed)
    count, labels = cv2.connectedComponents(columns, connectivity=8, ltype=cv2.CV_32S)
    flat = columns.ravel()
    steps = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, ends = steps[::2], steps[1::2]
    label = labels.ravel()[starts]
    x, top = np.divmod(starts, height + 1)
    top -= 1
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    first[label[::-1]], last[label] = x[::-1], x  # columns come in order, so the last one written counts
    widths = last - first + 1
    wide = widths >= max(12, 0.05 * width)
    wide[0] = False
    kept = wide[label]
    lengths = ends - starts
    inside = float(lengths[kept].sum() / max(1, lengths.sum()))
    piece = (np.cumsum(wide) - 1)[label[kept]]
    return _Runs(x[kept], top[kept], (top + lengths - 1)[kept], piece, widths[wide].astype(float)), inside


def _shape(runs: _Runs, width: int) -> list[float]:
    """What the runs look like; lengths are in widths of the picture, so that they do not depend on its size."""
    middle = (runs.top + runs.bottom) / 2
    length = (runs.bottom - runs.top + 1).astype(float)
    near = 0.012 * width
    offset, slope = _baselines(runs, middle, 2 * near)
    base = offset[runs.piece] + slope[runs.piece] * runs.x
    distance = middle - base
    weight = runs.widths / runs.widths.sum()
    tilt = _weighted_median(slope, weight)
    count = np.bincount(runs.piece, minlength=len(weight))
    deviation = np.sqrt(np.bincount(runs.piece, distance**2, len(weight)) / count)
    spike = np.maximum(base - runs.top, runs.bottom - base) > near
    columns = np.unique(runs.piece[spike] * width + runs.x[spike])
    spikes = int(np.count_nonzero(np.diff(columns, prepend=-9) > 2))
    total = runs.widths.sum()
    per_column = np.bincount(runs.x, minlength=width)[width // 10 : -(width // 10)]
    return [
        _rows(runs.x, middle - tilt * runs.x, length <= max(4, near), width),
        _alignment((runs.x + tilt * middle)[spike], (base - tilt * runs.x)[spike], width),
        len(columns) / total,
        float(np.log1p(len(columns) / max(1, spikes) * _WORK / width)),
        float(np.sqrt(length[length > 0.15 * width].sum() / length.sum())),
        float(np.log((weight * count / runs.widths).sum())),
        float(np.log(len(weight) / total * width)),
        float((length <= max(2, 0.006 * width)).mean()),
        float(np.sqrt((length >= 0.014 * width).mean())),
        float((weight * np.bincount(runs.piece, np.abs(distance) < near, len(weight)) / count).sum()),
        float((weight * (deviation < 0.0015 * width)).sum()),
        float(np.log1p(spikes / total * width)),
        float(per_column.std() / max(0.5, per_column.mean())),
        float(np.sqrt((weight * np.minimum(np.abs(slope - tilt), 0.3)).sum())),
        float(np.log((weight * np.clip(deviation * _WORK / width, 0.3, 30)).sum())),
    ]


def _baselines(runs: _Runs, y: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """Offset and slope of a straight line through each piece, fitted again without what lies far from the first."""
    offset, slope = _lines(runs.piece, runs.x, y, len(runs.widths))
    for _ in range(2):
        near = np.abs(y - offset[runs.piece] - slope[runs.piece] * runs.x) < tolerance
        offset, slope = _lines(runs.piece[near], runs.x[near], y[near], len(runs.widths))
    return offset, slope


def _lines(piece: Ints, x: Ints, y: Floats, pieces: int) -> tuple[Floats, Floats]:
    """Least-squares offset and slope of the points of each piece."""
    count = np.maximum(np.bincount(piece, minlength=pieces), 1)
    mean_x, mean_y = (np.bincount(piece, values, pieces) / count for values in (x, y))
    dx, dy = x - mean_x[piece], y - mean_y[piece]
    slope = np.bincount(piece, dx * dy, pieces) / np.maximum(np.bincount(piece, dx * dx, pieces), 1)
    return mean_y - slope * mean_x, slope


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())])


def _rows(x: Ints, y: Floats, flat: npt.NDArray[np.bool_], width: int) -> float:
    """Rows of traces: heights at which flat ink covers much of a band, the mean over the better half of the bands."""
    bands = np.minimum(x[flat] * _BANDS // width, _BANDS - 1)
    bins = ((y[flat] - y.min()) / (0.012 * width)).astype(np.int64)
    size = int(bins.max(initial=0)) + 3
    cover = np.bincount(bands * size + bins + 1, minlength=_BANDS * size).reshape(_BANDS, size) * _BANDS / width
    smooth = cover[:, :-2] + cover[:, 1:-1] + cover[:, 2:]
    before = np.pad(smooth, ((0, 0), (2, 2)))
    peak = (smooth > 0.4) & (smooth >= before[:, 3:-1]) & (smooth > before[:, 1:-3])
    peak &= (smooth >= before[:, 4:]) & (smooth > before[:, :-4])
    return float(np.sort(peak.sum(axis=1))[_BANDS // 2 :].mean())


def _alignment(x: Floats, baseline: Floats, width: int) -> float:
    """How much spikes of different rows stand above one another: variance over mean of the rows per column.

    1 is chance; ECGs have more, as all leads show the same beats.
    """
    if not len(x):
        return 0.0
    column = ((x - x.min()) / (0.011 * width)).astype(np.int64)
    row = np.round((baseline - baseline.min()) / (0.03 * width)).astype(np.int64)
    size = int(column.max()) + 1
    rows = np.bincount(np.unique(row * size + column) % size, minlength=size)
    return float(np.sqrt(min(6.0, rows.var() / max(0.05, rows.mean()))))


def _likeness(features: Floats) -> float:
    """Log-odds that ``features`` are those of ECG traces."""
    scaled = np.clip((features - _MEAN) / _SPREAD, -4, 4)
    return float(_BIAS + _LINEAR @ scaled + _SQUARE @ scaled**2)


def _grid_period(darkest: Pixels) -> float | None:
    """Pixels of ``darkest`` per millimetre, from the autocorrelation of a patch in its middle; None without a grid.

    Looks for the 5 mm squares; finer lines are lost in the reduced copy. What fits a page of about A4 counts for
    more, as every third square and other multiples repeat as well as the squares themselves.
    """
    side = min(_GRID_PATCH, *darkest.shape) // 2 * 2
    across, down = _lag_profiles(_grid_patch(darkest, side))
    page_mm = np.geomspace(90, 420, 240)
    periods = 5 / page_mm * max(darkest.shape)
    strength = np.minimum(_comb(across, periods), _comb(down, periods))
    best = int((strength * np.exp(-((np.log(page_mm / 260) / 0.8) ** 2))).argmax())
    return float(periods[best]) / 5 if strength[best] >= _MIN_GRID else None


def _grid_patch(darkest: Pixels, side: int) -> Pixels:
    """A square from the middle: the ink's darkness without the trace; all 0 where there are no lines."""
    top, left = ((length - side) // 2 for length in darkest.shape)
    patch = darkest[top : top + side, left : left + side]
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (17, 17))
    dark = np.asarray(cv2.subtract(cv2.morphologyEx(patch, cv2.MORPH_CLOSE, kernel), patch), np.uint8)
    lines = _level(_reaching(dark), _GRID_SHARE)
    if lines < 3:
        return np.zeros_like(dark)
    trace = cv2.dilate(cv2.threshold(dark, min(254, 3 * lines), 255, cv2.THRESH_BINARY)[1], np.ones((3, 3), np.uint8))
    dark = np.minimum(dark, np.uint8(lines))
    dark[trace > 0] = round(float(dark.mean()))
    return dark


def _lag_profiles(patch: Pixels) -> tuple[Floats, Floats]:
    """Autocorrelation of the patch by distance, sideways and down; the best of the directions up to 11 degrees off."""
    side = len(patch)
    window, unbiased = _window(side)
    correlation = _autocorrelation((patch - patch.mean()) * window) / unbiased
    lags = np.arange(round(0.45 * side))
    off = np.arange(-(side // 11), side // 11 + 1)
    allowed = np.abs(off) <= 0.2 * lags[:, None] + 0.5
    across = np.where(allowed, correlation[off[None, :], lags[:, None]], -1).max(axis=1)
    down = np.where(allowed, correlation[lags[:, None], off[None, :]], -1).max(axis=1)
    return across, down


@cache
def _window(side: int) -> tuple[Floats, Floats]:
    """A taper for a square patch, and its autocorrelation, kept from zero."""
    window = np.outer(np.hanning(side), np.hanning(side))
    return window, np.maximum(_autocorrelation(window), 0.05)


def _autocorrelation(values: Floats) -> Floats:
    power = np.abs(np.fft.rfft2(values)) ** 2
    correlation = np.fft.irfft2(power, values.shape)
    return np.asarray(correlation / max(correlation[0, 0], 1e-9), np.float64)


def _comb(profile: Floats, periods: Floats) -> Floats:
    """How far the profile at the multiples of each period lies above its mean."""
    at = periods[:, None] * np.arange(1, int(len(profile) / periods.min()) + 1)
    valid = at < len(profile) - 1
    teeth = np.interp(at, np.arange(len(profile)), profile - profile[2:].mean())
    return np.asarray((teeth * valid).sum(axis=1) / np.maximum(valid.sum(axis=1), 1), np.float64)
