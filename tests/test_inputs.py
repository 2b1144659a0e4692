from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import SignalError
from ecglens.inputs import (
    BEFORE_BEAT,
    ImageSpec,
    SignalSpec,
    check_record,
    image_tensor,
    mean_beat,
    prepare_record,
    signal_tensors,
    signal_windows,
)
from ecglens.intervals import measure, scalars
from ecglens.leads import DERIVED_FROM_I_II
from ecglens.paper.page import Page
from ecglens.record import Record
from ecglens.simulator import simulate

SPEC = SignalSpec()


def noisy(seconds: float, fs: float = 300.0) -> Record:
    signal = np.random.default_rng(0).normal(size=(12, round(seconds * fs))).astype(np.float32)
    signal[2:6] = DERIVED_FROM_I_II @ signal[:2]
    return Record(signal, fs)


def test_pixels_less_mean_over_sd_by_hand() -> None:
    spec = ImageSpec(size=4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    tensor = image_tensor(Page(np.tile(np.array([255, 0, 51], np.uint8), (4, 4, 1))), spec)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 4, 4), np.float32)
    np.testing.assert_allclose(tensor[0, :, 2, 1], [1.0, -1.0, 0.1], atol=1e-6)


def test_channels_rows_and_columns_keep_their_places() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    tensor = image_tensor(Page(pixels), ImageSpec(5, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    np.testing.assert_allclose(tensor[0].transpose(1, 2, 0) * 255, pixels, atol=1e-3)


def test_a_page_is_squeezed_by_averaging() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 3), dtype=np.uint8)
    tensor = image_tensor(Page(pixels), ImageSpec(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    means = pixels.reshape(4, 3, 4, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(tensor[0].transpose(1, 2, 0) * 255, means, atol=0.51)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60))
def test_any_page_gives_the_shape_of_the_specification(height: int, width: int) -> None:
    assert image_tensor(Page(np.zeros((height, width, 3), np.uint8)), ImageSpec(20)).shape == (1, 3, 20, 20)


@pytest.mark.parametrize("fs", [100.0, 300.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("short", [0, 1])
def test_five_seconds_are_enough_at_any_rate_even_a_sample_less(fs: float, short: int) -> None:
    record = noisy(5 - short / fs, fs)
    tensors, starts = signal_tensors(record, SPEC)
    assert list(tensors) == ["signal"]
    assert tensors["signal"].shape == (1, 12, 1500)
    assert np.isfinite(tensors["signal"][:, :, : 1500 - int(np.ceil(short * 300 / fs))]).all()
    assert starts.tolist() == [0.0]


def test_a_window_is_the_prepared_signal_at_its_start() -> None:
    prepared = prepare_record(noisy(10, 500.0), SPEC)
    windows, starts = signal_windows(prepared, SPEC)
    assert prepared.fs == SPEC.fs
    assert starts.tolist() == [0.0, 2.5, 5.0]
    for window, start in zip(windows, (0, 750, 1500), strict=True):
        np.testing.assert_array_equal(window, prepared.signal[:, start : start + 1500])


@settings(max_examples=40, deadline=None)
@given(st.integers(1500, 9000))
def test_windows_lie_inside_the_record_and_overlap_by_about_half(samples: int) -> None:
    windows, starts = signal_windows(Record(np.tile(np.float32([0.5, -0.5]), (12, samples))[:, :samples], 300.0), SPEC)
    assert windows.shape[1:] == (12, 1500)
    assert starts[0] == 0
    assert round(starts[-1] * 300) + 1500 <= samples
    assert samples - (round(starts[-1] * 300) + 1500) <= 375
    assert all(1.25 <= step <= 5 * 0.75 for step in np.diff(starts))


def test_gaps_stay_gaps_and_windows_with_too_many_are_left_out() -> None:
    record = noisy(10)
    record.signal[:, :600] = np.nan  # 40 % of the window from 0 s
    record.signal[0, 800:900] = np.nan  # 0.6 % of the window from 2.5 s
    windows, starts = signal_windows(record, SPEC)
    assert starts.tolist() == [2.5, 5.0]
    assert np.isnan(windows[0, 0, 50:150]).all()
    assert np.isfinite(windows[0, 0, 150:]).all()
    np.testing.assert_array_equal(windows[0, 1:], record.signal[1:, 750:2250])


def test_too_many_gaps_everywhere_are_refused() -> None:
    record = noisy(10)
    record.signal[:, ::5] = np.nan
    for spec in (SPEC, SignalSpec(samples=3000)):
        with pytest.raises(SignalError, match="5 s in one piece"):
            signal_windows(record, spec)


@pytest.mark.parametrize("unit", [1000.0, 0.012])
def test_amplitudes_in_a_wrong_unit_are_refused(unit: float) -> None:
    record = noisy(5)
    signal_windows(record, SPEC)
    with pytest.raises(SignalError, match="no ECG's: check the gain and the unit"):
        signal_windows(Record(record.signal * np.float32(unit), record.fs), SPEC)


def test_a_record_far_shorter_than_a_window_is_no_window() -> None:
    with pytest.raises(SignalError, match="5 s in one piece"):
        signal_windows(noisy(4), SPEC)


def with_rows(rows: slice | list[int], value: float) -> Record:
    record = noisy(6)
    record.signal[rows] = value
    return record


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (with_rows([4], np.nan), "lead aVL not recorded"),
        (with_rows([0, 11], np.nan), "leads I, V6 not recorded"),
        (noisy(4.9), r"only 4\.90 s recorded: at least 5 s"),
        (with_rows([1, 2, 3], 0.3), "leads II, III, aVR are flat: check the electrodes"),
    ],
)
def test_what_cannot_be_answered_for_is_named(record: Record, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        check_record(record, SPEC)
    with pytest.raises(SignalError, match=message):
        signal_tensors(record, SPEC)


def test_two_flat_leads_are_let_pass() -> None:
    check_record(with_rows([1, 2], 0.3), SPEC)


def test_the_eight_scalars_go_with_every_window_when_asked_for() -> None:
    record = noisy(10, 500.0)
    tensors, starts = signal_tensors(record, SignalSpec(scalars=True))
    assert tensors["scalars"].shape == (len(starts), 8) == (3, 8)
    for row in tensors["scalars"]:
        np.testing.assert_array_equal(row, scalars(measure(record)))


def test_a_mean_beat_is_the_mean_of_what_was_recorded_around_the_peaks() -> None:
    window = np.arange(12, dtype=np.float32)[:, None] + np.tile(np.arange(100, dtype=np.float32), (12, 10))
    window[3, :500], window[4] = np.nan, np.nan  # the second half of a lead, and no lead at all
    window[5, 500:600] += 10
    beat = mean_beat(window, [1.4, 2.4, 5.4], 100.0)
    expected = np.arange(12, dtype=np.float32)[:, None] + np.arange(100, dtype=np.float32)
    expected[4], expected[5] = np.nan, expected[5] + np.float32(10 / 3)
    np.testing.assert_allclose(beat, expected, atol=1e-5)


def test_a_beat_at_an_end_counts_as_far_as_it_was_recorded() -> None:
    window = np.ones((12, 500), np.float32)
    assert np.flatnonzero(np.isnan(mean_beat(window, [0.1], 100.0)[0])).tolist() == list(
        range(round(BEFORE_BEAT * 100) - 10)
    )
    assert np.isnan(mean_beat(window, [], 100.0)).all()
    assert np.isnan(mean_beat(window, [-5.0, 30.0], 100.0)).all()


def test_leads_that_follow_each_other_on_a_roll_share_a_mean_beat_of_their_own_times() -> None:
    spec = SignalSpec(100.0, 1000, partial=True, beats=True)
    whole = simulate(rng=np.random.default_rng(1), fs=100)
    apart, beside = np.full((2, 12, 1000), np.nan, np.float32)
    for lead in range(12):
        apart[lead, 80 * lead : 80 * lead + 120] = whole.signal[lead, 80 * lead : 80 * lead + 120]
        beside[lead, :120] = apart[lead, 80 * lead : 80 * lead + 120]
    measured = measure(whole)
    tensors, _ = signal_tensors(Record(beside, 100.0), spec, measured, Record(apart, 100.0))
    expected = mean_beat(prepare_record(Record(apart, 100.0), spec).signal, measured.r_peaks, 100.0)
    np.testing.assert_array_equal(tensors["beats"], expected[None])
    assert tensors["signal"].shape == (1, 12, 1000)
    short, _ = signal_tensors(
        Record(beside, 100.0), SignalSpec(100.0, 500, partial=True, beats=True), measured, Record(apart, 100.0)
    )
    np.testing.assert_array_equal(short["beats"], np.repeat(expected[None], len(short["signal"]), axis=0))


def test_a_window_of_ten_seconds_takes_five() -> None:
    spec = SignalSpec(100.0, 1000, beats=True)
    record = simulate(rng=np.random.default_rng(1), fs=500)
    tensors, starts = signal_tensors(Record(record.signal[:, :2600], 500.0), spec)
    assert (tensors["signal"].shape, tensors["beats"].shape) == ((1, 12, 1000), (1, 12, 100))
    assert np.isnan(tensors["signal"][:, :, 520:]).all()
    assert np.isfinite(tensors["signal"][:, :, :520]).all()
    assert starts.tolist() == [0.0]
    with pytest.raises(SignalError, match="at least 5 s"):
        signal_tensors(Record(record.signal[:, :2400], 500.0), spec)


def test_every_window_has_the_mean_of_its_own_beats() -> None:
    spec = SignalSpec(100.0, 1000, beats=True)
    long = Record(
        np.concatenate([simulate(rng=np.random.default_rng(seed), fs=100).signal for seed in (1, 2)], 1), 100.0
    )
    tensors, starts = signal_tensors(long, spec)
    assert starts.tolist() == [0.0, 5.0, 10.0]
    peaks = measure(long).r_peaks
    for window, beat, start in zip(tensors["signal"], tensors["beats"], starts, strict=True):
        np.testing.assert_array_equal(beat, mean_beat(window, peaks - start, 100.0))


@pytest.mark.parametrize("leads", [range(12), range(3), range(6, 9), [11]])
def test_a_mean_beat_depends_neither_on_the_leads_seen_nor_on_where_a_peak_was_found(leads: Sequence[int]) -> None:
    spec = SignalSpec(100.0, 1000)
    record = prepare_record(simulate(rng=np.random.default_rng(1), fs=100, noise=0.0), spec)
    peaks = measure(record).r_peaks
    expected = mean_beat(record.signal, peaks, 100.0)
    seen = np.full_like(record.signal, np.nan)
    seen[leads] = record.signal[leads]
    off = peaks + np.random.default_rng(2).uniform(-0.04, 0.04, len(peaks))
    found = mean_beat(seen, off, 100.0)[leads]
    errors = [np.abs(np.roll(found, shift, 1) - expected[leads])[:, 2:-2].max() for shift in (-1, 0, 1)]
    pieces = [record.signal[leads, round(100 * p) - 40 : round(100 * p) + 60] for p in off[1:-1]]
    without = np.abs(np.mean(pieces, axis=0) - expected[leads]).max()
    assert min(errors) < 0.1 * np.ptp(expected[leads]) < without  # a sample apart at most, and all beats alike
