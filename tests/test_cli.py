"""The command line: what it prints, what it writes, how it ends."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ecglens
from ecglens.cli import main
from ecglens.datasets import open_dataset
from ecglens.labels import KEYS
from ecglens.paper import layouts, styles
from ecglens.paper.damage import EFFECTS, WAYS
from ecglens.paper.layout import Layout
from ecglens.paper.style import Style


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command as a user does; a traceback is never an answer."""
    command = [sys.executable, "-m", "ecglens", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    result = subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated record, its page as a picture, and a file that is no ECG."""
    path = tmp_path_factory.mktemp("ecgs")
    assert run("simulate", "--label", "LBBB", "--seed", "2", "-o", path).returncode == 0
    assert run("render", path / "sim00000.hea", "-o", path / "page.png").returncode == 0
    (path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nthis is no picture")
    return path


def test_help_imports_nothing_slow() -> None:
    code = "import sys, ecglens.cli; print([m for m in ('numpy', 'cv2', 'onnxruntime', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "diagnose" in run("--help").stdout
    assert ecglens.__version__ in run("--version").stdout


def test_all_files_are_answered_for_though_some_cannot_be_read(folder: Path) -> None:
    done = run("diagnose", folder, folder / "missing.png", "--format", "json")
    assert done.returncode == 3
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    by_name = {Path(answer["source"]).name: answer for answer in answers}
    assert set(by_name) == {"sim00000.hea", "page.png", "broken.png", "missing.png"}
    assert {name for name, answer in by_name.items() if answer["readable"]} == {"sim00000.hea", "page.png"}
    for name in ("broken.png", "missing.png"):
        assert name in by_name[name]["reason"]


def test_a_table_shows_every_label_and_the_annotated_picture(folder: Path, tmp_path: Path) -> None:
    done = run("diagnose", folder / "page.png", "--output", tmp_path)
    assert done.returncode == 0
    assert all(key in done.stdout for key in KEYS)
    assert "page.png" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"open {tmp_path / 'page.png'}")
    annotated, page = (ecglens.read(path / "page.png").pixels for path in (tmp_path, folder))
    assert annotated.shape[1] == page.shape[1]
    assert annotated.shape[0] > page.shape[0]


def test_many_ecgs_are_one_table(folder: Path) -> None:
    done = run("diagnose", folder / "page.png", folder / "sim00000.hea")
    assert done.returncode == 0
    answers = [ecglens.diagnose(folder / name) for name in ("page.png", "sim00000.hea")]
    unjudged = sum(len(answer.card.not_judged) for answer in answers if answer.card)
    assert (done.stdout.count("%"), done.stdout.count("–")) == (2 * len(KEYS) - unjudged, unjudged + 1)
    assert done.stdout.count(" *") == sum(finding.positive for answer in answers for finding in answer.labels.values())


def test_json_names_the_annotated_picture_and_the_signal_that_was_read(folder: Path, tmp_path: Path) -> None:
    given = [folder / name for name in ("page.png", "broken.png", "sim00000.hea")]
    done = run("diagnose", *given, "-o", tmp_path, "--format", "json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["annotated"] for answer in answers] == [
        str(tmp_path / "page.png"),
        None,
        str(tmp_path / "sim00000.png"),
    ]
    assert [answer["signal"] for answer in answers] == [str(tmp_path / "page.csv"), None, None]
    assert Path(answers[0]["annotated"]).exists()
    read, signal = ecglens.diagnose(folder / "page.png").signal, ecglens.read(tmp_path / "page.csv")
    assert signal.fs == read.fs
    np.testing.assert_allclose(signal.signal, read.signal, atol=1e-4)


def test_the_table_says_how_many_could_not_be_read(folder: Path) -> None:
    done = run("diagnose", folder / "page.png", folder / "broken.png")
    assert "1 of 2 could not be read" in done.stderr


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("diagnose", folder / "page.png", "--output", tmp_path).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"page.png", "page.csv", "page_2.png", "page_2.csv"}


def test_what_is_written_is_called_like_the_ecg(folder: Path, tmp_path: Path) -> None:
    names = ["..png", "a.b.png"]
    for name in names:
        (tmp_path / name).write_bytes((folder / "page.png").read_bytes())
    done = run("diagnose", *(tmp_path / name for name in names), folder / "sim00000.hea", "-o", tmp_path / "out")
    assert done.returncode == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"ecg.png", "ecg.csv", "a.b.png", "a.b.csv", "sim00000.png"}


def test_a_table_that_cannot_be_written_is_one_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "page.csv").symlink_to(tmp_path / "nowhere" / "page.csv")
    done = run("diagnose", folder / "page.png", "-o", tmp_path)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to write to")
def test_a_full_disk_is_one_error(folder: Path) -> None:
    command = [sys.executable, "-m", "ecglens", "diagnose", folder / "sim00000.hea", "--format", "json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "ecglens: cannot write: No space left on device\n"


def test_a_folder_without_ecgs_is_answered_for_too(folder: Path, tmp_path: Path) -> None:
    done = run("diagnose", tmp_path, folder / "page.png", "--fs", 500, "--format", "json")
    assert done.returncode == 3
    assert [json.loads(line)["readable"] for line in done.stdout.splitlines()] == [False, True]
    assert done.stderr == f"{folder / 'page.png'}: a picture, for which --fs and --unit say nothing\n"


def test_answers_and_scores_need_no_pytorch(folder: Path, simulated_ptbxl: Path) -> None:
    """Whoever only diagnoses has not installed it."""
    for command in (
        ["diagnose", str(folder / "page.png")],
        ["evaluate", "image", "--data", str(simulated_ptbxl), "--fold", "3"],
    ):
        code = f"import sys; sys.modules['torch'] = None; from ecglens.cli import app; app({command})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_speed_and_gain_are_for_pictures(folder: Path) -> None:
    names = [folder / name for name in ("page.png", "sim00000.hea")]
    done = run("diagnose", *names, "--speed", 50, "--gain", "10/5", "--format", "json")
    assert done.returncode == 0
    page, signal = (json.loads(line)["quality"] for line in done.stdout.splitlines())
    assert (page["speed_mm_s"], page["gain_mm_mv"]) == (50, {"limb": 10, "chest": 5})
    assert "speed_mm_s" not in signal
    assert done.stderr == f"{names[1]}: a signal, for which --speed and --gain say nothing\n"


def test_standard_input_is_a_file(folder: Path) -> None:
    done = run("diagnose", "-", "--format", "json", stdin=(folder / "page.png").read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout)["source"] == "-"
    assert run("diagnose", "-").returncode == 3


def test_several_ecgs_of_plain_numbers_are_answered_one_by_one(tmp_path: Path) -> None:
    signals = [ecglens.simulate({key}, rng=np.random.default_rng(1), fs=250).signal for key in ("ST", "SB")]
    np.save(tmp_path / "two.npy", 1000 * np.stack(signals))
    refused = run("diagnose", tmp_path / "two.npy")
    assert refused.returncode == 3
    assert "give it (fs, in Hz)" in refused.stderr
    done = run("diagnose", tmp_path, "--fs", 250, "--unit", "uV", "--format", "json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["page"] for answer in answers] == [1, 2]
    fast, slow = (answer["measurements"]["heart_rate_bpm"] for answer in answers)
    assert fast > 100
    assert slow < 60


def test_simulated_records_are_told_by_their_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        assert (
            run(
                "simulate", "--label", "AF", "--label", "male", "--n", 2, "--seed", seed, "-o", tmp_path / name
            ).returncode
            == 0
        )
    one, again, other = (
        np.stack([ecglens.read(tmp_path / name / f"sim0000{i}.hea").signal for i in (0, 1)])
        for name in ("one", "again", "other")
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert "# Dx: 164889003" in (tmp_path / "one" / "sim00000.hea").read_text()


def test_many_simulated_records_are_one_line_and_a_dataset(tmp_path: Path) -> None:
    done = run("simulate", "--label", "none", "--n", 3, "--fs", 100, "--noise", 0, "-o", tmp_path / "ecgs")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"3 ECGs in {tmp_path}/ecgs, listed in {tmp_path}/ecgs/ecglens.csv"]
    dataset = open_dataset(tmp_path / "ecgs")
    assert len(dataset) == 3
    assert dataset.read(2).fs == 100
    again = run("simulate", "-o", tmp_path / "ecgs")
    assert again.returncode == 2
    assert "ecglens.csv exists already: choose another folder" in again.stderr


def test_one_simulated_record_is_named(tmp_path: Path) -> None:
    done = run("simulate", "-o", tmp_path)
    assert done.stdout == f"{tmp_path / 'sim00000.hea'}\n"
    assert done.stderr == ""


def test_what_can_be_simulated_is_listed() -> None:
    lines = dict(line.split(maxsplit=1) for line in run("simulate", "--list").stdout.splitlines())
    assert set(KEYS) < set(lines)
    assert lines["AFLT"] == "atrial flutter"


def test_a_page_is_true_to_scale(folder: Path, tmp_path: Path) -> None:
    assert (
        run(
            "render", folder / "sim00000.hea", "-o", tmp_path / "p.png", "--px-per-mm", 10, "--layout", "6x2"
        ).returncode
        == 0
    )
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.info["dpi"][0] == pytest.approx(254, abs=0.1)


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_a_page_is_lines_in_mm(folder: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"page.{ending}"
    done = run("render", folder / "sim00000.hea", "--layout", "3x4", "--rhythm", "V1", "-o", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}\n", "")
    assert path.read_bytes().startswith(b"%PDF-1.4" if ending == "pdf" else b"<svg")
    if ending == "svg":
        assert 'width="280mm" height="130mm"' in path.read_text()


def test_a_worn_page_and_its_truth_follow_from_the_seed(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        arguments = ("--style", "random", "--notes", "invented", "--wear", 0.5, "--seed", seed, "--px-per-mm", 3)
        done = run("render", folder / "sim00000.hea", *arguments, "--truth", "-o", tmp_path / name / "page.png")
        assert done.returncode == 0
    names = {"page.png", "page.json", "page.mask.png"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names
    one, again, other = (
        {name: (tmp_path / run / name).read_bytes() for name in names} for run in ("one", "again", "other")
    )
    assert one == again
    assert all(one[name] != other[name] for name in names)
    said = json.loads(one["page.json"])
    assert (said["schema"], len(said["traces"])) == ("ecglens-page/1", 13)


def test_folders_are_drawn_with_a_contact_sheet_and_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    ecgs, pages = tmp_path / "ecgs", tmp_path / "pages"
    assert run("simulate", "--n", 3, "--fs", 100, "-o", ecgs).returncode == 0
    (ecgs / "broken.hea").write_text("this is no header")
    arguments = ("--format", "jpg", "--px-per-mm", 2, "--workers", 2, "--contact-sheet", tmp_path / "sheet.png")
    done = run("render", ecgs, "-o", pages, *arguments)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [f"3 pages in {pages}", str(tmp_path / "sheet.png")]
    assert "broken.hea" in done.stderr
    assert {path.name for path in pages.iterdir()} == {f"sim0000{i}.jpg" for i in range(3)}
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size[0] > 3 * 480


def test_layouts_and_styles_are_listed() -> None:
    lines = run("render", "--list").stdout.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [
        "layouts:",
        "styles:",
        "ways of wear:",
        "effects of wear:",
        "a layout's TOML file, whose keys have these defaults:",
        "a style's TOML file, whose keys have these defaults:",
    ]
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    entries = [*layouts(), *styles(), *WAYS, *EFFECTS]
    assert names[: len(entries)] == entries
    keys = {field.name for kind in (Layout, Style) for field in dataclasses.fields(kind)}
    assert {name.split(".")[0] for name in names[len(entries) :]} == keys


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--layout", "4x3"], "unknown layout '4x3': choose"),
        (["--style", "mauve"], "unknown style 'mauve': choose"),
        (["--rhythm", "V9"], "'V9' is no lead; choose"),
        (["--gain", "large"], "--gain large cannot be read: give"),
        (["--speed", "0"], "0 mm/s and 10 mm/mV are no ECG's: give"),
        (["--wear", "2"], "grades of wear from 2 to 2 are none: give"),
        (["--rotation", "nan"], "turned by nan degrees: give"),
        (["--px-per-mm", "0"], "0 pixels per mm: give"),
        (["--start", "-1"], "start at -1 s of 10 s: choose"),
        (["--start", "99"], "is over after 10 s: choose"),
        (["--wear", "0.5", "-o", "page.svg"], "neither worn nor turned: choose"),
        (["-o", "page.xyz"], "a page cannot be called page.xyz: end its name with"),
        (["--format", "gif", "-o", "pages"], "'gif': choose png"),
        (["ECG", "-o", "page.png"], "page.png is one file for 2 records: give"),
        (["--contact-sheet", "sheet"], "cannot be called sheet: end its name with"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(
    arguments: list[str],
    says: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ecg = str(folder / "sim00000.hea")
    words = ["ecglens", "render", ecg, "-o", "page.png", *(ecg if word == "ECG" else word for word in arguments)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as done:
        main()
    out, error = capsys.readouterr()
    assert done.value.code == (3 if "99" in arguments else 2)
    assert says in error
    assert len(error.splitlines()) == 1
    assert out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["diagnose", "--format", "xml", "a.png"], "xml"),
        (["render", "nothing.hea", "-o", "x.png"], "nothing.hea"),
        (["simulate", "--label", "flu", "-o", "x"], "flu"),
        (["simulate", "--label", "none", "--label", "AF", "-o", "x"], "no other label"),
        (["simulate", "--seed", "-1", "-o", "x"], "seed"),
        (["train", "signal", "--data", "nowhere", "--out", "x"], "nowhere"),
        (["evaluate", "signal", "--data", "nowhere", "--fold", "9", "--calibrate"], "--model"),
        (["export", "nowhere", "-o", "x.onnx", "--name", "x"], "no trained model"),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode in (2, 3, 4)
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_dataset_is_scored(simulated_ptbxl: Path, tmp_path: Path) -> None:
    scored = ["evaluate", "signal", "--data", simulated_ptbxl, "--fold", 9, "--fold", 10, "--cross-fit"]
    files = ["-o", tmp_path / "answers.csv", "--scores", tmp_path / "scores.csv", "--figures", tmp_path / "figures"]
    done = run(*scored, *files)
    assert done.returncode == 0, done.stderr
    assert "6 exams scored, 0 could not be read" in done.stdout
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 7
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 9
    assert len(list((tmp_path / "figures").iterdir())) == 3
    drawn = ["--limit", 1, "--layout", "3x4+2", "--style", "blue", "--px-per-mm", 8]
    assert run("evaluate", "image", "--data", simulated_ptbxl, "--fold", 9, *drawn).returncode == 0
