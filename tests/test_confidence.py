"""Confidence intervals: DeLong's by hand and against the bootstrap, the bootstrap's against what many samples show."""

from math import isnan, log, sqrt

import numpy as np
import pytest

from ecglens import confidence, metrics

NAN = float("nan")


def scored(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a tenth of them positive, and scores on a grid coarse enough for ties."""
    truth = np.zeros(count)
    truth[: count // 10] = 1
    return truth, np.round(rng.normal(1.5 * truth, 1), 1)


def test_delong_by_hand() -> None:
    # Positives 3, 1 against negatives 2, 0: three pairs of four are in order. Of the negatives 1 and 1/2 lie below
    # the positives, variance 1/8; of the positives 1/2 and 1 lie above the negatives, variance 1/8.
    area, low, high = confidence.auroc([1, 1, 0, 0], [3, 1, 2, 0])
    assert area == 0.75
    reach = 1.959964 * sqrt(1 / 8 / 2 + 1 / 8 / 2) / (0.75 * 0.25)
    assert log(low / (1 - low)) == pytest.approx(log(3) - reach, abs=1e-5)
    assert log(high / (1 - high)) == pytest.approx(log(3) + reach, abs=1e-5)


def test_delong_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    truth, score = scored(1000, rng)
    area, low, high = confidence.auroc(truth, score)
    assert area == metrics.auroc(truth, score)
    positives, negatives, _ = metrics.tally(truth, score)
    drawn = [rng.multinomial(n.sum(), n / n.sum(), 4000).astype(float) for n in (positives, negatives)]
    assert (low, high) == pytest.approx(np.percentile(metrics.roc_area(*drawn), confidence.TAILS), abs=0.006)


def test_the_interval_of_average_precision_is_as_wide_as_it_varies() -> None:
    rng = np.random.default_rng(0)
    found = [metrics.auprc(*scored(500, rng)) for _ in range(300)]
    widths = [np.diff(confidence.auprc(*scored(500, rng), rng)[1:])[0] for _ in range(5)]
    assert np.mean(widths) == pytest.approx(np.diff(np.percentile(found, confidence.TAILS))[0], rel=0.2)


def test_the_same_seed_gives_the_same_interval_around_the_value() -> None:
    truth, score = scored(200, np.random.default_rng(0))
    one, again = (confidence.auprc(truth, score, np.random.default_rng(1)) for _ in range(2))
    assert one == again
    assert one.value == metrics.auprc(truth, score)
    assert one.low < one.value < one.high


def test_means_are_those_of_the_labels_and_surer_than_one() -> None:
    rng = np.random.default_rng(0)
    columns = [scored(400, rng) for _ in range(4)]
    truth, score = (np.stack(values, axis=1) for values in zip(*columns, strict=True))
    truth[5, 0] = NAN
    roc, precision = confidence.mean_areas(truth, score, rng)
    assert roc.value == pytest.approx(np.mean([metrics.auroc(truth[:, i], score[:, i]) for i in range(4)]))
    assert precision.value == pytest.approx(np.mean([metrics.auprc(truth[:, i], score[:, i]) for i in range(4)]))
    single = confidence.auroc(*columns[1])
    assert roc.low < roc.value < roc.high
    assert roc.high - roc.low < single.high - single.low


@pytest.mark.parametrize(("truth", "value"), [([1, 1], NAN), ([0, 1], 1.0), ([1, NAN], NAN)])
def test_what_has_no_interval_says_so(truth: list[float], value: float) -> None:
    area = confidence.auroc(truth, [0.1, 0.2])
    assert area.value == pytest.approx(value, nan_ok=True)
    assert isnan(area.low)
    assert isnan(area.high)
