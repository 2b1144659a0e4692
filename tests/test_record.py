import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import SignalError
from ecglens.leads import INDEPENDENT, LEADS
from ecglens.record import Record, Truth, correlation

ZEROS = np.zeros((12, 5), np.float32)


@pytest.mark.parametrize(
    ("signal", "fs", "message"),
    [
        (np.zeros((8, 5), np.float32), 500.0, r"shape \(12, samples\), got \(8, 5\)"),
        (np.zeros((5, 12), np.float32), 500.0, r"shape \(12, samples\)"),
        (np.zeros(12, np.float32), 500.0, r"shape \(12, samples\)"),
        (np.zeros((12, 0), np.float32), 500.0, r"shape \(12, samples\)"),
        (np.zeros((12, 5)), 500.0, "float32 millivolts, got float64"),
        (np.zeros((12, 5), np.int16), 500.0, "float32 millivolts, got int16"),
        (ZEROS, 0.0, "0 Hz cannot be"),
        (ZEROS, -500.0, "-500 Hz cannot be"),
        (ZEROS, 24.9, "24.9 Hz cannot be"),
        (ZEROS, 20_001.0, "cannot be an ECG's"),
        (ZEROS, float("nan"), "nan Hz cannot be"),
        (ZEROS, float("inf"), "inf Hz cannot be"),
        (np.full((12, 5), np.inf, np.float32), 500.0, "infinite"),
        (np.full((12, 5), -np.inf, np.float32), 500.0, "infinite"),
    ],
)
def test_what_cannot_be_an_ecg_is_refused(signal: np.ndarray, fs: float, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Record(signal, fs)


@pytest.mark.parametrize("fs", [25, 100.0, 1000.0, 20_000])
def test_the_duration_is_samples_over_rate(fs: float) -> None:
    assert Record(ZEROS, fs).duration == 5 / fs


def test_a_record_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Record(ZEROS, 500.0).fs = 250.0  # type: ignore[misc]


def test_leads_read_back_equal_in_whatever_order_and_spelling_they_come() -> None:
    signal = np.random.default_rng(0).normal(size=(12, 9)).astype(np.float32)
    named = {f"lead {lead.upper()}": row for lead, row in zip(LEADS, signal, strict=True)}
    backwards = dict(reversed(named.items()))
    np.testing.assert_array_equal(Record.from_leads(backwards, 500.0).signal, signal)


def test_limb_leads_that_follow_are_computed() -> None:
    record = Record.from_leads({lead: [float(i + 1)] for i, lead in enumerate(INDEPENDENT)}, 500.0)
    np.testing.assert_allclose(record.signal[:, 0], [1, 2, 1, -1.5, 0, 1.5, 3, 4, 5, 6, 7, 8], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(LEADS[6:]), min_size=1))
def test_what_is_absent_and_does_not_follow_is_missing(given_leads: set[str]) -> None:
    record = Record.from_leads({lead: np.zeros(4) for lead in given_leads}, 500.0)
    assert set(record.missing_leads()) == set(LEADS) - given_leads
    assert np.isnan(record.signal).all(axis=1).sum() == 12 - len(given_leads)


def test_a_lead_with_any_sample_is_not_missing() -> None:
    signal = np.full((12, 5), np.nan, np.float32)
    signal[3, 2] = 0
    assert Record(signal, 500.0).missing_leads() == tuple(lead for lead in LEADS if lead != "aVR")


@pytest.mark.parametrize(
    ("leads", "message"),
    [
        ({}, "no leads"),
        ({"I": [0.0], "V7": [0.0]}, "'V7' is none of the twelve"),
        ({"-aVR": [0.0]}, "'-aVR' is none of the twelve"),
        ({"II": [0.0], "lead ii": [0.0]}, "lead II is given twice"),
        ({"I": [0.0, 1.0], "II": [0.0]}, "different lengths"),
        ({"I": 1.0}, "not in one row"),
        ({"I": [[0.0, 1.0]]}, "not in one row"),
        ({"I": []}, r"shape \(12, samples\)"),
    ],
)
def test_leads_that_do_not_fit_are_refused(leads: dict[str, list[float]], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Record.from_leads(leads, 500.0)


def test_intervals_of_each_beat_are_the_waves_differences_in_ms() -> None:
    names = ("P on", "P off", "QRS on", "QRS off", "T off")
    times = (0.10, 0.20, 0.26, 0.35, 0.66)
    waves = {name: np.array([time, time + 1]) for name, time in zip(names, times, strict=True)}
    truth = Truth(
        labels=frozenset(),
        findings=frozenset(),
        r_peaks=np.array([0.3, 1.3]),
        beats=np.array(["N", "N"]),
        waves=waves,
        p_waves=np.array([[0.1, 0.2], [1.1, 1.2]]),
        intervals={},
        axis=30.0,
        age=50.0,
    )
    expected = {"P": 100, "PR": 160, "QRS": 90, "QT": 400}
    for interval, value in expected.items():
        np.testing.assert_allclose(truth.per_beat(interval), [value, value])


def test_correlation_is_of_what_both_have() -> None:
    one = np.array([1, 2, 3, 4, np.nan, 9], np.float32)
    other = np.array([2, 4, 6, 8, 5, np.nan], np.float32)
    assert correlation(one, other, 4) == pytest.approx(1)
    assert correlation(one, -other, 4) == pytest.approx(-1)
    assert np.isnan(correlation(one, other, 5))
    assert np.isnan(correlation(one, np.full(6, 0.1, np.float32), 4))
