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
    logit,
    precision_recall,
    precision_threshold,
    reliability,
    risk_coverage,
    roc,
    sensitivity_threshold,
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


def test_curves_and_thresholds_of_that_table() -> None:
    truth = [1, 1, 0, 1, 0, 0]
    score = [0.9, 0.8, 0.7, 0.6, 0.6, 0.1]
    np.testing.assert_allclose(roc(truth, score), [[0, 0, 0, 1 / 3, 2 / 3, 1], [0, 1 / 3, 2 / 3, 2 / 3, 1, 1]])
    # Two of three positives are reached at 0.8, all at 0.6; the thresholds lie halfway to the next score below.
    assert sensitivity_threshold(truth, score, 0.6) == pytest.approx(0.75)
    assert sensitivity_threshold(truth, score, 0.7) == pytest.approx(0.35)
    assert precision_threshold(truth, score, 0.65) == 0.7
    assert precision_threshold(truth, score, 0.9) == 0.8
    assert isnan(precision_threshold([0, 1], [0.9, 0.8], 0.6))


@settings(max_examples=40, deadline=None)
@given(labelled, st.floats(0.05, 1))
def test_no_higher_threshold_is_as_sensitive(pairs: list[tuple[int, float]], least: float) -> None:
    truth, score = split(pairs)
    threshold = sensitivity_threshold(truth, score, least)
    if truth.any():
        assert confusion(truth, score, threshold).sensitivity >= least
        higher = score[score > score[score >= threshold].min()]
        assert all(confusion(truth, score, s).sensitivity < least for s in higher)


def test_risk_and_coverage_by_hand() -> None:
    # Of answers falling in sureness the second is wrong, and one of the last two, which are as sure.
    coverage, risk = risk_coverage([0, 1, 0, 1], [0.9, 0.8, 0.6, 0.6])
    np.testing.assert_allclose(coverage, [1 / 4, 2 / 4, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 2 / 4])


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


def test_reliability_leaves_empty_bins_out() -> None:
    expected, found, count = reliability([0, 1, 1], [0.1, 0.3, 1.0], bins=3)
    np.testing.assert_allclose(expected, [0.2, 1.0])
    np.testing.assert_allclose(found, [0.5, 1.0])
    np.testing.assert_array_equal(count, [2, 1])


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.1, 0.3 with no positive are 0.2 too sure; 0.6, 1.0 with one positive 0.3 too sure.
    assert calibration_error([0, 0, 1, 0], [0.1, 0.3, 0.6, 1.0], bins=2) == pytest.approx((0.4 + 0.6) / 4)
    # One bin of all: the mean probability less the share of positives.
    assert calibration_error([0, 0, 1, 0], [0.1, 0.3, 0.6, 1.0], bins=1) == pytest.approx(0.5 - 0.25)
    assert calibration_error([0, 1], [0.0, 1.0]) == 0.0


def test_the_sigmoid_of_any_number_is_a_probability() -> None:
    np.testing.assert_allclose(sigmoid([0.0, np.log(3), -np.log(3)]), [0.5, 0.75, 0.25])
    assert sigmoid([-1e4, 1e4]).tolist() == [0.0, 1.0]


def test_the_logit_inverts_the_sigmoid_and_is_finite() -> None:
    np.testing.assert_allclose(logit(sigmoid([-20.0, -1.0, 0.0, 3.0])), [-20.0, -1.0, 0.0, 3.0], atol=1e-6)
    assert np.isfinite(logit([0.0, 1.0])).all()
