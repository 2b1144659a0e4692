"""Simulated ECGs: consistent leads, labels that hold, criteria that can be measured in the signal."""

import itertools

import numpy as np
import pytest

from ecglens.errors import UsageError
from ecglens.leads import DERIVED_FROM_I_II, INDEX
from ecglens.record import Record, Truth
from ecglens.simulator import FINDINGS, LOOK_ALIKES, simulate
from ecglens.simulator.findings import check
from ecglens.simulator.heart import fibrillate, flutter

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
    assert truth(record).labels - {"male"} == frozenset(labels) - {"male"}
    assert truth(record).labels >= frozenset(labels)
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
            assert 90 <= intervals["PR"] <= 405
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


def test_fibrillatory_waves_have_their_rate_and_are_strongest_in_v1() -> None:
    f = np.fft.rfftfreq(5000, 1 / FS)
    for seed in range(20):
        one, _, v1, *_, v5, _ = fibrillate(5000, FS, np.random.default_rng(seed))
        assert 4 <= f[np.abs(np.fft.rfft(v1)).argmax()] <= 9
        assert v1.std() > 1.5 * max(v5.std(), one.std())
        assert 0.005 < v1.std() < 0.25


def test_noise_changes_the_signal_and_not_the_truth() -> None:
    clean, noisy, noisier = (simulate(("RBBB",), rng=np.random.default_rng(8), noise=level) for level in (0, 1, 4))
    assert np.array_equal(truth(clean).r_peaks, truth(noisier).r_peaks)
    assert truth(clean).intervals == truth(noisier).intervals
    first, second = noisy.signal - clean.signal, noisier.signal - clean.signal
    assert first.std() > 0.005
    np.testing.assert_allclose(second, 4 * first, atol=8e-3)  # each is rounded to 1 uV, and III from two of them


def test_same_seed_same_record_and_another_seed_another() -> None:
    one, two, three = (simulate(("AF",), rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.signal, two.signal)
    assert np.array_equal(truth(one).r_peaks, truth(two).r_peaks)
    assert not np.array_equal(one.signal, three.signal)


@pytest.mark.parametrize("fs", [100.0, 250.0, 1000.0])
def test_another_rate_samples_the_same_heart(fs: float) -> None:
    coarse, fine = (simulate(("LBBB",), rng=np.random.default_rng(4), fs=rate, noise=0) for rate in (fs, 2 * fs))
    np.testing.assert_allclose(coarse.signal, fine.signal[:, ::2], atol=1.1e-3)  # rounded to 1 uV
    assert coarse.duration == 10


def test_men_have_the_larger_qrs_and_women_the_longer_qtc() -> None:
    def medians(labels: tuple[str, ...]) -> tuple[float, float, float]:
        records = many(labels, 150, noise=0.0, fs=250.0)
        means = [truth(r).intervals for r in records]
        qtc = [m["QT"] / np.cbrt(m["RR"] / 1000) for m in means]
        size = [np.ptp(r.signal[INDEX["V2"]]) for r in records]
        return float(np.median([m["QRS"] for m in means])), float(np.median(qtc)), float(np.median(size))

    men, women = medians(("male",)), medians(("female",))
    assert men[0] > women[0]
    assert men[1] < women[1]
    assert men[2] > women[2]


@pytest.mark.parametrize("wrong", [{"duration": 0.2}, {"duration": float("nan")}, {"fs": 10}, {"noise": -1}])
def test_impossible_recordings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=": choose"):
        simulate((), rng=np.random.default_rng(0), **wrong)


@pytest.mark.parametrize("code", LOOK_ALIKES)
def test_a_look_alike_is_none_of_the_six_diagnoses(code: str) -> None:
    for record in many((code,), 12, fs=250.0):
        assert truth(record).labels <= {"male"}
        assert truth(record).findings == {code}


