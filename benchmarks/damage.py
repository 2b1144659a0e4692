"""Measure how long wear takes, and look at what it does.

python benchmarks/damage.py                                ms a 300 x 300 page, of one core, in all and by effect
python benchmarks/damage.py --sheet sheet.png              also a contact sheet: a row a grade, a column a seed
python benchmarks/damage.py --sheet sheet.png --width 1200 the same of large pages
python benchmarks/damage.py --sheet sheet.png --effects    a row an effect alone, a column a grade
python benchmarks/damage.py --sheet sheet.png --photos DIR worn pages, each above a real photograph from a folder
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from ecglens.paper.damage import EFFECTS, wear
from ecglens.paper.drawing import random_page, render
from ecglens.paper.page import Page, Pixels
from ecglens.paper.style import random_style
from ecglens.simulator import simulate

GRADES = (0.25, 0.5, 1.0)
LOOKS = (0.2, 0.5, 0.8, 1.0)  # grades to look at an effect at
RUNS = 3  # others use the machine, too


def draw_pages(count: int, width: int | None) -> list[Page]:
    """Training pages of records at 100 Hz, as PTB-XL's are; or with ``width`` whole sheets about as wide."""
    pages = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        record = simulate((), rng=rng, fs=100)
        if width is None:
            pages.append(random_page(record, rng))
        else:
            layout = ("3x4+1", "6x2", "3x4", "12x1")[seed % 4]
            pages.append(render(record, layout, random_style(rng), px_per_mm=width / 270))
    return pages


def measure(page: Page, grade: float, seed: int, without: tuple[str, ...] = ()) -> float:
    """Process time of one page, ms, best of ``RUNS``."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        wear(page, grade, np.random.default_rng(seed), without=without)
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def measure_effect(pages: list[Page], grade: float, name: str) -> str:
    """What an effect adds to a page on which nothing else happens, ms, and the share of pages on which it happens."""
    added = []
    for seed, page in enumerate(pages):
        worn = wear(page, grade, np.random.default_rng(seed), without=others(name))
        if not np.array_equal(worn.pixels, page.pixels):
            added.append(measure(page, grade, seed, others(name)) - measure(page, grade, seed, tuple(EFFECTS)))
    return f"{np.mean(added) if added else np.nan:8.2f} ({len(added) / len(pages):4.0%})"


def others(name: str) -> tuple[str, ...]:
    return tuple(effect for effect in EFFECTS if effect != name)


def report(count: int) -> None:
    pages = [page for page in draw_pages(min(count, 40), None) for _ in range(-(-count // 40))]
    for title, without in (("all effects", ()), ("none", tuple(EFFECTS))):
        costs = [np.mean([measure(page, g, k, without) for k, page in enumerate(pages)]) for g in GRADES]
        print(f"{title:16}" + "".join(f"{cost:8.2f}       " for cost in costs))
    for name in EFFECTS:
        print(f"{name:16}" + "".join(measure_effect(pages, grade, name) for grade in GRADES))


def alone(page: Page, name: str, seed: int) -> list[Pixels]:
    """The page with one effect, at each of ``LOOKS``, of the first seed from ``seed`` on with which it happens."""
    for lucky in range(seed, seed + 4000):
        worn = [wear(page, grade, np.random.default_rng(lucky), without=others(name)).pixels for grade in LOOKS]
        if not np.array_equal(worn[0], page.pixels):
            return worn
    raise SystemExit(f"{name} never happened")


def rows_of_effects(pages: list[Page], names: list[str]) -> list[list[Pixels]]:
    rows = []
    for name in names:
        row = [pixels.copy() for k, page in enumerate(pages) for pixels in alone(page, name, 4000 * k)]
        cv2.putText(row[0], name, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 200), 1)
        rows.append(row)
    return rows


def rows_with_photos(pages: list[Page], folder: Path, columns: int) -> list[list[Pixels]]:
    """Rows of worn pages of rising grade, and below each row one of photographs, made as large."""
    width, height = pages[0].pixels.shape[1::-1]
    photos = [
        fitted(read, width, height) for file in sorted(folder.iterdir()) if (read := cv2.imread(str(file))) is not None
    ]
    photos = photos[:: max(1, len(photos) // len(pages))]
    grades = np.linspace(0.4, 1, len(pages)).tolist()
    worn = [
        wear(page, grade, np.random.default_rng(k)).pixels
        for k, (page, grade) in enumerate(zip(pages, grades, strict=True))
    ]
    pairs = [(worn[k : k + columns], photos[k : k + columns]) for k in range(0, len(worn), columns)]
    return [row for pair in pairs for row in pair if row]


def fitted(read: Pixels, width: int, height: int) -> Pixels:
    factor = min(width / read.shape[1], height / read.shape[0])
    return np.asarray(cv2.resize(read, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8)


def joined(rows: list[list[Pixels]]) -> Pixels:
    """One picture of all ``rows``; tiles of a row are as high as its highest."""
    width = max(pixels.shape[1] for row in rows for pixels in row)
    bands = [np.hstack([framed(p, (width, max(q.shape[0] for q in row))) for p in row]) for row in rows]
    widest = max(band.shape[1] for band in bands)
    return np.vstack([cv2.copyMakeBorder(b, 0, 0, 0, widest - b.shape[1], cv2.BORDER_CONSTANT) for b in bands])


def framed(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    below, right = size[1] - pixels.shape[0] + 4, size[0] - pixels.shape[1] + 4
    return np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(90, 90, 90)), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="contact sheet to write (PNG)")
    parser.add_argument("--width", type=int, help="pixels; whole sheets instead of training pages")
    parser.add_argument(
        "--effects", nargs="*", metavar="NAME", help="rows of these effects alone; of all without a name"
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photographs to set worn pages against")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=3, help="of pages, with photographs")
    parser.add_argument("--count", type=int, default=400, help="pages to measure; 0: none")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    if chosen.count:
        print(f"{'ms at grade':16}" + "".join(f"{grade:8.2f}       " for grade in GRADES))
        report(chosen.count)
    if chosen.sheet:
        cv2.imwrite(str(chosen.sheet), joined(rows_of(chosen))[..., ::-1])


def rows_of(chosen: argparse.Namespace) -> list[list[Pixels]]:
    if chosen.photos:
        pages = draw_pages(chosen.columns * chosen.rows, chosen.width or 900)
        return rows_with_photos(pages, chosen.photos, chosen.columns)
    pages = draw_pages(chosen.columns, chosen.width)
    if chosen.effects is not None:
        return rows_of_effects(pages, chosen.effects or list(EFFECTS))
    return [[wear(page, g, np.random.default_rng(k)).pixels for k, page in enumerate(pages)] for g in GRADES]


if __name__ == "__main__":
    main()
