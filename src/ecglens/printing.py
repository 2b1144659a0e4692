"""Print records: files of digital ECGs in, pages in PNG, JPEG, PDF or SVG out, with their truth where it is wanted."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from zlib import crc32

import cv2
import numpy as np

from ecglens.errors import FormatError, SignalError, UsageError
from ecglens.intervals import measure
from ecglens.io import NOTHING_SAID, Given, find_files, for_each, text
from ecglens.paper import truth, vector
from ecglens.paper.damage import WAYS, wear
from ecglens.paper.drawing import draw
from ecglens.paper.furniture import Notes, measured_notes, random_notes
from ecglens.paper.layout import layouts, load_layout
from ecglens.paper.page import Page, Pixels
from ecglens.paper.settings import Gain
from ecglens.paper.sheet import Sheet, compose
from ecglens.paper.style import load_style, random_style
from ecglens.processes import spread
from ecglens.record import Record

FORMATS: Final = ("png", "jpg", "jpeg", "pdf", "svg")

_THUMBNAIL: Final = (480, 360)  # width, height in pixels, of a page on a contact sheet
_ACROSS: Final = 4
_GAP: Final = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """How records are printed. ``truth`` writes a JSON file and a mask beside each page.

    ``layout`` and ``style`` may be "random", and ``wear`` two grades to draw one between; damage comes in one of
    ``ways``, without the effects named in ``without``. The layout's own rhythm strips give way to ``rhythm`` where that
    is given. Everything random follows from ``seed`` and the record's samples: a page depends neither on the others
    nor on names, nor on who draws it. ``said`` is of files that do not say rate and unit themselves. Raises UsageError
    for grades of wear that cannot be.
    """

    layout: str = "3x4+1"
    rhythm: tuple[str, ...] = ()
    style: str = "red"
    start: float = 0.0
    speed: float = 25.0
    gain: Gain = 10.0
    notes: Literal["none", "measured", "invented"] = "none"
    wear: float | tuple[float, float] = 0.0
    ways: tuple[str, ...] = WAYS
    without: tuple[str, ...] = ()
    rotation: float = 0.0
    px_per_mm: float = 8.0
    seed: int = 0
    truth: bool = False
    said: Given = NOTHING_SAID

    def __post_init__(self) -> None:
        low, high = self.grades
        if not 0 <= low <= high <= 1:
            raise UsageError(f"grades of wear from {low:g} to {high:g} are none: give them rising, within 0 and 1")
        if high == 0 and (self.ways != WAYS or self.without):
            raise UsageError("nothing is worn to grade 0: give a grade of wear too, or leave out its ways and effects")

    @property
    def grades(self) -> tuple[float, float]:
        """Between which the grade of wear is drawn."""
        return self.wear if isinstance(self.wear, tuple) else (self.wear, self.wear)


class Job(NamedTuple):
    """A file to print and its page's, whose ending says what kind of file it is.

    Of a file with several ECGs, page k is written to that name with ``-k`` after it.
    """

    source: Path
    target: Path


class Printed(NamedTuple):
    """A page that was written, small; or why there is none."""

    path: Path
    thumbnail: Pixels | None
    refused: str | None


def find_jobs(inputs: Iterable[Path], output: Path, ending: str | None = None, said: Given = NOTHING_SAID) -> list[Job]:
    """Say what is printed where: a file to the file ``output``, or any number of them into that folder.

    Of folders all digital ECGs below are taken, and the pages lie as their records do. ``ending`` is that of the pages
    in a folder, "png" by default. Raises UsageError for endings that are none of ``FORMATS``, one file for several
    records, two records for one page, folders without any record, and an output that cannot be written.
    """
    given = list(inputs)
    found = [pair for path in given for pair in _records(path, said)]
    if all(source.is_dir() for source, _ in found):
        raise UsageError(f"there are no digital ECGs in {', '.join(map(str, given))}: name the files themselves")
    if ending is not None and ending not in FORMATS:
        raise UsageError(f"pages cannot be written as {ending!r}: choose {', '.join(FORMATS)}")
    if len(found) == 1 and not given[0].is_dir() and output.suffix and not output.is_dir():
        if output.suffix[1:] not in FORMATS or ending not in (None, output.suffix[1:]):
            wanted = [ending] if ending else FORMATS
            raise UsageError(f"a page cannot be called {output}: end its name with .{', .'.join(wanted)}")
        jobs = [Job(given[0], output)]
    elif output.suffix[1:] in FORMATS and not output.is_dir():
        raise UsageError(f"{output} is one file for {len(found)} records: give a folder's name, without an ending")
    else:
        jobs = [Job(source, output / f"{name}.{ending or FORMATS[0]}") for source, name in found]
    if len({job.target for job in jobs}) < len(jobs):
        raise UsageError("two of the records have the same name: print their folders one by one")
    check_writable(jobs[0].target)
    return jobs


def _records(path: Path, said: Given) -> list[tuple[Path, str]]:
    """The files of a folder's digital ECGs, or the one given, and what their pages are called.

    A folder without any stands for itself, to be refused when its turn comes.
    """
    files = find_files(path, said, pictures=False) if path.is_dir() else []
    return [(file, str(file.relative_to(path).with_suffix(""))) for file in files] or [(path, path.stem)]


def print_all(jobs: Sequence[Job], plan: Plan, workers: int = 1) -> Iterator[list[Printed]]:
    """Print every file, and yield what became of each of its ECGs, in order; what cannot be read is passed by.

    Raises UsageError for a plan that cannot be, such as an SVG of a worn page.
    """
    return spread(partial(_print_file, plan=plan), jobs, workers, chunk=4)


def _print_file(job: Job, plan: Plan) -> list[Printed]:
    def target(number: int, count: int) -> Path:
        return job.target.with_stem(f"{job.target.stem}-{number}") if count > 1 else job.target

    def take(record: Record | Page, *place: int) -> Printed:
        page = _print(record, job.source.name, target(*place), plan)
        return Printed(target(*place), _small(page.pixels), None)

    return list(for_each(job.source, plan.said, take, lambda reason, *place: Printed(target(*place), None, reason)))


def _print(record: Record | Page, source: str, target: Path, plan: Plan) -> Page:
    """Print one record; a worn page says the scale at which it was drawn."""
    if isinstance(record, Page):
        raise FormatError(f"{source} is a picture already: give a digital ECG")
    if plan.start >= record.duration:
        raise SignalError(f"{source} is over after {record.duration:g} s: choose an earlier start")
    rng = np.random.default_rng([plan.seed, crc32(record.signal.tobytes())])
    sheet, grade = _compose(record, plan, rng), float(rng.uniform(*plan.grades))
    flat = grade == 0 and plan.rotation == 0
    if target.suffix == ".svg" and not flat:
        raise UsageError("an SVG page is neither worn nor turned: choose PNG, or leave out wear and rotation")
    page = draw(sheet, plan.px_per_mm, plan.rotation)
    page = wear(page, grade, rng, ways=plan.ways, without=plan.without)
    if flat and target.suffix in (".svg", ".pdf"):
        content = vector.svg(sheet).encode() if target.suffix == ".svg" else vector.pdf(sheet)
        _write(target, lambda: target.write_bytes(content))
    else:
        write_page(replace(page, px_per_mm=plan.px_per_mm), target)
    if plan.truth:
        text = json.dumps(truth.describe(page, sheet, target.name))
        _write(target, lambda: target.with_suffix(".json").write_text(text, encoding="utf-8"))
        pen = max(1, round(sheet.style.trace_width * plan.px_per_mm))
        write_page(Page(np.repeat(truth.mask(page, pen)[..., None], 3, axis=2)), target.with_suffix(".mask.png"))
    return page


def write_page(page: Page, path: Path) -> None:
    """Write the pixels, at their true scale where it is known. Raises UsageError where they cannot be written."""
    from PIL import Image

    dpi = 25.4 * (page.px_per_mm or 0)
    scale: dict[str, Any] = {"dpi": (dpi, dpi), "resolution": dpi} if dpi else {}  # PDF reads the second
    _write(path, lambda: Image.fromarray(page.pixels).save(path, **scale))


def write_signal(record: Record, path: Path) -> None:
    """Write the signal as a table. Raises UsageError where it cannot be written."""
    _write(path, lambda: text.write(record, path))


def check_writable(path: Path) -> None:
    """Make the folder of ``path``, and raise UsageError where nothing can be written there."""
    _write(path, lambda: None)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: choose a name that is not taken, in a folder that can be written")


def _write(path: Path, write: Callable[[], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write()
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror or error}): choose another name or folder") from error
    except ValueError as error:  # Pillow's, for an ending it does not know or a page too large for the format
        raise UsageError(f"cannot write {path} ({error}): choose another format") from error


def contact_sheet(thumbnails: Sequence[Pixels]) -> Page:
    """Return small pages, four in a row that is as high as the highest of them."""
    rows = []
    for i in range(0, len(thumbnails), _ACROSS):
        shown = thumbnails[i : i + _ACROSS]
        row = np.full((max(len(small) for small in shown) + _GAP, _ACROSS * (_THUMBNAIL[0] + _GAP), 3), 128, np.uint8)
        for k, small in enumerate(shown):
            x = k * (_THUMBNAIL[0] + _GAP)
            row[: small.shape[0], x : x + small.shape[1]] = small
        rows.append(row)
    return Page(np.concatenate(rows))


def _compose(record: Record, plan: Plan, rng: np.random.Generator) -> Sheet:
    layout = load_layout(str(rng.choice(layouts())) if plan.layout == "random" else plan.layout)
    if plan.rhythm:
        try:
            layout = replace(layout, rhythm=plan.rhythm)
        except ValueError as error:
            raise UsageError(str(error)) from error
    style = random_style(rng) if plan.style == "random" else load_style(plan.style)
    notes = _note(record, plan, rng)
    return compose(record, layout, style, start=plan.start, speed=plan.speed, gain=plan.gain, notes=notes)


def _note(record: Record, plan: Plan, rng: np.random.Generator) -> Notes | None:
    if plan.notes == "measured":
        return measured_notes(measure(record).summary())
    return random_notes(rng) if plan.notes == "invented" else None


def _small(pixels: Pixels) -> Pixels:
    scale = min(_THUMBNAIL[0] / pixels.shape[1], _THUMBNAIL[1] / pixels.shape[0])
    size = max(1, int(pixels.shape[1] * scale)), max(1, int(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
