import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecglens.errors import PictureError
from ecglens.paper.page import Page, Trace, transform

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
def test_a_warp_moves_pixels_and_traces_together(matrix: np.ndarray) -> None:
    points = np.array([(40, 30), (60, 45), (50, 50)], np.float32)
    warped = dotted(points).warp(matrix, (100, 80))
    for x, y in warped.traces[0].points.round().astype(int):
        assert warped.pixels[y, x].max() < 60
    assert (warped.pixels < 128).any(-1).sum() < 60


def test_missing_points_stay_missing() -> None:
    points = np.array([(40, 30), (np.nan, np.nan), (60, 45)], np.float32)
    for matrix in (SHEAR, PERSPECTIVE):
        moved = transform(points, matrix)
        assert np.isnan(moved).all(1).tolist() == [False, True, False]


def test_the_scale_is_kept_only_where_there_is_one() -> None:
    page = dotted(np.array([(40, 30)], np.float32))
    assert page.warp(turn(30, 0.5), (100, 80)).px_per_mm == pytest.approx(2.0)
    assert page.warp(np.diag([0.5, 0.7, 1.0]), (50, 56)).px_per_mm is None
    assert page.warp(PERSPECTIVE, (100, 80)).px_per_mm is None


def test_what_the_old_page_did_not_cover_is_paper() -> None:
    warped = dotted(np.array([(40, 30)], np.float32)).warp(turn(45, 0.5), (100, 80), (200, 150, 100))
    assert warped.pixels[0, 0].tolist() == [200, 150, 100]


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.float32)]
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="uint8 RGB"):
        Page(pixels)
