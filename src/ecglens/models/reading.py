"""The two kinds of networks that read a page (``paper.reading``): where names of leads stand, and how high a trace is.

Both are small convolutional pyramids that go down to a sixteenth of the page and up again, adding what they saw on the
way (Lin et al., CVPR 2017). ``benchmarks/reading.py --fit`` trains them; ``names.onnx`` is of an earlier NameFinder.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

PAPER = 0.75  # mean brightness of a page


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution, 4 x 4 where it takes pixels, its norm and a rectifier."""
    size = 4 if inputs == 3 else 3
    convolution = nn.Conv2d(inputs, outputs, size, stride, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")


class NameFinder(nn.Module):
    """Pixels (n, 3, H, W) in [0, 1] to answers (n, names + 4, H / 8, W / 8); H and W are multiples of 16.

    Of each cell: the logit of every name being printed there; how far right its trace begins, how far down if the name
    stands over its trace, and how far down if it stands under it, in units of 40 pixels; and the logit of its standing
    under it. Between two close rows a name may be either's: only the page's other names tell.
    """

    def __init__(self, names: int) -> None:
        super().__init__()
        self.halves = _layer(3, 16, 2)
        self.quarters = nn.Sequential(_layer(16, 24, 2), _layer(24, 24))
        self.eighths = _layer(24, 48, 2)
        self.shapes = nn.Sequential(_layer(48, 48), _layer(48, 48))
        self.around = nn.Sequential(_layer(48, 64, 2), _layer(64, 64), _layer(64, 64, 1, 2), nn.Conv2d(64, 48, 1))
        self.joined = _layer(48, 48)
        self.answers = nn.Conv2d(48, names + 4, 1)
        assert self.answers.bias is not None
        nn.init.constant_(self.answers.bias[:names], -4.6)  # hardly a cell has a name

    def forward(self, pixels: Tensor) -> Tensor:
        """The answers."""
        x = self.eighths(self.quarters(self.halves(pixels - PAPER)))
        x = x + self.shapes(x)
        out: Tensor = self.answers(self.joined(x + _twice(self.around(x))))
        return out


class TraceFollower(nn.Module):
    """Strips (n, 3, H, W) in [0, 1] to logits of the trace's height (n, H, W) and of its being shown (n, W).

    The heights of a column are one distribution. H is ``height``; it and W are multiples of 16. The row that is meant
    is the one in the middle, of which ``places`` tell.
    """

    def __init__(self, height: int) -> None:
        super().__init__()
        self.halves = nn.Sequential(_layer(3, 16, 2), _layer(16, 16))
        self.quarters = nn.Sequential(_layer(16, 32, 2), _layer(32, 32))
        self.eighths = nn.Sequential(_layer(32, 48, 2), _layer(48, 48))
        self.around = nn.Sequential(_layer(48, 64, 2), _layer(64, 64, 1, 2), _layer(64, 64, 1, 4))
        self.places = nn.Parameter(torch.zeros(1, 48, height // 8, 1))
        self.to_eighths = nn.Conv2d(64, 48, 1)
        self.to_quarters = nn.Sequential(_layer(48, 48), nn.Conv2d(48, 32, 1))
        self.to_halves = nn.Sequential(_layer(32, 32), nn.Conv2d(32, 16, 1))
        self.heights = nn.Sequential(_layer(16, 16), nn.Conv2d(16, 4, 3, 1, 1))
        self.shown = nn.Sequential(nn.Conv1d(64, 32, 5, 1, 2), nn.ReLU(inplace=True), nn.Conv1d(32, 2, 1))

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        """Heights and whether they are shown."""
        halves = self.halves(strips - PAPER)
        quarters = self.quarters(halves)
        eighths = self.eighths(quarters) + self.places
        eighths = eighths + _twice(self.to_eighths(self.around(eighths)))
        quarters_up = quarters + _twice(self.to_quarters(eighths))
        halves = halves + _twice(self.to_halves(quarters_up))
        heights = pixel_shuffle(self.heights(halves), 2)[:, 0]
        columns = self.shown(torch.cat([quarters_up.mean(2), quarters_up.amax(2)], 1))  # two columns of every four
        shown = columns.transpose(1, 2).flatten(1).repeat_interleave(2, 1)
        return heights, shown
