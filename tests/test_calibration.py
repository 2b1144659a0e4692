"""Platt's fit is the likeliest, rules keep what they promise; nobody is judged by a fit on themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.calibration import NEVER, PPV, SENSITIVITY, calibrate, cross_fit, fit_platt, fit_rule, recalibrate
from ecglens.labels import KEYS
from ecglens.metrics import confusion, sigmoid

NAN = float("nan")
labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda k: k / 8)), min_size=1, max_size=30)


def overlapping(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, one in five positive, and logits that tell them apart now and then."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(count) < 0.2).astype(float)
    return truth, rng.normal(4 * truth - 2, 1.5)


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
    truth, logit = np.array(pairs, float).T
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


def test_labels_that_are_not_known_change_no_fit() -> None:
    truth, logit = overlapping(100)
    assert fit_rule(np.append(truth, NAN), np.append(logit, 9.0)) == fit_rule(truth, logit)


def test_a_rule_keeps_what_it_promises_on_the_exams_it_was_fitted_on() -> None:
    truth, logit = overlapping(2000)
    rule = fit_rule(truth, logit)
    probability = rule.probability(logit)
    assert confusion(truth, probability, rule.sensitive).sensitivity >= SENSITIVITY
    low, high = rule.unsure
    assert low <= rule.threshold <= high
    assert confusion(truth, probability, low).sensitivity >= SENSITIVITY
    assert confusion(truth, probability, high).ppv >= PPV
    inside = (probability >= low) & (probability < high)
    wrong = (probability >= rule.threshold) != truth
    assert wrong[inside].mean() > 3 * wrong[~inside].mean()


def test_what_the_network_cannot_tell_is_never_called_and_never_unsure() -> None:
    rng = np.random.default_rng(0)
    rule = fit_rule(rng.integers(0, 2, 500), rng.normal(size=500))
    assert (rule.threshold, rule.unsure) == (NEVER, (NEVER, NEVER))
    assert fit_rule([0.0, 0.0], [1.0, 2.0]).threshold == NEVER


def test_a_label_whose_calls_are_never_right_enough_gives_no_sure_positive() -> None:
    truth = np.repeat([1.0, 0, 0, 0, 0], 100)  # every positive has a negative twin above it
    logit = np.concatenate([np.linspace(1, 2, 100), np.linspace(1.001, 2.001, 100), np.linspace(-3, -2, 300)])
    assert fit_rule(truth, logit).unsure[1] == 1.0


def test_the_card_holds_every_label() -> None:
    truth, logit = overlapping(300)
    card = calibrate(np.tile(truth[:, None], len(KEYS)), np.tile(logit[:, None], len(KEYS)))
    rule = fit_rule(truth, logit)
    for key in KEYS:
        assert card["calibration"][key] == pytest.approx([rule.slope, rule.offset], abs=1e-5)
        assert card["thresholds"][key] == pytest.approx(rule.threshold, abs=1e-5)
        assert card["sensitive"][key] == pytest.approx(rule.sensitive, abs=1e-5)
        assert card["unsure"][key] == pytest.approx(rule.unsure, abs=1e-5)


def test_a_card_is_calibrated_anew_for_the_logits_of_its_network(tmp_path: Path) -> None:
    truth, logit = overlapping(300)
    network = (logit - 3) / 2  # which the card's slope of 2 and offset of 3 make `logit` of
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"name": "tiny", "calibration": {key: [2.0, 3.0] for key in KEYS}}))
    recalibrate(path, np.tile(truth[:, None], len(KEYS)), np.tile(logit[:, None], len(KEYS)))
    card = json.loads(path.read_text())
    rule = fit_rule(truth, network)
    assert card["name"] == "tiny"
    assert card["calibration"]["AF"] == pytest.approx([rule.slope, rule.offset], abs=1e-4)
    assert card["thresholds"]["AF"] == pytest.approx(rule.threshold, abs=1e-4)


def test_cross_fitting_does_not_depend_on_a_patients_own_labels() -> None:
    truth, logit = overlapping(300)
    patients = [str(i // 2) for i in range(300)]
    own = np.array(patients) == "7"
    first = cross_fit(truth[:, None], logit[:, None], patients, np.random.default_rng(0))
    changed = np.where(own, 1 - truth, truth)
    second = cross_fit(changed[:, None], logit[:, None], patients, np.random.default_rng(0))
    np.testing.assert_array_equal(first.probabilities[own], second.probabilities[own])
    assert (first.probabilities != second.probabilities).any()


def test_cross_fitting_mends_logits_of_another_scale() -> None:
    truth, logit = overlapping(2000)
    patients = [str(i) for i in range(2000)]
    shown, stretched = (
        cross_fit(truth[:, None], values[:, None], patients, np.random.default_rng(0))
        for values in (logit, 3 * logit + 5)
    )
    np.testing.assert_allclose(shown.probabilities, stretched.probabilities, atol=1e-6)
    np.testing.assert_array_equal(shown.called, stretched.called)
