"""Measure which pictures ``ecglens.paper.legibility`` refuses, and fit the weights it judges by.

    python benchmarks/legibility.py --count 400                 measure on fresh pictures
    python benchmarks/legibility.py --count 1200 --fit          fit, print the weights, measure by halves

ECG pages are simulated records, or the WFDB records below ``--records``, drawn in every layout of three rows or more
and in random styles, 300 to 3000 pixels wide, turned by up to 10 degrees and half of them worn (shade, noise, blur,
JPEG). Pictures without an ECG are drawn here: noise, textures, landscapes, text, forms, charts, empty grids, music,
handwriting, waves. ``--photos`` adds crops of the pictures in a folder. Needs the development extra (matplotlib draws
the charts).
"""

import argparse
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw, ImageFont

from ecglens.io import read
from ecglens.paper.drawing import render
from ecglens.paper.layout import layouts, load_layout
from ecglens.paper.legibility import FEATURES, MIN_ROWS, assess, trace_features
from ecglens.paper.page import Page, Pixels
from ecglens.paper.style import random_style, styles
from ecglens.record import Record
from ecglens.simulator import simulate

Rng = np.random.Generator
FONTS = sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("DejaVuS*.ttf"))
WORDS = (Path(np.__file__).parent / "__init__.py").read_text(encoding="utf-8").split()[:2000]
LAYOUTS = [  # one or two rows, as of a roll or of 2x6, are not told from single leads yet
    name for name in layouts() if len(load_layout(name).rows) + len(load_layout(name).rhythm) >= MIN_ROWS
]
RHYTHMS = ((), ("AF",), ("ST",), ("SB",), ("RBBB",), ("LBBB", "male"), ("1dAVb", "male"))


def ecg(rng: Rng, layout: str, records: list[Path], rows: int | None = None) -> Pixels:
    """An ECG page; with ``rows`` only so many of its rows."""
    record = draw_record(rng, records)
    style = random_style(rng) if rng.random() < 0.7 else str(rng.choice(styles()))
    width = np.exp(rng.uniform(np.log(300), np.log(3000)))
    px_per_mm = float(np.clip(width / load_layout(layout).width(25), 1.05, 12))
    turned = rows is None and rng.random() < 0.7
    page = render(record, layout, style, px_per_mm=px_per_mm, rotation=rng.uniform(-10, 10) if turned else 0.0).pixels
    if rows is not None:
        sheet = load_layout(layout)
        first = int(rng.integers(0, len(sheet.rows) - rows))
        top, bottom = (sheet.margin.top + sheet.row_height * row for row in (first, first + rows))
        page = page[round(top * px_per_mm) : round(bottom * px_per_mm)]
    return wear(page, rng) if rng.random() < 0.5 else page


def draw_record(rng: Rng, records: list[Path]) -> Record:
    if not records:
        return simulate(RHYTHMS[rng.integers(len(RHYTHMS))], rng=rng, noise=float(rng.uniform(0, 1.5)))
    record = read(records[rng.integers(len(records))])
    assert isinstance(record, Record)
    return record


