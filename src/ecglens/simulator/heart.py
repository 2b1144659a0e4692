"""A heart as a moving dipole, and the ECG it writes in the leads I, II, V1..V6.

P, QRS and ST-T are sums of Gaussians in time (McSharry et al., IEEE Trans Biomed Eng 50:289, 2003), each with a
direction in space (Sameni et al., EURASIP J Adv Signal Process 2007:43407). The dipole reaches the leads by Dower's
matrix (Dower, Machado & Osborne, Clin Cardiol 3:97, 1980); what a dipole cannot explain, chiefly the nearness of the
chest electrodes, is a small amplitude per wave and lead beside it. The Gaussians of each conduction type describe the
median beat of its group in PTB-XL (Wagner et al., Scientific Data 7:154, 2020).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ecglens.simulator.rhythm import Breathing, Floats, truncated_normal

# mV in I, II, V1..V6 from the dipole (x to the left, y to the feet, z to the back).
DOWER: Final = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# Fibrillatory waves per unit in I, II, V1..V6: V1 lies next to the right atrium, II looks along it.
_FIBRILLATION: Final = np.array([0.25, 0.65, 1.0, 0.6, 0.35, 0.25, 0.2, 0.2])

# A wave is seen where it passes this amplitude in any lead, mV.
_VISIBLE_P, _VISIBLE_QRS = 0.015, 0.04


class Wave(NamedTuple):
    """One Gaussian: time and width as fractions of its complex, dipole and lead detail (I, II, V1..V6) in mV."""

    at: float
    width: float
    dipole: tuple[float, float, float]
    detail: tuple[float, ...] = (0.0,) * 8


# Right atrium, then left.
P_WAVES: Final = (
    Wave(0.36, 0.15, (0.045, 0.075, -0.05)),
    Wave(0.62, 0.16, (0.065, 0.065, 0.035)),
)
QRS_WAVES: Final = {
    # Septum to the right and front, apex, free wall, base to the back.
    "normal": (
        Wave(0.20, 0.094, (-0.06, -0.03, -0.19), (-0.01, 0.00, -0.02, 0.03, -0.02, 0.00, 0.00, 0.02)),
        Wave(0.38, 0.100, (0.78, 0.25, -0.10), (0.07, 0.01, 0.02, 0.04, -0.03, -0.03, 0.00, 0.02)),
        Wave(0.50, 0.085, (0.78, 0.47, 0.48), (0.03, 0.00, 0.13, -0.11, -0.01, 0.07, 0.01, -0.03)),
        Wave(0.63, 0.092, (-0.06, 0.08, 0.55), (0.06, 0.02, 0.02, -0.04, 0.05, -0.03, -0.04, 0.01)),
        Wave(0.80, 0.091, (-0.07, 0.00, 0.19), (0.00, 0.01, -0.01, -0.03, 0.03, 0.01, -0.01, -0.03)),
    ),
    # The left ventricle as ever, then slowly the right one: forces to the right and front (R' in V1, S in I and V6).
    "RBBB": (
        Wave(0.16, 0.080, (-0.01, 0.02, -0.08), (-0.05, -0.02, 0.01, 0.00, -0.01, 0.01, 0.01, 0.02)),
        Wave(0.27, 0.072, (0.85, 0.17, -0.17), (0.09, 0.00, 0.03, 0.12, -0.13, -0.02, 0.05, 0.05)),
        Wave(0.40, 0.086, (-0.17, -0.12, 0.04), (0.17, 0.05, -0.03, 0.06, 0.03, -0.12, -0.06, 0.05)),
        Wave(0.55, 0.083, (-0.20, -0.06, -0.32), (-0.06, -0.02, 0.00, -0.01, 0.03, -0.02, 0.01, 0.04)),
        Wave(0.71, 0.092, (-0.38, -0.06, -0.42), (-0.03, -0.05, 0.26, -0.13, -0.08, 0.04, 0.10, 0.13)),
        Wave(0.85, 0.083, (-0.14, 0.01, -0.03), (-0.06, -0.04, 0.20, -0.14, -0.02, 0.06, 0.06, 0.04)),
    ),
    # The septum from the right, then slowly the left ventricle: to the left and back throughout, notched, without q.
    "LBBB": (
        Wave(0.16, 0.079, (0.02, -0.03, -0.42), (-0.01, 0.00, -0.02, 0.01, 0.02, -0.02, -0.01, 0.02)),
        Wave(0.30, 0.100, (0.45, 0.29, 1.02), (0.01, 0.03, 0.01, -0.15, 0.04, 0.10, 0.02, -0.18)),
        Wave(0.41, 0.106, (0.13, 0.05, 0.92), (0.26, 0.05, 0.01, 0.06, -0.16, -0.12, 0.00, -0.04)),
        Wave(0.53, 0.100, (0.20, 0.28, 0.88), (0.07, 0.00, 0.12, -0.05, -0.15, -0.19, 0.22, 0.08)),
        Wave(0.69, 0.116, (0.20, -0.26, 0.66), (0.33, 0.04, 0.10, 0.08, -0.12, -0.32, 0.14, 0.26)),
    ),
}
# From the end of QRS: J point, ST segment, T. Times are only relative: the T wave is stretched to the drawn QT.
T_WAVES: Final = {
    "normal": (
        Wave(0.000, 0.030, (-0.02, 0.00, 0.00)),
        Wave(0.087, 0.051, (0.02, 0.01, -0.07), (0.01, 0.00, -0.01, 0.03, -0.01, -0.01, 0.00, 0.01)),
        Wave(0.180, 0.039, (0.06, 0.00, -0.12), (0.02, 0.01, -0.06, 0.06, 0.00, -0.03, -0.02, 0.02)),
        Wave(0.217, 0.044, (0.19, 0.13, -0.07), (0.06, 0.01, -0.01, 0.05, -0.03, -0.03, -0.01, 0.03)),
    ),
    "RBBB": (
        Wave(0.000, 0.029, (-0.02, 0.01, 0.00), (-0.01, 0.00, 0.01, -0.01, 0.00, 0.01, 0.00, 0.00)),
        Wave(0.087, 0.052, (0.05, 0.02, 0.04), (0.02, 0.01, -0.03, 0.02, 0.01, -0.01, -0.02, -0.01)),
        Wave(0.172, 0.038, (0.13, 0.05, 0.11), (0.06, 0.02, -0.06, 0.05, 0.00, -0.02, -0.02, -0.02)),
        Wave(0.225, 0.050, (0.06, 0.04, -0.05), (0.03, 0.01, -0.01, 0.03, -0.01, -0.02, -0.01, 0.01)),
    ),
    "LBBB": (
        Wave(0.002, 0.031, (-0.04, -0.03, -0.11), (-0.02, 0.00, 0.00, -0.01, 0.01, 0.01, -0.01, 0.01)),
        Wave(0.096, 0.057, (-0.10, -0.05, -0.37), (-0.06, -0.01, -0.02, 0.02, 0.02, 0.02, -0.04, 0.01)),
        Wave(0.169, 0.039, (-0.05, -0.05, -0.43), (-0.08, -0.01, -0.07, 0.01, 0.02, 0.03, -0.04, 0.00)),
        Wave(0.215, 0.043, (0.08, 0.07, -0.02), (0.03, 0.01, -0.01, 0.01, 0.00, -0.02, -0.01, 0.00)),
    ),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whose heart it is: intervals in seconds (``qtc`` by Fridericia, ``pr`` None without P), angles in radians.

    ``turn`` rotates QRS and T about the z axis (frontal axis), the y axis (transition zone) and the x axis.
    """

    age: float
    male: bool
    conduction: str
    p: float
    pr: float | None
    qrs: float
    qtc: float
    turn: tuple[float, float, float]
    voltage: float
    t_voltage: float


