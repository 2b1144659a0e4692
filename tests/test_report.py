"""Tables for people: what they show of an answer, and that they keep to what is known."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

from ecglens.diagnosis import Diagnosis, Finding
from ecglens.labels import KEYS
from ecglens.report.text import findings_table, summary_table

LABELS = dict.fromkeys(KEYS, Finding(0.25, False))
MEASURED = {"heart_rate_bpm": 71.6, "p_ms": 110.0, "pr_ms": None, "qrs_ms": 95.2, "qtc_ms": 421.0, "axis_deg": -30.4}


def shown(table: Table) -> str:
    printed = StringIO()
    Console(width=140, file=printed).print(table)
    return printed.getvalue()


def answer(quality: Mapping[str, Any] | None = None, **more: Any) -> Diagnosis:
    return Diagnosis("a[1].h5", 2, "signal", labels=LABELS, quality=quality or {}, **more)


def test_what_was_measured_stands_below_the_labels_without_what_is_unknown() -> None:
    for table in (findings_table(answer(measurements=MEASURED)), summary_table([answer(measurements=MEASURED)])):
        assert "72/min, QRS 95 ms, QTc 421 ms, axis -30°" in shown(table)


def test_what_the_signal_lacks_is_said() -> None:
    quality = {"missing_leads": [], "flat_leads": ["V3"], "missing_share": 0.0312, "warnings": []}
    for table in (findings_table(answer(quality)), summary_table([answer(quality)])):
        assert "lead flat: V3, 3.1% of the samples missing" in shown(table)
    table = findings_table(answer({"assumed_leads": ["V3", "V5"]}))
    assert "leads whose names were not read, told by their places: V3 V5" in shown(table)
    sources = {"speed_from": "assumed", "gain_from": "assumed"}
    assert "assumed: 25 mm/s and 10 mm/mV" in shown(findings_table(answer(sources)))
    unseen = sources | {"scale": "row of 10 s"}
    assert "and a row of 10 s, no grid being seen" in shown(findings_table(answer(unseen)))
    assert "assumed" not in shown(findings_table(answer({"speed_from": "given", "gain_from": "given"})))
    whole = {"missing_leads": [], "flat_leads": [], "missing_share": 0.0}
    assert shown(findings_table(answer(whole))) == shown(findings_table(answer()))


def test_an_ecg_is_called_by_its_file_page_and_id() -> None:
    assert "a[1].h5 page 2 (1169160)" in shown(findings_table(answer(id="1169160")))
    assert "a[1].h5 page 2 (1169160)" in shown(summary_table([answer(id="1169160")]))


def test_an_unsure_answer_asks_for_a_person() -> None:
    unsure = Diagnosis("a.png", 1, "image", labels=LABELS | {"AF": Finding(0.4, True, unsure=True)})
    assert shown(findings_table(unsure)).count("yes, unsure: have a person read it") == 1
    assert shown(summary_table([unsure])).count("40% * ?") == 1
