import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import SignalError
from ecglens.record import Record
from ecglens.signal import amplitudes, crop, fill_gaps, flat_leads, limb_contradiction, remove_baseline, resample
from ecglens.simulator import simulate

RATES = (100.0, 125.0, 240.0, 250.0, 257.0, 300.0, 360.0, 500.0, 1000.0)
NAN = float("nan")


def sines(fs: float, frequency: float, seconds: float = 4.0) -> Record:
    """A sine of 1 mV in every lead, each of another phase."""
    times = np.arange(round(seconds * fs)) / fs
    phases = np.arange(12)[:, None]
    return Record(np.sin(2 * np.pi * frequency * times + phases).astype(np.float32), fs)


def noisy(samples: int, fs: float = 100.0, seed: int = 0) -> Record:
    return Record(np.random.default_rng(seed).normal(size=(12, samples)).astype(np.float32), fs)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RATES), st.sampled_from(RATES), st.floats(0.0, 0.8))
def test_a_band_limited_sine_is_the_same_sine_at_another_rate(old: float, new: float, share: float) -> None:
    frequency = share * min(old, new) / 2
    resampled = resample(sines(old, frequency), new)
    expected = sines(new, frequency)
    assert resampled.signal.shape == expected.signal.shape
    assert resampled.fs == new
    edge = round(0.3 * new)
    inside = np.s_[:, edge:-edge]
    np.testing.assert_allclose(resampled.signal[inside], expected.signal[inside], atol=2e-3)


def test_what_the_lower_rate_cannot_carry_is_gone() -> None:
    assert np.abs(resample(sines(1000.0, 80.0), 100.0).signal[:, 30:-30]).max() < 2e-3


def test_the_same_rate_changes_nothing() -> None:
    record = noisy(50)
    np.testing.assert_array_equal(resample(record, 100.0).signal, record.signal)


@pytest.mark.parametrize("samples", [1, 2, 7, 23])
def test_a_constant_stays_constant_up_to_the_ends_however_short(samples: int) -> None:
    record = Record(np.full((12, samples), 1.5, np.float32), 100.0)
    for fs in (50.0, 257.0, 300.0):
        if samples * fs >= 100:
            np.testing.assert_allclose(resample(record, fs).signal, 1.5, atol=1e-5)


def test_times_of_beats_stay_true() -> None:
    record = simulate((), rng=np.random.default_rng(0), duration=5.0, fs=100.0)
    truth = record.truth
    assert truth is not None
    assert resample(record, 300.0).truth is truth
    assert remove_baseline(record).truth is truth


@pytest.mark.parametrize("fs", [50.0, 250.0, 300.0])
def test_a_gap_stays_where_it_was_and_spoils_nothing_else(fs: float) -> None:
    record = sines(100.0, 3.0)
    whole = resample(record, fs)
    record.signal[2, 100:150] = np.nan
    record.signal[5] = np.nan
    gapped = resample(record, fs)
    missing = np.isnan(gapped.signal)
    times = np.arange(missing.shape[1]) / fs
    assert missing[5].all()
    assert not missing[[0, 1, 3, 4, *range(6, 12)]].any()
    assert missing[2][(times > 0.996) & (times < 1.494)].all()
    assert not missing[2][(times < 0.994) | (times > 1.496)].any()
    np.testing.assert_allclose(gapped.signal[0], whole.signal[0], atol=1e-6)


def test_a_rate_that_is_no_ecgs_is_refused() -> None:
    with pytest.raises(SignalError, match="5 Hz cannot be"):
        resample(noisy(200), 5.0)


def test_gaps_are_bridged_by_straight_lines() -> None:
    signal = np.array([[NAN, 1, NAN, NAN, 4, NAN], [NAN] * 6, [1, 2, 3, 4, 5, 6]], np.float32)
    np.testing.assert_allclose(fill_gaps(signal), [[1, 1, 2, 3, 4, 4], [0] * 6, [1, 2, 3, 4, 5, 6]])
    assert np.isnan(signal[0, 0])


