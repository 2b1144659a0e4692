"""Measure what the image model makes of pages that other people's programs draw.

    pip install pmecg "ecg_plot[export]"
    python benchmarks/others.py --data PTBXL --fold 9 --count 360

Exams of PTB-XL are drawn by pmecg (3x4 with a strip, 6x2 and 12x1, 100 to 200 dpi, pink or grey grid, notes on half of
the pages), by ecg_plot (its twelve-lead layout of separate panels with a strip, 200 dpi), and with matplotlib after the
measures of ecg-image-kit, which is no package (letter paper, 3x4 with a strip, names 7 mm under their traces, grids of
many colours, 100 to 200 dpi), and diagnosed as pictures. No network has seen their lettering, lines or grids. Printed
for each program: how many were answered for, and why others were not; on how many a name was assumed; mean areas over
the six diagnoses and the area for sex, with 95 % intervals, beside those of the same exams' signals.
"""

import argparse
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib as mpl
import numpy as np

from ecglens.confidence import auroc, mean_areas
from ecglens.datasets.index import Dataset, open_dataset
from ecglens.diagnosis import Diagnosis, diagnose
from ecglens.labels import DIAGNOSES, KEYS
from ecglens.leads import INDEX, LEADS
from ecglens.paper.page import Pixels
from ecglens.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rng = np.random.Generator
Draw = Callable[[Record, Rng], Pixels]

SEED = 0
STANDARD = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))


def draw_with_pmecg(record: Record, rng: Rng) -> Pixels:
    import pmecg

    shown = (record.signal.T, list(LEADS))
    noted = bool(rng.random() < 0.5)
    notes = pmecg.ECGInformation(hospital="GENERAL", patient_name="SPECIMEN, ADA", filter="0.05-150 Hz")
    plotter = pmecg.ECGPlotter(print_information=noted, grid_color=str(rng.choice(["#f4aaaa", "lightgray"])))
    template = pmecg.template_factory(str(rng.choice(["4x3+1", "2x6", "1x12"])), shown, None)
    figure = plotter.plot(
        shown, template, sampling_frequency=record.fs, show=False, information=notes if noted else None
    )
    return saved(figure, int(rng.integers(100, 201)))


def draw_with_ecg_plot(record: Record, rng: Rng) -> Pixels:
    import ecg_plot

    chart = ecg_plot.plot(
        record.signal.astype(float),
        sample_rate=record.fs,
        lead_names=LEADS,
        layout="12lead",
        time_mode="sequential",
        rhythm_lead="II",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.png"
        chart.save(str(path), dpi=200)
        return decoded(path.read_bytes())


def draw_like_ecg_image_kit(record: Record, rng: Rng) -> Pixels:
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MultipleLocator

    width, height = 279.4, 215.9  # mm, letter
    rows, row, left = STANDARD, height / 6, 17.5
    figure = plt.figure(figsize=(width / 25.4, height / 25.4))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    major = rng.uniform(0, (0.8, 0.5, 0.5))
    minor = (
        np.clip(rng.uniform(0, (0.8, 0.5, 0.5)) + rng.uniform(0, 0.2), 0, 1) if rng.random() < 0.5 else (1, 0.85, 0.85)
    )
    for which, step, colour in (("minor", 1, minor), ("major", 5, major)):
        for axis in (axes.xaxis, axes.yaxis):
            getattr(axis, f"set_{which}_locator")(MultipleLocator(step))
        axes.grid(which=which, linewidth=0.5, color=colour)
    grey = (float(rng.uniform(0, 0.2)),) * 3
    samples = record.signal.shape[1] // 4
    for number, leads in enumerate([*reversed(rows), ("II",)]):
        middle = row * (number + 1.5) if number < len(rows) else row / 2
        axes.plot(left - 7.5 + np.array([0, 0, 5, 5]), middle + np.array([0, 10, 10, 0]), color=grey, linewidth=1.1)
        for column, lead in enumerate(leads):
            values = record.signal[INDEX[lead]]
            shown = values[column * samples : (column + 1) * samples] if len(leads) > 1 else values
            across = left + 62.5 * column
            axes.plot(across + 25 * np.arange(len(shown)) / record.fs, middle + 10 * shown, color=grey, linewidth=0.75)
            axes.text(across, middle - 7, lead, fontsize=11)
    return saved(figure, int(rng.integers(100, 201)))


def saved(figure: "Figure", dpi: int) -> Pixels:
    from matplotlib import pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    plt.close(figure)
    return decoded(file.getvalue())


PROGRAMS: dict[str, Draw] = {
    "pmecg": draw_with_pmecg,
    "ecg_plot": draw_with_ecg_plot,
    "ecg-image-kit": draw_like_ecg_image_kit,
}


def decoded(file: bytes) -> Pixels:
    return np.ascontiguousarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


def measure(name: str, draw: Draw, dataset: Dataset, chosen: list[int]) -> None:
    records = {index: dataset.read(index) for index in chosen}
    drawn = ((i, draw(record, np.random.default_rng([SEED, i]))) for i, record in records.items())
    pages = {i: diagnose(page).without_pixels() for i, page in drawn}
    read = [index for index, answer in pages.items() if answer.readable]
    assumed = sum(bool(pages[index].quality["assumed_leads"]) for index in read)
    print(f"{name}: {len(read)} of {len(chosen)} answered for, with names assumed on {assumed}")
    for reason, times in Counter(answer.reason for answer in pages.values() if not answer.readable).most_common(5):
        print(f"  {times} refused: {reason}")
    if not read:
        return
    labels = dataset.labels[read]
    report("pages", labels, [pages[index] for index in read])
    report("signals", labels, [diagnose(records[index]).without_pixels() for index in read])


def report(kind: str, labels: np.ndarray, answers: list[Diagnosis]) -> None:
    values = np.array([[answer.labels[key].probability for key in KEYS] for answer in answers])
    six, male = [KEYS.index(label.key) for label in DIAGNOSES], KEYS.index("male")
    known = ~np.isnan(labels[:, male])
    areas = (
        *mean_areas(labels[:, six], values[:, six], np.random.default_rng(SEED)),
        auroc(labels[known, male].astype(bool), values[known, male]),
    )
    figures = (
        f"{what} {area[0]:.3f} ({area[1]:.3f}-{area[2]:.3f})"
        for what, area in zip(("AUROC", "AUPRC", "sex"), areas, strict=True)
    )
    print(f"  {kind}: " + ", ".join(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=9)
    parser.add_argument("--count", type=int, default=360)
    parser.add_argument("--program", choices=tuple(PROGRAMS), action="append")
    chosen = parser.parse_args()
    mpl.use("Agg")
    dataset = open_dataset(chosen.data)
    for name in chosen.program or PROGRAMS:
        measure(name, PROGRAMS[name], dataset, dataset.in_folds([chosen.fold])[: chosen.count].tolist())


if __name__ == "__main__":
    main()
