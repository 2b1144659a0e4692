"""Measure how well ``ecglens.paper.scan`` straightens pictures of pages; fit what tells edges and which way is up.

    python benchmarks/scan.py --count 200                   corners, turn, px/mm and time, by way and by grade
    python benchmarks/scan.py --count 24 --sheet sheet.png  also a contact sheet of before and after
    python benchmarks/scan.py --count 200 --grounds         the same of pages on all kinds of grounds (``grounds.py``)
    python benchmarks/scan.py --photos DIR --sheet s.png    a contact sheet of the pictures in a folder, without truth
    python benchmarks/scan.py --count 3000 --fit upright    fit and print the weights that are in upright.json
    python benchmarks/scan.py --count 8000 --fit edges --seed 9300    those in edges.json (10 minutes,
                                                            needs the extra ``train``)

Pages are simulated records in every layout and in random styles, 2.5 to 8 pixels a mm, worn to grades 0.2 to 0.8 and
turned by 0, 90, 180 or 270 degrees. On grounds (of ``grounds.py``, which needs matplotlib) half of them are worn, to
grades 0.1 to 0.7, and pictures have 1600 pixels. Corners are right if no part of the sheet's outline in the picture is
farther than 2 % of the picture's diagonal from the outline found, nor the other way round. A photocopy or a fax shows
white paper on white, where no edge can be seen: there the outline found may lie anywhere between what is printed
(traces and letters) and the true edge, to the same 2 %. "Strict" is without that allowance. px/mm is right if it is
within 3 % of the truth over the straightened page (of pages with a grid).
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from grounds import lay

from ecglens.io import read
from ecglens.paper import layouts, random_notes, random_style, render, wear
from ecglens.paper.damage import WAYS
from ecglens.paper.edges import SEEN, Layer, choose, list_lines, shrink
from ecglens.paper.page import NODE_MM, Page, Pixels
from ecglens.paper.scan import Scan, straighten, working_copy
from ecglens.paper.style import load_style, styles
from ecglens.paper.upright import as_paper, describe_page, describe_rows, find_ink
from ecglens.processes import spread
from ecglens.simulator import simulate

Rng = np.random.Generator
SHARES = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)  # of WAYS
WHITE = ("photocopy", "fax")  # ways that show white paper on white
RIGHT = 0.02  # of the diagonal by which corners may be off
MOVING = ("desk", "perspective", "rotation", "crop", "hand", "curl")  # wear that moves a sheet, or what is around it
BRIGHT = 0.25  # share of the photographs that lie on a brighter desk, where edges are fitted
UNCLEAR, OTHER, EDGE = -1, 0, 1  # what a line is
UNITS, EPOCHS, BATCH, NOISE = 16, 25, 256, 0.1  # of the network that tells edges; noise in standard deviations
RHYTHMS = ((), (), (), ("AF",), ("ST",), ("SB",), ("RBBB",), ("LBBB",), ("1dAVb",))


@dataclass(frozen=True)
class Case:
    page: Page
    printed: np.ndarray  # points of traces and letters, (n, 2) pixels
    turn: int  # clockwise, that makes it upright
    way: str
    grade: float
    grid: bool


def cases(count: int, seed: int, draw: Callable[[Rng], Case]) -> Iterator[Case]:
    for number in range(count):
        yield draw(np.random.default_rng([seed, number]))


def draw_page(rng: Rng, finest: float, usual: bool = True) -> tuple[Page, bool]:
    """A page of up to ``finest`` pixels a mm, and whether it has a grid; a roll or a dark one only if not ``usual``."""
    record = simulate(RHYTHMS[rng.integers(len(RHYTHMS))], rng=rng, fs=250, noise=float(rng.uniform(0, 1)))
    notes, style = random_notes(rng) if rng.random() < 0.5 else None, random_style(rng)
    layout = str(rng.choice([name for name in layouts() if not usual or not name.startswith("roll")]))
    if not usual and rng.random() < 0.4:
        style = load_style(str(rng.choice(styles())))
    return render(record, layout, style, px_per_mm=float(rng.uniform(2.5, finest)), notes=notes), style.grid != "none"


def case(rng: Rng) -> Case:
    page, grid = draw_page(rng, 8)
    grade, way, quarters = float(rng.uniform(0.2, 0.8)), str(rng.choice(WAYS, p=SHARES)), int(rng.integers(4))
    worn = turned(wear(page, grade, rng, ways=(way,)), quarters)
    return Case(worn, printed(page, worn), -quarters % 4 * 90, way, grade, grid)


def laid_case(rng: Rng) -> Case:
    """A page on any ground, as a camera of two megapixels sees it."""
    (page, grid), quarters = draw_page(rng, 8), int(rng.integers(4))
    grade = float(rng.uniform(0.1, 0.7)) if rng.random() < 0.5 else 0.0
    worn = wear(page, grade, rng, ways=("photo",), without=MOVING)
    laid = lay(turned(worn, quarters), rng, 1600)
    return Case(laid.page, np.empty((0, 2)), -quarters % 4 * 90, laid.ground, grade, grid)


def printed(page: Page, worn: Page) -> np.ndarray:
    """Where the print of a drawn page, but not its grid, lies in a picture of it: four corners, to 5 mm."""
    assert worn.nodes is not None
    assert page.px_per_mm is not None
    rows, columns = np.nonzero(find_ink(as_paper(page.pixels)))
    last = np.array(worn.nodes.shape[:2]) - 1
    low, high = (np.array([f(rows), f(columns)]) / page.px_per_mm / NODE_MM for f in (np.min, np.max))
    (top, left), (bottom, right) = (np.clip(np.rint(each).astype(int), 0, last) for each in (low, high))
    return worn.nodes[[top, top, bottom, bottom], [left, right, right, left]]


def turned(page: Page, quarters: int) -> Page:
    """The page turned clockwise."""
    for _ in range(quarters):
        height = page.pixels.shape[0]
        pixels = np.ascontiguousarray(np.rot90(page.pixels, -1))
        page = page.moved(pixels, lambda points, last=height - 1: np.column_stack([last - points[:, 1], points[:, 0]]))
    return page


def corner_error(found: Scan, case: Case, least: np.ndarray | None = None) -> float:
    """How far the outline of the sheet found lies beyond the true sheet, or within it, as a share of the diagonal.

    Within: of the whole sheet, or of points on it that are ``least`` to be kept.
    """
    nodes = case.page.nodes
    assert nodes is not None
    truth = np.array([nodes[0, 0], nodes[0, -1], nodes[-1, -1], nodes[-1, 0]])
    height, width = case.page.pixels.shape[:2]
    frame = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float32)
    corners = (truth, found.corners, truth if least is None else least)
    sheet, outline, kept = (cv2.intersectConvexConvex(hull(each), frame)[1] for each in corners)
    if sheet is None or outline is None or kept is None:
        return 1.0
    beyond, within = (max(0.0, *farthest(*pair)) for pair in ((outline, sheet), (kept, outline)))
    return max(beyond, within) / float(np.hypot(height, width))


def seen_error(found: Scan, case: Case) -> float:
    """``corner_error``, but a white copy's edge, which nothing shows, may lie anywhere beyond its print."""
    return corner_error(found, case, case.printed if case.way in WHITE else None)


