from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import ConfigError, UsageError
from ecglens.leads import INDEX, LEADS
from ecglens.paper import Notes, Page, Sheet, Trace, compose, drawing, layouts, random_page, render
from ecglens.paper.layout import PAPER_LAYOUTS, load_layout
from ecglens.paper.style import Style, load_style, styles
from ecglens.record import Record

PLAIN = load_style("plain")
BARE = replace(PLAIN, pulse="none", footer="", label_height=0.1)  # nothing but traces, and names of 0.1 mm


def record(seconds: float = 10.0, fs: float = 300.0, seed: int = 0) -> Record:
    """Twelve different smooth waves with beats, within 1.5 mV."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs)) / fs
    wave = np.sin(2 * np.pi * np.outer(rng.uniform(0.5, 3, 12), t) + rng.uniform(0, 6, (12, 1)))
    beats = np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2))
    return Record((0.2 * wave + np.outer(rng.uniform(-1.2, 1.2, 12), beats)).astype(np.float32), fs)


EMPTY = Record(np.full((12, 3000), np.nan, np.float32), 300.0)


def unturned(points: np.ndarray, page: Page, layout: str, rotation: float, speed: float = 25.0) -> np.ndarray:
    """Page pixels back to mm on the sheet, worked out from the page's size and the angle alone."""
    assert page.px_per_mm is not None
    height, width = page.pixels.shape[:2]
    shape = load_layout(layout)
    angle = np.radians(rotation)
    x, y = ((points + 0.5 - (width / 2, height / 2)) / page.px_per_mm).T
    turned = np.column_stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)])
    return np.asarray(turned + np.array([shape.width(speed) / 2, shape.height / 2]))


def samples(trace: Trace, of: Record) -> np.ndarray:
    first = round(trace.start * trace.fs)
    sign = -1 if trace.lead == "-aVR" else 1
    return sign * of.signal[INDEX[trace.lead.removeprefix("-")], first : first + len(trace.points)]


@pytest.mark.parametrize("rotation", [0.0, -9.0, 33.0])
@pytest.mark.parametrize("layout", layouts())
def test_traces_read_back_as_the_record_to_half_a_pixel(layout: str, rotation: float) -> None:
    ecg = record()
    page = render(ecg, layout, px_per_mm=4.0, rotation=rotation)
    shape = load_layout(layout)
    for trace, panel in zip(page.traces, shape.panels(10.0), strict=True):
        mm = unturned(trace.points, page, layout, rotation)
        millivolts = (shape.baseline(panel.row) - mm[:, 1]) / 10.0
        seconds = (mm[:, 0] - shape.margin.left) / 25.0 - panel.left + panel.start
        assert trace.lead == panel.name
        assert len(trace.points) == round(panel.seconds * ecg.fs)
        np.testing.assert_allclose(millivolts, samples(trace, ecg), atol=0.5 / 40)
        np.testing.assert_allclose(seconds, trace.start + np.arange(len(mm)) / ecg.fs, atol=0.5 / 100)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0, 7), st.floats(25, 1000), st.sampled_from([12.5, 25.0, 50.0]), st.sampled_from([5.0, 10.0, 20.0]),
    st.floats(1, 3),
)  # fmt: skip
def test_any_start_rate_speed_and_gain_reads_back(
    start: float, fs: float, speed: float, gain: float, px_per_mm: float
) -> None:
    ecg = record(8.0, fs)
    page = render(ecg, "6x2", BARE, start=start, px_per_mm=px_per_mm, speed=speed, gain=gain)
    shape = load_layout("6x2")
    for trace, panel in zip(page.traces, shape.panels(ecg.duration - start), strict=True):
        mm = unturned(trace.points, page, "6x2", 0.0, speed)
        times = trace.start + np.arange(len(mm)) / fs
        np.testing.assert_allclose(
            (shape.baseline(panel.row) - mm[:, 1]) / gain, samples(trace, ecg), atol=0.5 / (gain * px_per_mm)
        )
        drawn = shape.margin.left + speed * (panel.left - panel.start + times - start)
        np.testing.assert_allclose(mm[:, 0], drawn, atol=0.5 / px_per_mm)


