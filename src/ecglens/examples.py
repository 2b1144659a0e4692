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

from ecglens.datasets.store import Read, Store
from ecglens.inputs import LEAST_DURATION, ImageSpec, SignalSpec, mean_beat, signal_windows
from ecglens.intervals import SCALARS
from ecglens.leads import INDEX, LEADS
from ecglens.models.checkpoint import Spec
from ecglens.models.losses import TAUGHT
from ecglens.paper import random_page
from ecglens.paper.layout import load_layout
from ecglens.paper.page import Page
from ecglens.recipe import Recipe
from ecglens.record import Record
from ecglens.signal import crop
from ecglens.team import ALONE, Team

Array = npt.NDArray[np.float32]

GAIN_SD = 0.1  # of the log amplitude: amplifiers and bodies differ, the diagnosis does not
LEAD_GAIN_SD = 0.05  # of the log amplitude of one lead against the others
LEVEL_SD_MV = 0.01
NOISE_MV = 0.02
PEAK_SD = 0.006  # s by which a beat may be found too early or too late
# Traces read off pages lose their edge. When lines joined their columns, 0.89, 0.74 and 0.60 of the amplitude were left
# at 10, 20 and 30 Hz; cubics leave more. With three samples at 100 Hz weighed b, 1 - 2 b and b, b = 0.19, it would be
# 0.93, 0.74 and 0.50.
BLUNT = 0.25  # the most of b
LOST_PEAK = 0.03  # share of the beats that are overlooked on a page
FALSE_PEAK = 0.15  # share of pages on which a beat is found where there is none
LOST_LEAD = 0.05  # share of examples with mean beats in which a lead is lost, besides those of ``_misread``
SHORT = 0.25  # share of whole signals that are cut short, to no less than ``inputs.LEAST_DURATION``
READ_SHARE = 0.6  # of the examples of exams of which a page was read that are shown so
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

    Pages are uint8 (size, size, 3). With a ``teacher`` each brings what it shows, as that network takes it; with a
    teacher's ``answers`` for whole exams (exams, labels), probabilities, and with ``auxiliary`` targets (exams, n) the
    exam's. ``read`` gives a signal network's inputs as they were read off a page of an exam.
    """

    def __init__(
        self,
        store: Store,
        spec: Spec,
        recipe: Recipe,
        *,
        teacher: SignalSpec | None = None,
        answers: Array | None = None,
        auxiliary: Array | None = None,
        read: Mapping[int, Read] | None = None,
    ) -> None:
        self.store, self.spec, self.recipe, self.teacher, self.read = store, spec, recipe, teacher, read or {}
        self.targets = {"labels": store.labels, "answers": answers, "auxiliary": auxiliary}

    def __getitem__(self, key: Key) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, key.epoch, key.exam])
        if isinstance(self.spec, ImageSpec):
            record, begin = page_stretch(self.store.record(key.exam), rng)
            page = page_example(record, key.size, self.recipe, rng)
            peaks = self.store.peaks[key.exam] - np.float32(begin)
            inputs: dict[str, npt.NDArray[Any]] = {"pixels": page.pixels}
            if self.teacher:
                seen = on_page(page, record, peaks, self.teacher)
                inputs |= {f"{TAUGHT}{name}": value for name, value in seen.items()}
        elif key.exam in self.read and rng.random() < READ_SHARE:
            inputs = read_example(self.read[key.exam], rng)
        else:
            inputs = signal_example(
                self.store.record(key.exam), self.store.peaks[key.exam], self.spec, self.recipe, rng
            )
            if self.spec.scalars:
                inputs["scalars"] = self.store.scalars[key.exam]
        inputs |= {name: values[key.exam] for name, values in self.targets.items() if values is not None}
        return {name: torch.from_numpy(value) for name, value in inputs.items()}


def signal_example(
    prepared: Record, peaks: Array, spec: SignalSpec, recipe: Recipe, rng: np.random.Generator
) -> dict[str, npt.NDArray[Any]]:
    """Return ``signal`` (12, samples): a stretch of a record varied in gain, level and noise, and its mean ``beats``.

    With ``spec.partial`` most are shown as far as a page would show them. ``peaks`` (beats,) are the record's, s.
    """
    varied = _vary(prepared, rng)
    if spec.partial and rng.random() >= recipe.whole:
        window, apart = shown(_misread(varied, rng), spec, rng, recipe.layouts)
        begin, peaks = 0.0, _miscounted(peaks, prepared.duration, rng)
    else:
        window, begin = _stretch(varied, spec, rng)
        apart = window
    if spec.beats and rng.random() < LOST_LEAD:
        lost = rng.integers(len(window))
        window[lost] = apart[lost] = np.nan
    found = peaks - begin + rng.normal(0, PEAK_SD, len(peaks))
    return _with_beats(window, apart, found, spec)


def read_example(read: Read, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Return what was read off a page, varied in gain and noise; now and then a lead is lost."""
    gains = _gains(rng)
    inputs = {name: values.astype(np.float32) * gains for name, values in read.items()}
    inputs["signal"] += rng.standard_normal(inputs["signal"].shape, np.float32) * np.float32(rng.uniform(0, NOISE_MV))
    if rng.random() < LOST_LEAD:
        lost = rng.integers(len(LEADS))
        for values in inputs.values():
            values[lost] = np.nan
    return inputs


