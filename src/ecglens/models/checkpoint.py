"""Networks by specification, and trained ones on disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ecglens.errors import ModelError
from ecglens.files import replace_file
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.labels import KEYS
from ecglens.models.efficientnet import EfficientNet
from ecglens.models.inception import InceptionNet
from ecglens.models.residual import ResidualNet

Spec = ImageSpec | SignalSpec


@dataclass(frozen=True, slots=True)
class Trained:
    """A network in evaluation mode, what it takes, and what is known of its training."""

    network: nn.Module
    spec: Spec
    facts: dict[str, Any]


def build_network(spec: Spec, *, imagenet: bool = False) -> nn.Module:
    """Return a fresh network for what ``spec`` prepares. Raises ModelError when ImageNet weights cannot be had."""
    network: nn.Module
    if isinstance(spec, ImageSpec):
        network = EfficientNet(len(KEYS), imagenet=imagenet)
    elif spec.beats:
        network = ResidualNet(len(KEYS))
    else:
        network = InceptionNet(len(KEYS), scalars=spec.scalars)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def widen(network: nn.Module, further: int) -> None:
    """Give a network's classifier ``further`` outputs after its own, which only training has a use for."""
    classifier = network.classifier
    assert isinstance(classifier, nn.Linear)
    added = nn.Linear(classifier.in_features, further)
    for name, value in added.named_parameters():
        whole = torch.cat([getattr(classifier, name).detach(), value.detach()])
        setattr(classifier, name, nn.Parameter(whole))
    classifier.out_features += further


def label_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a network on the CPU, without the outputs that ``widen`` gave it."""
    assert isinstance(network.classifier, nn.Linear)
    widened = set(network.classifier.parameters())
    names = {name for name, value in network.named_parameters() if value in widened}
    weights = network.state_dict()
    return {n: (v[: len(KEYS)] if n in names else v).cpu().contiguous() for n, v in weights.items()}


def save_trained(folder: Path, weights: Mapping[str, Tensor], spec: Spec, facts: Mapping[str, Any]) -> None:
    """Write ``model.safetensors`` and ``model.json`` to ``folder``."""
    replace_file(folder / "model.safetensors", lambda path: save_file(dict(weights), path))
    text = json.dumps({"spec": asdict(spec), **facts}, indent=1)
    replace_file(folder / "model.json", lambda path: path.write_text(text + "\n", encoding="utf-8"))


def load_trained(folder: Path) -> Trained:
    """Read what ``save_trained`` wrote. Raises ModelError when it is missing or does not fit."""
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no trained model: give the folder that `ecglens train` wrote") from error
    values = facts.pop("spec")
    spec: Spec = ImageSpec(**values) if "size" in values else SignalSpec(**values)
    network = build_network(spec)
    load_weights(network, folder / "model.safetensors")
    return Trained(network.eval(), spec, facts)


def load_weights(network: nn.Module, path: Path) -> None:
    """Load every weight of ``network`` from a safetensors file. Raises ModelError unless all fit."""
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"the weights in {path} cannot be loaded: give a file that `ecglens train` wrote") from error
