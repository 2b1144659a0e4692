"""What the recording adds."""

import numpy as np

from ecglens.simulator.noise import draw_noise
from ecglens.simulator.rhythm import Breathing

FS = 500.0


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
