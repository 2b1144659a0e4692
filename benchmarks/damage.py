"""Measure how long wear takes, and look at what it does.

python benchmarks/damage.py                             ms a 300 x 300 page, of one core, in all and by effect
python benchmarks/damage.py -o sheet.png                also a contact sheet: a row a grade, a column a seed
python benchmarks/damage.py -o sheet.png --width 1200   the same of large pages
python benchmarks/damage.py -o sheet.png --effects      a row an effect alone, at grade 1
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


def alone(page: Page, name: str, first: int) -> tuple[Pixels, int]:
    """The page with one effect at grade 1, of the first seed from ``first`` on with which it happens."""
    for seed in range(first, first + 1000):
        worn = wear(page, 1.0, np.random.default_rng(seed), without=others(name))
        if not np.array_equal(worn.pixels, page.pixels):
            return worn.pixels, seed
    raise SystemExit(f"{name} never happened")


def contact_sheet(pages: list[Page], by_effect: bool) -> Pixels:
    rows = []
    if by_effect:
        for name in EFFECTS:
            seed, row = -1, []
            for page in pages:
                pixels, seed = alone(page, name, seed + 1)
                row.append(pixels.copy())
            cv2.putText(row[0], name, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 200), 1)
            rows.append(row)
    else:
        rows = [[wear(page, g, np.random.default_rng(k)).pixels for k, page in enumerate(pages)] for g in GRADES]
    size = (max(pixels.shape[1] for row in rows for pixels in row), max(p.shape[0] for row in rows for p in row))
    return np.vstack([np.hstack([framed(pixels, size) for pixels in row]) for row in rows])


def framed(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    below, right = size[1] - pixels.shape[0] + 4, size[0] - pixels.shape[1] + 4
    return np.asarray(
        cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(255, 0, 255)), np.uint8
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="contact sheet to write (PNG)")
    parser.add_argument("--width", type=int, help="pixels; whole sheets instead of training pages")
    parser.add_argument("--effects", action="store_true", help="one effect a row on the contact sheet")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--count", type=int, default=400, help="pages to measure; 0: none")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    if chosen.count:
        print(f"{'ms at grade':16}" + "".join(f"{grade:8.2f}       " for grade in GRADES))
        report(chosen.count)
    if chosen.output:
        sheet = contact_sheet(draw_pages(chosen.columns, chosen.width), chosen.effects)
        cv2.imwrite(str(chosen.output), sheet[..., ::-1])


if __name__ == "__main__":
    main()
