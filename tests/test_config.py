import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.config import build, describe, load
from ecglens.errors import ConfigError
from ecglens.leads import LEADS
from ecglens.paper.layout import Layout
from ecglens.paper.style import Style


@dataclass(frozen=True)
class Row:
    lead: str
    seconds: float = 2.5


@dataclass(frozen=True)
class Sheet:
    rows: tuple[Row, ...]
    name: str = "a"
    size: tuple[int, int] = (3, 4)
    speed: Literal[25, 50] = 25
    grid: Literal["dots", "lines"] = "lines"
    bold: bool = False
    count: int = 1
    scale: float | None = None
    rhythm: Row | str = "none"
    words: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count: -1 is no count; give 0 or more")


WHOLE = """
name = "b"
size = [6, 2]
speed = 50
grid = "dots"
bold = true
count = 7
scale = 2
words = ["x", "y"]

[[rows]]
lead = "I"

[[rows]]
lead = "II"
seconds = 10

[rhythm]
lead = "V1"
"""


def test_a_file_gives_the_values_in_it(tmp_path: Path) -> None:
    (tmp_path / "sheet.toml").write_text(WHOLE, encoding="utf-8")
    sheet = load(tmp_path / "sheet.toml", Sheet)
    rows = (Row("I"), Row("II", 10.0))
    assert sheet == Sheet(rows, "b", (6, 2), 50, "dots", True, 7, 2.0, Row("V1"), ("x", "y"))
    assert type(sheet.scale) is type(sheet.rows[1].seconds) is float


def test_what_is_not_given_is_the_default() -> None:
    assert build(Sheet, {"rows": []}, "here") == Sheet(())


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Row, st.text(), numbers)), st.text(), st.tuples(st.integers(), st.integers()), numbers)
def test_what_is_written_reads_back_equal(rows: list[Row], name: str, size: tuple[int, int], scale: float) -> None:
    values: dict[str, Any] = {"rows": [asdict(row) for row in rows], "name": name, "size": list(size), "scale": scale}
    assert build(Sheet, values, "here") == Sheet(tuple(rows), name, size, scale=scale)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"row": []}, "^here: unknown key 'row'; known keys are rows, name,"),
        ({}, "^here: key 'rows' is required"),
        ({"rows": [{}]}, "^here: rows: key 'lead' is required"),
        ({"rows": [{"lead": "I", "second": 1}]}, "^here: rows: unknown key 'second'"),
        (
            {"rows": [{"lead": "I", "seconds": "1"}]},
            "^here: rows: seconds: '1' is not of type float; give 2.5 or alike",
        ),
        ({"rows": ["I"]}, r"^here: rows: 'I' is not of type Row; give {lead = \"text\", seconds = 2.5} or"),
        ({"rows": {"lead": "I"}}, "^here: rows: "),
        ({"rows": "I"}, "^here: rows: 'I' is not"),
        ({"rows": [], "name": 1}, '^here: name: 1 is not of type str; give "text" or alike'),
        ({"rows": [], "size": [1]}, r"^here: size: expected 2 values, got 1; give \[3, 3\] or alike"),
        ({"rows": [], "size": [1, 2, 3]}, "^here: size: expected 2 values, got 3"),
        ({"rows": [], "size": [1, 2.0]}, "^here: size: 2.0 is not of type int"),
        ({"rows": [], "speed": 26}, "^here: speed: 26 is none of 25, 50"),
        ({"rows": [], "speed": 25.0}, "^here: speed: 25.0 is none of 25, 50"),
        ({"rows": [], "grid": "dot"}, "^here: grid: 'dot' is none of dots, lines"),
        ({"rows": [], "grid": ["dots"]}, "^here: grid: "),
        ({"rows": [], "bold": 1}, "^here: bold: 1 is not of type bool"),
        ({"rows": [], "count": True}, "^here: count: True is not of type int"),
        ({"rows": [], "count": 1.0}, "^here: count: 1.0 is not of type int"),
        ({"rows": [], "count": -1}, "^here: count: -1 is no count"),
        ({"rows": [], "scale": "2"}, "^here: scale: '2' is not of type"),
        ({"rows": [], "scale": True}, "^here: scale: True is not of type"),
        ({"rows": [], "rhythm": {"lead": 1}}, "^here: rhythm: "),
        ({"rows": [], "words": ["x", 1]}, "^here: words: 1 is not of type str"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Sheet, values, "here")


@dataclass(frozen=True)
class Frame:
    title: str
    width: Annotated[float, "mm"] = 1.5
    shape: Literal["round", "square"] = "round"
    inner: Row = Row("I")


def test_keys_are_described_with_their_defaults_units_and_choices() -> None:
    lines = [line.split("  # ") for line in describe(Frame)]
    assert [line[0].strip() for line in lines] == [
        'title = "text"',
        "width = 1.5",
        'shape = "round"',
        'inner.lead = "text"',
        "inner.seconds = 2.5",
    ]
    assert [line[1:] for line in lines] == [["required"], ["mm"], ["or 'square'"], ["required"], []]


@pytest.mark.parametrize("kind", [Layout, Style])
def test_a_described_file_is_one_that_loads_but_for_what_is_required(kind: type[Any]) -> None:
    values = tomllib.loads("\n".join(line for line in describe(kind) if "  # required" not in line))
    required = {"name": "a", "rows": [list(LEADS)]} if kind is Layout else {}
    assert build(kind, values | required, "here") == build(kind, required, "here")


@dataclass(frozen=True)
class Switch:
    value: Literal[0, 1]


def test_true_is_not_the_number_one() -> None:
    assert build(Switch, {"value": 1}, "here") == Switch(1)
    with pytest.raises(ConfigError, match="True is none of 0, 1"):
        build(Switch, {"value": True}, "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rows = [", "sheet.toml is not valid TOML"),
        (b"rows = []\nrows = []", "sheet.toml is not valid TOML"),
        (b"\xff\xfe", "sheet.toml is not valid TOML"),
        (b"rows = []\ncolour = 1", "sheet.toml: unknown key 'colour'"),
        (None, "cannot read .*sheet.toml"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "sheet.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(path, Sheet)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path, Sheet)
