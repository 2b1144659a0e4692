"""What a network is shown: examples by key in shuffled batches, and the exams as diagnosis would show them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ecglens.datasets.store import Store
from ecglens.inputs import ImageSpec, SignalSpec, image_tensor, signal_windows
from ecglens.models.checkpoint import Spec
from ecglens.paper import PAPER_LAYOUTS, random_page
from ecglens.recipe import Recipe
from ecglens.record import Record
from ecglens.signal import crop
from ecglens.team import ALONE, Team

Array = npt.NDArray[np.float32]

GAIN_SD = 0.1  # of the log amplitude: amplifiers and bodies differ, the diagnosis does not
NOISE_MV = 0.02
PAGE_SECONDS = 5.0  # half of the drawn pages show this much, as in the paper; the others the whole record


@dataclass(frozen=True, slots=True)
class Key:
    """Names one training example: which exam, in which epoch, at which size."""

    exam: int
    epoch: int
    size: int


class Examples(Dataset[dict[str, Tensor]]):
    """Training examples by key; everything random follows from the seed and the key."""

    def __init__(self, store: Store, spec: Spec, recipe: Recipe) -> None:
        self.store, self.spec, self.recipe = store, spec, recipe

    def __getitem__(self, key: Key) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, key.epoch, key.exam])
        if isinstance(self.spec, ImageSpec):
            spec = replace(self.spec, size=key.size)
            wear = rng.uniform(0, self.recipe.wear) if self.recipe.wear else 0.0
            inputs = {"pixels": page_example(self.store.record(key.exam), spec, rng, self.recipe.layouts, wear)}
        else:
            inputs = {"signal": signal_example(self.store.record(key.exam), self.spec, rng)}
            if self.spec.scalars:
                inputs["scalars"] = self.store.scalars[key.exam]
        return {
            name: torch.from_numpy(value) for name, value in (inputs | {"labels": self.store.labels[key.exam]}).items()
        }


def signal_example(prepared: Record, spec: SignalSpec, rng: np.random.Generator) -> Array:
    """Return (12, samples): a window at a random place, its gain and noise varied."""
    first = int(rng.integers(0, prepared.signal.shape[1] - spec.samples + 1))
    window = np.nan_to_num(prepared.signal[:, first : first + spec.samples], nan=0.0)
    gain = np.exp(rng.normal(0, GAIN_SD))
    noise = rng.standard_normal(window.shape, np.float32) * rng.uniform(0, NOISE_MV)
    return np.asarray(window * gain + noise, np.float32)


def page_example(
    prepared: Record,
    spec: ImageSpec,
    rng: np.random.Generator,
    layouts: Sequence[str] = PAPER_LAYOUTS,
    wear: float = 0.0,
) -> Array:
    """Return (3, size, size): a random page of the whole record or of five seconds of it, worn to that grade."""
    if rng.random() < 0.5:
        start = float(rng.uniform(0, max(prepared.duration - PAGE_SECONDS, 0)))
        prepared = crop(prepared, start, PAGE_SECONDS)
    return np.asarray(image_tensor(random_page(prepared, rng, spec.size, layouts, wear), spec)[0])


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
    """What diagnosis would feed the network for each exam of a store: windows of a record, or one fixed random page."""

    def __init__(self, store: Store, spec: Spec) -> None:
        self.store, self.spec = store, spec

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        if isinstance(self.spec, ImageSpec):
            page = page_example(self.store.record(i), self.spec, np.random.default_rng(i))
            return {"pixels": torch.from_numpy(page[None])}
        windows, _ = signal_windows(self.store.record(i), self.spec)
        inputs = {"signal": torch.from_numpy(windows)}
        if self.spec.scalars:
            inputs["scalars"] = torch.from_numpy(np.tile(self.store.scalars[i], (len(windows), 1)))
        return inputs
