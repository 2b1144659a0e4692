"""Evaluation: answers stand beside the labels of the same exams."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets.index import open_dataset
from ecglens.diagnosis import diagnose
from ecglens.errors import UsageError
from ecglens.evaluate import Evaluation, evaluate
from ecglens.labels import KEYS
from ecglens.metrics import auroc, logit, sigmoid


def test_each_answer_stands_beside_its_exam(simulated_ptbxl: Path) -> None:
    dataset = open_dataset(simulated_ptbxl)
    result = evaluate(dataset, (3,), "signal")
    assert len(result.exams) == 3
    for name, labels, probabilities in zip(result.exams, result.labels, result.probabilities, strict=True):
        index = [exam.id for exam in dataset.exams].index(name)
        np.testing.assert_array_equal(labels, dataset.labels[index])
        answer = diagnose(dataset.read(index))
        assert probabilities.tolist() == [answer.labels[key].probability for key in KEYS]


def test_workers_change_nothing(simulated_ptbxl: Path) -> None:
    dataset = open_dataset(simulated_ptbxl)
    alone, shared = (evaluate(dataset, range(1, 7), "signal", workers=workers) for workers in (1, 2))
    assert alone.exams == shared.exams
    np.testing.assert_array_equal(alone.probabilities, shared.probabilities)


def test_scores_count_calls_at_the_models_threshold(simulated_ptbxl: Path) -> None:
    result = evaluate(open_dataset(simulated_ptbxl), (1, 2), "signal")
    scores = result.scores
    assert [score.label for score in scores] == list(KEYS)
    for i, score in enumerate(scores):
        assert score.positives == 2 if score.label != "male" else 4
        assert score.at_threshold.tp + score.at_threshold.fp == result.called[:, i].sum()
        assert score.auroc.value == auroc(result.labels[:, i], result.probabilities[:, i])
    assert result.means[0].value == pytest.approx(np.mean([score.auroc.value for score in scores[:6]]))


@pytest.fixture(scope="module")
def answered() -> Evaluation:
    """2000 exams whose probabilities are all too high by a unit of log odds; one answer in ten is unsure."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 2, (2000, 7))
    labels = (rng.random(logits.shape) < sigmoid(logits)).astype(float)
    labels[::10, 6] = np.nan
    probabilities = sigmoid(logits + 1)
    names = tuple(str(i) for i in range(2000))
    unsure = rng.random(logits.shape) < 0.1
    return Evaluation(names, names, labels, logit(probabilities), probabilities, probabilities > 0.5, unsure, ())


def test_cross_fitting_mends_the_calibration_and_leaves_the_order(answered: Evaluation) -> None:
    for before, after in zip(answered.scores, answered.cross_fitted().scores, strict=True):
        assert before.calibration_error > 0.05 > 2 * after.calibration_error
        assert (before.auroc, before.auprc) == (after.auroc, after.auprc)


def test_risk_is_the_share_of_wrong_ones_among_the_sure_answers(answered: Evaluation) -> None:
    sure, wrong = ~answered.unsure, answered.called != answered.labels
    for i, score in enumerate(answered.scores[:6]):
        assert score.coverage == sure[:, i].mean()
        assert score.risk == wrong[sure[:, i], i].mean()
    assert answered.scores[6].positives == np.nansum(answered.labels[:, 6])


def test_figures_are_drawn(answered: Evaluation, tmp_path: Path) -> None:
    answered.draw(tmp_path / "new")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["curves.png", "reliability.png", "risk-coverage.png"]


def test_the_written_scores_are_the_scores(answered: Evaluation, tmp_path: Path) -> None:
    answered.write_scores(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*KEYS, "mean"]
    score = answered.scores[0]
    assert float(rows["AF"]["auroc_low"]) == pytest.approx(score.auroc.low, abs=1e-4)
    assert float(rows["AF"]["npv"]) == pytest.approx(score.at_threshold.npv, abs=1e-4)
    assert float(rows["mean"]["auprc_high"]) == pytest.approx(answered.means[1].high, abs=1e-4)
    assert rows["mean"]["ece"] == ""


def test_an_exam_that_cannot_be_read_is_counted(simulated_ptbxl: Path, tmp_path: Path) -> None:
    for path in simulated_ptbxl.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "records100").mkdir()
    for path in (simulated_ptbxl / "records100").glob("0000[01]*"):
        (tmp_path / "records100" / path.name).write_bytes(path.read_bytes())
    result = evaluate(open_dataset(tmp_path), (1,), "signal")
    assert result.exams == ("0", "1")
    assert [exam for exam, _ in result.refused] == ["2"]
    with pytest.raises(UsageError, match="not one of 3"):
        evaluate(open_dataset(tmp_path), (2,), "signal")