@dataclass(frozen=True, slots=True)
class Complex:
    """Waves of one beat: ``at`` and ``width`` (K,) seconds from onset, ``amplitude`` (8, K) mV.

    ``sway`` (8, K) mV is what a full breath adds, by turning the heart.
    """

    at: Floats
    width: Floats
    amplitude: Floats
    sway: Floats

    def stretched(self, factor: float, shift: float = 0.0) -> "Complex":
        """Return the complex with time t moved to ``factor`` * t + ``shift``."""
        return Complex(self.at * factor + shift, self.width * factor, self.amplitude, self.sway)

    def sample(self, times: Floats) -> Floats:
        """Return the leads at ``times`` (n,): (8, n) mV."""
        return self.amplitude @ np.exp(-0.5 * ((times - self.at[:, None]) / self.width[:, None]) ** 2)


@dataclass(frozen=True, slots=True)
class Heart:
    """A person's P, QRS and ST-T. P and QRS begin at time 0; ST-T counts from the end of QRS and ends at 1.

    ``peak`` is where QRS is largest over all leads, seconds from its onset.
    """

    person: Person
    p: Complex
    qrs: Complex
    t: Complex
    peak: float

    @property
    def axis(self) -> float:
        """Frontal QRS axis in degrees, from the net amplitudes (R + S) in I and aVF."""
        one, two = self.qrs.sample(np.linspace(0, self.person.qrs, 100))[:2]
        foot = two - one / 2
        net, net_foot = one.max() + one.min(), foot.max() + foot.min()
        return float(np.degrees(np.arctan2(net_foot * 2 / np.sqrt(3), net)))


