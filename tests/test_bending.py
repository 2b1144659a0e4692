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
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(60, width - 60, 9), np.linspace(60, height - 60, 7)))
    found, true = find_bend(curled(flat), PX_PER_MM).shift(x, y), curl(x, y, (width, height))
    assert np.abs(found - found.mean() - true + true.mean()).max() < 0.15 * PX_PER_MM


def test_flat_paper_has_none(flat: Pixels) -> None:
    height, width = flat.shape[:2]
    x, y = (each.ravel() for each in np.meshgrid(np.linspace(60, width - 60, 9), np.linspace(60, height - 60, 7)))
    assert np.ptp(find_bend(flat, PX_PER_MM).shift(x, y)) < 0.1 * PX_PER_MM


@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_where_no_grid_is_seen_nothing_is_bent(noise: float) -> None:
    empty = np.random.default_rng(0).normal(200, noise, (600, 1000, 3))
    assert find_bend(np.clip(empty, 0, 255).astype(np.uint8), PX_PER_MM) is FLAT


def test_pages_smaller_than_a_period_are_flat() -> None:
    assert find_bend(np.full((9, 12, 3), 255, np.uint8), PX_PER_MM) is FLAT


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
