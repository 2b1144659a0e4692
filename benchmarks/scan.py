"""Measure how well ``ecglens.paper.scan`` straightens pictures of pages; fit what tells edges and which way is up.

    python benchmarks/scan.py --count 200                   corners, turn, px/mm and time, by way and by grade
    python benchmarks/scan.py --count 24 --sheet sheet.png  also a contact sheet of before and after
    python benchmarks/scan.py --photos DIR --sheet s.png    a contact sheet of the pictures in a folder, without truth
    python benchmarks/scan.py --count 1000 --fit upright    fit and print the weights that are in upright.json
    python benchmarks/scan.py --count 8000 --fit edges --seed 9300    those in edges.json (10 minutes)

Pages are simulated records in every layout and in random styles, 2.5 to 8 pixels a mm, worn to grades 0.2 to 0.8 and
turned by 0, 90, 180 or 270 degrees. Corners are right if no part of the sheet's outline in the picture is farther than
2 % of the picture's diagonal from the outline found, nor the other way round. A photocopy or a fax shows white paper
on white, where no edge can be seen: there the outline found may lie anywhere between what is printed (traces and
letters) and the true edge, to the same 2 %. "Strict" is without that allowance. px/mm is right if it is within 3 % of
the truth over the straightened page (of pages with a grid).
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
import torch

from ecglens.io import read
from ecglens.paper import layouts, random_notes, random_style, render, wear
from ecglens.paper.damage import WAYS
from ecglens.paper.edges import LIKELY, halve, judge, list_lines, shrink
from ecglens.paper.page import NODE_MM, Page, Pixels
from ecglens.paper.scan import Scan, straighten
from ecglens.paper.upright import as_paper, describe_page, describe_rows, find_ink
from ecglens.simulator import simulate

Rng = np.random.Generator
Layer = tuple[np.ndarray, np.ndarray]  # weights and offsets of a network
SHARES = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)  # of WAYS
WHITE = ("photocopy", "fax")  # ways that show white paper on white
WORK = 720  # long side of the copy on which edges and print are looked for
UNCLEAR = -1
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


def cases(count: int, seed: int) -> Iterator[Case]:
    for number in range(count):
        yield case(np.random.default_rng([seed, number]))


def case(rng: Rng) -> Case:
    record = simulate(RHYTHMS[rng.integers(len(RHYTHMS))], rng=rng, fs=250, noise=float(rng.uniform(0, 1)))
    notes, style = random_notes(rng) if rng.random() < 0.5 else None, random_style(rng)
    layout = str(rng.choice([name for name in layouts() if not name.startswith("roll")]))
    page = render(record, layout, style, px_per_mm=float(rng.uniform(2.5, 8)), notes=notes)
    grade, way, quarters = float(rng.uniform(0.2, 0.8)), str(rng.choice(WAYS, p=SHARES)), int(rng.integers(4))
    worn = turned(wear(page, grade, rng, ways=(way,)), quarters)
    return Case(worn, printed(page, worn), -quarters % 4 * 90, way, grade, style.grid != "none")


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
        corners = (error(scan, one) < 0.02 for error in (seen_error, corner_error))
        row = (*corners, right, scale_error(scan.page) < 0.03 if one.grid else None)
        for group in ("all", one.way, f"grade {one.grade:.1f}"):
            rows[group].append(row)
        kept += [(one.page, scan)] * keep
    print(f"{'':14s}{'pages':>8s}{'corners':>9s}{'strict':>9s}{'turn':>9s}{'px/mm':>9s}")
    for group in ("all", *WAYS, *(f"grade {grade / 10}" for grade in range(2, 9))):
        figures = zip(*rows[group], strict=True) if rows[group] else [()] * 4
        print(f"{group:14s}{len(rows[group]):8d}" + "".join(f"{share(values):9.1%}" for values in figures))
    return kept


def share(values: tuple[bool | None, ...]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def fit_upright(samples: Iterator[Case]) -> None:
    """Print the weights of ``upright`` as JSON; the shares that are right when four fifths judge the last fifth."""
    rows, pages = [], []
    for one in samples:
        scan = straighten(turned(one.page, one.turn // 90))
        upright = turned(scan.page, -scan.turn // 90 % 4)
        work = shrink(upright.pixels, WORK)
        ink = find_ink(as_paper(work))
        rows.append(describe_rows(ink))
        scale = upright.px_per_mm and upright.px_per_mm * max(work.shape) / max(upright.pixels.shape)
        pages.append(describe_page(ink, scale))
    weights = {}
    for name, values, ridge in (("lying", np.array(rows), 3.0), ("upright", np.array(pages), 20.0)):
        spread = np.sqrt((values**2).mean(axis=0)) + 1e-9
        part = np.arange(len(values)) % 5
        odds = [values[part == k] / spread @ regress(values[part != k] / spread, ridge) for k in range(5)]
        print(f"# {name}: right {np.mean(np.concatenate(odds) > 0):.2%} of {len(values)}")
        weights[name] = [float(f"{weight:.4g}") for weight in regress(values / spread, ridge) / spread]
    print(json.dumps(weights))


def fit_edges(count: int, seed: int) -> None:
    """Print the network of ``edges`` as JSON, and how many sides it gets right when four fifths judge the last fifth.

    A side is right if the line that is taken is its edge, or if none is taken and none of the lines is.
    """
    with Pool() as pool:
        sides = [side for each in pool.starmap(label_lines, [(seed, k) for k in range(count)], 16) for side in each]
    part = np.array([side[0] for side in sides]) % 5
    network = train_edges([side[1:] for side, k in zip(sides, part, strict=True) if k])
    right = []
    for (_, traits, known), k in zip(sides, part, strict=True):
        if k == 0 and len(traits) and (known != UNCLEAR).all():
            odds = judge(traits, network)
            best = int(odds.argmax())
            right.append(known[best] == 1 if odds[best] > LIKELY else not known.any())
    print(f"# edges: right {np.mean(right):.2%} of {len(right)} sides")
    layers = [[shortened(values) for values in layer] for layer in train_edges([side[1:] for side in sides])]
    print(json.dumps([{"weights": weights, "offsets": offsets} for weights, offsets in layers]))


def shortened(values: np.ndarray) -> list:
    """Four digits of each value."""
    return [float(f"{each:.4g}") if values.ndim == 1 else shortened(each) for each in values]


def label_lines(seed: int, number: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Each side of a case: its number, the traits of the lines that may be its edge (n, 19), and if these are (n,)."""
    cv2.setNumThreads(1)
    one = case(np.random.default_rng([seed, number]))
    work = shrink(as_paper(halve(one.page.pixels, WORK)), WORK)
    scale, size = work.shape[1] / one.page.pixels.shape[1], np.array(work.shape[1::-1])
    assert one.page.nodes is not None
    nodes, ink = one.page.nodes * scale, one.printed * scale
    truth = np.roll([nodes[0, 0], nodes[0, -1], nodes[-1, -1], nodes[-1, 0]], -one.turn // 90 % 4, axis=0)
    shares = np.linspace(0, 1, 41)[:, None]
    sides = []
    for side, lines in enumerate(list_lines(work)):
        edge = truth[side] * (1 - shares) + truth[(side + 1) % 4] * shares
        seen = edge[((edge > 2) & (edge < size - 3)).all(axis=1)]
        known = [label(line.ends, seen, ink, float(np.hypot(*size)), one.way in WHITE) for line in lines]
        sides.append((number, np.array([line.traits for line in lines]), np.array(known)))
    return sides


def label(ends: np.ndarray, edge: np.ndarray, ink: np.ndarray, diagonal: float, white: bool) -> int:
    """1 if a line is the sheet's edge, of which ``edge`` is seen, 0 if not; ``UNCLEAR`` if nearly, or if it harms not.

    That is, on a white copy, beyond what is printed.
    """
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    inward = np.array([-along[1], along[0]])
    if white and ((ink - ends[0]) @ inward).min() > -0.005 * diagonal:
        return UNCLEAR
    if len(edge) < 3:
        return 0
    off = np.abs((edge - ends[0]) @ inward).max() / diagonal
    return 1 if off < 0.012 else UNCLEAR if off < 0.02 else 0


def train_edges(sides: list[tuple[np.ndarray, np.ndarray]]) -> list[Layer]:
    """Fit a network of ``UNITS`` to lines' traits and what they are; how widely traits vary is in its weights."""
    traits = np.concatenate([each for each, _ in sides if len(each)]).astype(np.float32)
    known = np.concatenate([each for _, each in sides if len(each)])
    traits, known = traits[known != UNCLEAR], known[known != UNCLEAR].astype(np.float32)
    middle, spread = traits.mean(axis=0), traits.std(axis=0) + 1e-6
    torch.manual_seed(0)
    hidden, last = torch.nn.Linear(traits.shape[1], UNITS), torch.nn.Linear(UNITS, 1)
    network = torch.nn.Sequential(hidden, torch.nn.ReLU(), last, torch.nn.Flatten(0))
    rows, right = torch.from_numpy((traits - middle) / spread), torch.from_numpy(known)
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
    weights = weights / spread[:, None]
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
    parser.add_argument("--photos", type=Path, help="folder of pictures to straighten instead")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    if chosen.fit:
        fit_edges(chosen.count, chosen.seed) if chosen.fit == "edges" else fit_upright(cases(chosen.count, chosen.seed))
        return
    if chosen.photos:
        pages = [page for path in sorted(chosen.photos.iterdir()) if isinstance(page := read(path), Page)]
        pairs = [(page, straighten(page)) for page in pages]
    else:
        pairs = measure(cases(chosen.count, chosen.seed), chosen.sheet is not None)
        measure_time()
    if chosen.sheet:
        cv2.imwrite(str(chosen.sheet), contact_sheet(pairs)[..., ::-1])


if __name__ == "__main__":
    main()