def hull(corners: np.ndarray) -> np.ndarray:
    return cv2.convexHull(corners.astype(np.float32).reshape(-1, 1, 2))


def farthest(corners: np.ndarray, outline: np.ndarray) -> list[float]:
    """How far each of ``corners`` is outside of an outline; below 0 within it."""
    return [-cv2.pointPolygonTest(outline, tuple(map(float, point)), True) for point in corners.reshape(-1, 2)]


def scale_error(page: Page) -> float:
    """By what share the page's px/mm is off, across or down; what is cut off does not count."""
    if page.px_per_mm is None:
        return 1.0
    assert page.nodes is not None
    inside = ((page.nodes >= 0) & (page.nodes < np.array(page.pixels.shape[1::-1]))).all(axis=2)
    rows, columns = np.nonzero(inside)
    if np.ptp(rows) < 4 or np.ptp(columns) < 4:
        return 1.0
    flat = np.column_stack([columns, rows, np.ones(len(rows))])
    slopes = np.linalg.lstsq(flat, page.nodes[inside], rcond=None)[0][:2] / NODE_MM
    return float(np.abs(np.hypot(*slopes.T) / page.px_per_mm - 1).max())


def measure(samples: Iterator[Case], keep: bool) -> list[tuple[Page, Scan]]:
    """Print the shares that are right; return the pages before and after, if these are to be kept."""
    rows = defaultdict(list)
    kept = []
    for one in samples:
        scan = straighten(one.page)
        right = scan.turn == one.turn
        corners = (error(scan, one) < RIGHT for error in (seen_error, corner_error))
        row = (*corners, right, scale_error(scan.page) < 0.03 if one.grid else None)
        for group in ("all", one.way, f"grade {one.grade:.1f}"):
            rows[group].append(row)
        kept += [(one.page, scan)] * keep
    print(f"{'':14s}{'pages':>8s}{'corners':>9s}{'strict':>9s}{'turn':>9s}{'px/mm':>9s}")
    for group in sorted(rows, key=lambda name: (name != "all", name.startswith("grade"), name)):
        figures = zip(*rows[group], strict=True)
        print(f"{group:14s}{len(rows[group]):8d}" + "".join(f"{share(values):9.1%}" for values in figures))
    return kept


