import json

import cv2
import numpy as np
import pytest

from ecglens.leads import INDEX, LEADS
from ecglens.paper import compose, draw, layouts, styles
from ecglens.paper.damage import wear
from ecglens.paper.sheet import Sheet
from ecglens.paper.truth import describe, mask
from ecglens.record import Record


def record() -> Record:
    t = np.arange(5000) / 500
    beats = np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2))
    signal = np.outer(np.linspace(-1.2, 1.2, 12), beats) + 0.2 * np.sin(np.outer(np.arange(1, 13), t))
    signal[4, 1000:1300] = np.nan
    return Record(signal.astype(np.float32), 500.0)


def to_mm(points: np.ndarray, nodes: np.ndarray, node_mm: float) -> np.ndarray:
    """Pixels back to mm on the sheet by the nodes around them, as a digitiser would: Newton steps on their mesh."""
    rows, columns = nodes.shape[:2]
    flat = nodes.reshape(-1, 2)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
    matrix, _ = cv2.findHomography(flat, grid.astype(np.float32))
    place = cv2.perspectiveTransform(points[None].astype(np.float64), matrix)[0]
    for _ in range(12):
        cell = np.clip(np.floor(place), 0, (columns - 2, rows - 2)).astype(int)
        (u, v), (i, j) = (place - cell).T[..., None], cell.T
        a, b, c, d = (nodes[j + down, i + across].astype(float) for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)))
        there = a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v
        along, down = (b - a) + (a - b - c + d) * v, (c - a) + (a - b - c + d) * u
        jacobian = np.stack([along, down], -1)
        place = place + np.linalg.solve(jacobian, (points - there)[..., None])[..., 0]
    return place * node_mm


def errors(described: dict, of: Record) -> np.ndarray:
    """How far, in mm, each trace of the JSON lies from the record's samples."""
    nodes = np.array(described["nodes"])
    found = []
    panels = [box for box in described["boxes"] if box["kind"] == "panel"]
    for trace, box in zip(described["traces"], panels, strict=True):
        assert trace["lead"] == box["lead"]
        points = np.array([place or (np.nan, np.nan) for place in trace["points"]])
        known, panel = ~np.isnan(points[:, 0]), np.array(box["corners"])
        corners = to_mm(panel, nodes, described["node_mm"])
        mm = to_mm(points[known], nodes, described["node_mm"])
        millivolts = (corners[:, 1].mean() - mm[:, 1]) / trace["mm_per_mv"]
        first = round(trace["start"] * trace["fs"])
        sign = -1 if trace["lead"] == "-aVR" else 1
        truth = sign * of.signal[INDEX[trace["lead"].removeprefix("-")], first : first + len(points)]
        assert (np.isnan(truth) == ~known).all()
        found.append(np.abs(millivolts - truth[known]) * trace["mm_per_mv"])
    return np.concatenate(found)


def described(sheet: Sheet, grade: float = 0.0, seed: int = 0) -> dict:
    page = wear(draw(sheet, 4.0), grade, np.random.default_rng(seed))
    return json.loads(json.dumps(describe(page, sheet, "page.png")))


@pytest.mark.parametrize("layout", layouts())
def test_the_json_takes_every_trace_back_to_the_record_to_half_a_pixel(layout: str) -> None:
    ecg = record()
    assert errors(described(compose(ecg, layout, "red")), ecg).max() < 0.5 / 4


@pytest.mark.parametrize("style", styles())
def test_so_does_every_style(style: str) -> None:
    ecg = record()
    sheet = compose(ecg, "3x4+1-cabrera", style, speed=50.0, gain=(10.0, 5.0))
    assert errors(described(sheet), ecg).max() < 0.5 / 4


@pytest.mark.parametrize("grade", [0.3, 0.6, 1.0])
def test_so_does_every_grade_of_wear(grade: float) -> None:
    ecg = record()
    for seed in range(6):
        assert errors(described(compose(ecg), grade, seed), ecg).max() < 0.5 / 4


def test_the_mask_follows_the_traces_and_says_whose_they_are() -> None:
    ecg = record()
    page = draw(compose(ecg, "12x1", "red"), 4.0)
    lanes = mask(page, 1)
    for trace in page.traces:
        points = trace.points[~np.isnan(trace.points[:, 1])]
        x, y = points.round().astype(int).T
        assert (lanes[y, x] == INDEX[trace.lead] + 1).mean() > 0.9
    assert set(np.unique(lanes)) == set(range(len(LEADS) + 1))
    points = next(trace for trace in page.traces if trace.lead == "aVL").points
    left, right = (round(float(points[k, 0])) for k in (998, 1302))
    assert not (lanes[:, left + 2 : right - 1] == INDEX["aVL"] + 1).any()


def test_trace_k_is_in_box_2k_and_a_turned_page_says_no_scale() -> None:
    sheet = compose(record(), "3x4+1-cabrera")
    said = describe(draw(sheet, 4.0), sheet, "page.png")
    assert [box["kind"] for box in said["boxes"]] == ["panel", "label"] * len(said["traces"])
    assert [box["lead"] for box in said["boxes"][::2]] == [trace["lead"] for trace in said["traces"]]
    assert said["px_per_mm"] == 4.0
    assert describe(draw(sheet, 4.0, 5.0), sheet, "page.png")["px_per_mm"] is None
