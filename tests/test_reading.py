"""Reading pages: what is drawn is read back, in place and in mV; what is not there is named."""

from dataclasses import replace

import numpy as np
import pytest

from ecglens.intervals import measure
from ecglens.leads import INDEX, LEADS
from ecglens.paper import Page, render
from ecglens.paper.layout import load_layout
from ecglens.paper.reading import FS, Reading, _between, _choose, read_page, rows
from ecglens.paper.reading.arrangement import arrange
from ecglens.paper.reading.names import NAMES, Name
from ecglens.paper.reading.rows import Stretch
from ecglens.paper.style import load_style
from ecglens.record import Record
from ecglens.signal import resample
from ecglens.simulator import simulate


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate({"RBBB"}, rng=np.random.default_rng(3), fs=500, noise=0.3)


def off(reading: Reading, record: Record) -> float:
    """Median distance (mV) between what was read and the record at the same times, each lead about its median."""
    assert reading.record is not None
    true = resample(record, FS).signal
    seen = reading.record.signal[:, : true.shape[1]]
    true = np.where(np.isnan(seen), np.nan, true[:, : seen.shape[1]])
    about = [values - np.nanmedian(values, axis=1, keepdims=True) for values in (seen, true)]
    return float(np.nanmedian(np.abs(about[0] - about[1])))


@pytest.mark.parametrize("layout", ["3x4+1", "3x4+1-shuffled", "6x2", "6x2-shuffled", "12x1", "3x4+1-cabrera", "3x4+2"])
def test_a_page_is_read_back(record: Record, layout: str) -> None:
    reading = read_page(render(record, layout, px_per_mm=5))
    assert reading.missing == ()
    assert reading.scale == "grid"
    assert off(reading, record) < 0.03


def test_each_lead_is_read_for_as_long_as_it_is_shown(record: Record) -> None:
    reading = read_page(render(record, "3x4+1", px_per_mm=5))
    assert reading.record is not None
    shown = (~np.isnan(reading.record.signal)).sum(axis=1) / FS
    assert shown[INDEX["I"]] == pytest.approx(10, abs=0.15)  # the rhythm strip
    assert shown[[INDEX[lead] for lead in LEADS if lead != "I"]] == pytest.approx(np.full(11, 2.5), abs=0.15)


def test_traces_read_lie_where_they_were_drawn(record: Record) -> None:
    page = render(record, "6x2", px_per_mm=7)
    drawn = {trace.lead: trace.points for trace in page.traces}
    read = read_page(Page(page.pixels, page.px_per_mm)).page
    assert {trace.lead for trace in read.traces} == set(LEADS)
    for trace in read.traces:
        at = np.interp(trace.points[:, 0], *drawn[trace.lead].T)
        assert np.nanmedian(np.abs(at - trace.points[:, 1])) < 0.2 * 7  # 0.2 mm


def test_upside_down_avr_is_turned_round(record: Record) -> None:
    reading = read_page(render(record, "3x4+1-cabrera", px_per_mm=5))
    assert reading.record is not None
    read, true = reading.record.signal[INDEX["aVR"]], resample(record, FS).signal[INDEX["aVR"]]
    shown = ~np.isnan(read[: len(true)])
    assert np.corrcoef(read[: len(true)][shown], true[shown])[0, 1] > 0.8


def test_leads_that_are_cut_off_are_missing(record: Record) -> None:
    page = render(record, "3x4", px_per_mm=5)
    edge = max(box.corners[:, 0].min() for box in page.boxes if box.kind == "panel")  # of the last column
    cut = np.ascontiguousarray(page.pixels[:, : int(edge) - 5])
    assert read_page(Page(cut, 5)).missing == ("V4", "V5", "V6")


def test_paper_without_names_is_not_read(record: Record) -> None:
    page = render(record, "3x4", px_per_mm=5)
    for box in page.boxes:
        if box.kind == "label":
            (x0, y0), (x1, y1) = box.corners[0].astype(int) - 2, box.corners[2].astype(int) + 3
            page.pixels[y0:y1, x0:x1] = 255
    reading = read_page(Page(page.pixels, 5))
    assert len(reading.missing) > 6
    assert reading.page.nodes is None


def test_without_a_grid_a_row_is_ten_seconds(record: Record) -> None:
    reading = read_page(Page(render(record, "3x4+1", "plain", px_per_mm=5).pixels, None))
    assert reading.scale == "row of 10 s"
    assert off(reading, record) < 0.05