@pytest.mark.parametrize("rotation", [0.0, 8.0])
@pytest.mark.parametrize("px_per_mm", [2.0, 3.3, 8.0])
def test_the_ink_lies_on_the_traces_and_nowhere_else(px_per_mm: float, rotation: float) -> None:
    page, empty = (render(ecg, "3x4", BARE, px_per_mm=px_per_mm, rotation=rotation) for ecg in (record(), EMPTY))
    points = np.concatenate([trace.points for trace in page.traces])
    x, y = points.round().astype(int).T
    assert cv2.erode(page.pixels[..., 0], np.ones((3, 3)))[y, x].max() < 190
    near = np.zeros(page.pixels.shape[:2], np.uint8)
    for trace in page.traces:
        cv2.polylines(near, [trace.points.round().astype(np.int32)], False, 1, 3 + 2 * int(0.15 * px_per_mm))
    assert (page.pixels == empty.pixels)[near == 0].all()


@pytest.mark.parametrize("px_per_mm", [1.5, 3.0, 4.5, 8.0])
def test_a_line_has_its_width_in_ink_at_any_scale(px_per_mm: float) -> None:
    flat = Record(np.zeros((12, 3000), np.float32), 300.0)
    page = render(flat, "12x1", BARE, px_per_mm=px_per_mm)
    column = page.pixels[:, page.pixels.shape[1] // 2, 0].astype(float)
    widths = (1 - column / 255).sum() / 12 / px_per_mm
    assert widths == pytest.approx(BARE.trace_width, rel=0.25)


def test_the_grid_is_true_to_scale() -> None:
    style = Style(minor=(200, 200, 200), major=(90, 90, 90), paper=(255, 255, 255), pulse="none", footer="")
    page = render(record(), "6x2", style, px_per_mm=10.0)
    row = page.pixels[5, :, 0]  # half a millimetre below the first level line
    for mm in range(1, len(row) // 10):
        line, gap = row[10 * mm - 1 : 10 * mm + 1], row[10 * mm + 3 : 10 * mm + 7]
        assert gap.min() == 255
        assert line.min() < 150 if mm % 5 == 0 else 150 < line.min() < 250


def test_a_dotted_grid_has_paper_between_its_dots() -> None:
    page = render(record(), "3x4", "dots", px_per_mm=10.0)
    paper, dot = page.pixels[15, 15], page.pixels[9:12, 9:12].min((0, 1))
    assert paper.tolist() == list(load_style("dots").paper)
    assert dot[1] < paper[1] - 60
    assert page.pixels[10, 15].tolist() == paper.tolist()


def test_the_calibration_pulse_is_1_mv_and_0_2_s() -> None:
    shape = load_layout("3x4")
    page = render(EMPTY, "3x4", replace(BARE, pulse="left"), px_per_mm=10.0)
    y, x = np.nonzero(page.pixels[: round(shape.baseline(0) * 10) + 5, : round(shape.margin.left * 10), 0] < 128)
    top = y == y.min()
    assert np.ptp(y) == pytest.approx(100, abs=4)
    assert np.ptp(x[top]) == pytest.approx(50, abs=4)


def test_what_was_not_recorded_leaves_the_paper_as_it_was() -> None:
    whole, gapped = record(), record()
    gapped.signal[INDEX["V2"], 1800:2100] = np.nan  # in its column, 5.0 s to 7.5 s
    pages = {name: render(ecg, "3x4", px_per_mm=4.0) for name, ecg in (("w", whole), ("g", gapped), ("e", EMPTY))}
    v2 = next(trace for trace in pages["w"].traces if trace.lead == "V2")
    gap = next(trace for trace in pages["g"].traces if trace.lead == "V2")
    assert np.isnan(gap.points[300:600]).all()
    assert not np.isnan(np.delete(gap.points, np.s_[300:600], 0)).any()
    inner = v2.points[305:595].round().astype(int)
    left, right = inner[:, 0].min(), inner[:, 0].max() + 1
    top, bottom = inner[:, 1].min() - 2, inner[:, 1].max() + 3
    window = np.s_[top:bottom, left:right]
    assert (pages["g"].pixels[window] == pages["e"].pixels[window]).all()
    assert (pages["w"].pixels[window] != pages["e"].pixels[window]).any()
    untouched = np.s_[:, : round(v2.points[0, 0]) - 5]
    assert (pages["g"].pixels[untouched] == pages["w"].pixels[untouched]).all()


def test_a_record_shorter_than_the_page_leaves_the_rest_empty() -> None:
    short = render(record(2.0), "3x4+1", "red", px_per_mm=4.0)
    nothing = render(Record(np.full((12, 600), np.nan, np.float32), 300.0), "3x4+1", "red", px_per_mm=4.0)
    shape = load_layout("3x4+1")
    after = round((shape.margin.left + 2.05 * 25) * 4), round((shape.margin.left + 2.49 * 25) * 4)
    assert (short.pixels[:, after[0] : after[1]] == nothing.pixels[:, after[0] : after[1]]).all()
    assert [len(trace.points) for trace in short.traces] == [600] * 13


@pytest.mark.parametrize("layout", layouts())
def test_every_page_shows_each_lead_and_its_strips(layout: str) -> None:
    page = render(record(), layout, px_per_mm=2.0)
    leads = [trace.lead.removeprefix("-") for trace in page.traces]
    assert Counter(leads) == Counter([*LEADS, *load_layout(layout).rhythm])


@pytest.mark.parametrize("style", styles())
def test_every_style_draws_its_paper_and_its_names(style: str) -> None:
    look = replace(
        load_style(style), grid="none", pulse="none", header="", footer="", separators="none", sheet=(0.0, 0.0)
    )
    page = render(EMPTY, "12x1", look, px_per_mm=4.0)
    assert page.pixels[0, 0].tolist() == list(look.paper)
    assert page.pixels[-1, -1].tolist() == list(look.paper)
    shape = load_layout("12x1")
    for row in range(12):
        y = round((shape.baseline(row) - look.label_rise) * 4)
        x = round(shape.margin.left * 4)
        name = page.pixels[y - round(look.label_height * 4) : y + 1, x : x + 40].astype(int)
        assert np.abs(name - look.paper).max() > 100


def test_header_footer_and_separators_are_drawn_where_asked() -> None:
    def ink(**changes: str) -> np.ndarray:
        return render(record(), "3x4", replace(BARE, **changes), px_per_mm=4.0).pixels[..., 0] < 128

    bare, shape = ink(), load_layout("3x4")
    assert np.flatnonzero((ink(header="12-lead ECG") & ~bare).any(1)).max() < shape.margin.top * 4
    assert np.flatnonzero((ink(footer="{speed} mm/s") & ~bare).any(1)).min() > (shape.height - shape.margin.bottom) * 4
    columns = np.flatnonzero((ink(separators="ticks") & ~bare).any(0)) / 4 - shape.margin.left
    assert {float(round(column / 2.5) * 2.5) for column in columns} == {62.5, 125.0, 187.5}


def test_a_turned_sheet_has_white_around_it_and_none_without() -> None:
    upright, turned = (render(record(), "3x4", "green", px_per_mm=3.0, rotation=angle) for angle in (0.0, 10.0))
    assert turned.pixels[0, 0].tolist() == [255, 255, 255]
    assert (upright.pixels[[0, -1]] == 255).all(-1).sum() == 0
    assert turned.pixels.shape[0] > upright.pixels.shape[0]


@pytest.mark.parametrize("layout", PAPER_LAYOUTS)
def test_the_same_seed_gives_the_same_page_and_another_one_another(layout: str) -> None:
    first, again, other = (random_page(record(), np.random.default_rng(seed), layouts=[layout]) for seed in (7, 7, 8))
    assert (first.pixels == again.pixels).all()
    assert all((a.points == b.points).all() for a, b in zip(first.traces, again.traces, strict=True))
    assert (first.pixels != other.pixels).any()


@pytest.mark.parametrize("seconds", [5.0, 10.0, 14.0])
def test_a_training_page_has_its_size_and_every_lead_inside(seconds: float) -> None:
    ecg = record(seconds)
    for seed in range(12):
        page = random_page(ecg, np.random.default_rng(seed), size=224)
        assert page.pixels.shape == (224, 224, 3)
        assert set(LEADS) <= {trace.lead for trace in page.traces}
        points = np.concatenate([trace.points for trace in page.traces])
        assert ((points > -0.5) & (points < 223.5)).all(1).mean() > 0.98


def test_a_training_page_puts_its_ink_on_its_traces() -> None:
    for seed in range(8):
        page = random_page(record(), np.random.default_rng(seed))
        grey = page.pixels.mean(-1).astype(np.float32)
        local = grey - cv2.blur(grey, (15, 15))
        points = np.concatenate([trace.points for trace in page.traces])
        x, y = points[((points > 1) & (points < 298)).all(1)].round().astype(int).T
        assert local[y, x].mean() < local.mean() - 10
        assert local[y, x].mean() < min(local[y - 6, x].mean(), local[(y + 6) % 300, x].mean())


def test_a_small_training_page_is_the_large_one_squashed() -> None:
    ecg = record()
    for seed in range(6):
        small, large = (random_page(ecg, np.random.default_rng(seed), size=size) for size in (300, 1500))
        squashed = cv2.resize(large.pixels, (300, 300), interpolation=cv2.INTER_AREA)
        soft = [cv2.blur(pixels.astype(np.float32), (5, 5)) for pixels in (small.pixels, squashed)]
        assert np.abs(soft[0] - soft[1]).mean() < 3.5
        assert np.corrcoef(soft[0].ravel(), soft[1].ravel())[0, 1] > 0.95
        for a, b in zip(small.traces, large.traces, strict=True):
            np.testing.assert_allclose(a.points, (b.points + 0.5) / 5 - 0.5, atol=0.01)


def test_a_worn_training_page_is_the_whole_sheet_worn() -> None:
    """Where no effect happens, the sheet is upright and squashed to the square; traces lie where its mm say."""
    for seed in range(12):
        page = random_page(record(), np.random.default_rng(seed), size=240, layouts=layouts(), wear=1e-9)
        assert page.pixels.shape == (240, 240, 3)
        assert page.nodes is not None
        across, down = (np.diff(page.nodes, axis=axis) for axis in (1, 0))
        np.testing.assert_allclose(page.nodes[0, 0], -0.5, atol=1e-3)
        np.testing.assert_allclose(across[..., 1], 0, atol=1e-3)
        np.testing.assert_allclose(across[..., 0], across[0, 0, 0], rtol=1e-3)
        assert page.nodes[-1, -1].max() <= 239.5 + 1e-3
        assert page.nodes[-1, -1].min() > 239.5 - max(across[0, 0, 0], down[0, 0, 1])
        points = np.concatenate([trace.points for trace in page.traces])
        assert ((points > -0.5) & (points < 239.5)).all(1).mean() > 0.98


def test_worn_training_pages_vary_in_speed_and_gain_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(*arguments: object, **keys: object) -> Sheet:
        seen.append((keys["speed"], keys["gain"]))
        return compose(*arguments, **keys)

    monkeypatch.setattr(drawing, "compose", noted)
    for wear in (0.0, 0.5):
        for seed in range(60):
            random_page(record(), np.random.default_rng(seed), size=64, wear=wear)
    assert set(seen[:60]) == {(25.0, (10.0, 10.0))}
    assert {speed for speed, _ in seen[60:]} == {25.0, 50.0}
    assert {gain for _, gain in seen[60:]} == {(10.0, 10.0), (5.0, 5.0), (20.0, 20.0), (10.0, 5.0)}


def test_the_same_seed_gives_the_same_worn_page_and_one_of_no_such_grade_is_refused() -> None:
    one, again, other = (random_page(record(), np.random.default_rng(seed), wear=0.5) for seed in (3, 3, 4))
    assert (one.pixels == again.pixels).all()
    assert (one.pixels != other.pixels).any()
    with pytest.raises(UsageError, match="grade 3"):
        random_page(record(), np.random.default_rng(0), wear=3.0)


def test_a_footer_tells_the_gains_of_limb_and_chest_leads_apart() -> None:
    texts = [text.text for text in compose(record(), "3x4", "pagewriter", gain=(10.0, 5.0)).texts()]
    assert any("Limb: 10 mm/mV" in text and "Chest: 5 mm/mV" in text for text in texts)
    assert any("10/5 mm/mV" in text.text for text in compose(record(), "3x4", gain=(10.0, 5.0)).texts())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": 10.0}, "cannot start at 10 s of 10 s"),
        ({"start": -1.0}, "cannot start at -1 s"),
        ({"px_per_mm": 0.0}, "0 pixels per mm"),
        ({"px_per_mm": 50.0, "speed": 200.0, "rotation": 45.0}, "pixels is too large: give fewer pixels per mm"),
        ({"rotation": float("nan")}, "nan degrees"),
        ({"speed": 0.0}, "0 mm/s"),
        ({"gain": -10.0}, "-10 mm/mV"),
        ({"layout": "5x5"}, "unknown layout '5x5'"),
        ({"style": "mauve"}, "unknown style 'mauve'"),
    ],
)
def test_what_does_not_exist_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        render(record(), **arguments)


