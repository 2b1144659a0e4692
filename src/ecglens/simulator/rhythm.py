"""When the heart beats: atrial and ventricular events of every rhythm.

Sinus rhythm: respiratory (0.15-0.4 Hz) and low-frequency (about 0.1 Hz) modulation around the mean (Task Force of the
ESC and NASPE, Circulation 93:1043, 1996), which shrinks with age and with rate (van den Berg et al., Front Physiol
9:424, 2018). Atrial fibrillation: the AV node as a gate that is shut after each beat, opens gradually and is then
bombarded at random (Poisson), so that intervals are independent of each other (Corino et al., IEEE Trans Biomed Eng
58:3386, 2011). The other rhythms follow their definitions (Surawicz & Knilans, Chou's Electrocardiography, 6th ed.);
how often each of their forms occurs is our choice.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Codes = npt.NDArray[np.str_]

MARGIN = 2.5  # s that a rhythm goes on beyond both ends of the record


@dataclass(frozen=True, slots=True)
class Breathing:
    """Respiration, which sways heart rate, electrical axis and baseline alike: ``rate`` in Hz, ``phase`` in radians."""

    rate: float
    phase: float

    def at(self, times: Floats) -> Singles:
        """Return the depth of breath, -1 to 1, at ``times`` in seconds."""
        return sine(self.rate * times + self.phase / (2 * np.pi))


def sine(turns: Floats) -> Singles:
    """The sine of whole ``turns``; in float32, ten times as fast."""
    return np.sin((2 * np.pi * (turns - np.floor(turns))).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The events of a record, in seconds from its start, in order.

    ``onset`` (beats,) is where each QRS begins, ``code`` its WFDB annotation: ``N`` conducted as ever, ``A`` the same
    but early, ``V`` ventricular and early, ``E`` ventricular escape, ``j`` junctional escape, ``/`` paced. ``p``
    (beats,) is the onset of the P wave that led to it, NaN where none did; ``lone_p`` (n,) those that led to none.
    ``flutter`` is the length of one flutter cycle, in seconds, in that rhythm only.
    """

    onset: Floats
    code: Codes
    p: Floats
    lone_p: Floats
    flutter: float | None = None


def draw_breathing(rng: np.random.Generator) -> Breathing:
    """Draw a resting adult's breathing, 10 to 24 breaths a minute."""
    return Breathing(truncated_normal(rng, 15.5, 3, 10, 24) / 60, rng.uniform(0, 2 * np.pi))


def truncated_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """Draw from a normal distribution confined to [low, high]; takes one uniform number from ``rng``."""
    normal = NormalDist(mean, sd)
    u = rng.uniform(normal.cdf(low), normal.cdf(high))
    return min(max(normal.inv_cdf(min(max(u, 1e-12), 1 - 1e-12)), low), high)


def draw_rate(findings: frozenset[str], rng: np.random.Generator) -> float:
    """Draw the mean rate of the ventricles, or of the sinus node where both differ, in beats a minute.

    ST lies above 100 and SB below 58, mostly below 55: criteria for SB are 50 (CODE) or 60 (PTB-XL). Without either,
    sinus rhythm lies between 61 and 98, in women about 3 faster (Rijnbeek et al., J Electrocardiol 47:914, 2014).
    In AF the ventricles follow at 50 to 170.
    """
    if "PACE" in findings:
        return truncated_normal(rng, 68, 8, 50, 95)
    if "AF" in findings:
        return float(np.exp(truncated_normal(rng, np.log(86), 0.28, np.log(50), np.log(170))))
    if "SVTAC" in findings:
        return truncated_normal(rng, 165, 22, 125, 220)
    if "ST" in findings:
        return 100 + truncated_normal(rng, 4, 22, 2.5, 80)
    if "SB" in findings:
        return truncated_normal(rng, 50, 4.5, 35, 58)
    return truncated_normal(rng, 70 if "male" in findings else 73, 10, 61, 98)


