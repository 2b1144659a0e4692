"""When hearts beat: each rhythm by what defines it."""

import numpy as np

from ecglens.simulator.rhythm import MARGIN, Breathing, draw_beats, fibrillating_beats, sinus_beats


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


def test_sinus_variability_follows_breathing() -> None:
    breathing = Breathing(0.25, 0.0)
    beats = sinus_beats(65, 20, 120, breathing, np.random.default_rng(0))
    rr = np.interp(np.arange(0, 120, 0.25), beats[1:], np.diff(beats))
    power = np.abs(np.fft.rfft(rr - rr.mean())) ** 2
    f = np.fft.rfftfreq(rr.size, 0.25)
    assert power[(f > 0.15) & (f < 0.4)].sum() > 3 * power[f > 0.45].sum()


def test_every_rhythm_covers_the_record_and_its_margins() -> None:
    for code in ("", "AF", "AFLT", "SVTAC", "2AVB", "3AVB", "PACE", "PAC", "PVC", "SARRH"):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            beats = draw_beats(frozenset({code}), 70.0, 0.16, 60.0, 30.0, Breathing(0.25, 0.0), rng)
            assert (np.diff(beats.onset) > 0.15).all()
            assert beats.onset[0] < 0
            assert beats.onset[-1] > 30
            assert beats.onset[0] > -MARGIN - 2
            assert beats.onset.shape == beats.code.shape == beats.p.shape
