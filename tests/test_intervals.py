"""Measurements agree with hearts whose waves are put where we say, whatever the rate, shape, noise or missing leads."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.intervals import SCALARS, Measurements, _without_breaks, measure, scalars
from ecglens.leads import DERIVED_FROM_I_II, INDEX
from ecglens.record import Record
from ecglens.simulator import simulate

# Each wave is a sum of raised cosines: (from, to) as parts of the wave, mV in I, II, V1, ..., V6.
P_WAVE = [
    (0.0, 0.75, (0.08, 0.13, 0.06, 0.06, 0.06, 0.06, 0.06, 0.05)),
    (0.3, 1.0, (0.04, 0.06, -0.05, 0, 0.02, 0.03, 0.03, 0.03)),
]
T_WAVE = [
    (0.0, 1.0, (0.2, 0.28, -0.05, 0.4, 0.45, 0.4, 0.3, 0.22)),
    (0.35, 1.0, (0.1, 0.1, -0.05, 0.15, 0.2, 0.2, 0.15, 0.1)),
]
QRS = {
    "normal": [
        (0.0, 0.40, (-0.1, -0.08, 0.25, 0.3, 0.2, 0.1, -0.1, -0.1)),
        (0.15, 0.75, (0.7, 0.9, -0.4, -0.5, 0.5, 1.4, 1.3, 1.0)),
        (0.45, 1.0, (-0.1, -0.15, -0.7, -1.2, -0.8, -0.4, -0.2, -0.1)),
    ],
    "RBBB": [
        (0.0, 0.35, (0.0, -0.08, 0.3, 0.4, 0.3, 0.1, -0.1, -0.1)),
        (0.1, 0.5, (0.8, 0.8, -0.3, -0.5, 0.4, 1.2, 1.2, 0.9)),
        (0.4, 1.0, (-0.3, -0.2, 0.7, 0.4, 0.1, -0.2, -0.35, -0.3)),
    ],
    "LBBB": [
        (0.0, 0.55, (0.6, 0.3, -0.5, -0.8, -0.7, 0.1, 0.6, 0.7)),
        (0.25, 0.85, (0.5, 0.2, -1.0, -1.5, -1.1, -0.3, 0.5, 0.6)),
        (0.5, 1.0, (0.3, 0.1, -0.4, -0.6, -0.5, -0.2, 0.4, 0.5)),
    ],
}


@dataclass(frozen=True)
class Heart:
    """Times in ms; ``pr`` None means no P wave."""

    rr: tuple[float, ...]
    pr: float | None = 160.0
    qrs: float = 95.0
    qt: float = 390.0
    shape: str = "normal"
    p_duration: float = 105.0


def draw(heart: Heart, fs: float = 500.0, noise: float = 0.0, seed: int = 0) -> tuple[Record, np.ndarray]:
    """A record of the heart and the true QRS onsets (s). Noise is white, mV; the last beat is followed by 600 ms."""
    onsets = 0.5 + np.cumsum([0.0, *heart.rr]) / 1000
    times = np.arange(round((onsets[-1] + 0.6) * fs)) / fs
    eight = np.zeros((8, times.size))
    for onset in onsets:
        if heart.pr is not None:
            _add(eight, times, P_WAVE, onset - heart.pr / 1000, heart.p_duration / 1000)
        _add(eight, times, QRS[heart.shape], onset, heart.qrs / 1000)
        t_length = min(220.0, heart.qt - heart.qrs - 30) / 1000
        _add(eight, times, T_WAVE, onset + heart.qt / 1000 - t_length, t_length)
    eight += noise * np.random.default_rng(seed).standard_normal(eight.shape)
    signal = np.vstack([eight[:2], DERIVED_FROM_I_II @ eight[:2], eight[2:]]).astype(np.float32)
    return Record(signal, fs), onsets


def _add(out: np.ndarray, times: np.ndarray, wave: list, start: float, length: float) -> None:
    for first, last, leads in wave:
        place = (times - start - first * length) / ((last - first) * length)
        bump = np.where((place > 0) & (place < 1), 0.5 - 0.5 * np.cos(2 * np.pi * place), 0.0)
        out += np.outer(leads, bump)


def with_waves(record: Record, wave: list, onsets: np.ndarray, length: float) -> Record:
    """The record with more of ``wave``, ``length`` s long, at ``onsets`` (s)."""
    eight = np.zeros((8, record.signal.shape[1]))
    for onset in onsets:
        _add(eight, np.arange(eight.shape[1]) / record.fs, wave, onset, length)
    extra = np.vstack([eight[:2], DERIVED_FROM_I_II @ eight[:2], eight[2:]])
    return Record((record.signal + extra).astype(np.float32), record.fs)


def regular(rate: float, seconds: float = 9.0) -> tuple[float, ...]:
    return (60_000 / rate,) * max(1, int(seconds * rate / 60))


def measured(**changed: object) -> Measurements:
    """Three beats, the last of another shape; no P waves."""
    nan = float("nan")
    values = {
        "r_peaks": np.array([0.5, 1.3, 2.3]),
        "usual": np.array([True, True, False]),
        "rr": np.array([nan, 800.0, 1000.0]),
        "p": np.array([nan, nan, nan]),
        "pr": np.array([nan, nan, nan]),
        "qrs": np.array([90.0, 100.0, 160.0]),
        "qt": np.array([400.0, nan, nan]),
        "st": np.array([100.0, 140.0, nan]),
        "heart_rate": 60_000 / 900,
        "axis": 30.0,
        "reasons": {"p": "no P waves", "pr": "no P waves"},
    }
    return Measurements(**values | changed)


def test_scalars_are_means_and_sds_by_hand() -> None:
    values = scalars(measured())
    assert values.shape == (len(SCALARS),)
    assert values.dtype == np.float32
    nan = float("nan")
    np.testing.assert_allclose(values, [900, 100, nan, nan, 350 / 3, np.std([90, 100, 160]), 120, 20], rtol=1e-6)


def test_summary_is_of_medians_by_hand() -> None:
    m = measured()
    assert m.qtc == pytest.approx(400 / 0.9 ** (1 / 3))
    assert m.summary() == {
        "heart_rate_bpm": 66.7, "rr_sd_ms": 100.0, "p_ms": None, "pr_ms": None, "qrs_ms": 95.0, "qt_ms": 400.0,
        "qtc_ms": 414.3, "axis_deg": 30.0,
    }  # fmt: skip


@pytest.mark.parametrize("fs", [100.0, 257.0, 500.0, 1000.0])
def test_every_sampling_rate_gives_the_same_intervals(fs: float) -> None:
    m = measure(draw(Heart(regular(70)), fs, noise=0.02)[0])
    assert m.heart_rate == pytest.approx(70, abs=0.3)
    for values, truth in ((m.pr, 160), (m.qrs, 95), (m.qt, 390)):
        assert np.nanmedian(values) == pytest.approx(truth, abs=15)
    assert 80 < np.nanmedian(m.p) < 115  # drawn 105 long, but it fades in and out


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rate=st.floats(35, 150),
    shape=st.sampled_from(sorted(QRS)),
    share=st.floats(0, 1),
    fs=st.sampled_from([100.0, 500.0]),
)
def test_rate_and_intervals_are_right_for_any_rate_and_conduction(
    rate: float, shape: str, share: float, fs: float
) -> None:
    rr = 60_000 / rate
    qt = 400 * np.sqrt(rr / 1000) + (30 if shape != "normal" else 0)
    heart = Heart(
        regular(rate), max(110.0, 110 + share * min(240, rr - qt - 110)), 95 if shape == "normal" else 140, qt, shape
    )
    record, onsets = draw(heart, fs, noise=0.02)
    m = measure(record)
    assert m.r_peaks.size == onsets.size
    assert m.heart_rate == pytest.approx(rate, abs=1)
    assert np.nanmedian(m.qrs) == pytest.approx(heart.qrs, abs=15)
    assert np.nanmedian(m.qt) == pytest.approx(qt, abs=20)
    if rr - qt > heart.pr:  # the P wave stands clear of the T wave
        assert np.nanmedian(m.pr) == pytest.approx(heart.pr, abs=20)


def test_pr_of_400_ms_is_found() -> None:
    m = measure(draw(Heart(regular(60), pr=400.0), noise=0.02)[0])
    assert np.nanmedian(m.pr) == pytest.approx(400, abs=15)


def test_beat_times_keep_the_true_rr() -> None:
    rng = np.random.default_rng(3)
    rr = tuple(rng.uniform(600, 1100, 10))
    m = measure(draw(Heart(rr), 100.0, noise=0.02)[0])
    assert np.isnan(m.rr[0])
    np.testing.assert_allclose(m.rr[1:], rr, atol=4)


def test_irregular_beats_without_p_waves_have_no_pr_and_say_why() -> None:
    rng = np.random.default_rng(4)
    record, _ = draw(Heart(tuple(rng.uniform(450, 1000, 14)), pr=None), noise=0.03)
    flutter = 0.08 * np.sin(2 * np.pi * 6.3 * np.arange(record.signal.shape[1]) / record.fs)
    m = measure(Record((record.signal + flutter).astype(np.float32), record.fs))
    assert np.isnan(m.pr).all()
    assert "P wave" in m.reasons["pr"]
    assert np.isnan(scalars(m)[2:4]).all()
    assert m.summary()["pr_ms"] is None
    assert m.summary()["qrs_ms"] is not None


def test_pr_varies_with_the_p_wave() -> None:
    record, onsets = draw(Heart(regular(65), pr=None), 500.0, noise=0.01)
    true = 180 + 20 * np.sin(np.arange(onsets.size))
    m = measure(with_waves(record, P_WAVE, onsets - true / 1000, 0.105))
    assert np.corrcoef(m.pr, true)[0, 1] > 0.95
    assert scalars(m)[3] == pytest.approx(true.std(), rel=0.2)


def test_axis_is_the_angle_of_the_frontal_vector() -> None:
    for angle in (-150, -60, 0, 45, 90, 135):
        one, foot = np.cos(np.radians(angle)), np.sin(np.radians(angle)) * np.sqrt(3) / 2
        times = np.arange(5000) / 500
        limb = np.zeros((8, times.size))
        for onset in np.arange(0.5, 9.5, 0.8):
            _add(limb, times, [(0.0, 1.0, (one, foot + one / 2, 0, 0, 0, 0, 0, 0))], onset, 0.09)
        signal = np.vstack([limb[:2], DERIVED_FROM_I_II @ limb[:2], limb[2:]]).astype(np.float32)
        axis = measure(Record(signal, 500.0)).axis
        assert abs((axis - angle + 180) % 360 - 180) < 6


@pytest.mark.parametrize("gone", [("I",), ("I", "III", "aVL", "aVR", "aVF"), ("V1", "V2", "V3"), ("II", "V6")])
def test_missing_leads_leave_the_intervals(gone: tuple[str, ...]) -> None:
    record, _ = draw(Heart(regular(75)), noise=0.02)
    signal = record.signal.copy()
    signal[[INDEX[lead] for lead in gone]] = np.nan
    m = measure(Record(signal, record.fs))
    assert m.heart_rate == pytest.approx(75, abs=0.5)
    assert np.nanmedian(m.pr) == pytest.approx(160, abs=15)
    assert np.nanmedian(m.qrs) == pytest.approx(95, abs=15)


def test_leads_recorded_one_column_after_another_are_one_heart() -> None:
    record, onsets = draw(Heart(regular(75)), noise=0.02)
    signal = record.signal.copy()
    quarter = signal.shape[1] // 4
    for column in range(4):
        signal[3 * column : 3 * column + 3, : column * quarter] = np.nan
        signal[3 * column : 3 * column + 3, (column + 1) * quarter :] = np.nan
    m = measure(Record(signal, record.fs))
    assert m.r_peaks.size == pytest.approx(onsets.size, abs=1)
    assert m.heart_rate == pytest.approx(75, abs=2)
    assert np.nanmedian(m.qrs) == pytest.approx(95, abs=20)


@pytest.mark.parametrize("columns", [2, 4])
def test_leads_of_unlike_size_shown_in_turn_are_one_heart(columns: int) -> None:
    record, onsets = draw(Heart(regular(75), shape="LBBB", qrs=150), noise=0.01)
    signal, each = record.signal.copy(), record.signal.shape[1] // columns
    signal[:6] *= 0.3  # limb leads, which the first columns show
    for column in range(columns):
        leads = slice(12 // columns * column, 12 // columns * (column + 1))
        signal[leads, : column * each] = np.nan
        signal[leads, (column + 1) * each :] = np.nan
    m = measure(Record(signal, record.fs))
    assert m.r_peaks.size == pytest.approx(onsets.size, abs=1)
    assert m.heart_rate == pytest.approx(75, abs=2)


@pytest.mark.parametrize("shape", QRS)
@pytest.mark.parametrize(("columns", "strip"), [(2, False), (4, False), (4, True)])
def test_columns_are_measured_as_the_whole_record_is(shape: str, columns: int, strip: bool) -> None:
    record, _ = draw(Heart(regular(75), shape=shape, qrs=95 if shape == "normal" else 150), noise=0.01)
    signal, each = record.signal.copy(), record.signal.shape[1] // columns
    for column in range(columns):
        leads = [
            lead for lead in range(12) if lead // (12 // columns) == column and not (strip and lead == INDEX["II"])
        ]
        signal[leads, : column * each] = np.nan
        signal[leads, (column + 1) * each :] = np.nan
    seen, whole = measure(Record(signal, record.fs)).summary(), measure(record).summary()
    assert seen["pr_ms"] == pytest.approx(whole["pr_ms"], abs=15)
    assert seen["qrs_ms"] == pytest.approx(whole["qrs_ms"], abs=12)
    assert seen["qt_ms"] == pytest.approx(whole["qt_ms"], abs=15)
    assert seen["axis_deg"] == pytest.approx(whole["axis_deg"], abs=10)


@pytest.mark.parametrize("rate", [36, 48, 75])
@pytest.mark.parametrize("columns", [4, 6])
def test_beats_at_the_seams_of_columns_count(rate: float, columns: int) -> None:
    record, _ = draw(Heart(regular(rate, 11.0)), noise=0.02)
    for phase in range(10):
        first = round((0.05 + 0.08 * phase) * record.fs)
        signal = record.signal[:, first : first + round(10 * record.fs)].copy()
        each = signal.shape[1] // columns
        for column in range(columns):
            leads = slice(12 // columns * column, 12 // columns * (column + 1))
            signal[leads, : column * each] = np.nan
            signal[leads, (column + 1) * each :] = np.nan
        assert measure(Record(signal, record.fs)).heart_rate == pytest.approx(rate, rel=0.05)


def test_a_spike_at_a_seam_is_no_beat() -> None:
    record, onsets = draw(Heart(regular(75)), noise=0.02)
    signal, middle = record.signal.copy(), int((onsets[5] + 0.35) * record.fs)
    signal[:6, middle:] = np.nan
    signal[6:, :middle] = np.nan
    signal[6:9, middle : middle + 8] += np.linspace(3, 0, 8, dtype=np.float32)
    m = measure(Record(signal, record.fs))
    assert m.r_peaks.size == onsets.size
    assert m.heart_rate == pytest.approx(75, abs=1)


def test_columns_of_nothing_are_measured_as_nothing() -> None:
    signal = np.full((12, 5000), np.nan, np.float32)
    for column in range(4):
        signal[3 * column : 3 * column + 3, 1250 * column : 1250 * column + 1250] = 0
    assert measure(Record(signal, 500.0)).r_peaks.size == 0


def test_a_fast_t_wave_is_no_beat_where_the_next_one_comes_in_time() -> None:
    steep = [(0, 0.6, (1, 1, -1, 2, 2, 2, 1, 1)), (0.3, 1, (-1, -1, 1, -2, -2, -2, -1, -1))]
    record, onsets = draw(Heart(regular(60)), noise=0.02)
    m = measure(with_waves(record, steep, onsets[2:7] + 0.3, 0.1))
    assert m.r_peaks.size == onsets.size
    assert m.heart_rate == pytest.approx(60, abs=1)


@pytest.mark.parametrize("seed", [1, 7, 18])
def test_early_beats_of_bigeminy_are_no_t_waves(seed: int) -> None:
    record = simulate({"BIGU"}, rng=np.random.default_rng(seed), fs=250, noise=0.5)
    rate = 60 / np.diff(record.truth.r_peaks).mean()
    assert measure(record).heart_rate == pytest.approx(rate, rel=0.1)


WIDE = [(0, 0.7, (3, -2, 3, 3, 3, 2, 1, 1)), (0.4, 1, (-1, 1, -2, -2, -1, -1, 0, 0))]  # an ectopic QRS


def test_one_tall_ectopic_neither_hides_nor_moves_the_others() -> None:
    record, onsets = draw(Heart(regular(60)), noise=0.02)
    m = measure(with_waves(record, WIDE, onsets[4:5] + 0.55, 0.17))
    assert m.r_peaks.size == onsets.size + 1
    assert (~m.usual).sum() == 1
    assert m.qrs[~m.usual].item() > 130
    assert m.summary()["qrs_ms"] == pytest.approx(95, abs=10)
    assert scalars(m)[5] > 15  # the SD of QRS is what shows it to a model


def test_in_bigeminy_the_beats_that_come_late_are_measured() -> None:
    record, onsets = draw(Heart((1300.0,) * 8), noise=0.02)
    m = measure(with_waves(record, WIDE, onsets + 0.52, 0.17))
    assert m.usual.sum() == pytest.approx(onsets.size, abs=1)
    assert m.summary()["qrs_ms"] == pytest.approx(95, abs=10)
    assert m.summary()["pr_ms"] == pytest.approx(160, abs=15)


def test_pr_is_followed_from_beat_to_beat_in_wenckebach_periods() -> None:
    delays = np.tile([0.16, 0.25, 0.30, 0.33, np.nan], 3)
    atria = 0.2 + 0.85 * np.arange(delays.size)
    onsets = (atria + delays)[np.isfinite(delays)]
    record, _ = draw(Heart(tuple(1000 * np.diff(onsets)), pr=None), noise=0.01)
    record = with_waves(record, P_WAVE, atria + 0.5 - onsets[0], 0.105)
    m = measure(record)
    assert m.r_peaks.size == onsets.size
    there = np.isfinite(m.pr)
    assert there.mean() > 0.8
    np.testing.assert_allclose(m.pr[there], 1000 * delays[np.isfinite(delays)][there], atol=20)


def test_p_waves_that_go_their_own_way_give_no_pr_and_the_reason() -> None:
    record, onsets = draw(Heart((1500.0,) * 8, pr=None), noise=0.01)
    m = measure(with_waves(record, P_WAVE, np.arange(0.1, onsets[-1], 0.83), 0.105))
    assert m.r_peaks.size == onsets.size
    assert np.isnan(m.pr).all()
    assert "not coupled" in m.reasons["pr"]


def test_flutter_waves_are_no_p_waves() -> None:
    record, onsets = draw(Heart((880.0,) * 10, pr=None), noise=0.01)
    waves = np.arange(onsets[0] - 0.4, onsets[-1] + 0.5, 0.22)  # 273 a minute, conducted four to one
    m = measure(with_waves(record, P_WAVE, waves, 0.16))
    assert np.isnan(m.pr).all()
    assert np.isnan(m.p).all()
    assert "flutter" in m.reasons["pr"]


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros((12, 5000), np.float32),
        np.full((12, 5000), np.nan, np.float32),
        np.full((12, 1), 1, np.float32),
        np.random.default_rng(0).normal(0, 0.05, (12, 5000)).astype(np.float32),
    ],
    ids=["flat", "nothing", "one sample", "noise"],
)
def test_no_heart_gives_no_numbers_and_a_reason(signal: np.ndarray) -> None:
    m = measure(Record(signal, 500.0))
    assert m.r_peaks.size == 0
    assert set(m.summary().values()) == {None}
    assert np.isnan(scalars(m)).all()
    assert m.reasons["heart_rate"]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.sampled_from([100.0, 500.0, 1000.0]))
def test_nothing_that_is_a_record_raises(seed: int, length: int, fs: float) -> None:
    rng = np.random.default_rng(seed)
    signal = (rng.standard_normal((12, length)) * rng.uniform(0, 5, (12, 1))).astype(np.float32)
    signal[rng.random(12) < 0.3] = np.nan
    signal[:, : int(length * rng.random() / 2)] = np.nan
    m = measure(Record(signal, fs))
    assert scalars(m).shape == (8,)
    assert (
        m.rr.shape
        == m.p.shape
        == m.pr.shape
        == m.usual.shape
        == m.qrs.shape
        == m.qt.shape
        == m.st.shape
        == m.r_peaks.shape
    )


def test_a_single_beat_has_waves_but_no_rate() -> None:
    m = measure(draw(Heart(()), noise=0.01)[0])
    assert m.r_peaks.size == 1
    assert m.summary()["heart_rate_bpm"] is None
    assert "single beat" in m.reasons["rr"]
    assert np.nanmedian(m.qrs) == pytest.approx(95, abs=15)


@pytest.mark.parametrize("fs", [100.0, 500.0])
@pytest.mark.parametrize("findings", [(), ("RBBB",), ("LBBB",), ("1dAVb",), ("SB",)], ids="+".join)
def test_simulated_hearts_are_measured_as_they_were_made(findings: tuple[str, ...], fs: float) -> None:
    for seed in range(4):
        record = simulate(findings, rng=np.random.default_rng(seed), fs=fs)
        truth, m = record.truth, measure(record)
        assert m.heart_rate == pytest.approx(60_000 / truth.intervals["RR"], abs=1)
        for name, values, most in (("PR", m.pr, 30), ("QRS", m.qrs, 25), ("QT", m.qt, 45)):
            assert np.nanmedian(values) == pytest.approx(truth.intervals[name], abs=most)


@pytest.mark.parametrize("fs", [100.0, 500.0])
@pytest.mark.parametrize(("rhythm", "least"), [("AF", 0.9), ("AFLT", 0.8), ("SVTAC", 0.8), ("3AVB", 0.9)])
def test_atria_that_lead_to_no_beats_have_no_pr(rhythm: str, least: float, fs: float) -> None:
    records = [simulate({rhythm}, rng=np.random.default_rng(seed), fs=fs) for seed in range(10)]
    assert np.mean([np.isnan(measure(record).pr).all() for record in records]) >= least


def test_records_sampled_too_coarsely_have_beats_and_rate_alone() -> None:
    m = measure(draw(Heart(regular(70)), 50.0, noise=0.02)[0])
    assert m.heart_rate == pytest.approx(70, abs=1)
    assert m.r_peaks.size == m.qrs.size > 1
    for name in ("p", "pr", "qrs", "qt", "st"):
        assert np.isnan(getattr(m, name)).all()
        assert "too coarsely" in m.reasons[name]
    assert m.summary()["qtc_ms"] is None


def test_a_beat_moved_or_lost_where_columns_meet_does_not_count() -> None:
    peaks = np.array([100.0, 300, 500, 760, 960, 1160, 1560, 1760, 1960])
    rr = np.diff(peaks, prepend=np.nan)
    kept = _without_breaks(rr, peaks, np.array([600, 1400]))
    assert kept[np.isfinite(kept)].tolist() == [200.0] * 6
    np.testing.assert_array_equal(_without_breaks(rr, peaks, np.empty(0, np.intp)), rr)


@pytest.mark.parametrize(("beat", "seam"), [(1160.0, 1170), (1040.0, 1030)])  # in the column's end, in its beginning
def test_a_beat_moved_within_its_column_near_the_next_does_not_count(beat: float, seam: int) -> None:
    peaks = np.array([100.0, 300, 500, 700, 900, beat, 1300, 1500, 1700])
    rr = np.diff(peaks, prepend=np.nan)
    kept = _without_breaks(rr, peaks, np.array([seam]))
    assert kept[np.isfinite(kept)].tolist() == [200.0] * 6


def test_an_irregular_rhythm_keeps_all_its_intervals() -> None:
    peaks = np.cumsum([100.0, 150, 260, 180, 320, 140, 210, 300, 170])
    rr = np.diff(peaks, prepend=np.nan)
    np.testing.assert_array_equal(_without_breaks(rr, peaks, np.array([600, 1200])), rr)
