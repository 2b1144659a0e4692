"""The signal network: one-dimensional Inception blocks over 12 x 1500 samples, and eight scalars beside them.

After InceptionTime (Ismail Fawaz et al., Data Min Knowl Disc 34:1936, 2020). A strided stem brings 300 Hz down to
50 positions a second, which lets two CPU cores train it in about an hour. Convolutions are written as two-dimensional
ones of height 1 because these run twice as fast on a CPU in channels-last order.
"""

import torch
from torch import Tensor, nn


class InceptionBlock(nn.Module):
    """Three widths of convolution and a max pool side by side, each of ``channels / 4``, after a bottleneck."""

    def __init__(self, inputs: int, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        branch = channels // (len(widths) + 1)
        self.bottleneck = nn.Conv2d(inputs, branch, 1, bias=False)
        self.branches = nn.ModuleList(
            nn.Conv2d(branch, branch, (1, width), padding=(0, width // 2), bias=False) for width in widths
        )
        self.pool = nn.Sequential(nn.MaxPool2d((1, 3), 1, (0, 1)), nn.Conv2d(inputs, branch, 1, bias=False))
        self.norm = nn.BatchNorm2d(branch * (len(widths) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, 1, t) to (n, channels, 1, t)."""
        narrow = self.bottleneck(x)
        out: Tensor = self.norm(torch.cat([*(branch(narrow) for branch in self.branches), self.pool(x)], 1))
        return out


class InceptionNet(nn.Module):
    """Signal (n, 12, 1500) mV, and with ``scalars`` also (n, 8) values, to logits (n, labels).

    Missing scalars are NaN; each is given to the classifier as its standardised value, 0 when missing, and a flag.
    ``scalar_mean`` and ``scalar_std`` (8,) come from the training set.
    """

    def __init__(
        self,
        labels: int,
        *,
        scalars: bool = False,
        channels: int = 128,
        depth: int = 6,
        widths: tuple[int, ...] = (31, 15, 7),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(12, channels // 2, (1, 15), (1, 6), (0, 7), bias=False), nn.BatchNorm2d(channels // 2), nn.ReLU()
        )
        self.blocks = nn.ModuleList(
            InceptionBlock(channels if i else channels // 2, channels, widths) for i in range(depth)
        )
        self.shortcuts = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels if i else channels // 2, channels, 1, bias=False), nn.BatchNorm2d(channels)
            )
            for i in range(depth // 3)
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels + (16 if scalars else 0), labels)
        self.scalar_mean: Tensor
        self.scalar_std: Tensor
        if scalars:
            self.register_buffer("scalar_mean", torch.zeros(8))
            self.register_buffer("scalar_std", torch.ones(8))

    def features(self, signal: Tensor) -> Tensor:
        """The last convolutional stack's output, (n, channels, 1, positions)."""
        recorded = torch.where(torch.isnan(signal), 0.0, signal)  # the baseline's level in gaps
        x: Tensor = self.stem(recorded[:, :, None, :].contiguous(memory_format=torch.channels_last))
        shortcut = x
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i % 3 == 2:
                x = x + self.shortcuts[i // 3](shortcut)
            x = torch.relu(x)
            if i % 3 == 2:
                shortcut = x
        return x

    def classify(self, features: Tensor, scalars: Tensor | None = None) -> Tensor:
        """Logits (n, labels) from features and the eight scalars."""
        pooled = features.mean(dim=(2, 3))
        if scalars is not None:
            known = ~torch.isnan(scalars)
            standard = torch.where(known, (scalars - self.scalar_mean) / self.scalar_std, 0.0)
            pooled = torch.cat([pooled, standard.clamp(-5, 5), known.float()], 1)
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits

    def forward(self, signal: Tensor, scalars: Tensor | None = None) -> Tensor:
        """Logits (n, labels)."""
        return self.classify(self.features(signal), scalars)
