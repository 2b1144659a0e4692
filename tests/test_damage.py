"""What damage does to a page: truth stays true, chance is repeatable, the ECG stays readable."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import UsageError
from ecglens.paper.damage import EFFECTS, WAYS, wear
from ecglens.paper.damage.camera import capture
from ecglens.paper.damage.canvas import Dose, blend
from ecglens.paper.damage.relief import Relief, model_relief
from ecglens.paper.drawing import render
from ecglens.paper.page import Box, Page, Pixels, Points, Trace
from ecglens.simulator import simulate

GEOMETRIC = {"curl", "fold", "crumple", "perspective", "rotation", "crop", "desk"}


def all_but(*names: str) -> set[str]:
    return set(EFFECTS) - set(names)


def dotted(width: int, height: int, apart: int = 24) -> Page:
    """White, with dark dots that are traces of one point each, and boxes and nodes on those points."""
    x, y = np.meshgrid(np.arange(apart, width - apart + 1, apart), np.arange(apart, height - apart + 1, apart))
    points = np.stack([x, y], -1).astype(np.float32)
    pixels = np.full((height, width, 3), 255, np.uint8)
    for column, row in points.reshape(-1, 2).astype(int).tolist():
        pixels[row - 1 : row + 2, column - 1 : column + 2] = 0
    traces = tuple(Trace("II", point[None], 0.0, 100.0) for point in points.reshape(-1, 2))
    return Page(pixels, None, traces, (Box("II", "panel", points.reshape(-1, 2)[:4]),))


def off_by(page: Page) -> Points:
    """How far each dot of a worn dotted page is from where its trace says, pixels; only dots well inside."""
    grey = cv2.cvtColor(page.pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    height, width = grey.shape
    points = np.concatenate([trace.points for trace in page.traces])
    nearest = np.rint(points).astype(int)
    inside = ((nearest >= 9) & (nearest < np.array([width, height]) - 9)).all(1)
    points, nearest = points[inside], nearest[inside]
    windows = np.lib.stride_tricks.sliding_window_view(grey, (11, 11))[nearest[:, 1] - 5, nearest[:, 0] - 5]
    paper = np.median(windows, axis=(1, 2), keepdims=True)
    ink = np.where(windows < 0.75 * paper, paper - windows, 0)
    amount = ink.sum((1, 2))
    assert (amount > 0).all(), f"no dot near {points[amount == 0].tolist()}"
    down, across = np.mgrid[-5:6, -5:6]
    found = np.stack([(ink * grid).sum((1, 2)) / amount for grid in (across, down)], 1) + nearest
    return np.asarray(np.hypot(*(found - points).T), np.float32)


def happening(page: Page, name: str, grade: float, first: int = 0) -> tuple[Page, int]:
    """The page worn by one effect alone, and a seed with which that happens."""
    for seed in range(first, first + 600):
        worn = wear(page, grade, np.random.default_rng(seed), without=all_but(name))
        if not np.array_equal(worn.pixels, page.pixels):
            return worn, seed
    raise AssertionError(f"{name} changes no pixel")


@pytest.fixture(scope="module")
def ecg() -> Page:
    return render(simulate((), rng=np.random.default_rng(3), fs=100), "3x4+1", "red", px_per_mm=2.5)


@pytest.fixture(scope="module")
def dots() -> Page:
    return dotted(300, 300)


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_changes_pixels(ecg: Page, name: str) -> None:
    worn, seed = happening(ecg, name, 0.5)
    assert worn.pixels.shape == ecg.pixels.shape
    assert worn.pixels.dtype == np.uint8
    assert np.array_equal(worn.pixels, wear(ecg, 0.5, np.random.default_rng(seed), without=all_but(name)).pixels)


def test_grade_0_returns_the_page_unchanged(ecg: Page) -> None:
    assert wear(ecg, 0.0, np.random.default_rng(0)) is ecg


def test_without_all_effects_nothing_changes(ecg: Page) -> None:
    worn = wear(ecg, 1.0, np.random.default_rng(0), without=set(EFFECTS))
    assert np.array_equal(worn.pixels, ecg.pixels)
    assert worn.px_per_mm == ecg.px_per_mm
    assert all(np.array_equal(a.points, b.points) for a, b in zip(worn.traces, ecg.traces, strict=True))


def test_the_given_page_is_left_alone(ecg: Page) -> None:
    before = ecg.pixels.copy()
    for seed in range(12):
        wear(ecg, 1.0, np.random.default_rng(seed))
    assert np.array_equal(ecg.pixels, before)


def test_same_seed_same_pixels_on_any_number_of_threads(ecg: Page) -> None:
    threads = cv2.getNumThreads()
    try:
        for seed in range(6):
            pages = []
            for count in (1, 2, 4):
                cv2.setNumThreads(count)
                pages.append(wear(ecg, 0.8, np.random.default_rng(seed)))
            for page in pages[1:]:
                assert np.array_equal(page.pixels, pages[0].pixels)
                assert all(
                    np.array_equal(a.points, b.points) for a, b in zip(page.traces, pages[0].traces, strict=True)
                )
    finally:
        cv2.setNumThreads(threads)


def test_other_seeds_give_other_pages(ecg: Page) -> None:
    first, second = (wear(ecg, 0.8, np.random.default_rng(seed)).pixels for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", sorted(GEOMETRIC))
@pytest.mark.parametrize("grade", [0.3, 0.6, 1.0])
def test_truth_moves_with_each_geometric_effect(dots: Page, name: str, grade: float) -> None:
    seed = -1
    for _ in range(4):
        worn, seed = happening(dots, name, grade, seed + 1)
        distances = off_by(worn)
        assert len(distances) > 60
        assert max(distances) < 0.5


@pytest.mark.parametrize("size", [(300, 300), (900, 420)])
@pytest.mark.parametrize("grade", [0.3, 0.6, 1.0])
def test_truth_moves_with_all_geometric_effects(size: tuple[int, int], grade: float) -> None:
    page = dotted(*size)
    for seed in range(10_000 // size[0]):
        distances = off_by(wear(page, grade, np.random.default_rng(seed), without=all_but(*GEOMETRIC)))
        assert len(distances) > 60
        assert max(distances) < 0.5


def test_boxes_and_nodes_move_as_traces_do(dots: Page) -> None:
    places = np.concatenate([trace.points for trace in dots.traces])
    page = Page(dots.pixels, None, dots.traces, (Box("II", "label", places[:4]),), places[:100].reshape(10, 10, 2))
    moved = 0
    for seed in range(20):
        worn = wear(page, 1.0, np.random.default_rng(seed))
        points = np.concatenate([trace.points for trace in worn.traces])
        assert worn.nodes is not None
        np.testing.assert_allclose(worn.boxes[0].corners, points[:4], atol=1e-3)
        np.testing.assert_allclose(worn.nodes.reshape(-1, 2), points[:100], atol=1e-3)
        moved += not np.allclose(points, places)
    assert moved > 10


def test_points_that_were_not_recorded_stay_so(dots: Page) -> None:
    points = np.array([(50, 60), (np.nan, np.nan), (70, np.nan), (80, 90)], np.float32)
    page = Page(dots.pixels, None, (Trace("V1", points, 0.0, 100.0), Trace("V2", points[:0], 0.0, 100.0)))
    for seed in range(20):
        first, empty = wear(page, 1.0, np.random.default_rng(seed)).traces
        assert np.array_equal(np.isnan(first.points[:, 1]), np.isnan(points[:, 1]))
        assert empty.points.shape == (0, 2)


def test_long_traces_move_as_short_ones_do(dots: Page) -> None:
    points = np.random.default_rng(0).uniform(0, 300, (70_000, 2)).astype(np.float32)
    for seed in range(30):
        page = Page(dots.pixels, None, (Trace("II", points, 0.0, 500.0), Trace("II", points[-5:], 0.0, 500.0)))
        long, short = wear(page, 1.0, np.random.default_rng(seed), without=all_but(*GEOMETRIC)).traces
        np.testing.assert_allclose(long.points[-5:], short.points, atol=1e-3)


@pytest.mark.parametrize("name", ["rotation", "crumple", "light", "noise", "handwriting"])
def test_an_effect_switched_off_does_not_change_the_others(ecg: Page, name: str) -> None:
    rest = all_but(name, "jpeg")
    for seed in range(15):
        with_all, without_it = (
            wear(ecg, 0.7, np.random.default_rng(seed), without={"jpeg", *off}) for off in ((), (name,))
        )
        alone = wear(ecg, 0.7, np.random.default_rng(seed), without={*rest, "jpeg"})
        happened = not np.array_equal(alone.pixels, ecg.pixels)
        assert happened or np.array_equal(with_all.pixels, without_it.pixels)
        if name not in GEOMETRIC:
            assert all(
                np.array_equal(a.points, b.points) for a, b in zip(with_all.traces, without_it.traces, strict=True)
            )


def test_what_excludes_itself_does_not_happen_together() -> None:
    for first, second in (("fax", "glare"), ("fax", "hand"), ("moire", "stains"), ("moire", "photocopy")):
        assert not any(EFFECTS[first][way] * EFFECTS[second][way] for way in WAYS)


def contrast(pixels: Pixels, points: Points) -> Points:
    """How much darker than what is around it the darkest pixel within one of each point is."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    around, darkest = cv2.medianBlur(grey, 21).astype(np.float32), cv2.erode(grey, np.ones((3, 3), np.uint8))
    column, row = np.rint(points).astype(int).T
    return np.asarray((around - darkest)[row, column], np.float32)


