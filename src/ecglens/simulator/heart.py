"""One person's heart, and the ECG it writes in the leads I, II, V1..V6.

The dipole of the shapes reaches the leads by Dower's matrix (Dower, Machado & Osborne, Clin Cardiol 3:97, 1980); what a
dipole cannot explain, chiefly the nearness of the chest electrodes, is the shapes' detail per lead.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ecglens.simulator.pathology import atrial, depolarisation, ectopic, repolarisation, rotation
from ecglens.simulator.person import Person
from ecglens.simulator.rhythm import Beats, Breathing, Floats, Singles, sine, truncated_normal
from ecglens.simulator.shapes import DOWER, P_SHAPE, T_BEGINS, Shape

# Fibrillatory waves per unit in I, II, V1..V6: V1 lies next to the right atrium, II looks along it.
_FIBRILLATION: Final = np.array([0.35, 0.7, 1.0, 0.65, 0.4, 0.35, 0.3, 0.3])
# Flutter waves of the common kind: downwards in II, III and aVF, upwards in V1.
_FLUTTER: Final = np.array([0.05, -1.0, 0.7, 0.35, 0.0, -0.15, -0.25, -0.3])

_LARGEST: Final = 5.0  # mV, of QRS in any lead
_ATTEMPTS: Final = 120  # at drawing a QRS that shows its bundle branch block; ten are rarely needed

# A wave is seen where it passes this amplitude in any lead, mV.
_VISIBLE_P, _VISIBLE_QRS = 0.015, 0.04
# Where bounds are looked for: parts of a complex that begins at 0 and ends at 1, and seconds after QRS.
_WIDELY, _IN_T = np.linspace(-0.5, 1.6, 500), np.linspace(0.08, 0.45, 300)
_VENTRICULAR: Final = frozenset({"PVC", "BIGU", "TRIGU", "3AVB"})  # beats that begin in the ventricles may occur
# Men against women in PTB-XL: larger in V2 to V5 (I, II, V1..V6), and T more to the front.
_CHEST: Final = np.array([1.0, 0.93, 1.1, 1.32, 1.42, 1.4, 1.18, 1.0])
_T_TO_THE_FRONT: Final = np.array([[0.0], [0.0], [-0.035]])
_P_LENGTH: Final = 0.11  # s, of the P wave of an ectopic atrial beat


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Ventricles:
    """One way in which the ventricles beat: QRS from time 0 to ``length`` s; ST-T counts from there and ends at 1.

    ``peak`` is where QRS is largest over all leads, seconds from its onset; ``t_onset`` and ``t_peak`` are those of T,
    as parts of ST-T. ``spike`` is the stimulus of a pacemaker, at time 0.
    """

    qrs: Complex
    t: Complex
    length: float
    peak: float
    t_onset: float
    t_peak: float
    qtc: float
    spike: Complex | None = None

    def axis(self, limbs: Floats) -> float:
        """Frontal QRS axis in degrees, from net amplitudes (R + S) in I and aVF; ``limbs`` (2, 2) gives I and II."""
        return _axis(limbs @ self.qrs.sample(np.linspace(0, self.length, 100))[:2])


@dataclass(frozen=True, slots=True, eq=False)
class Heart:
    """A person's P waves, from the sinus node and early ones, and QRS-T, as ever and of ventricular origin, if any."""

    person: Person
    p: Complex
    early_p: Complex | None
    early_length: float
    usual: Ventricles
    ectopic: Ventricles | None


def _axis(limbs: Floats) -> float:
    one, two = limbs
    foot = two - one / 2
    net, net_foot = one.max() + one.min(), foot.max() + foot.min()
    return float(np.degrees(np.arctan2(net_foot * 2 / np.sqrt(3), net)))


