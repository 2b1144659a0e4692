"""The command line: parse, call, show. Modules that take long to import are imported where they are used."""

import errno
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecglens import __version__
from ecglens.errors import EcgLensError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from ecglens.diagnosis import Diagnosis
    from ecglens.io import Given
    from ecglens.paper.page import Pixels
    from ecglens.printing import Printed

NOTICE = "Not a medical device: a person trained to read ECGs must confirm every answer."

app = typer.Typer(
    help=f"Read 12-lead ECGs from pictures and signals. {NOTICE}", add_completion=False, no_args_is_help=True
)

GAIN_ADVICE = "give mm/mV as in 10, or 10/5 for limb and chest leads"
MOST_THUMBNAILS = 48  # on a contact sheet, and in memory
UNREAD = 3  # exit code when some of the ECGs could not be read


class Format(StrEnum):
    """How answers are printed."""

    table = "table"
    json = "json"


class Kind(StrEnum):
    """What a model reads."""

    image = "image"
    signal = "signal"


class PrintedNotes(StrEnum):
    """What is printed above the traces."""

    none = "none"
    measured = "measured"
    invented = "invented"


class Storage(StrEnum):
    """How large weights are kept in an exported model."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


def main() -> None:
    """Run the command line; an error made for users ends it with one sentence and its exit code."""
    try:
        app()
    except EcgLensError as error:
        print(f"ecglens: {error}", file=sys.stderr)  # noqa: T201 - the program's own message, not a log
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"ecglens: cannot write: {error.strerror}", file=sys.stderr)  # noqa: T201
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left cannot be written either
        sys.exit(UsageError.exit_code)


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")] = False,
) -> None:
    """Options of every command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("ecglens").setLevel(logging.INFO if verbose else logging.WARNING)
    if version:
        typer.echo(f"ecglens {__version__}")
        raise typer.Exit


@app.command()
def diagnose(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE|DIR|-", help="ECG files, folders of them, or - for stdin.")
    ],
    form: Annotated[
        Format, typer.Option("--format", help="A table, or one JSON object an ECG and line.")
    ] = Format.table,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write annotated pictures, and the signals read off pictures, to this folder."
        ),
    ] = None,
    fs: Annotated[float | None, typer.Option(help="Samples a second, of files that do not say: CSV, NumPy.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, of files that do not say: CSV, NumPy.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Paper speed of pictures, mm/s (5 to 200), if it is not 25.")
    ] = None,
    gain: Annotated[
        str | None, typer.Option(help="mm/mV of pictures, if not 10; two, as in 10/5, for limb and chest leads.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="An ONNX model other than the one that ships.")] = None,
) -> None:
    """Answer for each ECG: six diagnoses and sex. Exit code 3 when some could not be read."""
    from ecglens.diagnosis import diagnose_file
    from ecglens.io import NOTHING_SAID, Given

    answered: list[Diagnosis] = []
    annotated: list[Path] = []
    unread, said = 0, Given(fs, unit)
    gains = _numbers(gain, "/", "--gain", GAIN_ADVICE) if gain is not None else None
    try:
        for path in _watch_files(list(_ecg_files(inputs, said)), form):
            for answer in diagnose_file(path, fs=fs, unit=unit, speed=speed, gain=gains, model=model):
                written = _write_shown(answer, output) if output and answer.readable else {}
                if form is Format.json:
                    names = {what: str(path) for what, path in written.items()}
                    blank = {"annotated": None, "signal": None} if output else {}
                    typer.echo(json.dumps(answer.to_dict() | blank | names))
                elif not answer.readable:
                    typer.echo(f"{answer.name}: {answer.reason}", err=True)
                if answer.kind == "image" and said != NOTHING_SAID:
                    typer.echo(f"{answer.name}: a picture, for which --fs and --unit say nothing", err=True)
                if answer.kind == "signal" and (speed or gain):
                    typer.echo(f"{answer.name}: a signal, for which --speed and --gain say nothing", err=True)
                if written:
                    annotated.append(written["annotated"])
                if answer.readable:
                    answered.append(answer.without_pixels())
                else:
                    unread += 1
    finally:
        if form is Format.table:
            _show(answered)
            if unread and answered:
                typer.echo(f"{unread} of {unread + len(answered)} could not be read, for reasons named above", err=True)
        if annotated:
            what = annotated[0] if len(annotated) == 1 else f"the {len(annotated)} pictures in {output}"
            typer.echo(f"To see where the evidence lies, open {what}", err=form is Format.json)
    if unread:
        raise typer.Exit(UNREAD)


def _ecg_files(inputs: list[str], said: "Given") -> Iterator[Path | bytes]:
    """What to read: files as named, the ECGs found in folders, ``-`` as standard input's bytes.

    A folder without any stands for itself, to be refused when its turn comes.
    """
    from ecglens.io import find_files
    from ecglens.io.source import MAX_BYTES

    for name in inputs:
        path = Path(name)
        if name == "-":
            yield sys.stdin.buffer.read(MAX_BYTES + 1)
        elif path.is_dir():
            yield from find_files(path, said) or [path]
        else:
            yield path


def _watch_files(files: list[Path | bytes], form: Format) -> Iterator[Path | bytes]:
    """The files one by one; a bar on the terminal shows which is read, unless lines of JSON come there anyway."""
    if not sys.stderr.isatty() or (form is Format.json and sys.stdout.isatty()):
        yield from files
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=len(files))
        for file in files:
            bar.update(task, description="standard input" if isinstance(file, bytes) else escape(file.name))
            yield file
            bar.advance(task)


