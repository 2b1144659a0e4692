"""What can be asked of a simulated ECG."""

import numpy as np
import pytest

from ecglens.errors import UsageError
from ecglens.labels import KEYS
from ecglens.simulator import FINDINGS, simulate
from ecglens.simulator.findings import check, draw_findings

EXCLUSIVE = (
    ("AF", "1dAVb"),
    ("AF", "ST"),
    ("ST", "SB"),
    ("RBBB", "LBBB"),
    ("RBBB", "IRBBB"),
    ("PACE", "LBBB"),
    ("3AVB", "1dAVb"),
    ("AFLT", "AF"),
    ("male", "female"),
    ("LVH", "LVOLT"),
    ("LAFB", "LPFB"),
    ("IMI", "LBBB"),
)


@pytest.mark.parametrize("pair", EXCLUSIVE)
def test_findings_that_exclude_each_other_are_refused_in_either_order(pair: tuple[str, str]) -> None:
    for wanted in (pair, pair[::-1]):
        with pytest.raises(UsageError, match=r"are not simulated together because .+: leave one out"):
            simulate(wanted, rng=np.random.default_rng(0))


def test_unknown_findings_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"'AFIB' cannot be simulated: choose from AF, RBBB, LBBB, 1dAVb, ST, SB, male"
    ):
        check(("AFIB",))


def test_a_name_alone_is_one_finding() -> None:
    assert check("RBBB") == {"RBBB"}


def test_each_finding_can_stand_alone_and_every_label_is_one() -> None:
    assert set(KEYS) <= set(FINDINGS)
    for code in FINDINGS:
        assert check({code}) == {code}


def test_drawn_findings_go_together_and_every_one_is_drawn() -> None:
    drawn = [draw_findings(np.random.default_rng(seed)) for seed in range(3000)]
    for findings in drawn:
        assert check(findings) == findings
        assert len(findings & {"male", "female"}) == 1
    assert set().union(*drawn) == set(FINDINGS)
