"""Evaluation: answers stand beside the labels of the same exams, pages follow from the seed."""

from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets.index import open_dataset
from ecglens.diagnosis import diagnose
from ecglens.errors import UsageError
from ecglens.evaluate import drawn, evaluate, macro
from ecglens.labels import KEYS
from ecglens.paper import PAPER_LAYOUTS
from ecglens.simulator import simulate


def test_each_answer_stands_beside_its_exam(simulated_ptbxl: Path) -> None:
    dataset = open_dataset(simulated_ptbxl)
    result = evaluate(dataset, (3,), "signal", layouts=PAPER_LAYOUTS)
    assert len(result.exams) == 3
    for name, labels, probabilities in zip(result.exams, result.labels, result.probabilities, strict=True):
        index = [exam.id for exam in dataset.exams].index(name)
        np.testing.assert_array_equal(labels, dataset.labels[index])
        answer = diagnose(dataset.read(index))
        assert probabilities.tolist() == [answer.labels[key].probability for key in KEYS]


def test_scores_count_calls_at_the_models_threshold(simulated_ptbxl: Path) -> None:
    result = evaluate(open_dataset(simulated_ptbxl), (1, 2), "signal", layouts=PAPER_LAYOUTS)
    scores = result.scores()
    assert [score.label for score in scores] == list(KEYS)
    for i, score in enumerate(scores):
        assert score.positives == 2 if score.label != "male" else 4
        assert score.at_threshold.tp + score.at_threshold.fp == result.called[:, i].sum()
    assert macro(scores)[0] == pytest.approx(np.mean([score.auroc for score in scores[:6]]))


def test_an_exam_that_cannot_be_read_is_counted(simulated_ptbxl: Path, tmp_path: Path) -> None:
    for path in simulated_ptbxl.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "records100").mkdir()
    for path in (simulated_ptbxl / "records100").glob("0000[01]*"):
        (tmp_path / "records100" / path.name).write_bytes(path.read_bytes())
    result = evaluate(open_dataset(tmp_path), (1,), "signal", layouts=PAPER_LAYOUTS)
    assert result.exams == ("0", "1")
    assert [exam for exam, _ in result.refused] == ["2"]
    with pytest.raises(UsageError, match="not one of 3"):
        evaluate(open_dataset(tmp_path), (2,), "signal", layouts=PAPER_LAYOUTS)


def test_the_same_seed_draws_the_same_page() -> None:
    record = simulate((), rng=np.random.default_rng(0), fs=100)
    one, again, other = (drawn(record, PAPER_LAYOUTS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert one.pixels.shape != other.pixels.shape or not np.array_equal(one.pixels, other.pixels)