def test_without_findings_asked_for_all_kinds_occur_and_the_truth_names_them() -> None:
    records = [simulate(None, rng=np.random.default_rng(seed), fs=100.0) for seed in range(300)]
    labels = [label for record in records for label in truth(record).labels]
    assert {label for label in labels if labels.count(label) >= 10} >= {
        "AF",
        "RBBB",
        "LBBB",
        "1dAVb",
        "ST",
        "SB",
        "male",
    }
    assert len({code for record in records for code in truth(record).findings}) > 25
    assert any(len(truth(record).labels | truth(record).findings) > 4 for record in records)


def beats_of(code: str, count: int = 10) -> list[Truth]:
    return [truth(record) for record in many((code,), count, fs=100.0)]


def test_early_beats_are_early_and_ventricular_ones_wide_and_without_p() -> None:
    for code, symbol in (("PAC", "A"), ("PVC", "V"), ("BIGU", "V")):
        for known in beats_of(code):
            early = np.flatnonzero(known.beats == symbol)
            assert early.size >= 1
            rr = np.diff(known.waves["QRS on"])
            usual = np.median(rr[(known.beats[1:] == "N") & (known.beats[:-1] == "N")]) if code != "BIGU" else rr.max()
            assert (rr[early[early > 0] - 1] < 0.9 * usual).all()
            if symbol == "V":
                assert np.isnan(known.waves["P on"][early]).all()
                assert (known.per_beat("QRS")[early] > 120).all()
                assert known.intervals["QRS"] < 120  # the means are of the usual beats


def test_every_second_or_third_beat_is_ventricular_in_bigeminy_or_trigeminy() -> None:
    for code, every in (("BIGU", 2), ("TRIGU", 3)):
        for known in beats_of(code):
            assert set(np.diff(np.flatnonzero(known.beats[1:-1] == "V"))) == {every}


def test_wenckebach_pr_grows_until_a_p_wave_is_not_conducted() -> None:
    seen = 0
    for known in beats_of("2AVB", 30):
        pr, blocked = known.per_beat("PR"), len(known.p_waves) - len(known.r_peaks)
        assert blocked >= 1
        pauses = np.flatnonzero(np.diff(known.r_peaks) > 1.25 * np.diff(known.r_peaks).min())
        if np.ptp(pr) > 10:
            seen += 1
            within = np.setdiff1d(np.arange(pr.size - 1), pauses)
            assert (np.diff(pr)[within] > 0).all()
            assert (pr[pauses + 1] < pr[pauses]).all()
    assert seen > 10


def test_atria_and_ventricles_go_their_own_ways_in_complete_block() -> None:
    spreads = []
    for known in beats_of("3AVB"):
        assert np.isnan(known.waves["P on"]).all()
        assert len(known.p_waves) > 1.2 * len(known.r_peaks)
        assert 60 / np.diff(known.r_peaks).mean() < 60
        before = known.waves["QRS on"][1:-1, None] - known.p_waves[None, :, 0]
        spreads.append(np.where(before > 0, before, np.inf).min(axis=1).std())
    assert np.median(spreads) > 0.1


def test_flutter_waves_have_one_rate_and_beats_come_at_multiples_of_it() -> None:
    cycle = 0.21
    waves = flutter(5000, FS, cycle, 0.0, np.random.default_rng(1))
    f, power = np.fft.rfftfreq(5000, 1 / FS), np.abs(np.fft.rfft(waves[2]))
    assert f[power.argmax()] == pytest.approx(1 / cycle, abs=0.06)
    for known in beats_of("AFLT"):
        rr = np.diff(known.r_peaks)
        ratios = [rr * rate for rate in np.arange(230, 331) / 60]
        assert min(np.abs(ratio - ratio.round()).max() for ratio in ratios) < 0.12
        assert rr.max() < 1.1


def test_paced_beats_begin_with_a_spike() -> None:
    sharp = []
    for record in many(("PACE",), 20, noise=0.0):
        onsets = np.round(truth(record).waves["QRS on"][1:-1] * FS).astype(int)
        bend = np.abs(np.diff(record.signal, 2, axis=1)).max(axis=0)
        sharp.append(np.mean([bend[i - 4 : i + 4].max() > 3 * bend[i + 15 : i + 60].max() for i in onsets]))
        assert set(truth(record).beats) == {"/"}
    assert np.mean(np.array(sharp) > 0.9) > 0.4  # bipolar leads hardly show


