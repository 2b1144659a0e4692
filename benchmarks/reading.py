"""Measure how well ``ecglens.paper.reading`` reads pages back to mV, and train the networks it reads with.

    python benchmarks/reading.py --records PTBXL --count 100 --seed 7           by grade of wear
    python benchmarks/reading.py --records PTBXL --count 100 --seed 7 --held    layouts and styles held out of training
    python benchmarks/reading.py --records PTBXL --fit OUT                      train
    python benchmarks/reading.py --records PTBXL --fit OUT --networks starts    train that one: 20 minutes on one core
    python benchmarks/reading.py --records PTBXL --fit OUT --begin FOLDER       train on from the graphs in a folder

Pages are records of PTB-XL (to measure: fold 9; to train: folds 1 to 8), drawn in random layouts and styles, most of
them worn, and straightened. Measured are the share of pages on which all twelve leads are found, of leads that are
taken for another one's place, and how far the traces read are from the true ones, which went through the same wear:
the median, and the share of columns that are more than 1 mm (0.1 mV) off.

``starts.onnx`` in the package is what ``--networks starts`` gives. ``names.onnx``, which finds names as well, but says
nothing of the side on which they stand, is of an earlier version of this command: pages had 3.2 to 8 pixels a mm, and
rows at least 0.75 times their usual height. On photographs it reads more lettering. ``traces.onnx`` went on from one of
that version, with six rows drawn more often, since tall complexes of one row were taken for the next one's:
``--networks traces --begin FOLDER --pages 1200 --steps 1500 --seed 11``, and again from there,
``--pages 1600 --steps 2600 --seed 12``. Its strips were then 48 mm high; they became 72 mm, the network was told which
row is the middle one, and far columns weighed more: ``--pages 1600 --steps 2600 --seed 21`` (at a rate of 1.5e-3, as
all before), and ``--pages 1600 --steps 2800 --seed 22``.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from legibility import save

from ecglens.datasets.index import Dataset, open_dataset
from ecglens.paper import Page, Trace, layouts, random_notes, random_style, render, styles, wear
from ecglens.paper.layout import Layout, load_layout
from ecglens.paper.page import Box, Pixels
from ecglens.paper.reading import PX_PER_MM, read_page
from ecglens.paper.reading.names import NAMES
from ecglens.paper.reading.rows import HEIGHT
from ecglens.paper.scan import straighten
from ecglens.paper.style import Style, load_style

if TYPE_CHECKING:
    import torch

Rng = np.random.Generator
HELD_LAYOUTS = ("3x4+2", "3x4-same", "6x2+1", "6x2-cabrera")
HELD_STYLES = ("mac", "cardiofax", "green", "viewer")
OFTEN = {"12x1": 1.5, "roll-1": 0.25, "roll-3": 0.6, "3x4+1-II": 2.0, "3x4+1": 1.5, "6x2": 3.0, "6x2-shuffled": 2.0}
ON_TRACE = 5.0  # pixels: names no farther from their trace stand on it
FARTHEST = 120.0  # pixels from a name to a trace that might be its
FAR = 48.0  # pixels from a row's level at which a column counts twice: tall waves are short
GAINS = ((5.0, 5.0), (20.0, 20.0), (10.0, 5.0))


class Drawn(NamedTuple):
    page: Page
    grade: float


class Sheet(NamedTuple):
    """A straightened page at the scale it is read at, and what is on it, in pixels."""

    pixels: Pixels
    names: np.ndarray  # (traces, 7): which name, its middle (x, y), where its trace begins (x, y), and where (y) if the
    # name stood over its trace and if it stood under it: once the same, once the next row's, NaN if there is none
    traces: list[tuple[int, np.ndarray]]  # first column, height in every column from there


def draw(dataset: Dataset, exams: np.ndarray, rng: Rng, held: bool, training: bool) -> Drawn:
    """A random page; to train, also of other speeds and gains than are read."""
    record = dataset.read(int(rng.choice(exams)))
    layout, style = draw_layout(rng, held, (0.65, 1.3) if training else (0.75, 1.2)), draw_style(rng, held)
    speed, gain = 25.0, (10.0, 10.0)
    if training and (chance := rng.random()) < 0.16:
        if chance < 0.06:
            layout, speed = replace(layout, seconds=layout.seconds / 2), 50.0
        else:
            gain = GAINS[rng.integers(len(GAINS))]
    if training and rng.random() < 0.4:
        style = replace(style, label_rise=-style.label_rise)  # nearly as many names under their traces as over them
    start = float(rng.uniform(0, max(record.duration - layout.duration, 0.5)))
    grade = 0.0 if rng.random() < 0.3 else float(rng.uniform(0.05, 0.95))
    least = 3.2 if grade < 0.6 else 4.5
    scale = float(np.exp(rng.uniform(np.log(least / 2), np.log(8)))) if training else float(rng.uniform(least, 8))
    turn = float(rng.uniform(-10, 10)) if grade == 0 and rng.random() < 0.5 else 0.0
    notes = random_notes(rng) if rng.random() < 0.4 else None
    page = render(
        record, layout, style, start=start, px_per_mm=scale, rotation=turn, speed=speed, gain=gain, notes=notes
    )
    return Drawn(wear(page, grade, rng) if grade else page, grade)


def draw_layout(rng: Rng, held: bool, heights: tuple[float, float]) -> Layout:
    names = HELD_LAYOUTS if held else [name for name in layouts() if name not in HELD_LAYOUTS]
    shares = np.array([OFTEN.get(name, 1.0) for name in names])
    layout = load_layout(str(rng.choice(names, p=shares / shares.sum())))
    return (
        layout if rng.random() < 0.5 else replace(layout, row_height=layout.row_height * float(rng.uniform(*heights)))
    )


def draw_style(rng: Rng, held: bool) -> Style:
    if held:
        return load_style(str(rng.choice(HELD_STYLES)))
    named = [name for name in styles() if name not in HELD_STYLES]
    return random_style(rng) if rng.random() < 0.7 else load_style(str(rng.choice(named)))


def heights(trace: Trace, columns: np.ndarray) -> np.ndarray:
    """How high a true trace is in each column, NaN where it is not."""
    points = trace.points[np.isfinite(trace.points).all(axis=1)]
    points = points[np.argsort(points[:, 0], kind="stable")]
    return np.interp(columns, *points.T, left=np.nan, right=np.nan) if len(points) else np.full(len(columns), np.nan)


def measure(pages: Iterator[Drawn]) -> None:
    rows: defaultdict[str, list[tuple[float, ...]]] = defaultdict(list)
    for page, grade in pages:
        flat = straighten(page).page
        began = time.process_time()
        reading = read_page(flat)
        spent = time.process_time() - began
        off, misplaced = errors(reading.page, flat)
        row = (
            float(not reading.missing),
            misplaced,
            len(off),
            np.sum(off > 1),
            np.median(off) if len(off) else np.nan,
            spent,
        )
        for group in ("all", "grade 0" if not grade else f"grade {np.ceil(grade * 5) / 5:.1f}"):
            rows[group].append(row)
    print(f"{'':10} {'pages':>5} {'12 found':>9} {'misplaced':>10} {'median mm':>10} {'over 1 mm':>10} {'CPU s':>6}")
    for group in sorted(rows):
        whole, misplaced, columns, far, middle, spent = np.array(rows[group]).T
        print(
            f"{group:10} {len(whole):5} {whole.mean():9.1%} {misplaced.sum() / (12 * len(whole)):10.2%} "
            f"{np.nanmedian(middle):10.3f} {far.sum() / max(columns.sum(), 1):10.2%} {np.median(spent):6.2f}"
        )


def errors(read: Page, flat: Page) -> tuple[np.ndarray, int]:
    """Distances (n,) in mm of the traces read from the true ones, and how many were taken from another place.

    A lead that a page shows twice may be read from either place.
    """
    assert flat.nodes is not None
    px_per_mm = float(np.nanmedian(np.linalg.norm(np.diff(flat.nodes, axis=1), axis=2))) / 5
    off, misplaced = [np.empty(0)], 0
    for trace in read.traces:
        shown = [true for true in flat.traces if true.lead.removeprefix("-") == trace.lead]
        away = [distances(trace, true) / px_per_mm for true in shown]
        far = min((each for each in away if len(each)), key=np.median, default=np.empty(0))
        if not len(far) or np.median(far) > 4:
            misplaced += 1
        else:
            off.append(far)
    return np.concatenate(off), misplaced


def distances(trace: Trace, true: Trace) -> np.ndarray:
    """How far (n,) a trace is from a true one in the columns of both, pixels; none if it is longer than twice those."""
    far = np.abs(heights(true, trace.points[:, 0]) - trace.points[:, 1])
    far = far[np.isfinite(far)]
    return far if len(far) >= 0.5 * np.isfinite(trace.points[:, 1]).sum() else far[:0]


def sheet(page: Page, rng: Rng) -> Sheet | None:
    """The page as it is read: straightened or, now and then, not, and at a scale that is sometimes a little off."""
    moved = rng.random() < 0.8
    flat = straighten(page).page if moved else page
    assert flat.nodes is not None
    true = float(np.nanmedian(np.linalg.norm(np.diff(flat.nodes, axis=1), axis=2))) / 5
    scale = flat.px_per_mm if moved else true * float(np.exp(rng.normal(0, 0.03)))
    if scale is None or not 0.6 < scale / true < 1.6:
        scale = true * float(np.exp(rng.normal(0, 0.06)))
    height, width = flat.pixels.shape[:2]
    size = (max(32, round(width * PX_PER_MM / scale)), max(32, round(height * PX_PER_MM / scale)))
    if size[0] * size[1] > 4e6:
        return None
    way = cv2.INTER_AREA if scale > PX_PER_MM else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(flat.pixels, size, interpolation=way), np.uint8)
    factors = np.array([size[0] / width, size[1] / height])
    labels = [box for box in flat.boxes if box.kind == "label"]
    panels = [box for box in flat.boxes if box.kind == "panel"]
    found = [on_sheet(*each, factors) for each in zip(flat.traces, labels, panels, strict=True)]
    kept = [each for each in found if each is not None]
    if not kept:
        return None
    names, traces = np.array([name for name, _ in kept]), [trace for _, trace in kept]
    return Sheet(pixels, np.column_stack([names[:, :5], over_and_under(names, traces)]), traces)


def over_and_under(names: np.ndarray, traces: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """(traces, 2) how far down the trace begins that each name would belong to, stood it over and under its trace."""
    out = np.full((len(names), 2), np.nan)
    for k, (_, _, middle, begin, level, panel) in enumerate(names.tolist()):
        others = [level_at(trace, begin) for j, trace in enumerate(traces) if j != k]
        near = [other for other in others if abs(other - middle) < FARTHEST]
        if abs(middle - panel) < ON_TRACE:
            out[k] = level
        elif middle < panel:
            out[k] = level, max((other for other in near if other < min(middle, level)), default=np.nan)
        else:
            out[k] = min((other for other in near if other > max(middle, level)), default=np.nan), level
    return out


def level_at(trace: tuple[int, np.ndarray], column: float) -> float:
    """How far down a trace is in the second after a column; NaN where it is not shown for at least half of it."""
    first, along = trace
    part = along[max(round(column) - first, 0) : max(round(column) - first + 160, 0)]
    return float(np.median(part)) if len(part) > 80 else np.nan


def on_sheet(
    trace: Trace, label: Box, panel: Box, factors: np.ndarray
) -> tuple[list[float], tuple[int, np.ndarray]] | None:
    """Which name, its middle (x, y), where its trace begins (x, y), the panel's middle there (y); and the trace."""
    points = (trace.points[np.isfinite(trace.points).all(axis=1)] + 0.5) * factors - 0.5
    if len(points) < 20 or np.ptp(points[:, 0]) < 20:
        return None
    points = points[np.argsort(points[:, 0], kind="stable")]
    columns = np.arange(int(np.ceil(points[0, 0])), int(points[-1, 0]) + 1)
    along = np.interp(columns, *points.T).astype(np.float32)
    middle, edge = ((corners.mean(axis=0) + 0.5) * factors - 0.5 for corners in (label.corners, panel.corners[[0, 3]]))
    begin = (points[0, 0], float(np.median(along[:160])))
    return [NAMES.index(trace.lead), *middle, *begin, edge[1]], (int(columns[0]), along)