def share(values: tuple[bool | None, ...]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def fit_upright(count: int, seed: int) -> None:
    """Print the weights of ``upright`` as JSON; the shares that are right when four fifths judge the last fifth."""
    described = list(spread(partial(describe_upright, seed), range(count)))
    rows, pages = ([each[k] for each in described] for k in range(2))
    weights = {}
    for name, values, ridge in (("lying", np.array(rows), 3.0), ("upright", np.array(pages), 20.0)):
        usual = np.sqrt((values**2).mean(axis=0)) + 1e-9
        part = np.arange(len(values)) % 5
        odds = [values[part == k] / usual @ regress(values[part != k] / usual, ridge) for k in range(5)]
        print(f"# {name}: right {np.mean(np.concatenate(odds) > 0):.2%} of {len(values)}")
        weights[name] = shortened(regress(values / usual, ridge) / usual)
    print(json.dumps(weights))


def describe_upright(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """``describe_rows`` and ``describe_page`` of a case's page, straightened and upright."""
    one = case(np.random.default_rng([seed, number]))
    scan = straighten(turned(one.page, one.turn // 90))
    upright = turned(scan.page, -scan.turn // 90 % 4).pixels
    work = shrink(upright, 720)
    ink = find_ink(as_paper(work))
    scale = scan.page.px_per_mm and scan.page.px_per_mm * max(work.shape) / max(upright.shape)
    return describe_rows(ink), describe_page(ink, scale)


def fit_edges(count: int, seed: int) -> None:
    """Print the network of ``edges`` as JSON, and how four fifths of the pages judge the others' sides.

    Taken: sides on which a line is taken; of these, wrong ones. Missed: sides on which none is, though an edge is among
    the lines. An edge in the picture of which no line was listed does not count.
    """
    labelled = list(spread(partial(label_lines, seed), range(count)))
    sides, others = (list(chain.from_iterable(part)) for part in (labelled, labelled[::5]))
    network = train_edges([side for number, each in enumerate(labelled) if number % 5 for side in each], seed)
    picks = [(choose(traits, network), known) for traits, known in others]
    taken = [known[best] for best, known in picks if best is not None]
    missed = [bool((known == EDGE).any()) for best, known in picks if best is None]
    print(f"# edges: {len(picks)} sides, {len(taken)} taken ({taken.count(OTHER)} wrong), {sum(missed)} missed")
    layers = train_edges(sides, seed)
    print(json.dumps([{"weights": shortened(weights), "offsets": shortened(offsets)} for weights, offsets in layers]))


def shortened(values: np.ndarray) -> list:
    """Four digits of each value."""
    return [float(f"{each:.4g}") if values.ndim == 1 else shortened(each) for each in values]


def label_lines(seed: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each side of a case: the traits (n, 19) of the lines listed, and what ``label`` says of these (n,)."""
    rng = np.random.default_rng([seed, number])
    one = case(rng)
    assert one.page.nodes is not None
    page = brighter_desk(one.page, rng) if one.way == "photo" and rng.random() < BRIGHT else one.page
    work = working_copy(page.pixels)
    scale = work.shape[1] / page.pixels.shape[1]
    nodes, ink = ((points + 0.5) * scale - 0.5 for points in (one.page.nodes, one.printed))
    truth = sides_of(nodes)
    sides = []
    for side, lines in enumerate(list_lines(work)):
        edge = truth[(side + one.turn // 90) % 4]
        known = [label(line.ends, edge, ink, work.shape[:2], one.way in WHITE) for line in lines]
        sides.append((np.array([line.traits for line in lines]), np.array(known)))
    return sides


def sides_of(nodes: np.ndarray) -> list[np.ndarray]:
    """Points along the upper, right, lower and left side of the upright sheet, (n, 2) each, clockwise."""
    return [nodes[0], nodes[:, -1], nodes[-1, ::-1], nodes[::-1, 0]]


def brighter_desk(page: Page, rng: Rng) -> Page:
    """The page, dimmed, on a desk that is brighter than it, such as ``wear`` does not draw."""
    assert page.nodes is not None
    sheet = np.zeros(page.pixels.shape[:2], np.uint8)
    cv2.fillPoly(sheet, [np.rint(np.concatenate(sides_of(page.nodes))).astype(np.int32)], 255)
    inside = cv2.GaussianBlur(sheet, (0, 0), 0.8)[..., None] / 255
    paper = float(np.median(page.pixels[sheet > 0].max(axis=1))) if sheet.any() else 255.0
    dim = min(1.0, float(rng.uniform(80, 240)) / max(1.0, paper))
    ground = rng.uniform(min(250.0, 1.08 * dim * paper), 255) + rng.uniform(-12, 0, 3)
    desk = ground + (page.pixels - page.pixels[sheet == 0].mean() if (sheet == 0).any() else 0) * rng.uniform(0, 0.25)
    pixels = np.clip(inside * dim * page.pixels + (1 - inside) * desk, 0, 255)
    return replace(page, pixels=np.asarray(pixels, np.uint8))


def label(ends: np.ndarray, edge: np.ndarray, ink: np.ndarray, size: tuple[int, ...], white: bool) -> int:
    """``EDGE`` if a line (2, 2) lies along the sheet's ``edge`` (n, 2), ``OTHER`` if not, ``UNCLEAR`` if nearly.

    All in pixels of a picture of ``size`` (height, width). Of the edge only what is in the picture counts, or all of it
    where that is little. On a white copy a line beyond all ``ink`` (4, 2) does no harm and is ``UNCLEAR``.
    """
    diagonal = float(np.hypot(*size))
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    inward = np.array([-along[1], along[0]])
    if white and ((ink - ends[0]) @ inward).min() > -0.005 * diagonal:
        return UNCLEAR
    seen = ((edge > 2) & (edge < np.array(size[::-1]) - 3)).all(axis=1)
    if not seen.any():
        return OTHER
    off = np.abs((edge - ends[0]) @ inward) / diagonal
    farthest_off = off.max() if seen.mean() < SEEN else off[seen].max()
    near = UNCLEAR if off[seen].max() < RIGHT else OTHER
    return EDGE if farthest_off < 0.6 * RIGHT else near


def train_edges(sides: list[tuple[np.ndarray, np.ndarray]], seed: int) -> list[Layer]:
    """Fit a network of ``UNITS`` to lines' traits and labels; the traits' mean and spread end up in its first layer."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    traits = np.concatenate([each for each, _ in sides if len(each)]).astype(np.float32)
    known = np.concatenate([each for _, each in sides if len(each)])
    traits, known = traits[known != UNCLEAR], known[known != UNCLEAR].astype(np.float32)
    middle, deviation = traits.mean(axis=0), traits.std(axis=0) + 1e-6
    hidden, last = torch.nn.Linear(traits.shape[1], UNITS), torch.nn.Linear(UNITS, 1)
    network = torch.nn.Sequential(hidden, torch.nn.ReLU(), last, torch.nn.Flatten(0))
    rows, right = torch.from_numpy((traits - middle) / deviation), torch.from_numpy(known)
    steps = EPOCHS * -(-len(rows) // BATCH)
    adam = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows)).split(BATCH):
            odds = network(rows[batch] + NOISE * torch.randn(len(batch), traits.shape[1]))
            adam.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(odds, right[batch]).backward()
            adam.step()
            schedule.step()
    (weights, offsets), out = ((each.weight.detach().numpy().T, each.bias.detach().numpy()) for each in (hidden, last))
    weights = weights / deviation[:, None]
    return [(weights, offsets - middle @ weights), out]


def regress(rows: np.ndarray, ridge: float) -> np.ndarray:
    """Logistic regression without an offset, of rows that are all of one kind: their negatives are the other."""
    weights = np.zeros(rows.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (1 - chance) - ridge * weights
        curvature = (rows * (chance * (1 - chance) + 1e-4)[:, None]).T @ rows + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        weights += step * min(1.0, 5 / np.abs(step).max())
    return weights


def measure_time() -> None:
    """Process time of a photograph of 12 megapixels, and of a flat page as large, ms, least of some."""
    record = simulate((), rng=np.random.default_rng(1), fs=250)
    page = render(record, "3x4+1", "red", px_per_mm=4032 / 280)
    photo = wear(page, 0.6, np.random.default_rng(2), ways=("photo",))
    for name, given in (("photo", photo), ("flat", page)):
        given = Page(np.asarray(cv2.resize(given.pixels, (4032, 3024)), np.uint8))
        times = []
        for _ in range(7):
            start = time.process_time()
            straighten(given)
            times.append(time.process_time() - start)
        print(f"{name}, 12 megapixels: {1e3 * min(times):.0f} ms")


def contact_sheet(pairs: list[tuple[Page, Scan]], columns: int = 3) -> Pixels:
    """Before, with the sheet found, and after, with 50 mm each way."""
    tiles = []
    for page, scan in pairs:
        before, after = page.pixels.copy(), scan.page.pixels.copy()
        pen = [max(2, max(pixels.shape) // 250) for pixels in (before, after)]
        cv2.polylines(before, [np.rint(scan.corners).astype(np.int32)], True, (255, 0, 0), pen[0])
        if scan.page.px_per_mm:
            length, middle = 50 * scan.page.px_per_mm, np.array(after.shape[1::-1]) / 2
            ends = middle + np.array([(length, 0), (0, 0), (0, length)])
            cv2.polylines(after, [np.rint(ends).astype(np.int32)], False, (0, 0, 255), pen[1])
        tiles.append(np.hstack([framed(before), framed(after)]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, len(tiles), columns)])


def framed(pixels: Pixels, size: tuple[int, int] = (320, 240)) -> Pixels:
    fit = min(size[0] / pixels.shape[1], size[1] / pixels.shape[0])
    small = cv2.resize(pixels, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)[: size[1], : size[0]]
    rest = (0, size[1] - small.shape[0] + 4, 0, size[0] - small.shape[1] + 4)
    return np.asarray(cv2.copyMakeBorder(small, *rest, cv2.BORDER_CONSTANT, value=(255, 0, 255)), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="contact sheet to write (PNG)")
    parser.add_argument("--fit", choices=("upright", "edges"), help="what to fit instead")
    parser.add_argument("--grounds", action="store_true", help="pages on all kinds of grounds, instead of worn ones")
    parser.add_argument("--photos", type=Path, help="folder of pictures to straighten instead")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    if chosen.fit:
        fit = fit_edges if chosen.fit == "edges" else fit_upright
        fit(chosen.count, chosen.seed)
        return
    if chosen.photos:
        pages = [page for path in sorted(chosen.photos.iterdir()) if isinstance(page := read(path), Page)]
        pairs = [(page, straighten(page)) for page in pages]
    else:
        pairs = measure(
            cases(chosen.count, chosen.seed, laid_case if chosen.grounds else case), chosen.sheet is not None
        )
        measure_time()
    if chosen.sheet:
        cv2.imwrite(str(chosen.sheet), contact_sheet(pairs)[..., ::-1])


if __name__ == "__main__":
    main()
