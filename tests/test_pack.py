"""Packed records come back as they were, to the next 10 uV."""

import bz2
from pathlib import Path

import numpy as np
import pytest

from ecglens.datasets.pack import read_pack, write_pack
from ecglens.errors import FileError
from ecglens.leads import complete_limb_leads
from ecglens.record import Record


def noisy(samples: int, fs: float) -> Record:
    signal = np.random.default_rng(samples).normal(0, 2, (12, samples)).astype(np.float32)
    signal[2:6] = np.nan
    return Record(complete_limb_leads(signal), fs)


def test_records_of_any_length_and_rate_come_back(tmp_path: Path) -> None:
    records = [noisy(1000, 100.0), noisy(1, 250.0), noisy(3001, 500.0)]
    records[0].signal[7, 20:40] = np.nan
    records[2].signal[8, 5] = 400.0  # mV; more than there is room for
    write_pack(tmp_path / "a.bz2", records, {"names": np.array(["a", "b", "c"])})
    found, facts = read_pack(tmp_path / "a.bz2")
    assert facts["names"].tolist() == ["a", "b", "c"]
    assert [record.fs for record in found] == [100.0, 250.0, 500.0]
    assert found[2].signal[8, 5] == pytest.approx(327.67)
    records[2].signal[8, 5] = 327.67
    for one, other in zip(records, found, strict=True):
        np.testing.assert_allclose(one.signal, other.signal, atol=0.0101)  # of III, which is II less I
        np.testing.assert_allclose(one.signal[6:], other.signal[6:], atol=0.00501)


def test_no_records_are_a_pack(tmp_path: Path) -> None:
    write_pack(tmp_path / "a.bz2", [], {"names": np.array([], np.str_)})
    found, facts = read_pack(tmp_path / "a.bz2")
    assert (found, len(facts["names"])) == ([], 0)


def test_a_damaged_pack_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.bz2"
    write_pack(path, [noisy(1000, 100.0)], {})
    for content in (path.read_bytes()[:-100], b"", bz2.compress(b"PK\x03\x04 no archive")):
        path.write_bytes(content)
        with pytest.raises(FileError, match="copy it again"):
            read_pack(path)