def _write_shown(answer: "Diagnosis", folder: Path) -> dict[str, Path]:
    """Write the annotated picture and, of a picture, the signal that was read off it."""
    from ecglens.printing import write_page, write_signal

    stem = "stdin" if answer.source == "-" else Path(answer.source).stem.strip(".") or "ecg"
    name = first = stem if answer.page == 1 else f"{stem}-{answer.page}"
    signal = answer.signal if answer.kind == "image" else None
    endings = {"annotated": ".png"} | ({"signal": ".csv"} if signal else {})
    copies = 1
    while any((folder / f"{name}{ending}").exists() for ending in endings.values()):
        copies += 1  # two inputs may share a name; nothing that exists is overwritten
        name = f"{first}_{copies}"
    written = {what: folder / f"{name}{ending}" for what, ending in endings.items()}
    write_page(answer.annotated, written["annotated"])
    if signal:
        write_signal(signal, written["signal"])
    return written


def _show(answers: "list[Diagnosis]") -> None:
    from rich.console import Console

    from ecglens.report.text import findings_table, summary_table

    console = Console()
    if len(answers) == 1:
        console.print(findings_table(answers[0]))
    elif answers:
        console.print(summary_table(answers))
        console.print("* called positive   ? unsure   – not judged by the model", style="dim")
    for answer in answers:
        for warning in answer.quality.get("warnings", ()):
            console.print(f"{answer.name}: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if answers:
        console.print(NOTICE, style="dim")


def _list_looks(wanted: bool) -> None:
    if wanted:
        from ecglens import config
        from ecglens.paper.damage import EFFECTS, WAYS
        from ecglens.paper.layout import LAYOUTS, Layout
        from ecglens.paper.style import STYLES, Style

        for kind, catalogue in (("layouts", LAYOUTS), ("styles", STYLES)):
            typer.echo(f"{kind}:")
            for name in catalogue.names():
                typer.echo(f"  {name:16}{catalogue.about(name)}")
        for heading, lines in (
            ("ways of wear:", WAYS),
            ("effects of wear:", EFFECTS),
            ("a layout's TOML file, whose keys have these defaults:", config.describe(Layout)),
            ("a style's TOML file, whose keys have these defaults:", config.describe(Style)),
        ):
            typer.echo("\n  ".join([heading, *lines]))
        raise typer.Exit


@app.command()
def render(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD|DIR", help="Digital ECGs, such as WFDB headers, or folders of them.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page to write: .png, .jpg, .pdf or .svg; or a folder.")
    ],
    layout: Annotated[str, typer.Option(help="A layout's name or TOML file, or 'random'.")] = "3x4+1",
    rhythm: Annotated[
        list[str] | None,
        typer.Option(help="A lead for a rhythm strip below, instead of the layout's; repeat for more."),
    ] = None,
    style: Annotated[str, typer.Option(help="A style's name or TOML file, or 'random'.")] = "red",
    start: Annotated[float, typer.Option(help="Seconds into the record.")] = 0.0,
    speed: Annotated[float, typer.Option(help="Paper speed, mm/s.")] = 25.0,
    gain: Annotated[str, typer.Option(help="mm/mV; two, as in 10/5, for limb and chest leads.")] = "10",
    notes: Annotated[
        PrintedNotes, typer.Option(help="What is printed above: nothing, the record's intervals, or an invention.")
    ] = PrintedNotes.none,
    wear: Annotated[
        str, typer.Option(help="From 0, fresh, to 1, a bad photograph of a crumpled page; 0.2-0.8 draws a grade.")
    ] = "0",
    way: Annotated[
        list[str] | None, typer.Option(help="How a worn page is made into a picture, of --list; repeat for more.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="An effect of wear, of --list, that does not happen; repeat for more.")
    ] = None,
    rotation: Annotated[float, typer.Option(help="Degrees, anticlockwise.")] = 0.0,
    px_per_mm: Annotated[float, typer.Option(help="Pixels per millimetre.")] = 8.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random style, notes and wear.")] = 0,
    truth: Annotated[
        bool, typer.Option("--truth", help="Also write where every trace is: a JSON file and a mask.")
    ] = False,
    form: Annotated[
        str | None, typer.Option("--format", help="Of pages in a folder: png (the default), jpg, pdf or svg.")
    ] = None,
    contact_sheet: Annotated[Path | None, typer.Option(help="Also write the first 48 pages side by side.")] = None,
    fs: Annotated[float | None, typer.Option(help="Samples a second, of files that do not say: CSV, NumPy.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, of files that do not say: CSV, NumPy.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to draw several pages with.")] = 1,
    _: Annotated[
        bool,
        typer.Option("--list", callback=_list_looks, is_eager=True, help="List layouts, styles, wear, keys, and end."),
    ] = False,
) -> None:
    """Draw digital ECGs as pages, true to scale. Exit code 3 when some could not be read."""
    from ecglens import printing
    from ecglens.io import Given
    from ecglens.paper.damage import WAYS

    plan = printing.Plan(
        layout=layout,
        rhythm=tuple(rhythm or ()),
        style=style,
        start=start,
        speed=speed,
        gain=_numbers(gain, "/", "--gain", GAIN_ADVICE),
        notes=notes.value,
        wear=_numbers(wear, "-", "--wear", "give a grade from 0 to 1, or two as in 0.2-0.8"),
        ways=tuple(way or WAYS),
        without=tuple(without or ()),
        rotation=rotation,
        px_per_mm=px_per_mm,
        seed=seed,
        truth=truth,
        said=Given(fs, unit),
    )
    if contact_sheet:
        if contact_sheet.suffix not in (".png", ".jpg", ".pdf"):
            raise UsageError(f"a contact sheet cannot be called {contact_sheet}: end its name with .png, .jpg or .pdf")
        printing.check_writable(contact_sheet)
    jobs = printing.find_jobs(records, output, form, plan.said)
    pages = printing.print_all(jobs, plan, workers)
    written, thumbnails, refused = _watch(pages, len(jobs))
    if written:
        typer.echo(str(written[0]) if len(written) == 1 else f"{len(written)} pages in {jobs[0].target.parent}")
    if contact_sheet and thumbnails:
        printing.write_page(printing.contact_sheet(thumbnails), contact_sheet)
        typer.echo(str(contact_sheet))
    if refused:
        raise typer.Exit(UNREAD)


def _watch(pages: "Iterator[list[Printed]]", count: int) -> "tuple[list[Path], list[Pixels], int]":
    """Show how pages come, and why some do not; return those written, the first ones small, and how many failed."""
    from rich.console import Console
    from rich.progress import Progress

    written: list[Path] = []
    thumbnails: list[Pixels] = []
    refused, console = 0, Console(stderr=True)
    with Progress(console=console, disable=count == 1) as bar:
        task = bar.add_task("drawing", total=count)
        for page in (page for file in bar.track(pages, task_id=task) for page in file):
            if page.thumbnail is None:
                refused += 1
                console.print(page.refused, markup=False, highlight=False, soft_wrap=True)
                continue
            written.append(page.path)
            if len(thumbnails) < MOST_THUMBNAILS:
                thumbnails.append(page.thumbnail)
    return written, thumbnails, refused


def _numbers(text: str, between: str, option: str, advice: str) -> float | tuple[float, float]:
    """One number, or two with a sign between them."""
    number = r"(\d+\.?\d*|\.\d+)"
    found = re.fullmatch(rf"{number}(?:{between}{number})?", text)
    if found is None:
        raise UsageError(f"{option} {text} cannot be read: {advice}")
    return float(found[1]) if found[2] is None else (float(found[1]), float(found[2]))


def _list_findings(wanted: bool) -> None:
    if wanted:
        from ecglens.simulator import FINDINGS

        for code, description in FINDINGS.items():
            typer.echo(f"{code:8}{description}")
        raise typer.Exit


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write records and their table to.")],
    label: Annotated[
        list[str] | None,
        typer.Option(help="A code of --list that holds in each; repeat for more, 'none' for none. Drawn otherwise."),
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="How many ECGs.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same ECGs.")] = 0,
    duration: Annotated[float, typer.Option(help="Seconds.")] = 10.0,
    fs: Annotated[float, typer.Option(help="Samples a second.")] = 500.0,
    noise: Annotated[float, typer.Option(help="0 for none, 1 for a routine ECG.")] = 1.0,
    _: Annotated[
        bool, typer.Option("--list", callback=_list_findings, is_eager=True, help="List what --label takes, and end.")
    ] = False,
) -> None:
    """Make ECGs whose truth is known: WFDB records, annotated, in a folder that `ecglens train` reads."""
    from rich.console import Console
    from rich.progress import Progress

    from ecglens.datasets.simulated import Plan, write_simulated
    from ecglens.datasets.table import TABLE

    plan = Plan(_findings(label), seed, duration, fs, noise)
    with Progress(console=Console(stderr=True), disable=n == 1) as bar:
        task = bar.add_task("simulating", total=n)
        headers = write_simulated(output, plan, n, tick=lambda: bar.advance(task))
    if n == 1:
        typer.echo(str(headers[0]))
    else:
        typer.echo(f"{n} ECGs in {output}, listed in {output / TABLE}")


