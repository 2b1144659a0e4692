"""Figures of a model's scores and of its training, drawn with matplotlib, which the extra ``train`` brings."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ecglens import metrics
from ecglens.errors import MissingExtraError
from ecglens.labels import KEYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = npt.NDArray[np.float64]
Calls = npt.NDArray[np.bool_]

# Okabe and Ito's, which colour-blind people tell apart.
COLOURS: Final = dict(
    zip(KEYS, ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777"), strict=True)
)
BINS: Final = 10  # of reliability
PANEL: Final = 3.2  # inches


def check_matplotlib() -> None:
    """Raise MissingExtraError where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("train", "drawing figures")


def draw_training(log: Path, path: Path) -> None:
    """Draw a run's log, one JSON object a line, as ``path``."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    save(training(lines), path)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure, as what the ending of ``path`` says: .png, .svg or .pdf."""
    figure.savefig(path, dpi=150)


def reliability(labels: Values, probabilities: Values) -> "Figure":
    """Share of positives against mean probability in ten bins, with each share's 95 % interval, a panel a label."""
    figure, panels = _panels(2, 4)
    for i, (key, axes) in enumerate(zip(KEYS, panels, strict=False)):
        expected, found, count = metrics.reliability(labels[:, i], probabilities[:, i], BINS)
        low, high = _wilson(found, count)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axes.errorbar(
            expected, found, np.maximum([found - low, high - found], 0), fmt="o", color=COLOURS[key], markersize=4
        )
        error = metrics.calibration_error(labels[:, i], probabilities[:, i])
        _label(axes, f"{key}, ECE {error:.3f}", "probability", "share of positives")
    panels[-1].axis("off")
    return figure


def curves(labels: Values, scores: Values) -> "Figure":
    """ROC curves, and precision against recall, of all labels, scored by probabilities or logits."""
    figure, (left, right) = _panels(1, 2, PANEL * 1.5)
    for i, (key, colour) in enumerate(COLOURS.items()):
        of = labels[:, i], scores[:, i]
        left.plot(*metrics.roc(*of), color=colour, label=f"{key} {metrics.auroc(*of):.3f}")
        precision, recall, _ = metrics.precision_recall(*of)
        right.step(recall, precision, color=colour, label=f"{key} {metrics.auprc(*of):.3f}")
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    _label(left, "ROC", "1 - specificity", "sensitivity")
    _label(right, "precision and recall", "sensitivity", "positive predictive value")
    left.legend(title="AUROC", fontsize="small")
    right.legend(title="AUPRC", fontsize="small")
    return figure


def risk_coverage(labels: Values, probabilities: Values, called: Calls, unsure: Calls) -> "Figure":
    """Share of wrong answers among the surest ones, as ever more are given; a dot where the model's own rule lies.

    An answer is as sure as its probability of being right.
    """
    figure, panels = _panels(2, 4)
    for i, (key, axes) in enumerate(zip(KEYS, panels, strict=False)):
        known = ~np.isnan(labels[:, i])
        wrong = called[known, i] != labels[known, i]
        sureness = np.where(called, probabilities, 1 - probabilities)[known, i]
        axes.plot(*metrics.risk_coverage(wrong, sureness), color=COLOURS[key])
        sure = ~unsure[known, i]
        if sure.any():
            axes.plot(sure.mean(), wrong[sure].mean(), "o", color="black", markersize=5)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(bottom=0)
        _label(axes, key, "share answered", "share of these wrong")
    panels[-1].axis("off")
    return figure


def training(lines: Sequence[dict[str, Any]]) -> "Figure":
    """Loss, learning rate, speed, memory and validation scores over epochs, as the lines of a run's log have them."""
    figure, panels = _panels(2, 3)
    epochs = [line["epoch"] for line in lines]
    shown = {"loss": "loss", "lr": "learning rate", "rate": "examples a second", "memory_mb": "memory, MB"}
    for (name, title), axes in zip(shown.items(), (panels[0], panels[3], panels[4], panels[5]), strict=True):
        axes.plot(epochs, [line[name] for line in lines], color="black", marker=".")
        axes.set_ylim(0, 1.05 * max((line[name] for line in lines), default=1.0) or 1.0)
        _label(axes, title, "epoch", "")
    for name, axes in zip(("auroc", "auprc"), panels[1:3], strict=True):
        for key, colour in {**COLOURS, "macro": "black"}.items():
            axes.plot(epochs, [line[name][key] for line in lines], color=colour, label=key, linewidth=1)
        _label(axes, f"{name.upper()} of the validation folds", "epoch", "")
    figure.legend(*panels[2].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    return figure


def _panels(rows: int, columns: int, size: float = PANEL) -> "tuple[Figure, list[Axes]]":
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size, rows * size), layout="constrained")
    return figure, list(figure.subplots(rows, columns).flat)


def _label(axes: "Axes", title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def _wilson(share: Values, count: Values, deviations: float = 1.96) -> tuple[Values, Values]:
    """Ends of the 95 % interval of shares of ``count`` (Wilson 1927)."""
    weight = deviations**2 / count
    centre = (share + weight / 2) / (1 + weight)
    reach = deviations * np.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return centre - reach, centre + reach