def draw_person(labels: frozenset[str], rate: float, rng: np.random.Generator) -> Person:
    """Draw a person for whom ``labels`` hold at ``rate`` beats a minute.

    Normal limits by age and sex: Rijnbeek et al., J Electrocardiol 47:914, 2014; Macfarlane et al., Comprehensive
    Electrocardiology, 2nd ed. (2010), appendix 1. QT in bundle branch block grows by about half of what QRS gains
    (Bogossian et al., Heart Rhythm 11:2273, 2014).
    """
    male = "male" in labels
    conduction = next((name for name in ("RBBB", "LBBB") if name in labels), "normal")
    diseased = conduction != "normal" or "AF" in labels or "1dAVb" in labels
    age = truncated_normal(rng, 70 if diseased else 54, 13 if diseased else 18, 18, 95)
    qrs = _draw_qrs(conduction, male, rng)
    qtc = truncated_normal(rng, 0.402 if male else 0.414, 0.017, 0.355, 0.455)
    return Person(
        age=age,
        male=male,
        conduction=conduction,
        p=truncated_normal(rng, 0.108 if male else 0.102, 0.010, 0.080, 0.135) + 0.0002 * (age - 54),
        pr=None if "AF" in labels else _draw_pr("1dAVb" in labels, age, rate, rng),
        qrs=qrs,
        qtc=qtc + 0.485 * (qrs - 0.095) * (conduction != "normal"),
        turn=_draw_turn(conduction, age, rng),
        voltage=(1.1 if male else 0.95) * rng.lognormal(0, 0.23),
        t_voltage=(1.22 if male else 1.0) * rng.lognormal(0, 0.3) * (0.65 if "AF" in labels else 1.0),
    )


def _draw_qrs(conduction: str, male: bool, rng: np.random.Generator) -> float:
    if conduction == "normal":
        return truncated_normal(rng, 0.096 if male else 0.089, 0.008, 0.070, 0.114)
    median = 0.136 if conduction == "RBBB" else 0.150
    return truncated_normal(rng, median + (0.003 if male else -0.003), 0.013, 0.122, 0.190)


def _draw_pr(block: bool, age: float, rate: float, rng: np.random.Generator) -> float:
    """PR grows with age and shortens with rate; in first-degree block most lie little above 200 ms, few near 400."""
    if block:
        longest = min(0.400, 0.75 * 60 / rate)  # beyond, P would fall into the QRS before
        return min(0.205 + float(rng.gamma(1.5, 0.024)), max(longest, 0.205))
    mean = 0.158 + 0.0003 * (age - 54) - 0.0003 * (rate - 70)
    return truncated_normal(rng, mean, 0.018, 0.122, 0.196)


