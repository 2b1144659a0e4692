"""The released networks: residual convolutions over the whole signal, and beside them over its mean beat.

Residual blocks with batch norm (He et al., CVPR 2016), squeeze-and-excitation (Hu et al., CVPR 2018) and stochastic
depth (Huang et al., ECCV 2016), as 2-D convolutions of height 1: channels-last, those are several times as fast on a
CPU as 1-D ones.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

DEPTH_DROP = 0.1  # times a block's place (0 to 7 of 8): chance that it is passed over for an exam in training


def _conv(inputs: int, outputs: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, width), (1, stride), (0, width // 2), bias=False)


class Squeeze(nn.Module):
    """Weigh channels by what is seen over all positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv2d(channels, channels // 8, 1), nn.ReLU(), nn.Conv2d(channels // 8, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, 1, t) to the same shape."""
        out: Tensor = x * self.weights(x.mean(3, keepdim=True))
        return out


class Block(nn.Module):
    """Two convolutions ``width`` wide, weighed by channel, added to the input; ``stride`` shortens it."""

    def __init__(self, inputs: int, outputs: int, width: int, stride: int = 1, drop: float = 0.0) -> None:
        super().__init__()
        self.change = nn.Sequential(
            _conv(inputs, outputs, width, stride), nn.BatchNorm2d(outputs), nn.ReLU(),
            _conv(outputs, outputs, width), nn.BatchNorm2d(outputs), Squeeze(outputs),
        )  # fmt: skip
        last_norm = self.change[4]
        assert isinstance(last_norm, nn.BatchNorm2d)
        nn.init.zeros_(last_norm.weight)  # a fresh block changes nothing
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d((1, stride), ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )  # fmt: skip
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, 1, t) to (n, outputs, 1, t / stride rounded up)."""
        change = self.change(x)
        if self.training and self.drop:
            # Of one type with the change: bfloat16 times float32 would take a third more of the time.
            kept = torch.rand(len(change), 1, 1, 1, device=change.device) >= self.drop
            change = change * (kept.to(change.dtype) / (1 - self.drop))
        return torch.relu(change + self.shortcut(x))


class ResidualNet(nn.Module):
    """Signal (n, 12, t) mV and ``beats`` (n, 12, u), the mean beat, NaN where nothing was recorded, to logits.

    What was recorded at all goes in beside the signal, so that a gap is told from a flat line.
    """

    def __init__(
        self,
        labels: int,
        *,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        widths: tuple[int, ...] = (7, 7, 5, 5),
        beat_channels: tuple[int, ...] = (64, 96, 128, 160),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(24, channels[0], 11, 2), nn.BatchNorm2d(channels[0]), nn.ReLU())
        sizes = [channels[0], *(size for size in channels for _ in range(2))]
        blocks = []
        for k, (before, after) in enumerate(pairwise(sizes)):
            stride = 2 if k and k % 2 == 0 else 1
            blocks.append(Block(before, after, widths[k // 2], stride, DEPTH_DROP * k / (len(sizes) - 1)))
        self.blocks = nn.Sequential(*blocks)
        first = beat_channels[0]
        self.beat_blocks = nn.Sequential(
            _conv(24, first, 7), nn.BatchNorm2d(first), nn.ReLU(),
            *(Block(before, after, 5, 2) for before, after in pairwise(beat_channels)),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1] + beat_channels[-1], labels)

    def features(self, signal: Tensor) -> Tensor:
        """The last convolutional stack's output, (n, channels, 1, positions)."""
        out: Tensor = self.blocks(self.stem(_with_gaps(signal)))
        return out

    def beat_features(self, beats: Tensor) -> Tensor:
        """The same of the mean beat, (n, other channels, 1, positions)."""
        out: Tensor = self.beat_blocks(_with_gaps(beats))
        return out

    def classify(self, features: Tensor, beats: Tensor) -> Tensor:
        """Logits (n, labels) from features and the mean beat."""
        seen = torch.cat([features.mean((2, 3)), self.beat_features(beats).mean((2, 3))], 1)
        logits: Tensor = self.classifier(self.dropout(seen))
        return logits

    def forward(self, signal: Tensor, beats: Tensor) -> Tensor:
        """Logits (n, labels)."""
        return self.classify(self.features(signal), beats)


def _with_gaps(signal: Tensor) -> Tensor:
    """(n, 12, t), NaN in gaps, to (n, 24, 1, t): the signal, 0 in gaps, and 1 where it was recorded."""
    gaps = torch.isnan(signal)
    both = torch.cat([torch.where(gaps, 0.0, signal), (~gaps).to(signal.dtype)], 1)
    return both[:, :, None, :].contiguous(memory_format=torch.channels_last)
