"""Notes: what was measured, or what was invented and agrees with itself."""

import re
from collections import Counter

import numpy as np

from ecglens.paper.furniture import Notes, measured_notes, random_notes


def test_measured_notes_print_what_was_measured_and_dashes_for_what_was_not() -> None:
    notes = measured_notes({"heart_rate_bpm": 71.6, "pr_ms": None, "qrs_ms": 92.0})
    assert notes.measurements[:3] == ("Vent. rate  72 /min", "PR interval  -- ms", "QRS duration  92 ms")
    assert notes.blocks() == (notes.measurements,)


def test_invented_notes_follow_from_the_seed_alone_and_any_block_may_be_absent() -> None:
    drawn = [random_notes(np.random.default_rng(seed)) for seed in range(300)]
    assert drawn[7] == random_notes(np.random.default_rng(7))
    absent = Counter(
        key for notes in drawn for key in ("patient", "measurements", "statements") if not getattr(notes, key)
    )
    assert all(30 < absent[key] < 200 for key in ("patient", "measurements", "statements"))


def test_invented_patients_are_evidently_invented() -> None:
    names = {
        notes.patient[0].upper() for notes in map(random_notes, map(np.random.default_rng, range(200))) if notes.patient
    }
    invented = ("SPECIMEN", "SAMPLE", "EXAMPLE", "PLACEHOLDER", "TESTCASE", "NOBODY", "INVENTED", "DUMMY")
    assert all(any(name in line for name in invented) for line in names)


def test_invented_notes_do_not_contradict_themselves() -> None:
    for seed in range(300):
        notes = random_notes(np.random.default_rng(seed))
        said = {re.split(r"  +", line)[0]: line.split()[-2] for line in notes.measurements}
        rate = next(
            (float(value) for name, value in said.items() if name in ("Vent. rate", "Heart rate", "HR", "Rate")), 80
        )
        rhythms = [line for line in notes.statements if line.startswith("Sinus") or line == "Normal sinus rhythm"]
        if notes.measurements and notes.statements and "Atrial fibrillation" not in notes.statements:
            expected = "Sinus tachycardia" if rate > 100.5 else "Sinus bradycardia" if rate < 59.5 else None
            assert expected in (None, *rhythms)
        assert len(rhythms) + ("Atrial fibrillation" in notes.statements) == bool(notes.statements)
        assert ("Normal ECG" in notes.statements) == ("Normal sinus rhythm" in notes.statements)


def test_no_notes_have_no_blocks() -> None:
    assert Notes().blocks() == ()
