"""A store is made once, piece by piece, and travels as its packed parts."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets import store
from ecglens.datasets.index import Dataset, open_dataset
from ecglens.errors import FileError, UsageError
from ecglens.inputs import SignalSpec, prepare_record
from ecglens.intervals import measure

SPEC = SignalSpec()


@pytest.fixture(scope="module")
def exams(simulated_ptbxl: Path) -> Dataset:
    return open_dataset(simulated_ptbxl)


@pytest.fixture(scope="module")
def folder(exams: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first ten exams in two parts, packed but not unfolded."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "PART", 5)
        store.pack_exams(exams, np.arange(10), folder, False, 1)
    return folder


def test_a_copy_of_the_packed_parts_is_the_store(exams: Dataset, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    copy = store.open_store(tmp_path / "copy", SPEC, 1)
    np.testing.assert_array_equal(copy.labels, exams.labels[:10])
    assert copy.statements[0] == "AFIB CRBBB"
    assert copy.source == "PTB-XL"
    for i in (0, 9):
        expected = prepare_record(exams.read(i), SPEC).signal
        np.testing.assert_allclose(copy.record(i).signal, expected, atol=0.03)  # steps of 0.01 in I and II, in III both
        assert np.std(copy.record(i).signal - expected) < 0.005
    assert np.isnan(copy.peaks).all()  # nothing was measured


def test_records_are_kept_at_the_rate_asked_for_and_with_their_beats(exams: Dataset, tmp_path: Path) -> None:
    store.pack_exams(exams, np.arange(2), tmp_path, True, 1)
    coarse = store.open_store(tmp_path, SignalSpec(fs=100.0, samples=1000), 1)
    assert coarse.record(0).fs == 100
    assert coarse.record(0).signal.shape == (12, 1000)
    for i in (0, 1):
        peaks = measure(exams.read(i)).r_peaks
        np.testing.assert_allclose(coarse.peaks[i][: len(peaks)], peaks, atol=1e-5)
        assert np.isnan(coarse.peaks[i][len(peaks) :]).all()


def test_missing_parts_are_packed_and_the_others_left(exams: Dataset, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    first, second = sorted((tmp_path / "copy").iterdir())
    content = second.read_bytes()
    first.write_bytes(b"left alone")
    second.unlink()
    assert not store.is_packed(tmp_path / "copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "PART", 5)
        store.pack_exams(exams, np.arange(10), tmp_path / "copy", False, 1)
    assert store.is_packed(tmp_path / "copy")
    assert second.read_bytes() == content
    with pytest.raises(FileError, match=first.name):
        store.open_store(tmp_path / "copy", SPEC, 1)


def test_exams_that_cannot_be_read_are_left_out(exams: Dataset, tmp_path: Path) -> None:
    def load(exam: object) -> object:
        if exam in exams.exams[1:3]:
            raise FileError("gone")
        return exams.load(exam)

    store.pack_exams(Dataset("some", exams.exams, load), np.arange(4), tmp_path / "two", False, 1)
    assert len(store.open_store(tmp_path / "two", SPEC, 1)) == 2
    store.pack_exams(Dataset("none", exams.exams, load), np.arange(1, 3), tmp_path / "none", False, 1)
    with pytest.raises(UsageError, match="not one exam"):
        store.open_store(tmp_path / "none", SPEC, 1)