def draw_heart(person: Person, rng: np.random.Generator) -> Heart:
    """Draw the waves of ``person``; durations are exactly the person's."""
    near = rng.lognormal(0, [0.06] * 2 + [0.14] * 6)  # how near each electrode is
    near *= _CHEST ** (0.5 if person.male else -0.5)
    findings = person.findings
    turn, qrs = _draw_typical_qrs(person, near, rng)
    t = _draw_t(person, turn, near, rng)
    usual = _ventricles(qrs, t, person.qrs, person.qtc)
    if "PACE" in findings:
        usual = replace(usual, spike=_draw_spike(rng))
    turn_p = rotation(rng.normal(0, 0.25) + 0.4 * turn[0] * ("PACE" not in findings), rng.normal(0, 0.2), 0)
    gain_p = 0.85 * rng.lognormal(0, 0.35) * near * (0.7 if "LVOLT" in findings else 1.0)
    early, early_length = rotation(*rng.normal(0, 0.9, 3)), min(_P_LENGTH, person.pr - 0.008)
    return Heart(
        person,
        _draw_p(atrial(findings), turn_p, person.p, gain_p, rng),
        _draw_p(P_SHAPE, early, early_length, gain_p, rng) if "PAC" in findings else None,
        early_length,
        usual,
        _draw_ectopic(person, near, rng) if findings & _VENTRICULAR else None,
    )


def _draw_typical_qrs(person: Person, near: Floats, rng: np.random.Generator) -> tuple[Floats, Complex]:
    """Draw a QRS that shows what it should, and by which angles it is turned; ``near`` (8,) is the gain of each lead.

    A heart whose position or variety hides its bundle branch block is drawn again, turned less and less varied.
    """
    variety = 1.5 if "RBBB" in person.findings else 1.0
    turn = np.array(person.turn)
    for _ in range(_ATTEMPTS):
        waves = _vary(depolarisation(person.findings, rng), rotation(*turn), person.voltage * near, variety, rng)
        qrs = _lasting(waves, person.qrs, _VISIBLE_QRS)
        if _typical(qrs, person):
            break
        turn, variety = 0.9 * turn, 0.97 * variety
    return turn, _limited(qrs, person.qrs, "LVOLT" in person.findings)


def _limited(qrs: Complex, length: float, low: bool = False) -> Complex:
    """Make QRS smaller where a lead is larger than hearts make it, or a limb lead than 0.5 mV in ``low`` voltage."""
    leads = qrs.sample(np.linspace(0, length, 100))
    one, two = leads[:2]
    limb = max(float(np.ptp(lead)) for lead in (one, two, two - one, (one + two) / 2, one - two / 2, two - one / 2))
    factor = min(1.0, _LARGEST / float(np.abs(leads).max()), 0.48 / limb if low else 1.0)
    return replace(qrs, amplitude=factor * qrs.amplitude, sway=factor * qrs.sway)


def _draw_t(person: Person, turn: Floats, near: Floats, rng: np.random.Generator) -> Complex:
    turn_t = rotation(0.6 * turn[0] + rng.normal(0, 0.2), 0.6 * turn[1] + rng.normal(0, 0.2), 0)
    if person.findings & {"RBBB", "LBBB", "ILBBB", "PACE"}:  # T is secondary to depolarisation, hence opposite to it
        turn_t = rotation(*turn) @ rotation(*rng.normal(0, 0.2, 3))
    shape = repolarisation(person.findings, rng)
    shape = replace(shape, dipole=shape.dipole + _T_TO_THE_FRONT * (1 if person.male else -1))
    return _vary(shape, turn_t, person.t_voltage * near, 1.0, rng)


def _draw_p(shape: Shape, turn: Floats, length: float, gain: Floats, rng: np.random.Generator) -> Complex:
    return _lasting(_vary(shape, turn, gain, 1, rng), length, _VISIBLE_P)


def _draw_ectopic(person: Person, near: Floats, rng: np.random.Generator) -> Ventricles:
    length = truncated_normal(rng, 0.148, 0.015, 0.122, 0.185)
    shape, shape_t = ectopic(rng)
    gain = person.voltage * near
    qrs = _limited(_lasting(_vary(shape, np.eye(3), gain, 1, rng), length, _VISIBLE_QRS), length)
    return _ventricles(qrs, _vary(shape_t, np.eye(3), gain, 0.6, rng), length, person.qtc + 0.03)


