"""Where in a picture the sheet lies, and which of its sides are sure."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ecglens.paper import outline
from ecglens.paper.drawing import render
from ecglens.paper.edges import Edges, Floats
from ecglens.paper.outline import find_sheet, find_sides
from ecglens.paper.page import Pixels, Points
from ecglens.simulator import simulate

CORNERS = np.array([(40, 35), (690, 47), (680, 450), (55, 430)])


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


def distances(found: Edges, corners: Points) -> list[float]:
    """How far from each side of a sheet the edge found lies at most, pixels; infinite where none is found."""
    far = []
    for side, edge in enumerate(found):
        start, end = corners[side], corners[(side + 1) % 4]
        ahead = (end - start) / np.hypot(*(end - start))
        off = np.inf if edge is None else np.abs((edge - start) @ np.array([-ahead[1], ahead[0]])).max()
        far.append(float(off))
    return far


@pytest.mark.parametrize("quarters", range(4))
def test_lines_along_what_is_the_sheet_are_its_edges(quarters: int) -> None:
    size, corners = (720, 480), CORNERS.astype(np.float64)
    for _ in range(quarters):  # anticlockwise
        corners = np.roll(np.column_stack([corners[:, 1], size[0] - 1 - corners[:, 0]]), -1, axis=0)
        size = size[::-1]
    found = find_sides(odds(corners, size=size), size)
    assert max(distances(found, corners)) < 1.5  # pixels; cells are 7.5 by 5
    for side, edge in enumerate(found):
        assert edge is not None
        assert (edge[1] - edge[0]) @ (corners[(side + 1) % 4] - corners[side]) > 0  # clockwise


def test_what_a_hand_hides_of_an_edge_moves_it_nowhere() -> None:
    sheet = odds(CORNERS)
    sheet[:20, 30:50] = -9
    assert max(distances(find_sides(sheet, (720, 480)), CORNERS)) < 1.5


def test_a_sheet_that_runs_out_of_the_picture_has_no_edge_there() -> None:
    wide = np.array([(-90, 35), (890, 35), (890, 450), (-90, 430)])
    top, right, bottom, left = find_sides(odds(wide), (720, 480))
    assert left is None
    assert right is None
    assert distances((top, None, bottom, None), wide)[::2] == pytest.approx([0, 0], abs=1.5)
    everywhere = np.array([(-9, -9), (729, -9), (729, 489), (-9, 489)])
    assert find_sides(odds(everywhere), (720, 480)) == (None, None, None, None)


def photograph(desk: int) -> tuple[Pixels, Points]:
    """A page of ECG that fills some two thirds of a picture, and its corners."""
    page = render(simulate((), rng=np.random.default_rng(3), fs=250), "3x4+1", "red", px_per_mm=4).pixels
    corners = np.array([(170, 180), (1050, 150), (1070, 600), (150, 570)], np.float32)
    outline = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * page.shape[1::-1]
    matrix = cv2.getPerspectiveTransform(outline.astype(np.float32), corners)
    picture = cv2.warpPerspective(page, matrix, (1200, 800), flags=cv2.INTER_AREA, borderValue=(desk,) * 3)
    return np.asarray(picture, np.uint8), corners


@pytest.mark.parametrize("desk", [5, 90, 160])
def test_a_sheet_is_told_from_its_desk(desk: int) -> None:
    picture, corners = photograph(desk)
    assert max(distances(find_sides(find_sheet(picture), (1200, 800)), corners)) < 0.01 * np.hypot(1200, 800)


def test_of_two_sheets_the_larger_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.array([(20, 460), (120, 460), (120, 478), (20, 478)])
    both = odds(CORNERS, small).astype(np.float32)

    class Network:
        def run(self, *_: object) -> list[npt.NDArray[np.float32]]:
            return [both[None]]

    monkeypatch.setattr(outline, "_network", Network)
    assert max(distances(find_sides(find_sheet(np.zeros((480, 720, 3), np.uint8)), (720, 480)), CORNERS)) < 1.5


def test_where_no_sheet_is_there_are_no_edges() -> None:
    assert find_sides(np.full((96, 96), -3.0), (720, 480)) == (None, None, None, None)