def test_fascicular_blocks_turn_the_axis() -> None:
    left = [truth(record).axis for record in many(("LAFB",), 40, fs=100.0)]
    right = [truth(record).axis for record in many(("LPFB",), 40, fs=100.0)]
    none = [truth(record).axis for record in many((), 40, fs=100.0)]
    assert np.median(left) < -35
    assert 75 < np.median(right) < 150
    assert 0 < np.median(none) < 70


def test_pre_excitation_has_a_short_pr_and_a_slow_start() -> None:
    def start(of: Record) -> float:
        """How much of QRS's path lies in its first sixth, over four leads."""
        beats = np.stack([mean_beat(of, lead) for lead in ("I", "II", "V2", "V5")])
        size = np.abs(np.diff(beats, axis=1)).sum(axis=0)
        return float(size[: size.size // 6].sum() / size.sum())

    pre_excited, usual = many(("WPW",), 20, noise=0.0), many((), 20, noise=0.0)
    assert all(truth(record).intervals["PR"] < 126 for record in pre_excited)
    assert np.median([start(r) for r in pre_excited]) < 0.8 * np.median([start(r) for r in usual])


def test_scars_leave_q_waves_where_they_lie() -> None:
    for code, lead in (("IMI", "aVF"), ("ASMI", "V2"), ("LMI", "aVL")):
        early = [
            np.median([mean_beat(record, lead)[:16].min() for record in many((finding,), 25, noise=0.0)])
            for finding in (code, "male")
        ]
        assert early[0] < early[1] - 0.03


def test_st_and_t_move_as_asked() -> None:
    def level(code: str, lead: str, start: float, end: float) -> float:
        values = []
        for record in many((code,), 30, noise=0.0):
            known, row = truth(record).waves, record.signal[INDEX[lead]]
            on, off, stop = (int(known[name][2] * FS) for name in ("QRS on", "QRS off", "T off"))
            span = stop - off
            values.append(row[off + int(start * span) : off + int(end * span)].mean() - row[on - 4 : on].mean())
        return float(np.median(values))

    assert level("STD", "V5", 0.0, 0.3) < level("male", "V5", 0.0, 0.3) - 0.05
    assert level("STE", "V4", 0.0, 0.3) > level("male", "V4", 0.0, 0.3) + 0.02
    assert level("INVT", "V4", 0.55, 0.8) < 0.5 * level("male", "V4", 0.55, 0.8)
    assert abs(level("LOWT", "V4", 0.55, 0.8)) < 0.6 * level("male", "V4", 0.55, 0.8)


def test_hypertrophy_enlarges_and_low_voltage_shrinks_the_chest_leads() -> None:
    def sokolow(code: str) -> float:
        records = many((code, "male"), 30, noise=0.0)
        return float(np.median([r.signal[INDEX["V5"]].max() - r.signal[INDEX["V1"]].min() for r in records]))

    assert sokolow("LVH") > 1.2 * sokolow("LAE")
    assert sokolow("LVOLT") < 0.6 * sokolow("LAE")


def test_interchanged_limb_electrodes_change_the_limb_leads_as_they_must_and_leave_the_chest() -> None:
    seen = set()
    for seed in range(12):
        right, wrong = (simulate(f, rng=np.random.default_rng(seed)) for f in (("male",), ("male", "SWAP")))
        one, two, three = right.signal[:3]
        options = {"arms": (-one, three), "left arm and leg": (two, one), "right arm and leg": (-three, -two)}
        found = [name for name, pair in options.items() if np.allclose(wrong.signal[:2], pair, atol=2.1e-3)]
        assert len(found) == 1
        seen.update(found)
        np.testing.assert_array_equal(wrong.signal[6:], right.signal[6:])
        if found == ["arms"]:
            assert np.cos(np.radians(truth(wrong).axis - 180 + truth(right).axis)) == pytest.approx(1)
    assert len(seen) >= 2


def test_a_lost_electrode_takes_one_chest_lead_only() -> None:
    gone = 0
    for seed in range(20):
        whole, lost = (simulate(f, rng=np.random.default_rng(seed)) for f in (("male",), ("male", "OFF")))
        changed = [i for i in range(12) if not np.array_equal(whole.signal[i], lost.signal[i], equal_nan=True)]
        assert len(changed) == 1
        assert changed[0] >= 6
        gone += bool(np.isnan(lost.signal).any())
    assert 3 < gone < 17


@pytest.mark.parametrize("seed", range(3))
def test_all_that_goes_together_can_be_simulated_and_is_there(seed: int) -> None:
    """Every pair of look-alikes and diagnoses that is not refused, and its early or paced beats."""
    codes = [code for code in FINDINGS if code not in ("male", "female")]
    pairs = [pair for pair in itertools.combinations(codes, 2) if allowed(pair)]
    beats = {"PAC": "A", "PVC": "V", "BIGU": "V", "TRIGU": "V", "PACE": "/"}
    for pair in pairs[seed::3]:
        record = simulate(pair, rng=np.random.default_rng(seed), fs=100.0, duration=6.0)
        known = truth(record)
        assert known.labels | known.findings >= set(pair)
        for code in beats.keys() & set(pair):
            assert beats[code] in known.beats
        on, off, t_on, t, t_off = (known.waves[name] for name in ("QRS on", "QRS off", "T on", "T", "T off"))
        assert (on < off).all()
        assert (off <= t_on + 1e-9).all()
        assert (t_on < t).all()
        assert (t < t_off).all()
        assert (off[:-1] < on[1:]).all()
        conducted = np.isfinite(known.waves["P on"])
        assert (known.waves["P off"] < on)[conducted].all()
        assert (known.waves["P on"][1:] > off[:-1] - 0.005)[conducted[1:]].all()
        if known.labels & {"ST", "SB"}:
            assert (60_000 / known.intervals["RR"] > 100) == ("ST" in known.labels)
            assert (60_000 / known.intervals["RR"] < 60) == ("SB" in known.labels)


def allowed(pair: tuple[str, str]) -> bool:
    try:
        return bool(check(pair))
    except UsageError:
        return False


@pytest.mark.parametrize("code", ["male", "STD", "STE", "INVT", "RVH", "LVH", "LBBB", "WPW"])
def test_t_is_over_where_the_truth_says(code: str) -> None:
    """With nothing else in between: what is left after T off is small beside T."""
    rest = []
    for record in many((code, "SB"), 15, noise=0.0):
        known = truth(record).waves
        leads = record.signal[[0, 1, *range(6, 12)]]
        for t_on, t_off, p_on in zip(known["T on"][1:-1], known["T off"][1:-1], known["P on"][2:], strict=True):
            if p_on - t_off > 0.1:
                base = leads[:, int((p_on - 0.02) * FS)][:, None]
                size = np.sqrt(np.square(leads - base).mean(axis=0))
                after = size[int((t_off + 0.12 * (t_off - t_on)) * FS) : int((p_on - 0.02) * FS)]
                rest.append(after.max(initial=0) / size[int(t_on * FS) : int(t_off * FS)].max())
    assert np.quantile(rest, 0.9) < 0.25


def test_low_voltage_meets_its_criterion() -> None:
    for record in many(("LVOLT",), 20, noise=0.0, fs=250.0):
        known = truth(record).waves
        for on, off in zip(known["QRS on"][1:-1], known["QRS off"][1:-1], strict=True):
            assert np.ptp(record.signal[:6, int(on * 250) : int(off * 250)], axis=1).max() < 0.55


@pytest.mark.parametrize(("fs", "duration"), [(50.0, 5.0), (2000.0, 5.0), (100.0, 1800.0)])
def test_any_rate_and_length(fs: float, duration: float) -> None:
    record = simulate(("PVC", "AF"), rng=np.random.default_rng(0), fs=fs, duration=duration)
    assert record.signal.shape == (12, round(fs * duration))
    assert truth(record).r_peaks[-1] > duration - 3
    quarters = [quarter.std() for quarter in np.array_split(record.signal[1], 4)]
    assert max(quarters) < 3 * min(quarters)
