import numpy as np
import pytest

from ecglens.explain import COLOUR, OPACITY, join, normalise, overlay, overlay_traces, spread, stack, tint
from ecglens.leads import LEADS
from ecglens.paper import render
from ecglens.paper.page import Page, Trace
from ecglens.record import Record


def speckled(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def white(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=-1)


def test_normalised_evidence_has_a_maximum_of_one() -> None:
    evidence = np.array([[0, 2], [4, 8]], np.float32)
    np.testing.assert_array_equal(normalise(evidence), [[0, 0.25], [0.5, 1]])
    np.testing.assert_array_equal(normalise(evidence * 1000), normalise(evidence))
    np.testing.assert_array_equal(normalise(np.zeros((2, 2), np.float32)), np.zeros((2, 2)))


def test_a_tint_by_hand() -> None:
    pixels = np.array([[[255, 255, 255], [255, 255, 255], [100, 200, 20]]], np.uint8)
    tinted = tint(pixels, np.array([[0.0, 1.0, 1.0]], np.float32))
    white_tinted = [round(255 * (1 - OPACITY) + colour * OPACITY) for colour in COLOUR]
    assert tinted[0].tolist() == [[255, 255, 255], white_tinted, [100, round(200 * (1 - OPACITY) + 61 * OPACITY), 20]]


def test_ink_darker_than_the_colour_stays_as_it_is() -> None:
    ink = np.minimum(speckled(40, 40), np.array(COLOUR, np.uint8))
    strength = np.random.default_rng(1).random((40, 40), np.float32)
    np.testing.assert_array_equal(tint(ink, strength), ink)


def test_a_page_without_evidence_is_untouched() -> None:
    page = Page(speckled(60, 90))
    np.testing.assert_array_equal(overlay(page, np.zeros((10, 10), np.float32)), page.pixels)


def test_evidence_in_one_place_leaves_the_others_untouched() -> None:
    page = Page(white(100, 200))
    evidence = np.zeros((10, 10), np.float32)
    evidence[2, 7] = 3.0  # its cell is rows 20 to 30, columns 140 to 160
    touched = changed(page.pixels, overlay(page, evidence))
    assert touched[20:30, 140:160].all()
    touched[5:45, 110:190] = False  # cubic interpolation reaches two cells from the centre
    assert not touched.any()


def test_the_size_of_the_evidence_does_not_count_only_where_it_is() -> None:
    page = Page(speckled(50, 50))
    evidence = np.random.default_rng(2).random((10, 10), np.float32)
    np.testing.assert_array_equal(overlay(page, evidence), overlay(page, evidence * 64))


def two_traces() -> Page:
    """Lead I over the page's left half from 0 to 5 s at row 100, lead II over its right half from 5 to 10 s."""
    columns = np.arange(50, dtype=np.float32)
    left = np.column_stack([50 + 4 * columns, np.full(50, 100, np.float32)])
    right = left + np.float32([200, 200])
    return Page(white(400, 500), 2.0, (Trace("I", left, 0.0, 10.0), Trace("II", right, 5.0, 10.0)))


def test_evidence_over_time_is_painted_along_traces_only() -> None:
    page = two_traces()
    touched = changed(page.pixels, overlay_traces(page, np.ones(20, np.float32), 10.0))
    assert touched[100, 50:247].all()
    assert touched[300, 250:447].all()
    reach = (5 + 4) * 2  # mm: what is painted, and the reach of its soft edge
    touched[100 - reach - 1 : 100 + reach + 2, 50 - reach : 247 + reach] = False
    touched[300 - reach - 1 : 300 + reach + 2, 250 - reach : 447 + reach] = False
    assert not touched.any()


def test_evidence_is_painted_at_its_time() -> None:
    page = two_traces()
    evidence = np.zeros(20, np.float32)
    evidence[14] = 1.0  # 7 to 7.5 s: lead II, 80 to 100 pixels from its start
    touched = changed(page.pixels, overlay_traces(page, evidence, 10.0))
    assert not touched[:200].any()
    assert touched[300, 330:350].all()
    touched[:, 330 - 30 : 350 + 30] = False
    assert not touched.any()


def test_nothing_is_painted_where_nothing_was_recorded_or_nothing_speaks() -> None:
    page = two_traces()
    for trace in page.traces:
        trace.points[:, 1] = np.nan
    np.testing.assert_array_equal(overlay_traces(page, np.ones(20, np.float32), 10.0), page.pixels)
    np.testing.assert_array_equal(overlay_traces(two_traces(), np.zeros(20, np.float32), 10.0), page.pixels)


@pytest.mark.parametrize("place", [(50, -60), (-60, 50), (50, 160), (160, 50), (-200, -200)])
def test_a_trace_beyond_the_page_paints_nothing_on_it(place: tuple[int, int]) -> None:
    page = Page(white(100, 100), 2.0, (Trace("I", np.array([place], np.float32), 0.0, 100.0),))
    np.testing.assert_array_equal(overlay_traces(page, np.ones(3, np.float32), 1.0), page.pixels)


def test_evidence_on_a_drawn_record_covers_every_lead() -> None:
    times = np.arange(1000) / 100
    page = render(Record(np.tile(np.sin(7 * times), (12, 1)).astype(np.float32), 100.0), "12x1", px_per_mm=2)
    touched = changed(page.pixels, overlay_traces(page, np.ones(10, np.float32), 10.0))
    assert {trace.lead for trace in page.traces} == set(LEADS)
    for trace in page.traces:
        x, y = trace.points[len(trace.points) // 2].round().astype(int)
        assert touched[y - 8 : y + 9, x].any()


@pytest.mark.parametrize(
    "page", [Page(white(9, 9)), Page(white(9, 9), 2.0), Page(white(9, 9), None, two_traces().traces)]
)
def test_a_page_whose_traces_are_not_known_is_refused(page: Page) -> None:
    with pytest.raises(ValueError, match="traces are not known"):
        overlay_traces(page, np.ones(3, np.float32), 10.0)


def test_one_window_joined_is_itself() -> None:
    maps = np.random.default_rng(0).random((1, 7, 10), np.float32)
    np.testing.assert_array_equal(join(maps, np.zeros(1, np.float32), 5.0, 5.0), maps[0])


def test_overlapping_windows_are_averaged_where_they_overlap() -> None:
    maps = np.stack([np.full((2, 4), value, np.float32) for value in (1, 3, 8)])
    joined = join(maps, np.array([0, 2, 4], np.float32), 4.0, 9.0)
    np.testing.assert_array_equal(joined, [[1, 1, 2, 2, 5.5, 5.5, 8, 8, 0]] * 2)


def test_what_reaches_beyond_the_end_is_cut() -> None:
    maps = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    np.testing.assert_array_equal(join(maps, np.array([2], np.float32), 4.0, 5.0), [[0, 0, 0, 1, 2]])


def test_panels_stand_one_below_the_other_under_their_captions() -> None:
    panels = [("atrial fibrillation: 98%", speckled(60, 300)), ("", speckled(40, 300))]
    stacked = stack(panels)
    bar = (stacked.shape[0] - 100) // 2
    assert stacked.shape == (2 * bar + 100, 300, 3)
    assert stacked.dtype == np.uint8
    np.testing.assert_array_equal(stacked[bar : bar + 60], panels[0][1])
    np.testing.assert_array_equal(stacked[-40:], panels[1][1])
    assert stacked[:bar].min() < 128
    assert stacked[bar + 60 : -40].min() == 255


def test_a_long_caption_is_made_to_fit() -> None:
    caption = stack([("complete right bundle branch block: 100%", white(10, 120))])[:-10]
    assert caption.min() < 200
    assert caption[:, -2:].min() == 255


@pytest.mark.parametrize("panels", [[], [("a", white(5, 50)), ("b", white(5, 60))]])
def test_panels_that_do_not_fit_are_refused(panels: list[tuple[str, np.ndarray]]) -> None:
    with pytest.raises(ValueError, match="concat"):
        stack(panels)


def test_evidence_of_the_mean_beat_lies_about_every_beat_in_equal_shares() -> None:
    evidence = np.array([[0, 0, 6, 0, 0], [1, 0, 0, 0, 0]], np.float32)  # 0.4 to 0.6 s of 1 s; its first 0.2 s
    laid = spread(evidence, [1.0, 3.0], (-0.5, 0.5), 4.0, 40)  # steps of 0.1 s
    np.testing.assert_allclose(np.flatnonzero(laid[0]), [9, 10, 29, 30])
    np.testing.assert_allclose(laid[0, [9, 10, 29, 30]], 1.5)
    np.testing.assert_allclose(laid[1].nonzero()[0], [5, 6, 25, 26])
    np.testing.assert_allclose(laid.sum(axis=1), evidence.sum(axis=1))


def test_what_would_lie_outside_the_record_is_dropped() -> None:
    assert not spread(np.ones((1, 4), np.float32), [-5.0, 9.0], (-0.5, 0.5), 4.0, 40).any()
    assert not spread(np.ones((1, 4), np.float32), [], (-0.5, 0.5), 4.0, 40).any()
