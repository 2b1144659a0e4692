"""What training makes small: the class-balanced loss of the labels, and what a teacher and auxiliary targets add."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float32]

TAUGHT = "taught_"  # begins the names of what the teacher is given
SOFT = 0.5  # of the labels' loss, where a teacher's answers are the other part of it
MEASURED_SHARE = 0.2  # of their loss, next to that of the statements
MEASURED = 3  # the last auxiliary targets are standardised measurements, those before them statements, 0 or 1


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The loss of a batch: ``positive`` and ``negative`` are the labels' weights, ``teacher`` a signal network."""

    positive: Tensor
    negative: Tensor
    teacher: nn.Module | None = None

    def __call__(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of ``outputs`` (n, labels + auxiliary) against ``labels``, ``answers`` and ``auxiliary``.

        ``answers`` are a teacher's for whole exams; where ``teacher`` is given, it answers for what ``targets`` hold.
        """
        labels = len(self.positive)
        logits, others = outputs[:, :labels], outputs[:, labels:]
        loss = balanced_loss(logits, targets["labels"], self.positive, self.negative)
        taught = targets.get("answers")
        if self.teacher is not None:
            with torch.no_grad():
                shown = {n.removeprefix(TAUGHT): value for n, value in targets.items() if n.startswith(TAUGHT)}
                taught = torch.sigmoid(self.teacher(**shown)[:, :labels])
        if taught is not None:
            soft = nn.functional.binary_cross_entropy_with_logits(logits, taught)
            loss = (1 - SOFT) * loss + SOFT * soft
        if others.shape[1]:
            loss = loss + auxiliary_loss(others, targets["auxiliary"])
        return loss


def balanced_weights(labels: Array, beta: float) -> tuple[Array, Array]:
    """Weights of positives and of negatives, each (labels,), by effective number (Cui et al., CVPR 2019).

    Scaled so that the mean weight of a known label is 1.
    """
    if not beta:
        return np.ones(labels.shape[1], np.float32), np.ones(labels.shape[1], np.float32)
    counts = np.stack([(labels == 1).sum(axis=0), (labels == 0).sum(axis=0)]).astype(np.float64)
    weights = (1 - beta) / (1 - beta ** np.maximum(counts, 1))
    weights *= counts.sum(axis=0) / np.maximum((weights * counts).sum(axis=0), 1e-12)
    return weights[0].astype(np.float32), weights[1].astype(np.float32)


def balanced_loss(logits: Tensor, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean class-balanced binary cross-entropy over the known labels; unknown ones (NaN) count for nothing."""
    known = ~torch.isnan(labels)
    target = torch.where(known, labels, 0.0)
    weight = known * torch.where(target > 0.5, positive, negative)
    losses = nn.functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return losses / known.sum().clamp(min=1)


def auxiliary_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the statements and a share of the mean Huber loss of what was measured, NaN where not."""
    statements = targets[:, :-MEASURED]
    said = nn.functional.binary_cross_entropy_with_logits(outputs[:, :-MEASURED], statements, reduction="sum")
    known = ~torch.isnan(targets[:, -MEASURED:])
    measured = nn.functional.huber_loss(outputs[:, -MEASURED:][known], targets[:, -MEASURED:][known], reduction="sum")
    return said / max(statements.numel(), 1) + MEASURED_SHARE * measured / known.sum().clamp(min=1)
