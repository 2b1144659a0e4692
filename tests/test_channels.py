"""Leads by name and number, and units: what is told, what is passed over, what is refused."""

import pytest

from ecglens.errors import SignalError
from ecglens.io import channels
from ecglens.leads import LEADS


def test_leads_are_found_wherever_they_stand() -> None:
    assert channels.choose_leads(["V1", "Lead II", "EKG avf"], "a.edf") == {"V1": 0, "II": 1, "aVF": 2}


def test_leads_beside_the_twelve_are_passed_over_and_unknown_ones_are_not() -> None:
    others = ["V3R", "v4r", "V7", "V9", "X", "Lead V8", "ECG V8", "EKG-Z"]
    assert channels.choose_leads([*others[:3], "I", *others[3:], "II"], "a.xml") == {"I": 3, "II": 9}
    for unknown in ("CM5", "MLII", "-V7", "V1R", "V10", "RESP", ""):
        with pytest.raises(SignalError, match="no standard lead"):
            channels.choose_leads([unknown, "I", "V7"], "a.xml")


def test_unknown_names_pass_where_all_twelve_are_there_or_where_the_format_knows_them() -> None:
    assert channels.choose_leads(["RESP", *LEADS], "a.edf") == {lead: i for i, lead in enumerate(LEADS, 1)}
    assert channels.choose_leads(["Status", "I"], "a.edf", skip=("Status",)) == {"I": 1}


def test_a_lead_that_is_there_twice_is_refused() -> None:
    with pytest.raises(SignalError, match="gives lead I twice: keep one"):
        channels.choose_leads(["I", "V7", "Lead I"], "a.xml")


@pytest.mark.parametrize(
    ("unit", "scale"), [("V", 1e3), ("mV", 1), ("uV", 1e-3), ("\u00b5V", 1e-3), ("\u03bcV", 1e-3), ("nV", 1e-6)]
)
def test_a_unit_is_so_many_millivolts(unit: str, scale: float) -> None:
    assert channels.millivolts(unit, "I", "a.xml") == scale


def test_a_missing_unit_is_told_from_a_wrong_one() -> None:
    with pytest.raises(SignalError, match=r"^a\.xml gives no unit of lead I: "):
        channels.millivolts("", "I", "a.xml")
    for wrong in ("mmHg", "MV", "m V"):
        with pytest.raises(SignalError, match=f"gives lead I in '{wrong}': it must be in V, mV, uV or nV"):
            channels.millivolts(wrong, "I", "a.xml")


def test_the_codes_of_the_standards_name_each_lead_once() -> None:
    assert sorted(channels.CODED_LEADS.values()) == sorted(LEADS)
    assert [channels.CODED_LEADS[code] for code in (1, 2, 3, 8, 61, 62, 63, 64)] == [
        *("I", "II", "V1", "V6", "III", "aVR", "aVL", "aVF")
    ]
