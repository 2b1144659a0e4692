"""Answers as a table for people."""

from collections.abc import Sequence
from math import isnan
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Column, Table

from ecglens.confidence import Estimate
from ecglens.diagnosis import Diagnosis
from ecglens.evaluate import Evaluation
from ecglens.labels import BY_KEY, KEYS

_MEASURED: Final = {
    "heart_rate_bpm": "{}/min",
    "pr_ms": "PR {} ms",
    "qrs_ms": "QRS {} ms",
    "qtc_ms": "QTc {} ms",
    "axis_deg": "axis {}°",
}


def findings_table(diagnosis: Diagnosis) -> Table:
    """One ECG, a row for each label, and below them what else is known of it."""
    columns = ("label", "", "probability", "positive")
    title, facts = escape(diagnosis.name), escape("\n".join(_facts(diagnosis)))
    table = Table(*columns, title=title, title_justify="left", caption=facts, caption_justify="left")
    for key, finding in diagnosis.labels.items():
        style = "bold red" if finding.positive and key != "male" else None
        judged = diagnosis.card is None or key not in diagnosis.card.not_judged
        mark = ("yes" if finding.positive else "no") if judged else "not judged"
        mark += ", unsure: have a person read it" * finding.unsure
        table.add_row(key, BY_KEY[key].name, f"{finding.probability:.1%}", mark, style=style)
    return table


def summary_table(diagnoses: Sequence[Diagnosis]) -> Table:
    """Many ECGs, a row for each: a star where positive, a question mark where unsure, a dash where not judged.

    Below its name stands what else is known of an ECG.
    """
    table = Table(Column("ECG", overflow="fold"), *KEYS)
    for diagnosis in diagnoses:
        known = "".join(f"\n[dim]{escape(fact)}[/]" for fact in _facts(diagnosis))
        table.add_row(escape(diagnosis.name) + known, *(_cell(diagnosis, key) for key in diagnosis.labels))
    return table


def _facts(diagnosis: Diagnosis) -> list[str]:
    """A line of what was measured and one of what the signal lacks, if that is known."""
    measured = {key: round(value) for key, value in diagnosis.measurements.items() if value is not None}
    numbers = [text.format(measured[key]) for key, text in _MEASURED.items() if key in measured]
    quality = diagnosis.quality
    named = {
        "lead missing": "missing_leads",
        "lead flat": "flat_leads",
        "leads whose names were not read, told by their places": "assumed_leads",
    }
    lacks = [f"{what}: {' '.join(leads)}" for what, key in named.items() if (leads := quality.get(key))]
    usual = (("speed_from", "25 mm/s"), ("gain_from", "10 mm/mV"))
    assumed = [value for key, value in usual if quality.get(key) == "assumed"]
    if str(scale := quality.get("scale")).startswith("row"):
        assumed.append(f"a {scale}, no grid being seen")
    lacks += [f"assumed: {' and '.join(assumed)}"] * bool(assumed)
    if share := quality.get("missing_share"):
        lacks.append(f"{share:.1%} of the samples missing")
    return [", ".join(parts) for parts in (numbers, lacks) if parts]


def _cell(diagnosis: Diagnosis, key: str) -> str:
    finding = diagnosis.labels[key]
    if diagnosis.card is not None and key in diagnosis.card.not_judged:
        return "–"
    cell = f"{finding.probability:.0%}{' *' * finding.positive}{' ?' * finding.unsure}"
    return f"[bold red]{cell}[/]" if finding.positive and key != "male" else cell


def scores_table(evaluation: Evaluation) -> Table:
    """Scores by label (``n`` positives) and the mean over the six diagnoses, areas with their 95 % intervals.

    From F1 on they are at the model's threshold; ``sure`` is the share of answers that are sure, ``wrong`` the share of
    wrong ones among these.
    """
    names = ("label", "n", "AUROC", "AUPRC", "ECE", "F1", "sens.", "spec.", "PPV", "NPV", "sure", "wrong")
    table = Table(*names, box=box.SIMPLE_HEAD, padding=0)
    for score in evaluation.scores:
        at = score.at_threshold
        rates = (score.calibration_error, at.f1, at.sensitivity, at.specificity, at.ppv, at.npv)
        areas = (_with_interval(score.auroc), _with_interval(score.auprc))
        sure = (score.coverage, score.risk)
        table.add_row(score.label, str(score.positives), *areas, *(_short(rate) for rate in (*rates, *sure)))
    table.add_section()
    table.add_row("mean", "", *(_with_interval(area) for area in evaluation.means))
    return table


def _with_interval(area: Estimate) -> str:
    ends = "" if isnan(area.low) else f"\n{_short(area.low)}-{_short(area.high)}"
    return _short(area.value) + ends


def _short(rate: float) -> str:
    """Three digits without the leading zero; a dash where it is not defined."""
    return "–" if isnan(rate) else f"{rate:.3f}".removeprefix("0")
