"""How long things take: the start, a diagnosis beside the network pass inside it, and what is done by the thousand."""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from rich.table import Table

from ecglens.diagnosis import diagnose
from ecglens.inputs import SignalSpec, signal_tensors
from ecglens.intervals import measure
from ecglens.paper import render
from ecglens.paper.reading import read_page
from ecglens.paper.scan import straighten
from ecglens.record import Record
from ecglens.runtime import WEIGHTS, load_model
from ecglens.simulator import simulate


def run(repeats: int) -> Table:
    """Return the table of medians over ``repeats``, in milliseconds."""
    rng = np.random.default_rng(0)
    record = simulate({"AF"}, rng=rng)
    page = render(record, px_per_mm=6)
    page, traces = straighten(page).page, read_page(page).record
    assert traces is not None
    height, width = page.pixels.shape[:2]
    table = Table("what", "median ms", "times the bare pass")
    table.add_row("ecglens --help", f"{_median(_help, min(repeats, 10)):.0f}", "")
    steps = (("straightening", lambda: straighten(page)), ("reading", lambda: read_page(page)))
    for name, step in steps:
        table.add_row(f"page {width} x {height}, {name}", f"{_median(step, repeats):.1f}", "")
    for name, kind, given, ecg in (
        (f"page {width} x {height}", "image", traces, page),
        ("signal of 10 s", "signal", record, record),
    ):
        passed, answered = _median(_pass(kind, given), repeats), _median(partial(diagnose, ecg), repeats)
        table.add_row(f"{name}, network pass", f"{passed:.1f}", "")
        table.add_row(f"{name}, diagnosis", f"{answered:.1f}", f"{answered / passed:.2f}")
    for name, work in (
        ("simulation of 10 s", lambda: simulate(None, rng=rng)),
        ("intervals of 10 s", lambda: measure(record)),
    ):
        spent = _median(work, 5 * repeats)
        table.add_row(f"{name} ({1000 / spent:.0f} a second)", f"{spent:.1f}", "")
    return table


def _pass(kind: str, record: Record) -> Callable[[], object]:
    """The network's bare pass over what it is given of a record."""
    model = load_model(WEIGHTS / f"{kind}.onnx")
    assert isinstance(model.card.spec, SignalSpec)
    return partial(model.run, signal_tensors(record, model.card.spec)[0])


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
