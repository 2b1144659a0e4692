"""What can be asked of a simulated ECG: the six diagnoses, sex, and the look-alikes that must not be taken for them.

Codes are those of PTB-XL's SCP-ECG statements (Wagner et al., Scientific Data 7:154, 2020) where it has one.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

import numpy as np

from ecglens.errors import UsageError
from ecglens.labels import DIAGNOSES

LOOK_ALIKES: Final = MappingProxyType(
    {
        # Rhythm
        "SARRH": "sinus arrhythmia",
        "AFLT": "atrial flutter",
        "SVTAC": "supraventricular tachycardia",
        "2AVB": "second-degree AV block: Wenckebach or two to one",
        "3AVB": "complete AV block",
        "PACE": "paced ventricles",
        "PAC": "atrial premature complexes",
        "PVC": "ventricular premature complexes",
        "BIGU": "ventricular bigeminy",
        "TRIGU": "ventricular trigeminy",
        # Conduction
        "IRBBB": "incomplete right bundle branch block",
        "ILBBB": "incomplete left bundle branch block",
        "LAFB": "left anterior fascicular block",
        "LPFB": "left posterior fascicular block",
        "IVCD": "non-specific intraventricular conduction delay",
        "WPW": "pre-excitation",
        # Chambers, scars, repolarisation
        "LVH": "left ventricular hypertrophy",
        "RVH": "right ventricular hypertrophy",
        "LAE": "left atrial enlargement",
        "RAE": "right atrial enlargement",
        "LVOLT": "low voltage",
        "IMI": "old inferior infarction",
        "ASMI": "old anteroseptal infarction",
        "AMI": "old anterior infarction",
        "LMI": "old lateral infarction",
        "STE": "ST elevation",
        "STD": "ST depression",
        "INVT": "T inversion",
        "LOWT": "low T waves",
        "LNGQT": "long QT interval",
        # Recording
        "SWAP": "limb electrodes interchanged",
        "OFF": "a chest electrode off",
    }
)
FINDINGS: Final = MappingProxyType(
    {label.key: label.name for label in DIAGNOSES} | {"male": "a man", "female": "a woman"} | LOOK_ALIKES
)

# The sinus node does not set the rhythm of the ventricles beat for beat.
NOT_SINUS: Final = frozenset({"AF", "AFLT", "SVTAC", "2AVB", "3AVB"})
_WIDE = frozenset({"RBBB", "LBBB", "IRBBB", "ILBBB", "IVCD", "WPW", "PACE"})
_LEFT_OR_CHANGED = frozenset({"LBBB", "ILBBB", "WPW", "PACE", "3AVB"})
_SCARS = frozenset({"IMI", "ASMI", "AMI", "LMI"})

# Any of the first with any other of the second cannot be one heart.
_APART: Final = (
    (frozenset({"male"}), frozenset({"female"}), "a person has one sex"),
    (NOT_SINUS | {"ST"}, NOT_SINUS | {"ST", "SB", "SARRH"}, "each is a rhythm of its own"),
    (
        frozenset({"1dAVb"}),
        NOT_SINUS | {"PACE", "WPW"},
        "there is no P wave that is conducted late and at a constant interval",
    ),
    (frozenset({"PACE"}), (NOT_SINUS - {"AF"}) | {"ST", "SB", "SARRH"}, "the pacemaker sets the rhythm"),
    (frozenset({"3AVB"}), _WIDE | {"PAC"}, "an escape rhythm has its own QRS"),
    (_WIDE, _WIDE, "the ventricles are excited in one way only"),
    (frozenset({"LAFB", "LPFB"}), frozenset({"LAFB", "LPFB"}) | _LEFT_OR_CHANGED, "the left bundle has one fault only"),
    (_SCARS | {"LVH", "RVH"}, _LEFT_OR_CHANGED, "the scar or the mass would not be seen"),
    (frozenset({"LVH", "RVH", "LVOLT"}), frozenset({"LVH", "RVH", "LVOLT"}), "one would hide the other"),
    (frozenset({"RBBB"}), frozenset({"RVH"}), "both turn the late forces to the right and the front"),
    (frozenset({"PVC", "BIGU", "TRIGU"}), frozenset({"PVC", "BIGU", "TRIGU"}), "each is an order of its own"),
    (
        frozenset({"PVC", "BIGU", "TRIGU"}),
        frozenset({"PAC", "2AVB", "3AVB", "SVTAC"}),
        "an early beat would not stand out from such a rhythm",
    ),
    (frozenset({"PAC", "LAE", "RAE"}), NOT_SINUS | {"PACE"}, "there are no sinus P waves"),
    (frozenset({"PAC"}), frozenset({"ST"}), "an early P wave would fall into the QRS before it"),
    (frozenset({"STE"}), frozenset({"STD"}), "the ST segment lies above or below the baseline"),
)


def check(wanted: Iterable[str]) -> frozenset[str]:
    """Return ``wanted`` as a set. Raises UsageError for a code that is unknown, or two that exclude each other."""
    chosen = frozenset([wanted] if isinstance(wanted, str) else wanted)
    if unknown := sorted(chosen - set(FINDINGS)):
        raise UsageError(f"{unknown[0]!r} cannot be simulated: choose from {', '.join(FINDINGS)}")
    for one, other, why in _APART:
        for first in sorted(one & chosen):
            if second := sorted((other & chosen) - {first}):
                raise UsageError(f"{first} and {second[0]} are not simulated together because {why}: leave one out")
    return chosen


# How often each is tried, in turn, in a mixed collection. Diagnoses and look-alikes are commoner than in any clinic,
# so that a model meets enough of each; what a trial excludes by then is left out.
_SHARES: Final = MappingProxyType(
    {
        "AF": 0.12,
        "ST": 0.11,
        "SB": 0.12,
        "AFLT": 0.03,
        "SVTAC": 0.02,
        "2AVB": 0.015,
        "3AVB": 0.01,
        "PACE": 0.03,
        "RBBB": 0.09,
        "LBBB": 0.08,
        "1dAVb": 0.11,
        "IRBBB": 0.05,
        "ILBBB": 0.015,
        "IVCD": 0.05,
        "WPW": 0.015,
        "LAFB": 0.08,
        "LPFB": 0.01,
        "SARRH": 0.06,
        "PAC": 0.05,
        "PVC": 0.06,
        "BIGU": 0.006,
        "TRIGU": 0.004,
        "LVH": 0.12,
        "RVH": 0.015,
        "LVOLT": 0.03,
        "LAE": 0.05,
        "RAE": 0.02,
        "IMI": 0.10,
        "ASMI": 0.09,
        "AMI": 0.02,
        "LMI": 0.02,
        "STE": 0.02,
        "STD": 0.07,
        "INVT": 0.06,
        "LOWT": 0.10,
        "LNGQT": 0.02,
        "SWAP": 0.005,
        "OFF": 0.005,
    }
)


def draw_findings(rng: np.random.Generator) -> frozenset[str]:
    """Draw findings that go together: each by its share, none that an earlier one excludes; half are men."""
    drawn = {"male" if rng.random() < 0.5 else "female"}
    for code, luck in zip(_SHARES, rng.random(len(_SHARES)), strict=True):
        if luck < _SHARES[code] and not _excluded(code, drawn):
            drawn.add(code)
    return frozenset(drawn)


def _excluded(code: str, present: set[str]) -> bool:
    return any(
        (code in one and (other & present) - {code}) or (code in other and (one & present) - {code})
        for one, other, _ in _APART
    )
