"""Scores of probabilities against labels. Labels are (n,) of 0, 1 and NaN (unknown, left out).

Every score is NaN where it is not defined (no positives, or no negatives, or nothing called positive).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def auroc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half."""
    truth_, score_ = _known(truth, score)
    positives = int(truth_.sum())
    negatives = len(truth_) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score_, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # mean rank of tied scores
    return float((ranks[truth_ == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auprc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Average precision: the precision at each threshold weighted by the recall it adds, no interpolation."""
    precision, recall, _ = precision_recall(truth, score)
    if not len(recall):
        return float("nan")
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def precision_recall(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values, Values]:
    """Precision, recall and threshold at each distinct score, falling; empty where there are no positives."""
    truth_, score_ = _known(truth, score)
    if not truth_.any():
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(-score_, kind="stable")
    last_of_tie = np.append(np.diff(score_[order]) != 0, True)
    hits = np.cumsum(truth_[order])[last_of_tie]
    called = (np.arange(len(order)) + 1)[last_of_tie]
    return hits / called, hits / truth_.sum(), score_[order][last_of_tie]


def best_f1_threshold(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """The threshold (score >= threshold is positive) with the highest F1; halfway to the next score below."""
    precision, recall, threshold = precision_recall(truth, score)
    if not len(threshold):
        return float("nan")
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1))
    below = threshold[best + 1] if best + 1 < len(threshold) else threshold[best]
    return float((threshold[best] + below) / 2)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts at one threshold, and the rates that follow from them."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """Share of positives called positive."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of negatives called negative."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """Share of those called positive that are."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Share of those called negative that are."""
        return _ratio(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and positive predictive value."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def confusion(truth: npt.ArrayLike, score: npt.ArrayLike, threshold: float) -> Confusion:
    """Counts of true and false calls when ``score >= threshold`` is positive."""
    truth_, score_ = _known(truth, score)
    called, real = score_ >= threshold, truth_ == 1
    return Confusion(
        int((called & real).sum()),
        int((called & ~real).sum()),
        int((~called & real).sum()),
        int((~called & ~real).sum()),
    )


def calibration_error(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of probabilities in [0, 1] over bins of equal width (Guo et al., ICML 2017)."""
    truth_, probability_ = _known(truth, probability)
    if not len(truth_):
        return float("nan")
    which = np.minimum((probability_ * bins).astype(int), bins - 1)
    gap = np.bincount(which, probability_ - truth_, bins)
    return float(np.abs(gap).sum() / len(truth_))


def fit_platt(truth: npt.ArrayLike, logit: npt.ArrayLike, steps: int = 100) -> tuple[float, float]:
    """Slope and offset (a, b) of the likeliest ``sigmoid(a * logit + b)`` (Platt 1999), by Newton's method.

    Targets are smoothed as Platt proposes, so that separable labels give finite values; no labels give (1, 0).
    """
    truth_, logit_ = _known(truth, logit)
    if not len(truth_):
        return 1.0, 0.0
    centre, spread = float(logit_.mean()), float(logit_.std()) or 1.0  # steps below are in units of the spread
    positives = truth_.sum()
    negatives = len(truth_) - positives
    target = np.where(truth_ == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([(logit_ - centre) / spread, np.ones_like(logit_)])
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= step / max(1.0, float(np.abs(step).max()))  # a full step may overshoot far from the optimum
        if np.abs(step).max() < 1e-9:
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * centre


def sigmoid(logit: npt.ArrayLike) -> Values:
    """1 / (1 + exp(-logit)) of any shape, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(logit, np.float64))))


def _known(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values]:
    truth_, score_ = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    known = ~np.isnan(truth_)
    return truth_[known], score_[known]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
