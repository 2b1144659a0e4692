"""What a network is shown: pages as diagnosis prepares them, and what a teacher and auxiliary targets need besides."""

import numpy as np
import pytest
import torch

from ecglens.datasets.store import Store
from ecglens.examples import auxiliary_targets, network_inputs, on_page, shown
from ecglens.inputs import ImageSpec, SignalSpec, image_tensor, prepare_record
from ecglens.paper import random_page
from ecglens.paper.page import Page
from ecglens.record import Record
from ecglens.simulator import simulate

TEACHER = SignalSpec(samples=3000, partial=True)
NO_PEAKS = np.empty(0, np.float32)


@pytest.fixture(scope="module")
def record() -> Record:
    return prepare_record(simulate(rng=np.random.default_rng(1), fs=100), SignalSpec())


@pytest.mark.parametrize(("layout", "share"), [("12x1", 1.0), ("3x4+1", (11 * 2.5 + 10) / 120), ("6x2-same", 0.5)])
def test_a_teacher_is_given_what_the_page_shows(record: Record, layout: str, share: float) -> None:
    page = random_page(record, np.random.default_rng(3), 300, (layout,), 0.0)
    shown = on_page(page, record, NO_PEAKS, TEACHER)["signal"]
    begin = round(min(trace.start for trace in page.traces) * record.fs)
    whole = np.full((12, 3000), np.nan)
    whole[:, : 3000 - begin] = record.signal[:, begin : begin + 3000]
    seen = ~np.isnan(shown)
    assert seen.any(axis=1).all()
    np.testing.assert_array_equal(shown[seen], whole[seen])
    assert share - 0.1 < seen.mean() <= share


def test_what_lies_outside_the_picture_is_not_shown(record: Record) -> None:
    page = random_page(record, np.random.default_rng(3), 300, ("12x1",), 0.0)
    quarter = Page(page.pixels[:150, :150], None, page.traces)  # the upper left one
    seen = ~np.isnan(on_page(quarter, record, NO_PEAKS, TEACHER)["signal"])
    assert not seen[:, 2000:].any()
    assert seen[0, :1000].any()
    assert not seen[11].any()


def test_a_page_shows_each_lead_at_its_time_and_a_roll_all_from_its_edge(record: Record) -> None:
    spec = SignalSpec(samples=3000, partial=True)
    for layout, beside in (("12x1", False), ("roll-1", True)):
        window, apart = shown(record, spec, np.random.default_rng(5), (layout,))
        for lead in range(12):
            at, begin = (np.flatnonzero(~np.isnan(values[lead])) for values in (apart, window))
            assert len(begin) == min(len(at), spec.samples) > 0
            np.testing.assert_array_equal(apart[lead, at], record.signal[lead, at])
            np.testing.assert_array_equal(window[lead, begin], record.signal[lead, at[: len(begin)]])
            assert not beside or begin[0] < 0.5 * spec.fs


def test_pixels_reach_the_network_as_diagnosis_prepares_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    spec = ImageSpec(size=40)
    given = network_inputs({"pixels": torch.from_numpy(pixels)}, spec, torch.device("cpu"))["pixels"]
    assert given.is_contiguous(memory_format=torch.channels_last)
    for one, page in zip(given, pixels, strict=True):
        np.testing.assert_allclose(one, image_tensor(Page(page), spec)[0], atol=1e-6)


def test_auxiliary_targets_are_statements_and_standardised_means() -> None:
    scalars = np.full((2, 8), np.nan, np.float32)
    scalars[:, 0] = 900, 1100  # RR; QRS is not measured, PR once
    scalars[0, 2] = 160
    store = Store(
        np.zeros((0, 12), np.float16), 300.0, np.zeros(3, np.int64), scalars, np.zeros((2, 60), np.float32),
        np.zeros((2, 7), np.float32),
        np.array(["NORM SR", "AFIB"]), "a",
    )  # fmt: skip
    nothing = np.nan
    expected = [[0, 1, 1, -1, 0, nothing], [1, 0, 0, 1, nothing, nothing]]
    np.testing.assert_array_equal(auxiliary_targets(store), expected)