def legibility(page: Page) -> float:
    """The chance that a point of a trace stands out more than a point beside all traces (area under the ROC curve)."""
    height, width = page.pixels.shape[:2]
    points = np.concatenate([trace.points for trace in page.traces])
    points = points[((points >= 2) & (points < np.array([width, height]) - 2)).all(1)]
    covered = np.zeros((height, width), np.uint8)
    column, row = np.rint(points).astype(int).T
    covered[row, column] = 1
    near, beside = (cv2.dilate(covered, np.ones((k, k), np.uint8)) > 0 for k in (25, 9))
    row, column = np.nonzero(near & ~beside)
    off = contrast(page.pixels, np.column_stack([column, row]).astype(np.float32)[::7])
    on = contrast(page.pixels, points)
    ranks = np.searchsorted(np.sort(off), on) + np.searchsorted(np.sort(off), on, side="right")
    return float(ranks.mean() / 2 / len(off))


def test_the_ecg_stays_readable_at_grade_1(ecg: Page) -> None:
    assert legibility(ecg) > 0.95
    worn = [legibility(wear(ecg, 1.0, np.random.default_rng(seed))) for seed in range(20)]
    assert min(worn) > 0.75
    assert np.median(worn) > 0.9


def changed(page: Page, worn: Page) -> float:
    return float(cv2.absdiff(page.pixels, worn.pixels).mean())


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_is_stronger_at_a_higher_grade(name: str) -> None:
    page = render(simulate((), rng=np.random.default_rng(3), fs=100), "3x4+1", "red", px_per_mm=1.6)
    way, low, high = max(WAYS, key=lambda way: EFFECTS[name][way]), [], []
    for seed in range(600):
        worn, worse = (
            wear(page, grade, np.random.default_rng(seed), ways=(way,), without=all_but(name)) for grade in (0.2, 1.0)
        )
        if changed(page, worn) > 0:
            low.append(changed(page, worn))
            high.append(changed(page, worse))
        if len(low) == 3:
            break
    assert len(low) == 3
    assert np.mean(high) > 1.02 * np.mean(low)


