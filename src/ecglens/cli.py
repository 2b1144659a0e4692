"""The command line: parse, call, show. Modules that take long to import are imported where they are used."""

import json
import logging
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecglens import __version__
from ecglens.errors import EcgLensError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from ecglens.diagnosis import Diagnosis
    from ecglens.paper import Page

NOTICE = "Not a medical device: a person trained to read ECGs must confirm every answer."

app = typer.Typer(
    help=f"Read 12-lead ECGs from pictures and signals. {NOTICE}", add_completion=False, no_args_is_help=True
)

UNREAD = 3  # exit code when some of the ECGs could not be read


class Format(StrEnum):
    """How answers are printed."""

    table = "table"
    json = "json"


class Kind(StrEnum):
    """What a model reads."""

    image = "image"
    signal = "signal"


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
    output: Annotated[Path | None, typer.Option(help="Write annotated pictures to this folder.")] = None,
    model: Annotated[Path | None, typer.Option(help="An ONNX model other than the one that ships.")] = None,
) -> None:
    """Answer for each ECG: six diagnoses and sex. Exit code 3 when some could not be read."""
    from ecglens.diagnosis import diagnose_file

    answered: list[Diagnosis] = []
    unread = 0
    try:
        for path in list(_ecg_files(inputs)):
            for answer in diagnose_file(path, model=model):
                unread += not answer.readable
                if form is Format.json:
                    typer.echo(json.dumps(answer.to_dict()))
                elif not answer.readable:
                    typer.echo(f"{answer.source}: {answer.reason}", err=True)
                if output and answer.readable:
                    written = _write_annotated(answer, output)
                    typer.echo(f"{answer.source}: annotated picture in {written}", err=form is Format.json)
                if answer.readable:
                    answered.append(answer.without_pixels())
    finally:
        if form is Format.table:
            _show(answered)
    if unread:
        raise typer.Exit(UNREAD)


def _ecg_files(inputs: list[str]) -> Iterator[Path | bytes]:
    """What to read: files as named, folders searched for known endings, ``-`` as standard input's bytes."""
    from ecglens.io import ECG_SUFFIXES

    for name in inputs:
        path = Path(name)
        if name == "-":
            yield sys.stdin.buffer.read()
        elif path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in ECG_SUFFIXES and p.is_file())
            if not found:
                raise UsageError(f"the folder {name} holds no ECG files: name the files themselves")
            yield from found
        else:
            yield path


def _write_annotated(answer: "Diagnosis", folder: Path) -> Path:
    stem = "stdin" if answer.source == "-" else Path(answer.source).stem
    name = stem if answer.page == 1 else f"{stem}-{answer.page}"
    path, copies = folder / f"{name}.png", 1
    while path.exists():  # two inputs may share a name; nothing that exists is overwritten
        copies += 1
        path = folder / f"{name}_{copies}.png"
    _write_page(answer.annotated, path)
    return path


def _write_page(page: "Page", path: Path) -> None:
    from PIL import Image

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        dpi = 25.4 * (page.px_per_mm or 72 / 25.4)
        Image.fromarray(page.pixels).save(path, dpi=(dpi, dpi), resolution=dpi)  # resolution: the same for PDF
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {error}; choose another name") from error


def _show(answers: "list[Diagnosis]") -> None:
    from rich.console import Console

    from ecglens.report.text import findings_table, summary_table

    console = Console()
    if len(answers) == 1:
        console.print(findings_table(answers[0]))
    elif answers:
        console.print(summary_table(answers))
    if answers:
        console.print(NOTICE, style="dim")


@app.command()
def render(
    record: Annotated[Path, typer.Argument(help="A digital ECG, such as a WFDB header.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write: .png, .jpg, .pdf, ...")],
    layout: Annotated[str, typer.Option(help="A layout's name or TOML file.")] = "3x4+1",
    style: Annotated[str, typer.Option(help="A style's name or TOML file, or 'random'.")] = "red",
    start: Annotated[float, typer.Option(help="Seconds into the record.")] = 0.0,
    rotation: Annotated[float, typer.Option(help="Degrees, anticlockwise.")] = 0.0,
    px_per_mm: Annotated[float, typer.Option(help="Pixels per millimetre.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Seed of a random style.")] = 0,
) -> None:
    """Draw a digital ECG as a page, true to scale."""
    import numpy as np

    from ecglens import paper
    from ecglens.io import read

    ecg = read(record)
    if isinstance(ecg, paper.Page):
        raise UsageError(f"{record} is a picture already: give a digital ECG")
    look = paper.random_style(np.random.default_rng(seed)) if style == "random" else style
    page = paper.render(ecg, layout, look, start=start, rotation=rotation, px_per_mm=px_per_mm)
    _write_page(page, output)
    typer.echo(str(output))


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write WFDB records to.")],
    label: Annotated[
        list[str] | None, typer.Option(help="A label that holds; repeat for more, leave out for none.")
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="How many ECGs.")] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same ECGs.")] = 0,
    duration: Annotated[float, typer.Option(help="Seconds.")] = 10.0,
    fs: Annotated[float, typer.Option(help="Samples a second.")] = 500.0,
) -> None:
    """Make ECGs whose labels are known, as WFDB records."""
    import numpy as np

    from ecglens.io import wfdb
    from ecglens.simulator import simulate as make

    labels = label or []
    for i in range(n):
        record = make(labels, rng=np.random.default_rng([seed, i]), duration=duration, fs=fs)
        notes = {
            "Sex": "Male" if "male" in labels else "Female",
            "Dx": ",".join(_snomed(labels)),
            "Source": "simulated",
        }
        typer.echo(str(wfdb.write(record, output / f"sim{i:05d}", notes)))