def _findings(names: list[str] | None) -> frozenset[str] | None:
    if names and "none" in names:
        if len(names) > 1:
            raise UsageError("--label none leaves room for no other label: give one or the other")
        return frozenset()
    return frozenset(names) if names else None


@app.command()
def train(
    kind: Annotated[Kind, typer.Argument(help="What the model reads.")],
    data: Annotated[Path, typer.Option(help="A dataset folder, such as PTB-XL's.")],
    out: Annotated[Path, typer.Option(help="The run's folder; a run found there is carried on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="A TOML file with the run's settings; the paper's otherwise.")
    ] = None,
    init: Annotated[str, typer.Option(help="First weights: imagenet, none, or a safetensors file.")] = "none",
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare examples; one a core otherwise.")
    ] = None,
) -> None:
    """Train a model. Killed at any moment, the same command carries the run on."""
    _need_torch("training")
    from ecglens import config
    from ecglens.recipe import PAPER_IMAGE, PAPER_SIGNAL, Recipe
    from ecglens.train import train as run

    default = PAPER_IMAGE if kind is Kind.image else PAPER_SIGNAL
    chosen = config.load(recipe, Recipe) if recipe else default
    chosen = chosen if seed is None else replace(chosen, seed=seed)
    run(kind.value, data, out, chosen, init=init, device=device, workers=workers)
    typer.echo(f"trained; the log is {out / 'log.jsonl'}; next: ecglens export {out} --name NAME -o MODEL.onnx")