def test_a_layout_file_is_drawn_and_a_wrong_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\nrows = [["I","II","III","aVR","aVL","aVF"], ["V1","V2","V3","V4","V5","V6"]]\nseconds = 1.5'
    )
    assert {trace.lead for trace in render(record(), path, px_per_mm=2.0).traces} == set(LEADS)
    path.write_text('name = "own"\nrows = [["I","II"]]')
    with pytest.raises(ConfigError, match="rows"):
        render(record(), path)


def test_two_gains_are_those_of_limb_and_chest_leads() -> None:
    ecg, shape = record(), load_layout("3x4")
    page = render(ecg, "3x4", BARE, gain=(20.0, 5.0), px_per_mm=4.0)
    for trace, panel in zip(page.traces, shape.panels(10.0), strict=True):
        gain = 5.0 if trace.lead.startswith("V") else 20.0
        millivolts = (shape.baseline(panel.row) - (trace.points[:, 1] + 0.5) / 4) / gain
        np.testing.assert_allclose(millivolts, samples(trace, ecg), atol=0.01)


def test_a_trace_ends_at_its_reach_as_the_pen_does() -> None:
    ecg, shape = record(), load_layout("12x1")
    page = render(ecg, "12x1", replace(BARE, reach=4.0), px_per_mm=4.0)
    for trace, panel in zip(page.traces, shape.panels(10.0), strict=True):
        rise = shape.baseline(panel.row) - (trace.points[:, 1] + 0.5) / 4
        np.testing.assert_allclose(rise, np.clip(10 * samples(trace, ecg), -4, 4), atol=0.01)


