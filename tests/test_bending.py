"""Bent paper is known by its grid."""

import cv2
import numpy as np
import pytest

from ecglens.intervals import measure
from ecglens.paper import Page, render
from ecglens.paper.bending import FLAT, find_bend
from ecglens.paper.page import Pixels
from ecglens.paper.reading import read_page
from ecglens.simulator import simulate

PX_PER_MM = 4.0
CURL = 6.0  # pixels right that the middle of the page's height lies of its place


@pytest.fixture(scope="module")
def flat() -> Pixels:
    return render(simulate((), rng=np.random.default_rng(5), fs=250, noise=0.3), "3x4+1", px_per_mm=PX_PER_MM).pixels


def curl(x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How far a curled page's points lie to the right, most in the middle of its height and at its left edge."""
    width, height = size
    return CURL * (1 - (2 * y / height - 1) ** 2) * (1 - x / width)


def curled(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    there = (x - curl(x, y, (width, height))).astype(np.float32)
    return np.asarray(cv2.remap(pixels, there, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_the_bend_is_that_of_the_paper(flat: Pixels) -> None:
    height, width = flat.shape[:2]
    bend, x = find_bend(curled(flat), PX_PER_MM), np.linspace(60, width - 60, 9)
    rows = np.linspace(60, height - 60, 7)
    found = np.array([bend.shift(x, y) + bend.widening * x for y in rows])
    off = found - [curl(x, y, (width, height)) for y in rows]
    assert np.abs(off - off.mean()).max() < 0.15 * PX_PER_MM


def test_a_wrong_scale_is_no_bend(flat: Pixels) -> None:
    bend = find_bend(flat, 1.02 * PX_PER_MM)
    assert bend.widening == pytest.approx(-0.02, abs=0.001)
    assert np.ptp(bend.shift(np.linspace(0, flat.shape[1], 9), flat.shape[0] / 2)) < 0.1 * PX_PER_MM


def test_beyond_the_page_it_is_bent_as_at_its_edges(flat: Pixels) -> None:
    height, width = flat.shape[:2]
    bend = find_bend(curled(flat), PX_PER_MM)
    edges, beyond = (bend.shift(np.array(x), height / 2) for x in ([0.0, width - 1.0], [-900.0, 9 * width]))
    np.testing.assert_array_equal(beyond, edges)


def test_flat_paper_has_none(flat: Pixels) -> None:
    height, width = flat.shape[:2]
    bend, x = find_bend(flat, PX_PER_MM), np.linspace(0, width, 9)
    assert np.ptp([bend.shift(x, y) for y in np.linspace(0, height, 7)]) < 0.1 * PX_PER_MM
    assert abs(bend.widening) < 0.001


@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_where_no_grid_is_seen_nothing_is_bent(noise: float) -> None:
    empty = np.random.default_rng(0).normal(200, noise, (600, 1000, 3))
    assert find_bend(np.clip(empty, 0, 255).astype(np.uint8), PX_PER_MM) is FLAT


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (9, 12), (63, 64), (20, 4000)])
def test_pages_of_any_size_have_an_answer(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    for px_per_mm in (1.6, PX_PER_MM, 16.0):
        assert np.isfinite(find_bend(noise, px_per_mm).shift(np.arange(3.0), 0.0)).all()


def test_two_sheets_side_by_side_are_not_one_that_is_bent(flat: Pixels) -> None:
    height, width = flat.shape[:2]
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), 6.0, 1.0)
    askew = cv2.warpAffine(flat, turned, (width, height), borderMode=cv2.BORDER_REFLECT)
    both = np.hstack([flat[:, : width // 2], askew[:, width // 2 :]])
    assert find_bend(np.ascontiguousarray(both), PX_PER_MM) is FLAT


def test_leads_of_curled_paper_come_at_one_time(flat: Pixels) -> None:
    both = [read_page(Page(each, PX_PER_MM)) for each in (flat, curled(flat))]
    assert [reading.missing for reading in both] == [(), ()]
    one, other = (reading.record for reading in both)
    assert one is not None
    assert other is not None
    assert measure(other).summary()["qrs_ms"] == pytest.approx(measure(one).summary()["qrs_ms"], abs=8)
    lags = np.arange(-8, 9)  # of 10 ms
    for straight, bent in zip(one.signal, other.signal, strict=True):
        scores = [correlation(straight, np.roll(bent, lag)) for lag in lags]
        assert abs(lags[np.argmax(scores)]) <= 1


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.corrcoef(one[both], other[both])[0, 1])
