"""Print records: files of digital ECGs in, pages in PNG, JPEG, PDF or SVG out, with their truth where it is wanted."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from zlib import crc32

import cv2
import numpy as np

from ecglens.errors import FormatError, SignalError, UnreadableError, UsageError
from ecglens.intervals import measure
from ecglens.io import read
from ecglens.paper import truth, vector
from ecglens.paper.damage import wear
from ecglens.paper.drawing import draw
from ecglens.paper.furniture import Notes, measured_notes, random_notes
from ecglens.paper.layout import load_layout
from ecglens.paper.page import Page, Pixels
from ecglens.paper.sheet import Gain, Sheet, compose
from ecglens.paper.style import load_style, random_style
from ecglens.record import Record

FORMATS: Final = ("png", "jpg", "pdf", "svg")

_THUMBNAIL: Final = (480, 360)  # width, height in pixels, of a page on a contact sheet
_ACROSS: Final = 4
_GAP: Final = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """How records are printed; ``style`` may be "random". ``truth`` writes a JSON file and a mask beside each page.

    The layout's own rhythm strips give way to ``rhythm`` where that is given. Everything random follows from ``seed``
    and the record's name, so a page does not depend on the others, nor on who draws it.
    """

    layout: str = "3x4+1"
    rhythm: tuple[str, ...] = ()
    style: str = "red"
    start: float = 0.0
    speed: float = 25.0
    gain: Gain = 10.0
    notes: Literal["none", "measured", "invented"] = "none"
    wear: float = 0.0
    rotation: float = 0.0
    px_per_mm: float = 8.0
    seed: int = 0
    truth: bool = False


class Printed(NamedTuple):
    """A page that was written, small; or why there is none."""

    path: Path
    thumbnail: Pixels | None
    refused: str | None


def print_one(source: Path, target: Path, plan: Plan) -> Printed:
    """Print the record at ``source`` to ``target``, whose ending says what kind of file it becomes.

    A worn page says the scale at which it was drawn. Raises UsageError for a plan or target that cannot be,
    UnreadableError where the record cannot be read or is over before the page begins.
    """
    record = read(source)
    if isinstance(record, Page):
        raise FormatError(f"{source} is a picture already: give a digital ECG")
    if plan.start >= record.duration:
        raise SignalError(f"{source} is over after {record.duration:g} s: choose an earlier start")
    rng = np.random.default_rng([plan.seed, crc32(source.stem.encode())])
    sheet = _compose(record, plan, rng)
    flat = plan.wear == 0 and plan.rotation == 0
    if target.suffix == ".svg" and not flat:
        raise UsageError("an SVG page is neither worn nor turned: choose PNG, or leave out --wear and --rotation")
    page = wear(draw(sheet, plan.px_per_mm, plan.rotation), plan.wear, rng)
    if flat and target.suffix in (".svg", ".pdf"):
        _write(target, vector.svg(sheet).encode() if target.suffix == ".svg" else vector.pdf(sheet))
    else:
        write_page(replace(page, px_per_mm=plan.px_per_mm), target)
    if plan.truth:
        _write(target.with_suffix(".json"), json.dumps(truth.describe(page, sheet, target.name)).encode())
        pen = max(1, round(sheet.style.trace_width * plan.px_per_mm))
        write_page(Page(np.repeat(truth.mask(page, pen)[..., None], 3, axis=2)), target.with_suffix(".mask.png"))
    return Printed(target, _small(page.pixels), None)


def print_all(sources: Sequence[Path], folder: Path, ending: str, plan: Plan, workers: int = 1) -> Iterator[Printed]:
    """Print every record into ``folder`` and yield what became of each, in order; one that cannot be read is passed by.

    Raises UsageError where two records would get the same name, and for an ending that is none of ``FORMATS``.
    """
    if ending not in FORMATS:
        raise UsageError(f"pages cannot be written as {ending!r}: choose {', '.join(FORMATS)}")
    targets = [folder / f"{source.stem}.{ending}" for source in sources]
    if len(set(targets)) < len(targets):
        raise UsageError("two of the records have the same name: print their folders one by one")
    work = partial(_try, plan=plan)
    if workers == 1:
        yield from map(work, sources, targets)
    else:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(work, sources, targets, chunksize=4)


def find_records(inputs: Iterable[Path]) -> list[Path]:
    """Return files as named, and of folders all WFDB headers in them. Raises UsageError for a folder without."""
    found: list[Path] = []
    for path in inputs:
        inside = sorted(path.rglob("*.hea")) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"the folder {path} holds no WFDB headers: name the files themselves")
        found += inside
    return found


def write_page(page: Page, path: Path) -> None:
    """Write the pixels, at their true scale where it is known. Raises UsageError where they cannot be written."""
    from PIL import Image

    dpi = 25.4 * (page.px_per_mm or 0)
    scale: dict[str, Any] = {"dpi": (dpi, dpi), "resolution": dpi} if dpi else {}  # PDF reads the second
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(page.pixels).save(path, **scale)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {error}; choose another name") from error


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
    layout = load_layout(plan.layout)
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


def _try(source: Path, target: Path, plan: Plan) -> Printed:
    try:
        return print_one(source, target, plan)
    except UnreadableError as error:
        return Printed(target, None, str(error))


def _small(pixels: Pixels) -> Pixels:
    scale = min(_THUMBNAIL[0] / pixels.shape[1], _THUMBNAIL[1] / pixels.shape[0])
    size = max(1, int(pixels.shape[1] * scale)), max(1, int(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another name") from error
