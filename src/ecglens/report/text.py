"""Answers as a table for people."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Column, Table

from ecglens.diagnosis import Diagnosis
from ecglens.evaluate import Score, macro
from ecglens.labels import BY_KEY, KEYS


def findings_table(diagnosis: Diagnosis) -> Table:
    """One ECG, a row for each label."""
    table = Table("label", "", "probability", "positive", title=escape(diagnosis.source), title_justify="left")
    for key, finding in diagnosis.labels.items():
        style = "bold red" if finding.positive and key != "male" else None
        judged = diagnosis.card is None or key not in diagnosis.card.not_judged
        mark = ("yes" if finding.positive else "no") if judged else "not judged"
        table.add_row(key, BY_KEY[key].name, f"{finding.probability:.1%}", mark, style=style)
    return table


def summary_table(diagnoses: Sequence[Diagnosis]) -> Table:
    """Many ECGs, a row for each; what is called positive has a star, what the model does not judge is a dash."""
    table = Table(Column("ECG", overflow="fold"), *KEYS)
    for diagnosis in diagnoses:
        name = diagnosis.source if diagnosis.page == 1 else f"{diagnosis.source} page {diagnosis.page}"
        table.add_row(escape(name), *(_cell(diagnosis, key) for key in diagnosis.labels))
    return table


def _cell(diagnosis: Diagnosis, key: str) -> str:
    finding = diagnosis.labels[key]
    if diagnosis.card is not None and key in diagnosis.card.not_judged:
        return "–"
    cell = f"{finding.probability:.0%}{' *' * finding.positive}"
    return f"[bold red]{cell}[/]" if finding.positive and key != "male" else cell


def scores_table(scores: Sequence[Score]) -> Table:
    """Scores by label (``n`` positives) and the mean over the six diagnoses; from F1 on at the model's threshold."""
    names = ("label", "n", "AUROC", "AUPRC", "ECE", "F1", "sens.", "spec.", "PPV", "NPV")
    table = Table(*names)
    for score in scores:
        at = score.at_threshold
        rates = (
            score.auroc,
            score.auprc,
            score.calibration_error,
            at.f1,
            at.sensitivity,
            at.specificity,
            at.ppv,
            at.npv,
        )
        table.add_row(score.label, str(score.positives), *(f"{rate:.3f}" for rate in rates))
    auroc, auprc = macro(scores)
    table.add_section()
    table.add_row("mean", "", f"{auroc:.3f}", f"{auprc:.3f}")
    return table