def _draw_turn(conduction: str, age: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """The axis of the healthy moves to the left by about 0.4 degrees a year; blocks leave less room for variation."""
    spread = {"normal": 22.0, "RBBB": 22.0, "LBBB": 18.0}[conduction]
    drift = 5 + 0.4 * (54 - age) if conduction == "normal" else 0
    frontal = truncated_normal(rng, drift, spread, -65, 50)
    horizontal = truncated_normal(rng, 0, 14 if conduction != "LBBB" else 11, -40, 40)
    x, y, z = np.radians([truncated_normal(rng, 0, 6, -15, 15), horizontal, frontal])
    return float(z), float(y), float(x)


def draw_heart(person: Person, rng: np.random.Generator) -> Heart:
    """Draw the waves of ``person``: the group's, turned, scaled and varied; durations are exactly the person's.

    A heart whose position or variety hides its bundle branch block is drawn again, turned less.
    """
    near = rng.lognormal(0, [0.06] * 2 + [0.14] * 6)  # how near each electrode is
    turn = np.array(person.turn)
    qrs = _draw_depolarisation(person, turn, near, rng)
    while not _typical(qrs, person):
        turn *= 0.9
        qrs = _draw_depolarisation(person, turn, near, rng)
    turn_p = _rotation(rng.normal(0, 0.25) + 0.4 * turn[0], rng.normal(0, 0.2), 0)
    turn_t = _rotation(0.6 * turn[0] + rng.normal(0, 0.2), 0.6 * turn[1] + rng.normal(0, 0.2), 0)
    if person.conduction != "normal":  # T is secondary to depolarisation, hence opposite to it
        turn_t = _rotation(*turn) @ _rotation(*rng.normal(0, 0.2, 3))
    p = _vary(P_WAVES, turn_p, rng.lognormal(0, 0.22) * near, 1, rng)
    start, end = _visible(p, _VISIBLE_P)
    p = p.stretched(person.p / (end - start), -start * person.p / (end - start))
    t = _vary(T_WAVES[person.conduction], turn_t, person.t_voltage * near, 0.6, rng)
    times = np.linspace(0, person.qrs, 200)
    peak = float(times[np.square(qrs.sample(times)).sum(axis=0).argmax()])
    return Heart(person, p, qrs, t.stretched(1 / _tangent_end(t)), peak)


def _draw_depolarisation(person: Person, turn: Floats, near: Floats, rng: np.random.Generator) -> Complex:
    """Draw a QRS that lasts as long as the person's; ``near`` (8,) is the gain of each lead."""
    qrs = _vary(QRS_WAVES[person.conduction], _rotation(*turn), person.voltage * near, 1, rng)
    start, end = _visible(qrs, _VISIBLE_QRS)
    return qrs.stretched(person.qrs / (end - start), -start * person.qrs / (end - start))


def _typical(qrs: Complex, person: Person) -> bool:
    """Whether a bundle branch block looks as its criteria ask (Surawicz et al., Circulation 119:e235, 2009).

    RBBB ends positive in V1 and negative in I and V6; LBBB is negative in V1 and positive throughout in V6.
    """
    times = np.linspace(0.02, 0.98, 60) * person.qrs
    one, v1, v6 = qrs.sample(times)[[0, 2, 7]]
    if person.conduction == "RBBB":
        late = times > 0.6 * person.qrs
        return bool(v1[late].mean() > 0.1 and v1[late].max() > 0.25 and max(one[late].mean(), v6[late].mean()) < -0.04)
    if person.conduction == "LBBB":
        return bool(-v1.min() > 2.5 * v1.max() and v6.max() > max(0.25, -5 * v6.min()) and one.max() > -2 * one.min())
    return True


def _vary(waves: tuple[Wave, ...], turn: Floats, gain: Floats, variety: float, rng: np.random.Generator) -> Complex:
    """Turn and scale a group's waves (``gain`` (8,) per lead) and vary each of them by ``variety``."""
    count = len(waves)
    at, width = np.array([w.at for w in waves]), np.array([w.width for w in waves])
    dipole, detail = np.array([w.dipole for w in waves]).T, np.array([w.detail for w in waves]).T
    largest = np.linalg.norm(dipole, axis=0).max()
    dipole = dipole * rng.lognormal(0, 0.2 * variety, count) + 0.08 * variety * largest * rng.standard_normal(
        (3, count)
    )
    detail = detail * rng.lognormal(0, 0.2 * variety, count) + 0.02 * variety * largest * rng.standard_normal(
        (8, count)
    )
    at = at + 0.15 * width * rng.standard_normal(count)
    width = width * rng.lognormal(0, 0.07, count)
    still = gain[:, None] * (DOWER @ turn @ dipole + detail)
    breath = _rotation(rng.normal(0, 0.05), rng.normal(0, 0.03), rng.normal(0, 0.03))
    swayed = gain[:, None] * (DOWER @ breath @ turn @ dipole + detail) * (1 + rng.normal(0, 0.03))
    return Complex(at, width, still, swayed - still)


def _rotation(about_z: float, about_y: float, about_x: float) -> Floats:
    """Return the (3, 3) rotation by angles in radians; a positive first angle turns the frontal axis clockwise."""
    (cz, cy, cx), (sz, sy, sx) = np.cos((about_z, about_y, about_x)), np.sin((about_z, about_y, about_x))
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return np.asarray(z @ y @ x)


def _visible(waves: Complex, threshold: float) -> tuple[float, float]:
    """Return the first and last time at which any lead passes ``threshold`` mV, or a fifth of a smaller peak."""
    times = np.linspace(-0.5, 1.6, 500)
    size = np.abs(waves.sample(times)).max(axis=0)
    above = np.flatnonzero(size > min(threshold, 0.2 * size.max()))
    return float(times[above[0]]), float(times[above[-1]])


def _tangent_end(waves: Complex) -> float:
    """Return the end of T: where the steepest descent of its size meets zero (Lepeschkin & Surawicz, 1952)."""
    times = np.linspace(0.08, 0.45, 300)
    size = np.sqrt(np.square(waves.sample(times)).mean(axis=0))
    peak = int(size.argmax())
    slope = np.gradient(size, times)
    steepest = peak + int(slope[peak:].argmin())
    return float(times[steepest] - size[steepest] / slope[steepest])


def trace_beats(
    heart: Heart, peaks: Floats, breathing: Breathing, fs: float, samples: int
) -> tuple[Floats, dict[str, Floats]]:
    """Return the leads I, II, V1..V6 (8, samples) mV with an R peak at each of ``peaks``, and the bounds of waves.

    ``peaks`` (beats,) are seconds from the first sample. QT of each beat follows the RR interval before it and, more
    slowly, their mean.
    """
    person = heart.person
    interval = np.diff(peaks, prepend=2 * peaks[0] - peaks[1])
    onset = peaks - heart.peak
    breath = breathing.at(peaks)
    qt = person.qtc * np.cbrt(0.75 * interval.mean() + 0.25 * interval)
    offset, t_span = onset + person.qrs, qt - person.qrs
    signal = np.zeros((8, samples))
    still = np.ones_like(peaks)
    nowhere = np.full_like(peaks, np.nan)
    p_on = nowhere if person.pr is None else onset - person.pr
    if person.pr is not None:
        _add(signal, heart.p, p_on, still, breath, fs)
    _add(signal, heart.qrs, onset, still, breath, fs)
    _add(signal, heart.t, offset, t_span, breath, fs)
    waves = {"P on": p_on, "P off": p_on + person.p, "QRS on": onset, "QRS off": offset, "T off": onset + qt}
    return signal, waves


def _add(signal: Floats, waves: Complex, onset: Floats, stretch: Floats, breath: Floats, fs: float) -> None:
    """Add ``waves`` at each of ``onset`` to ``signal``, computing only the stretch of time where they are not zero."""
    at = onset[:, None] + stretch[:, None] * waves.at
    width = stretch[:, None] * waves.width
    start = np.floor((at - 4.5 * width).min(axis=1) * fs).astype(int)
    length = int(np.ceil(((at + 4.5 * width).max(axis=1) - start / fs).max() * fs)) + 1
    times = (np.arange(length) / fs).astype(np.float32)
    centre = (at - start[:, None] / fs).astype(np.float32)[..., None]  # from the window's start: float32 is ample
    bells = np.exp(-0.5 * np.square((times - centre) / width.astype(np.float32)[..., None]))
    leads = (waves.amplitude + breath[:, None, None] * waves.sway).astype(np.float32) @ bells
    for first, piece in zip(start, leads, strict=True):
        begin, end = max(first, 0), min(first + length, signal.shape[1])
        if begin < end:
            signal[:, begin:end] += piece[:, begin - first : end - first]


def fibrillate(samples: int, fs: float, rng: np.random.Generator) -> Floats:
    """Return fibrillatory waves in I, II, V1..V6, (8, samples) mV: 4-9 Hz, from barely visible to coarse.

    A saw-tooth whose rate and size wander (Stridh & Sörnmo, IEEE Trans Biomed Eng 48:105, 2001), from two sources
    seen differently by the leads.
    """
    time = np.arange(samples) / fs
    size = min(float(rng.lognormal(np.log(0.045), 0.5)), 0.16)
    main = truncated_normal(rng, 6.2, 0.9, 4.3, 8.7)
    leads = np.zeros((8, samples))
    for share, rate in ((0.8, main), (0.45, np.clip(main + rng.normal(0, 0.5), 4, 9))):
        gain = share * size * _FIBRILLATION * rng.lognormal(0, 0.25, 8) * np.r_[1, 1, 1, 1, rng.choice([-1, 1], 4)]
        leads += np.outer(gain, _saw_tooth(time, float(rate), rng))
    return leads


def _saw_tooth(time: Floats, rate: float, rng: np.random.Generator) -> Floats:
    knots = np.linspace(0, time[-1] + 1e-9, max(int(time[-1] * 2.5), 3))
    drift = np.interp(time, knots, 0.06 * rate * rng.standard_normal(knots.size))
    turns = np.cumsum(np.clip(rate + drift, 4, 9)) * (time[-1] / max(time.size - 1, 1)) + rng.uniform(0, 1)
    sine, cosine = np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)
    swell = np.interp(time, knots, np.clip(1 + 0.35 * rng.standard_normal(knots.size), 0.1, 2))
    tooth = sine + 2 * sine * cosine / 2**1.3 + sine * (3 - 4 * sine**2) / 3**1.3  # three harmonics
    return np.asarray(swell * tooth)
