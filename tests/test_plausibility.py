"""Doubts: an ordinary ECG raises none; a wrong gain, a wrong rate and a contradiction each raise one."""

import numpy as np
import pytest

from ecglens.intervals import measure
from ecglens.plausibility import doubts, limb_agreement
from ecglens.record import Record
from ecglens.simulator import simulate


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate(set(), rng=np.random.default_rng(4))


def test_ordinary_ecgs_raise_no_doubt() -> None:
    for labels in (set(), {"AF"}, {"LBBB"}, {"ST"}, {"SB"}):
        ecg = simulate(labels, rng=np.random.default_rng(5))
        assert doubts(ecg, measure(ecg).summary(), dict.fromkeys(labels, True)) == []


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_wrong_gain_is_doubted(record: Record, factor: float) -> None:
    (doubt,) = doubts(Record((factor * record.signal).astype(np.float32), record.fs), {}, {})
    assert "mV in the largest lead is rare: check the gain" in doubt


@pytest.mark.parametrize(("key", "value"), [("qtc_ms", 627), ("qrs_ms", 255), ("heart_rate_bpm", 32), ("qt_ms", 610)])
def test_what_hardly_any_ecg_has_is_doubted(record: Record, key: str, value: float) -> None:
    (doubt,) = doubts(record, {key: value}, {})
    assert f"{value}" in doubt
    assert doubts(record, {key: 0.7 * value if key != "heart_rate_bpm" else 60}, {}) == []


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_wrong_rate_is_doubted(record: Record, factor: float) -> None:
    wrong = Record(record.signal, factor * record.fs)
    assert any("check the sampling rate" in doubt for doubt in doubts(wrong, measure(wrong).summary(), {}))


@pytest.mark.parametrize(
    ("label", "name", "doubtful", "sound"), [("ST", "tachycardia", 70.0, 110.0), ("SB", "bradycardia", 90.0, 50.0)]
)
def test_a_finding_that_the_measured_rate_contradicts_is_doubted(
    record: Record, label: str, name: str, doubtful: float, sound: float
) -> None:
    (doubt,) = doubts(record, {"heart_rate_bpm": doubtful}, {label: True})
    assert f"{name} is called at a measured rate of {doubtful:.0f}/min" in doubt
    for rate in (sound, None):
        assert doubts(record, {"heart_rate_bpm": rate}, {label: True}) == []


def test_atrial_fibrillation_with_regular_beats_is_doubted(record: Record) -> None:
    regular, irregular = ({"heart_rate_bpm": 75.0, "rr_sd_ms": spread} for spread in (20.0, 120.0))
    (doubt,) = doubts(record, regular, {"AF": True})
    assert "the beats come regularly" in doubt
    assert doubts(record, irregular, {"AF": True}) == doubts(record, regular, {"AF": False}) == []
    short = Record(record.signal[:, : round(4 * record.fs)], record.fs)
    assert doubts(short, regular, {"AF": True}) == []  # few beats may be regular by chance


def test_atrial_fibrillation_with_p_waves_is_doubted(record: Record) -> None:
    (doubt,) = doubts(record, {"heart_rate_bpm": 75.0, "rr_sd_ms": 120.0, "pr_ms": 164.0}, {"AF": True})
    assert doubt == "atrial fibrillation is called, but P waves are measured: check the rhythm"


@pytest.mark.parametrize(("label", "name", "rate"), [("ST", "tachycardia", 140.0), ("SB", "bradycardia", 43.0)])
def test_a_rate_of_a_sinus_rhythm_at_which_it_is_not_called_is_doubted(
    record: Record, label: str, name: str, rate: float
) -> None:
    sinus = {"heart_rate_bpm": rate, "pr_ms": 150.0}
    (doubt,) = doubts(record, sinus, {label: False, "AF": False})
    assert doubt == f"sinus {name} is not called at a measured rate of {rate:.0f}/min with P waves: check the rhythm"
    assert doubts(record, sinus, {label: True}) == doubts(record, sinus, {}) == []
    assert doubts(record, sinus | {"pr_ms": None}, {label: False}) == []
    assert doubts(record, sinus | {"heart_rate_bpm": 75.0}, {label: False}) == []


@pytest.mark.parametrize(
    ("rate", "pr", "qrs", "qtc", "speed"),
    [
        (72, 165, 89, 382, None),  # medians of PTB-XL
        (36, 297, 174, 529, "50"),  # the same ECGs at half their speed
        (36, None, 174, 529, "50"),
        (143, 82, 68, 270, "12.5"),
        (55, 220, 150, 430, None),  # blocks, but no long QT
    ],
)
def test_an_assumed_speed_is_doubted_where_all_that_is_timed_fits_another(
    record: Record, rate: float, pr: float | None, qrs: float, qtc: float, speed: str | None
) -> None:
    measured = {"heart_rate_bpm": rate, "pr_ms": pr, "qrs_ms": qrs, "qtc_ms": qtc}
    wanted = f"25 mm/s is assumed, but rate and intervals are rather those of {speed}: give the paper's speed"
    assert doubts(record, measured, {"LBBB": True}, {"speed_from": "assumed"}) == [wanted] * bool(speed)
    assert doubts(record, measured, {"LBBB": True}, {"speed_from": "given"}) == []
    assert doubts(record, {}, {}, {"speed_from": "assumed"}) == []


