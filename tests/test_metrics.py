from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.metrics import (
    Confusion,
    auprc,
    auroc,
    best_f1_threshold,
    calibration_error,
    confusion,
    fit_platt,
    precision_recall,
    sigmoid,
)

NAN = float("nan")
# Scores on a coarse grid, so that ties are common.
labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda k: k / 8)), min_size=1, max_size=30)


def split(pairs: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth, score = np.array(pairs, float).T
    return truth, score


@settings(max_examples=40, deadline=None)
@given(labelled)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, float]]) -> None:
    truth, score = split(pairs)
    positives, negatives = score[truth == 1], score[truth == 0]
    wins = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    assert auroc(truth, score) == pytest.approx(np.mean(wins) if wins else NAN, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(labelled)
def test_average_precision_is_the_precision_at_each_threshold_times_the_recall_it_adds(
    pairs: list[tuple[int, float]],
) -> None:
    truth, score = split(pairs)
    total, recall = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        counts = confusion(truth, score, threshold)
        total += (counts.sensitivity - recall) * counts.ppv
        recall = counts.sensitivity
    assert auprc(truth, score) == pytest.approx(total if truth.any() else NAN, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(labelled)
def test_no_threshold_has_a_higher_f1_than_the_best(pairs: list[tuple[int, float]]) -> None:
    truth, score = split(pairs)
    best = best_f1_threshold(truth, score)
    if not truth.any():
        assert isnan(best)
        return
    reached = confusion(truth, score, best).f1
    assert reached == pytest.approx(max(confusion(truth, score, s).f1 for s in score))


@settings(max_examples=40, deadline=None)
@given(labelled)
def test_labels_that_are_not_known_change_nothing(pairs: list[tuple[int, float]]) -> None:
    truth, score = split(pairs)
    more = np.append(truth, [NAN, NAN]), np.append(score, [0.0, 1.0])
    for metric in (auroc, auprc, best_f1_threshold, calibration_error):
        assert metric(*more) == pytest.approx(metric(truth, score), nan_ok=True)
    assert confusion(*more, 0.5) == confusion(truth, score, 0.5)
    assert fit_platt(*more) == fit_platt(truth, score)


def test_a_table_worked_by_hand() -> None:
    truth = [1, 1, 0, 1, 0, 0]
    score = [0.9, 0.8, 0.7, 0.6, 0.6, 0.1]
    # Of nine pairs seven are in order, one is not (0.6 below 0.7), one is tied.
    assert auroc(truth, score) == pytest.approx(7.5 / 9)
    # Thresholds 0.9, 0.8, 0.7, 0.6, 0.1: precision 1, 1, 2/3, 3/5, 3/6; recall 1/3, 2/3, 2/3, 1, 1.
    assert auprc(truth, score) == pytest.approx(1 / 3 + 1 / 3 + 1 / 3 * 3 / 5)
    precision, recall, threshold = precision_recall(truth, score)
    np.testing.assert_allclose(precision, [1, 1, 2 / 3, 3 / 5, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 3, 2 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(threshold, [0.9, 0.8, 0.7, 0.6, 0.1])
    # F1 at 0.8 is 2 * 2 / (2 * 2 + 0 + 1) = 0.8, at 0.6 it is 6 / 8: the best lies halfway from 0.8 to 0.7.
    assert best_f1_threshold(truth, score) == pytest.approx(0.75)
    assert confusion(truth, score, 0.7) == Confusion(tp=2, fp=1, fn=1, tn=2)


def test_rates_by_hand() -> None:
    counts = Confusion(tp=30, fp=10, fn=20, tn=940)
    assert counts.sensitivity == 30 / 50
    assert counts.specificity == 940 / 950
    assert counts.ppv == 30 / 40
    assert counts.npv == 940 / 960
    assert counts.f1 == pytest.approx(2 / (1 / 0.6 + 1 / 0.75))


@pytest.mark.parametrize(
    "value",
    [
        auroc([], []),
        auroc([1, 1], [0.1, 0.2]),
        auroc([0, NAN], [0.1, 0.2]),
        auprc([0, 0], [0.1, 0.2]),
        best_f1_threshold([0, NAN], [0.1, 0.2]),
        calibration_error([NAN], [0.5]),
        confusion([0], [0.1], 0.5).sensitivity,
        confusion([1], [0.1], 0.5).specificity,
        confusion([1], [0.1], 0.5).ppv,
        confusion([1], [0.9], 0.5).npv,
        confusion([0], [0.1], 0.5).f1,
    ],
)
def test_what_is_not_defined_is_nan(value: float) -> None:
    assert isnan(value)


def test_perfect_and_reversed_scores() -> None:
    truth, score = [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]
    assert (auroc(truth, score), auprc(truth, score)) == (1.0, 1.0)
    assert auroc(truth, [-s for s in score]) == 0.0
    assert auroc(truth, [0.5] * 4) == 0.5


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.1, 0.3 with no positive are 0.2 too sure; 0.6, 1.0 with one positive 0.3 too sure.
    assert calibration_error([0, 0, 1, 0], [0.1, 0.3, 0.6, 1.0], bins=2) == pytest.approx((0.4 + 0.6) / 4)
    # One bin of all: the mean probability less the share of positives.
    assert calibration_error([0, 0, 1, 0], [0.1, 0.3, 0.6, 1.0], bins=1) == pytest.approx(0.5 - 0.25)
    assert calibration_error([0, 1], [0.0, 1.0]) == 0.0


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -2.0), (3.0, 1.0), (-1.0, 0.5)])
@pytest.mark.parametrize("unit", [0.01, 1.0, 1000.0])
def test_platt_recovers_slope_and_offset_in_whatever_unit_the_logits_are(
    slope: float, offset: float, unit: float
) -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0.5, 1.5, 20_000)
    truth = rng.random(logit.size) < sigmoid(slope * logit + offset)
    a, b = fit_platt(truth, logit * unit)
    assert a * unit == pytest.approx(slope, abs=0.1)
    assert b == pytest.approx(offset, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(labelled, st.floats(-3, 3), st.floats(-3, 3))
def test_no_other_slope_and_offset_are_likelier(pairs: list[tuple[int, float]], da: float, db: float) -> None:
    truth, logit = split(pairs)
    positives, negatives = truth.sum(), (1 - truth).sum()
    target = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(a: float, b: float) -> float:
        p = np.clip(sigmoid(a * logit + b), 1e-300, 1 - 1e-16)
        return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).sum())

    a, b = fit_platt(truth, logit)
    assert loss(a, b) <= loss(a + da, b + db) + 1e-6


def test_separable_labels_give_finite_values_that_rise() -> None:
    a, b = fit_platt([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0])
    assert 0 < a < 10
    assert abs(b) < 1e-6


def test_without_labels_logits_stay_as_they_are() -> None:
    assert fit_platt([NAN, NAN], [3.0, 4.0]) == (1.0, 0.0)


def test_the_sigmoid_of_any_number_is_a_probability() -> None:
    np.testing.assert_allclose(sigmoid([0.0, np.log(3), -np.log(3)]), [0.5, 0.75, 0.25])
    assert sigmoid([-1e4, 1e4]).tolist() == [0.0, 1.0]