def _with_beats(window: Array, apart: Array, peaks: npt.NDArray[Any], spec: SignalSpec) -> dict[str, npt.NDArray[Any]]:
    inputs: dict[str, npt.NDArray[Any]] = {"signal": window}
    if spec.beats:
        inputs["beats"] = mean_beat(apart, peaks[~np.isnan(peaks)], spec.fs)
    return inputs


def _vary(record: Record, rng: np.random.Generator) -> Record:
    gains = _gains(rng)
    levels = rng.normal(0, LEVEL_SD_MV, gains.shape).astype(np.float32)
    noise = rng.standard_normal(record.signal.shape, np.float32) * np.float32(rng.uniform(0, NOISE_MV))
    return Record(record.signal * gains + levels + noise, record.fs)


def _gains(rng: np.random.Generator) -> Array:
    """Factors (12, 1) near 1 by which the leads are larger."""
    leads = len(LEADS), 1
    return np.exp(rng.normal(0, GAIN_SD) + rng.normal(0, LEAD_GAIN_SD, leads)).astype(np.float32)


def _stretch(record: Record, spec: SignalSpec, rng: np.random.Generator) -> tuple[Array, float]:
    """(12, samples) from a random place of the record, and the place in s; now and then NaN towards the end."""
    longest = min(record.signal.shape[1], spec.samples)
    least = min(round(LEAST_DURATION * spec.fs), longest)
    length = int(rng.integers(least, longest + 1)) if rng.random() < SHORT else longest
    first = int(rng.integers(0, record.signal.shape[1] - length + 1))
    out = np.full((len(LEADS), spec.samples), np.nan, np.float32)
    out[:, :length] = record.signal[:, first : first + length]
    return out, first / record.fs


def shown(prepared: Record, spec: SignalSpec, rng: np.random.Generator, layouts: Sequence[str]) -> tuple[Array, Array]:
    """Return (12, samples), NaN where a page of one of the ``layouts`` would not show the record, and (12, T).

    In the first what is shown lies where it does on the paper, in the second at its time in the record. Now and then
    the page shows 5 s.
    """
    layout = load_layout(layouts[int(rng.integers(len(layouts)))])
    available = prepared.duration if rng.random() < 0.75 else PAGE_SECONDS
    start = float(rng.uniform(0, max(prepared.duration - max(min(layout.duration, available), PAGE_SECONDS), SPARE)))
    out, apart = np.full((len(LEADS), spec.samples), np.nan, np.float32), np.full_like(prepared.signal, np.nan)
    for panel in layout.panels(available):
        lead, begin = INDEX[panel.lead], round((start + panel.start) * spec.fs)
        length = round(min(panel.seconds, available - panel.start) * spec.fs)
        stretch = prepared.signal[lead, begin : begin + length]
        apart[lead, begin : begin + length] = stretch
        first = round((panel.left if layout.duration <= spec.duration else 0.0) * spec.fs)
        stretch = stretch[: spec.samples - first]
        out[lead, first : first + len(stretch)] = stretch
    return out, apart


