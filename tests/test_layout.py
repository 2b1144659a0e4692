import re
from collections import Counter
from pathlib import Path

import pytest

from ecglens.errors import ConfigError, UsageError
from ecglens.leads import LEADS
from ecglens.paper.layout import LAYOUTS, PAPER_LAYOUTS, layouts, load_layout

GRID = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]


def write(tmp_path: Path, **keys: object) -> Path:
    """A layout file with ``keys`` changed; None leaves a key out."""
    values = {"name": "own", "rows": GRID, **keys}
    path = tmp_path / "own.toml"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in values.items() if value is not None))
    return path


def test_there_are_the_layouts_that_devices_print() -> None:
    strips = {len(load_layout(name).rhythm) for name in layouts() if len(load_layout(name).rows) == 3}
    assert strips == {0, 1, 2, 3}
    assert {"2x6", "12x1", "6x2", "6x2+1", "6x2-cabrera", "3x4+1-cabrera", "roll-1", "roll-3"} <= set(layouts())


def test_columns_of_the_same_time_all_begin_where_the_page_begins() -> None:
    assert {panel.start for panel in load_layout("3x4-same").panels(10.0)} == {0.0}


def test_a_lead_may_stand_upside_down(tmp_path: Path) -> None:
    rows = [["I", "-aVR", "V1", "V4"], *GRID[1:]]
    panel = load_layout(write(tmp_path, rows=rows)).panels(10.0)[1]
    assert (panel.name, panel.lead, panel.sign) == ("-aVR", "aVR", -1)


@pytest.mark.parametrize("name", layouts())
def test_every_layout_shows_each_lead_once_and_its_strips(name: str) -> None:
    layout = load_layout(name)
    panels = layout.panels(10.0)
    grid = [panel for panel in panels if panel.row < len(layout.rows)]
    assert Counter(panel.lead for panel in grid) == dict.fromkeys(LEADS, 1)
    assert [panel.lead for panel in panels if panel not in grid] == list(layout.rhythm)
    assert layout.name == name


def test_the_layouts_of_the_paper() -> None:
    columns = {name: list(zip(*load_layout(name).rows, strict=True)) for name in PAPER_LAYOUTS}
    limb, augmented, right, left = ("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6")
    assert columns == {
        "3x4+1": [limb, augmented, right, left],
        "3x4+1-shuffled": [right, left, limb, augmented],
        "6x2": [limb + augmented, right + left],
        "6x2-shuffled": [right + left, limb + augmented],
    }
    assert [load_layout(name).rhythm for name in PAPER_LAYOUTS] == [("I",), ("I",), (), ()]
    assert [load_layout(name).seconds for name in PAPER_LAYOUTS] == [2.5, 2.5, 5.0, 5.0]


def test_columns_run_on_in_time_over_the_whole_strip() -> None:
    panels = load_layout("3x4+1").panels(10.0)
    assert [(p.left, p.start) for p in panels[:4]] == [(0.0, 0.0), (2.5, 2.5), (5.0, 5.0), (7.5, 7.5)]
    assert (panels[-1].start, panels[-1].seconds) == (0.0, 10.0)


def test_columns_show_the_same_time_where_the_signal_is_too_short() -> None:
    panels = load_layout("3x4+1").panels(5.0)
    assert {panel.start for panel in panels} == {0.0}
    assert [panel.left for panel in panels[:4]] == [0.0, 2.5, 5.0, 7.5]


def test_a_sample_short_is_long_enough() -> None:
    assert load_layout("6x2").panels(9.998)[1].start == 5.0


def test_a_file_may_describe_a_layout(tmp_path: Path) -> None:
    layout = load_layout(write(tmp_path, rhythm=["V1", "II"], seconds=3, margin=None))
    assert layout.rhythm == ("V1", "II")
    assert layout.width(25.0) == layout.margin.left + 300 + layout.margin.right
    assert layout.baseline(1) - layout.baseline(0) == layout.row_height


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rows": [["I", "V9"]]}, r"rows: 'V9' is no lead"),
        ({"rows": [*GRID[:2], ["III", "aVF", "V2", "V6"]]}, r"rows: lead V2 is there 2 times"),
        ({"rows": GRID[:2]}, r"rows: lead III is there 0 times"),
        ({"rows": [*GRID[:2], ["III", "aVF", "V3"]]}, r"rows: every row needs the same number"),
        ({"rows": []}, r"rows: every row"),
        ({"rows": "I"}, r"rows: 'I'"),
        ({"rhythm": ["MLII"]}, r"rhythm: 'MLII' is no lead"),
        ({"rows": [["I", "-V1", "V1", "V4"], *GRID[1:]]}, r"rows: '-V1' is no lead"),
        ({"time": "later"}, r"time: 'later' is none of consecutive, same"),
        ({"seconds": 0}, r"seconds: 0 is no size"),
        ({"seconds": 1e9}, r"seconds: 1e\+09 is no size"),
        ({"row_height": -20.0}, r"row_height: -20 is no size"),
        ({"colums": 4}, r"unknown key 'colums'"),
        ({"rows": None}, r"'rows' is required"),
    ],
)
def test_a_wrong_layout_is_refused_with_the_key(tmp_path: Path, keys: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_layout(write(tmp_path, **keys))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown layout '4x3': choose .*3x4\+1.*6x2"):
        load_layout("4x3")


def test_every_layout_says_what_it_is() -> None:
    about = [LAYOUTS.about(name) for name in layouts()]
    assert all(text.endswith(".") and len(text) > 15 for text in about)
    assert len(set(about)) == len(about)


def test_the_layout_in_the_readme_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    path = tmp_path / "own.toml"
    path.write_text(example)
    assert load_layout(path).rhythm == ("V1", "II", "V5")
