"""Measure how fast pages are drawn, and compare with the PyPI package ecg_plot, side by side on one core.

    pip install ecg_plot==0.2.8        draws with Matplotlib, which the development extra brings
    pip install "ecg_plot[export]"     0.3 and later: writes SVG, which CairoSVG draws
    python benchmarks/pages.py                     times of pages, fresh and worn, and of ecg_plot where it is installed
    python benchmarks/pages.py --memory 100000     also draw so many training pages and report the memory they hold

Both draw the same ten seconds of twelve leads in six rows and two columns, at the same number of pixels, from samples
to pixels in memory; no file is written. Times are processor time of the fastest of several runs, as other work on the
machine only adds to them.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle

import cv2
import numpy as np

from ecglens.leads import LEADS
from ecglens.paper import draw, layouts, random_page, render, styles
from ecglens.paper.layout import Layout, Margin, load_layout
from ecglens.paper.sheet import compose
from ecglens.record import Record

FS = 300.0  # the rate at which training keeps signals


def ecg() -> Record:
    """Ten seconds of beats and noise."""
    rng, t = np.random.default_rng(0), np.arange(round(10 * FS)) / FS
    beats = np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2)) + 0.2 * np.exp(-(((t % 0.8 - 0.65) / 0.05) ** 2))
    signal = np.outer(rng.uniform(-1.2, 1.2, 12), beats) + rng.normal(0, 0.01, (12, len(t)))
    return Record(signal.astype(np.float32), FS)


def fastest(work: Callable[[], object], runs: int, repeats: int) -> float:
    """Milliseconds of processor time a call, of the fastest run of ``repeats`` calls."""
    work()
    found = []
    for _ in range(runs):
        began = time.process_time()
        for _ in range(repeats):
            work()
        found.append((time.process_time() - began) / repeats)
    return 1000 * min(found)


def draw_with_ecg_plot(record: Record) -> np.ndarray:
    """Return the pixels of ecg_plot's page, (H, W, 4), at 100 dots an inch."""
    import ecg_plot

    if version("ecg_plot") < "0.3":
        import matplotlib as mpl
        from matplotlib import pyplot as plt

        mpl.use("agg")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ecg_plot.plot(record.signal, sample_rate=FS, title="")
        figure = plt.gcf()
        figure.set_dpi(100)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba())
        plt.close(figure)
        return pixels
    from cairosvg.parser import Tree
    from cairosvg.surface import PNGSurface

    chart = ecg_plot.plot(record.signal, sample_rate=FS, lead_names=LEADS, layout="limb-chest")
    surface = PNGSurface(Tree(bytestring=chart.to_svg().encode()), None, dpi=100).cairo
    return np.frombuffer(surface.get_data(), np.uint8).reshape(surface.get_height(), surface.get_width(), 4)


def as_large_as(pixels: np.ndarray, record: Record) -> Callable[[], np.ndarray]:
    """Drawing the record as ecg_plot lays it out, on as many pixels."""
    base, width = load_layout("6x2-same"), 2 * 10 * 25.0 + 20
    px_per_mm = pixels.shape[1] / width
    height = pixels.shape[0] / px_per_mm
    wide: Layout = replace(base, seconds=10.0, row_height=(height - 20) / 6, margin=Margin(10, 5, 10, 15))
    return lambda: draw(compose(record, wide), px_per_mm).pixels


def compare(record: Record, runs: int) -> None:
    """Print both packages' times, and how many times as fast ecglens is."""
    try:
        name = f"ecg_plot {version('ecg_plot')}"
    except PackageNotFoundError:
        print("ecg_plot is not installed: nothing to compare with")
        return
    theirs = draw_with_ecg_plot(record)
    ours = as_large_as(theirs, record)
    shape = ours().shape
    times = [(fastest(lambda: draw_with_ecg_plot(record), 1, 1), fastest(ours, 1, 5)) for _ in range(runs)]
    their_time, our_time = np.min(times, axis=0)
    print(f"{name:<32}{theirs.shape[1]} x {theirs.shape[0]} {their_time:10.1f} ms")
    print(
        f"{'ecglens, the same':<32}{shape[1]} x {shape[0]} {our_time:10.1f} ms: {their_time / our_time:.0f} x as fast"
    )


def measure_training(record: Record, size: int, wear: float, runs: int) -> float:
    """Milliseconds a training page, over the same hundred pages in each run."""
    seeds = cycle(range(100))
    return fastest(lambda: random_page(record, np.random.default_rng(next(seeds)), size, wear=wear), runs, 100)


def hold(record: Record, pages: int) -> None:
    """Print the most memory held after a tenth of the pages, and after all of them."""
    for page in range(pages):
        random_page(record, np.random.default_rng(page), wear=page % 2 / 2)  # every other one worn
        if page + 1 in (pages // 10, pages):
            print(f"memory after {page + 1} pages: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12, help="runs, of which the fastest counts")
    parser.add_argument("--memory", type=int, default=0, help="training pages to draw for the memory they hold")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    record = ecg()
    for size, wear in ((300, 0.0), (300, 0.5), (300, 1.0), (224, 0.0), (512, 0.0)):
        name = f"training page, worn to {wear:g}" if wear else "training page"
        print(f"{name:<32}{size} x {size} {measure_training(record, size, wear, arguments.runs):10.2f} ms")
    page, usual = render(record).pixels.shape, fastest(lambda: render(record), arguments.runs, 3)
    print(f"{'3x4+1 at 8 pixels per mm':<32}{page[1]} x {page[0]} {usual:10.1f} ms")
    slowest = max(
        (fastest(lambda a=a, b=b: render(record, a, b), 2, 1), a, b) for a in layouts() for b in styles()[::6]
    )
    print(f"slowest of all layouts and every sixth style: {slowest[0]:.1f} ms, {slowest[1]} in {slowest[2]}")
    compare(record, arguments.runs)
    if arguments.memory:
        hold(record, arguments.memory)


if __name__ == "__main__":
    main()