def draw_beats(
    findings: frozenset[str],
    rate: float,
    pr: float,
    age: float,
    duration: float,
    breathing: Breathing,
    rng: np.random.Generator,
    qt: float = 0.38,
) -> Beats:
    """Draw the events from ``MARGIN`` s before to ``MARGIN`` s after a record of ``duration`` s.

    ``rate`` as by ``draw_rate``, ``pr`` in seconds for beats that are conducted, ``age`` in years. No beat comes sooner
    than about ``qt`` seconds after another, but in supraventricular tachycardia and fibrillation.
    """
    if "PACE" in findings:
        beats = _paced(rate, "AF" not in findings, duration, rng)
    elif "AF" in findings:
        beats = _conducted(fibrillating_beats(rate, duration, rng))
    elif "AFLT" in findings:
        beats = _flutter(duration, rng)
    elif "SVTAC" in findings:
        beats = _conducted(_regular(60 / rate, 0.004, duration, rng))
    else:
        longer = 1.15 * duration if "PAC" in findings else duration  # each early beat brings the rest forward
        sinus = sinus_beats(rate, age, longer, breathing, rng, 3.5 if "SARRH" in findings else 1.0)
        if "2AVB" in findings:
            return _dropping(sinus, pr, rng)
        if "3AVB" in findings:
            return _dissociated(sinus, duration, rng)
        delay = pr + 0.002 * breathing.at(sinus) + 0.002 * rng.standard_normal(sinus.size)
        beats = _with_ectopy(replace(_conducted(sinus), p=sinus - delay), findings, duration, qt - 0.03, rng)
        return _at_rate(beats, rate, duration)
    return _with_ectopy(beats, findings, duration, qt - 0.03, rng)


def _at_rate(beats: Beats, rate: float, duration: float) -> Beats:
    """Stretch the intervals between beats so that those in the record average ``rate``, early beats and all."""
    inside = beats.onset[(beats.onset >= 0) & (beats.onset < duration)]
    if inside.size < 2:
        return beats
    factor = 60 / rate / float(np.diff(inside).mean())
    onset = beats.onset * factor
    return replace(beats, onset=onset, p=onset - (beats.onset - beats.p), lone_p=beats.lone_p * factor)


def sinus_beats(
    rate: float, age: float, duration: float, breathing: Breathing, rng: np.random.Generator, sway: float = 1.0
) -> Floats:
    """Return QRS onsets in seconds, sinus rhythm of mean ``rate`` a minute; ``sway`` times the usual variability."""
    mean = 60 / rate
    # RMSSD falls from about 50 ms at 20 years to 20 ms at 70, and steeply with rate, because variability is vagal.
    vagal = sway * 0.045 * np.exp(-(age - 20) / 55) * mean**1.5 * rng.lognormal(0, 0.45)
    count = int((duration + 2 * MARGIN) / mean * 1.2) + 8
    nominal = mean * np.arange(float(count)) - MARGIN
    slow = np.sin(2 * np.pi * rng.uniform(0.07, 0.13) * nominal + rng.uniform(0, 2 * np.pi))
    change = vagal * (breathing.at(nominal) + rng.uniform(0.3, 0.9) * slow + 0.2 * rng.standard_normal(count))
    return _place(mean + np.clip(change, -0.3 * mean, 0.3 * mean), mean, duration, rng)


def fibrillating_beats(rate: float, duration: float, rng: np.random.Generator) -> Floats:
    """Return QRS onsets in seconds, atrial fibrillation of mean ``rate`` a minute."""
    mean = 60 / rate
    shut, opening = mean * rng.uniform(0.5, 0.68), mean * rng.uniform(0.15, 0.5)
    arrivals = 1 / (mean * rng.uniform(0.13, 0.32))  # impulses a second that pass once the node has recovered
    waited = rng.standard_exponential(int((duration + 2 * MARGIN) / mean * 1.6) + 12)
    # Inverse of the cumulated hazard: 0 until `shut`, rising linearly over `opening`, constant thereafter.
    ramp = arrivals * opening / 2
    interval = shut + np.where(
        waited < ramp, np.sqrt(2 * opening * waited / arrivals), opening + (waited - ramp) / arrivals
    )
    return _place(interval, mean, duration, rng)