def test_aVR_stands_upside_down_in_the_cabrera_order() -> None:  # noqa: N802 - the lead's name
    usual, cabrera = (
        next(t for t in render(record(), layout, BARE, px_per_mm=4.0).traces if t.lead == lead).points[:, 1]
        for layout, lead in (("6x2", "aVR"), ("6x2-cabrera", "-aVR"))
    )
    middles = [4 * load_layout("6x2").baseline(row) - 0.5 for row in (3, 2)]
    np.testing.assert_allclose(usual - middles[0], -(cabrera - middles[1]), atol=0.01)


def test_boxes_hold_their_traces_and_names() -> None:
    page, shape = render(record(), "3x4+3", replace(BARE, label_height=4.0), px_per_mm=4.0), load_layout("3x4+3")
    panels, labels = ([box for box in page.boxes if box.kind == kind] for kind in ("panel", "label"))
    assert [box.lead for box in panels] == [box.lead for box in labels] == [trace.lead for trace in page.traces]
    for trace, box in zip(page.traces, panels, strict=True):
        (left, top), (right, bottom) = box.corners[0], box.corners[2]
        assert left - 0.6 <= trace.points[:, 0].min() < trace.points[:, 0].max() <= right + 0.6
        assert bottom - top == pytest.approx(4 * shape.row_height, abs=0.01)
    empty = render(EMPTY, "3x4+3", replace(BARE, label_height=4.0), px_per_mm=4.0).pixels
    for box in labels:
        (left, top), (right, bottom) = box.corners[0].round().astype(int), box.corners[2].round().astype(int)
        assert empty[top : bottom + 1, left : right + 1].min() < 100
        empty[top - 2 : bottom + 3, left - 2 : right + 3] = 255
    assert empty.min() == 255


