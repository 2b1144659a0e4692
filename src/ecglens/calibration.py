"""From logits to answers: probabilities that mean what they say, and how sure one must be to answer.

All of it is fitted on validation exams and travels in the model's card. What is said of those same exams comes from
``cross_fit``: each exam is answered by a fit on other patients. Platt's calibration is simple, and neither temperature
nor beta nor isotonic calibration has notably less log loss or calibration error on PTB-XL's fold 9
(``benchmarks/calibration.py``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ecglens import metrics
from ecglens.files import replace_file
from ecglens.labels import KEYS

Values = npt.NDArray[np.float64]
Calls = npt.NDArray[np.bool_]

LEAST_AUROC: Final = 0.7  # a label that validation shows the network cannot tell is never called positive
NEVER: Final = 1.01  # a threshold that no probability reaches
SENSITIVITY: Final = 0.95  # of the positives, this share is not answered with a sure no
PARTS: Final = 5  # of the patients, in cross-fitting
PPV: Final = 0.8  # of the sure positive answers, this share is right


@dataclass(frozen=True, slots=True)
class Rule:
    """How the logits of one label are answered; thresholds are probabilities from which an answer changes.

    ``threshold`` has the highest F1, ``sensitive`` a sensitivity of 95 %. An answer is unsure from ``unsure[0]`` to
    below ``unsure[1]``: of the calls above, four in five are right; of the positives, one in twenty lies below.
    """

    slope: float
    offset: float
    threshold: float
    sensitive: float
    unsure: tuple[float, float]

    def probability(self, logit: Values) -> Values:
        """Calibrated probabilities of logits, in any shape."""
        return metrics.sigmoid(self.slope * logit + self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Calibrated probabilities, positive calls and unsure ones, (n, labels) each."""

    probabilities: Values
    called: Calls
    unsure: Calls


def fit_rule(truth: npt.ArrayLike, logit: npt.ArrayLike) -> Rule:
    """Fit calibration and thresholds of one label on labels and logits (n,).

    A label scored under ``LEAST_AUROC``, or without positives or negatives, gets thresholds that no probability
    reaches, and is never unsure.
    """
    truth_, logit_ = metrics.known(truth, logit)
    slope, offset = fit_platt(truth_, logit_)
    if not metrics.auroc(truth_, logit_) >= LEAST_AUROC:
        return Rule(slope, offset, NEVER, NEVER, (NEVER, NEVER))
    probability = metrics.sigmoid(slope * logit_ + offset)
    threshold = metrics.best_f1_threshold(truth_, probability)
    sensitive = metrics.sensitivity_threshold(truth_, probability, SENSITIVITY)
    sure = np.nan_to_num(metrics.precision_threshold(truth_, probability, PPV), nan=1.0)
    return Rule(slope, offset, threshold, sensitive, (min(threshold, sensitive), max(threshold, float(sure))))


def calibrate(labels: npt.ArrayLike, logits: npt.ArrayLike) -> dict[str, dict[str, Any]]:
    """What a card holds of calibration and thresholds, by label, fitted on labels and logits (n, 7)."""
    columns = zip(KEYS, np.transpose(labels), np.transpose(logits), strict=True)
    rules = {key: fit_rule(truth, logit) for key, truth, logit in columns}
    return {
        "calibration": {key: [round(rule.slope, 5), round(rule.offset, 5)] for key, rule in rules.items()},
        "thresholds": {key: round(rule.threshold, 5) for key, rule in rules.items()},
        "sensitive": {key: round(rule.sensitive, 5) for key, rule in rules.items()},
        "unsure": {key: [round(edge, 5) for edge in rule.unsure] for key, rule in rules.items()},
    }


def recalibrate(card: Path, labels: npt.ArrayLike, logits: npt.ArrayLike) -> None:
    """Fit calibration and thresholds in a model's card anew, on labels and logits (n, 7) as that card calibrates them.

    For a model that diagnosis shows something else than training did, such as traces read off pages.
    """
    values = json.loads(card.read_text(encoding="utf-8"))
    found = calibrate(labels, logits)
    for key, (slope, offset) in found["calibration"].items():
        before = values["calibration"][key]
        found["calibration"][key] = [round(slope * before[0], 5), round(slope * before[1] + offset, 5)]
    text = json.dumps(values | found, indent=1) + "\n"
    replace_file(card, lambda path: path.write_text(text, encoding="utf-8"))


def cross_fit(
    labels: npt.ArrayLike, logits: npt.ArrayLike, patients: Sequence[str], rng: np.random.Generator
) -> Answers:
    """Answer each exam, of logits (n, labels), by rules fitted on four fifths of the patients, its own not included."""
    labels_, logits_ = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    names, patient = np.unique(patients, return_inverse=True)
    part = (rng.permutation(len(names)) % PARTS)[patient]
    answers = Answers(np.empty_like(logits_), np.empty(logits_.shape, bool), np.empty(logits_.shape, bool))
    for k in range(PARTS):
        here = part == k
        for i in range(logits_.shape[1]):
            rule = fit_rule(labels_[~here, i], logits_[~here, i])
            probability = rule.probability(logits_[here, i])
            answers.probabilities[here, i] = probability
            answers.called[here, i] = probability >= rule.threshold
            answers.unsure[here, i] = (probability >= rule.unsure[0]) & (probability < rule.unsure[1])
    return answers


def fit_platt(truth: npt.ArrayLike, logit: npt.ArrayLike, steps: int = 100) -> tuple[float, float]:
    """Slope and offset (a, b) of the likeliest ``sigmoid(a * logit + b)`` (Platt 1999), by Newton's method.

    Targets are smoothed as Platt proposes, so that separable labels give finite values; no labels give (1, 0).
    """
    truth_, logit_ = metrics.known(truth, logit)
    if not len(truth_):
        return 1.0, 0.0
    centre, spread = float(logit_.mean()), float(logit_.std()) or 1.0  # steps below are in units of the spread
    positives = truth_.sum()
    negatives = len(truth_) - positives
    target = np.where(truth_ == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([(logit_ - centre) / spread, np.ones_like(logit_)])
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        p = metrics.sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= step / max(1.0, float(np.abs(step).max()))  # a full step may overshoot far from the optimum
        if np.abs(step).max() < 1e-9:
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * centre