@pytest.mark.parametrize("layout", ["roll-3", "3x4"])
def test_rows_of_more_than_ten_seconds_are_measured_in_their_own_time(layout: str) -> None:
    long = simulate((), rng=np.random.default_rng(5), fs=500, duration=14)
    shown = replace(load_layout(layout), seconds=3.0)
    reading = read_page(render(long, shown, px_per_mm=5))
    assert reading.missing == ()
    assert reading.record is not None
    assert reading.record.duration > 11
    assert (~np.isnan(reading.beside.signal[:, : int(2 * FS)])).mean() > 0.9  # leads side by side, from 0 on
    assert measure(reading.record).heart_rate == pytest.approx(measure(long).heart_rate, rel=0.05)


def seen(lead: str, x: float, y: float, chance: float = 0.9) -> Name:
    chances = np.full(len(NAMES), 0.01, np.float32)
    chances[NAMES.index(lead)] = chance
    return Name(chances, (x, y))


def named(rows: list[list[Name]]) -> list[list[str]]:
    return [[name.name for name in row] for row in rows]


STANDARD = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))


def standard() -> list[Name]:
    return [seen(lead, 250.0 * c, 100.0 * r + 3 * c) for r, row in enumerate(STANDARD) for c, lead in enumerate(row)]


def test_a_known_arrangement_is_found_with_its_rhythm_strip() -> None:
    assert named(arrange([*standard(), seen("II", 4.0, 300.0)])) == [*map(list, STANDARD), ["II"]]


def test_an_arrangement_settles_what_the_print_leaves_open() -> None:
    names = standard()
    names[5] = seen("aVF", 250, 103, 0.3)  # aVL, taken for aVF by a hair
    names[5].chances[NAMES.index("aVL")] = 0.28
    del names[7]  # V5 is not seen at all
    assert named(arrange(names)) == [list(row) for row in STANDARD]


def test_names_that_only_the_arrangement_tells_are_assumed() -> None:
    names = standard()
    del names[7]  # V5
    assert [name.name for row in arrange(names) for name in row if name.assumed] == ["V5"]
    assert not any(name.assumed for row in arrange(standard()) for name in row)


def test_a_rhythm_strip_has_one_name() -> None:
    twice = [seen("II", 4.0, 300.0), seen("I", 12.0, 303.0, 0.6)]  # the I that is in every II
    assert named(arrange([*standard(), *twice])) == [*map(list, STANDARD), ["II"]]


def test_print_that_is_no_name_is_passed_over() -> None:
    stray = [seen("V3", 120.0, 40.0, 0.35), seen("II", 600.0, -150.0, 0.6), seen("I", 900.0, 500.0, 0.3)]
    assert named(arrange([*standard(), *stray])) == [list(row) for row in STANDARD]


def test_numbers_of_a_time_axis_between_the_rows_are_passed_over() -> None:
    names = standard()
    del names[7]  # V5, which only an arrangement tells
    axis = [seen("I", 80.0 * k, 20.0 * step, 0.3) for step in range(1, 11) if step % 5 for k in (1, 2)]
    assert named(arrange([*names, *axis])) == [list(row) for row in STANDARD]