def _lasting(waves: Complex, length: float, visible: float) -> Complex:
    """Stretch ``waves`` to be visible from time 0 to ``length`` s."""
    start, end = _visible(waves, visible)
    factor = length / (end - start)
    return waves.stretched(factor, -start * factor)


def _ventricles(qrs: Complex, t: Complex, length: float, qtc: float) -> Ventricles:
    times = np.linspace(0, length, 200)
    peak = float(times[np.square(qrs.sample(times)).sum(axis=0).argmax()])
    onset, top, end = _t_bounds(t)
    return Ventricles(qrs, t.stretched(1 / end), length, peak, onset / end, top / end, qtc)


def _draw_spike(rng: np.random.Generator) -> Complex:
    """Draw a stimulus, a few ms wide after the amplifier's filter; bipolar leads leave next to nothing of it."""
    size = float(np.exp(rng.uniform(np.log(0.1), np.log(1.5))))
    leads = DOWER @ (size * np.array([-0.5, -0.8, 0.2]) * rng.choice([-1, 1])) * rng.lognormal(0, 0.3, 8)
    return Complex(np.zeros(1), np.array([rng.uniform(0.0012, 0.003)]), leads[:, None], np.zeros((8, 1)))


def _typical(qrs: Complex, person: Person) -> bool:
    """Whether a block looks as its criteria ask (Surawicz et al., Circulation 119:e235, 2009).

    RBBB ends positive in V1 and negative in I and V6; LBBB is negative in V1 and positive throughout in V6. By how many
    mV is our choice: enough to be seen.
    """
    times = np.linspace(0.02, 0.98, 60) * person.qrs
    leads = qrs.sample(times)
    one, v1, v6 = leads[[0, 2, 7]]
    if person.findings & {"LAFB", "LPFB"}:  # before the right ventricle, where that is late
        axis = _axis(leads[:2, : 33 if "RBBB" in person.findings else 60])
        if not (-100 < axis < -35 if "LAFB" in person.findings else 85 < axis < 170):
            return False
    if "RBBB" in person.findings:
        late = times > 0.6 * person.qrs
        ends_right = max(one[late].mean(), v6[late].mean()) < -0.04 * min(person.voltage, 1)
        return bool(v1[late].mean() > 0.1 * min(person.voltage, 1) and v1[late].max() > 0.2 * v1.max() and ends_right)
    if "LBBB" in person.findings:
        return bool(-v1.min() > 2.5 * v1.max() and v6.max() > max(0.15, -5 * v6.min()) and one.max() > -2 * one.min())
    return True


def _vary(shape: Shape, turn: Floats, gain: Floats, variety: float, rng: np.random.Generator) -> Complex:
    """Turn and scale a group's waves (``gain`` (8,) per lead) and vary each of them by ``variety``."""
    count = shape.at.size
    largest = np.linalg.norm(shape.dipole, axis=0).max()
    random = rng.standard_normal((13, count))
    grown = np.exp(0.2 * variety * random[0]), np.exp(0.2 * variety * random[1])
    dipole = shape.dipole * grown[0] + 0.08 * variety * largest * random[2:5]
    detail = shape.detail * grown[1] + 0.02 * variety * largest * random[5:13]
    at = shape.at + 0.15 * shape.width * rng.standard_normal(count)
    width = shape.width * np.exp(0.07 * rng.standard_normal(count))
    still = gain[:, None] * (DOWER @ turn @ dipole + detail)
    breath = rotation(*(rng.standard_normal(3) * (0.05, 0.03, 0.03)))
    swayed = gain[:, None] * (DOWER @ breath @ turn @ dipole + detail) * (1 + 0.03 * rng.standard_normal())
    return Complex(at, width, still, swayed - still)


