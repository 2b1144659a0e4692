"""Where in a picture the sheet lies, and which of its sides are sure."""

import numpy as np
import numpy.typing as npt
import pytest

from ecglens.paper import outline
from ecglens.paper.drawing import render
from ecglens.paper.edges import Floats
from ecglens.paper.outline import find_sheet, find_sides
from ecglens.paper.page import Pixels, Points
from ecglens.simulator import simulate
from test_edges import CORNERS, distances
from test_scan import photograph


def odds(*sheets: Points, size: tuple[int, int] = (720, 480)) -> Floats:
    """What ``find_sheet`` says of a picture in which sheets have these corners: the farther from an edge, the surer."""
    y, x = (np.indices((96, 96)) + 0.5) * np.array(size[::-1]).reshape(2, 1, 1) / 96 - 0.5
    within = []
    for corners in sheets:
        ahead = np.roll(corners, -1, axis=0) - corners
        inward = np.stack([-ahead[:, 1], ahead[:, 0]], 1) / np.hypot(*ahead.T)[:, None]
        far = [(x - start[0]) * way[0] + (y - start[1]) * way[1] for start, way in zip(corners, inward, strict=True)]
        within.append(np.min(far, axis=0))
    return np.asarray(np.max(within, axis=0))


@pytest.mark.parametrize("quarters", range(4))
def test_lines_along_what_is_the_sheet_are_its_edges(quarters: int) -> None:
    size, corners = (720, 480), CORNERS.astype(np.float64)
    for _ in range(quarters):  # anticlockwise
        corners = np.roll(np.column_stack([corners[:, 1], size[0] - 1 - corners[:, 0]]), -1, axis=0)
        size = size[::-1]
    found = find_sides(odds(corners, size=size), size)[0]
    assert max(distances(found, corners)) < 1.5  # pixels; cells are 7.5 by 5
    for side, edge in enumerate(found):
        assert edge is not None
        assert (edge[1] - edge[0]) @ (corners[(side + 1) % 4] - corners[side]) > 0  # clockwise


def test_what_a_hand_hides_of_an_edge_moves_it_nowhere() -> None:
    sheet = odds(CORNERS)
    sheet[:20, 30:50] = -9
    assert max(distances(find_sides(sheet, (720, 480))[0], CORNERS)) < 1.5


def test_a_sheet_that_runs_out_of_the_picture_has_no_edge_there() -> None:
    wide = np.array([(-90, 35), (890, 35), (890, 450), (-90, 430)])
    (top, right, bottom, left), unsure = find_sides(odds(wide), (720, 480))
    assert unsure == []
    assert left is None
    assert right is None
    assert distances((top, None, bottom, None), wide)[::2] == pytest.approx([0, 0], abs=1.5)
    everywhere = np.array([(-9, -9), (729, -9), (729, 489), (-9, 489)])
    assert find_sides(odds(everywhere), (720, 480)) == ((None, None, None, None), [])


ASKEW = np.array([(170, 180), (1050, 150), (1070, 600), (150, 570)], np.float32)


def on_desk(desk: int) -> Pixels:
    """A page of ECG that fills two fifths of a picture, its corners ``ASKEW``."""
    page = render(simulate((), rng=np.random.default_rng(3), fs=250), "3x4+1", "red", px_per_mm=4)
    return photograph(page, ASKEW, (1200, 800), desk).pixels


@pytest.mark.parametrize("desk", [5, 90, 160])
def test_a_sheet_is_told_from_its_desk(desk: int) -> None:
    picture = on_desk(desk)
    assert max(distances(find_sides(find_sheet(picture), (1200, 800))[0], ASKEW)) < 0.01 * np.hypot(1200, 800)


def answer(monkeypatch: pytest.MonkeyPatch, said: Floats) -> Floats:
    """What ``find_sheet`` makes of what the network ``said`` (96, 96)."""

    class Network:
        def run(self, *_: object) -> list[npt.NDArray[np.float32]]:
            return [said[None].astype(np.float32)]

    monkeypatch.setattr(outline, "_network", Network)
    return find_sheet(np.zeros((480, 720, 3), np.uint8))


def test_what_looks_like_a_sheet_beside_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said = odds(np.array([(90, 135), (690, 147), (680, 450), (105, 430)]))
    said[:4, :20] = 9
    sheet = answer(monkeypatch, said)
    assert (sheet[:4, :20] == 0).all()
    assert np.array_equal(sheet[6:], said[6:].astype(np.float32))


def test_of_several_sheets_none_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = ([(x, 40), (x + 280, 40), (x + 280, 440), (x, 440)] for x in (30, 400))
    assert (answer(monkeypatch, odds(np.array(left), np.array(right))) == 0).all()


def test_what_lies_across_a_sheet_does_not_divide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = odds(CORNERS)
    said[:, 40:43] = -9
    sheet = answer(monkeypatch, said)
    assert (sheet > 0)[:, :40].any()
    assert (sheet > 0)[:, 43:].any()
    assert max(distances(find_sides(sheet, (720, 480))[0], CORNERS)) < 1.5


def test_an_edge_beyond_which_there_may_be_more_of_the_sheet_is_unsure() -> None:
    sheet = np.maximum(odds(CORNERS), -1)
    assert find_sides(sheet, (720, 480)) == ((None, None, None, None), [0, 1, 2, 3])


def test_an_edge_of_which_little_is_seen_is_none() -> None:
    sheet = odds(CORNERS)
    sheet[:30, 20:] = 9
    assert find_sides(sheet, (720, 480))[0][0] is None


def test_edges_lie_between_cells() -> None:
    level = np.array([(100, 101.2), (600, 101.2), (600, 400), (100, 400)])  # a quarter of a cell off a border
    assert distances(find_sides(odds(level), (720, 480))[0], level)[0] < 0.2 * 480 / 96


def test_where_no_sheet_is_there_are_no_edges() -> None:
    assert find_sides(np.full((96, 96), -3.0), (720, 480)) == ((None, None, None, None), [0, 1, 2, 3])
