"""Train the network of ``ecglens.paper.outline``, which finds the sheet in a picture.

    python benchmarks/outline.py --count 6000 --seed 9300 --out outline.onnx    45 minutes (needs ``train``)

It learns from worn pages as ``scan.py`` measures them, from pages laid on all kinds of grounds (``grounds.py``), and
from some as they are. 6000 cases take 8 GB. The released network was trained so before grounds had tiles, squared
paper, heaps of papers and rulers; with them, so many cases gave more of tiles (28 sheets of 28 found, 24 before), but
less of other papers (18 of 32, 22 before) and of worn pages, so it stayed.
"""

import argparse
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from grounds import lay, shine
from legibility import clip, save
from scan import MOVING, WHITE, case, draw_page, sides_of, turned

from ecglens.paper import wear
from ecglens.paper.outline import CELLS, see
from ecglens.paper.page import Page
from ecglens.processes import spread

if TYPE_CHECKING:
    import torch

Rng = np.random.Generator
UNITS, EPOCHS, BATCH = (12, 24, 40, 56, 64), 7, 32
WHOLE = 0.2  # share of the pages that it also sees as they are


def fit(count: int, seed: int, path: Path) -> None:
    """Train the network and write it to ``path``; print how it judges a twentieth of the cases that it has not seen.

    Wrong: the share of cells it takes for the sheet or not, and is wrong; far off: pages with more than 2 % of these.
    """
    import torch

    drawn = list(spread(partial(draw_views, seed), range(count)))
    kept = np.repeat(np.arange(count) % 20 > 0, [len(views) for views in drawn])
    columns = Views(*(np.stack(column) for column in zip(*(view for views in drawn for view in views), strict=True)))
    del drawn
    model = train_sheets(Views(*(column[kept] for column in columns)), seed)
    wrong = judge_sheets(model, Views(*(column[~kept] for column in columns)))
    far_off = (wrong > 0.02).mean()
    print(f"{kept.sum()} learnt, {len(wrong)} judged: {wrong.mean():.2%} of cells wrong, far off {far_off:.1%}")
    save(model, {"pixels": torch.zeros(1, 3, 2 * CELLS, 2 * CELLS)}, ["sheet"], path)


class Views(NamedTuple):
    """Pictures as the network sees them (n, S, S, 3), the sheet's share of each cell (n, s, s) and if it is known."""

    pictures: np.ndarray
    shares: np.ndarray
    known: np.ndarray


def draw_views(seed: int, number: int) -> list[Views]:
    """A case, and another page on two grounds; now and then that page as it is, too."""
    rng = np.random.default_rng([seed, number])
    one = case(rng)
    views = [view(one.page, one.printed if one.way in WHITE else None)]
    page = turned(draw_page(rng, 6, usual=False)[0], int(rng.integers(4)))
    if rng.random() < WHOLE:
        pixels = clip(shine(page.pixels, rng)) if rng.random() < 0.5 else page.pixels
        views.append(view(replace(page, pixels=pixels), None))
    if rng.random() < 0.5:
        page = wear(page, float(rng.uniform(0.1, 0.7)), rng, ways=("photo",), without=MOVING)
    return [*views, *(view(lay(page, rng, 640).page, None) for _ in range(2))]


def view(page: Page, ink: np.ndarray | None) -> Views:
    """One view; on a white copy it is not known where beyond its ``ink`` (4, 2) the sheet ends."""
    assert page.nodes is not None
    size = page.pixels.shape[1::-1]
    shares = cells(np.concatenate(sides_of(page.nodes)), size)
    within = np.full_like(shares, 255) if ink is None else cells(cv2.convexHull(ink)[:, 0], size)
    return Views(see(page.pixels), shares, (shares == 0) | (within == 255))


