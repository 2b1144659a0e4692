"""The image network is EfficientNet-B3, and says so when its first weights cannot be had."""

import urllib.error

import pytest
import torch
from monai.networks.nets import efficientnet

from ecglens.errors import ModelError
from ecglens.models.efficientnet import EfficientNet


def test_it_has_the_size_of_the_paper() -> None:
    assert 10.6e6 < sum(p.numel() for p in EfficientNet(6).parameters()) < 10.8e6


def test_features_and_classifier_are_the_whole_network() -> None:
    net = EfficientNet(7).eval()
    pixels = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(net(pixels), net.net(pixels))


def test_missing_imagenet_weights_are_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(efficientnet.model_zoo, "load_url", offline)
    with pytest.raises(ModelError, match="--init FILE"):
        EfficientNet(7, imagenet=True)
