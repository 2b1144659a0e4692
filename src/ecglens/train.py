"""Training: one loop for both networks, from a dataset folder and a recipe to a model folder.

Every batch follows from the recipe's seed, the epoch and the exam, and a checkpoint holds all that changes, so that a
run killed at any moment goes on to the same result (of one process, on the same kind of machine and number of threads).
"""

import json
import logging
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from ecglens import metrics
from ecglens.datasets.index import Dataset as Exams
from ecglens.datasets.index import open_dataset
from ecglens.datasets.store import Store, prepare_store
from ecglens.errors import UsageError
from ecglens.examples import Examples, Order, Windows
from ecglens.files import replace_file
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.models.checkpoint import Spec, build_network, load_weights, save_trained
from ecglens.models.inception import InceptionNet
from ecglens.processes import cores
from ecglens.recipe import Recipe
from ecglens.team import Team, joined

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]

CHECKPOINT_SECONDS = 120.0
LEAST_AUROC = 0.7  # a label that the validation exams show the network cannot tell is never called positive
NEVER = 1.01  # a threshold that no probability reaches


def train(
    kind: Literal["image", "signal"],
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    init: str = "none",
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train on the exams below ``data`` and leave ``model.safetensors``, ``model.json`` and ``log.jsonl`` in ``out``.

    ``init`` is ``imagenet`` (image only), ``none`` or a safetensors file. A run found in ``out`` is carried on.
    Several processes started by ``torchrun`` train one network, if all see ``data`` and ``out``; what they share out is
    the batch. Raises UsageError when ``out`` holds another run, ModelError when ``init`` cannot be loaded.
    """
    if init == "imagenet" and kind == "signal":
        raise UsageError("there are no ImageNet weights for signals: use --init none or a file")
    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    spec: Spec = ImageSpec(size=recipe.stages[-1].size) if kind == "image" else SignalSpec(scalars=recipe.scalars)
    exams = open_dataset(data)
    parts = exams.split(recipe.train_folds, recipe.valid_folds)
    check_labels(exams.labels[parts[1]])
    torch.manual_seed(recipe.seed)
    fresh = not (out / "checkpoint.pt").exists()
    network = build_network(spec, imagenet=fresh and init == "imagenet")
    if fresh and init not in ("imagenet", "none"):
        load_weights(network, Path(init))
    with joined(where) as team:
        run = {"kind": kind, "init": init, "data": exams.name, "exams": len(exams), "recipe": asdict(recipe)}
        claim(out, run, team)
        if min(recipe.batch_size, len(parts[0])) < team.size:
            raise UsageError(f"{team.size} processes are too many for one batch: start fewer, or give larger batches")
        workers = cores() // team.on_host if workers is None else workers
        prepare = partial(_prepare, exams, out, kind == "signal" and recipe.scalars, max(workers, 1), team)
        stores = prepare("train", parts[0]), prepare("valid", parts[1])
        if isinstance(network, InceptionNet) and recipe.scalars:
            _scale(network, stores[0].scalars)
        if not team.leads:
            torch.manual_seed(recipe.seed + team.rank)  # each drops out other activations
        facts = {"data": exams.name, "init": Path(init).name}
        Run(network.to(where), spec, recipe, *stores, out, where, workers, facts, team).go()


def _scale(network: InceptionNet, values: Array) -> None:
    """Give the network the mean and spread of the scalars (n, 8) it is trained on."""
    deviation = np.nanstd(values, axis=0)
    network.scalar_mean.copy_(torch.from_numpy(np.nanmean(values, axis=0)))
    network.scalar_std.copy_(torch.from_numpy(np.where(deviation > 0, deviation, 1.0)))  # one may never vary


def _prepare(
    exams: Exams, out: Path, measured: bool, workers: int, team: Team, name: str, part: npt.NDArray[np.intp]
) -> Store:
    """The store of some exams, which the first of the team prepares while the others wait."""
    if not team.leads:
        team.wait()
    with _bar(team) as bar:
        task = bar.add_task(f"preparing {name}", total=len(part), rate="")
        store = prepare_store(exams, part, out / name, measured, workers, tick=lambda: bar.advance(task))
    if team.leads:
        team.wait()
    return store


def claim(out: Path, run: dict[str, Any], team: Team) -> None:
    """Make ``out`` the folder of this run. Raises UsageError where it holds another one."""
    path, text = out / "run.json", json.dumps(run, indent=1, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{out} holds a run of another recipe or other data: give another --out or remove the folder")
    if team.leads:
        out.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda p: p.write_text(text, encoding="utf-8"))


def check_labels(labels: Array) -> None:
    """Raise UsageError naming a label that the validation exams cannot score: no positives, or no negatives."""
    for i, key in enumerate(KEYS):
        if not ((labels[:, i] == 1).any() and (labels[:, i] == 0).any()):
            raise UsageError(f"the validation folds hold {key} always or never: choose folds that hold both")


def balanced_weights(labels: Array, beta: float) -> tuple[Array, Array]:
    """Weights of positives and of negatives, each (labels,), by effective number (Cui et al., CVPR 2019).

    Scaled so that the mean weight of a known label is 1.
    """
    if not beta:
        return np.ones(labels.shape[1], np.float32), np.ones(labels.shape[1], np.float32)
    counts = np.stack([(labels == 1).sum(axis=0), (labels == 0).sum(axis=0)]).astype(np.float64)
    weights = (1 - beta) / (1 - beta ** np.maximum(counts, 1))
    weights *= counts.sum(axis=0) / np.maximum((weights * counts).sum(axis=0), 1e-12)
    return weights[0].astype(np.float32), weights[1].astype(np.float32)


def balanced_loss(logits: Tensor, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean class-balanced binary cross-entropy over the known labels; unknown ones (NaN) count for nothing."""
    known = ~torch.isnan(labels)
    target = torch.where(known, labels, 0.0)
    weight = known * torch.where(target > 0.5, positive, negative)
    losses = nn.functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return losses / known.sum().clamp(min=1)


@dataclass(slots=True, eq=False)
class Run:
    """The state of one training run: what a checkpoint holds and what moves it on."""

    network: nn.Module
    spec: Spec
    recipe: Recipe
    train_store: Store
    valid_store: Store
    out: Path
    device: torch.device
    workers: int
    facts: dict[str, Any]
    team: Team
    stage: int = 0
    step: int = 0  # within the stage
    best: float = -1.0
    average: AveragedModel = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    shared: nn.Module = field(init=False)  # the network with the team's gradients
    saved_at: float = field(default_factory=time.monotonic)

    def go(self) -> None:
        """Run all stages from wherever the checkpoint stands."""
        self.average = AveragedModel(
            self.network, multi_avg_fn=partial(running_mean, decay=self.recipe.average), use_buffers=True
        )
        self._start_stage()
        self._resume()
        while self.stage < len(self.recipe.stages):
            self._run_stage()
            self.stage, self.step = self.stage + 1, 0
            if self.stage < len(self.recipe.stages):
                self._start_stage()
            self._checkpoint()

    def _start_stage(self) -> None:
        stage = self.recipe.stages[self.stage]
        select_part(self.network, stage.part)
        learning = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=stage.lr)
        self.shared = self.team.share(self.network)

    def _run_stage(self) -> None:
        stage = self.recipe.stages[self.stage]
        order = Order(len(self.train_store), self.recipe, self.stage, self.step, self.team)
        total = stage.steps(order.per_epoch)
        examples = Examples(self.train_store, self.spec, self.recipe)
        loader = DataLoader(
            examples,
            batch_sampler=order,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # its own: the global one is part of the checkpoint
        )
        weights = [
            torch.from_numpy(w).to(self.device) for w in balanced_weights(self.train_store.labels, self.recipe.balance)
        ]
        losses: list[float] = []
        began, waited, ready = time.monotonic(), 0.0, time.monotonic()
        with _bar(self.team) as bar:
            task = bar.add_task(f"stage {self.stage + 1}", total=total * self.recipe.batch_size, rate="")
            bar.update(task, completed=self.step * self.recipe.batch_size)
            for batch in loader:
                waited += time.monotonic() - ready
                lr = stage.lr * schedule(self.step / total)
                losses.append(self._learn(batch, lr, weights))
                self.step += 1
                seen = len(losses) * self.recipe.batch_size
                rate = seen / (time.monotonic() - began)
                bar.update(task, advance=self.recipe.batch_size, rate=f"{rate:.1f}/s loss {np.mean(losses[-50:]):.4f}")
                if self.step % order.per_epoch == 0 or self.step == total:
                    spent = time.monotonic() - began
                    facts = {"loss": round(float(np.mean(losses)), 5), "lr": lr, "rate": round(rate, 2)}
                    self._finish_epoch(order.per_epoch, facts | {"waiting": round(waited / spent, 3)})
                    losses, began, waited = [], time.monotonic(), 0.0
                elif time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
                    self._checkpoint()
                ready = time.monotonic()

    def _learn(self, batch: dict[str, Tensor], lr: float, weights: list[Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        inputs = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        labels = inputs.pop("labels")
        if "pixels" in inputs:
            inputs["pixels"] = inputs["pixels"].contiguous(memory_format=torch.channels_last)
        select_part(self.network, self.recipe.stages[self.stage].part)
        with self._precision():
            logits = self.shared(**inputs)
        loss = balanced_loss(logits.float(), labels, *weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _precision(self) -> Any:
        cuda = self.device.type == "cuda"
        return torch.autocast("cuda", dtype=torch.bfloat16) if cuda else nullcontext()

    def _finish_epoch(self, per_epoch: int, facts: dict[str, float]) -> None:
        """Score the mean weights, keep them if they are the best so far; the others of the team wait."""
        if self.team.leads:
            self._score(self.recipe.epochs_before(self.stage) + round(self.step / per_epoch, 2), facts)
        self.team.wait()
        self._checkpoint()

    def _score(self, epoch: float, facts: dict[str, float]) -> None:
        logits = predict(self.average.module, self.valid_store, self.spec, self.device, self.workers)
        scores = score(self.valid_store.labels, logits)
        line = {"epoch": epoch, **facts, "memory_mb": _memory(self.device), **scores}
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        log.info("epoch %g: loss %.4f, macro AUROC %.4f", epoch, facts["loss"], scores["auroc"]["macro"])
        if scores["auroc"]["macro"] > self.best:
            self.best = scores["auroc"]["macro"]
            facts_kept = {
                "recipe": asdict(self.recipe),
                **self.facts,
                "epoch": epoch,
                "exams": {"train": len(self.train_store), "valid": len(self.valid_store)},
                "scores": scores,
                **calibrate(self.valid_store.labels, logits),
            }
            weights = {k: v.cpu().contiguous() for k, v in self.average.module.state_dict().items()}
            save_trained(self.out, weights, self.spec, facts_kept)

    def _checkpoint(self) -> None:
        self.saved_at = time.monotonic()
        if not self.team.leads:
            return
        state = {
            "stage": self.stage,
            "step": self.step,
            "best": self.best,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }
        replace_file(self.out / "checkpoint.pt", lambda path: torch.save(state, path))

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.stage, self.step, self.best = state["stage"], state["step"], state["best"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        if self.stage < len(self.recipe.stages):
            self._start_stage()
            self.optimizer.load_state_dict(state["optimizer"])
        if self.team.leads:  # the others' chance begins anew
            torch.set_rng_state(state["rng"].cpu())
        if self.team.leads and self.device.type == "cuda":
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda_rng"]])
        log.info("going on from stage %d, step %d", self.stage + 1, self.step)


def select_part(network: nn.Module, part: str) -> None:
    """Put ``network`` in training mode with only ``part`` learning; batch norm moves only in part ``all``."""
    network.train()
    network.requires_grad_(part != "head")
    if part != "all":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval().requires_grad_(False)
    classifier = network.classifier
    assert isinstance(classifier, nn.Linear)
    classifier.requires_grad_(True)


def schedule(progress: float, warm: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the learning rate at ``progress`` in [0, 1]: linear rise, then a cosine down to ``floor``."""
    if progress < warm:
        return max(progress / warm, floor)
    return floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * (progress - warm) / (1 - warm))))


def running_mean(averages: list[Tensor], values: list[Tensor], steps: Tensor | int, decay: float) -> None:
    """Move running means towards new values, in place; in the first steps faster, so that they forget the start."""
    share = 1 - min(decay, (1 + float(steps)) / (10 + float(steps)))
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, share)
        else:
            average.copy_(value)  # batch norm's count of batches


def predict(network: nn.Module, store: Store, spec: Spec, device: torch.device, workers: int) -> Array:
    """Return logits (n, labels) of every exam: the mean over its windows."""
    network.eval()
    loader = DataLoader(Windows(store, spec), batch_size=32, num_workers=workers, collate_fn=list)
    out: list[Array] = []
    with torch.inference_mode():
        for exams in loader:
            inputs = {name: torch.cat([exam[name] for exam in exams]).to(device) for name in exams[0]}
            logits = network(**inputs).float().cpu()
            counts = [len(next(iter(exam.values()))) for exam in exams]
            out += [part.mean(dim=0).numpy() for part in logits.split(counts)]
    return np.stack(out)


def score(labels: Array, logits: Array) -> dict[str, dict[str, float]]:
    """AUROC and AUPRC by label, and their mean over the diagnoses (``macro``)."""
    table: dict[str, dict[str, float]] = {}
    for name, metric in (("auroc", metrics.auroc), ("auprc", metrics.auprc)):
        values = {key: metric(labels[:, i], logits[:, i]) for i, key in enumerate(KEYS)}
        macro = float(np.mean([values[label.key] for label in DIAGNOSES]))
        table[name] = {key: round(value, 4) for key, value in ({"macro": macro} | values).items()}
    return table


def calibrate(labels: Array, logits: Array) -> dict[str, dict[str, Any]]:
    """Platt's slope and offset by label, and the probability threshold of highest F1, from validation logits.

    A label scored under ``LEAST_AUROC`` gets a threshold that no probability reaches.
    """
    found: dict[str, dict[str, Any]] = {"calibration": {}, "thresholds": {}}
    for i, key in enumerate(KEYS):
        slope, offset = metrics.fit_platt(labels[:, i], logits[:, i])
        probability = metrics.sigmoid(slope * logits[:, i] + offset)
        found["calibration"][key] = [round(slope, 5), round(offset, 5)]
        skilled = metrics.auroc(labels[:, i], logits[:, i]) >= LEAST_AUROC
        found["thresholds"][key] = round(metrics.best_f1_threshold(labels[:, i], probability), 5) if skilled else NEVER
    return found


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device) // 2**20)
    import resource  # which Windows has not

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _bar(team: Team) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not team.leads)
