"""Whose heart it is: age, sex, intervals, position and voltage, drawn from published distributions."""

from dataclasses import dataclass

import numpy as np

from ecglens.simulator.findings import NOT_SINUS
from ecglens.simulator.rhythm import draw_rate, truncated_normal

_LONG_QT = frozenset({"RBBB", "LBBB", "ILBBB", "IVCD", "WPW", "PACE", "3AVB"})
_OF_THE_OLD = frozenset({"AF", "RBBB", "LBBB", "1dAVb", "LAFB", "PACE", "2AVB", "3AVB", "IMI", "ASMI", "AMI", "PVC"})


@dataclass(frozen=True, slots=True)
class Person:
    """Age in years, ``rate`` in beats a minute, intervals in seconds (``qtc`` by Fridericia), angles in radians.

    ``turn`` rotates QRS and T about the z axis (frontal axis), the y axis (transition zone) and the x axis. ``voltage``
    and ``t_voltage`` scale QRS and T; they stand for all that does so, body size above all.
    """

    findings: frozenset[str]
    age: float
    male: bool
    rate: float
    p: float
    pr: float
    qrs: float
    qtc: float
    turn: tuple[float, float, float]
    voltage: float
    t_voltage: float

    @property
    def sinus(self) -> bool:
        """Whether the sinus node sets the rhythm of the ventricles, one beat for each of its own."""
        return not self.findings & (NOT_SINUS | {"PACE"})

    @property
    def labels(self) -> frozenset[str]:
        """The diagnoses, and ``"male"``, whose criteria these parameters meet."""
        wide = self.qrs >= 0.12
        met = {
            "AF": "AF" in self.findings,
            "RBBB": "RBBB" in self.findings and wide,
            "LBBB": "LBBB" in self.findings and wide,
            "1dAVb": self.sinus and self.pr > 0.2,
            "ST": self.sinus and self.rate > 100,
            "SB": self.sinus and self.rate < 60,
            "male": self.male,
        }
        return frozenset(key for key, holds in met.items() if holds)


def draw_person(findings: frozenset[str], rng: np.random.Generator) -> Person:
    """Draw a person who has ``findings`` and none of the other diagnoses; the sex is drawn unless it is among them.

    Normal limits by age and sex: Rijnbeek et al., J Electrocardiol 47:914, 2014; Macfarlane et al., Comprehensive
    Electrocardiology, 2nd ed. (2010), appendix 1. Where neither gives a number it is ours, chosen so that the spread of
    R, S and T over persons is that of PTB-XL's groups in every lead. QT in bundle branch block grows by about half of
    what QRS gains (Bogossian et al., Heart Rhythm 11:2273, 2014).
    """
    male = "male" in findings or ("female" not in findings and rng.random() < 0.5)
    sexed = findings | {"male"} if male else findings
    rate = draw_rate(sexed, rng)
    old = bool(findings & _OF_THE_OLD)
    age = truncated_normal(rng, 69 if old else 55, 12 if old else 18, 18, 95)
    qrs = _draw_qrs(findings, male, rng)
    if "LNGQT" in findings:
        qtc = truncated_normal(rng, 0.48, 0.025, 0.46, 0.56)
    else:
        qtc = truncated_normal(rng, 0.402 if male else 0.414, 0.017, 0.355, 0.455)
    p = truncated_normal(rng, 0.108 if male else 0.102, 0.010, 0.080, 0.135) + 0.0002 * (age - 54)
    pr = _draw_pr(findings, age, rate, rng)
    return Person(
        findings=findings,
        age=age,
        male=male,
        rate=rate,
        p=min(p + (rng.uniform(0.012, 0.035) if "LAE" in findings else 0.0), pr - 0.008),
        pr=pr,
        qrs=qrs,
        qtc=qtc + 0.485 * max(qrs - 0.095, 0) * bool(findings & _LONG_QT),
        turn=_draw_turn(findings, age, rng),
        voltage=(1.0 if male else 0.95) * rng.lognormal(0, 0.23) * (0.42 if "LVOLT" in findings else 1.0),
        t_voltage=_draw_t_voltage(findings, rng),
    )


def _draw_qrs(findings: frozenset[str], male: bool, rng: np.random.Generator) -> float:
    sex = 0.003 if male else -0.003
    for code, median, sd, low, high in (
        ("RBBB", 0.136, 0.013, 0.122, 0.190),
        ("LBBB", 0.150, 0.013, 0.122, 0.190),
        ("PACE", 0.160, 0.015, 0.125, 0.210),
        ("WPW", 0.128, 0.014, 0.102, 0.165),
        ("IVCD", 0.122, 0.009, 0.112, 0.150),
        ("IRBBB", 0.105, 0.006, 0.094, 0.117),
        ("ILBBB", 0.111, 0.005, 0.100, 0.118),
        ("LVH", 0.103, 0.008, 0.085, 0.117),
        ("LAFB", 0.103, 0.007, 0.086, 0.117),
    ):
        if code in findings:
            return truncated_normal(rng, median + sex, sd, low, high)
    return truncated_normal(rng, 0.0925 + 1.2 * sex, 0.008, 0.070, 0.114)


def _draw_pr(findings: frozenset[str], age: float, rate: float, rng: np.random.Generator) -> float:
    """PR grows with age and shortens with rate; in first-degree block most lie little above 200 ms, few near 400."""
    if "1dAVb" in findings:
        longest = min(0.400, 0.75 * 60 / rate)  # beyond, P would fall into the QRS before
        return min(0.205 + float(rng.gamma(1.5, 0.024)), max(longest, 0.205))
    if "WPW" in findings:
        return truncated_normal(rng, 0.105, 0.01, 0.080, 0.125)
    if rng.random() < 0.02:  # short without pre-excitation
        return float(rng.uniform(0.095, 0.12))
    mean = 0.158 + 0.0003 * (age - 54) - 0.0003 * (rate - 70)
    return truncated_normal(rng, mean, 0.018, 0.120, 0.196)


def _draw_turn(findings: frozenset[str], age: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """The axis of the healthy moves to the left by about 0.4 degrees a year; blocks leave less room for variation."""
    left = bool(findings & {"LBBB", "ILBBB"})
    fascicle = bool(findings & {"LAFB", "LPFB", "RVH"})
    drift = 0 if left or "RBBB" in findings else 0.4 * (54 - age)
    if "PACE" in findings:  # from the apex of the right ventricle upwards
        drift = -75
    spread = 10.0 if fascicle else 18.0 if left or "RBBB" in findings else 15.0
    frontal = truncated_normal(rng, drift, spread, drift - 65, drift + 50)
    horizontal = truncated_normal(rng, 0, 11 if left else 20 if "RBBB" in findings else 14, -40, 40)
    x, y, z = np.radians([truncated_normal(rng, 0, 6, -15, 15), horizontal, frontal])
    return float(z), float(y), float(x)


def _draw_t_voltage(findings: frozenset[str], rng: np.random.Generator) -> float:
    low = 0.35 if "LOWT" in findings else 0.5 if "LVOLT" in findings else 1.0
    return 1.2 * float(rng.lognormal(0, 0.33)) * low * (0.65 if "AF" in findings else 1.0)
