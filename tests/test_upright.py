"""Which way up a page lies: what is printed tells, and tells the opposite when the page is turned."""

import numpy as np
import pytest

from ecglens.paper.drawing import render
from ecglens.paper.furniture import Notes
from ecglens.paper.page import Pixels
from ecglens.paper.upright import as_paper, describe_page, describe_rows, find_ink, find_turn, lightest
from ecglens.simulator import simulate

NOTES = Notes(("SPECIMEN, ADA", "ID: 123456"), ("Vent. rate 70 /min", "PR interval 150 ms"), ("Normal ECG",))


@pytest.fixture(scope="module")
def picture() -> Pixels:
    record = simulate((), rng=np.random.default_rng(3), fs=250)
    return render(record, "3x4+1", "red", px_per_mm=2.5, notes=NOTES).pixels


@pytest.mark.parametrize("quarters", range(4))
def test_the_turn_that_is_found_undoes_the_turn_that_was_made(quarters: int, picture: Pixels) -> None:
    assert find_turn(np.ascontiguousarray(np.rot90(picture, -quarters)), 2.5) == -quarters % 4 * 90


def test_what_tells_rows_from_columns_changes_sign_on_a_page_on_its_side(picture: Pixels) -> None:
    ink = find_ink(picture)
    assert np.allclose(describe_rows(np.ascontiguousarray(np.rot90(ink))), -describe_rows(ink), atol=1e-6)


def test_what_tells_the_top_changes_sign_on_a_page_turned_over(picture: Pixels) -> None:
    ink = find_ink(picture)
    over = describe_page(np.ascontiguousarray(ink[::-1, ::-1]), 2.5)
    assert np.corrcoef(describe_page(ink, 2.5), -over)[0, 1] > 0.95


def test_a_page_without_ink_stays() -> None:
    assert find_turn(np.full((300, 400, 3), 255, np.uint8), None) == 0


def test_a_page_of_more_specks_than_sixteen_bits_count_stays() -> None:
    dots = np.full((720, 720, 3), 255, np.uint8)
    dots[::2, ::2] = 0
    assert find_turn(dots, None) == 0


def test_light_traces_on_a_dark_ground_become_dark_on_light(picture: Pixels) -> None:
    night = np.asarray(255 - picture, np.uint8)
    assert np.array_equal(as_paper(night), picture)
    assert as_paper(picture) is picture
    assert np.array_equal(as_paper(lightest(night)), lightest(night) ^ 255)


def test_only_where_the_page_is_decides_whether_it_is_dark() -> None:
    picture = np.full((400, 600, 3), 20, np.uint8)  # a dark table
    picture[100:250, 200:400] = 230
    picture[170:175, 200:400] = 40
    sheet = np.zeros((96, 96), bool)
    sheet[26:58, 33:63] = True
    assert not np.array_equal(as_paper(picture), picture)
    assert as_paper(picture, sheet) is picture
    speck = np.zeros((96, 96), bool)
    speck[1, 1] = True  # which none of the pixels looked at is in
    assert as_paper(picture[:64, :64], speck).shape == (64, 64, 3)
