"""HDF5: the exams of CODE as they were recorded, one at a time; every other file is refused, and no other opened."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from ecglens.errors import FileError, FormatError, SignalError, UnreadableError
from ecglens.io import hdf5
from ecglens.leads import DERIVED_FROM_I_II, LEADS
from hostile import damaged, read_or_refuse

CODE_TEST = [0, 1, 2, 4, 5, 3, 6, 7, 8, 9, 10, 11]  # LEADS in the order aVL aVF aVR


def exams(count: int = 2, samples: int = 2800) -> np.ndarray:
    """Random exams (count, 4096, 12) in CODE's unit whose limb leads agree, each in the middle between zeros."""
    values = np.random.default_rng(1).normal(0, 2, (count, samples, 12))
    values[:, :, 2:6] = values[:, :, :2] @ DERIVED_FROM_I_II.T
    before = (4096 - samples) // 2
    return np.pad(values, ((0, 0), (before, 4096 - samples - before), (0, 0)))


def write(path: Path, values: np.ndarray | None = None, name: str = "tracings", **how: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=exams() if values is None else values, **how)
    return path


def refuse(path: Path, error: type[UnreadableError], fragment: str) -> None:
    with pytest.raises(error, match=fragment) as caught:
        hdf5.open_file(path, "a.h5").read(1)
    assert "\n" not in str(caught.value)
    assert str(path.parent) not in str(caught.value)


