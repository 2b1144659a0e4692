"""Pages of exams: drawn to score a model on them, and read as patients' pages are to train one on what is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ecglens.datasets.store import Read, missing_parts, open_store, save_arrays
from ecglens.diagnosis import look
from ecglens.errors import SignalError
from ecglens.inputs import SignalSpec, prepare_record, signal_tensors
from ecglens.paper import PAPER_LAYOUTS, Page, random_style, render, wear
from ecglens.paper.style import load_style
from ecglens.processes import spread
from ecglens.recipe import Recipe
from ecglens.record import Record

READ: Final = "read"  # the folder below a store
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


def drawn(prepared: Record, pages: Pages, rng: np.random.Generator) -> Page:
    """Draw a record, its baseline removed as the paper's test pages have it, in one of the layouts and styles."""
    layout = pages.layouts[int(rng.integers(len(pages.layouts)))]
    style = pages.styles[int(rng.integers(len(pages.styles)))]
    dress = random_style(rng) if style == "random" else load_style(style)
    turn = 0.0 if pages.wear else float(rng.uniform(-10, 10))
    return wear(render(prepared, layout, dress, px_per_mm=pages.px_per_mm, rotation=turn), pages.wear, rng)


def read_pages(
    folder: Path,
    count: int,
    recipe: Recipe,
    spec: SignalSpec,
    workers: int,
    tick: Callable[[int], object] = lambda count: None,
) -> None:
    """Draw ``count`` exams of the store in ``folder``, each as one page, read them, and write what was read below it.

    Layouts and wear are the recipe's. Exams whose page cannot be read are left out; what is there is not read again.
    ``tick`` is called with the number of exams after each ``PART`` of them.
    """
    chosen = np.random.default_rng(recipe.seed).permutation(len(open_store(folder, spec, workers)))[:count]
    missing = missing_parts(folder / READ, "npz", chosen, PART)
    tick(len(chosen) - sum(len(part) for _, part in missing))
    for done in spread(partial(_read_part, folder, recipe, spec), missing, workers, chunk=1):
        tick(done)


def load_read(folder: Path) -> dict[int, Read]:
    """Return what ``read_pages`` wrote, by exam of the store in ``folder``."""
    found: dict[int, Read] = {}
    for path in sorted((folder / READ).glob("*-of-*.npz")):
        with np.load(path) as file:
            values = dict(file)
        exams = values.pop("exams").tolist()
        found |= {exam: {name: value[row] for name, value in values.items()} for row, exam in enumerate(exams)}
    return found


def _read_part(folder: Path, recipe: Recipe, spec: SignalSpec, item: tuple[Path, npt.NDArray[np.intp]]) -> int:
    path, chosen = item
    store, read = open_store(folder, spec, 1), {}
    for exam in chosen.tolist():
        rng = np.random.default_rng([recipe.seed, exam])
        record = prepare_record(store.record(exam), SignalSpec(baseline=0))  # finer; its baseline is removed
        if inputs := _as_read(drawn(record, _random_pages(recipe, rng), rng), spec):
            read[exam] = inputs
    names = next(iter(read.values()), {})
    arrays = {name: np.stack([inputs[name] for inputs in read.values()]) for name in names}
    save_arrays(path, {"exams": np.array(list(read), np.int64)} | arrays)
    return len(chosen)


def _random_pages(recipe: Recipe, rng: np.random.Generator) -> Pages:
    """What one page is drawn like: its grade of wear, and as many pixels as it can be read with."""
    grade = float(rng.uniform(0, recipe.wear)) if rng.random() < recipe.worn else 0.0
    least = next(coarsest for most, coarsest in COARSEST if grade <= most)
    scale = float(np.exp(rng.uniform(np.log(least), np.log(FINEST))))
    return Pages(layouts=recipe.layouts, wear=grade, px_per_mm=scale)


def _as_read(page: Page, spec: SignalSpec) -> Read:
    """What the network is given of a page, without the first axis; nothing where diagnosis would refuse it."""
    seen = look(page, by_traces=True)
    if seen.reason is not None or not isinstance(seen.given, Record):
        return {}
    try:
        inputs, _ = signal_tensors(seen.given, spec, seen.measured, seen.apart)
    except SignalError:
        return {}
    return {name: value[0].astype(np.float16) for name, value in inputs.items()}
