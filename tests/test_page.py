from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecglens.errors import PictureError
from ecglens.paper.page import Box, Page, Trace, transform

SHEAR = np.array([[1.0, 0.2, 3], [0.1, 0.9, -4], [0, 0, 1]])
PERSPECTIVE = np.array([[0.9, 0.1, 5], [-0.1, 1.1, 2], [1e-4, -2e-4, 1]])


def turn(degrees: float, scale: float = 1.0) -> np.ndarray:
    return np.vstack([cv2.getRotationMatrix2D((50, 40), degrees, scale), [0, 0, 1]])


def dotted(points: np.ndarray) -> Page:
    """A white page with a black dot and a trace's point at each of ``points``."""
    pixels = np.full((80, 100, 3), 255, np.uint8)
    for x, y in points[~np.isnan(points[:, 0])].astype(int):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 0
    return Page(pixels, 4.0, (Trace("II", points, 0.0, 500.0),))


points_on_page = st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1000)), min_size=1, max_size=20)


@given(points_on_page, st.floats(-180, 180), st.floats(0.2, 5))
def test_a_transform_and_its_inverse_bring_points_back(
    points: list[tuple[float, float]], angle: float, scale: float
) -> None:
    for matrix in (turn(angle, scale), PERSPECTIVE @ turn(angle / 20)):
        there = transform(np.array(points, np.float32), matrix)
        back = transform(there, np.linalg.inv(matrix))
        np.testing.assert_allclose(back, points, atol=0.05)


def test_an_affine_transform_is_the_projective_one() -> None:
    points = np.random.default_rng(0).uniform(0, 3000, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(transform(points, SHEAR), transform(points, SHEAR * 2), atol=1e-3)


@pytest.mark.parametrize("matrix", [turn(7), turn(-20, 0.8), SHEAR, PERSPECTIVE])
def test_a_move_takes_traces_boxes_and_nodes_where_it_takes_the_pixels(matrix: np.ndarray) -> None:
    points = np.array([(40, 30), (60, 45), (50, 50), (45, 38)], np.float32)
    page = replace(dotted(points), boxes=(Box("II", "panel", points),), nodes=points.reshape(2, 2, 2))
    pixels = cv2.warpPerspective(page.pixels, matrix, (100, 80), borderValue=(255, 255, 255))
    moved = page.moved(pixels, lambda places: transform(places, matrix), 3.0)
    for x, y in moved.traces[0].points.round().astype(int):
        assert moved.pixels[y, x].max() < 60
    np.testing.assert_array_equal(moved.boxes[0].corners, moved.traces[0].points)
    assert moved.nodes is not None
    np.testing.assert_array_equal(moved.nodes.reshape(-1, 2), moved.traces[0].points)
    assert (moved.px_per_mm, moved.boxes[0].kind, moved.traces[0].fs) == (3.0, "panel", 500.0)


def test_missing_points_stay_missing() -> None:
    points = np.array([(40, 30), (np.nan, np.nan), (60, 45)], np.float32)
    for matrix in (SHEAR, PERSPECTIVE):
        moved = transform(points, matrix)
        assert np.isnan(moved).all(1).tolist() == [False, True, False]


def test_a_move_without_a_scale_leaves_none() -> None:
    page = dotted(np.array([(40, 30)], np.float32))
    assert page.moved(page.pixels, lambda places: places).px_per_mm is None


def test_no_points_move_to_none() -> None:
    assert transform(np.empty((0, 2), np.float32), SHEAR).shape == (0, 2)


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.float32)]
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="uint8 RGB"):
        Page(pixels)