def cells(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The share (0-255) of each cell of a picture of ``size`` that is within an outline (n, 2)."""
    fine = 8 * CELLS
    cover = np.zeros((fine, fine), np.uint8)
    points = (outline + 0.5) * fine / np.array(size) - 0.5
    cv2.fillPoly(cover, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.resize(cover, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.uint8)


def network() -> "torch.nn.Module":
    """Convolutions down to 6 x 6 cells and up again, each stage up with what the same stage down saw."""
    import torch
    from torch import nn

    def stage(inside: int, outside: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(stage(3, UNITS[0], 2), stage(UNITS[0], UNITS[0]))
            self.down = nn.ModuleList(nn.Sequential(stage(a, b, 2), stage(b, b)) for a, b in pairwise(UNITS))
            self.deepest = stage(UNITS[-1], UNITS[-1])
            self.up = nn.ModuleList(stage(a + b, b) for a, b in pairwise(UNITS[::-1]))
            self.last = nn.Conv2d(UNITS[0], 1, 1)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            seen = [self.first(pictures)]
            for down in self.down:
                seen.append(down(seen[-1]))
            found = self.deepest(seen.pop())
            for up in self.up:
                wider = nn.functional.interpolate(found, scale_factor=2.0, mode="nearest")
                found = up(torch.cat([wider, seen.pop()], 1))
            return self.last(found)[:, 0]

    return Network()


def train_sheets(views: Views, seed: int) -> "torch.nn.Module":
    """AdamW with one cycle of the rate."""
    import torch

    torch.manual_seed(seed)
    rng, model = np.random.default_rng(seed), network().to(memory_format=torch.channels_last)
    count = len(views.pictures)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=EPOCHS * (count // BATCH), pct_start=0.15)
    for _ in range(EPOCHS):
        order = rng.permutation(count)
        for at in range(0, count - BATCH + 1, BATCH):
            some = order[at : at + BATCH]
            pictures, shares, known = varied(Views(*(column[some] for column in views)), rng)
            losses = torch.nn.functional.binary_cross_entropy_with_logits(model(pictures), shares, reduction="none")
            optimiser.zero_grad()
            ((losses * known).sum() / known.sum()).backward()
            optimiser.step()
            cycle.step()
    return model.eval()


def varied(views: Views, rng: Rng) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """A batch turned or mirrored, some of it nearer, in other light and colours."""
    import torch
    from torch.nn import functional

    pictures = torch.from_numpy(views.pictures).permute(0, 3, 1, 2).float() / 255
    truth = torch.from_numpy(np.stack([views.shares / np.float32(255), views.known], 1).astype(np.float32))
    axes = [axis for axis in (2, 3) if rng.random() < 0.5]
    pictures, truth = pictures.flip(axes), truth.flip(axes)
    if rng.random() < 0.5:
        pictures, truth = pictures.transpose(2, 3), truth.transpose(2, 3)

    def chance(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(pictures), *shape)).astype(np.float32))

    scale = torch.where(chance(0, 1) < 0.5, torch.ones(()), chance(0.75, 1))
    near = torch.zeros(len(pictures), 2, 3)
    near[:, 0, 0] = near[:, 1, 1] = scale
    near[:, :, 2] = (1 - scale)[:, None] * chance(-1, 1, 2)
    pictures, truth = (
        functional.grid_sample(each, functional.affine_grid(near, each.shape, False), "bilinear", "border", False)
        for each in (pictures, truth)
    )
    grey = chance(0, 1, 1, 1, 1) < 0.12
    pictures = torch.where(grey, pictures.mean(1, keepdim=True), pictures).clamp(1e-4, 1) ** chance(0.7, 1.4, 1, 1, 1)
    pictures = pictures * chance(0.8, 1.15, 3, 1, 1) * chance(0.7, 1.1, 1, 1, 1)
    noisy = (pictures + torch.randn_like(pictures) * chance(0, 0.03, 1, 1, 1)).clamp(0, 1)
    return noisy.contiguous(memory_format=torch.channels_last), truth[:, 0], truth[:, 1]


def judge_sheets(model: "torch.nn.Module", views: Views) -> np.ndarray:
    """(n,) the share of known cells for which the model is wrong."""
    import torch

    with torch.no_grad():
        pictures = torch.from_numpy(views.pictures).permute(0, 3, 1, 2)
        said = torch.cat([model(some.float() / 255) for some in pictures.split(64)]).numpy()
    wrong = ((said > 0) != (views.shares > 127)) & views.known
    return np.asarray(wrong.sum(axis=(1, 2)) / views.known.sum(axis=(1, 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=9300)
    parser.add_argument("--out", type=Path, required=True, help="file to write (ONNX)")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    fit(chosen.count, chosen.seed, chosen.out)


if __name__ == "__main__":
    main()
