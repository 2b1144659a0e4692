"""The exported graph is the network, and its maps are Grad-CAM."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from ecglens.errors import ModelError
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.labels import KEYS
from ecglens.models.checkpoint import Spec, Trained, build_network, label_weights, save_trained
from ecglens.models.export import Storage, compress, example_inputs, export, to_onnx

SPECS = (ImageSpec(size=96), SignalSpec(), SignalSpec(scalars=True), SignalSpec(100.0, 1000, beats=True))
NAMES = ("image", "signal", "signal and scalars", "signal and beats")


FACTS = {"calibration": dict.fromkeys(KEYS, (1.0, 0.0)), "thresholds": dict.fromkeys(KEYS, 0.5)}


def random_network(spec: Spec, seed: int = 1) -> nn.Module:
    """A network whose norms have seen something, so that no activation is trivially zero."""
    torch.manual_seed(seed)
    network = build_network(spec).train()
    with torch.no_grad():
        for _ in range(3):
            network(*example_inputs(spec).values())
    return network.eval()


@pytest.fixture(scope="module", params=SPECS, ids=NAMES)
def exported(request: pytest.FixtureRequest) -> tuple[Spec, nn.Module, onnx.ModelProto]:
    spec = request.param
    network = random_network(spec)
    return spec, network, to_onnx([Trained(network, spec, {})])


def run(model: onnx.ModelProto, inputs: dict[str, Tensor]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


def autograd_gradcam(network: nn.Module, inputs: dict[str, Tensor], label: int) -> Tensor:
    """Grad-CAM as Selvaraju et al. define it: gradients by backward pass, their mean over positions as weights."""
    first, *rest = inputs.values()
    features = network.features(first).detach().requires_grad_()
    network.classify(features, *rest)[:, label].sum().backward()
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * features).sum(dim=1)).detach()


def test_logits_are_those_of_the_network(exported: tuple[Spec, nn.Module, onnx.ModelProto]) -> None:
    spec, network, model = exported
    inputs = example_inputs(spec)
    with torch.inference_mode():
        expected = network(*inputs.values())
    np.testing.assert_allclose(run(model, inputs)[0], expected.numpy(), atol=1e-4, rtol=1e-4)


def test_maps_equal_autograd_gradcam_for_every_label(exported: tuple[Spec, nn.Module, onnx.ModelProto]) -> None:
    spec, network, model = exported
    inputs = example_inputs(spec)
    maps = run(model, inputs)[1]
    expected = np.stack([autograd_gradcam(network, inputs, label).numpy() for label in range(len(KEYS))], axis=1)
    assert expected.max() > 0
    np.testing.assert_allclose(maps.reshape(expected.shape), expected, atol=1e-5 * expected.max(), rtol=1e-3)


def test_maps_of_the_mean_beat_equal_autograd_gradcam_too() -> None:
    spec = SPECS[-1]
    network = random_network(spec)
    inputs = example_inputs(spec)
    seen = network.beat_features(inputs["beats"]).detach().requires_grad_()
    features = network.features(inputs["signal"]).detach()
    network.beat_features = lambda _: seen
    maps = []
    for label in range(len(KEYS)):
        seen.grad = None
        network.classify(features, inputs["beats"])[:, label].sum().backward()
        maps.append(torch.relu((seen.grad.mean(dim=(2, 3), keepdim=True) * seen).sum(dim=1)).detach())
    expected = torch.stack(maps, 1)[:, :, 0].numpy()
    del network.beat_features
    found = run(to_onnx([Trained(network, spec, {})]), inputs)[2]
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max(), rtol=1e-3)


def test_batching_changes_nothing(exported: tuple[Spec, nn.Module, onnx.ModelProto]) -> None:
    spec, _, model = exported
    inputs = example_inputs(spec)
    together = run(model, inputs)[0]
    alone = np.concatenate([run(model, {k: v[i : i + 1] for k, v in inputs.items()})[0] for i in range(2)])
    np.testing.assert_allclose(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("storage", "ratio", "tolerance"), [("float16", 0.55, 0.02), ("int8", 0.3, 0.2)])
def test_compressed_weights_are_smaller_and_say_the_same(
    exported: tuple[Spec, nn.Module, onnx.ModelProto], storage: Storage, ratio: float, tolerance: float
) -> None:
    spec, _, model = exported
    small = compress(onnx.ModelProto.FromString(model.SerializeToString()), storage)
    overhead = 200_000  # nodes and names, whatever the weights
    assert small.ByteSize() < ratio * model.ByteSize() + overhead
    inputs = example_inputs(spec)
    whole, rounded = run(model, inputs)[0], run(small, inputs)[0]
    assert np.abs(whole - rounded).max() < tolerance * np.abs(whole).max()


def test_several_networks_answer_with_their_mean(tmp_path: Path) -> None:
    spec, networks = SignalSpec(100.0, 1000, beats=True), []
    for seed in (1, 2):
        networks.append(random_network(spec, seed))
        (tmp_path / str(seed)).mkdir()
        save_trained(tmp_path / str(seed), label_weights(networks[-1]), spec, FACTS | {"epoch": seed})
    folders = [tmp_path / "1", tmp_path / "2"]
    card = json.loads(export(folders, tmp_path / "both.onnx", name="both", version="1", storage="float32").read_text())
    assert [network["epoch"] for network in card["networks"]] == [1, 2]
    assert "epoch" not in card
    inputs = example_inputs(spec)
    singles = [run(to_onnx([Trained(network, spec, {})]), inputs) for network in networks]
    together = run(onnx.load(tmp_path / "both.onnx"), inputs)
    for mean, one, other in zip(together, *singles, strict=True):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-4)


def test_networks_that_take_different_inputs_are_no_model(tmp_path: Path) -> None:
    for name, spec in (("one", SignalSpec()), ("other", SignalSpec(partial=True))):
        (tmp_path / name).mkdir()
        save_trained(tmp_path / name, label_weights(build_network(spec)), spec, FACTS)
    with pytest.raises(ModelError, match="different inputs"):
        export([tmp_path / "one", tmp_path / "other"], tmp_path / "x.onnx", name="x", version="1")
