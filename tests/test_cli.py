"""The command line: what it prints, what it writes, how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ecglens
from ecglens.datasets import open_dataset
from ecglens.labels import KEYS


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
    annotated, page = (ecglens.read(path / "page.png").pixels for path in (tmp_path, folder))
    assert annotated.shape[1] == page.shape[1]
    assert annotated.shape[0] > page.shape[0]


def test_many_ecgs_are_one_table(folder: Path) -> None:
    done = run("diagnose", folder / "page.png", folder / "sim00000.hea")
    assert done.returncode == 0
    assert done.stdout.count("%") == 2 * len(KEYS)


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("diagnose", folder / "page.png", "--output", tmp_path).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"page.png", "page_2.png"}


def test_standard_input_is_a_file(folder: Path) -> None:
    done = run("diagnose", "-", "--format", "json", stdin=(folder / "page.png").read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout)["source"] == "-"
    assert run("diagnose", "-").returncode == 3


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
    assert done.stdout.splitlines() == [
        f"3 ECGs in {tmp_path}/ecgs; next: ecglens train signal --data {tmp_path}/ecgs --out RUN"
    ]
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["diagnose", "--format", "xml", "a.png"], "xml"),
        (["render", "nothing.hea", "-o", "x.png"], "nothing.hea"),
        (["simulate", "--label", "flu", "-o", "x"], "flu"),
        (["simulate", "--label", "none", "--label", "AF", "-o", "x"], "no other label"),
        (["simulate", "--seed", "-1", "-o", "x"], "seed"),
        (["train", "signal", "--data", "nowhere", "--out", "x"], "nowhere"),
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
    done = run(
        "evaluate", "signal", "--data", simulated_ptbxl, "--fold", 9, "--fold", 10, "-o", tmp_path / "scores.csv"
    )
    assert done.returncode == 0, done.stderr
    assert "6 exams scored, 0 could not be read" in done.stdout
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 7
    assert run("evaluate", "image", "--data", simulated_ptbxl, "--fold", 9, "--limit", 1).returncode == 0
