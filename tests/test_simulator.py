"""Simulated ECGs: consistent leads, labels that hold, criteria that can be measured in the signal."""

import itertools

import numpy as np
import pytest

from ecglens.errors import UsageError
from ecglens.labels import KEYS
from ecglens.leads import DERIVED_FROM_I_II, INDEX
from ecglens.record import Record, Truth
from ecglens.simulator import simulate
from ecglens.simulator.heart import fibrillate
from ecglens.simulator.noise import draw_noise
from ecglens.simulator.rhythm import Breathing, fibrillating_beats, sinus_beats

FS = 500.0
COMBINATIONS = (
    (),
    ("male",),
    ("AF",),
    ("ST",),
    ("SB",),
    ("1dAVb",),
    ("RBBB",),
    ("LBBB",),
    ("AF", "RBBB"),
    ("AF", "LBBB", "male"),
    ("ST", "RBBB"),
    ("ST", "1dAVb", "RBBB"),
    ("SB", "1dAVb", "LBBB", "male"),
)


def many(labels: tuple[str, ...], count: int, **options: float) -> list[Record]:
    return [simulate(labels, rng=np.random.default_rng(seed), **options) for seed in range(count)]


def truth(record: Record) -> Truth:
    assert record.truth is not None
    return record.truth


def mean_beat(record: Record, lead: str) -> np.ndarray:
    """The QRS of a clean record from onset to offset, baseline at its onset, averaged over beats."""
    waves, row = truth(record).waves, record.signal[INDEX[lead]]
    onsets = np.round(waves["QRS on"] * FS).astype(int)
    length = int(np.round(np.mean(waves["QRS off"] - waves["QRS on"]) * FS))
    whole = [row[on : on + length] - row[on - 5 : on].mean() for on in onsets if on >= 5 and on + length <= row.size]
    return np.mean(whole, axis=0)


@pytest.mark.parametrize("labels", COMBINATIONS, ids="+".join)
def test_record_and_truth_are_complete_and_limb_leads_obey_einthoven(labels: tuple[str, ...]) -> None:
    record = simulate(labels, rng=np.random.default_rng(3))
    assert record.signal.shape == (12, 5000)
    assert np.isfinite(record.signal).all()
    assert np.array_equal(record.signal[2:6], DERIVED_FROM_I_II @ record.signal[:2])
    assert truth(record).labels == frozenset(labels)
    assert (np.diff(truth(record).r_peaks) > 0).all()
    assert truth(record).r_peaks[0] >= 0
    assert truth(record).r_peaks[-1] < 10
    assert 0.3 < np.ptp(record.signal) < 15


@pytest.mark.parametrize("labels", COMBINATIONS, ids="+".join)
def test_waves_of_every_beat_come_in_order(labels: tuple[str, ...]) -> None:
    for record in many(labels, 10):
        waves = truth(record).waves
        assert all(times.shape == truth(record).r_peaks.shape for times in waves.values())
        ventricular = np.stack([waves["QRS on"], truth(record).r_peaks, waves["QRS off"], waves["T off"]])
        assert (np.diff(ventricular, axis=0) > 0).all()
        if "AF" in labels:
            assert np.isnan(waves["P on"]).all()
            assert np.isnan(waves["P off"]).all()
        else:
            assert (np.diff(np.stack([waves["P on"], waves["P off"], waves["QRS on"]]), axis=0) > 0).all()


@pytest.mark.parametrize("labels", COMBINATIONS, ids="+".join)
def test_labels_hold_if_and_only_if_their_criteria_do(labels: tuple[str, ...]) -> None:
    for record in many(labels, 30):
        intervals = truth(record).intervals
        rate = 60_000 / intervals["RR"]
        if "AF" not in labels:
            assert (rate > 100) == ("ST" in labels)
            assert (rate < 60) == ("SB" in labels)
            assert (intervals["PR"] > 200) == ("1dAVb" in labels)
            assert 120 <= intervals["PR"] <= 405
        assert np.isnan(intervals["PR"]) == ("AF" in labels)
        assert (intervals["QRS"] >= 120) == bool({"RBBB", "LBBB"} & set(labels))
        assert 230 < intervals["QT"] < 620
    assert 30 < rate < 185


