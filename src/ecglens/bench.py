"""How long things take: the start, a diagnosis beside the network pass inside it, and what is done by the thousand."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.table import Table

from ecglens.diagnosis import diagnose
from ecglens.inputs import ImageSpec, SignalSpec, image_tensor, signal_tensors
from ecglens.intervals import measure
from ecglens.paper import render
from ecglens.runtime import WEIGHTS, load_model
from ecglens.simulator import simulate


def run(repeats: int) -> Table:
    """Return the table of medians over ``repeats``, in milliseconds."""
    rng = np.random.default_rng(0)
    record = simulate({"AF"}, rng=rng)
    page = render(record)
    image, signal = (load_model(WEIGHTS / f"{kind}.onnx") for kind in ("image", "signal"))
    assert isinstance(image.card.spec, ImageSpec)
    assert isinstance(signal.card.spec, SignalSpec)
    pixels = {"pixels": image_tensor(page, image.card.spec)}
    windows, _ = signal_tensors(record, signal.card.spec)
    height, width = page.pixels.shape[:2]
    table = Table("what", "median ms", "times the bare pass")
    table.add_row("ecglens --help", f"{_median(_help, min(repeats, 10)):.0f}", "")
    for name, bare, whole in (
        (f"page {width} x {height}", lambda: image.run(pixels), lambda: diagnose(page)),
        ("signal of 10 s", lambda: signal.run(windows), lambda: diagnose(record)),
    ):
        passed, answered = _median(bare, repeats), _median(whole, repeats)
        table.add_row(f"{name}, network pass", f"{passed:.1f}", "")
        table.add_row(f"{name}, diagnosis", f"{answered:.1f}", f"{answered / passed:.2f}")
    for name, work in (
        ("simulation of 10 s", lambda: simulate(None, rng=rng)),
        ("intervals of 10 s", lambda: measure(record)),
    ):
        spent = _median(work, 5 * repeats)
        table.add_row(f"{name} ({1000 / spent:.0f} a second)", f"{spent:.1f}", "")
    return table


def _help() -> None:
    subprocess.run([sys.executable, "-m", "ecglens", "--help"], check=True, capture_output=True)


def _median(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))