@pytest.mark.parametrize("speed_from", ["given", "assumed"])
def test_a_wide_qrs_that_no_block_explains_is_doubted_on_a_page(record: Record, speed_from: str) -> None:
    wide, page, none = {"qrs_ms": 184.0}, {"speed_from": speed_from}, {"RBBB": False, "LBBB": False, "AF": True}
    (doubt,) = doubts(record, wide, none, page)
    assert doubt == "a QRS of 184 ms without a bundle branch block may be misread, or paced: measure it on the paper"
    for called in (none | {"RBBB": True}, none | {"LBBB": True}, {"RBBB": False}):  # the last: LBBB is not judged
        assert doubts(record, wide, called, page) == []
    assert doubts(record, {"qrs_ms": 130.0}, none, page) == doubts(record, wide, none) == []
    (doubt,) = doubts(record, {"qrs_ms": 260.0}, none, page)
    assert "is rare" in doubt


@pytest.mark.parametrize(
    ("seconds", "scale", "odd"),
    [
        (16.7, "grid", True),
        (6.2, "grid", True),
        (12.1, "grid", True),
        (10, "grid", False),
        (30, "grid", False),
        (16.7, "row of 10 s", False),
    ],
)
def test_rows_of_an_odd_length_are_doubted(record: Record, seconds: float, scale: str, odd: bool) -> None:
    found = doubts(record, {}, {}, {"row_s": seconds, "scale": scale, "px_per_mm": 4.0})
    assert any("if the grid was misread" in doubt for doubt in found) == odd


def test_a_small_page_whose_rows_are_not_of_the_usual_length_is_doubted(record: Record) -> None:
    for px_per_mm, seconds, odd in ((1.07, 9.0, True), (1.07, 10.1, False), (3.0, 9.0, False)):
        page = {"row_s": seconds, "scale": "grid", "px_per_mm": px_per_mm}
        assert bool(doubts(record, {}, {}, page | {"speed_from": "assumed"})) == odd
        assert doubts(record, {}, {}, page | {"speed_from": "given"}) == []


def test_rows_twice_as_long_as_usual_are_rather_those_of_twice_the_speed(record: Record) -> None:
    page = {"row_s": 20.1, "scale": "grid", "px_per_mm": 4.0, "speed_from": "assumed"}
    for px_per_mm in (4.0, 1.1):
        (doubt,) = doubts(record, {}, {}, page | {"px_per_mm": px_per_mm})
        assert "rows of 20 s are rare: if the paper's speed is 50 mm/s, give it" in doubt
    assert doubts(record, {}, {}, page | {"speed_from": "given"}) == []


def test_without_a_grid_the_length_of_rows_is_doubted(record: Record) -> None:
    page = {"row_s": 10.0, "scale": "row of 10 s", "px_per_mm": None, "speed_from": "assumed"}
    (doubt,) = doubts(record, {}, {}, page)
    assert doubt == "no grid is seen, and rows are taken to last 10 s: if they do not, rate and intervals are wrong"
    (doubt,) = doubts(record, {"heart_rate_bpm": 36, "qrs_ms": 174, "qtc_ms": 529}, {}, page)
    assert "rather those of rows of 5 s" in doubt


def test_a_page_whose_limb_leads_contradict_each_other_is_doubted(record: Record) -> None:
    page = {"speed_from": "assumed"}
    assert doubts(record, {}, {}, page) == []
    other = simulate({"LBBB"}, rng=np.random.default_rng(9))
    signal = record.signal.copy()
    signal[[2, 4, 5]] = other.signal[[2, 4, 5]]  # III, aVL and aVF of somebody else
    mixed = Record(signal, record.fs)
    (doubt,) = doubts(mixed, {}, {}, page)
    assert "more than one ECG" in doubt
    assert doubts(mixed, {}, {}) == []  # a signal's are checked when it is read
    moved = record.signal.copy()
    moved[2] = np.roll(moved[2], 3)  # warped paper
    assert limb_agreement(Record(moved, record.fs)) > 0.9
    assert np.isnan(limb_agreement(Record(np.full((12, 500), np.nan, np.float32), 100)))


def test_a_strip_that_is_unlike_its_lead_is_doubted(record: Record) -> None:
    page = {"speed_from": "assumed"}
    (doubt,) = doubts(record, {}, {}, page | {"strip_likeness": 0.13})
    assert doubt.startswith("a rhythm strip is unlike its lead")
    for likeness in (0.94, None):
        assert doubts(record, {}, {}, page | {"strip_likeness": likeness}) == []
