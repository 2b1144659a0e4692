"""How exact areas under curves are: 95 % confidence intervals over the exams that happened to be drawn."""

from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ecglens import metrics

Values = npt.NDArray[np.float64]

REPEATS: Final = 1000
TAILS: Final = (2.5, 97.5)  # percent
_DEVIATIONS: Final = NormalDist().inv_cdf(TAILS[1] / 100)


class Estimate(NamedTuple):
    """A value and the ends of its 95 % interval, NaN where they are not defined."""

    value: float
    low: float
    high: float


def auroc(truth: npt.ArrayLike, score: npt.ArrayLike) -> Estimate:
    """Area under the ROC curve with DeLong's interval, on the scale of logits, where it stays below 1.

    The variance is from midranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014). An area of 0 or 1, or of fewer
    than two positives or negatives, has no interval.
    """
    truth_, score_ = metrics.known(truth, score)
    positives, negatives = score_[truth_ == 1], score_[truth_ == 0]
    area = metrics.auroc(truth_, score_)
    if min(len(positives), len(negatives)) < 2 or area in (0.0, 1.0):
        return Estimate(area, np.nan, np.nan)
    ranks = _midranks(np.concatenate([positives, negatives]))
    below = (ranks[: len(positives)] - _midranks(positives)) / len(negatives)  # share of negatives, of each positive
    under = (ranks[len(positives) :] - _midranks(negatives)) / len(positives)  # share of positives, of each negative
    error = np.sqrt(below.var(ddof=1) / len(positives) + under.var(ddof=1) / len(negatives))
    reach = _DEVIATIONS * float(error) / (area * (1 - area))
    low, high = metrics.sigmoid(metrics.logit(area) + np.array([-reach, reach])).tolist()
    return Estimate(area, low, high)


def auprc(truth: npt.ArrayLike, score: npt.ArrayLike, rng: np.random.Generator) -> Estimate:
    """Average precision with its interval over bootstrap samples, each with as many positives and negatives."""
    positives, negatives, _ = metrics.tally(truth, score)
    if not positives.any() or not negatives.any():
        return Estimate(metrics.auprc(truth, score), np.nan, np.nan)
    drawn = [rng.multinomial(int(n.sum()), n / n.sum(), REPEATS).astype(np.float64) for n in (positives, negatives)]
    return _estimate(metrics.auprc(truth, score), metrics.precision_area(drawn[0], drawn[1]))


def mean_areas(truth: Values, score: Values, rng: np.random.Generator) -> tuple[Estimate, Estimate]:
    """Mean AUROC and mean AUPRC over labels, of (n, labels), with intervals over bootstrap samples of the exams."""
    labels = [_Ranked(truth[:, i], score[:, i]) for i in range(truth.shape[1])]
    exams = len(truth)
    samples = (np.bincount(rng.integers(exams, size=exams), minlength=exams) for _ in range(REPEATS))
    drawn = np.array([_means(labels, sample.astype(np.float64)) for sample in samples])
    roc, precision = _means(labels, np.ones(exams))
    return _estimate(roc, drawn[:, 0]), _estimate(precision, drawn[:, 1])


class _Ranked:
    """One label's exams sorted once, to be counted under many weights."""

    def __init__(self, truth: Values, score: Values) -> None:
        self.known = ~np.isnan(truth)
        scores, self.which = np.unique(-score[self.known], return_inverse=True)
        self.truth, self.count = truth[self.known], len(scores)

    def tally(self, weight: Values) -> tuple[Values, Values]:
        """Positives and negatives at each distinct score, falling, where each exam (n,) counts ``weight`` times."""
        weight = weight[self.known]
        weights = weight * self.truth, weight * (1 - self.truth)
        positives, negatives = (np.bincount(self.which, of, self.count).astype(np.float64) for of in weights)
        return positives, negatives


def _means(labels: list[_Ranked], weight: Values) -> tuple[float, float]:
    tallies = [label.tally(weight) for label in labels]
    roc = np.mean([metrics.roc_area(*tally) for tally in tallies])
    return float(roc), float(np.mean([metrics.precision_area(*tally) for tally in tallies]))


def _estimate(value: float, drawn: Values) -> Estimate:
    """The value and the middle 95 % of those drawn; a sample that lacks a label counts for nothing."""
    defined = drawn[~np.isnan(drawn)]
    low, high = np.percentile(defined, TAILS) if len(defined) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def _midranks(values: Values) -> Values:
    """Ranks from 1, the mean of them where values are equal."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
