"""Losses equal what is worked out by hand, and what is unknown counts for nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from ecglens.models.losses import MEASURED_SHARE, Objective, auxiliary_loss, balanced_loss, balanced_weights


def test_balanced_weights_favour_the_rare_and_keep_the_mean() -> None:
    labels = np.zeros((1000, 2), np.float32)
    labels[:10, 0], labels[:500, 1] = 1, 1
    positive, negative = balanced_weights(labels, 0.999)
    assert positive[0] > 20 * negative[0]
    assert positive[1] == pytest.approx(negative[1])
    for i, count in enumerate((10, 500)):
        assert (positive[i] * count + negative[i] * (1000 - count)) / 1000 == pytest.approx(1, abs=1e-5)
    effective = (1 - 0.999**10) / (1 - 0.999)  # Cui et al., equation 2
    assert positive[0] / negative[0] == pytest.approx((1 - 0.999**990) / (1 - 0.999) / effective, rel=1e-4)


def test_unknown_labels_count_for_nothing() -> None:
    logits = torch.tensor([[2.0, -1.0]])
    one = torch.ones(2)
    known = balanced_loss(logits[:, :1], torch.tensor([[1.0]]), one[:1], one[:1])
    partly = balanced_loss(logits, torch.tensor([[1.0, torch.nan]]), one, one)
    torch.testing.assert_close(known, partly)


def test_a_teacher_is_half_of_the_labels_loss() -> None:
    """The student answers 0 throughout: its cross-entropy is log 2 against any target."""

    class Sure(nn.Module):
        def forward(self, signal: torch.Tensor) -> torch.Tensor:
            return 2 * signal.mean(dim=(1, 2))[:, None].expand(-1, 2)

    one = torch.ones(2)
    targets = {"labels": torch.tensor([[1.0, 0.0]]), "taught_signal": torch.ones(1, 12, 5)}
    outputs = torch.tensor([[2.0, 2.0]])
    sure, log = torch.sigmoid(torch.tensor(2.0)), torch.nn.functional.logsigmoid(torch.tensor(2.0))
    hard = -log / 2 - torch.log(1 - sure) / 2
    soft = -(sure * log + (1 - sure) * torch.log(1 - sure))
    torch.testing.assert_close(Objective(one, one)(outputs, targets), hard)
    torch.testing.assert_close(Objective(one, one, Sure())(outputs, targets), (hard + soft) / 2)
    answered = {"labels": targets["labels"], "answers": torch.full((1, 2), float(sure))}
    torch.testing.assert_close(Objective(one, one)(outputs, answered), (hard + soft) / 2)


def test_auxiliary_targets_by_hand() -> None:
    outputs = torch.tensor([[0.0, 0.5, 9.0, 3.0]])
    targets = torch.tensor([[1.0, 0.0, torch.nan, 1.0]])
    expected = np.log(2) + MEASURED_SHARE * (0.5**2 / 2 + (2 - 0.5)) / 2  # Huber: quadratic up to 1, then linear
    assert auxiliary_loss(outputs, targets).item() == pytest.approx(expected)
    nothing = torch.full((1, 3), torch.nan)
    assert auxiliary_loss(torch.ones(1, 3), nothing).item() == 0
