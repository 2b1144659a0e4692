from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecglens.leads import DERIVED_FROM_I_II, INDEPENDENT, INDEX, LEADS, canonical, complete_limb_leads

LIMB = LEADS[:6]
millivolts = hnp.arrays(np.float32, (8, 3), elements=st.floats(-5, 5, width=32))


def twelve(independent: np.ndarray) -> np.ndarray:
    """(12, T) from the eight independent leads, by the definitions of the other four."""
    one, two = independent[:2]
    derived = [two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.vstack([one, two, *derived, independent[2:]]).astype(np.float32)


def test_the_order_is_the_standard_one() -> None:
    assert " ".join(LEADS) == "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6"
    assert [LEADS[INDEX[lead]] for lead in LEADS] == list(LEADS)
    assert set(LEADS) - set(INDEPENDENT) == {"III", "aVR", "aVL", "aVF"}


@settings(max_examples=50, deadline=None)
@given(millivolts)
def test_the_identities_hold_as_einthoven_and_goldberger_state_them(independent: np.ndarray) -> None:
    np.testing.assert_allclose(DERIVED_FROM_I_II @ independent[:2], twelve(independent)[2:6], atol=1e-5)


@pytest.mark.parametrize("lead", LEADS)
def test_common_spellings_name_a_lead(lead: str) -> None:
    for prefix in ("", "ECG ", "EKG ", "ECG_", "Lead ", "lead-", "LEAD: ", "ECG Lead "):
        for name in (lead, lead.upper(), lead.lower()):
            assert canonical(f" {prefix}{name} ") == lead


@pytest.mark.parametrize(
    "name", ["", "MLII", "CM5", "aVR-", "-aVR", "ECG -aVR", "V7", "V3R", "X", "IV", "lead", "I II"]
)
def test_a_name_that_could_mean_something_else_is_no_lead(name: str) -> None:
    assert canonical(name) is None


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_any_text_is_a_standard_lead_or_none(name: str) -> None:
    assert canonical(name) in {*LEADS, None}


@pytest.mark.parametrize("kept", list(combinations(LIMB, 2)))
def test_any_two_limb_leads_give_the_other_four(kept: tuple[str, str]) -> None:
    whole = twelve(np.random.default_rng(0).uniform(-5, 5, (8, 50)))
    part = whole.copy()
    part[[INDEX[lead] for lead in LIMB if lead not in kept]] = np.nan
    np.testing.assert_allclose(complete_limb_leads(part), whole, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(millivolts, st.sets(st.sampled_from(LIMB)), st.sets(st.tuples(st.integers(0, 11), st.integers(0, 2))))
def test_what_was_recorded_is_never_changed(
    independent: np.ndarray, missing: set[str], gaps: set[tuple[int, int]]
) -> None:
    signal = twelve(independent)
    signal[[INDEX[lead] for lead in missing]] = np.nan
    for row, column in gaps:
        signal[row, column] = np.nan
    before = signal.copy()
    completed = complete_limb_leads(signal)
    recorded = ~np.isnan(before)
    np.testing.assert_array_equal(signal, before)
    np.testing.assert_array_equal(completed[recorded], before[recorded])
    np.testing.assert_array_equal(completed[6:], before[6:])


@pytest.mark.parametrize("kept", [(), ("II",), ("aVR",)])
def test_one_limb_lead_gives_no_other(kept: tuple[str, ...]) -> None:
    signal = twelve(np.ones((8, 4), np.float32))
    signal[[INDEX[lead] for lead in LIMB if lead not in kept]] = np.nan
    np.testing.assert_array_equal(complete_limb_leads(signal), signal)


def test_a_gap_in_what_it_follows_from_is_a_gap_in_a_computed_lead() -> None:
    signal = twelve(np.ones((8, 4), np.float32))
    signal[2:6] = np.nan
    signal[INDEX["I"], 2] = np.nan
    completed = complete_limb_leads(signal)
    assert np.isnan(completed[2:6]).all(axis=0).tolist() == [False, False, True, False]
    assert not np.isnan(completed[2:6, [0, 1, 3]]).any()
