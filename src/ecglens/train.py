"""Training: one loop for both networks, from a dataset folder and a recipe to a model folder.

Every batch follows from the recipe's seed, the epoch and the exam, and a checkpoint holds all that changes, so that a
run killed at any moment goes on to the same result (of one process, on the same kind of machine and number of threads).
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from ecglens import metrics
from ecglens.calibration import calibrate
from ecglens.datasets.index import Dataset as Exams
from ecglens.datasets.index import open_dataset
from ecglens.datasets.store import Read, Store, is_packed, open_store, pack_exams
from ecglens.errors import UsageError
from ecglens.examples import Examples, Order, Windows, auxiliary_targets, network_inputs
from ecglens.figures import draw_training
from ecglens.files import replace_file
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.metrics import sigmoid
from ecglens.models import checkpoint
from ecglens.models.checkpoint import Spec, build_network, load_trained, load_weights
from ecglens.models.inception import InceptionNet
from ecglens.models.losses import TAUGHT, Objective, balanced_weights
from ecglens.pages import load_read, read_pages
from ecglens.processes import cores
from ecglens.recipe import Recipe
from ecglens.team import ALONE, Team, joined

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]

CHECKPOINT_SECONDS = 120.0


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
    torch.backends.cudnn.benchmark = True  # batches are all alike: the quickest convolution is worth looking for
    spec = _spec(kind, recipe)
    teacher, taught = _teacher(recipe.teacher, spec)
    torch.manual_seed(recipe.seed)
    fresh = not (out / "checkpoint.pt").exists()
    network = build_network(spec, imagenet=fresh and init == "imagenet")
    if fresh and init not in ("imagenet", "none"):
        load_weights(network, Path(init))
    with joined(where) as team:
        exams = None if _is_packed(out) or not team.leads else _open(data, recipe)
        claim(out, {"kind": kind, "init": init, "data": data.resolve().name, "recipe": asdict(recipe)}, team)
        workers = cores() // team.on_host if workers is None else workers
        of = spec if isinstance(spec, SignalSpec) else taught or SignalSpec()
        stores = _stores(exams, out, recipe, of, max(workers, 1), team)
        if min(recipe.batch_size, len(stores[0])) < team.size:
            raise UsageError(f"{team.size} processes are too many for one batch: start fewer, or give larger batches")
        if isinstance(network, InceptionNet) and recipe.scalars:
            _scale(network, stores[0].scalars)
        auxiliary = auxiliary_targets(stores[0]) if recipe.auxiliary else None
        if auxiliary is not None:
            checkpoint.widen(network, auxiliary.shape[1])
        if not team.leads:
            torch.manual_seed(recipe.seed + team.rank)  # each drops out other activations
        answers = None
        if teacher and taught and isinstance(spec, SignalSpec):
            logits = predict(teacher.to(where), Windows(stores[0], taught, recipe), where, workers)
            answers, teacher, taught = sigmoid(logits).astype(np.float32), None, None
        read = _read(stores, out, recipe, spec, max(workers, 1), team)
        examples = Examples(stores[0], spec, recipe, teacher=taught, answers=answers, auxiliary=auxiliary, read=read[0])
        objective = _objective(stores[0], recipe, teacher, where)
        windows = Windows(stores[1], spec, recipe, read[1])
        network = team.in_step(network.to(where))
        facts = {"data": stores[0].source, "init": Path(init).name}
        Run(network, recipe, examples, windows, objective, out, where, workers, facts, team).go()


def _spec(kind: Literal["image", "signal"], recipe: Recipe) -> Spec:
    if kind == "image":
        return ImageSpec(size=recipe.stages[-1].size)
    return SignalSpec(
        fs=recipe.fs,
        samples=round(recipe.seconds * recipe.fs),
        scalars=recipe.scalars,
        partial=recipe.partial,
        beats=recipe.beats,
    )


def _teacher(folder: str | None, spec: Spec) -> tuple[nn.Module, SignalSpec] | tuple[None, None]:
    """The signal network whose answers are learnt, and what it takes.

    It answers for what each page shows, or for whole exams at the rate of ``spec``. Raises ModelError where it cannot
    be loaded, UsageError where it takes something else.
    """
    if folder is None:
        return None, None
    teacher = load_trained(Path(folder))
    takes = teacher.spec if isinstance(teacher.spec, SignalSpec) and not teacher.spec.scalars else None
    if isinstance(spec, ImageSpec):
        if takes is None or not takes.partial:
            raise UsageError(f"{folder} cannot teach pages: give the run of a signal model trained with partial = true")
    elif takes is None or takes.partial or takes.fs != spec.fs:
        raise UsageError(
            f"{folder} cannot teach signals: give the run of one trained on whole signals at the same rate"
        )
    return teacher.network, takes


def _objective(store: Store, recipe: Recipe, teacher: nn.Module | None, device: torch.device) -> Objective:
    positive, negative = (torch.from_numpy(w).to(device) for w in balanced_weights(store.labels, recipe.balance))
    return Objective(positive, negative, teacher and teacher.to(device))


def _scale(network: InceptionNet, values: Array) -> None:
    """Give the network the mean and spread of the scalars (n, 8) it is trained on."""
    deviation = np.nanstd(values, axis=0)
    network.scalar_mean.copy_(torch.from_numpy(np.nanmean(values, axis=0)))
    network.scalar_std.copy_(torch.from_numpy(np.where(deviation > 0, deviation, 1.0)))  # one may never vary


def _is_packed(out: Path) -> bool:
    """Whether all exams of a run are in its folder: then the dataset may be on another machine."""
    return is_packed(out / "train") and is_packed(out / "valid")


def _open(data: Path, recipe: Recipe) -> Exams:
    exams = open_dataset(data)
    check_labels(exams.labels[exams.split(recipe.train_folds, recipe.valid_folds)[1]])
    return exams


def _stores(
    exams: Exams | None, out: Path, recipe: Recipe, spec: SignalSpec, workers: int, team: Team
) -> tuple[Store, Store]:
    """The exams to train and to validate on: the first of the team makes what ``out`` lacks while the others wait."""
    folders = out / "train", out / "valid"
    measured = recipe.scalars or recipe.auxiliary or spec.beats or recipe.teacher is not None  # it may take beats
    if exams is not None:
        for folder, part in zip(folders, exams.split(recipe.train_folds, recipe.valid_folds), strict=True):
            with _counted(f"packing {folder.name}", len(part)) as tick:
                pack_exams(exams, part, folder, measured, workers, tick)
    for folder in folders if team.leads else ():
        with _counted(f"preparing {folder.name}") as tick:
            open_store(folder, spec, workers, tick)
    team.wait()
    return open_store(folders[0], spec, workers), open_store(folders[1], spec, workers)


def _read(
    stores: tuple[Store, Store], out: Path, recipe: Recipe, spec: Spec, workers: int, team: Team
) -> list[dict[int, Read]]:
    """What is read off pages of exams to train and, of the same share of them, to validate on; if any are asked for."""
    if not recipe.read or not isinstance(spec, SignalSpec):
        return [{}, {}]
    share = min(recipe.read / len(stores[0]), 1.0)
    asked = [(out / name, round(share * len(store))) for name, store in zip(("train", "valid"), stores, strict=True)]
    for folder, count in asked if team.leads else ():
        with _counted(f"reading pages of {folder.name}", count) as tick:
            read_pages(folder, count, recipe, spec, workers * team.on_host, tick)  # the others wait
    team.wait()
    read = [load_read(folder) for folder, _ in asked]
    for (folder, count), found in zip(asked, read, strict=True):
        log.info("%d of %d pages of %s could be read", len(found), count, folder.name)
    return read


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


@dataclass(slots=True, eq=False)
class Run:
    """The state of one training run: what a checkpoint holds and what moves it on."""

    network: nn.Module
    recipe: Recipe
    examples: Examples
    exams: Windows  # to validate on
    objective: Objective
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
        if self.team.leads:
            draw_training(self.out / "log.jsonl", self.out / "curves.png")

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
        order = Order(len(self.examples.store), self.recipe, self.stage, self.step, self.team)
        total = stage.steps(order.per_epoch)
        loader = DataLoader(
            self.examples,
            batch_sampler=order,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=use_one_thread,
            generator=torch.Generator(),  # its own: the global one is part of the checkpoint
        )
        losses: list[float] = []
        began, waited, ready = time.monotonic(), 0.0, time.monotonic()
        with _bar(self.team) as bar:
            task = bar.add_task(f"stage {self.stage + 1}", total=total * self.recipe.batch_size, rate="")
            bar.update(task, completed=self.step * self.recipe.batch_size)
            for batch in loader:
                waited += time.monotonic() - ready
                lr = stage.lr * schedule(self.step / total)
                losses.append(self._learn(batch, lr))
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

    def _learn(self, batch: dict[str, Tensor], lr: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        inputs = network_inputs(batch, self.exams.spec, self.device)
        beside = [name for name in inputs if name in self.examples.targets or name.startswith(TAUGHT)]
        targets = {name: inputs.pop(name) for name in beside}
        select_part(self.network, self.recipe.stages[self.stage].part)
        with self._precision():
            outputs = self.shared(**inputs)
        loss = self.objective(outputs.float(), targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _precision(self) -> Any:
        """bfloat16 where the device is made for it: several times as fast, and as good."""
        able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions cannot say
        fast = self.device.type == "cuda" or able.get("amx_bf16", False)
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if fast else nullcontext()

    def _finish_epoch(self, per_epoch: int, facts: dict[str, float]) -> None:
        """Score the mean weights, keep them if they are the best so far; the others of the team wait."""
        if self.team.leads:
            self._score(self.recipe.epochs_before(self.stage) + round(self.step / per_epoch, 2), facts)
        self.team.wait()
        self._checkpoint()

    def _score(self, epoch: float, facts: dict[str, float]) -> None:
        labels = self.exams.store.labels
        logits = predict(self.average.module, self.exams, self.device, self.workers)
        scores = score(labels, logits)
        line = {"epoch": epoch, **facts, "memory_mb": _memory(self.device), **scores}
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        log.info("epoch %g: loss %.4f, macro AUROC %.4f", epoch, facts["loss"], scores["auroc"]["macro"])
        both = scores["auroc"]["macro"] + scores["auprc"]["macro"]  # AUROC alone hardly tells them apart
        if both > self.best:
            self.best = both
            facts_kept = {
                "recipe": asdict(self.recipe),
                **self.facts,
                "epoch": epoch,
                "exams": {"train": len(self.examples.store), "valid": len(labels)},
                "scores": scores,
                **calibrate(labels, logits),
            }
            weights = checkpoint.label_weights(self.average.module)
            checkpoint.save_trained(self.out, weights, self.exams.spec, facts_kept)

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


def use_one_thread(_: int) -> None:
    """Let a worker of a DataLoader draw on its own core only: there is one worker for each."""
    cv2.setNumThreads(1)


def select_part(network: nn.Module, part: str) -> None:
    """Put ``network`` in training mode with only ``part`` learning; batch norm moves only in part ``all``."""
    network.train()
    network.requires_grad_(part != "head")
    if part != "all":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
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


def predict(network: nn.Module, exams: Windows, device: torch.device, workers: int) -> Array:
    """Return logits (n, labels) of every exam: the mean over its windows."""
    network.eval()
    loader = DataLoader(exams, batch_size=32, num_workers=workers, collate_fn=list, worker_init_fn=use_one_thread)
    out: list[Array] = []
    with torch.inference_mode():
        for batch in loader:
            joined = {name: torch.cat([exam[name] for exam in batch]) for name in batch[0]}
            logits = network(**network_inputs(joined, exams.spec, device)).float().cpu()[:, : len(KEYS)]
            counts = [len(next(iter(exam.values()))) for exam in batch]
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


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device) // 2**20)
    import resource  # which Windows has not

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@contextmanager
def _counted(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar that the function it gives moves on by a number of exams."""
    with _bar(ALONE) as bar:
        task = bar.add_task(what, total=total, rate="")
        yield lambda count: bar.advance(task, count)


def _bar(team: Team) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not team.leads)