def test_most_bradycardia_is_below_55_and_tachycardia_reaches_far() -> None:
    slow = [60_000 / truth(r).intervals["RR"] for r in many(("SB",), 60)]
    fast = [60_000 / truth(r).intervals["RR"] for r in many(("ST",), 60)]
    assert np.mean(np.array(slow) < 55) > 0.7
    assert max(fast) > 135


@pytest.mark.parametrize(("conduction", "count"), [((), 40), (("RBBB",), 40), (("LBBB",), 40)])
def test_qrs_is_seen_in_the_signal_where_the_truth_says(conduction: tuple[str, ...], count: int) -> None:
    """Independent of the truth: outside QRS the leads change slowly, within it fast."""
    for record in many(conduction, count, noise=0.0):
        speed = np.abs(np.diff(record.signal, axis=1)).max(axis=0) * FS
        waves = truth(record).waves
        for on, off in zip(waves["QRS on"][1:-1], waves["QRS off"][1:-1], strict=True):
            near = speed[int((on - 0.1) * FS) : int((off + 0.05) * FS)]
            fast = on - 0.1 + np.flatnonzero(near > 0.2 * speed.max()) / FS
            assert on - 0.004 < fast[0] < on + 0.45 * (off - on)
            assert on + 0.4 * (off - on) < fast[-1] < off + 0.012


def test_r_peaks_lie_where_the_leads_are_largest() -> None:
    for record in many((), 20, noise=0.0):
        size = np.square(record.signal[[0, 1, *range(6, 12)]]).sum(axis=0)
        for peak in truth(record).r_peaks[1:-1]:
            near = slice(int((peak - 0.08) * FS), int((peak + 0.08) * FS))
            assert abs(near.start + size[near].argmax() - peak * FS) <= 4


def test_rbbb_ends_towards_the_right_and_front() -> None:
    for record in many(("RBBB",), 40, noise=0.0):
        beats = {lead: mean_beat(record, lead) for lead in ("I", "V1", "V6")}
        last = {lead: beat[int(0.6 * beat.size) : -3] for lead, beat in beats.items()}
        assert last["V1"].mean() > 0.05
        assert last["V1"].max() > 0.2
        assert last["I"].mean() < 0
        assert last["V6"].mean() < 0


def test_t_is_discordant_to_the_end_of_qrs_in_v1_of_rbbb() -> None:
    discordant = []
    for record in many(("RBBB",), 40, noise=0.0):
        waves, v1 = truth(record).waves, record.signal[INDEX["V1"]]
        t = v1[int((waves["QRS off"][2] + 0.08) * FS) : int(waves["T off"][2] * FS)]
        discordant.append(t.mean() < 0)
    assert np.mean(discordant) > 0.9


def test_lbbb_goes_to_the_left_and_back_throughout() -> None:
    for record in many(("LBBB",), 40, noise=0.0):
        v1, v6 = mean_beat(record, "V1"), mean_beat(record, "V6")
        assert -v1.min() > 2 * v1.max()
        assert v6.max() > 0.15
        assert v6.max() > 3 * -v6[: int(0.8 * v6.size)].min()  # no Q and no S before ST begins
        assert np.mean(v6 > 0.3 * v6.max()) > 0.3  # broad


def test_fibrillation_is_irregular_and_sinus_rhythm_is_not() -> None:
    def variation(beats: np.ndarray) -> float:
        return float(np.diff(beats).std() / np.diff(beats).mean())

    rngs = [np.random.default_rng(seed) for seed in range(40)]
    calm = Breathing(0.25, 0.0)
    fibrillating = [variation(fibrillating_beats(90, 60, rng)) for rng in rngs]
    sinus = [variation(sinus_beats(70, 50, 60, calm, rng)) for rng in rngs]
    assert np.median(fibrillating) > 4 * np.median(sinus)
    assert min(fibrillating) > 0.1


def test_fibrillating_intervals_do_not_depend_on_each_other() -> None:
    intervals = np.diff(fibrillating_beats(90, 20_000, np.random.default_rng(5)))
    assert abs(np.corrcoef(intervals[:-1], intervals[1:])[0, 1]) < 0.05


def test_fibrillatory_waves_have_their_rate_and_are_strongest_in_v1() -> None:
    f = np.fft.rfftfreq(5000, 1 / FS)
    for seed in range(20):
        one, _, v1, *_, v5, _ = fibrillate(5000, FS, np.random.default_rng(seed))
        assert 4 <= f[np.abs(np.fft.rfft(v1)).argmax()] <= 9
        assert v1.std() > 1.5 * max(v5.std(), one.std())
        assert 0.005 < v1.std() < 0.25


