"""What ecglens answers for: six diagnoses and sex, with their codes in every vocabulary it meets.

Codes: PTB-XL SCP-ECG statements (Wagner et al., Scientific Data 7:154, 2020); SNOMED CT as used by the
PhysioNet/CinC Challenge 2021; column names of CODE-15% (Ribeiro et al., Zenodo 4916206).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Label:
    """One question the models answer independently of the others."""

    key: str
    name: str
    ptbxl: str | None
    snomed: tuple[str, ...]
    code15: str


DIAGNOSES: Final = (
    Label("AF", "atrial fibrillation", "AFIB", ("164889003",), "AF"),
    Label("RBBB", "complete right bundle branch block", "CRBBB", ("713427006", "59118001"), "RBBB"),
    Label("LBBB", "complete left bundle branch block", "CLBBB", ("733534002", "164909002"), "LBBB"),
    Label("1dAVb", "first-degree AV block", "1AVB", ("270492004",), "1dAVb"),
    Label("ST", "sinus tachycardia", "STACH", ("427084000",), "ST"),
    Label("SB", "sinus bradycardia", "SBRAD", ("426177001",), "SB"),
)
MALE: Final = Label("male", "male sex", None, ("248153007",), "is_male")
LABELS: Final = (*DIAGNOSES, MALE)
KEYS: Final = tuple(label.key for label in LABELS)
BY_KEY: Final = {label.key: label for label in LABELS}


def snomed(keys: Collection[str]) -> tuple[str, ...]:
    """Give the SNOMED CT codes of the diagnoses among ``keys``, as the PhysioNet Challenge writes them in headers."""
    return tuple(label.snomed[0] for label in DIAGNOSES if label.key in keys)