def test_an_unknown_arrangement_is_read_as_printed() -> None:
    order = np.random.default_rng(0).permutation(12)
    flat = [lead for row in STANDARD for lead in row]
    names = [seen(flat[k], 300.0 * (i % 3), 100.0 * (i // 3)) for i, k in enumerate(order)]
    assert named(arrange(names)) == [[flat[k] for k in order[3 * r : 3 * r + 3]] for r in range(4)]


@pytest.mark.parametrize(("row", "column", "printed"), [(1, 2, "V3"), (2, 3, "V5"), (0, 1, "aVL")])
def test_a_name_read_for_sure_is_never_overruled(row: int, column: int, printed: str) -> None:
    names = standard()
    names[4 * row + column] = seen(printed, 250.0 * column, 100.0 * row + 3 * column, 0.97)
    assert named(arrange(names))[row][column] == printed


def test_too_few_names_are_not_filled_up() -> None:
    assert sum(len(row) for row in arrange(standard()[:9])) == 9


def test_millivolts_rise_where_the_page_goes_up() -> None:
    heights = np.array([100, 100, 60, 100, np.nan], np.float32)  # pixels from the top
    stretch = Stretch("V1", 1, 0, heights, np.ones(5, np.float32))
    assert stretch.millivolts(40.0) == pytest.approx([0, 0, 1, 0, np.nan], nan_ok=True)
    assert replace(stretch, sign=-1).millivolts(40.0)[2] == -1


def test_leads_on_one_trace_are_both_lost() -> None:
    heights = np.linspace(100, 120, 200, dtype=np.float32)
    one, same = (Stretch(lead, 1, 50, heights, np.ones(200, np.float32)) for lead in ("V5", "V6"))
    apart = replace(one, heights=heights + 40)
    assert one.coincides(same)
    assert not one.coincides(apart)
    assert not one.coincides(replace(one, x=400))
    assert _choose([one, same]) == []
    faint = replace(apart, heights=np.tile(apart.heights, 3), certainty=np.full(600, 0.5, np.float32))
    assert _choose([one, faint]) == [one]  # of one lead, and longer, but hardly seen
    assert len(_choose([one, replace(apart, lead="V6")])) == 2


def test_strips_of_two_leads_on_one_trace_leave_both_leads_where_else_they_are_shown() -> None:
    beat = np.sin(np.arange(200, dtype=np.float32) / 9) * 20
    one, two = (Stretch(lead, 1, 50, y + beat, np.ones(200, np.float32)) for lead, y in (("I", 100), ("II", 200)))
    strips = [Stretch(lead, 1, 50, np.tile(300 + beat, 4), np.ones(800, np.float32)) for lead in ("I", "II")]
    assert _choose([one, two, *strips]) == [one, two]


def shown(lead: str, wave: str, y: float, columns: int, off: float = 0.0) -> Stretch:
    """A lead's stretch on the trace of ``wave``, a lead of its own shape."""
    k, at = LEADS.index(wave), np.arange(columns)
    trace = np.sin(at / 9 + k) * 20 * (1 + np.sin(at / (5 + 3 * k)) / 2)
    return Stretch(lead, 1, 50, (y + trace).astype(np.float32), np.ones(columns, np.float32), off=off)


@pytest.mark.parametrize("order", [1, -1])
def test_a_trace_with_two_names_is_that_leads_that_looks_like_it_elsewhere(order: int) -> None:
    one, two, strip = shown("I", "I", 100, 200), shown("II", "II", 200, 200), shown("II", "II", 300, 800)
    for false in (shown("I", "II", 300, 800), shown("V1", "II", 300, 800)):
        kept = {stretch.lead: stretch for stretch in _choose([one, two, strip, false][::order])}
        assert kept == {"I": one, "II": strip}


@pytest.mark.parametrize("order", [1, -1])
def test_a_trace_with_two_names_that_is_shown_nowhere_else_is_the_nearer_names(order: int) -> None:
    near, far = shown("V5", "V5", 100, 200, off=2), shown("V6", "V5", 100, 200, off=30)
    assert _choose([near, far][::order]) == [near]


def test_a_strip_whose_name_was_misread_does_not_stand_for_its_lead() -> None:
    beat = np.sin(np.arange(200, dtype=np.float32) / 9) * 20
    noise = np.random.default_rng(0).normal(0, 5, 200).astype(np.float32)
    two, three = (
        Stretch(lead, 1, 50, 100 + trace, np.ones(200, np.float32)) for lead, trace in (("II", beat), ("III", noise))
    )
    strip = Stretch("III", 1, 50, np.tile(300 + beat, 4), np.ones(800, np.float32))  # of II, in truth
    assert _choose([two, three, strip]) == [two, three]
    right = replace(strip, lead="II")
    assert _choose([two, three, right]) == [right, three]


def test_layouts_with_room_between_rows_are_read_the_same(record: Record) -> None:
    usual = load_layout("3x4")
    for height in (20.0, 32.0):
        assert off(read_page(render(record, replace(usual, row_height=height), px_per_mm=5)), record) < 0.03


@pytest.mark.parametrize("layout", ["3x4", "3x4+1"])
def test_names_far_from_their_traces_are_theirs(record: Record, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, style = load_layout(layout), load_style("pink")
    wide, look = replace(usual, row_height=100.0), replace(style, label_rise=-50.0, label_height=5.0)
    page = render(record, wide, look, px_per_mm=5)
    reading = read_page(page)
    assert reading.missing == ()
    assert off(reading, record) < 0.03
    monkeypatch.setattr("ecglens.paper.reading.find_far_names", lambda _: [])
    assert read_page(page).missing != ()


@pytest.mark.parametrize("rise", [6.0, -6.0])
@pytest.mark.parametrize(("layout", "height"), [("12x1", 16.0), ("12x1", 13.0), ("6x2", 16.0), ("3x4+3", 14.0)])
def test_names_between_close_rows_are_those_of_their_own_row(
    record: Record, layout: str, height: float, rise: float
) -> None:
    usual, style = load_layout(layout), load_style("pink")
    close, look = replace(usual, row_height=height), replace(style, label_rise=rise, label_height=3.0)
    reading = read_page(render(record, close, look, px_per_mm=5))
    assert reading.missing == ()
    assert off(reading, record) < 0.05


def test_a_lead_whose_name_is_hidden_is_said_to_be_assumed(record: Record) -> None:
    page = render(record, "3x4+1", px_per_mm=5)
    hidden = next(box for box in page.boxes if box.kind == "label" and box.lead == "V5")
    (x0, y0), (x1, y1) = hidden.corners[0].astype(int) - 2, hidden.corners[2].astype(int) + 3
    assert read_page(page).assumed == ()
    page.pixels[y0:y1, x0:x1] = 255
    reading = read_page(page)
    assert (reading.missing, reading.assumed) == ((), ("V5",))
    assert off(reading, record) < 0.03


def test_what_follows_the_last_of_twelve_leads_is_not_taken_for_it(record: Record) -> None:
    page = render(record, "3x4", px_per_mm=5)
    last = next(box for box in page.boxes if box.kind == "panel" and box.lead == "V6").corners
    left, right = int(last[:, 0].min()), int(last[:, 0].max())
    wide = np.hstack([page.pixels[:, :right], page.pixels[:, left:right]])  # as pages of 15 leads go on
    for box in page.boxes:
        if box.kind == "label" and box.lead in ("V4", "V5", "V6"):
            (x0, y0), (x1, y1) = box.corners[0].astype(int) - 2, box.corners[2].astype(int) + 3
            wide[y0:y1, x0 + right - left : x1 + right - left] = 255
    reading = read_page(Page(wide, 5))
    assert reading.missing == ()
    assert reading.record is not None
    assert (~np.isnan(reading.record.signal[INDEX["V6"]])).sum() / FS < 3.5


def test_a_page_a_little_askew_is_read(record: Record) -> None:
    page = render(record, "3x4+1", px_per_mm=5, rotation=1.5)
    assert read_page(page).missing == ()


def test_a_trace_between_columns_keeps_its_edge_and_its_gaps() -> None:
    columns = np.arange(200)
    true = np.sin(2 * np.pi * 0.15 * np.arange(0, 200, 0.5)).astype(np.float32)  # 15 Hz at 100 columns a second
    values, at = true[::2].copy(), (columns[5:-5] + 0.5).astype(np.float32)
    values[50:55] = np.nan
    found = _between(values, at)
    assert at[np.isnan(found)].tolist() == [49.5, 50.5, 51.5, 52.5, 53.5, 54.5]
    clear = np.abs(at - 52) > 6
    np.testing.assert_allclose(found[clear], true[11:-10:2][clear], atol=0.05)
    lines = np.interp(at, columns, true[::2])
    assert np.std(lines) < 0.92 * np.std(true) < 0.97 * np.std(true) < np.std(found[clear])
    np.testing.assert_array_equal(_between(values, columns.astype(np.float32)), values)


@pytest.mark.parametrize(("level", "columns"), [(-5.0, 0), (10.0, 300), (195.0, 300), (205.0, 0)])
def test_nothing_is_read_beyond_the_page(level: float, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network sees a trace in the middle of every strip."""
    middle = np.full(300, (rows.HEIGHT - 1) / 2, np.float32)
    monkeypatch.setattr(rows, "_ask", lambda strip: (middle.copy(), np.ones(300, np.float32)))
    name = Name(np.zeros(len(NAMES), np.float32), (16.0, level), "I")
    found = rows.follow(np.zeros((200, 300, 3), np.uint8), [name])
    assert [np.isfinite(stretch.heights).sum() for stretch in found] == [columns - 16] * bool(columns)


@pytest.mark.parametrize(
    ("unsure", "kept"), [((), (0, 284)), ((0, 2, 5), (6, 284)), ((278, 283), (0, 278)), ((9, 150), (0, 284))]
)
def test_uncertain_columns_where_a_trace_begins_or_ends_are_left_out(
    unsure: tuple[int, ...], kept: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    heights, certainty = np.full(300, (rows.HEIGHT - 1) / 2, np.float32), np.ones(300, np.float32)
    columns = np.array(unsure, int) + 16  # the trace begins with the name
    heights[columns], certainty[columns] = 100, 0.1
    monkeypatch.setattr(rows, "_ask", lambda strip: (heights.copy(), certainty))
    name = Name(np.zeros(len(NAMES), np.float32), (16.0, 100.0), "I")
    (found,) = rows.follow(np.zeros((300, 300, 3), np.uint8), [name])
    seen = np.flatnonzero(np.isfinite(found.heights))
    assert (found.x, seen[0], seen[-1] + 1) == (16, *kept)
    assert len(found.heights) == kept[1]