def vary(pixels: Pixels, rng: Rng) -> np.ndarray:
    """Pixels in [0, 1] in other light, blurred or noisy."""
    out = pixels.astype(np.float32) / 255
    if rng.random() < 0.5:
        out = out * rng.uniform(0.75, 1.1, 3 if rng.random() < 0.3 else 1).astype(np.float32)
    if rng.random() < 0.3:
        out = (out - 0.5) * np.float32(rng.uniform(0.7, 1.2)) + 0.5
    if rng.random() < 0.15:
        out = np.repeat(out.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.15:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        out = out + rng.standard_normal(out.shape, np.float32) * rng.uniform(0, 0.05)
    return np.clip(out, 0, 1).astype(np.float32)


def name_example(page: Sheet, rng: Rng, size: tuple[int, int] = (512, 384)) -> tuple[np.ndarray, ...]:
    """A part of a page: pixels, how near each name is, its cell, and what is to be said of the cells around names.

    That is (4, h, w), NaN where not known: where its trace begins, as the network says it, and whether it stands under.
    """
    (width, height), scales = size, np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.06, 2))
    x, y = page.names[rng.integers(len(page.names)), 1:3] * scales - rng.uniform(0.05, 0.95, 2) * size
    matrix = np.array([[scales[0], 0, -x], [0, scales[1], -y]])
    pixels = np.asarray(cv2.warpAffine(page.pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    near, at = np.zeros((2, len(NAMES), height // 8, width // 8), np.float32)
    said = np.full((4, height // 8, width // 8), np.nan, np.float32)
    down, across = np.mgrid[: height // 8, : width // 8]
    for which, u, v, begin, level, over, under in (page.names * [1, *scales, *scales, scales[1], scales[1]]).tolist():
        u, v = u - x, v - y
        if not (-4 < u < width + 4 and -4 < v < height + 4):
            continue
        column, row = (u - 3.5) / 8, (v - 3.5) / 8
        distance = (across - column) ** 2 + (down - row) ** 2
        cell = (int(which), min(max(round(row), 0), height // 8 - 1), min(max(round(column), 0), width // 8 - 1))
        near[int(which)] = np.maximum(near[int(which)], np.exp(-distance / (2 * 0.6**2)))
        near[cell] = at[cell] = 1
        places = [(value - (down * 8 + 3.5)) / 40 for value in (over - y, under - y)]
        stands = np.full_like(distance, np.nan if over == under else float(level == under))
        here = distance < 1.6
        said[:, here] = np.stack([(begin - x - across * 8 - 3.5) / 40, *places, stands])[:, here]
    return vary(pixels, rng), near, at, said


def rows_of(page: Sheet) -> list[tuple[np.ndarray, float, float]]:
    """Rows of traces: height in every column of the page (NaN: none), level at column 0, and slope."""
    slopes = [np.polyfit(np.arange(len(along)), along, 1)[0] for _, along in page.traces if len(along) > 150]
    slope = float(np.clip(np.median(slopes or [0.0]), -0.2, 0.2))
    slope = slope if abs(slope) > 0.004 else 0.0
    levels = page.names[:, 4] - slope * page.names[:, 3]
    rows, left = [], list(np.argsort(levels))
    while left:
        members = [k for k in left if abs(levels[k] - levels[left[0]]) < 12]
        left = [k for k in left if k not in members]
        along = np.full(page.pixels.shape[1], np.nan, np.float32)
        for first, trace in (page.traces[k] for k in members):
            begin, end = max(first, 0), min(first + len(trace), len(along))
            along[begin:end] = trace[begin - first : max(end - first, 0)]
        rows.append((along, float(np.median(levels[members])), slope))
    return rows


def trace_example(page: Sheet, rng: Rng, width: int = 320) -> tuple[np.ndarray, ...] | None:
    """A part of a row: pixels, how high the trace is in each column (-1: not in the strip), and whether it is shown."""
    rows = rows_of(page)
    along, level, slope = rows[rng.integers(len(rows))]
    known = np.flatnonzero(np.isfinite(along))
    if len(known) < 50:
        return None
    scale, slope_seen = float(np.exp(rng.normal(0, 0.08))), slope + rng.normal(0, 0.004)
    first = int(rng.integers(max(0, known[0] - 80), max(known[-1] - 60, known[0] + 1)))
    middle = level + slope * first + rng.normal(0, 5)
    matrix = np.array([[1 / scale, 0, first], [slope_seen / scale, 1 / scale, middle - HEIGHT / 2 / scale]])
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(page.pixels, matrix, (width, HEIGHT), flags=way, borderMode=cv2.BORDER_REPLICATE)
    columns = np.arange(width) / scale
    at = first + columns
    shown = np.isfinite(along)[np.clip(np.rint(at).astype(int), 0, len(along) - 1)] & (at < len(along))
    true = np.interp(at, np.arange(len(along)), np.nan_to_num(along))
    high = (true - middle - slope_seen * columns) * scale + HEIGHT / 2
    inside = shown & (high >= 0) & (high <= HEIGHT - 1)
    return (
        vary(np.asarray(pixels, np.uint8), rng),
        np.where(inside, high, -1).astype(np.float32),
        shown.astype(np.float32),
    )


def name_loss(network: "torch.nn.Module", batch: "Sequence[torch.Tensor]") -> "torch.Tensor":
    """Focal loss of the names (Zhou et al., Objects as Points, 2019), distance of where traces begin, and the side."""
    from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

    pixels, near, at, said = batch
    answers = network(as_planes(pixels)).float()
    logits, chance = answers[:, : len(NAMES)], answers[:, : len(NAMES)].sigmoid()
    there = at * (1 - chance) ** 2 * logsigmoid(logits)
    nowhere = (1 - at) * (1 - near) ** 4 * chance**2 * logsigmoid(-logits)
    loss: torch.Tensor = -(there + nowhere).sum() / at.sum().clamp(min=1)
    known = ~said.isnan()
    places, stands = (answers[:, len(NAMES) :] - said.nan_to_num()).abs()[:, :3], known[:, 3]
    loss = loss + 2 * (places * known[:, :3]).sum() / known[:, 0].sum().clamp(min=1)
    side = binary_cross_entropy_with_logits(answers[:, -1], said[:, 3].nan_to_num(), reduction="none")
    return loss + 0.5 * (side * stands).sum() / stands.sum().clamp(min=1)


def trace_loss(network: "torch.nn.Module", batch: "Sequence[torch.Tensor]") -> "torch.Tensor":
    """Cross-entropy of heights, the truth being spread over a pixel or two, and of the trace being there."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

    pixels, high, shown = batch
    heights_said, shown_said = (answers.float() for answers in network(as_planes(pixels)))
    rows = torch.arange(HEIGHT)[None, :, None]
    spread = torch.exp(-((rows - high[:, None]) ** 2) / (2 * 0.8**2))
    spread = spread / spread.sum(1, keepdim=True).clamp(min=1e-6)
    known = high >= 0
    crossed = -(spread * log_softmax(heights_said, 1)).sum(1)
    weight = known * (1 + (high - HEIGHT / 2).abs() / FAR)
    loss: torch.Tensor = (crossed * weight).sum() / weight.sum().clamp(min=1)
    return loss + binary_cross_entropy_with_logits(shown_said, shown)


def as_planes(pixels: "torch.Tensor") -> "torch.Tensor":
    import torch

    return pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def fit(
    dataset: Dataset, out: Path, networks: Sequence[str], begin: Path | None, pages: int, steps: int, seed: int
) -> None:
    """Draw pages, train the networks on them, from the graphs in ``begin`` on if it is given, and write the graphs."""
    import torch

    from ecglens.models.reading import NameFinder, TraceFollower

    exams = dataset.in_folds(range(1, 9))
    kept = []
    for number in range(pages):
        rng = np.random.default_rng([seed, number])
        if (made := sheet(draw(dataset, exams, rng, held=False, training=True).page, rng)) is not None:
            kept.append(made._replace(pixels=cv2.imencode(".jpg", made.pixels, [cv2.IMWRITE_JPEG_QUALITY, 93])[1]))
    plans = {
        "starts": (name_example, name_loss, lambda: NameFinder(len(NAMES)), 8, 3),
        "traces": (trace_example, trace_loss, lambda: TraceFollower(HEIGHT), 16, 5),
    }
    for name in networks:
        example, loss, make, *sizes = plans[name]
        torch.manual_seed(seed)
        network, rate = make(), 4e-3
        if begin:
            take_up(network, begin / f"{name}.onnx")
            rate = 2.5e-3
        fitted = train(kept, steps, np.random.default_rng(seed), example, loss, network, rate, *sizes)
        write(fitted, out / f"{name}.onnx")


def take_up(network: "torch.nn.Module", path: Path) -> None:
    """Give a network the weights of its graph, in which every norm is part of the convolution before it."""
    import onnx
    import torch
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    values = {tensor.name.removesuffix(".stored"): numpy_helper.to_array(tensor) for tensor in graph.initializer}
    stored = [
        [torch.from_numpy(values[name].astype(np.float32)) for name in node.input[1:]]
        for node in graph.node
        if node.op_type == "Conv"
    ]
    if "places" in values:
        network.get_parameter("places").data.copy_(torch.from_numpy(values["places"].astype(np.float32)))
    modules = list(network.modules())
    convolutions = [k for k, module in enumerate(modules) if isinstance(module, torch.nn.Conv2d | torch.nn.Conv1d)]
    with torch.no_grad():
        for k, (weight, bias) in zip(convolutions, stored, strict=True):
            modules[k].weight.copy_(weight)
            norm = modules[k + 1] if modules[k].bias is None else modules[k]
            norm.bias.copy_(bias)
            if norm is not modules[k]:
                norm.running_var.fill_(1 - norm.eps)  # which with mean 0 and weight 1 changes nothing


def train(
    pages: list[Sheet], steps: int, rng: Rng, example, loss, network, rate: float, batch: int, each: int
) -> "torch.nn.Module":  # type: ignore[no-untyped-def]
    """Return the running mean of the weights; ``each`` examples are cut from a page, and mixed with those of others."""
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    network.to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    waiting: list[tuple[np.ndarray, ...]] = []
    for step in range(steps):
        while len(waiting) < 6 * batch:
            page = pages[rng.integers(len(pages))]
            page = page._replace(pixels=cv2.imdecode(page.pixels, cv2.IMREAD_COLOR))
            waiting += [made for made in (example(page, rng) for _ in range(each)) if made is not None]
        order = rng.permutation(len(waiting))
        chosen, waiting = [waiting[k] for k in order[:batch]], [waiting[k] for k in order[batch:]]
        examples = [torch.from_numpy(np.stack(values)) for values in zip(*chosen, strict=True)]
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(network, examples)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        cycle.step()
        average.update_parameters(network)
        if step % 100 == 99:
            print(f"step {step + 1}: loss {float(value):.4f}", flush=True)
    return average.module.eval()


def write(network: "torch.nn.Module", path: Path) -> None:
    """Write the graph, which takes strips and pages of any width."""
    import torch

    from ecglens.models.reading import NameFinder

    finds = isinstance(network, NameFinder)
    axes = {"names": {2: "h8", 3: "w8"}} if finds else {"heights": {2: "w"}, "shown": {1: "w"}}
    inputs = {"pixels": {2: "h", 3: "w"} if finds else {3: "w"}}
    save(network, {"pixels": torch.rand(1, 3, HEIGHT, 64)}, list(axes), path, inputs | axes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="folder of PTB-XL")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--held", action="store_true", help="layouts and styles that were held out of training")
    parser.add_argument(
        "--fit", type=Path, metavar="FOLDER", help="train, and write the graphs, as in src/ecglens/paper/reading"
    )
    parser.add_argument("--networks", nargs="+", choices=("starts", "traces"), default=("starts", "traces"))
    parser.add_argument("--begin", type=Path, metavar="FOLDER", help="of graphs whose weights to begin with")
    parser.add_argument("--pages", type=int, default=2200, help="to train on")
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    dataset = open_dataset(options.records)
    if options.fit:
        fit(dataset, options.fit, options.networks, options.begin, options.pages, options.steps, options.seed)
        return
    exams = dataset.in_folds([9])
    numbers = (np.random.default_rng([options.seed, number]) for number in range(options.count))
    measure(draw(dataset, exams, rng, options.held, training=False) for rng in numbers)


if __name__ == "__main__":
    main()
