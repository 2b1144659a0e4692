from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecglens.errors import ConfigError, UsageError
from ecglens.paper.style import STYLES, Colour, Style, load_style, mix, random_style, styles

seeds = st.integers(0, 2**32 - 1)


def luminance(colour: Colour) -> float:
    """Relative luminance of sRGB without its gamma, 0 to 1 (ITU-R BT.601 weights)."""
    return float(np.dot(colour, (0.299, 0.587, 0.114)) / 255)


@pytest.mark.parametrize("name", styles())
def test_every_named_style_loads_and_its_trace_stands_out(name: str) -> None:
    style = load_style(name)
    assert abs(luminance(style.ink) - luminance(style.paper)) > 0.5
    assert abs(luminance(style.ink) - luminance(style.major)) > 0.3


def test_there_are_styles_of_many_kinds() -> None:
    loaded = [load_style(name) for name in styles()]
    assert len(loaded) >= 20
    assert {style.grid for style in loaded} == {"lines", "dots", "none"}
    assert {luminance(style.paper) > 0.5 for style in loaded} == {style.smooth for style in loaded} == {True, False}
    assert {style.spell("aVF") for style in loaded} == {"aVF", "AVF", "avF"}


def test_a_style_spells_augmented_leads_alone() -> None:
    style = Style(spelling="AVR")
    assert [style.spell(lead) for lead in ("I", "aVL", "-aVR", "V1")] == ["I", "AVL", "-AVR", "V1"]


@given(seeds)
def test_every_random_style_is_legible(seed: int) -> None:
    style = random_style(np.random.default_rng(seed))
    assert luminance(style.ink) < 0.6 * luminance(style.paper)
    assert luminance(style.major) <= luminance(style.minor) <= luminance(style.paper)
    assert style.trace_width > style.minor_width


def test_the_same_seed_gives_the_same_style_and_another_one_another() -> None:
    first, again, other = (random_style(np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert asdict(first) == asdict(again)
    assert first.paper != other.paper
    assert first.trace_width != other.trace_width


def test_mixing_goes_from_one_colour_to_the_other() -> None:
    assert [mix((0, 100, 255), (100, 0, 255), share) for share in (0, 0.5, 1)] == [
        (0, 100, 255),
        (50, 50, 255),
        (100, 0, 255),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paper = [255, 255]", r"paper: expected 3 values"),
        ("paper = [255, 255, 256]", r"paper: \[255, 255, 256\] is no colour"),
        ("grid = 'hexagons'", r"grid: 'hexagons' is none of lines, dots, none"),
        ("trace_width = 0", r"trace_width: 0 is no size"),
        ("label_height = 200", r"label_height: 200 is no size"),
        ("pulse = 1", r"pulse: 1 is none of left, right, none"),
        ("font = 'comic'", r"font: 'comic' is none of sans, bold, serif, serif-bold"),
        ("spelling = 'avr'", r"spelling: 'avr' is none of aVR, AVR, avR"),
        ("smooth = 1", r"smooth: 1 is not of type bool"),
        ("reach = -3", r"reach: -3 is no place"),
        ("label_shift = 1000", r"label_shift: 1000 is no place"),
        ("sheet = [297, -1]", r"sheet: \[297.0, -1.0\] is no size"),
        ("footer = '{rate} /min'", r"footer: '{rate} /min' has braces around other words than speed"),
        ("footer = '{gain.real}'", r"footer: '{gain.real}' has braces around other words than speed"),
        ("header = 'ECG {'", r"header: 'ECG {' has braces around other words than speed"),
        ("colour = [0, 0, 0]", r"unknown key 'colour'"),
    ],
)
def test_a_wrong_style_is_refused_with_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_style(path)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown style 'mauve': choose .*blue.*red"):
        load_style("mauve")


def test_every_style_says_what_it_is() -> None:
    about = [STYLES.about(name) for name in styles()]
    assert all(text.endswith(".") and len(text) > 15 for text in about)
    assert len(set(about)) == len(about)