def test_sinus_variability_follows_breathing() -> None:
    breathing = Breathing(0.25, 0.0)
    beats = sinus_beats(65, 20, 120, breathing, np.random.default_rng(0))
    rr = np.interp(np.arange(0, 120, 0.25), beats[1:], np.diff(beats))
    power = np.abs(np.fft.rfft(rr - rr.mean())) ** 2
    f = np.fft.rfftfreq(rr.size, 0.25)
    assert power[(f > 0.15) & (f < 0.4)].sum() > 3 * power[f > 0.45].sum()


def test_noise_changes_the_signal_and_not_the_truth() -> None:
    clean, noisy, noisier = (simulate(("RBBB",), rng=np.random.default_rng(8), noise=level) for level in (0, 1, 4))
    assert np.array_equal(truth(clean).r_peaks, truth(noisier).r_peaks)
    assert truth(clean).intervals == truth(noisier).intervals
    first, second = noisy.signal - clean.signal, noisier.signal - clean.signal
    assert first.std() > 0.005
    np.testing.assert_allclose(second, 4 * first, atol=1e-4)


def test_noise_holds_mains_hum_and_wander() -> None:
    noise = np.stack([draw_noise(5000, FS, 1.0, Breathing(0.25, 0.0), np.random.default_rng(s)) for s in range(40)])
    power = (np.abs(np.fft.rfft(noise, axis=2)) ** 2).mean(axis=(0, 1))
    f = np.fft.rfftfreq(5000, 1 / FS)
    band = {
        name: power[(f >= low) & (f <= high)].mean()
        for name, low, high in (
            ("wander", 0.1, 0.6),
            ("quiet", 10, 14),
            ("muscle", 40, 48),
            ("50", 49.95, 50.05),
            ("60", 59.95, 60.05),
        )
    }
    assert band["wander"] > 50 * band["muscle"]
    assert band["50"] > 5 * band["muscle"]
    assert band["60"] > 5 * band["muscle"]


def test_same_seed_same_record_and_another_seed_another() -> None:
    one, two, three = (simulate(("AF",), rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.signal, two.signal)
    assert np.array_equal(truth(one).r_peaks, truth(two).r_peaks)
    assert not np.array_equal(one.signal, three.signal)


@pytest.mark.parametrize("fs", [100.0, 250.0, 1000.0])
def test_another_rate_samples_the_same_heart(fs: float) -> None:
    coarse, fine = (simulate(("LBBB",), rng=np.random.default_rng(4), fs=rate, noise=0) for rate in (fs, 2 * fs))
    np.testing.assert_allclose(coarse.signal, fine.signal[:, ::2], atol=1e-4)
    assert coarse.duration == 10


def test_men_have_the_larger_qrs_and_women_the_longer_qtc() -> None:
    def medians(labels: tuple[str, ...]) -> tuple[float, float, float]:
        records = many(labels, 150, noise=0.0, fs=250.0)
        means = [truth(r).intervals for r in records]
        qtc = [m["QT"] / np.cbrt(m["RR"] / 1000) for m in means]
        size = [np.ptp(r.signal[INDEX["V2"]]) for r in records]
        return float(np.median([m["QRS"] for m in means])), float(np.median(qtc)), float(np.median(size))

    men, women = medians(("male",)), medians(())
    assert men[0] > women[0]
    assert men[1] < women[1]
    assert men[2] > women[2]


@pytest.mark.parametrize(
    "pair",
    [
        p
        for p in itertools.combinations(KEYS, 2)
        if set(p) in ({"AF", "1dAVb"}, {"AF", "ST"}, {"AF", "SB"}, {"ST", "SB"}, {"RBBB", "LBBB"})
    ],
)
def test_labels_that_exclude_each_other_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=r"cannot be simulated together because .+: leave one of them out"):
        simulate(pair, rng=np.random.default_rng(0))


def test_unknown_labels_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'AFIB' is no known label: choose from AF, RBBB, LBBB, 1dAVb, ST, SB, male"):
        simulate(("AFIB",), rng=np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [{"duration": 0.2}, {"duration": float("nan")}, {"fs": 10}, {"noise": -1}])
def test_impossible_recordings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=": choose"):
        simulate((), rng=np.random.default_rng(0), **wrong)