def _visible(waves: Complex, threshold: float) -> tuple[float, float]:
    """Return the first and last time at which any lead passes ``threshold`` mV, or a fifth of a smaller peak."""
    size = np.abs(waves.sample(_WIDELY)).max(axis=0)
    above = np.flatnonzero(size > min(threshold, 0.2 * size.max()))
    return float(_WIDELY[above[0]]), float(_WIDELY[above[-1]])


def _t_bounds(waves: Complex) -> tuple[float, float, float]:
    """Return onset, peak and end of T; a bound is where its steepest tangent meets zero (Lepeschkin & Surawicz, 1952).

    The waves of the ST segment, which come before, have no part in it.
    """
    is_t = waves.at > T_BEGINS
    bells = np.exp(-0.5 * ((_IN_T - waves.at[is_t, None]) / waves.width[is_t, None]) ** 2)
    size = np.sqrt(np.square(waves.amplitude[:, is_t] @ bells).mean(axis=0))
    slope, peak = np.gradient(size, _IN_T), int(size.argmax())
    rising, falling = int(slope[: peak + 1].argmax()), peak + int(slope[peak:].argmin())
    onset, end = (float(_IN_T[k] - size[k] / slope[k]) for k in (rising, falling))
    return max(onset, 0.0), float(_IN_T[peak]), end


def trace_beats(
    heart: Heart, beats: Beats, breathing: Breathing, fs: float, samples: int
) -> tuple[Singles, dict[str, Floats], Floats]:
    """Return leads I, II, V1..V6 (8, samples) mV, the waves' bounds by name (beats,) and all P waves (n, 2), seconds.

    QT of each beat follows the RR interval before it and, more slowly, their mean.
    """
    signal = np.zeros((8, samples), np.float32)
    onset, person = beats.onset, heart.person
    interval = np.diff(onset, prepend=2 * onset[0] - onset[1])
    following = np.diff(onset, append=np.inf)
    corrected = np.cbrt(0.75 * interval.mean() + 0.25 * interval)
    length, qt, peak, t_onset, t_peak = np.empty((5, onset.size))
    from_ventricles = (beats.code == "V") | (beats.code == "E")
    for kind, ventricles in ((~from_ventricles, heart.usual), (from_ventricles, heart.ectopic)):
        if ventricles is not None:
            length[kind], peak[kind] = ventricles.length, ventricles.peak
            t_onset[kind], t_peak[kind] = ventricles.t_onset, ventricles.t_peak
            # T is over when the next beat comes, unless that is very soon: repolarisation adapts.
            longest = np.maximum(following[kind] - 0.02, ventricles.length + 0.14)
            qt[kind] = np.minimum(ventricles.qtc * corrected[kind], longest)
            _add(signal, ventricles.qrs, onset[kind], np.ones(kind.sum()), breathing, fs)
            if ventricles.spike:
                _add(signal, ventricles.spike, onset[kind], np.ones(kind.sum()), breathing, fs)
            _add(signal, ventricles.t, (onset + length)[kind], (qt - length)[kind], breathing, fs)
    early = beats.code == "A"
    sinus_p = np.concatenate([beats.p[~early & np.isfinite(beats.p)], beats.lone_p])
    early_p = beats.p[early]
    _add(signal, heart.p, sinus_p, np.ones(sinus_p.size), breathing, fs)
    if heart.early_p:
        _add(signal, heart.early_p, early_p, np.ones(early_p.size), breathing, fs)
    waves = {
        "P on": beats.p,
        "P off": beats.p + np.where(early, heart.early_length, person.p),
        "QRS on": onset,
        "R": onset + peak,
        "QRS off": onset + length,
        "T on": onset + length + t_onset * (qt - length),
        "T": onset + length + t_peak * (qt - length),
        "T off": onset + qt,
    }
    p_waves = np.concatenate([sinus_p[:, None] + [0, person.p], early_p[:, None] + [0, heart.early_length]])
    return signal, waves, p_waves[p_waves[:, 0].argsort()]


