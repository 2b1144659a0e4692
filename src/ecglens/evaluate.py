"""How good a model is: every exam of a dataset through ``diagnose``, scored against its labels."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecglens import metrics
from ecglens.datasets.index import Dataset
from ecglens.diagnosis import Diagnosis, Kind, diagnose
from ecglens.errors import UnreadableError, UsageError
from ecglens.inputs import SignalSpec, prepare_record
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.paper import Page, random_style, render
from ecglens.record import Record

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """One label's scores: areas over all thresholds, and counts at the model's own threshold."""

    label: str
    positives: int
    auroc: float
    auprc: float
    calibration_error: float
    at_threshold: metrics.Confusion


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Labels and predictions, (n, 7) each, of the exams that could be read; ``refused`` says why others could not."""

    exams: tuple[str, ...]
    labels: Array
    probabilities: Array
    called: npt.NDArray[np.bool_]
    refused: tuple[tuple[str, str], ...]

    def scores(self) -> list[Score]:
        """Scores of every label."""
        return [
            Score(
                key,
                int(np.nansum(self.labels[:, i])),
                metrics.auroc(self.labels[:, i], self.probabilities[:, i]),
                metrics.auprc(self.labels[:, i], self.probabilities[:, i]),
                metrics.calibration_error(self.labels[:, i], self.probabilities[:, i]),
                metrics.confusion(self.labels[:, i], self.called[:, i], 0.5),
            )
            for i, key in enumerate(KEYS)
        ]

    def write(self, path: Path) -> None:
        """Write one line an exam: its labels and probabilities, as CSV."""
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["exam", *(f"label_{key}" for key in KEYS), *(f"probability_{key}" for key in KEYS)])
            for exam, labels, values in zip(self.exams, self.labels, self.probabilities, strict=True):
                table.writerow([exam, *("" if np.isnan(x) else int(x) for x in labels), *(f"{p:.6f}" for p in values)])


def macro(scores: Sequence[Score]) -> tuple[float, float]:
    """Mean AUROC and mean AUPRC over the six diagnoses."""
    six = [score for score in scores if score.label in {label.key for label in DIAGNOSES}]
    return float(np.mean([score.auroc for score in six])), float(np.mean([score.auprc for score in six]))


def evaluate(
    dataset: Dataset,
    folds: Sequence[int],
    kind: Kind,
    *,
    layouts: Sequence[str],
    model: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Diagnose the exams of ``folds``, as signals or each as one drawn page, and set the answers beside the labels.

    A page's layout (of ``layouts``), style and turn follow from ``seed`` and the exam. ``limit`` takes the first exams
    only; ``tick`` is called after each. Raises UsageError when not one exam could be read.
    """
    chosen = dataset.in_folds(folds)[:limit]
    read: list[tuple[int, Diagnosis]] = []
    refused = []
    for i, answer in zip(chosen, _answers(dataset, chosen, kind, layouts, model, seed), strict=True):
        if answer.readable:
            read.append((int(i), answer))
        else:
            refused.append((dataset.exams[i].id, answer.reason or ""))
        tick()
    if not read:
        raise UsageError(f"not one of {len(chosen)} exams could be read: the first says: {refused[0][1]}")
    return Evaluation(
        tuple(dataset.exams[i].id for i, _ in read),
        dataset.labels[[i for i, _ in read]].astype(np.float64),
        np.array([[answer.labels[key].probability for key in KEYS] for _, answer in read]),
        np.array([[answer.labels[key].positive for key in KEYS] for _, answer in read]),
        tuple(refused),
    )


def _answers(
    dataset: Dataset, chosen: npt.NDArray[np.intp], kind: Kind, layouts: Sequence[str], model: Path | None, seed: int
) -> Iterator[Diagnosis]:
    for i in chosen:
        try:
            record = dataset.read(int(i))
        except UnreadableError as error:
            yield Diagnosis(dataset.exams[i].id, 1, kind, str(error))
            continue
        if kind == "signal":
            yield diagnose(record, model=model)
        else:
            yield diagnose(drawn(record, layouts, np.random.default_rng([seed, int(i)])), model=model)


def drawn(record: Record, layouts: Sequence[str], rng: np.random.Generator) -> Page:
    """Draw a record as the paper's test pages are: baseline removed, random layout, style and turn to 10 degrees."""
    prepared = prepare_record(record, SignalSpec())
    layout = layouts[int(rng.integers(len(layouts)))]
    return render(prepared, layout, random_style(rng), px_per_mm=4, rotation=float(rng.uniform(-10, 10)))
