"""The HDF5 files of the CODE study: CODE-15% (Zenodo 4916206), CODE-test (3765780) and SaMi-Trop (4905618).

Their layout is one dataset, ``tracings``: (N, 4096, 12) floats at 400 Hz; a shorter exam lies in the middle between
zeros, which are padding and not signal; ``exam_id``, (N,) whole numbers that were given to the exams for the study,
may stand beside it. Two facts of it are not what is often said:

- Scale. The datasets' descriptions say "1e-4V" and, against that, a factor of 1000 to V. The program that made the
  files (github.com/antonior92/ecg-preprocessing) gives the command for CODE-15% and SaMi-Trop in its README:
  millivolts, times 2. So one unit is 0.5 mV, which gives the amplitudes of other collections; with 1e-4 V every exam
  would be one of low voltage.
- Order. The descriptions have aVR aVL aVF (CODE-15%) or aVL aVF aVR (CODE-test) after DI DII DIII. Each exam is read
  in the order that its limb leads obey.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import islice, product
from math import ceil, prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import source
from ecglens.leads import DERIVED_FROM_I_II, LEADS
from ecglens.record import Record

FS: Final = 400.0
SHAPE: Final = (4096, len(LEADS))  # of an exam
MILLIVOLTS: Final = 0.5  # that one unit is

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_ORDERS: Final = ([0, 1, 2, 3, 4, 5], [0, 1, 2, 5, 3, 4])  # the columns of I, II, III, aVR, aVL, aVF
_CONTRADICTION: Final = 0.1  # of the derived leads' energy, that they may differ from what I and II say
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_LARGEST_CHUNK: Final = 64 << 20  # bytes
_MOST_CHUNKS: Final = 1000  # of an exam; h5py alone chooses 400, and each is looked for among all of them
_LARGEST: Final = 256 << 20  # bytes of all chunks of an exam, which are unpacked twice
_DENSEST: Final = 1100  # deflate packs 1032 bytes into one at most


def recognise(head: bytes) -> bool:
    """Whether ``head`` begins an HDF5 file, of whatever layout (HDF5 File Format Specification, superblock)."""
    return any(head[at:].startswith(_SIGNATURE) for at in (0, 512, 1024, 2048))


def open_file(given: Path | bytes, name: str) -> source.Opened:
    """Open a file of CODE: each exam is an ECG, read when it is asked for and not before.

    Raises FormatError where the file has another layout, FileError where it is damaged; the reading of an exam also
    SignalError, where nothing was recorded or the limb leads contradict each other.
    """
    if isinstance(given, Path):
        source.head(given)
    size = len(given) if isinstance(given, bytes) else given.stat().st_size
    with _opened(given, name) as tracings:
        count, bytes_each = int(tracings.shape[0]), prod(SHAPE) * tracings.dtype.itemsize
    if not 0 < count * bytes_each <= size * _DENSEST:
        raise FileError(f"{name} promises {count} exams, which its {size} bytes cannot hold: copy it again")
    return source.Opened(count, lambda number: _read(given, name, number))


@contextmanager
def _opened(given: Path | bytes, name: str) -> Iterator[Any]:
    """The dataset of the tracings; whatever goes wrong while it is open is a FileError."""
    import h5py

    with source.reading(name), h5py.File(BytesIO(given) if isinstance(given, bytes) else given, "r") as file:
        yield _find_tracings(file, name)


def _find_tracings(file: Any, name: str) -> Any:
    from h5py import Dataset, HardLink

    held = ", ".join(repr(key[:40]) for key in islice(file, 6)) or "nothing"
    if not isinstance(file.get("tracings", getlink=True), HardLink):  # another link might lead into another file
        raise _unknown(f"holding {held}", name)
    found = file["tracings"]
    if not isinstance(found, Dataset):
        raise _unknown(f"holding {held}", name)
    if _is_elsewhere(found):
        raise FormatError(f"{name} keeps its tracings in other files, which are not opened: copy them into this one")
    if found.shape is None or found.shape[1:] != SHAPE or found.dtype.kind != "f" or found.dtype.itemsize > 8:
        raise _unknown(f"with tracings of {str(found.dtype)[:40]} in the shape {found.shape}", name)
    return found


def _unknown(found: str, name: str) -> FormatError:
    return FormatError(
        f"{name} is an HDF5 file {found}, and only CODE's layout is read: give floats in 'tracings', (exams, 4096, 12)"
    )


def _read(given: Path | bytes, name: str, number: int) -> Record:
    with _opened(given, name) as tracings, np.errstate(invalid="ignore"):  # signalling NaN
        _refuse_bombs(tracings, number - 1, name)
        exam = tracings[number - 1].T.astype(np.float64)
        called = _find_id(tracings, number - 1, name)
    recorded = np.flatnonzero(exam.any(axis=0))
    if not recorded.size:
        raise SignalError(f"exam {number} of {name} holds nothing but zeros: choose another")
    exam = exam[:, recorded[0] : recorded[-1] + 1]
    exam[:6] = exam[_order(exam, number, name)]
    with np.errstate(over="ignore"):  # infinity, which Record refuses
        signal = (MILLIVOLTS * exam).astype(np.float32)
    return replace(Record.from_leads(dict(zip(LEADS, signal, strict=True)), FS), id=called)


def _find_id(tracings: Any, row: int, name: str) -> str | None:
    """The ``exam_id`` of an exam, where the file has one for each."""
    from h5py import Dataset, HardLink

    file = tracings.file
    if not isinstance(file.get("exam_id", getlink=True), HardLink):
        return None
    ids = file["exam_id"]
    fits = isinstance(ids, Dataset) and ids.shape == tracings.shape[:1] and ids.dtype.kind in "iu"
    if not fits or _is_elsewhere(ids):
        return None
    _refuse_bombs(ids, row, name)
    return str(ids[row])


def _is_elsewhere(dataset: Any) -> bool:
    """Whether the values of a dataset are kept in other files."""
    from h5py import h5d

    plan = dataset.id.get_create_plist()
    return bool(plan.get_layout() == h5d.VIRTUAL or plan.get_external_count())


def _order(exam: npt.NDArray[np.float64], number: int, name: str) -> list[int]:
    """The columns of the six limb leads: those which leave least over of the identities that bind them."""
    derived = DERIVED_FROM_I_II.astype(np.float64) @ exam[:2]
    with np.errstate(over="ignore", invalid="ignore"):
        over = [float(np.nansum((exam[order[2:]] - derived) ** 2)) for order in _ORDERS]
        best = int(np.argmin(over))
        if not over[best] < _CONTRADICTION * np.nansum(derived**2) or over[0] == over[1]:
            raise SignalError(f"exam {number} of {name} has limb leads that contradict each other: choose another")
    return _ORDERS[best]


def _refuse_bombs(dataset: Any, row: int, name: str) -> None:
    """Raise FormatError or FileError where a row, which is an exam's, would unpack to more than it is."""
    if dataset.chunks is None:
        return
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    size = prod(dataset.chunks) * dataset.dtype.itemsize
    count = prod(ceil(n / step) for n, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True))
    usual = filters in ([], [_DEFLATE], [_SHUFFLE], [_SHUFFLE, _DEFLATE])
    if not usual or size > _LARGEST_CHUNK or count > _MOST_CHUNKS or count * size > _LARGEST:
        raise FormatError(f"{name} is packed in an unusual way: write it again with chunks of one exam and gzip")
    if _DEFLATE not in filters:
        return
    first, *steps = dataset.chunks
    for at in product(
        [row - row % first], *(range(0, n, step) for n, step in zip(dataset.shape[1:], steps, strict=True))
    ):
        if dataset.id.get_chunk_info_by_coord(at).size and _unpacked(dataset, at, filters, size) > size:
            raise FileError(f"{name} unpacks to more than it promises: copy it again")


def _unpacked(dataset: Any, at: tuple[int, ...], filters: list[int], size: int) -> int:
    skipped, packed = dataset.id.read_direct_chunk(at)
    if skipped >> filters.index(_DEFLATE) & 1:  # the writer found that it did not pay
        return len(packed)
    return len(zlib.decompressobj().decompress(packed, size + 1))