def _add(signal: Singles, waves: Complex, onset: Floats, stretch: Floats, breathing: Breathing, fs: float) -> None:
    """Add ``waves`` at each of ``onset`` to ``signal``, computing only the stretch of time where they are not zero."""
    if not onset.size:
        return
    at = onset[:, None] + stretch[:, None] * waves.at
    width = stretch[:, None] * waves.width
    start = np.floor((at - 4 * width).min(axis=1) * fs).astype(int)
    length = int(np.ceil(((at + 4 * width).max(axis=1) - start / fs).max() * fs)) + 1
    times = (np.arange(length) / fs).astype(np.float32)
    centre = (at - start[:, None] / fs).astype(np.float32)[..., None]  # from the window's start: float32 is ample
    bells = (times - centre) * (1 / width).astype(np.float32)[..., None]
    bells *= np.float32(-0.5) * bells
    np.exp(bells, out=bells)
    breath = breathing.at(onset)[:, None, None]
    leads = (waves.amplitude + breath * waves.sway).astype(np.float32) @ bells
    for first, piece in zip(start, leads, strict=True):
        begin, end = max(first, 0), min(first + length, signal.shape[1])
        if begin < end:
            signal[:, begin:end] += piece[:, begin - first : end - first]


def fibrillate(samples: int, fs: float, rng: np.random.Generator) -> Singles:
    """Return fibrillatory waves in I, II, V1..V6, (8, samples) mV: 4-9 Hz, from barely visible to coarse.

    A saw-tooth whose rate and size wander (Stridh & Sörnmo, IEEE Trans Biomed Eng 48:105, 2001), from two sources
    seen differently by the leads.
    """
    time = np.arange(samples) / fs
    size = min(float(rng.lognormal(np.log(0.05), 0.55)), 0.2)
    main = truncated_normal(rng, 6.2, 0.9, 4.3, 8.7)
    leads = np.zeros((8, samples), np.float32)
    for share, rate in ((0.8, main), (0.45, np.clip(main + rng.normal(0, 0.5), 4, 9))):
        gain = share * size * _FIBRILLATION * rng.lognormal(0, 0.25, 8) * np.r_[1, 1, 1, 1, rng.choice([-1, 1], 4)]
        leads += np.outer(gain.astype(np.float32), _saw_tooth(time, float(rate), rng))
    return leads


def _saw_tooth(time: Floats, rate: float, rng: np.random.Generator) -> Singles:
    knots = np.linspace(0, time[-1] + 1e-9, max(int(time[-1] * 2.5), 3))
    drift = np.interp(time, knots, 0.1 * rate * rng.standard_normal(knots.size))
    turns = np.cumsum(np.clip(rate + drift, 4, 9)) * (time[-1] / max(time.size - 1, 1)) + rng.uniform(0, 1)
    swell = np.interp(time, knots, np.clip(1 + 0.35 * rng.standard_normal(knots.size), 0.1, 2))
    return np.asarray(swell * _tooth(turns), np.float32)


def _tooth(turns: Floats) -> Singles:
    """A saw-tooth of three harmonics; ``turns`` counts cycles."""
    return np.asarray(sum(sine(k * turns) / np.float32(k**1.3) for k in (1, 2, 3)))


def flutter(samples: int, fs: float, cycle: float, first: float, rng: np.random.Generator) -> Singles:
    """Return flutter waves in I, II, V1..V6, (8, samples) mV: a steady saw-tooth, of which beats follow some.

    ``cycle`` is the length of one and ``first`` when a beat comes, in seconds.
    """
    turns = (np.arange(samples) / fs - first) / cycle + rng.uniform(0, 1)
    size = float(rng.uniform(0.06, 0.2))
    gain = size * _FLUTTER * rng.lognormal(0, 0.25, 8) * (1 if rng.random() < 0.8 else -1)  # or round the other way
    return np.outer(gain.astype(np.float32), _tooth(turns))
