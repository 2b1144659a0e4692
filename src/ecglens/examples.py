"""What a network is shown: examples by key in shuffled batches, and the exams as diagnosis would show them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ecglens.datasets.store import Store
from ecglens.inputs import ImageSpec, SignalSpec, signal_windows
from ecglens.intervals import SCALARS
from ecglens.leads import INDEX, LEADS
from ecglens.models.checkpoint import Spec
from ecglens.paper import random_page
from ecglens.paper.layout import load_layout
from ecglens.paper.page import Page
from ecglens.recipe import Recipe
from ecglens.record import Record
from ecglens.signal import crop
from ecglens.team import ALONE, Team

Array = npt.NDArray[np.float32]

GAIN_SD = 0.1  # of the log amplitude: amplifiers and bodies differ, the diagnosis does not
NOISE_MV = 0.02
WHOLE = 0.15  # share of partial windows that show the whole record all the same
SPARE = 0.6  # s by which a page's last column may be short, so that a record that just fills it starts anywhere
PAGE_SECONDS = 5.0  # half of the drawn pages show this much, as in the paper; the others the whole record


@dataclass(frozen=True, slots=True)
class Key:
    """Names one training example: which exam, in which epoch, at which size."""

    exam: int
    epoch: int
    size: int


class Examples(Dataset[dict[str, Tensor]]):
    """Training examples by key; everything random follows from the seed and the key.

    Pages are uint8 (size, size, 3). With a ``teacher`` each brings what it shows, as that network takes it, and with
    ``auxiliary`` targets (exams, n) the exam's.
    """

    def __init__(
        self,
        store: Store,
        spec: Spec,
        recipe: Recipe,
        *,
        teacher: SignalSpec | None = None,
        auxiliary: Array | None = None,
    ) -> None:
        self.store, self.spec, self.recipe, self.teacher, self.auxiliary = store, spec, recipe, teacher, auxiliary

    def __getitem__(self, key: Key) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, key.epoch, key.exam])
        if isinstance(self.spec, ImageSpec):
            record = page_stretch(self.store.record(key.exam), rng)
            page = page_example(record, key.size, self.recipe, rng)
            inputs: dict[str, npt.NDArray[Any]] = {"pixels": page.pixels}
            if self.teacher:
                inputs["shown"] = on_page(page, record, self.teacher)
        else:
            layouts = self.recipe.layouts if self.spec.partial else ()
            inputs = {"signal": signal_example(self.store.record(key.exam), self.spec, rng, layouts)}
            if self.spec.scalars:
                inputs["scalars"] = self.store.scalars[key.exam]
        inputs["labels"] = self.store.labels[key.exam]
        if self.auxiliary is not None:
            inputs["auxiliary"] = self.auxiliary[key.exam]
        return {name: torch.from_numpy(value) for name, value in inputs.items()}


def signal_example(prepared: Record, spec: SignalSpec, rng: np.random.Generator, layouts: Sequence[str] = ()) -> Array:
    """Return (12, samples): a window at a random place, gain and noise varied; with ``layouts`` as pages show it."""
    if layouts:
        window = np.nan_to_num(_misread(shown(prepared, spec, rng, layouts), rng), nan=0.0)
    else:
        first = int(rng.integers(0, prepared.signal.shape[1] - spec.samples + 1))
        window = np.nan_to_num(prepared.signal[:, first : first + spec.samples], nan=0.0)
    gain = np.exp(rng.normal(0, GAIN_SD))
    noise = rng.standard_normal(window.shape, np.float32) * rng.uniform(0, NOISE_MV)
    return np.asarray(window * gain + noise, np.float32)


def shown(prepared: Record, spec: SignalSpec, rng: np.random.Generator, layouts: Sequence[str]) -> Array:
    """Return (12, samples), NaN where a page of one of the ``layouts`` would not show the record.

    Now and then the whole record is shown, or a page of 5 s of it; what is shown lies where it does on the paper.
    """
    if rng.random() < WHOLE:
        return crop(prepared, 0.0, spec.duration).signal
    layout = load_layout(layouts[int(rng.integers(len(layouts)))])
    available = prepared.duration if rng.random() < 0.75 else PAGE_SECONDS
    start = float(rng.uniform(0, max(prepared.duration - max(layout.duration, PAGE_SECONDS), SPARE)))
    out = np.full((len(LEADS), spec.samples), np.nan, np.float32)
    for panel in layout.panels(available):
        seconds = min(panel.seconds, available - panel.start)
        stretch = crop(prepared, start + panel.start, seconds).signal[INDEX[panel.lead]]
        first = round((panel.left if layout.duration <= spec.duration else 0.0) * spec.fs)
        out[INDEX[panel.lead], first : first + len(stretch)] = stretch[: spec.samples - first]
    return out


def _misread(window: Array, rng: np.random.Generator) -> Array:
    """A window as it may be read from paper: a lead lost, a stretch lost, levels and gains of stretches off."""
    gains, levels = np.exp(rng.normal(0, 0.05, (len(window), 1))), rng.normal(0, 0.01, (len(window), 1))
    out = window * gains + levels
    if rng.random() < 0.1:
        out[rng.integers(len(out))] = np.nan
    for _ in range(rng.poisson(0.5)):
        length = int(rng.integers(20, 200))
        first = int(rng.integers(0, out.shape[1] - length))
        out[rng.integers(len(out)), first : first + length] = np.nan
    if rng.random() < 0.1:
        out = out * rng.choice([0.5, 2.0])  # gains of 5 or 20 mm/mV taken for 10
    return np.asarray(out, np.float32)


def page_stretch(prepared: Record, rng: np.random.Generator) -> Record:
    """Return what a page is drawn of: the whole record, or five seconds of it."""
    if rng.random() < 0.5:
        return prepared
    start = float(rng.uniform(0, max(prepared.duration - PAGE_SECONDS, 0)))
    return crop(prepared, start, PAGE_SECONDS)


def page_example(record: Record, size: int, recipe: Recipe, rng: np.random.Generator) -> Page:
    """Return a random page of the record, as the recipe says: its layout, whether it is worn, and how much."""
    wear = rng.uniform(0, recipe.wear) if rng.random() < recipe.worn else 0.0
    return random_page(record, rng, size, recipe.layouts, wear)


def on_page(page: Page, record: Record, spec: SignalSpec) -> npt.NDArray[np.float16]:
    """Return (12, samples) mV: what can be seen of ``record`` on its ``page``, 0 elsewhere, each sample at its time."""
    out = np.zeros((len(LEADS), spec.samples), np.float16)
    begin = round(min(trace.start for trace in page.traces) * record.fs)
    for trace in page.traces:
        lead, first = INDEX[trace.lead.removeprefix("-")], round(trace.start * record.fs)
        room = out[lead, first - begin : first - begin + len(trace.points)]
        samples, points = record.signal[lead, first : first + len(room)], trace.points[: len(room)]
        seen = np.all((points >= -0.5) & (points < len(page.pixels) - 0.5), axis=1)
        np.copyto(room, samples, where=seen & ~np.isnan(samples), casting="same_kind")
    return out


def auxiliary_targets(store: Store) -> Array:
    """Return (exams, n): for each statement of the exams whether it is made; then RR, PR and QRS, standardised.

    What was not measured is NaN.
    """
    said = [frozenset(statements.split()) for statements in store.statements]
    names = sorted(frozenset().union(*said))
    statements = np.array([[name in exam for name in names] for exam in said], np.float32).reshape(len(said), -1)
    means = store.scalars[:, [SCALARS.index(name) for name in ("rr_mean", "pr_mean", "qrs_mean")]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a column that is all NaN
        means = (means - np.nanmean(means, axis=0)) / np.maximum(np.nanstd(means, axis=0), 1.0)  # ms
    return np.concatenate([statements, means], axis=1, dtype=np.float32)


def network_inputs(batch: Mapping[str, Tensor], spec: Spec, device: torch.device) -> dict[str, Tensor]:
    """Return a batch on the device, its uint8 ``pixels`` (n, size, size, 3) as ``inputs.image_tensor`` gives them.

    They travel as bytes and are turned into numbers there because a core takes almost as long for that as it does to
    draw the page.
    """
    inputs = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    if isinstance(spec, ImageSpec):
        mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (spec.mean, spec.std))
        inputs["pixels"] = (inputs["pixels"].permute(0, 3, 1, 2) / 255 - mean) / std  # channels last, as it was
    return inputs


class Order(Sampler[list[Key]]):
    """Batches of keys for all epochs of one stage, from batch ``first`` on; each epoch is a new shuffle.

    Of each batch a team's process gets its share.
    """

    def __init__(self, exams: int, recipe: Recipe, stage: int, first: int = 0, team: Team = ALONE) -> None:
        self.exams, self.recipe, self.stage, self.first, self.team = exams, recipe, stage, first, team
        self.per_epoch = max(1, exams // recipe.batch_size)

    def __len__(self) -> int:
        return self.recipe.stages[self.stage].steps(self.per_epoch) - self.first

    def __iter__(self) -> Iterator[list[Key]]:
        stage = self.recipe.stages[self.stage]
        before = self.recipe.epochs_before(self.stage)
        for step in range(self.first, stage.steps(self.per_epoch)):
            epoch, batch = before + step // self.per_epoch, step % self.per_epoch
            if batch == 0 or step == self.first:
                shuffled = np.random.default_rng([self.recipe.seed, epoch]).permutation(self.exams)
            size = self.recipe.batch_size
            exams = shuffled[batch * size : (batch + 1) * size][self.team.rank :: self.team.size]
            yield [Key(int(i), epoch, stage.size) for i in exams]


class Windows(Dataset[dict[str, Tensor]]):
    """What diagnosis would feed the network for each exam of a store: windows of a record, or one fixed random page.

    Pages, and signals shown in part, are as varied as the recipe's training examples.
    """

    def __init__(self, store: Store, spec: Spec, recipe: Recipe) -> None:
        self.store, self.spec, self.recipe = store, spec, recipe

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng(i)
        if isinstance(self.spec, ImageSpec):
            record = page_stretch(self.store.record(i), rng)
            return {"pixels": torch.from_numpy(page_example(record, self.spec.size, self.recipe, rng).pixels[None])}
        if self.spec.partial:
            seen = shown(self.store.record(i), self.spec, rng, self.recipe.layouts)
            return {"signal": torch.from_numpy(np.nan_to_num(seen[None], nan=0.0))}
        windows, _ = signal_windows(self.store.record(i), self.spec)
        inputs = {"signal": torch.from_numpy(windows)}
        if self.spec.scalars:
            inputs["scalars"] = torch.from_numpy(np.tile(self.store.scalars[i], (len(windows), 1)))
        return inputs
