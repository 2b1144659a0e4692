"""From a trained network to what diagnosis runs: an ONNX graph that also returns Grad-CAM maps, and its card.

Grad-CAM (Selvaraju et al., ICCV 2017) weighs the activations of the last convolutional stack by the mean gradient of a
logit over positions. Before global average pooling and a linear layer that gradient is the class weight over the number
of positions, whatever the input, so one forward pass gives the maps of all labels and no backward pass is needed.
"""

import hashlib
import io
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from ecglens.files import replace_file
from ecglens.inputs import ImageSpec
from ecglens.labels import KEYS
from ecglens.models.checkpoint import Spec, Trained, load_trained

Storage = Literal["float32", "float16", "int8"]
SMALL = 1024  # elements; smaller weights (biases, norms) stay float32


class WithMaps(nn.Module):
    """A network that returns ``logits`` (n, labels) and their Grad-CAM ``maps`` (n, labels, positions...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, x: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` is the picture or signal, ``rest`` what the classifier takes besides."""
        features = self.network.features(x)
        logits = self.network.classify(features, *rest)
        weights = self.network.classifier.weight[:, : features.shape[1]]
        positions = features.shape[2] * features.shape[3]
        maps = torch.relu(torch.einsum("kc,nchw->nkhw", weights, features)) / positions
        return logits, maps if x.ndim == 4 else maps.squeeze(2)


def export(folder: Path, out: Path, *, name: str, version: str, storage: Storage = "float16") -> Path:
    """Write the model trained in ``folder`` as ``out`` (ONNX) and its card beside it; return the card's path.

    ``storage`` says how large weights are kept; they are computed with as float32 either way.
    """
    trained = load_trained(folder)
    graph = compress(to_onnx(trained), storage).SerializeToString()
    card = {
        "name": name,
        "version": version,
        "kind": "image" if isinstance(trained.spec, ImageSpec) else "signal",
        "sha256": hashlib.sha256(graph).hexdigest(),
        "storage": storage,
        "labels": list(KEYS),
        "spec": asdict(trained.spec),
        **trained.facts,
    }
    path = out.with_suffix(".json")
    replace_file(out, lambda p: p.write_bytes(graph))
    replace_file(path, lambda p: p.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8"))
    return path


def to_onnx(trained: Trained) -> onnx.ModelProto:
    """Return the graph, for any batch size: ``pixels``, or ``signal`` and ``scalars``, to ``logits`` and ``maps``."""
    inputs = example_inputs(trained.spec)
    buffer = io.BytesIO()
    axes = {name: {0: "n"} for name in (*inputs, "logits", "maps")}
    with warnings.catch_warnings():  # the exporter warns of its own successor and of shapes that are constant here
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WithMaps(trained.network.to("cpu").eval()),
            tuple(inputs.values()),
            buffer,  # type: ignore[arg-type]
            input_names=list(inputs),
            output_names=["logits", "maps"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    trained.network.eval()  # the exporter leaves it in training mode
    return onnx.load_from_string(buffer.getvalue())


def example_inputs(spec: Spec) -> dict[str, Tensor]:
    """Two random inputs by name, of the shapes that ``spec`` prepares."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(spec, ImageSpec):
        return {"pixels": torch.randn(2, 3, spec.size, spec.size, generator=generator)}
    inputs = {"signal": torch.randn(2, 12, spec.samples, generator=generator)}
    return inputs | ({"scalars": torch.randn(2, 8, generator=generator)} if spec.scalars else {})


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