def _misread(record: Record, rng: np.random.Generator) -> Record:
    """A record as it may be read from paper: a lead lost, a stretch lost, gains taken for others, edges blunted."""
    out = record.signal.copy()
    if rng.random() < 0.1:
        out[rng.integers(len(out))] = np.nan
    for _ in range(rng.poisson(0.5)):
        length = int(rng.uniform(0.07, 0.67) * record.fs)
        first = int(rng.integers(0, out.shape[1] - length))
        out[rng.integers(len(out)), first : first + length] = np.nan
    if rng.random() < 0.1:
        out *= np.float32(rng.choice([0.5, 2.0]))  # gains of 5 or 20 mm/mV taken for 10
    blunt, step = np.float32(rng.uniform(0, BLUNT)), max(1, round(record.fs / 100))
    out[:, step:-step] = blunt * (out[:, : -2 * step] + out[:, 2 * step :]) + (1 - 2 * blunt) * out[:, step:-step]
    return Record(out, record.fs)


def _miscounted(peaks: Array, duration: float, rng: np.random.Generator) -> Array:
    """Peaks (s) of which some were overlooked; now and then one more, as is found where columns of a page meet."""
    found = np.where(rng.random(len(peaks)) < LOST_PEAK, np.float32(np.nan), peaks)
    return np.append(found, np.float32(rng.uniform(0, duration))) if rng.random() < FALSE_PEAK else found


def page_stretch(prepared: Record, rng: np.random.Generator) -> tuple[Record, float]:
    """Return what a page is drawn of, the whole record or five seconds of it, and where that begins in s."""
    if rng.random() < 0.5:
        return prepared, 0.0
    start = float(rng.uniform(0, max(prepared.duration - PAGE_SECONDS, 0)))
    return crop(prepared, start, PAGE_SECONDS), start


def page_example(record: Record, size: int, recipe: Recipe, rng: np.random.Generator) -> Page:
    """Return a random page of the record, as the recipe says: its layout, whether it is worn, and how much."""
    wear = rng.uniform(0, recipe.wear) if rng.random() < recipe.worn else 0.0
    return random_page(record, rng, size, recipe.layouts, wear)


def on_page(page: Page, record: Record, peaks: Array, spec: SignalSpec) -> dict[str, npt.NDArray[Any]]:
    """Return what a network that takes signals as ``spec`` says is given of ``record`` as its ``page`` shows it.

    ``signal`` is (12, samples) mV, NaN where nothing can be seen, each sample at its time. ``peaks`` are the record's.
    """
    out = np.full((len(LEADS), spec.samples), np.nan, np.float32)
    begin = round(min(trace.start for trace in page.traces) * record.fs)
    for trace in page.traces:
        lead, first = INDEX[trace.lead.removeprefix("-")], round(trace.start * record.fs)
        room = out[lead, first - begin : first - begin + len(trace.points)]
        samples, points = record.signal[lead, first : first + len(room)], trace.points[: len(room)]
        seen = np.all((points >= -0.5) & (points < len(page.pixels) - 0.5), axis=1)
        np.copyto(room, samples, where=seen & ~np.isnan(samples))
    return _with_beats(out, out, peaks - begin / record.fs, spec)


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

    Pages, and signals shown in part, are as varied as the recipe's training examples; exams that are in ``read`` are
    shown as they were read.
    """

    def __init__(self, store: Store, spec: Spec, recipe: Recipe, read: Mapping[int, Read] | None = None) -> None:
        self.store, self.spec, self.recipe, self.read = store, spec, recipe, read or {}

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng(i)
        if isinstance(self.spec, ImageSpec):
            record, _ = page_stretch(self.store.record(i), rng)
            return {"pixels": torch.from_numpy(page_example(record, self.spec.size, self.recipe, rng).pixels[None])}
        if i in self.read:
            return {name: torch.from_numpy(values[None].astype(np.float32)) for name, values in self.read[i].items()}
        record, peaks = self.store.record(i), self.store.peaks[i]
        if self.spec.partial:
            windows = [_with_beats(*shown(record, self.spec, rng, self.recipe.layouts), peaks, self.spec)]
        else:
            cut, starts = signal_windows(record, self.spec)
            windows = [
                _with_beats(each, each, peaks - begin, self.spec) for each, begin in zip(cut, starts, strict=True)
            ]
        if self.spec.scalars:
            windows = [window | {"scalars": self.store.scalars[i]} for window in windows]
        return {name: torch.from_numpy(np.stack([window[name] for window in windows])) for name in windows[0]}