def _place(intervals: Floats, mean: float, duration: float, rng: np.random.Generator) -> Floats:
    """Scale intervals so that those within the record average ``mean``, and start at a random phase of the cycle."""
    lead_in = int(np.ceil(MARGIN / mean))
    inside = max(round(duration / mean) - 1, 1)
    intervals = intervals * (mean / intervals[lead_in : lead_in + inside].mean())
    beats = np.concatenate([[0.0], np.cumsum(intervals)])
    beats -= beats[lead_in] - rng.uniform(0, 1) * intervals[lead_in - 1]
    while beats[-1] < duration + MARGIN:  # a run of short intervals: go on with the same series
        beats = np.concatenate([beats, beats[-1] + np.cumsum(intervals)])
    return beats[beats < duration + MARGIN]


def _regular(interval: float, jitter: float, duration: float, rng: np.random.Generator) -> Floats:
    times = np.arange(-MARGIN + rng.uniform(0, interval), duration + MARGIN, interval)
    return np.asarray(times + jitter * rng.standard_normal(times.size))


def _conducted(onset: Floats, code: str = "N") -> Beats:
    """Beats of one kind, without P waves."""
    return Beats(onset, np.full(onset.size, code), np.full(onset.size, np.nan), np.empty(0))


def _flutter(duration: float, rng: np.random.Generator) -> Beats:
    """Flutter of 230 to 330 a minute, conducted two, three or four to one, often in turns."""
    cycle = 60 / truncated_normal(rng, 285, 25, 230, 330)
    count = int((duration + 2 * MARGIN) / cycle / 2) + 2
    steady = rng.choice([2, 3, 4], p=[0.7, 0.1, 0.2])
    ratios = np.full(count, steady) if rng.random() < 0.65 else rng.choice([2, 3, 4], count, p=[0.4, 0.2, 0.4])
    onset = -MARGIN + rng.uniform(0, cycle) + cycle * np.cumsum(ratios)
    onset = onset[onset < duration + MARGIN]
    return replace(_conducted(onset + 0.004 * rng.standard_normal(onset.size)), flutter=cycle)


def _dropping(atria: Floats, pr: float, rng: np.random.Generator) -> Beats:
    """Second-degree block: Wenckebach periods of three to six P waves, or two P waves to one QRS.

    ``atria`` are P waves. In a Wenckebach period PR grows by ever smaller steps.
    """
    if rng.random() < 0.25:
        delay, conducted = np.full(atria.size, pr), np.arange(atria.size) % 2 == 0
    else:
        length = int(rng.integers(3, 7))
        place = (np.arange(atria.size) + rng.integers(length)) % length
        step = rng.uniform(0.05, 0.12)
        grown = np.concatenate([[0.0], np.cumsum(step / (1.0 + np.arange(length - 1)))])
        delay, conducted = np.minimum(pr + grown[place], 0.75 * float(np.diff(atria).mean())), place < length - 1
    start = atria[conducted]
    return replace(_conducted(start + delay[conducted]), p=start, lone_p=atria[~conducted])


def _dissociated(atria: Floats, duration: float, rng: np.random.Generator) -> Beats:
    """Complete block: the atria go their way, a ventricular (below 45 a minute) or junctional escape rhythm its own."""
    junctional = rng.random() < 0.4
    rate = truncated_normal(rng, 48, 5, 40, 58) if junctional else truncated_normal(rng, 36, 4, 27, 44)
    onset = _regular(60 / rate, 0.01, duration, rng)
    return replace(_conducted(onset, "j" if junctional else "E"), lone_p=atria)