def test_nodes_lie_every_five_mm_of_the_sheet() -> None:
    page = render(record(), "3x4", px_per_mm=4.0)
    assert page.nodes is not None
    assert page.nodes.shape == (22, 57, 2)
    np.testing.assert_allclose(page.nodes[6, 14], (4 * 70 - 0.5, 4 * 30 - 0.5))


def test_notes_are_printed_above_everything_and_take_their_own_room() -> None:
    notes = Notes(("Specimen, Ada",), ("Rate 60 /min",) * 5)
    bare, noted = (render(record(), "3x4", BARE, px_per_mm=4.0, notes=given).pixels for given in (None, notes))
    room = noted.shape[0] - bare.shape[0]
    assert room % 20 == 0
    assert (noted[room:] == bare).all()
    assert (noted[:room] < 128).any()


def test_a_grid_that_does_not_bleed_leaves_a_rim_of_paper() -> None:
    style = replace(load_style("red"), bleed=False, footer="", pulse="none")
    page = render(EMPTY, "3x4", style, px_per_mm=4.0)
    assert (page.pixels[:, :18] == style.paper).all()
    assert (page.pixels[100:200, 22:200] != style.paper).any(-1).mean() > 0.2


def test_a_page_that_is_not_smooth_has_hard_edges() -> None:
    style = replace(load_style("fax"), footer="")
    colours = np.unique(render(record(), "3x4", style, px_per_mm=4.0).pixels.reshape(-1, 3), axis=0)
    assert {tuple(colour) for colour in colours.tolist()} == {style.paper, style.major, style.ink}


def test_paper_has_at_least_the_size_of_its_style() -> None:
    page = render(record(), "3x4", replace(BARE, sheet=(297.0, 210.0)), px_per_mm=2.0)
    assert page.pixels.shape == (420, 594, 3)
    fast = render(record(), "3x4", replace(BARE, sheet=(297.0, 210.0)), px_per_mm=2.0, speed=50.0)
    assert fast.pixels.shape == (420, 1060, 3)


def test_a_random_page_draws_its_print_apart_from_the_record() -> None:
    """Two records, one seed: whatever differs lies along the traces."""
    for seed in range(20):
        one, other = (random_page(record(seed=k), np.random.default_rng(seed)) for k in (0, 1))
        near = np.zeros((300, 300), np.uint8)
        for trace in (*one.traces, *other.traces):
            cv2.polylines(near, [trace.points.round().astype(np.int32)], False, 1, 5)
        assert (one.pixels == other.pixels)[near == 0].all()


def test_the_same_seed_gives_the_same_page_in_another_process() -> None:
    seeds = range(6)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_fingerprint, seeds)) == [_fingerprint(seed) for seed in seeds]


def _fingerprint(seed: int) -> int:
    return crc32(random_page(record(), np.random.default_rng(seed)).pixels.tobytes())
