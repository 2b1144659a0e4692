"""Pages of exams: drawn to score a model on them, and read as patients' pages are to train one on what is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ecglens.datasets.store import open_store
from ecglens.diagnosis import look
from ecglens.errors import SignalError
from ecglens.files import replace_file
from ecglens.inputs import SignalSpec, prepare_record, signal_tensors
from ecglens.paper import PAPER_LAYOUTS, Page, random_style, render, wear
from ecglens.paper.style import load_style
from ecglens.processes import spread
from ecglens.recipe import Recipe
from ecglens.record import Record

if TYPE_CHECKING:
    from ecglens.examples import Read  # PyTorch's, which scoring does without

PART: Final = 128  # exams in a file of pages that were read: about a minute of one core
FINEST: Final = 8.0  # pixels a mm of pages that are trained on
COARSEST: Final = ((0.6, 3.0), (1.0, 4.5))  # up to a grade of wear: worn pages need more to be read


@dataclass(frozen=True, slots=True)
class Pages:
    """How exams are drawn: the layouts and styles to draw from, names or TOML files, the latter also "random".

    Pages of a ``wear`` from 0 to 1 lie as that makes them; those of 0 are turned by up to 10 degrees. A page follows
    from ``seed`` and the exam.
    """

    layouts: tuple[str, ...] = PAPER_LAYOUTS
    styles: tuple[str, ...] = ("random",)
    wear: float = 0.0
    px_per_mm: float = 6.0
    seed: int = 0


PAPER_PAGES: Final = Pages()


def drawn(record: Record, pages: Pages, rng: np.random.Generator) -> Page:
    """Draw a record as the paper's test pages are, its baseline removed, in one of the layouts and styles."""
    prepared = prepare_record(record, SignalSpec())
    layout = pages.layouts[int(rng.integers(len(pages.layouts)))]
    style = pages.styles[int(rng.integers(len(pages.styles)))]
    dress = random_style(rng) if style == "random" else load_style(style)
    turn = 0.0 if pages.wear else float(rng.uniform(-10, 10))
    return wear(render(prepared, layout, dress, px_per_mm=pages.px_per_mm, rotation=turn), pages.wear, rng)


def read_pages(
    store: Path,
    count: int,
    recipe: Recipe,
    spec: SignalSpec,
    workers: int,
    tick: Callable[[int], object] = lambda count: None,
) -> "dict[int, Read]":
    """Draw ``count`` exams of the store in a folder, each as one page, and return a network's inputs as read, by exam.

    Layouts and wear are the recipe's; exams whose page cannot be read are left out. Files of ``PART`` exams are kept
    below the store, so that what was read before is not read again. ``tick`` is called with the number of exams after
    each.
    """
    folder = store / "read"
    folder.mkdir(exist_ok=True)
    chosen = np.random.default_rng(recipe.seed).permutation(len(open_store(store, spec, workers)))[:count]
    parts = np.array_split(chosen, max(1, -(-len(chosen) // PART)))
    named = [(folder / f"{i + 1:03d}-of-{len(parts):03d}.npz", part) for i, part in enumerate(parts)]
    missing = [item for item in named if not item[0].exists()]
    for done in spread(partial(_read_part, store, recipe, spec), missing, workers, chunk=1):
        tick(done)
    found: dict[int, Read] = {}
    for path, _ in named:
        with np.load(path) as file:
            values = dict(file)
        exams = values.pop("exams").tolist()
        found |= {exam: {name: value[row] for name, value in values.items()} for row, exam in enumerate(exams)}
    return found


def _read_part(store: Path, recipe: Recipe, spec: SignalSpec, item: tuple[Path, npt.NDArray[np.intp]]) -> int:
    path, chosen = item
    exams = open_store(store, spec, 1)
    read: list[tuple[int, Read]] = []
    for exam in map(int, chosen):
        rng = np.random.default_rng([recipe.seed, exam])
        inputs = _as_read(drawn(exams.record(exam), _random_pages(recipe, rng), rng), spec)
        if inputs:
            read.append((exam, inputs))
    names = read[0][1] if read else ()
    arrays = {name: np.stack([inputs[name] for _, inputs in read]) for name in names}
    exams_read = np.array([exam for exam, _ in read], np.int64)

    def write(part: Path) -> None:
        with part.open("wb") as file:  # a file object: NumPy would add an ending to the temporary name
            np.savez(file, exams=exams_read, **arrays)  # type: ignore[arg-type]

    replace_file(path, write)
    return len(chosen)


def _random_pages(recipe: Recipe, rng: np.random.Generator) -> Pages:
    """What one page is drawn like: its grade of wear, and as many pixels as it can be read with."""
    grade = float(rng.uniform(0, recipe.wear)) if rng.random() < recipe.worn else 0.0
    least = next(coarsest for most, coarsest in COARSEST if grade <= most)
    scale = float(np.exp(rng.uniform(np.log(least), np.log(FINEST))))
    return Pages(layouts=recipe.layouts, wear=grade, px_per_mm=scale)


def _as_read(page: Page, spec: SignalSpec) -> "Read":
    """What the network is given of a page, without the first axis; nothing where diagnosis would refuse it."""
    seen = look(page, by_traces=True)
    if seen.reason is not None or not isinstance(seen.given, Record):
        return {}
    try:
        inputs, _ = signal_tensors(seen.given, spec, seen.measured, seen.apart)
    except SignalError:
        return {}
    return {name: value[0].astype(np.float16) for name, value in inputs.items()}