def limb_energy(signal: np.ndarray) -> float:
    """What III, aVR, aVL and aVF differ from what I and II say, as a part of their energy."""
    said = DERIVED_FROM_I_II @ signal[:2]
    return float(np.square(signal[2:6] - said).sum() / np.square(said).sum())


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize(
    "how", [{}, {"compression": "gzip", "shuffle": True, "chunks": (1, 1000, 5)}, {"chunks": (2, 4096, 12)}]
)
def test_an_exam_is_read_back_in_millivolts_without_its_padding(
    kind: str, how: dict[str, object], tmp_path: Path
) -> None:
    values = exams(3).astype(kind)
    path = write(tmp_path / "a.h5", values, **how)
    for given_as in (path, path.read_bytes()):
        opened = hdf5.open_file(given_as, "a.h5")
        assert opened.count == 3
        record = opened.read(2)
        assert record.fs == 400
        np.testing.assert_allclose(record.signal.T, values[1, 648:-648] * 0.5, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("how", [{}, {"compression": "gzip", "chunks": (2,)}])
def test_an_exam_is_called_as_its_file_calls_it(how: dict[str, object], tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", exams(3))
    assert hdf5.open_file(path, "a.h5").read(1).id is None
    with h5py.File(path, "a") as file:
        file.create_dataset("exam_id", data=[1169160, 2873686, 168405], **how)
    assert [hdf5.open_file(path, "a.h5").read(number).id for number in (1, 2, 3)] == ["1169160", "2873686", "168405"]


@pytest.mark.parametrize("ids", [[1, 2], [1.0, 2.0, 3.0], [[1], [2], [3]]])
def test_numbers_that_are_not_one_for_each_exam_are_no_names(ids: list[object], tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", exams(3))
    with h5py.File(path, "a") as file:
        file["exam_id"] = ids
    assert hdf5.open_file(path, "a.h5").read(1).id is None


def test_exam_ids_of_another_file_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "b.h5", np.array([7, 8]), "exam_id")
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["exam_id"] = h5py.ExternalLink("b.h5", "exam_id")
    assert hdf5.open_file(path, "a.h5").read(1).id is None


def test_only_the_ends_are_padding(tmp_path: Path) -> None:
    values = exams(1)
    values[0, 2000:2100] = 0
    assert hdf5.open_file(write(tmp_path / "a.h5", values), "a.h5").read(1).signal.shape == (12, 2800)


def test_both_orders_of_the_augmented_leads_are_read(tmp_path: Path) -> None:
    usual, other = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", exams()[:, :, CODE_TEST])
    one, two = (hdf5.open_file(path, path.name).read(1) for path in (usual, other))
    np.testing.assert_array_equal(one.signal, two.signal)


def test_limb_leads_in_no_order_of_code_are_refused(tmp_path: Path) -> None:
    values = exams()[:, :, [0, 1, 2, 4, 3, 5, 6, 7, 8, 9, 10, 11]]
    refuse(write(tmp_path / "a.h5", values), SignalError, "exam 1 of a.h5 has limb leads that contradict each other")


def test_an_exam_of_zeros_is_refused_and_the_others_read(tmp_path: Path) -> None:
    values = exams()
    values[0] = 0
    opened = hdf5.open_file(write(tmp_path / "a.h5", values), "a.h5")
    with pytest.raises(SignalError, match=r"exam 1 of a\.h5 holds nothing but zeros"):
        opened.read(1)
    assert opened.read(2).duration == 7


def test_an_exam_that_was_never_written_is_one_of_zeros(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("tracings", (2, 4096, 12), "f4", chunks=(1, 1024, 12), compression="gzip")[1] = exams()[1]
    opened = hdf5.open_file(tmp_path / "a.h5", "a.h5")
    assert opened.read(2).duration == 7
    with pytest.raises(SignalError, match="nothing but zeros"):
        opened.read(1)


def test_not_finite_samples_are_missing_or_refused(tmp_path: Path) -> None:
    values = exams()
    values[0, 2000, 7] = np.nan
    values[1, 2000, 7] = np.inf
    opened = hdf5.open_file(write(tmp_path / "a.h5", values), "a.h5")
    assert np.argwhere(np.isnan(opened.read(1).signal)).tolist() == [[7, 2000 - 648]]
    with pytest.raises(SignalError, match="infinite"):
        opened.read(2)


def test_real_exams_have_leads_that_agree_and_usual_amplitudes(data_dir: Path) -> None:
    path = data_dir / "code15" / "exams_part0.hdf5"
    opened = hdf5.open_file(path, path.name)
    records = [opened.read(number) for number in range(1, opened.count + 1)]
    assert {record.duration for record in records} == {7.335, 10.24}
    assert max(limb_energy(record.signal) for record in records) < 0.003
    heights = []
    for record in records:
        beats = record.signal[:, : record.signal.shape[1] // 600 * 600].reshape(12, -1, 600)  # 1.5 s hold one at least
        heights.append(np.median(np.ptp(beats, axis=2), axis=1))
    middle = dict(zip(LEADS, np.median(heights, axis=0), strict=True))
    assert 0.5 < middle["II"] < 1.5  # mV; 0.9 in PTB-XL
    assert 1.2 < middle["V4"] < 3.5  # 1.9 in PTB-XL


def test_all_hdf5_is_recognised_and_nothing_else(tmp_path: Path) -> None:
    content = write(tmp_path / "a.h5").read_bytes()
    assert hdf5.recognise(content[:4096])
    assert hdf5.recognise(b"MATLAB 7.3 MAT-file".ljust(512, b"\0") + content[:3000])
    assert not hdf5.recognise(b"\x89PNG\r\n\x1a\n" + content[:100])


@pytest.mark.parametrize(
    ("values", "name", "fragment"),
    [
        (np.zeros((2, 4096, 12)), "signal", "holding 'signal', and only CODE's layout"),
        (np.zeros((2, 4096, 12), int), "tracings", r"with tracings of int64 in the shape \(2, 4096, 12\)"),
        (np.zeros((2, 5000, 12)), "tracings", r"of float64 in the shape \(2, 5000, 12\)"),
        (np.zeros((2, 12, 4096)), "tracings", r"\(2, 12, 4096\)"),
        (np.zeros((4096, 12)), "tracings", r"\(4096, 12\)"),
        (np.zeros((2, 4096, 12), complex), "tracings", "complex128"),
        (np.float64(1), "tracings", r"\(\)"),
        (np.array([b"text"]), "tracings", r"\|S4"),
        (h5py.Empty("f4"), "tracings", "None"),
    ],
)
def test_other_layouts_are_refused_with_what_was_found(
    values: np.ndarray, name: str, fragment: str, tmp_path: Path
) -> None:
    refuse(write(tmp_path / "a.h5", values, name), FormatError, fragment)


def link_out(path: Path, other: Path) -> None:
    with h5py.File(path, "w") as file:
        file["tracings"] = h5py.ExternalLink(str(other), "tracings")


def link_softly(path: Path, other: Path) -> None:
    with h5py.File(path, "w") as file:
        file["other"] = h5py.ExternalLink(str(other), "/")
        file["tracings"] = h5py.SoftLink("/other/tracings")


def store_outside(path: Path, other: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("tracings", (1, 4096, 12), "f4", external=[(str(other), 0, 4096 * 12 * 4)])


def store_virtually(path: Path, other: Path) -> None:
    layout = h5py.VirtualLayout((2, 4096, 12), "f8", maxshape=(None, 4096, 12))
    layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource(str(other), "tracings", (2, 4096, 12), maxshape=(None, 4096, 12))[
        : h5py.h5s.UNLIMITED
    ]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("tracings", layout)


def make_group(path: Path, other: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("tracings")


@pytest.mark.parametrize("damage", [link_out, link_softly, store_outside, store_virtually, make_group])
def test_what_leads_to_another_file_is_refused(damage: Callable[[Path, Path], None], tmp_path: Path) -> None:
    other = write(tmp_path / "other.h5")
    damage(tmp_path / "a.h5", other)
    refuse(tmp_path / "a.h5", FormatError, r"only CODE's layout|in other files, which are not opened")


def test_a_small_file_that_promises_many_exams_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("tracings", (10**9, 4096, 12), "f4", chunks=(1, 4096, 12), fillvalue=1)
    refuse(tmp_path / "a.h5", FileError, "promises 1000000000 exams, which its [0-9]+ bytes cannot hold")
    refuse(write(tmp_path / "b.h5", exams()[:0], maxshape=(None, 4096, 12)), FileError, "promises 0 exams")


def test_a_chunk_that_unpacks_to_more_than_it_promises_is_refused(tmp_path: Path) -> None:
    import zlib

    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape = (1, 4096, 12)
        bomb = file.create_dataset("tracings", shape, "f4", chunks=shape, compression="gzip")
        bomb.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(1 << 24)))
    refuse(tmp_path / "a.h5", FileError, "unpacks to more than it promises")


@pytest.mark.parametrize("how", [{"compression": "lzf"}, {"compression": "gzip", "chunks": (400, 4096, 12)}])
def test_unusual_packing_is_refused(how: dict[str, object], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("tracings", (2, 4096, 12), "f4", maxshape=(None, 4096, 12), **how)[:] = exams()
    refuse(tmp_path / "a.h5", FormatError, "packed in an unusual way: write it again with chunks of one exam and gzip")


def test_what_gzip_could_not_shrink_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("tracings", (1, 4096, 12), "f4", chunks=(1, 4096, 12), compression="gzip")
        data.id.write_direct_chunk((0, 0, 0), exams(1).astype("f4").tobytes(), filter_mask=1)
    assert hdf5.open_file(tmp_path / "a.h5", "a.h5").read(1).duration == 7


@pytest.mark.parametrize("name", ["missing.h5", ""])
def test_a_path_to_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"does not exist|is a folder"):
        hdf5.open_file(tmp_path / name, "a.h5")


def packed() -> bytes:
    stream = BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("tracings", data=exams(1, 300).astype("f4"), chunks=(1, 1024, 12), compression="gzip")
    return stream.getvalue()


PACKED = packed()


@given(damaged(PACKED))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: hdf5.open_file(content, "a.h5").read(1))


@pytest.mark.parametrize("chunks", [(1, 1, 1), (2, 4, 2)])
def test_very_many_chunks_are_refused(chunks: tuple[int, ...], tmp_path: Path) -> None:
    refuse(write(tmp_path / "a.h5", chunks=chunks, compression="gzip"), FormatError, "packed in an unusual way")


def test_chunks_that_make_one_exam_much_work_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5", chunks=(2, 128, 1), compression="gzip")  # 384 of an exam, as h5py chooses
    assert hdf5.open_file(path, "a.h5").count == 2
    hdf5.open_file(path, "a.h5").read(2)
    monkeypatch.setattr(hdf5, "_LARGEST", 1 << 18)
    refuse(path, FormatError, "packed in an unusual way")
