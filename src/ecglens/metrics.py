"""Scores of probabilities against labels. Labels are (n,) of 0, 1 and NaN (unknown, left out).

Every score is NaN where it is not defined (no positives, or no negatives, or nothing called positive).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def auroc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half."""
    positives, negatives, _ = tally(truth, score)
    return float(roc_area(positives, negatives))


def auprc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Average precision: the precision at each threshold weighted by the recall it adds, no interpolation."""
    positives, negatives, _ = tally(truth, score)
    return float(precision_area(positives, negatives))


def tally(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values, Values]:
    """Positives and negatives at each distinct score, and these scores, falling; (distinct scores,) each."""
    truth_, score_ = known(truth, score)
    scores, which = np.unique(-score_, return_inverse=True)
    positives, negatives = (np.bincount(which, of, len(scores)).astype(np.float64) for of in (truth_, 1 - truth_))
    return positives, negatives, -scores


def roc_area(positives: Values, negatives: Values) -> Values:
    """Area under the ROC curve (...) of counts (..., scores) at falling scores; NaN without positives or negatives."""
    above = np.cumsum(positives, axis=-1) - positives / 2
    pairs = positives.sum(axis=-1) * negatives.sum(axis=-1)
    return _divided((negatives * above).sum(axis=-1), pairs)


def precision_area(positives: Values, negatives: Values) -> Values:
    """Average precision (...) of counts (..., scores) at falling scores; NaN without positives."""
    hits = np.cumsum(positives, axis=-1)
    called = hits + np.cumsum(negatives, axis=-1)
    return _divided((positives * hits / np.maximum(called, 1)).sum(axis=-1), positives.sum(axis=-1))


def roc(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values]:
    """Points of the ROC curve from (0, 0) to (1, 1): one less specificity, and sensitivity."""
    positives, negatives, _ = tally(truth, score)
    false_share, true_share = (np.append(0, _divided(np.cumsum(n), n.sum())) for n in (negatives, positives))
    return false_share, true_share


def precision_recall(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values, Values]:
    """Precision, recall and threshold at each distinct score, falling; empty where there are no positives."""
    positives, negatives, threshold = tally(truth, score)
    if not positives.any():
        return np.empty(0), np.empty(0), np.empty(0)
    hits = np.cumsum(positives)
    return hits / (hits + np.cumsum(negatives)), hits / hits[-1], threshold


def best_f1_threshold(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """The threshold (score >= threshold is positive) with the highest F1; halfway to the next score below."""
    precision, recall, threshold = precision_recall(truth, score)
    if not len(threshold):
        return float("nan")
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return _below(threshold, int(np.argmax(f1)))


def sensitivity_threshold(truth: npt.ArrayLike, score: npt.ArrayLike, least: float) -> float:
    """The highest threshold at which sensitivity is ``least`` or more; halfway to the next score below."""
    _, recall, threshold = precision_recall(truth, score)
    return _below(threshold, int(np.argmax(recall >= least))) if len(threshold) else float("nan")


def precision_threshold(truth: npt.ArrayLike, score: npt.ArrayLike, least: float) -> float:
    """The lowest threshold at which positive predictive value is ``least`` or more; NaN where it never is."""
    precision, _, threshold = precision_recall(truth, score)
    reached = threshold[precision >= least]
    return float(reached[-1]) if len(reached) else float("nan")


def _below(threshold: Values, i: int) -> float:
    return float(threshold[i : i + 2].mean())


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
    truth_, score_ = known(truth, score)
    called, real = score_ >= threshold, truth_ == 1
    return Confusion(
        int((called & real).sum()),
        int((called & ~real).sum()),
        int((~called & real).sum()),
        int((~called & ~real).sum()),
    )


def calibration_error(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of probabilities in [0, 1] over bins of equal width (Guo et al., ICML 2017)."""
    expected, found, count = reliability(truth, probability, bins)
    return float(_divided((count * np.abs(expected - found)).sum(), count.sum()))


def reliability(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int) -> tuple[Values, Values, Values]:
    """Mean probability, share of positives and count in each bin of equal width on [0, 1] that holds any."""
    truth_, probability_ = known(truth, probability)
    which = np.minimum((probability_ * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    held = count > 0
    sums = [np.bincount(which, values, bins)[held] for values in (probability_, truth_)]
    return sums[0] / count[held], sums[1] / count[held], count[held].astype(np.float64)


def risk_coverage(wrong: npt.ArrayLike, sureness: npt.ArrayLike) -> tuple[Values, Values]:
    """Share answered, and share of wrong among the answered, as ever less sure answers (n,) are given.

    Answers that are as sure are given together (El-Yaniv and Wiener, JMLR 11, 2010).
    """
    errors, rest, _ = tally(wrong, sureness)
    answered = np.cumsum(errors + rest)
    return answered / answered[-1], np.cumsum(errors) / answered


def sigmoid(logit: npt.ArrayLike) -> Values:
    """1 / (1 + exp(-logit)) of any shape, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(logit, np.float64))))


def logit(probability: npt.ArrayLike) -> Values:
    """The inverse of ``sigmoid``; probabilities of 0 and 1 count as 1e-12 from there, so that all are finite."""
    inside = np.clip(np.asarray(probability, np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def known(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Values, Values]:
    """Labels and scores as float64, without those whose label is unknown."""
    truth_, score_ = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    there = ~np.isnan(truth_)
    return truth_[there], score_[there]


def _divided(part: Values, whole: Values) -> Values:
    return np.asarray(part / np.where(np.asarray(whole) > 0, whole, np.nan))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
