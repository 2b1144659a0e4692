"""Pages of exams: drawn as asked, and read as diagnosis reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecglens import pages as pages_of_exams
from ecglens.datasets.index import open_dataset
from ecglens.datasets.store import Read, open_store, pack_exams
from ecglens.diagnosis import look
from ecglens.examples import NOISE_MV, Examples, Key, Windows, read_example
from ecglens.inputs import SignalSpec, signal_tensors
from ecglens.leads import LEADS
from ecglens.pages import PAPER_PAGES, Pages, drawn, load_read, read_pages
from ecglens.paper import Page, render, wear
from ecglens.recipe import Recipe, Stage
from ecglens.simulator import simulate

SPEC = SignalSpec(fs=100.0, samples=1000, partial=True, beats=True)
RECIPE = Recipe(
    (Stage(1, 1e-3),), fs=100.0, seconds=10.0, partial=True, beats=True, read=4, layouts=("3x4+1", "roll-3"), wear=0.0
)


def test_the_same_seed_draws_the_same_page() -> None:
    record = simulate((), rng=np.random.default_rng(0), fs=100)
    one, again, other = (drawn(record, PAPER_PAGES, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert one.pixels.shape != other.pixels.shape or not np.array_equal(one.pixels, other.pixels)


def test_pages_are_drawn_as_asked() -> None:
    record = simulate((), rng=np.random.default_rng(0), fs=100)
    pages = Pages(("12x1",), ("blue",), wear=0.3, px_per_mm=3)
    page = drawn(record, pages, np.random.default_rng(1))
    assert [trace.lead for trace in page.traces] == list(LEADS)
    rng = np.random.default_rng(1)
    rng.integers(1, size=2)
    plain = render(record, "12x1", "blue", px_per_mm=3)
    np.testing.assert_array_equal(page.pixels, wear(plain, 0.3, rng).pixels)


@pytest.fixture(scope="module")
def folder(simulated_ptbxl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    exams, out = open_dataset(simulated_ptbxl), tmp_path_factory.mktemp("store")
    pack_exams(exams, np.arange(6), out, True, 1)
    return out


@pytest.fixture(scope="module")
def read(folder: Path) -> dict[int, Read]:
    read_pages(folder, 4, RECIPE, SPEC, 1)
    return load_read(folder)


def test_exams_are_shown_as_diagnosis_reads_their_pages(
    folder: Path, read: dict[int, Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Page] = []
    monkeypatch.setattr(pages_of_exams, "look", lambda page, by_traces: seen.append(page) or look(page, by_traces))
    monkeypatch.setattr(pages_of_exams, "save_arrays", lambda path, arrays: None)
    for exam in read:
        pages_of_exams._read_part(folder, RECIPE, SPEC, (folder / "none", np.array([exam])))
    assert len(read) == len(seen) == 4
    for given, page in zip(read.values(), seen, strict=True):
        what = look(page, by_traces=True)
        inputs, _ = signal_tensors(what.given, SPEC, what.measured, what.apart)
        for name, values in inputs.items():
            np.testing.assert_array_equal(given[name], values[0].astype(np.float16))


def test_what_was_read_is_not_read_again(folder: Path, read: dict[int, Read], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pages_of_exams, "look")
    ticks: list[int] = []
    read_pages(folder, 4, RECIPE, SPEC, 1, ticks.append)
    assert ticks == [4]
    assert load_read(folder).keys() == read.keys()


def test_a_page_that_cannot_be_read_is_left_out(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = Page(np.full((600, 800, 3), 255, np.uint8))
    monkeypatch.setattr(pages_of_exams, "drawn", lambda record, pages, rng: blank)
    (tmp_path / "read").mkdir()
    path = tmp_path / "read" / "001-of-001.npz"
    assert pages_of_exams._read_part(folder, RECIPE, SPEC, (path, np.arange(2))) == 2
    assert path.exists()
    assert load_read(tmp_path) == {}


def test_examples_are_mostly_shown_as_read_where_a_page_was(folder: Path, read: dict[int, Read]) -> None:
    store = open_store(folder, SPEC, 1)
    examples = Examples(store, SPEC, RECIPE, read=read)
    exam = next(iter(read))
    gaps = np.isnan(read[exam]["signal"].astype(np.float32))
    alike = [np.array_equal(np.isnan(examples[Key(exam, epoch, 300)]["signal"].numpy()), gaps) for epoch in range(40)]
    assert 12 <= sum(alike) <= 32  # of 40, 0.6 less the lost leads
    shown = Windows(store, SPEC, RECIPE, read)[exam]
    for name, values in read[exam].items():
        np.testing.assert_array_equal(shown[name][0], values.astype(np.float32))


def test_a_page_that_was_read_is_varied_in_gain_and_noise(read: dict[int, Read]) -> None:
    given = next(iter(read.values()))
    varied = read_example(given, np.random.default_rng(2))
    gains = np.nanmedian(varied["beats"] / np.where(given["beats"] == 0, np.nan, given["beats"].astype(float)), axis=1)
    assert 0.5 < gains.min() < gains.max() < 2
    assert np.ptp(gains) > 0.01
    off = varied["signal"] - given["signal"].astype(np.float32) * gains[:, None]
    assert 0 < np.nanstd(off) < 2 * NOISE_MV


def test_worn_pages_have_the_pixels_to_be_read() -> None:
    worn = replace(RECIPE, wear=1.0)
    drawings = [pages_of_exams._random_pages(worn, np.random.default_rng(seed)) for seed in range(200)]
    assert min(pages.px_per_mm for pages in drawings if pages.wear > 0.6) >= 4.5
    assert min(pages.px_per_mm for pages in drawings) < 3.3
