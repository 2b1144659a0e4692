from collections.abc import Callable

import pytest

from ecglens.labels import BY_KEY, DIAGNOSES, KEYS, LABELS, MALE, Label


def test_the_order_of_the_labels_is_that_of_the_stored_models() -> None:
    assert KEYS == ("AF", "RBBB", "LBBB", "1dAVb", "ST", "SB", "male")
    assert (*DIAGNOSES, MALE) == LABELS


def test_a_label_is_found_by_its_key() -> None:
    assert tuple(BY_KEY) == KEYS
    assert all(BY_KEY[label.key] is label for label in LABELS)


@pytest.mark.parametrize(
    "codes",
    [
        lambda label: [label.key],
        lambda label: [label.name],
        lambda label: [label.ptbxl] if label.ptbxl else [],
        lambda label: list(label.snomed),
        lambda label: [label.code15],
    ],
    ids=["key", "name", "PTB-XL", "SNOMED CT", "CODE-15%"],
)
def test_no_code_means_two_labels(codes: Callable[[Label], list[str]]) -> None:
    every = [code for label in LABELS for code in codes(label)]
    assert len(set(every)) == len(every) >= len(DIAGNOSES)


@pytest.mark.parametrize("code", [code for label in LABELS for code in label.snomed])
def test_snomed_codes_pass_their_check_digit(code: str) -> None:
    """SNOMED CT identifiers end in a Verhoeff digit, so a mistyped one is found."""
    assert verhoeff(code) == 0


def test_the_check_digit_finds_a_mistyped_code() -> None:
    assert verhoeff("164889004") != 0
    assert verhoeff("146889003") != 0


def verhoeff(digits: str) -> int:
    """Verhoeff's checksum: the product in the dihedral group of ten of the digits, each permuted by its place."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place):
            value = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[value]
        total = dihedral(total, value)
    return total


def dihedral(a: int, b: int) -> int:
    """The product of two of the ten symmetries of a pentagon: 0 to 4 turn, 5 to 9 flip."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5
