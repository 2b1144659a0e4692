import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ecglens.errors import ModelError
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.runtime import Card, load_model

LABELS = ["AF", "male"]
SPEC = {"size": 2, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def graph() -> bytes:
    """A network of two labels over (n, 3, 2, 2): maps are the first two channels, logits the sums of these."""
    nodes = [
        helper.make_node("Slice", ["pixels", "first", "last", "axis"], ["maps"]),
        helper.make_node("ReduceSum", ["maps", "places"], ["logits"], keepdims=0),
    ]
    constants = {"first": [0], "last": [2], "axis": [1], "places": [2, 3]}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 2, 2])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
                helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 2, 2, 2]),
            ],
            [helper.make_tensor(name, TensorProto.INT64, [len(v)], v) for name, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


GRAPH = graph()


def card(content: bytes = GRAPH, **changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "version": "1.2.3",
        "kind": "image",
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": LABELS,
        "spec": SPEC,
        "calibration": {"AF": [2.0, -1.0], "male": [1, 0]},
        "thresholds": {"AF": 0.25, "male": 0.5},
        **changes,
    }


def write(folder: Path, content: bytes = GRAPH, **changes: Any) -> Path:
    path = folder / "tiny.onnx"
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(card(content, **changes)), encoding="utf-8")
    return path


def test_the_card_is_read_back_equal(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(GRAPH).hexdigest()
    spec = ImageSpec(2, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    calibration = {"AF": (2.0, -1.0), "male": (1.0, 0.0)}
    thresholds = {"AF": 0.25, "male": 0.5}
    expected = Card(
        "tiny", "1.2.3", sha256, ("AF", "male"), spec, calibration, thresholds, {"AF": 0.1}, {"AF": (0.1, 0.3)}
    )
    assert load_model(write(tmp_path, sensitive={"AF": 0.1}, unsure={"AF": [0.1, 0.3]})).card == expected


def test_an_answer_between_the_two_thresholds_is_unsure(tmp_path: Path) -> None:
    is_unsure = load_model(write(tmp_path, unsure={"AF": [0.1, 0.3]})).card.is_unsure
    assert [is_unsure("AF", p) for p in (0.09, 0.1, 0.29, 0.3)] == [False, True, True, False]
    assert not is_unsure("male", 0.2)


def test_a_card_of_version_0_1_is_never_unsure(tmp_path: Path) -> None:
    card = load_model(write(tmp_path)).card
    assert not any(card.is_unsure("AF", p) for p in (0.0, 0.25, 1.0))


def test_the_kind_says_which_specification_it_is(tmp_path: Path) -> None:
    spec = {"fs": 250, "samples": 1000, "baseline": 0.5, "scalars": True}
    assert load_model(write(tmp_path, kind="signal", spec=spec)).card.spec == SignalSpec(250.0, 1000, 0.5, True)


@pytest.mark.parametrize("n", [1, 3])
def test_a_run_gives_logits_and_maps_of_every_input(tmp_path: Path, n: int) -> None:
    pixels = np.random.default_rng(0).normal(size=(n, 3, 2, 2)).astype(np.float32)
    logits, maps = load_model(write(tmp_path)).run({"pixels": pixels})
    np.testing.assert_array_equal(maps, pixels[:, :2])
    np.testing.assert_allclose(logits, pixels[:, :2].sum(axis=(2, 3)), rtol=1e-5)


def test_probabilities_by_hand(tmp_path: Path) -> None:
    probabilities = load_model(write(tmp_path)).card.probabilities
    ln3 = np.log(3)
    one = np.array([(1 + ln3) / 2, -ln3], np.float32)  # AF: 2 x - 1 = ln 3, odds of 3; male: odds of a third
    np.testing.assert_allclose(probabilities(one), [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(
        probabilities(np.stack([one, 0 * one])), [[0.75, 0.25], [1 / (1 + np.e), 0.5]], atol=1e-6
    )
    np.testing.assert_array_equal(probabilities(np.array([-1e4, 1e4], np.float32)), [0, 1])


def test_a_model_is_loaded_once_and_again_when_a_file_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path)
    first = load_model(path)
    assert load_model(path) is first
    write(tmp_path, version="2")
    os.utime(path.with_suffix(".json"), ns=(0, 10**9))
    assert load_model(path).card.version == "2"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"tiny\.json is missing"):
        load_model(path)
    path.unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx is missing"):
        load_model(path)


def test_one_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path)
    damaged = bytearray(GRAPH)
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="damaged or not the one of its card"):
        load_model(path)


def test_what_is_no_graph_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be run"):
        load_model(write(tmp_path, b"no graph at all"))


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {**SPEC, "sizes": 2}},
        {"spec": {**SPEC, "size": "2"}},
        {"spec": {**SPEC, "mean": [0.0, 0.0]}},
        {"spec": []},
        {"spec": {"fs": 300.0}},
        {"kind": "sound"},
        {"labels": ["AF", "male", "ST"]},
        {"labels": None},
        {"calibration": {"AF": [2.0, -1.0]}},
        {"unsure": {"AF": 0.5}},
        {"unsure": {"AF": [0.1, float("nan")]}},
        {"sensitive": {"AF": None}},
        {"calibration": {"AF": [2.0, -1.0], "male": [1.0]}},
        {"calibration": {"AF": [2.0, -1.0], "male": 1.0}},
        {"thresholds": {"AF": 0.25, "male": "high"}},
        {"thresholds": {"AF": 0.25}},
    ],
    ids=str,
)
def test_a_card_that_is_wrong_is_refused_when_loaded(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"tiny\.json is damaged"):
        load_model(write(tmp_path, **changes))


@pytest.mark.parametrize("absent", sorted(card()))
def test_a_card_needs_every_entry(tmp_path: Path, absent: str) -> None:
    path = write(tmp_path)
    values = {key: value for key, value in card().items() if key != absent}
    path.with_suffix(".json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match=rf"tiny\.json is damaged \(KeyError\('{absent}'\)\)"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff"])
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.json is damaged"):
        load_model(path)
