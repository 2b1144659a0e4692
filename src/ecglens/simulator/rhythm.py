"""When the heart beats: series of RR intervals in sinus rhythm and in atrial fibrillation.

Sinus rhythm: respiratory (0.15-0.4 Hz) and low-frequency (about 0.1 Hz) modulation around the mean (Task Force of the
ESC and NASPE, Circulation 93:1043, 1996), which shrinks with age and with rate (van den Berg et al., Front Physiol
9:424, 2018). Atrial fibrillation: the AV node as a gate that is shut after each beat, opens gradually and is then
bombarded at random (Poisson), so that intervals are independent of each other (Corino et al., IEEE Trans Biomed Eng
58:3386, 2011).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Breathing:
    """Respiration, which sways heart rate, electrical axis and baseline alike: ``rate`` in Hz, ``phase`` in radians."""

    rate: float
    phase: float

    def at(self, times: Floats) -> Floats:
        """Return the depth of breath, -1 to 1, at ``times`` in seconds."""
        return np.sin(2 * np.pi * self.rate * times + self.phase)


def draw_breathing(rng: np.random.Generator) -> Breathing:
    """Draw a resting adult's breathing, 10 to 24 breaths a minute."""
    return Breathing(truncated_normal(rng, 15.5, 3, 10, 24) / 60, rng.uniform(0, 2 * np.pi))


def truncated_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """Draw from a normal distribution confined to [low, high]; takes one uniform number from ``rng``."""
    normal = NormalDist(mean, sd)
    u = rng.uniform(normal.cdf(low), normal.cdf(high))
    return min(max(normal.inv_cdf(min(max(u, 1e-12), 1 - 1e-12)), low), high)


def draw_rate(labels: frozenset[str], rng: np.random.Generator) -> float:
    """Draw the mean heart rate, beats a minute, that ``labels`` ask for.

    ST lies above 100 and SB below 58, mostly below 55: criteria for SB are 50 (CODE) or 60 (PTB-XL). Without either,
    sinus rhythm lies between 61 and 98, in women about 3 faster (Rijnbeek et al., J Electrocardiol 47:914, 2014).
    In AF the ventricles follow at 50 to 170.
    """
    if "AF" in labels:
        return float(np.exp(truncated_normal(rng, np.log(86), 0.28, np.log(50), np.log(170))))
    if "ST" in labels:
        return 100 + truncated_normal(rng, 4, 22, 2.5, 80)
    if "SB" in labels:
        return truncated_normal(rng, 50, 4.5, 35, 58)
    return truncated_normal(rng, 70 if "male" in labels else 73, 10, 61, 98)


def sinus_beats(rate: float, age: float, duration: float, breathing: Breathing, rng: np.random.Generator) -> Floats:
    """Return beat times in seconds covering [-2 RR, duration + 2 RR], sinus rhythm of mean ``rate`` a minute."""
    mean = 60 / rate
    # RMSSD falls from about 50 ms at 20 years to 20 ms at 70, and steeply with rate, because variability is vagal.
    vagal = 0.045 * np.exp(-(age - 20) / 55) * mean**1.5 * rng.lognormal(0, 0.45)
    count = int(duration / mean * 1.2) + 8
    nominal = mean * np.arange(-3.0, count - 3)
    slow = np.sin(2 * np.pi * rng.uniform(0.07, 0.13) * nominal + rng.uniform(0, 2 * np.pi))
    sway = vagal * (breathing.at(nominal) + rng.uniform(0.3, 0.9) * slow + 0.2 * rng.standard_normal(count))
    return _place(mean + np.clip(sway, -0.3 * mean, 0.3 * mean), mean, duration, rng)


def fibrillating_beats(rate: float, duration: float, rng: np.random.Generator) -> Floats:
    """Return beat times in seconds covering [-2 RR, duration + 2 RR], atrial fibrillation of mean ``rate`` a minute."""
    mean = 60 / rate
    shut, opening = mean * rng.uniform(0.5, 0.68), mean * rng.uniform(0.15, 0.5)
    arrivals = 1 / (mean * rng.uniform(0.13, 0.32))  # impulses a second that pass once the node has recovered
    waited = rng.standard_exponential(int(duration / mean * 1.6) + 12)
    # Inverse of the cumulated hazard: 0 until `shut`, rising linearly over `opening`, constant thereafter.
    ramp = arrivals * opening / 2
    interval = shut + np.where(
        waited < ramp, np.sqrt(2 * opening * waited / arrivals), opening + (waited - ramp) / arrivals
    )
    return _place(interval, mean, duration, rng)


def _place(intervals: Floats, mean: float, duration: float, rng: np.random.Generator) -> Floats:
    """Scale intervals so that those within the record average ``mean``, and start at a random phase of the cycle."""
    lead_in = 2
    inside = max(round(duration / mean) - 1, 1)
    intervals = intervals * (mean / intervals[lead_in : lead_in + inside].mean())
    beats = np.concatenate([[0.0], np.cumsum(intervals)])
    beats -= beats[lead_in] - rng.uniform(0, 1) * intervals[lead_in - 1]
    while beats[-1] < duration + 2 * mean:  # a run of short intervals: go on with the same series
        beats = np.concatenate([beats, beats[-1] + np.cumsum(intervals)])
    return beats[beats < duration + 2 * mean]
