"""Figures show the numbers they are given, and say what is missing where matplotlib is."""

import json
from pathlib import Path

import numpy as np
import pytest

from ecglens import figures, metrics
from ecglens.errors import MissingExtraError
from ecglens.labels import KEYS


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probabilities = rng.random((200, 7))
    labels = (rng.random((200, 7)) < probabilities).astype(float)
    labels[0, 6] = np.nan
    return labels, probabilities, probabilities > 0.5, abs(probabilities - 0.5) < 0.1


def test_the_dot_lies_at_the_share_of_sure_answers(answers: tuple[np.ndarray, ...]) -> None:
    labels, _, called, unsure = answers
    panel = figures.risk_coverage(*answers).axes[0]
    curve, dot = (line.get_xydata() for line in panel.lines)
    sure = ~unsure[:, 0]
    np.testing.assert_allclose(dot, [[sure.mean(), (called != labels)[sure, 0].mean()]])
    assert curve[-1].tolist() == [1, (called != labels)[:, 0].mean()]


def test_curves_name_the_area_under_them(answers: tuple[np.ndarray, ...]) -> None:
    labels, probabilities, *_ = answers
    names = [line.get_label() for line in figures.curves(labels, probabilities).axes[1].lines]
    expected = [f"{key} {metrics.auprc(labels[:, i], probabilities[:, i]):.3f}" for i, key in enumerate(KEYS)]
    assert names == expected


def test_reliability_shows_a_point_for_each_bin_that_is_filled(answers: tuple[np.ndarray, ...]) -> None:
    labels, probabilities, *_ = answers
    panel = figures.reliability(labels, probabilities / 2).axes[0]
    assert len(panel.containers[0].lines[0].get_xdata()) == figures.BINS / 2


def test_a_log_is_drawn(tmp_path: Path) -> None:
    areas = dict.fromkeys(["macro", *KEYS], 0.9)
    facts = {"loss": 0.1, "lr": 0.01, "rate": 5.0, "memory_mb": 100, "auroc": areas, "auprc": areas}
    lines = [{"epoch": epoch, **facts} for epoch in (1, 2)]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    figures.draw_training(log, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert figures.training(lines).axes[0].lines[0].get_ydata().tolist() == [0.1, 0.1]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"ecglens\[train\]"):
        figures.training([])
