"""The image network: EfficientNet-B3 (Tan and Le, ICML 2019) as MONAI builds it, 10.7 M parameters."""

from monai.networks.nets.efficientnet import EfficientNetBN
from torch import Tensor, nn

from ecglens.errors import ModelError


class EfficientNet(nn.Module):
    """Pixels (n, 3, size, size), normalised as ``inputs.ImageSpec`` says, to logits (n, labels).

    With ``imagenet`` MONAI downloads weights pre-trained on ImageNet; raises ModelError when it cannot.
    """

    def __init__(self, labels: int, *, imagenet: bool = False) -> None:
        super().__init__()
        try:
            self.net = EfficientNetBN("efficientnet-b3", pretrained=imagenet, num_classes=labels)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                "the ImageNet weights cannot be downloaded: connect to the internet, or give --init FILE or --init none"
            ) from error
        self.net.set_swish(memory_efficient=False)  # its hand-written gradient has no ONNX form
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # MONAI's 0.01 lags far behind weights that move, in runs of a few hundred steps

    @property
    def classifier(self) -> nn.Linear:
        """The linear layer after global average pooling."""
        return self.net._fc

    def features(self, pixels: Tensor) -> Tensor:
        """The last convolutional stack's output, (n, 1536, size / 32, size / 32)."""
        net = self.net
        x = net._swish(net._bn0(net._conv_stem(net._conv_stem_padding(pixels))))
        x = net._blocks(x)
        out: Tensor = net._swish(net._bn1(net._conv_head(net._conv_head_padding(x))))
        return out

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, labels) from features."""
        logits: Tensor = self.classifier(self.net._dropout(features.mean(dim=(2, 3))))
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, labels)."""
        return self.classify(self.features(pixels))
