"""A picture of a page becomes a page: found, flat, upright, to scale; what is already so stays as it is."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ecglens.paper import scan, wear
from ecglens.paper.drawing import render
from ecglens.paper.edges import Edges, find_edges
from ecglens.paper.furniture import Notes
from ecglens.paper.grid import Grid, find_grid
from ecglens.paper.page import NODE_MM, Page, Pixels, Points, transform
from ecglens.paper.scan import Scan, straighten
from ecglens.record import Record
from ecglens.simulator import simulate

NOTES = Notes(("SPECIMEN, ADA", "ID: 123456"), ("Vent. rate 70 /min", "PR interval 150 ms"), ("Normal ECG",))


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate((), rng=np.random.default_rng(3), fs=250)


@pytest.fixture(scope="module")
def flat(record: Record) -> Page:
    return render(record, "3x4+1", "red", px_per_mm=5, notes=NOTES)


def photograph(page: Page, corners: Points, size: tuple[int, int], desk: int = 60) -> Page:
    """The page on an even desk, its corners at ``corners`` of a picture of ``size`` (width, height)."""
    height, width = page.pixels.shape[:2]
    outline = np.array(
        [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)], np.float32
    )
    matrix = cv2.getPerspectiveTransform(outline, corners)
    pixels = cv2.warpPerspective(page.pixels, matrix, size, flags=cv2.INTER_AREA, borderValue=(desk, desk, desk))
    return page.moved(np.asarray(pixels, np.uint8), lambda points: transform(points, matrix))


SLANTED = np.array([(130, 110), (1370, 160), (1440, 830), (70, 770)], np.float32)


@pytest.fixture(scope="module")
def photo(flat: Page) -> Page:
    return photograph(flat, SLANTED, (1500, 920))


def turn(page: Page, quarters: int) -> Page:
    """The page turned clockwise."""
    for _ in range(quarters):
        last = page.pixels.shape[0] - 1
        pixels = np.ascontiguousarray(np.rot90(page.pixels, -1))
        page = page.moved(pixels, lambda points, last=last: np.column_stack([last - points[:, 1], points[:, 0]]))
    return page


def on_paper(scan: Scan) -> Points:
    """Where the straightened page shows the points 5 mm apart, in mm from the first one."""
    assert scan.page.nodes is not None
    assert scan.page.px_per_mm is not None
    nodes = scan.page.nodes / np.float32(scan.page.px_per_mm)
    return nodes - nodes[0, 0]


def test_the_sheet_is_found_on_a_desk(photo: Page) -> None:
    diagonal = np.hypot(*photo.pixels.shape[:2])
    assert np.abs(straighten(photo).corners - SLANTED).max() < 0.01 * diagonal


@pytest.mark.parametrize("light", [0.5, 0.7, 0.9])
def test_a_dim_sheet_is_found_on_a_brighter_desk(light: float, flat: Page) -> None:
    dim = replace(flat, pixels=np.asarray(flat.pixels * light, np.uint8))
    page = photograph(dim, SLANTED, (1500, 920), desk=245)
    assert np.abs(straighten(page).corners - SLANTED).max() < 0.02 * np.hypot(1500, 920)


SMALL = np.array([(700, 500), (1320, 560), (1290, 830), (690, 760)], np.float32)


def tiles(size: tuple[int, int]) -> Pixels:
    y, x = np.indices(size[::-1]) // 60
    return np.where(((x + y) % 2 > 0)[..., None], (60, 110, 160), (150, 90, 60)).astype(np.uint8)


GROUNDS = [
    *((5, "red"), (5, "plain"), (60, "red"), (60, "plain"), (60, "night"), (250, "red"), (250, "night")),
    *(("tiles", style) for style in ("red", "plain", "night")),
]  # without those on which no edge is to be seen


@pytest.mark.parametrize("quarters", [0, 1])
@pytest.mark.parametrize(("ground", "style"), GROUNDS)
def test_a_small_sheet_is_found_wherever_it_lies(ground: int | str, style: str, quarters: int, record: Record) -> None:
    size = (2000, 1500)
    page = photograph(render(record, "3x4+1", style, px_per_mm=4), SMALL, size)
    outside = cv2.fillConvexPoly(np.ones(page.pixels.shape[:2], np.uint8), np.rint(SMALL).astype(np.int32), 0) > 0
    page.pixels[outside] = tiles(size)[outside] if ground == "tiles" else ground
    given = turn(page, quarters)
    scan = straighten(given)
    assert scan.turn == -quarters % 4 * 90
    assert given.nodes is not None
    corners = given.nodes[[0, 0, -1, -1], [0, -1, -1, 0]]
    assert np.abs(scan.corners - corners).max() < 0.01 * np.hypot(*size)
    height, width = scan.page.pixels.shape[:2]
    flat = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * (width, height)
    assert np.abs(transform(scan.corners, scan.matrix) - flat).max() < 0.02 * width
    points = transform(given.traces[0].points, scan.matrix)
    assert np.allclose(scan.page.traces[0].points, points, atol=0.1, equal_nan=True)


@pytest.mark.parametrize(
    "corners", [[(250, 150), (1250, 150), (1450, 800), (60, 800)], [(160, 220), (1330, 40), (1180, 880), (360, 800)]]
)
def test_a_grid_that_is_too_slanting_to_be_seen_is_seen_once_the_sheet_is_flat(
    corners: list[tuple[int, int]], flat: Page
) -> None:
    scan = straighten(photograph(flat, np.array(corners, np.float32), (1500, 920)))
    places = on_paper(scan)
    assert places[-1, -1] == pytest.approx(NODE_MM * (np.array(places.shape[1::-1]) - 1), rel=0.02)


@pytest.mark.parametrize("wrong", [[[0.25, 0.08, 0], [-0.08, 0.25, 0]], [[0.25, 0, 0], [0, 0.15, 0]]])
def test_a_second_grid_that_edges_or_the_page_contradict_is_not_believed(
    wrong: list[list[float]], photo: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    grids = [None, Grid(np.array([*wrong, [0, 0, 1]]), 0.001)]
    monkeypatch.setattr(scan, "find_grid", lambda picture: grids.pop(0) if grids else find_grid(picture))
    found = straighten(photo)
    assert not grids
    height, width = found.page.pixels.shape[:2]
    assert np.abs(found.corners - SLANTED).max() < 0.01 * np.hypot(*photo.pixels.shape[:2])
    assert width / height == pytest.approx(1310 / 660, rel=0.05)  # as long as the edges in the picture


@pytest.mark.parametrize("degrees", [-27, -20, -12, 14, 23])
def test_a_tilted_sheet_is_levelled(degrees: float, flat: Page) -> None:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    half = np.array(flat.pixels.shape[1::-1]) * 0.7 / 2
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    corners = (square @ np.array([[cos, sin], [-sin, cos]]) + (800, 600)).astype(np.float32)
    page = photograph(flat, corners, (1600, 1200))
    scan = straighten(page)
    assert scan.turn == 0
    assert np.abs(scan.corners - corners).max() < 0.01 * np.hypot(1600, 1200)
    assert scan.page.px_per_mm is not None
    places = on_paper(scan)
    assert places[-1, -1] == pytest.approx(NODE_MM * (np.array(places.shape[1::-1]) - 1), rel=0.02)
    points = transform(page.traces[0].points, scan.matrix)
    assert np.allclose(scan.page.traces[0].points, points, atol=0.1, equal_nan=True)


def test_what_lies_across_a_sheet_takes_nothing_of_it(photo: Page) -> None:
    pixels = photo.pixels.copy()
    pixels[:, 640:690] = 60  # the desk's colour
    scan = straighten(replace(photo, pixels=pixels))
    assert np.abs(scan.corners - SLANTED).max() < 0.02 * np.hypot(*pixels.shape[:2])


@pytest.mark.parametrize("seed", [17, 21, 38])
def test_moire_across_a_screen_and_its_frame_hides_no_edge(seed: int, record: Record) -> None:
    page = wear(render(record, "3x4+1", "red", px_per_mm=4), 0.6, np.random.default_rng(seed), ways=("screen",))
    assert page.nodes is not None
    diagonal = np.hypot(*page.pixels.shape[:2])
    corners = page.nodes[[0, 0, -1, -1], [0, -1, -1, 0]]
    assert np.abs(straighten(page).corners - corners).max() < 0.02 * diagonal


def test_two_edges_that_run_together_are_those_of_a_slanted_sheet(record: Record) -> None:
    plain = render(record, "3x4+1", "plain", px_per_mm=5, notes=NOTES)
    corners = np.array([(160, -40), (1340, -40), (1410, 960), (90, 960)], np.float32)
    page = photograph(plain, corners, (1500, 920))
    sides = straighten(page).corners
    for found, true in ((sides[[0, 3]], corners[[0, 3]]), (sides[[1, 2]], corners[[1, 2]])):
        at = np.array([0.0, 919.0])
        off = np.interp(at, found[:, 1], found[:, 0]) - np.interp(at, true[:, 1], true[:, 0])
        assert np.abs(off).max() < 15


def test_a_slanted_sheet_becomes_a_flat_one_true_to_scale(photo: Page) -> None:
    places = on_paper(straighten(photo))
    rows, columns = places.shape[:2]
    truth = NODE_MM * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    assert np.abs(places - truth).max() < 2.5  # mm over the whole sheet of 275 mm


def test_an_edge_askew_to_the_grid_moves_no_corner(photo: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def tilted(work: Pixels, known: Edges, unsure: Sequence[int]) -> Edges:
        top, right, bottom, left = find_edges(work, known, unsure)
        assert top is not None
        length = np.hypot(*(top[1] - top[0]))
        askew = top + np.array([(0, -0.04), (0, 0.04)]) * length / 2  # as where a thumb hides a corner
        return askew, right, bottom, left

    monkeypatch.setattr(scan, "find_edges", tilted)
    diagonal = np.hypot(*photo.pixels.shape[:2])
    assert np.abs(straighten(photo).corners - SLANTED).max() < 0.012 * diagonal


def test_the_desk_is_cropped(photo: Page) -> None:
    scan = straighten(photo)
    assert scan.page.px_per_mm is not None
    size = np.array(scan.page.pixels.shape[1::-1]) / scan.page.px_per_mm
    assert photo.nodes is not None
    sheet = NODE_MM * (np.array(photo.nodes.shape[1::-1]) - 1)
    assert np.abs(size - sheet).max() < 6


@pytest.mark.parametrize("quarters", range(4))
def test_pages_and_photographs_are_turned_upright(quarters: int, flat: Page, photo: Page) -> None:
    for page in (flat, photo):
        scan = straighten(turn(page, quarters))
        assert scan.turn == -quarters % 4 * 90
        assert scan.page.pixels.shape[1] > scan.page.pixels.shape[0]


@pytest.mark.parametrize("quarters", [0, 1])
def test_turned_over_all_lies_the_other_way_up(quarters: int, photo: Page) -> None:
    given = turn(photo, quarters)
    once = straighten(given).turned_over()
    assert once.turn == (180 - 90 * quarters) % 360
    assert np.allclose(
        transform(given.traces[0].points, once.matrix), once.page.traces[0].points, atol=0.1, equal_nan=True
    )
    twice = once.turned_over()
    for back, first in ((twice.page.pixels, straighten(given).page.pixels), (twice.corners, straighten(given).corners)):
        np.testing.assert_array_equal(back, first)


@pytest.mark.parametrize("layout", ["3x4", "3x4+3", "6x2", "12x1"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_flat_pages_are_turned_without_resampling(layout: str, quarters: int, record: Record) -> None:
    page = render(record, layout, "blue", px_per_mm=4, notes=NOTES)
    scan = straighten(turn(page, quarters))
    assert scan.turn == -quarters % 4 * 90
    assert np.array_equal(scan.page.pixels, page.pixels)


@pytest.mark.parametrize("style", ["red", "blue", "plain", "copy", "night", "muse", "viewer"])
@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_flat_pages_come_through_as_they_are(layout: str, style: str, record: Record) -> None:
    page = render(record, layout, style, px_per_mm=5)
    scan = straighten(page)
    assert scan.page.pixels is page.pixels
    assert scan.turn == 0
    assert np.array_equal(scan.matrix, np.eye(3))
    assert all(a.points is b.points for a, b in zip(scan.page.traces, page.traces, strict=True))


@pytest.mark.parametrize("px_per_mm", [3.0, 5.0, 9.0])
def test_the_grid_gives_the_scale(px_per_mm: float, record: Record) -> None:
    scan = straighten(Page(render(record, "3x4+1", "red", px_per_mm=px_per_mm).pixels))
    assert scan.page.px_per_mm == pytest.approx(px_per_mm, rel=0.02)


@pytest.mark.parametrize("px_per_mm", [4.0, 6.0])
def test_the_grid_of_a_roll_gives_the_scale(px_per_mm: float, record: Record) -> None:
    page = render(record, "roll-1", "red", px_per_mm=px_per_mm)
    assert page.pixels.shape[1] > 10 * page.pixels.shape[0]
    assert straighten(Page(page.pixels)).page.px_per_mm == pytest.approx(px_per_mm, rel=0.02)


@pytest.mark.parametrize("width", [250, 400, 510])  # mm; 1.4 pixels a mm where all is looked for, of the last
def test_lines_too_fine_for_the_reduced_copy_give_the_scale(width: int) -> None:
    px_per_mm = 5.3
    picture = np.full((round(0.6 * width * px_per_mm), round(width * px_per_mm), 3), 250, np.uint8)
    at = np.rint(np.arange(0, width, 1) * px_per_mm).astype(int)
    picture[at[at < len(picture)]] = picture[:, at] = (240, 160, 160)
    assert straighten(Page(picture)).page.px_per_mm == pytest.approx(px_per_mm, rel=0.01)


@pytest.mark.parametrize("quarters", [0, 1])
def test_a_page_as_it_came_has_the_scale_of_its_grid(quarters: int, flat: Page, photo: Page) -> None:
    given = turn(Page(flat.pixels), quarters)
    assert straighten(given).as_it_came(given).px_per_mm == pytest.approx(5, rel=0.02)
    scale = (
        np.hypot(*(SLANTED[1] - SLANTED[0])) / flat.pixels.shape[1] * 5
    )  # of its upper edge; the lower one is nearer
    assert scale < (straighten(photo).as_it_came(photo).px_per_mm or 0) < 1.2 * scale


@pytest.mark.parametrize(("across", "down"), [(1.3, 1.0), (1.0, 1.3)])
@pytest.mark.parametrize("style", ["red", "mac"])
def test_a_page_pulled_wider_or_higher_is_pulled_back(across: float, down: float, style: str, record: Record) -> None:
    page = render(record, "3x4+1", style, px_per_mm=5)
    pulled = cv2.resize(page.pixels, None, fx=across, fy=down, interpolation=cv2.INTER_AREA)
    found = straighten(Page(np.asarray(pulled, np.uint8))).page
    for length, given in zip(found.pixels.shape, page.pixels.shape[:2], strict=False):
        assert length == pytest.approx(given / 5 * (found.px_per_mm or 0), rel=0.02)


def test_without_a_grid_there_is_no_scale(record: Record) -> None:
    page = render(record, "3x4+1", "plain")
    assert straighten(Page(page.pixels)).page.px_per_mm is None
    assert straighten(Page(page.pixels, px_per_mm=5.7)).page.px_per_mm == 5.7  # what is known beforehand stays


@pytest.mark.parametrize(("px_per_mm", "quality"), [(5, 30), (8, 40), (4, 50), (5, 80)])
def test_blocks_of_jpeg_are_no_grid(
    px_per_mm: float, quality: int, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = render(record, "12x1", "plain", px_per_mm=px_per_mm).pixels
    blocks = cv2.imdecode(cv2.imencode(".jpg", plain, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    page = Page(np.asarray(blocks, np.uint8))
    assert straighten(page).page.px_per_mm is None
    monkeypatch.setattr(scan, "check_scale", lambda _, px_per_mm: px_per_mm)
    assert straighten(page).page.px_per_mm is not None  # on the reduced copy they look like one


@pytest.mark.parametrize("apart", [35, 40])  # pixels
def test_lines_5_mm_apart_alone_give_the_scale_of_large_pages(apart: int) -> None:
    picture = np.full((1200, 3300, 3), 250, np.uint8)
    picture[:, ::apart] = picture[::apart] = (240, 160, 160)
    picture[100:103, 100:-100] = 20
    assert straighten(Page(picture)).page.px_per_mm == pytest.approx(apart / 5, rel=0.02)


@pytest.mark.parametrize("px_per_mm", np.arange(2.2, 3.0, 0.1))
def test_small_pages_have_their_scale_or_none(px_per_mm: float, record: Record) -> None:
    page = render(record, "3x4+1", "green", px_per_mm=px_per_mm)
    assert straighten(Page(page.pixels)).page.px_per_mm in (None, pytest.approx(px_per_mm, rel=0.02))
    known = straighten(Page(page.pixels, px_per_mm=px_per_mm)).page.px_per_mm
    assert known == pytest.approx(px_per_mm, rel=0.02)


def test_a_grid_too_fine_for_a_sheet_is_none(photo: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "find_grid", lambda _: Grid(np.diag([0.001, 0.05, 1.0]), 0.0))  # 141 pixels a mm
    monkeypatch.setattr(scan, "check_scale", lambda _, px_per_mm: px_per_mm)  # which would find the true one
    found = straighten(photo)
    assert found.page.px_per_mm is None
    assert max(found.page.pixels.shape) < 2 * max(photo.pixels.shape)


def test_uneven_light_is_evened_out(flat: Page) -> None:
    height, width = flat.pixels.shape[:2]
    shade = np.linspace(1, 0.4, width)[None, :, None] * np.ones((height, 1, 1))
    dim = Page((flat.pixels * shade).astype(np.uint8))
    bright = straighten(dim).page.pixels
    assert bright.shape == dim.pixels.shape
    thirds = [float(np.median(part)) for part in np.array_split(bright, 3, axis=1)]
    assert max(thirds) - min(thirds) < 12
    assert np.abs(bright.astype(int) - flat.pixels).mean() < 12


def test_traces_and_boxes_move_with_the_pixels(photo: Page) -> None:
    scan = straighten(photo)
    trace, before = scan.page.traces[0], photo.traces[0]
    assert np.allclose(trace.points, transform(before.points, scan.matrix), atol=0.01, equal_nan=True)
    points = trace.points[~np.isnan(trace.points).any(axis=1)].astype(int)
    on_trace = scan.page.pixels[points[:, 1], points[:, 0]].max(axis=1)
    assert np.median(on_trace) < np.median(scan.page.pixels) - 60


def test_the_matrix_inverts(photo: Page) -> None:
    scan = straighten(turn(photo, 1))
    corners = transform(scan.corners, scan.matrix)
    size = np.array(scan.page.pixels.shape[1::-1])
    assert np.abs(corners - np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size).max() < 0.02 * size.max()
    back = transform(transform(scan.corners, scan.matrix), np.linalg.inv(scan.matrix))
    assert np.allclose(back, scan.corners, atol=0.1)


def test_a_straightened_page_hardly_moves_again(photo: Page) -> None:
    once = straighten(photo).page
    size = np.array(once.pixels.shape[1::-1])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size
    assert np.abs(straighten(once).corners - corners).max() < 0.02 * np.hypot(*size)


def test_same_picture_same_page(photo: Page) -> None:
    before = photo.pixels.copy()
    one, other = straighten(photo), straighten(photo)
    assert np.array_equal(one.page.pixels, other.page.pixels)
    assert np.array_equal(one.matrix, other.matrix)
    assert np.array_equal(photo.pixels, before)


def test_large_pictures_that_move_are_kept_to_what_is_needed(flat: Page) -> None:
    large = cv2.resize(flat.pixels, None, fx=3, fy=3)
    photo = photograph(Page(np.asarray(large, np.uint8)), SLANTED * 3, (4500, 2760))
    scan = straighten(photo)
    assert 1000 < max(scan.page.pixels.shape) <= 1500
    assert straighten(Page(np.asarray(large, np.uint8))).page.pixels.shape == large.shape


def test_a_long_strip_keeps_its_height(record: Record) -> None:
    roll = render(record, "roll-1", "red", px_per_mm=5)
    photo = photograph(roll, np.array([(100, 80), (4100, 160), (4090, 455), (95, 380)], np.float32), (4200, 540))
    page = straighten(photo).page.pixels
    assert page.shape[1] > 1.9 * 1500  # what an ordinary page may have
    assert page.shape[0] * page.shape[1] <= 1.01 * 1500 * 500


def odd_pictures() -> list[Pixels]:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 5000), (5000, 1), (2, 3), (63, 64), (64, 64), (65, 4000), (4000, 65), (300, 300), (128, 129)]
    return [
        fill(shape)
        for shape in shapes
        for fill in (
            lambda shape: np.zeros((*shape, 3), np.uint8),
            lambda shape: np.full((*shape, 3), 255, np.uint8),
            lambda shape: rng.integers(0, 256, (*shape, 3)).astype(np.uint8),
            lambda shape: np.full((*shape, 3), np.linspace(0, 255, shape[1])[None, :, None], np.uint8),
        )
    ]


@pytest.mark.parametrize("pixels", odd_pictures(), ids=lambda pixels: "x".join(map(str, pixels.shape[:2])))
def test_no_picture_is_too_odd(pixels: Pixels) -> None:
    scan = straighten(Page(pixels))
    assert scan.page.pixels.size > 0
    assert np.isfinite(scan.corners).all()
    assert scan.turn in (0, 90, 180, 270)