def naive_baseline(row: np.ndarray, half: int) -> np.ndarray:
    windows = [row[max(i - half, 0) : i + half + 1] for i in range(len(row))]
    known = [window[~np.isnan(window)] for window in windows]
    return np.array([np.median(window) if window.size else NAN for window in known])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.sampled_from([0.02, 0.05, 0.1, 0.3, 1.0]), st.floats(0, 0.6), st.integers(0, 99))
def test_the_baseline_is_the_median_of_the_recorded_neighbours(
    samples: int, window: float, missing: float, seed: int
) -> None:
    record = noisy(samples, seed=seed)
    record.signal[np.random.default_rng(seed).random(record.signal.shape) < missing] = np.nan
    half = round(window * 100) // 2
    expected = np.array([row - naive_baseline(row, half) for row in record.signal])
    np.testing.assert_allclose(remove_baseline(record, window).signal, expected, atol=1e-6)


def test_a_slow_drift_is_removed_and_a_beat_is_not() -> None:
    times = np.arange(3000) / 300
    beats = np.where(times % 1 < 0.08, 1.0, 0.0)
    drift = 0.5 * np.sin(2 * np.pi * 0.1 * times)
    record = Record(np.tile(beats + drift, (12, 1)).astype(np.float32), 300.0)
    np.testing.assert_allclose(
        remove_baseline(record).signal[:, 150:-150], np.tile(beats, (12, 1))[:, 150:-150], atol=0.1
    )


def test_a_window_of_nothing_removes_nothing() -> None:
    record = noisy(50)
    assert remove_baseline(record, 0.0) is record


@settings(max_examples=40, deadline=None)
@given(st.integers(-150, 150), st.integers(1, 200))
def test_a_crop_shows_the_samples_at_their_times_and_nothing_elsewhere(start: int, length: int) -> None:
    record = Record(np.tile(np.arange(100, dtype=np.float32), (12, 1)), 100.0)
    cropped = crop(record, start / 100, length / 100)
    wanted = start + np.arange(length, dtype=np.float32)
    wanted[(wanted < 0) | (wanted > 99)] = np.nan
    np.testing.assert_array_equal(cropped.signal, np.tile(wanted, (12, 1)))


def test_a_crop_of_the_whole_is_the_whole_and_a_crop_of_nothing_is_refused() -> None:
    record = noisy(250, 250.0)
    np.testing.assert_array_equal(crop(record, 0, 1).signal, record.signal)
    with pytest.raises(SignalError):
        crop(record, 0, 0)


def test_a_lead_is_flat_when_it_was_recorded_and_carries_nothing() -> None:
    record = noisy(50)
    record.signal[1] = 3.0
    record.signal[2] = np.linspace(0, 0.009, 50)
    record.signal[3] = np.linspace(0, 0.011, 50)
    record.signal[4] = np.nan
    record.signal[5] = np.nan
    record.signal[5, 7] = 1.0
    assert np.flatnonzero(flat_leads(record)).tolist() == [1, 2, 5]


def test_limb_leads_that_changed_places_contradict_the_others() -> None:
    record = simulate(frozenset(), rng=np.random.default_rng(2))
    assert limb_contradiction(record) < 0.04
    swapped = record.signal.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert limb_contradiction(Record(swapped, record.fs)) > 0.1
    offset = record.signal + np.arange(12, dtype=np.float32)[:, None]
    assert limb_contradiction(Record(offset, record.fs)) < 0.04
    flat = record.signal.copy()
    flat[2] = 0
    assert limb_contradiction(Record(flat, record.fs)) < 0.04
    assert limb_contradiction(Record(np.full_like(flat, np.nan), record.fs)) == 0


def test_amplitudes_are_from_end_to_end_with_little_of_the_wander() -> None:
    t = np.arange(5250) / 500
    samples = np.outer(np.arange(1, 13), np.sin(4 * np.pi * t)) + 0.1 * t
    samples[3] = np.nan
    samples[4, 1000:2000] = np.nan
    found = amplitudes(Record(samples.astype(np.float32), 500.0))
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]
    np.testing.assert_allclose(np.delete(found, 3), np.delete(2 * np.arange(1.0, 13), 3), atol=0.2)
    assert amplitudes(Record(samples[:, :100].astype(np.float32), 500.0)).shape == (12,)