@pytest.mark.parametrize("way", WAYS)
def test_grade_1_is_worse_than_a_half_in_every_way(ecg: Page, way: str) -> None:
    half, full = (
        [changed(ecg, wear(ecg, grade, np.random.default_rng(seed), ways=(way,))) for seed in range(10)]
        for grade in (0.5, 1.0)
    )
    assert np.median(full) > np.median(half)
    assert min(full) > 8


def test_a_screen_is_flat() -> None:
    line = np.stack([np.linspace(20, 280, 30), np.linspace(40, 200, 30)], 1).astype(np.float32)
    page = Page(np.full((300, 300, 3), 220, np.uint8), None, (Trace("II", line, 0.0, 100.0),))
    for seed in range(25):
        (trace,) = wear(page, 1.0, np.random.default_rng(seed), ways=("screen",)).traces
        ends = trace.points[-1] - trace.points[0]
        aside = (trace.points - trace.points[0]) @ np.array([-ends[1], ends[0]]) / np.hypot(*ends)
        assert np.abs(aside).max() < 0.01


def bent(name: str, strength: float, seed: int) -> Relief:
    dose = Dose(strength, np.random.default_rng(seed))
    relief = model_relief((400, 300), (1.5, 1.5), 1.0, np.random.default_rng(seed), {name: dose})
    assert relief is not None
    return relief


@pytest.mark.parametrize("name", ["curl", "fold", "crumple"])
def test_unbending_undoes_bending(name: str) -> None:
    points = np.random.default_rng(1).uniform(0, 299, (500, 2)).astype(np.float32)
    for seed in range(10):
        relief = bent(name, 1.0, seed)
        np.testing.assert_allclose(relief.bend(relief.unbend(points)), points, atol=0.2)  # a mesh of 6 px, read to 1/32


