"""Measure whether the scale of pages is found, whatever their size and grid.

    python benchmarks/grids.py --count 40 --seed 1

Simulated ECGs are drawn with matplotlib, as scripts and screens draw them: lines of one strength or of two, 0.3 to 0.8
points wide, snapped to pixels, 100 to 200 dpi. Printed for each kind of page: on how many no scale is found, and on how
many one that is more than 3 % off, across or down. "ordinary" pages are up to some 370 mm long; "large" ones have rows
50 to 85 mm apart, "fast" ones rows 500 mm long, "short" ones of 4 to 6 s; "coarse" ones have 50 to 90 dpi, "dark" ones
light lines, "thick" ones lines of 0.9 to 1.5 points; "pulled" ones are ordinary ones pulled to 1.1 to 1.45 times their
width or height. "blocks" have no grid, and were saved as JPEG of quality 10 to 80: there any scale is wrong.
"""

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from ecglens.leads import INDEX, LEADS
from ecglens.paper import render
from ecglens.paper.page import Page, Pixels
from ecglens.paper.scan import Scan, straighten
from ecglens.record import Record
from ecglens.simulator import simulate

Rng = np.random.Generator
ROWS = (
    (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",)),
    tuple(zip(LEADS[:6], LEADS[6:], strict=True)),
    tuple((lead,) for lead in LEADS),
)
RIGHT = 0.03


@dataclass(frozen=True)
class Plot:
    """How a page is drawn: lengths in mm, lines in points."""

    rows: tuple[tuple[str, ...], ...]
    row: float
    dpi: int
    line: float
    strong: float
    equal: bool
    seconds: float = 10.0
    speed: float = 25.0
    dark: bool = False


def ordinary(rng: Rng) -> Plot:
    rows = ROWS[rng.integers(len(ROWS))]
    row = float(rng.uniform(18, 28) if len(rows) == len(LEADS) else rng.uniform(22, 40))
    line = float(rng.uniform(0.3, 0.8))
    strong = line if rng.random() < 0.6 else line * float(rng.uniform(1.3, 2.5))
    return Plot(rows, row, int(rng.integers(100, 201)), line, strong, bool(rng.random() < 0.35))


def large(rng: Rng) -> Plot:
    plot = ordinary(rng)
    return replace(plot, row=float(rng.uniform(30, 60) if len(plot.rows) == len(LEADS) else rng.uniform(50, 85)))


def thick(rng: Rng) -> Plot:
    line = float(rng.uniform(0.9, 1.5))
    return replace(ordinary(rng), line=line, strong=line)


KINDS: dict[str, Callable[[Rng], Plot]] = {
    "ordinary": ordinary,
    "large": large,
    "fast": lambda rng: replace(ordinary(rng), speed=50.0),
    "short": lambda rng: replace(ordinary(rng), seconds=float(rng.integers(4, 7))),
    "coarse": lambda rng: replace(ordinary(rng), dpi=int(rng.integers(50, 90))),
    "dark": lambda rng: replace(ordinary(rng), dark=True),
    "thick": thick,
}


def drawn(record: Record, plot: Plot, rng: Rng) -> Pixels:
    length = plot.seconds * plot.speed
    width, height = (size + float(rng.uniform(5, 40)) for size in (length, plot.row * len(plot.rows)))
    figure = plt.figure(figsize=(width / 25.4, height / 25.4), facecolor="black" if plot.dark else "white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    weak, strong, ink = colours(plot, rng)
    for line, end in ((axes.axvline, width), (axes.axhline, height)):
        for mm in range(int(end) + 1):
            line(mm + 0.3, color=weak if mm % 5 else strong, linewidth=plot.line if mm % 5 else plot.strong)
    trace, letters = float(rng.uniform(0.6, 1.2)), float(rng.uniform(8, 12))
    for number, leads in enumerate(plot.rows):
        middle = height / 2 + plot.row * ((len(plot.rows) - 1) / 2 - number)
        samples = round(plot.seconds / len(leads) * record.fs)
        for column, lead in enumerate(leads):
            shown = record.signal[INDEX[lead], column * samples : (column + 1) * samples]
            left = (width - length) / 2 + column * length / len(leads)
            axes.plot(
                left + plot.speed / record.fs * np.arange(len(shown)), middle + 10 * shown, color=ink, linewidth=trace
            )
            axes.text(left + 1, middle + min(0.3 * plot.row, 12), lead, fontsize=letters, color=ink)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=plot.dpi, facecolor=figure.get_facecolor())
    plt.close(figure)
    return decoded(np.frombuffer(file.getvalue(), np.uint8))


def colours(plot: Plot, rng: Rng) -> list[tuple[float, ...]]:
    """Of lines 1 mm apart, of lines 5 mm apart, and of ink."""
    if plot.dark:
        weak, strong, ink = (np.full(3, level) for level in (rng.uniform(0.2, 0.45), rng.uniform(0.2, 0.45), 1.0))
    else:
        strong, ink = rng.uniform(0, (0.8, 0.5, 0.5)), np.full(3, rng.uniform(0, 0.2))
        weak = np.clip(rng.uniform(0, (0.8, 0.5, 0.5)) + rng.uniform(0, 0.2), 0, 1)
        weak = weak if rng.random() < 0.5 else np.array((1, 0.85, 0.85))
    return [tuple(each.tolist()) for each in (weak, weak if plot.equal else strong, ink)]


def decoded(file: np.ndarray) -> Pixels:
    return np.ascontiguousarray(cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1])


def is_right(scan: Scan, across: float, down: float) -> bool | None:
    """Whether the scale is that of a picture of so many pixels a mm; None where none was found."""
    if scan.page.px_per_mm is None:
        return None
    true = np.hypot(*scan.matrix[:2, :2]) * (across, down)
    return bool((np.abs(scan.page.px_per_mm / true - 1) < RIGHT).all())


def report(kind: str, found: list[bool | None]) -> None:
    print(
        f"{kind:10s}{len(found):6d} pages{found.count(None):6d} without a scale{found.count(False):6d} with a wrong one"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="pages of each kind")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    mpl.use("Agg")
    pulled: list[bool | None] = []
    for index, (kind, draw) in enumerate(KINDS.items()):
        found = []
        for number in range(chosen.count):
            rng = np.random.default_rng([chosen.seed, index, number])
            plot = draw(rng)
            picture = drawn(simulate((), rng=rng, fs=250), plot, rng)
            scale = plot.dpi / 25.4
            found.append(is_right(straighten(Page(picture)), scale, scale))
            if kind == "ordinary":
                across, down = rng.permutation([1.0, rng.uniform(1.1, 1.45)]).tolist()
                wide = np.asarray(cv2.resize(picture, None, fx=across, fy=down), np.uint8)
                pulled.append(is_right(straighten(Page(wide)), across * scale, down * scale))
        report(kind, found)
    report("pulled", pulled)
    blocks: list[bool | None] = []
    for number in range(chosen.count):
        rng = np.random.default_rng([chosen.seed, len(KINDS), number])
        page = render(simulate((), rng=rng, fs=250), "3x4+1", "plain", px_per_mm=float(rng.uniform(3, 9)))
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(10, 81))]
        picture = decoded(cv2.imencode(".jpg", page.pixels, quality)[1])
        blocks.append(None if straighten(Page(picture)).page.px_per_mm is None else False)
    report("blocks", blocks)


if __name__ == "__main__":
    main()
