"""Compare ways to turn logits into probabilities: log loss and calibration error on patients they were not fitted on.

    python benchmarks/calibration.py --data PTBXL --fold 9 [--model MODEL.onnx]

A signal model answers for every exam; each way is fitted on four fifths of the patients and scored on the fifth.
Figures are means over the six diagnoses. Needs the development extra (SciPy).
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import isotonic_regression, minimize

from ecglens.calibration import PARTS, fit_platt
from ecglens.datasets.index import open_dataset
from ecglens.evaluate import SEED, evaluate
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.metrics import calibration_error, sigmoid
from ecglens.runtime import WEIGHTS, load_model

Floats = np.ndarray
Calibrated = Callable[[Floats], Floats]

LEAST = 1e-4  # probability, and its distance from 1, that a method may claim


def log_loss(truth: Floats, probability: Floats) -> float:
    p = np.clip(probability, LEAST, 1 - LEAST)
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p)))


def fit_none(truth: Floats, logit: Floats) -> Calibrated:
    return sigmoid


def fit_temperature(truth: Floats, logit: Floats) -> Calibrated:
    """Guo et al., ICML 2017."""
    found = minimize(lambda t: log_loss(truth, sigmoid(np.exp(t[0]) * logit)), [0.0], method="Nelder-Mead").x
    return lambda other: sigmoid(np.exp(found[0]) * other)


def platt(truth: Floats, logit: Floats) -> Calibrated:
    slope, offset = fit_platt(truth, logit)
    return lambda other: sigmoid(slope * other + offset)


def fit_beta(truth: Floats, logit: Floats) -> Calibrated:
    """Kull et al., AISTATS 2017: a sigmoid of log p, log (1 - p) and a constant."""

    def terms(values: Floats) -> Floats:
        p = np.clip(sigmoid(values), 1e-9, 1 - 1e-9)
        return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)])

    start = [0.5, 0.5, 0.0]
    found = minimize(lambda w: log_loss(truth, sigmoid(w @ terms(logit))), start, method="Nelder-Mead").x
    return lambda other: sigmoid(found @ terms(other))


def fit_isotonic(truth: Floats, logit: Floats) -> Calibrated:
    order = np.argsort(logit)
    steps = isotonic_regression(truth[order]).x
    return lambda other: np.interp(other, logit[order], steps)


WAYS = {
    "none": fit_none, "temperature": fit_temperature, "Platt": platt, "beta": fit_beta, "isotonic": fit_isotonic,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=9)
    parser.add_argument("--model", type=Path, default=WEIGHTS / "signal.onnx")
    options = parser.parse_args()
    answers = evaluate(open_dataset(options.data), (options.fold,), "signal", model=options.model)
    card = load_model(options.model).card
    slope, offset = np.array([card.calibration[key] for key in KEYS]).T
    raw = (answers.logits - offset) / slope  # as the network gave them
    names, patient = np.unique(answers.patients, return_inverse=True)
    part = (np.random.default_rng(SEED).permutation(len(names)) % PARTS)[patient]
    print(f"{'':12} {'log loss':>9} {'ECE':>7}")
    for name, fit in WAYS.items():
        scores = []
        for i in (KEYS.index(label.key) for label in DIAGNOSES):
            probability = np.empty(len(raw))
            for k in range(PARTS):
                here = part == k
                probability[here] = fit(answers.labels[~here, i], raw[~here, i])(raw[here, i])
            scores.append(
                (log_loss(answers.labels[:, i], probability), calibration_error(answers.labels[:, i], probability))
            )
        loss, error = np.mean(scores, axis=0)
        print(f"{name:12} {loss:9.4f} {error:7.4f}")


if __name__ == "__main__":
    main()
