"""From a trained network to what diagnosis runs: an ONNX graph that also returns Grad-CAM maps, and its card.

Grad-CAM (Selvaraju et al., ICCV 2017) weighs the activations of the last convolutional stack by the mean gradient of a
logit over positions. Before global average pooling and a linear layer that gradient is the class weight over the number
of positions, whatever the input, so one forward pass gives the maps of all labels and no backward pass is needed.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from ecglens.errors import ModelError
from ecglens.files import replace_file
from ecglens.inputs import ImageSpec
from ecglens.labels import KEYS
from ecglens.models.checkpoint import Spec, Trained, load_trained
from ecglens.models.residual import ResidualNet

Storage = Literal["float32", "float16", "int8"]
SMALL = 1024  # elements; smaller weights (biases, norms) stay float32


class WithMaps(nn.Module):
    """Networks whose mean ``logits`` (n, labels) and Grad-CAM ``maps`` (n, labels, positions...) are returned.

    Those that are given mean beats return ``beat_maps`` (n, labels, positions) as well.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """``x`` is the picture or signal, ``rest`` what the classifier takes besides."""
        answers = [_with_maps(network, x, *rest) for network in self.networks]
        if len(answers) == 1:
            return answers[0]
        return tuple(torch.stack(each).mean(0) for each in zip(*answers, strict=True))


def _with_maps(network: Any, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    features, weights = network.features(x), network.classifier.weight
    logits = network.classify(features, *rest)
    maps = gradcam(features, weights[:, : features.shape[1]])
    if isinstance(network, ResidualNet):
        beats = gradcam(network.beat_features(*rest), weights[:, features.shape[1] :])
        return logits, maps.squeeze(2), beats.squeeze(2)
    return logits, maps if x.ndim == 4 else maps.squeeze(2)


def gradcam(features: Tensor, weights: Tensor) -> Tensor:
    """Maps (n, labels, h, w) >= 0 of features (n, channels, h, w) that are averaged and weighed, (labels, channels)."""
    return torch.relu(torch.einsum("kc,nchw->nkhw", weights, features)) / (features.shape[2] * features.shape[3])


def export(folders: Sequence[Path], out: Path, *, name: str, version: str, storage: Storage = "float16") -> Path:
    """Write the model trained in ``folders`` as ``out`` (ONNX) and its card beside it; return the card's path.

    Networks of several folders are one model: their mean answers. Its card has calibration and thresholds of the first
    alone, until ``calibration.recalibrate`` fits them. ``storage`` says how large weights are kept; they are computed
    with as float32 either way. Raises ModelError where the networks do not take the same.
    """
    runs = [load_trained(folder) for folder in folders]
    first = runs[0]
    if any(run.spec != first.spec for run in runs):
        raise ModelError(
            "these runs take different inputs: export those whose recipes agree in fs, seconds, beats and partial"
        )
    graph = compress(to_onnx(runs), storage).SerializeToString()
    card = {
        "name": name,
        "version": version,
        "kind": "image" if isinstance(first.spec, ImageSpec) else "signal",
        "sha256": hashlib.sha256(graph).hexdigest(),
        "storage": storage,
        "labels": list(KEYS),
        "spec": asdict(first.spec),
        **first.facts,
    }
    if len(runs) > 1:
        own = ("recipe", "init", "epoch", "scores")  # of each network; none of them is the model's
        card = {key: value for key, value in card.items() if key not in own}
        card["networks"] = [{key: run.facts.get(key) for key in own} for run in runs]
    path = out.with_suffix(".json")
    replace_file(out, lambda p: p.write_bytes(graph))
    replace_file(path, lambda p: p.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8"))
    return path


def to_onnx(runs: Sequence[Trained]) -> onnx.ModelProto:
    """Return the graph, for any batch size: what the networks' ``spec`` prepares, to its outputs (see ``WithMaps``)."""
    inputs, outputs = example_inputs(runs[0].spec), ["logits", "maps"]
    outputs += ["beat_maps"] * ("beats" in inputs)
    buffer = io.BytesIO()
    axes = {name: {0: "n"} for name in (*inputs, *outputs)}
    with warnings.catch_warnings():  # the exporter warns of its own successor and of shapes that are constant here
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WithMaps([run.network for run in runs]).to("cpu").eval(),
            tuple(inputs.values()),
            buffer,  # type: ignore[arg-type]
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    for run in runs:
        run.network.eval()  # the exporter leaves it in training mode
    return onnx.load_from_string(buffer.getvalue())


def example_inputs(spec: Spec) -> dict[str, Tensor]:
    """Two random inputs by name, of the shapes that ``spec`` prepares."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(spec, ImageSpec):
        return {"pixels": torch.randn(2, 3, spec.size, spec.size, generator=generator)}
    inputs = {"signal": torch.randn(2, 12, spec.samples, generator=generator)}
    if spec.scalars:
        inputs["scalars"] = torch.randn(2, 8, generator=generator)
    if spec.beats:
        inputs["beats"] = torch.randn(2, 12, round(spec.fs), generator=generator)
    return inputs


def compress(model: onnx.ModelProto, storage: Storage) -> onnx.ModelProto:
    """Store large weights as float16, or as int8 with one scale an output channel.

    Written as Cast (and Mul) nodes on constants, which the runtime unfolds once on loading, rather than as quantised
    operators: the arithmetic stays float32, so that nothing but the rounding of the weights changes.
    """
    if storage == "float32":
        return model
    nodes: list[onnx.NodeProto] = []
    for tensor in [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]:
        weights = numpy_helper.to_array(tensor)
        if weights.size < SMALL:
            continue
        name = tensor.name
        model.graph.initializer.remove(tensor)
        if storage == "float16":
            model.graph.initializer.append(numpy_helper.from_array(weights.astype(np.float16), f"{name}.stored"))
            nodes.append(helper.make_node("Cast", [f"{name}.stored"], [name], to=onnx.TensorProto.FLOAT))
            continue
        scale = np.abs(weights).reshape(len(weights), -1).max(axis=1).clip(1e-12) / 127
        scale = scale.astype(np.float32).reshape(-1, *[1] * (weights.ndim - 1))
        stored = np.rint(weights / scale).astype(np.int8)
        model.graph.initializer.append(numpy_helper.from_array(stored, f"{name}.stored"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.stored"], [f"{name}.cast"], to=onnx.TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(model)
    return model