def _paced(rate: float, sinus: bool, duration: float, rng: np.random.Generator) -> Beats:
    """Paced ventricles: after each P wave, or regardless of the atria, which beat slowly or fibrillate."""
    onset = _regular(60 / rate, 0.001, duration, rng)
    beats = _conducted(onset, "/")
    if not sinus:
        return beats
    if rng.random() < 0.5:
        return replace(beats, p=onset - rng.uniform(0.15, 0.21))
    return replace(beats, lone_p=_regular(60 / rng.uniform(40, 0.9 * rate), 0.02, duration, rng))


def _with_ectopy(
    beats: Beats, findings: frozenset[str], duration: float, refractory: float, rng: np.random.Generator
) -> Beats:
    """Add the early beats that ``findings`` ask for, each at least ``refractory`` s after the beat before it."""
    count = beats.onset.size
    if "PAC" in findings:
        return _atrial_ectopy(beats, _scattered(beats, duration, rng), refractory, rng)
    for code, every in (("BIGU", 2), ("TRIGU", 3)):
        if code in findings:
            where = np.arange(2 + rng.integers(every), count - 1, every)
            return _ventricular_ectopy(beats, where, refractory, rng)
    if "PVC" in findings:
        return _ventricular_ectopy(beats, _scattered(beats, duration, rng), refractory, rng)
    return beats


def _scattered(beats: Beats, duration: float, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Positions of early beats, each with an ordinary beat on both sides, at least one well within the record."""
    count = beats.onset.size
    wanted = 1 + rng.poisson(0.08 * count)
    middle = np.flatnonzero((beats.onset > 0.35 * duration) & (beats.onset < 0.85 * duration))
    chosen = [int(rng.choice(middle if middle.size else np.arange(2, count - 2)))]
    for i in rng.permutation(np.arange(2, count - 2)).tolist():
        if len(chosen) < wanted and all(abs(i - j) > 1 for j in chosen):
            chosen.append(i)
    return np.sort(np.array(chosen, np.intp))


def _ventricular_ectopy(
    beats: Beats, where: npt.NDArray[np.intp], refractory: float, rng: np.random.Generator
) -> Beats:
    """Beats at ``where`` come early from the ventricles; the sinus node goes on undisturbed: a full pause follows."""
    onset, code, p = beats.onset.copy(), beats.code.copy(), beats.p.copy()
    usual = beats.onset[where] - beats.onset[where - 1]
    coupling = usual * (rng.uniform(0.5, 0.75) + 0.02 * rng.standard_normal(where.size))
    onset[where] = onset[where - 1] + np.maximum(coupling, refractory)
    code[where], p[where] = "V", np.nan
    # A beat that follows too soon, as in fibrillation, waits, and with it all later ones.
    gap = onset[where + 1] - onset[where]
    late = np.zeros(onset.size)
    late[where + 1] = np.maximum(refractory + 0.05 - gap, 0)
    late = np.cumsum(late)
    lost = beats.p[where]
    lone_p = np.sort(np.concatenate([beats.lone_p, lost[np.isfinite(lost)]]))
    return replace(beats, onset=onset + late, code=code, p=p + late, lone_p=lone_p)


def _atrial_ectopy(beats: Beats, where: npt.NDArray[np.intp], refractory: float, rng: np.random.Generator) -> Beats:
    """Beats at ``where`` come early from the atria and set the sinus node anew: what follows comes early, too."""
    code = beats.code.copy()
    code[where] = "A"
    usual = beats.onset[where] - beats.onset[where - 1]
    free = np.maximum(refractory, beats.onset[where] - beats.p[where] + 0.13)  # P after the QRS before
    coupling = np.maximum(usual * rng.uniform(0.6, 0.85, where.size), free)
    shift = np.zeros(beats.onset.size)
    shift[where] = np.minimum(coupling - usual, 0)
    shift[where + 1] = usual * rng.uniform(0.0, 0.2, where.size)
    moved = np.cumsum(shift)
    return replace(beats, onset=beats.onset + moved, code=code, p=beats.p + moved)
