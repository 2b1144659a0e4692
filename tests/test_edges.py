"""Where a sheet ends: at its edges, or, white on white, at its print."""

import itertools

import cv2
import numpy as np
import pytest

from ecglens.paper.edges import Edges, extent_of, find_edges, find_print, halve, list_lines, measure_skew, shrink
from ecglens.paper.page import Pixels, Points

NONE: Edges = (None, None, None, None)
CORNERS = np.array([(40, 35), (690, 47), (680, 450), (55, 430)])


def sheet(desk: int, paper: int) -> Pixels:
    picture = np.full((480, 720, 3), desk, np.uint8)
    cv2.fillPoly(picture, [CORNERS], (paper,) * 3, cv2.LINE_AA)
    return picture


def rows_of_print(angle: float) -> Pixels:
    """Dark rows across a white page, turned clockwise by ``angle`` degrees."""
    page = np.full((500, 700, 3), 255, np.uint8)
    page[100:400:30, 100:600] = page[101:401:30, 100:600] = 0
    page[100:400, 100:600:45] = 0
    turn = cv2.getRotationMatrix2D((350, 250), -angle, 1)
    return np.asarray(cv2.warpAffine(page, turn, (700, 500), borderValue=(255, 255, 255)), np.uint8)


def distances(edges: Edges, corners: Points) -> list[float]:
    """How far from each side of a sheet the edge found lies at most, pixels; infinite where none is found."""
    far = []
    for side, edge in enumerate(edges):
        start, end = corners[side], corners[(side + 1) % 4]
        ahead = (end - start) / np.hypot(*(end - start))
        off = np.inf if edge is None else np.abs((edge - start) @ np.array([-ahead[1], ahead[0]])).max()
        far.append(float(off))
    return far


@pytest.mark.parametrize(("desk", "paper"), [(60, 220), (200, 90), (120, 180)])
def test_the_edges_of_a_sheet_are_found(desk: int, paper: int) -> None:
    assert max(distances(find_edges(sheet(desk, paper), NONE, range(4)), CORNERS)) < 9  # pixels of 720


def test_known_edges_stay() -> None:
    _, right, bottom, _ = find_edges(sheet(60, 220), NONE, range(4))
    known = np.array([(0.0, 20), (719, 21)])
    again = find_edges(sheet(60, 220), (known, None, bottom, None), [1])
    assert again[0] is known
    assert again[2] is bottom
    assert right is not None
    assert np.array_equal(again[1], right)


def test_lines_differ_and_turn_with_the_picture() -> None:
    picture = sheet(60, 220)
    lines, turned = list_lines(picture), list_lines(np.ascontiguousarray(np.rot90(picture, -1)))
    for side in range(4):
        ends = [line.ends for line in lines[side]]
        assert all(np.abs(one - other).max() > 4 for one, other in itertools.combinations(ends, 2))
        clearest, same = lines[side][0], turned[(side + 1) % 4][0]
        across = np.column_stack([len(picture) - 1 - clearest.ends[:, 1], clearest.ends[:, 0]])
        assert np.abs(same.ends - across).max() < 6
        assert same.traits == pytest.approx(clearest.traits, abs=0.5)


def test_an_even_picture_has_neither_edges_nor_print() -> None:
    blank = np.full((480, 720, 3), 250, np.uint8)
    assert list_lines(blank) == [[], [], [], []]
    assert find_edges(blank, NONE, range(4)) == (None, None, None, None)
    assert len(find_print(blank)) == 0
    assert measure_skew(find_print(blank)) == 0


def test_print_on_paper_that_is_not_white_is_left_to_the_edges() -> None:
    assert len(find_print(np.asarray(rows_of_print(0) // 2, np.uint8))) == 0


@pytest.mark.parametrize("angle", [-7.0, -2.0, 0.0, 3.5, 8.0])
def test_rows_of_print_tell_the_skew(angle: float) -> None:
    assert np.degrees(measure_skew(find_print(rows_of_print(angle)))) == pytest.approx(angle, abs=0.4)


def test_the_extent_of_print_leaves_specks_out() -> None:
    page = rows_of_print(0)
    page[30, 30] = page[450:452, 660:662] = 0
    assert np.abs(extent_of(find_print(page)) - (100, 100, 600, 400)).max() < 8


def test_fine_lines_do_not_alias() -> None:
    stripes = np.full((60, 1380, 3), 255, np.uint8)
    stripes[:, ::2] = 0
    copy = shrink(stripes, 720, cv2.INTER_AREA)[5:-5, 5:-5]
    assert np.abs(copy.astype(float) - 127.5).max() < 50  # grey, not lines that are not there


def test_halves_and_smaller_copies_keep_the_mean() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 403, 3)).astype(np.uint8)
    assert halve(pixels, 150).shape == (150, 201, 3)
    assert max(shrink(pixels, 100).shape) == 100
    assert shrink(pixels, 500) is pixels
    assert abs(float(halve(pixels, 150).mean()) - pixels.mean()) < 1
