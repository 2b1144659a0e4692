"""How good a model is: every exam of a dataset through ``diagnose``, scored against its labels."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens import confidence, figures, metrics
from ecglens.calibration import cross_fit
from ecglens.confidence import Estimate
from ecglens.datasets.index import Dataset, Exam
from ecglens.diagnosis import Diagnosis, Kind, diagnose
from ecglens.errors import UnreadableError, UsageError
from ecglens.inputs import SignalSpec, prepare_record
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.pages import PAPER_PAGES, Pages, drawn
from ecglens.processes import spread
from ecglens.record import Record

Array = npt.NDArray[np.float64]
Calls = npt.NDArray[np.bool_]

SEED: Final = 0  # of bootstrap samples and of cross-fitting


@dataclass(frozen=True, slots=True)
class Score:
    """One label's scores: areas over all thresholds, and counts at the model's own threshold.

    ``coverage`` is the share of answers that are sure, ``risk`` the share of these that are wrong.
    """

    label: str
    positives: int
    auroc: Estimate
    auprc: Estimate
    calibration_error: float
    at_threshold: metrics.Confusion
    coverage: float
    risk: float

    def row(self) -> dict[str, float]:
        """All numbers by name."""
        rates = {rate: getattr(self.at_threshold, rate) for rate in ("f1", "sensitivity", "specificity", "ppv", "npv")}
        sure = {"ece": self.calibration_error, "coverage": self.coverage, "risk": self.risk}
        return {"positives": self.positives, **_areas(self.auroc, self.auprc), **rates, **sure}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Labels and answers, (n, 7) each, of the exams that could be read; ``refused`` says why others could not.

    ``logits`` are as the model's card has them, whatever the ``probabilities`` were made of.
    """

    exams: tuple[str, ...]
    patients: tuple[str, ...]
    labels: Array
    logits: Array
    probabilities: Array
    called: Calls
    unsure: Calls
    refused: tuple[tuple[str, str], ...]

    def cross_fitted(self) -> "Evaluation":
        """The same exams, answered with calibration and thresholds that were fitted on other patients of them.

        For exams that the model's own were fitted on.
        """
        answers = cross_fit(self.labels, self.logits, self.patients, np.random.default_rng(SEED))
        return replace(self, probabilities=answers.probabilities, called=answers.called, unsure=answers.unsure)

    @cached_property
    def scores(self) -> list[Score]:
        """Scores of every label."""
        rng = np.random.default_rng(SEED)
        return [self._score(i, key, rng) for i, key in enumerate(KEYS)]

    def _score(self, i: int, key: str, rng: np.random.Generator) -> Score:
        known = ~np.isnan(self.labels[:, i])
        truth, logits, called = self.labels[known, i], self.logits[known, i], self.called[known, i]
        sure = ~self.unsure[known, i]
        return Score(
            key,
            int(truth.sum()),
            confidence.auroc(truth, logits),
            confidence.auprc(truth, logits, rng),
            metrics.calibration_error(truth, self.probabilities[known, i]),
            metrics.confusion(truth, called, 0.5),
            float(sure.mean()) if len(sure) else float("nan"),
            float((called != truth)[sure].mean()) if sure.any() else float("nan"),
        )

    @cached_property
    def means(self) -> tuple[Estimate, Estimate]:
        """Mean AUROC and mean AUPRC over the six diagnoses."""
        six = [KEYS.index(label.key) for label in DIAGNOSES]
        return confidence.mean_areas(self.labels[:, six], self.logits[:, six], np.random.default_rng(SEED))

    def write_scores(self, path: Path) -> None:
        """Write one line a label and one of the means, as CSV; what is not defined is empty."""
        rows = {score.label: score.row() for score in self.scores} | {"mean": _areas(*self.means)}
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, ["label", *rows[KEYS[0]]])
            table.writeheader()
            for label, row in rows.items():
                table.writerow({"label": label} | {k: "" if np.isnan(x) else f"{x:.5g}" for k, x in row.items()})

    def draw(self, folder: Path) -> None:
        """Draw reliability, ROC with precision and recall, and risk against coverage, as PNG in ``folder``.

        Raises MissingExtraError without matplotlib.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in (
            ("reliability", figures.reliability(self.labels, self.probabilities)),
            ("curves", figures.curves(self.labels, self.logits)),
            ("risk-coverage", figures.risk_coverage(self.labels, self.probabilities, self.called, self.unsure)),
        ):
            figures.save(figure, folder / f"{name}.png")

    def write(self, path: Path) -> None:
        """Write one line an exam: its labels and probabilities, as CSV."""
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["exam", *(f"label_{key}" for key in KEYS), *(f"probability_{key}" for key in KEYS)])
            for exam, labels, values in zip(self.exams, self.labels, self.probabilities, strict=True):
                table.writerow([exam, *("" if np.isnan(x) else int(x) for x in labels), *(f"{p:.6f}" for p in values)])


def _areas(auroc: Estimate, auprc: Estimate) -> dict[str, float]:
    """Both areas with the ends of their intervals, by name."""
    ends = ("", "_low", "_high")
    both = (("auroc", auroc), ("auprc", auprc))
    return {f"{name}{end}": x for name, area in both for end, x in zip(ends, area, strict=True)}


def evaluate(
    dataset: Dataset,
    folds: Sequence[int],
    kind: Kind,
    *,
    pages: Pages = PAPER_PAGES,
    model: Path | None = None,
    limit: int | None = None,
    workers: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Diagnose the exams of ``folds``, as signals or each as one drawn page, and set the answers beside the labels.

    ``limit`` takes the first exams only; ``workers`` processes share them; ``tick`` is called after each. Raises
    UsageError when not one exam could be read.
    """
    chosen = [(int(i), dataset.exams[i]) for i in dataset.in_folds(folds)[:limit]]
    read: list[tuple[Exam, Diagnosis]] = []
    refused = []
    work = partial(_answer, load=dataset.load, kind=kind, pages=pages, model=model)
    for (_, exam), answer in zip(chosen, spread(work, chosen, workers), strict=True):
        if answer.readable:
            read.append((exam, answer))
        else:
            refused.append((exam.id, answer.reason or ""))
        tick()
    if not read:
        raise UsageError(f"not one of {len(chosen)} exams could be read: the first says: {refused[0][1]}")
    return _gather(read, refused)


def _gather(read: Sequence[tuple[Exam, Diagnosis]], refused: Sequence[tuple[str, str]]) -> Evaluation:
    answers = [[answer.labels[key] for key in KEYS] for _, answer in read]
    probabilities = np.array([[finding.probability for finding in row] for row in answers])
    return Evaluation(
        exams=tuple(exam.id for exam, _ in read),
        patients=tuple(exam.patient for exam, _ in read),
        labels=np.stack([exam.labels for exam, _ in read]).astype(np.float64),
        logits=metrics.logit(probabilities),
        probabilities=probabilities,
        called=np.array([[finding.positive for finding in row] for row in answers]),
        unsure=np.array([[finding.unsure for finding in row] for row in answers]),
        refused=tuple(refused),
    )


def _answer(
    exam: tuple[int, Exam], load: Callable[[Exam], Record], kind: Kind, pages: Pages, model: Path | None
) -> Diagnosis:
    index, of = exam
    try:
        record = load(of)
    except UnreadableError as error:
        return Diagnosis(of.id, 1, kind, str(error))
    rng = np.random.default_rng([pages.seed, index])
    ecg = record if kind == "signal" else drawn(prepare_record(record, SignalSpec()), pages, rng)
    return diagnose(ecg, model=model).without_pixels()