@app.command()
def export(
    runs: Annotated[
        list[Path],
        typer.Argument(help="The folder that `ecglens train` wrote; of several that take the same, the mean counts."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write; its card goes beside it.")],
    name: Annotated[str, typer.Option(help="The model's name.")],
    version: Annotated[str, typer.Option(help="The model's version.")] = __version__,
    storage: Annotated[Storage, typer.Option(help="How large weights are kept.")] = Storage.float16,
) -> None:
    """Make a trained model ready for diagnosis."""
    _need_torch("exporting")
    if output.suffix != ".onnx" or not output.resolve().parent.is_dir():
        raise UsageError(f"cannot write {output}: give a name ending in .onnx, in a folder that exists")
    from ecglens.models.export import export as write

    typer.echo(str(write(runs, output, name=name, version=version, storage=storage.value)))
    if len(runs) > 1:
        typer.echo("calibrated for the first run alone: next, ecglens evaluate --calibrate", err=True)


@app.command()
def evaluate(
    kind: Annotated[Kind, typer.Argument(help="Which model: a signal is read as it is, or drawn as a page first.")],
    data: Annotated[Path, typer.Option(help="A dataset folder, such as PTB-XL's.")],
    fold: Annotated[list[int], typer.Option(help="Folds to score; repeat for more.")],
    model: Annotated[Path | None, typer.Option(help="An ONNX model other than the one that ships.")] = None,
    layout: Annotated[
        list[str] | None, typer.Option(help="Layouts to draw pages in; repeat for more, the paper's four otherwise.")
    ] = None,
    style: Annotated[
        list[str] | None, typer.Option(help="Styles to draw pages in; repeat for more, 'random' otherwise.")
    ] = None,
    wear: Annotated[float, typer.Option(min=0, max=1, help="Grade to which pages are worn.")] = 0.0,
    px_per_mm: Annotated[float, typer.Option(min=1, help="Pixels per millimetre of pages.")] = 6.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the pages' layout, style, turn and wear.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Score the first exams only.")] = None,
    cross_fit: Annotated[
        bool,
        typer.Option(
            "--cross-fit",
            help="Calibrate anew on four fifths of the patients for the fifth: for folds the model was calibrated on.",
        ),
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Also fit calibration and thresholds in the model's card on all these exams."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes to share the exams out to.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write labels and probabilities of each exam as CSV.")
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Write the scores as CSV.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Draw reliability, ROC and risk-coverage in this folder.")
    ] = None,
) -> None:
    """Score a model on a dataset, label by label, with 95 % intervals."""
    from rich.console import Console
    from rich.progress import Progress

    from ecglens import evaluate as evaluation
    from ecglens.calibration import recalibrate
    from ecglens.datasets.index import open_dataset
    from ecglens.figures import check_matplotlib
    from ecglens.pages import Pages
    from ecglens.paper import PAPER_LAYOUTS
    from ecglens.report.text import scores_table

    for path in (output, scores):
        if path and not path.resolve().parent.is_dir():
            raise UsageError(f"there is no folder for {path}: make it first")
    if figures:
        check_matplotlib()
    if calibrate and not model:
        raise UsageError("--calibrate changes a model's card: name a copy of the model with --model")
    dataset = open_dataset(data)
    pages = Pages(tuple(layout or PAPER_LAYOUTS), tuple(style or ("random",)), wear, px_per_mm, seed)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("diagnosing", total=len(dataset.in_folds(fold)[:limit]))
        result = evaluation.evaluate(
            dataset,
            fold,
            kind.value,
            pages=pages,
            model=model,
            limit=limit,
            workers=workers,
            tick=lambda: bar.advance(task),
        )
    if calibrate and model:
        recalibrate(model.with_suffix(".json"), result.labels, result.logits)
    result = result.cross_fitted() if cross_fit or calibrate else result
    Console().print(scores_table(result))
    typer.echo(f"{len(result.exams)} exams scored, {len(result.refused)} could not be read")
    for exam, reason in result.refused:
        typer.echo(f"exam {exam}: {reason}", err=True)
    if output:
        result.write(output)
    if scores:
        result.write_scores(scores)
    if figures:
        result.draw(figures)


@app.command()
def bench(repeats: Annotated[int, typer.Option(min=3, help="How often each thing is timed.")] = 30) -> None:
    """Time the start, and a diagnosis beside the bare network pass it contains."""
    from rich.console import Console

    from ecglens.bench import run

    Console().print(run(repeats))


def _need_torch(purpose: str) -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("torch", "monai", "onnx", "safetensors", "matplotlib")):
        raise MissingExtraError("train", purpose)
