"""Models at work: ONNX Runtime sessions, and the cards that say what the model is, takes and means."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ecglens.config import build
from ecglens.errors import ConfigError, ModelError
from ecglens.inputs import ImageSpec, SignalSpec
from ecglens.labels import KEYS
from ecglens.metrics import sigmoid
from ecglens.sessions import open_session

Array = npt.NDArray[np.float32]

BATCH: Final = 64  # windows or pages at once: memory stays bounded for records of hours
WEIGHTS: Final = Path(__file__).parent / "weights"
_SPECS: Final[dict[str, type[ImageSpec | SignalSpec]]] = {"image": ImageSpec, "signal": SignalSpec}


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is: its name, its version, its input, and how its logits become probabilities and calls.

    ``calibration`` gives slope and offset by label, ``thresholds`` the probability from which a label is positive,
    ``sensitive`` that which 95 % of the positives reach, ``unsure`` between which two an answer is unsure. Cards of
    version 0.1 have neither of the last two: all their answers pass for sure.
    """

    name: str
    version: str
    sha256: str
    labels: tuple[str, ...]
    spec: ImageSpec | SignalSpec
    calibration: Mapping[str, tuple[float, float]]
    thresholds: Mapping[str, float]
    sensitive: Mapping[str, float] = field(default_factory=dict)
    unsure: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Labels that the model was found unable to tell: their threshold is one that no probability reaches."""
        return tuple(key for key in self.labels if self.thresholds[key] > 1)

    def is_unsure(self, key: str, probability: float) -> bool:
        """Whether the answer for a label is so near to the other one that a person should give it."""
        low, high = self.unsure.get(key, (0.0, 0.0))
        return low <= probability < high

    def probabilities(self, logits: Array) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (..., labels) of logits (..., labels)."""
        slope, offset = np.array([self.calibration[key] for key in self.labels]).T
        return sigmoid(logits * slope + offset)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A card and the session that runs its graph."""

    card: Card
    session: Any

    def run(self, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return ``logits`` (n, labels) and ``maps`` (n, labels, positions...) of inputs by name, n of each.

        ``beat_maps`` (n, labels, positions) follow where the model has them. Raises ModelError where logits are not
        finite, as those of models made before version 0.3 are in gaps.
        """
        count = len(next(iter(inputs.values())))
        parts = [
            self.session.run(None, {name: value[i : i + BATCH] for name, value in inputs.items()})
            for i in range(0, count, BATCH)
        ]
        outputs = tuple(np.concatenate(each) for each in zip(*parts, strict=True))
        if not np.isfinite(outputs[0]).all():
            raise ModelError(f"the model {self.card.name} cannot take gaps in a signal: train and export it again")
        return outputs


def load_model(path: Path) -> Model:
    """Load an ONNX file and the card beside it (``.json``), each file once a process and version.

    Raises ModelError when either is missing, damaged, or not made for the other.
    """
    try:
        return _load(path.resolve(), path.stat().st_mtime_ns, path.with_suffix(".json").stat().st_mtime_ns)
    except OSError as error:
        missing = Path(error.filename or path).name
        raise ModelError(f"the model file {missing} is missing: train one, or install ecglens again") from error


@lru_cache(maxsize=4)
def _load(path: Path, graph_modified: int, card_modified: int) -> Model:
    graph = path.read_bytes()
    card = _read_card(path.with_suffix(".json"))
    if hashlib.sha256(graph).hexdigest() != card.sha256:
        raise ModelError(f"the model {path.name} is damaged or not the one of its card: install or export it again")
    try:
        session = open_session(graph)
    except Exception as error:
        raise ModelError(f"the model {path.name} cannot be run: {error}; export it again") from error
    if session.get_outputs()[0].shape[-1] != len(card.labels):
        raise ModelError(f"the model {path.name} has another number of labels than its card: export it again")
    return Model(card, session)


def _read_card(path: Path) -> Card:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        calibration = {key: values["calibration"][key] for key in values["labels"]}
        if unknown := set(values["labels"]) - set(KEYS):
            raise ValueError(f"unknown labels {sorted(unknown)}")
        sensitive = {key: float(value) for key, value in values.get("sensitive", {}).items()}
        unsure = {key: (float(low), float(high)) for key, (low, high) in values.get("unsure", {}).items()}
        pairs = (*calibration.values(), *unsure.values())
        if not np.isfinite([*values["thresholds"].values(), *sensitive.values(), *(x for p in pairs for x in p)]).all():
            raise ValueError("calibration or thresholds are not finite")
        return Card(
            name=values["name"],
            version=values["version"],
            sha256=values["sha256"],
            labels=tuple(values["labels"]),
            spec=build(_SPECS[values["kind"]], values["spec"], path.name),
            calibration={key: (float(slope), float(offset)) for key, (slope, offset) in calibration.items()},
            thresholds={key: float(values["thresholds"][key]) for key in values["labels"]},
            sensitive=sensitive,
            unsure=unsure,
        )
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the model card {path.name} is damaged ({error!r}): export the model again") from error
