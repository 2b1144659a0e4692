"""The tree drawn at the top of the module is the tree of classes, numbers and all."""

import pickle
import re

import pytest

from ecglens import errors
from ecglens.errors import EcgLensError, FormatError, MissingExtraError

CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EcgLensError)
}
DRAWN = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>\w+Error) .* exit (?P<exit>\d+), HTTP (?P<http>\d+)$", re.MULTILINE)


def drawn() -> list[tuple[str, str | None, int, int]]:
    """Name, parent, exit code and HTTP status of every line of the tree."""
    above: dict[int, str] = {}
    lines = []
    for match in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(match["branch"]) // 4
        above[depth] = match["name"]
        lines.append((match["name"], above.get(depth - 1), int(match["exit"]), int(match["http"])))
    return lines


def test_every_class_is_drawn_once() -> None:
    assert sorted(name for name, *_ in drawn()) == sorted(CLASSES)


@pytest.mark.parametrize(("name", "parent", "exit_code", "http_status"), drawn())
def test_parents_and_numbers_are_the_drawn_ones(
    name: str, parent: str | None, exit_code: int, http_status: int
) -> None:
    kind = CLASSES[name]
    assert kind.__bases__ == ((CLASSES[parent],) if parent else (Exception,))
    assert (kind.exit_code, kind.http_status) == (exit_code, http_status)


def test_no_refusal_looks_like_success() -> None:
    assert all(kind.exit_code > 0 and kind.http_status >= 400 for kind in CLASSES.values())


def test_what_a_file_puts_into_a_refusal_stays_on_one_line() -> None:
    error = FormatError("samples as \x01X\n\u2028\ud800 are not read")
    assert str(error) == "samples as \ufffdX\ufffd\ufffd\ufffd are not read"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtraError("train", "training a model")
    assert str(error) == "training a model needs an optional part: pip install 'ecglens[train]'"
    assert error.extra == "train"
