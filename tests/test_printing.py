"""Printing: one page or a folder of them, the same whoever draws them, and refused before anything is drawn."""

import json
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from ecglens import printing
from ecglens.errors import FAULT, UsageError
from ecglens.io import wfdb
from ecglens.paper import Page
from ecglens.printing import Job, Plan, Printed, check_writable, contact_sheet, find_jobs, print_all, write_page
from ecglens.record import Record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four records of ten seconds, one of them without its signal file."""
    path, t = tmp_path_factory.mktemp("records"), np.arange(2500) / 250
    for k in range(4):
        beats = np.exp(-(((t % (0.6 + 0.1 * k) - 0.3) / 0.02) ** 2))
        wfdb.write(Record(np.outer(np.linspace(0.3, 1.5, 12), beats).astype(np.float32), 250.0), path / f"r{k}")
    next(file for file in path.glob("r3.*") if file.suffix != ".hea").unlink()
    return path


def print_one(source: Path, target: Path, plan: Plan) -> Printed:
    ((printed,),) = print_all([Job(source, target)], plan)
    return printed


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("ending", ["png", "jpg", "pdf", "svg"])
def test_a_page_is_written_at_its_true_scale(folder: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"page.{ending}"
    print_one(folder / "r0.hea", path, Plan(layout="3x4", px_per_mm=4.0))
    if ending == "svg":
        assert 'width="280mm" height="105mm"' in path.read_text()
    elif ending == "pdf":
        document = pypdfium2.PdfDocument(path)
        assert np.array(document[0].get_size()) / 72 * 25.4 == pytest.approx((280, 105), abs=0.1)
        document.close()
    else:
        with Image.open(path) as image:
            assert np.array(image.size) / image.info["dpi"] * 25.4 == pytest.approx(
                (280, 105), rel=0.005
            )  # JPEG keeps whole dots an inch


def test_every_worker_draws_the_same_pages_and_one_that_cannot_be_read_is_passed_by(
    folder: Path, tmp_path: Path
) -> None:
    plan = Plan(style="random", notes="invented", wear=0.4, px_per_mm=2.0, seed=5)
    runs = [
        [page for pages in print_all(find_jobs([folder], tmp_path / str(n)) * 2, plan, workers=n) for page in pages]
        for n in (1, 2)
    ]
    assert (
        [page.refused is None for page in runs[0]]
        == [page.refused is None for page in runs[1]]
        == ([True] * 3 + [False]) * 2
    )
    assert runs[0][3].thumbnail is None
    for one, other in zip(*runs, strict=True):
        if one.refused is None:
            np.testing.assert_array_equal(pixels(one.path), pixels(other.path))
    alone = print_one(folder / "r1.hea", tmp_path / "alone.png", plan)
    np.testing.assert_array_equal(pixels(alone.path), pixels(runs[0][1].path))
    assert not np.array_equal(pixels(runs[0][0].path), pixels(runs[0][1].path))


def test_truth_lies_beside_the_page(folder: Path, tmp_path: Path) -> None:
    print_one(folder / "r1.hea", tmp_path / "page.png", Plan(truth=True, wear=0.5, px_per_mm=3.0, rhythm=("V5", "II")))
    said = json.loads((tmp_path / "page.json").read_text())
    mask = pixels(tmp_path / "page.mask.png")
    assert (said["height"], said["width"]) == mask.shape[:2] == pixels(tmp_path / "page.png").shape[:2]
    assert [trace["lead"] for trace in said["traces"]][-2:] == ["V5", "II"]
    assert set(np.unique(mask)) == set(range(13))


def test_a_worn_page_says_the_scale_at_which_it_was_drawn(folder: Path, tmp_path: Path) -> None:
    print_one(folder / "r0.hea", tmp_path / "page.pdf", Plan(layout="3x4", px_per_mm=4.0, wear=1.0))
    document = pypdfium2.PdfDocument(tmp_path / "page.pdf")
    assert np.array(document[0].get_size()) / 72 * 25.4 == pytest.approx((280, 105), abs=0.2)
    document.close()


def test_a_record_over_before_the_page_begins_is_passed_by(folder: Path, tmp_path: Path) -> None:
    page = print_one(folder / "r0.hea", tmp_path / "page.png", Plan(start=10.0))
    assert page.refused == "r0.hea is over after 10 s: choose an earlier start"
    assert page.thumbnail is None


def test_measured_notes_are_of_the_record(folder: Path, tmp_path: Path) -> None:
    plain, measured = (
        print_one(folder / "r2.hea", tmp_path / f"{notes}.png", Plan(notes=notes)) for notes in ("none", "measured")
    )
    assert pixels(measured.path).shape[0] > pixels(plain.path).shape[0]


def test_a_contact_sheet_shows_its_pages_side_by_side() -> None:
    thumbnails = [np.full((100, 300, 3), level, np.uint8) for level in (10, 20, 30, 40, 50)]
    board = contact_sheet(thumbnails).pixels
    assert board.shape == (212, 1944, 3)
    assert [int(board[50, x, 0]) for x in (50, 536, 1022, 1508)] == [10, 20, 30, 40]
    assert board[150, 50, 0] == 50


@pytest.mark.parametrize(
    ("plan", "name", "said"),
    [
        (Plan(wear=0.5), "page.svg", "neither worn nor turned"),
        (Plan(rotation=5.0), "page.svg", "neither worn nor turned"),
        (Plan(rhythm=("V9",)), "page.png", "rhythm: 'V9' is no lead"),
        (Plan(style="mauve"), "page.png", "unknown style 'mauve'"),
        (Plan(wear=0.5, ways=("post",)), "page.png", "'post' is no way"),
    ],
)
def test_what_cannot_be_printed_is_refused(folder: Path, tmp_path: Path, plan: Plan, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        print_one(folder / "r0.hea", tmp_path / name, plan)


def test_layout_and_grade_are_drawn_for_each_page(folder: Path, tmp_path: Path) -> None:
    plan = Plan(layout="random", wear=(0.2, 0.8), ways=("photo",), px_per_mm=2.0, truth=True)
    jobs = find_jobs([folder], tmp_path)[:3]
    assert all(printed.refused is None for (printed,) in print_all(jobs, plan))
    said = [json.loads(job.target.with_suffix(".json").read_text()) for job in jobs]
    assert len({one["layout"] for one in said}) > 1


def test_pages_lie_as_their_records_do(folder: Path, tmp_path: Path) -> None:
    for ward in ("a", "b"):
        (tmp_path / "in" / ward).mkdir(parents=True)
        for file in folder.glob("r0.*"):
            (tmp_path / "in" / ward / file.name).write_bytes(file.read_bytes())
    jobs = find_jobs([tmp_path / "in"], tmp_path / "out", "jpg")
    assert [job.target for job in jobs] == [tmp_path / "out" / "a" / "r0.jpg", tmp_path / "out" / "b" / "r0.jpg"]
    with pytest.raises(UsageError, match="same name"):
        find_jobs([tmp_path / "in" / "a", tmp_path / "in" / "b"], tmp_path / "out")


def test_every_record_of_a_file_gets_its_page(tmp_path: Path) -> None:
    path, t = tmp_path / "exams.npy", np.arange(600) / 100
    beats = np.exp(-((((t % 0.8) - 0.3) / 0.02) ** 2))
    np.savez(path.with_suffix(".npz"), signal=np.stack([np.outer(np.arange(1, 13), beats)] * 2), fs=100, unit="mV")
    (pages,) = print_all(find_jobs([path.with_suffix(".npz")], tmp_path / "out"), Plan(px_per_mm=2.0))
    assert [(page.path.name, page.refused) for page in pages] == [("exams-1.png", None), ("exams-2.png", None)]


@pytest.mark.parametrize(
    ("records", "output", "ending", "said"),
    [
        (["r0.hea"], "page.gif", None, r"end its name with \.png, \.jpg"),
        (["r0.hea"], "page.png", "svg", "a page cannot be called"),
        (["r0.hea"], "pages", "gif", "cannot be written as 'gif'"),
        (["r0.hea", "r1.hea"], "page.png", None, "one file for 2 records"),
        (["r0.hea"], "r1.hea/page.png", None, "cannot write"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_anything_is_drawn(
    folder: Path, records: list[str], output: str, ending: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        find_jobs([folder / name for name in records], folder / output, ending)


@pytest.mark.parametrize("wear", [2.0, (0.8, 0.2), (0.2, float("nan")), -0.1])
def test_grades_that_cannot_be_are_refused(wear: float | tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="grades of wear"):
        Plan(wear=wear)


def test_a_fault_of_ours_costs_one_page(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter([Page(np.zeros((40, 40, 3), np.uint8))])
    monkeypatch.setattr(printing, "draw", lambda *_: next(pages))  # which ends after the first
    printed = [page for pages in print_all(find_jobs([folder], tmp_path)[:2], Plan()) for page in pages]
    assert [page.refused for page in printed] == [None, FAULT]


def test_a_folder_without_records_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    write_page(Page(np.zeros((9, 9, 3), np.uint8)), tmp_path / "scans" / "page.png")
    jobs = find_jobs([tmp_path / "scans", folder / "r0.hea"], tmp_path / "out")
    refused, printed = (page for pages in print_all(jobs, Plan(px_per_mm=2.0)) for page in pages)
    assert refused.refused == "scans is a folder, of which no file was read: give the files in it"
    assert printed.refused is None


def test_records_that_cannot_be_found_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no digital ECGs in"):
        find_jobs([tmp_path], tmp_path / "out")
    assert "does not exist" in (print_one(tmp_path / "absent.hea", tmp_path / "page.png", Plan()).refused or "")
    page = tmp_path / "page.png"
    write_page(Page(np.zeros((9, 9, 3), np.uint8)), page)
    assert "picture already" in (print_one(page, tmp_path / "other.png", Plan()).refused or "")
    with pytest.raises(UsageError, match="choose a name that is not taken"):
        check_writable(tmp_path)