def _snomed(labels: list[str]) -> list[str]:
    """The diagnoses' codes as the PhysioNet Challenge writes them; sinus rhythm where there is none."""
    from ecglens.labels import DIAGNOSES

    return [label.snomed[0] for label in DIAGNOSES if label.key in labels] or ["426783006"]


@app.command()
def train(
    kind: Annotated[Kind, typer.Argument(help="What the model reads.")],
    data: Annotated[Path, typer.Option(help="A dataset folder, such as PTB-XL's.")],
    out: Annotated[Path, typer.Option(help="The run's folder; a run found there is carried on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="A TOML file with the run's settings; the paper's otherwise.")
    ] = None,
    init: Annotated[str, typer.Option(help="First weights: imagenet, none, or a safetensors file.")] = "none",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare examples; one a core otherwise.")
    ] = None,
) -> None:
    """Train a model. Killed at any moment, the same command carries the run on."""
    _need_torch("training")
    from ecglens import config
    from ecglens import train as training

    default = training.PAPER_IMAGE if kind is Kind.image else training.PAPER_SIGNAL
    chosen = config.load(recipe, training.Recipe) if recipe else default
    training.train(kind.value, data, out, chosen, init=init, device=device, workers=workers)
    typer.echo(f"trained; the log is {out / 'log.jsonl'}; next: ecglens export {out} --name NAME -o MODEL.onnx")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder that `ecglens train` wrote.")],
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

    typer.echo(str(write(run, output, name=name, version=version, storage=storage.value)))


@app.command()
def evaluate(
    kind: Annotated[Kind, typer.Argument(help="Which model: a signal is read as it is, or drawn as a page first.")],
    data: Annotated[Path, typer.Option(help="A dataset folder, such as PTB-XL's.")],
    fold: Annotated[list[int], typer.Option(help="Folds to score; repeat for more.")],
    model: Annotated[Path | None, typer.Option(help="An ONNX model other than the one that ships.")] = None,
    layout: Annotated[list[str] | None, typer.Option(help="Layouts to draw; the paper's four otherwise.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the pages' layout, style and turn.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Score the first exams only.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write labels and probabilities as CSV.")
    ] = None,
) -> None:
    """Score a model on a dataset, label by label."""
    from rich.console import Console
    from rich.progress import Progress

    from ecglens import evaluate as evaluation
    from ecglens.datasets.index import open_dataset
    from ecglens.paper import PAPER_LAYOUTS
    from ecglens.report.text import scores_table

    if output and not output.resolve().parent.is_dir():
        raise UsageError(f"there is no folder for {output}: make it first")
    dataset = open_dataset(data)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("diagnosing", total=len(dataset.in_folds(fold)[:limit]))
        result = evaluation.evaluate(
            dataset,
            fold,
            kind.value,
            layouts=layout or PAPER_LAYOUTS,
            model=model,
            seed=seed,
            limit=limit,
            tick=lambda: bar.advance(task),
        )
    Console().print(scores_table(result.scores()))
    typer.echo(f"{len(result.exams)} exams scored, {len(result.refused)} could not be read")
    for exam, reason in result.refused:
        typer.echo(f"exam {exam}: {reason}", err=True)
    if output:
        result.write(output)


@app.command()
def bench(repeats: Annotated[int, typer.Option(min=3, help="How often each thing is timed.")] = 30) -> None:
    """Time the start, and a diagnosis beside the bare network pass it contains."""
    from rich.console import Console

    from ecglens.bench import run

    Console().print(run(repeats))


def _need_torch(purpose: str) -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("torch", "monai", "onnx", "safetensors")):
        raise MissingExtraError("train", purpose)