def wear(pixels: Pixels, rng: Rng) -> Pixels:
    """Shade, noise, a slight blur, JPEG: each one now and then, none that makes the page illegible."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        light = rng.uniform(0.55, 1.05, (3, 4)).astype(np.float32)
        pixels = clip(pixels * cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)[..., None])
    if rng.random() < 0.5:
        pixels = clip(pixels + rng.normal(0, rng.uniform(2, 9), pixels.shape))
    if rng.random() < 0.3:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(0.3, width / 700 * rng.uniform(0.2, 0.8))), np.uint8)
    if rng.random() < 0.5:
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def clip(values: np.ndarray) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def draw_size(rng: Rng, largest: int = 2400) -> tuple[int, int]:
    width = int(np.exp(rng.uniform(np.log(320), np.log(largest))))
    return width, int(width * rng.uniform(0.45, 1.4))


def colour(rng: Rng, low: int = 0, high: int = 256) -> tuple[int, ...]:
    return tuple(int(level) for level in rng.integers(low, high, 3))


def words(rng: Rng, count: int) -> str:
    return " ".join(WORDS[i] for i in rng.integers(0, len(WORDS), count))


def font(rng: Rng, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS[rng.integers(len(FONTS))]), int(max(7, size)))


def solid(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    return np.full((height, width, 3), colour(rng), np.uint8)


def gradient(rng: Rng) -> Pixels:
    return clip(cv2.resize(rng.uniform(0, 255, (2, 2, 3)), draw_size(rng)))


def noise(rng: Rng) -> Pixels:
    width, height = draw_size(rng, 1600)
    grains = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), rng.uniform(0.3, 12))
    grains = grains if rng.random() < 0.5 else grains[..., :1].repeat(3, axis=2)
    return clip(128 + grains / grains.std() * rng.uniform(10, 70))


def clouds(rng: Rng, size: tuple[int, int]) -> np.ndarray:
    """Noise of a random spectral slope, as in pictures of nature, 0-1."""
    width, height = size
    across, down = np.fft.rfftfreq(width)[None], np.fft.fftfreq(height)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = 1
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    values = np.fft.irfft2(phases / frequency ** rng.uniform(1.2, 3), (height, width))
    return (values - values.min()) / (values.max() - values.min())


def texture(rng: Rng) -> Pixels:
    size = draw_size(rng, 1200)
    return clip(np.stack([clouds(rng, size) for _ in range(3)], axis=-1) * 255)


def landscape(rng: Rng) -> Pixels:
    width, height = draw_size(rng, 1200)
    picture = np.linspace(0, 1, height)[:, None, None] * rng.uniform(0, 120, 3) + rng.uniform(60, 150, 3)
    picture = np.broadcast_to(picture, (height, width, 3)).copy()
    for hill in range(int(rng.integers(2, 8))):
        edge = cv2.GaussianBlur(np.cumsum(rng.normal(0, 1, width))[None], (0, 0), rng.uniform(0.5, 40))[0]
        edge = edge / np.ptp(edge) * height * rng.uniform(0.05, 0.4) + height * (0.2 + 0.1 * hill)
        below = np.arange(height)[:, None] > edge[None]
        picture[below] = (rng.uniform(20, 220, 3) + clouds(rng, (width, height))[..., None] * 60)[below]
    return clip(picture)


def shapes(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    picture = np.full((height, width, 3), colour(rng), np.uint8)
    for _ in range(int(rng.integers(5, 150))):
        one, two = ((int(rng.integers(width)), int(rng.integers(height))) for _ in range(2))
        pen = -1 if rng.random() < 0.5 else int(rng.integers(1, 8))
        axes = (int(rng.uniform(0.005, 0.15) * width), int(rng.uniform(0.005, 0.15) * width))
        kind = rng.integers(3)
        if kind == 0:
            cv2.ellipse(picture, one, axes, rng.uniform(0, 180), 0, 360, colour(rng), pen, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(picture, one, two, colour(rng), pen)
        else:
            cv2.line(picture, one, two, colour(rng), abs(pen), cv2.LINE_AA)
    return picture


def text(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    paper, ink = ((30,) * 3, (230,) * 3) if rng.random() < 0.2 else ((255,) * 3, colour(rng, 0, 60))
    picture = Image.new("RGB", (width, height), paper)
    face = font(rng, width * rng.uniform(0.01, 0.04))
    columns = int(rng.integers(1, 4))
    letters = int(width / columns * 0.9 / (face.size * 0.55))
    for column in range(columns):
        y = face.size
        while y < height - face.size:
            line = words(rng, int(rng.integers(2, 40)))[:letters]
            ImageDraw.Draw(picture).text((column * width / columns + face.size, y), line, font=face, fill=ink)
            y += int(face.size * rng.choice([1.2, 1.5, 2.2], p=[0.7, 0.2, 0.1]))
    return np.array(picture)


def form(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    picture = Image.new("RGB", (width, height), "white")
    draw, face = ImageDraw.Draw(picture), font(rng, width * rng.uniform(0.012, 0.03))
    step, edges = int(face.size * rng.uniform(1.3, 3)), np.linspace(5, width - 5, int(rng.integers(3, 13)))
    line, pen = (int(rng.integers(0, 220)),) * 3, int(rng.integers(1, 3))
    for y in range(step, height, step):
        draw.line((5, y, width - 5, y), fill=line, width=pen)
        for x in edges[:-1]:
            entry = words(rng, 1) if rng.random() < 0.4 else f"{rng.normal() * 100:.2f}"
            if rng.random() < 0.75:
                draw.text(
                    (x + 3, y + 2), entry[: int((edges[1] - edges[0]) / face.size / 0.6)], font=face, fill="black"
                )
    for x in edges:
        draw.line((x, step, x, height), fill=line, width=pen)
    return np.array(picture)


def empty_grid(rng: Rng) -> Pixels:
    nothing = Record(np.full((12, 5000), np.nan, np.float32), 500)
    layout = str(rng.choice(LAYOUTS))
    px_per_mm = float(np.exp(rng.uniform(np.log(1.3), np.log(9))))
    page = render(nothing, layout, random_style(rng), px_per_mm=px_per_mm, rotation=rng.uniform(-10, 10)).pixels
    return page if rng.random() < 0.5 else page[page.shape[0] // 3 :]


def grid_with_notes(rng: Rng) -> Pixels:
    picture = Image.fromarray(empty_grid(rng))
    for _ in range(int(rng.integers(1, 15))):
        at = (rng.uniform(0, 0.7) * picture.width, rng.uniform(0, 0.95) * picture.height)
        face = font(rng, picture.width * rng.uniform(0.012, 0.03))
        ImageDraw.Draw(picture).text(at, words(rng, 4), font=face, fill=(20, 20, 20))
    return np.array(picture)


def screenshot(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    picture = Image.new("RGB", (width, height), colour(rng, 180))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 30))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        box = (x, y, x + int(rng.uniform(0.05, 0.6) * width), y + int(rng.uniform(0.03, 0.4) * height))
        draw.rectangle(box, fill=colour(rng), outline=colour(rng))
        face = font(rng, width * rng.uniform(0.01, 0.03))
        for line in range(int(rng.integers(1, 8))):
            draw.text((x + 4, y + 4 + line * face.size * 1.3), words(rng, 4), font=face, fill=colour(rng))
    return np.array(picture)


def music(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    picture = np.full((height, width, 3), 255, np.uint8)
    gap = max(3, width // 140)
    for top in range(gap * 8, height - gap * 6, gap * 14):
        for line in range(5):
            cv2.line(picture, (10, top + line * gap), (width - 10, top + line * gap), (0, 0, 0), max(1, gap // 5))
        for x in range(30, width - 20, int(gap * rng.uniform(2.5, 6))):
            y = int(top + rng.integers(-1, 10) * gap / 2)
            cv2.ellipse(picture, (x, y), (int(gap * 0.65), int(gap * 0.45)), -20, 0, 360, (0, 0, 0), -1)
            cv2.line(picture, (x + gap // 2, y), (x + gap // 2, y - int(gap * 3.5)), (0, 0, 0), max(1, gap // 6))
    return picture


def handwriting(rng: Rng) -> Pixels:
    width, height = draw_size(rng)
    picture = np.full((height, width, 3), rng.integers(220, 256), np.uint8)
    line, ruled, ink = int(height / rng.integers(5, 20)), rng.random() < 0.5, colour(rng, 0, 100)
    for y in range(line, height, line):
        if ruled:
            cv2.line(picture, (0, y), (width, y), (190, 200, 240), 1)
        x = width * 0.05
        while x < width * 0.9:
            length, points = rng.uniform(0.03, 0.12) * width, int(rng.integers(15, 50))
            swing = cv2.GaussianBlur(rng.normal(0, 1, (2, points)), (0, 0), 1)
            word = np.stack(
                [x + np.linspace(0, length, points) + line * 0.1 * swing[0], y - line * (0.2 + 0.25 * swing[1])]
            )
            cv2.polylines(picture, [np.int32(word.T * 8)], False, ink, max(1, width // 500), cv2.LINE_AA, 3)
            x += length + width * 0.02
    return picture


def waves(rng: Rng) -> Pixels:
    """Rows of sines, of noise or of straight lines: recordings, but of no heart."""
    width, height = draw_size(rng)
    picture = np.full((height, width, 3), 255, np.uint8)
    rows, x, kind = int(rng.integers(2, 13)), np.arange(width), rng.integers(3)
    for row in range(rows):
        sine = np.sin(x * 2 * np.pi * rng.uniform(1, 40) / width)
        grain = cv2.GaussianBlur(rng.normal(0, 1, (1, width)), (0, 0), rng.uniform(0.5, 4) * width / 700)[0]
        swing = (sine, grain / grain.std() / 2, np.zeros(width))[kind] * height / rows * rng.uniform(0, 0.4)
        points = np.stack([x, height * (row + 0.5) / rows + swing], axis=1)
        cv2.polylines(picture, [np.int32(points * 8)], False, (0, 0, 0), max(1, width // 600), cv2.LINE_AA, 3)
    return picture


def chart(rng: Rng) -> Pixels:
    with plt.style.context(str(rng.choice(["default", "ggplot", "bmh", "classic", "grayscale", "fivethirtyeight"]))):
        rows = int(rng.integers(2, 7)) if rng.random() < 0.25 else 1
        size = (rng.uniform(4, 12), rng.uniform(3, 7))
        figure, axes = plt.subplots(rows, 1, figsize=size, dpi=rng.uniform(60, 200), squeeze=False)
        for axis in axes.flat:
            kind = str(rng.choice(["line", "noisy"] if rows > 1 else list(CHARTS)))
            CHARTS[kind](axis, rng, {"color": "k"} if rng.random() < 0.4 else {})
            axis.grid(bool(rng.random() < 0.4))
        buffer = io.BytesIO()
        figure.savefig(buffer)
        plt.close(figure)
    return np.array(Image.open(buffer).convert("RGB"))


def lines(axis: plt.Axes, rng: Rng, style: dict[str, str]) -> None:
    for _ in range(int(rng.integers(1, 8))):
        axis.plot(np.cumsum(rng.normal(0, 1, int(rng.integers(20, 600)))), lw=rng.uniform(0.5, 3), **style)


def noisy(axis: plt.Axes, rng: Rng, style: dict[str, str]) -> None:
    for i in range(int(rng.integers(1, 6))):
        axis.plot(rng.normal(i * rng.uniform(0, 8), 1, int(rng.integers(20, 600))), lw=rng.uniform(0.5, 2), **style)


CHARTS: dict[str, Callable[[plt.Axes, Rng, dict[str, str]], object]] = {
    "line": lines,
    "noisy": noisy,
    "bar": lambda axis, rng, style: axis.bar(np.arange(n := int(rng.integers(3, 40))), rng.random(n), **style),
    "histogram": lambda axis, rng, style: axis.hist(rng.normal(0, 1, 1000), bins=int(rng.integers(5, 80)), **style),
    "scatter": lambda axis, rng, style: axis.scatter(*rng.random((2, 300)), s=rng.uniform(1, 40), **style),
    "pie": lambda axis, rng, _: axis.pie(rng.random(6), labels=list("abcdef")),
    "heat": lambda axis, rng, _: axis.imshow(rng.random((int(rng.integers(3, 40)), int(rng.integers(3, 40))))),
    "stem": lambda axis, rng, _: axis.stem(rng.random(int(rng.integers(5, 60)))),
    "step": lambda axis, rng, style: axis.step(np.arange(200), np.cumsum(rng.normal(0, 1, 200)), **style),
    "contour": lambda axis, rng, _: axis.contour(clouds(rng, (60, 50))),
    "rules": lambda axis, rng, _: axis.hlines(np.arange(int(rng.integers(3, 20))), 0, 1, lw=rng.uniform(0.5, 3)),
}

KINDS: tuple[Callable[[Rng], Pixels], ...] = (
    solid, gradient, noise, texture, landscape, shapes, text, form, empty_grid, grid_with_notes, chart, screenshot,
    music, handwriting, waves,
)  # fmt: skip


def crop(photos: list[Pixels], rng: Rng) -> Pixels:
    photo = photos[rng.integers(len(photos))]
    height, width = (int(length * rng.uniform(0.3, 1)) for length in photo.shape[:2])
    top, left = (int(rng.integers(0, a - b + 1)) for a, b in zip(photo.shape, (height, width), strict=False))
    scale = np.exp(rng.uniform(np.log(320), np.log(1800))) / width
    size = (round(width * scale), max(120, round(height * scale)))
    return np.asarray(cv2.resize(photo[top : top + height, left : left + width], size), np.uint8)


def pictures(rng: Rng, count: int, records: list[Path], photos: list[Pixels]) -> Iterator[tuple[str, Pixels]]:
    """``count`` ECG pages and as many other pictures, each with its kind; and some strips of one or two rows."""
    for i in range(count):
        layout = LAYOUTS[i % len(LAYOUTS)]
        yield f"ecg {layout}", ecg(rng, layout, records)
        draw = KINDS[i % len(KINDS)]
        picture = draw(rng)
        yield draw.__name__, wear(picture, rng) if rng.random() < 0.4 else picture
        if i % 4 == 0 and photos:
            yield "photo", crop(photos, rng)
        if i % 8 == 0:
            rows = 1 + i // 8 % 2
            yield f"strip of {rows}", ecg(rng, "12x1", records, rows)


def measure(samples: Iterator[tuple[str, Pixels]]) -> None:
    """Print the share of each kind that is accepted."""
    accepted = defaultdict(list)
    for kind, pixels in samples:
        accepted[kind].append(assess(Page(pixels)).reason is None)
    report(accepted)


def report(accepted: dict[str, list[bool]]) -> None:
    for kind in sorted(accepted):
        print(f"{kind:20s} {len(accepted[kind]):5d} pictures, accepted {np.mean(accepted[kind]):6.1%}")
    is_ecg, is_strip = (lambda kind: kind.startswith("ecg")), (lambda kind: kind.startswith("strip"))
    ecgs = [one for kind, values in accepted.items() if is_ecg(kind) for one in values]
    others = [one for kind, values in accepted.items() if not is_ecg(kind) and not is_strip(kind) for one in values]
    print(
        f"refused: ECG pages {1 - np.mean(ecgs):.2%} of {len(ecgs)}, others {1 - np.mean(others):.2%} of {len(others)}"
    )


def fit(samples: list[tuple[str, np.ndarray]]) -> None:
    """Fit on all samples and print the weights; measure by fitting on either half and judging the other."""
    samples = [(kind, cuts) for kind, cuts in samples if not kind.startswith("strip") and len(cuts)]
    half = np.arange(len(samples)) // 2 % 2
    accepted = defaultdict(list)
    for part in (0, 1):
        model = fit_weights([sample for sample, i in zip(samples, half, strict=True) if i != part])
        for kind, cuts in (sample for sample, i in zip(samples, half, strict=True) if i == part):
            accepted[kind].append(bool(((log_odds(cuts, model) >= 0) & (cuts[:, 0] >= MIN_ROWS)).any()))
    report(accepted)
    mean, spread, weights = fit_weights(samples)
    size = len(FEATURES)
    for row in zip(FEATURES, mean, spread, weights[1 : size + 1], weights[size + 1 :], strict=True):
        print(f'    ("{row[0]}", ' + ", ".join(f"{value:.4f}" for value in row[1:]) + "),")
    print(f"_BIAS: Final = {weights[0]:.4f}")


Model = tuple[np.ndarray, np.ndarray, np.ndarray]


def design(cuts: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    scaled = np.clip((cuts - mean) / spread, -4, 4)
    return np.hstack([np.ones((len(cuts), 1)), scaled, scaled**2])


def log_odds(cuts: np.ndarray, model: Model) -> np.ndarray:
    return design(cuts, model[0], model[1]) @ model[2]


def fit_weights(samples: list[tuple[str, np.ndarray]], ridge: float = 2.0, against: float = 0.7) -> Model:
    """Logistic regression over the cuts: of an ECG the best cut must be likely, of any other picture none.

    ``against`` is the weight of all other pictures together, those of all ECGs being 1.
    """
    cuts = np.concatenate([cuts for _, cuts in samples])
    owner = np.repeat(np.arange(len(samples)), [len(cuts) for _, cuts in samples])
    is_ecg = np.array([kind.startswith("ecg") for kind, _ in samples])
    mean, spread = cuts.mean(axis=0), cuts.std(axis=0) + 1e-6
    rows = design(cuts, mean, spread)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    chosen = starts.copy()
    weights = np.zeros(rows.shape[1])
    for _ in range(10):
        used = ~is_ecg[owner]
        used[chosen[is_ecg]] = True
        target = is_ecg[owner[used]].astype(float)
        weight = np.where(target == 1, 1.0, against * target.sum() / (1 - target).sum())
        weights = newton(rows[used], target, weight, ridge)
        scores = np.where(cuts[:, 0] >= MIN_ROWS, 0, -50) + rows @ weights
        best = np.array([start + scores[owner == i].argmax() for i, start in enumerate(starts)])
        if (best == chosen)[is_ecg].all():
            break
        chosen = best
    return mean, spread, weights


def newton(rows: np.ndarray, target: np.ndarray, weight: np.ndarray, ridge: float) -> np.ndarray:
    beta = np.zeros(rows.shape[1])
    penalty = np.full(len(beta), ridge)
    penalty[0] = 0
    for _ in range(40):
        chance = 1 / (1 + np.exp(-np.clip(rows @ beta, -30, 30)))
        slope = rows.T @ (weight * (target - chance)) - penalty * beta
        curvature = (rows * (weight * chance * (1 - chance) + 1e-6)[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        beta += step * min(1.0, 3 / np.abs(step).max())
        if np.abs(step).max() < 1e-4:
            break
    return beta


def load_photos(folder: Path | None) -> list[Pixels]:
    paths = sorted(folder.iterdir()) if folder else []
    loaded = (cv2.imread(str(path)) for path in paths)
    return [cv2.cvtColor(photo, cv2.COLOR_BGR2RGB) for photo in loaded if photo is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="ECG pages, and as many other pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--records", type=Path, help="folder of WFDB records to draw instead of simulated ones")
    parser.add_argument("--photos", type=Path, help="folder of pictures that show no ECG")
    options = parser.parse_args()
    records = sorted(options.records.rglob("*.hea")) if options.records else []
    samples = pictures(np.random.default_rng(options.seed), options.count, records, load_photos(options.photos))
    if options.fit:
        fit([(kind, trace_features(pixels)) for kind, pixels in samples])
    else:
        measure(samples)


if __name__ == "__main__":
    mpl.use("Agg")
    main()