def test_a_fold_has_a_light_and_a_dark_side() -> None:
    for seed in range(10):
        shade = bent("fold", 1.0, seed).shade
        assert shade.min() < 0.99
        assert shade.max() > 1.001


def test_crumpled_paper_is_shaded_softly() -> None:
    for seed in range(10):
        shade = bent("crumple", 1.0, seed).shade
        assert shade.std() > 0.01
        steps = np.abs(np.diff(shade, axis=1))  # 4 mm
        assert np.median(steps) < 0.03
        assert steps.max() < 0.45


@pytest.mark.parametrize("name", ["shadow", "glare"])
def test_shadow_and_glare_have_soft_edges(name: str) -> None:
    page = Page(np.full((400, 500, 3), 180, np.uint8), 2.0)
    seed = -1
    for _ in range(5):
        worn, seed = happening(page, name, 1.0, seed + 1)
        levels = worn.pixels[..., 1].astype(int)
        assert np.abs(np.diff(levels, axis=1)).max() <= 10
        assert np.abs(np.diff(levels, axis=0)).max() <= 10


def test_a_finger_comes_in_from_the_edge() -> None:
    page = Page(np.full((400, 500, 3), 255, np.uint8), 2.0)
    seed = -1
    for _ in range(8):
        worn, seed = happening(page, "hand", 1.0, seed + 1)
        red, _, blue = cv2.split(worn.pixels.astype(np.float32))
        skin = ((red - blue) > 0.12 * red).astype(np.uint8)
        skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        assert skin.any()
        _, places = cv2.connectedComponents(skin)
        border = np.concatenate(
            [places[:4].ravel(), places[-4:].ravel(), places[:, :4].ravel(), places[:, -4:].ravel()]
        )
        assert set(np.unique(places)) <= {0, *np.unique(border).tolist()}


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 600), st.integers(64, 600), st.floats(0, 1), st.integers(0, 10_000))
def test_any_size_and_grade(width: int, height: int, grade: float, seed: int) -> None:
    page = Page(np.full((height, width, 3), 200, np.uint8))
    worn = wear(page, grade, np.random.default_rng(seed))
    assert worn.pixels.shape == page.pixels.shape
    assert worn.traces == ()
    assert worn.nodes is None


@pytest.mark.parametrize("grade", [-0.1, 1.01, float("nan")])
def test_a_grade_outside_0_to_1_is_refused(ecg: Page, grade: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        wear(ecg, grade, np.random.default_rng(0))


def test_an_unknown_effect_is_refused(ecg: Page) -> None:
    with pytest.raises(UsageError, match="'rain' is no effect of wear: choose from fading, "):
        wear(ecg, 0.5, np.random.default_rng(0), without={"rain"})


@pytest.mark.parametrize(("glaze", "expected"), [(True, (100, 50, 0)), (False, (200, 100, 0))])
def test_colour_is_laid_as_densely_as_its_cover_says(glaze: bool, expected: tuple[int, int, int]) -> None:
    cover = np.array([[0, 255]], np.uint8)
    pixels = np.full((4, 4, 3), 128, np.uint8)
    blend(pixels, cover, (1, 2), (200, 100, 0), glaze)
    np.testing.assert_allclose(pixels[2, 2], expected, atol=1)
    pixels[2, 2] = 128
    assert (pixels == 128).all()
    blend(pixels, cover, (-5, 9), (0, 0, 0), glaze)  # off the picture
    assert (pixels == 128).all()


@pytest.mark.parametrize("effect", ["motion", "defocus"])
@pytest.mark.parametrize("px_per_mm", [8.0, 50.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_blur_spreads_a_dot_about_its_place(effect: str, px_per_mm: float, seed: int) -> None:
    pixels = np.zeros((401, 401, 3), np.uint8)
    pixels[150:251, 150:251] = 255
    blurred = capture(pixels, (px_per_mm, px_per_mm), {effect: Dose(1.0, np.random.default_rng(seed))})[..., 0]
    assert blurred.shape == (401, 401)
    places = np.indices(blurred.shape)
    middle = (places * blurred).sum((1, 2)) / blurred.sum(dtype=np.int64)
    assert np.abs(middle - 200).max() < 0.1
    assert blurred.astype(float).sum() == pytest.approx(pixels[..., 0].astype(float).sum(), rel=0.03)
    assert np.count_nonzero(blurred) > 101 * 101
