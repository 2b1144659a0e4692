"""Speed and gain of a page: those that are given are used, those that are assumed are said to be so."""

from dataclasses import replace

import numpy as np
import pytest

from ecglens.intervals import measure
from ecglens.leads import INDEX
from ecglens.paper import Page, render
from ecglens.paper.layout import load_layout
from ecglens.paper.reading import FS, read_page
from ecglens.paper.settings import Settings
from ecglens.record import Record
from ecglens.signal import resample
from ecglens.simulator import simulate


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate(set(), rng=np.random.default_rng(5), fs=500, noise=0.3)  # no taller than rows at 20 mm/mV


def drawn(record: Record, settings: Settings) -> Page:
    layout = load_layout("6x2")
    layout = replace(layout, seconds=layout.seconds * 25 / settings.speed, row_height=40.0)
    return render(record, layout, px_per_mm=5, speed=settings.speed, gain=settings.gains)


@pytest.mark.parametrize("settings", [Settings(50.0), Settings(gains=(20.0, 20.0)), Settings(gains=(10.0, 5.0))])
def test_a_page_is_read_at_its_speed_and_gains(record: Record, settings: Settings) -> None:
    reading = read_page(drawn(record, settings), settings)
    assert reading.missing == ()
    assert reading.record is not None
    assert measure(reading.record).heart_rate == pytest.approx(measure(record).heart_rate, rel=0.08)
    true, seen = resample(record, FS).signal, reading.record.signal
    for lead in ("II", "V2"):
        shown = np.flatnonzero(~np.isnan(seen[INDEX[lead], : true.shape[1]]))
        read, was = (np.ptp(each[INDEX[lead], shown]) for each in (seen, true))
        assert read == pytest.approx(was, rel=0.15)


def test_the_usual_settings_are_assumed(record: Record) -> None:
    assert read_page(drawn(record, Settings())).settings == Settings()


@pytest.mark.parametrize(("speed", "scale"), [(25.0, "row of 10 s"), (50.0, "row of 5 s")])
def test_a_row_without_a_grid_is_250_mm_long(record: Record, speed: float, scale: str) -> None:
    page = drawn(record, Settings(speed))
    assert read_page(Page(page.pixels), Settings(speed)).scale == scale


def test_settings_as_json() -> None:
    assert Settings(50.0, (10.0, 5.0), "given").as_dict() == {
        "speed_mm_s": 50.0,
        "speed_from": "given",
        "gain_mm_mv": {"limb": 10.0, "chest": 5.0},
        "gain_from": "assumed",
    }


def test_each_lead_has_its_gain() -> None:
    settings = Settings(gains=(10.0, 5.0))
    assert [settings.gain(lead) for lead in ("I", "aVF", "V1", "V6")] == [10.0, 10.0, 5.0, 5.0]
