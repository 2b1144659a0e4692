"""The documents do not drift: what the README tells people to type, works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ecglens.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run_in_their_order(workplace: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        _, *arguments = shlex.split(line, comments=True)
        if arguments == ["bench"]:
            arguments += ["--repeats", "3"]
        done = subprocess.run(
            [sys.executable, "-m", "ecglens", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (workplace / "annotated" / "page.png").exists()


def test_the_python_example_runs(workplace: Path) -> None:
    (example,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True ")
    assert "LBBB" in done.stdout


def test_every_command_is_named_in_the_readme() -> None:
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert all(f"ecglens {name}" in README for name in names)


def test_make_offers_what_the_readme_says() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
