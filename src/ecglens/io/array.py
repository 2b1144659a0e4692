"""NumPy arrays in files: one as NPY, several as NPZ (NEP 1, ``numpy.lib.format``). What is pickled is never read.

An ECG is a (12, T) or (T, 12) array of numbers, several ECGs are (N, 12, T) or (N, T, 12); the twelve leads are in
the order of ``leads.LEADS``, and NaN means "not recorded". The rate and the unit (that of a whole number's 1 as well)
are said by the caller, or by an NPZ file: its arrays ``fs`` and ``unit`` beside the signal, which is ``signal`` or
the only other one. ``leads``, if there, names the leads of the signal, which may then be others than twelve.
"""

import math
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import channels, source
from ecglens.leads import LEADS
from ecglens.record import Record, Signal

Array = npt.NDArray[Any]

_NPY: Final = b"\x93NUMPY"
_MEMBER: Final = b"PK\x01\x02"  # of a ZIP archive's table of contents
_ARCHIVE: Final = b"PK\x03\x04"
_MOST_MEMBERS: Final = 1000
_ASIDE: Final = ("fs", "unit", "leads")


def recognise(head: bytes) -> bool:
    """Whether ``head`` begins an NPY file, or a ZIP archive whose first file is one."""
    if head.startswith(_NPY):
        return True
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]  # APPNOTE.TXT of PKWARE, 4.3.7
    return head.startswith(_ARCHIVE) and name.endswith(b".npy")


def open_file(given: Path | bytes, name: str, said: source.Given) -> source.Opened:
    """Open an NPY or NPZ file; ``said`` gives rate and unit where the file does not.

    Raises FileError where it is damaged, FormatError where it holds no array of numbers with twelve leads, SignalError
    where rate or unit are not known, or not what was said.
    """
    content = source.load(given)
    arrays = {"signal": _parse(content, name)} if content.startswith(_NPY) else _unpack(content, name)
    signal = _signal(arrays, name)
    fs = said.settle_rate(_one_number(arrays.get("fs"), name), name)
    unit = said.settle_unit(_one_text(arrays.get("unit"), name), name)
    names = _lead_names(arrays.get("leads"), name)
    exams = _shape(signal, len(names), name)
    chosen = channels.choose_leads(names, name)
    scales = {lead: channels.millivolts(unit, lead, name) for lead in chosen}

    def read(number: int) -> Record:
        with np.errstate(over="ignore", invalid="ignore"):  # infinity, which Record refuses
            rows = {lead: _scaled(exams[number - 1, i], scales[lead]) for lead, i in chosen.items()}
        return Record.from_leads(rows, fs)

    return source.Opened(len(exams), read)


def _scaled(samples: Array, scale: float) -> Signal:
    return (samples.astype(np.float64) * scale).astype(np.float32)  # halves would overflow


def _parse(content: bytes, name: str) -> Array:
    """The array of an NPY file, checked against its length before anything is allocated."""
    stream = BytesIO(content)
    with source.reading(name, "has a damaged NumPy header: write it again"):  # it is a Python literal
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = header(stream)
    if dtype.kind not in "fiuUS":
        raise FormatError(f"{name} holds {str(dtype)[:40]}, not numbers: save the samples as float32")
    if len(shape) > 3:
        raise FormatError(
            f"{name} holds an array of {len(shape)} dimensions: give (12, samples), or (ECGs, 12, samples)"
        )
    size, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if min(shape, default=1) < 1 or size != held:
        raise FileError(f"{name} promises {size} bytes of samples and has {held}: copy it again")
    values = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return values.reshape(shape[::-1]).T if by_column else values.reshape(shape)


def _unpack(content: bytes, name: str) -> dict[str, Array]:
    """The arrays of an NPZ file by name, none of which unpacks to more than ``source.MAX_BYTES``."""
    if content.count(_MEMBER) > _MOST_MEMBERS:
        raise FileError(f"{name} holds more than {_MOST_MEMBERS} arrays: give one ECG, or several in one array")
    with source.reading(name), zipfile.ZipFile(BytesIO(content)) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if sum(info.file_size for info in members) > source.MAX_BYTES:
            raise FileError(f"{name} unpacks to more than {source.MAX_BYTES >> 20} MB: give a smaller one")
        return {info.filename[:-4]: _parse(_member(archive, info, name), name) for info in members}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """Unpack one array, and no more of it than it promises; other decompressors unpack all before they are stopped."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{name} is packed in a way that NumPy does not use: write it again with numpy.savez")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _signal(arrays: dict[str, Array], name: str) -> Array:
    others = [key for key in arrays if key not in _ASIDE]
    if "signal" not in others and len(others) != 1:
        held = ", ".join(repr(key[:40]) for key in others[:6]) or "none"
        raise FormatError(f"{name} must hold one array of samples ({held} found): name it 'signal'")
    signal = arrays["signal" if "signal" in others else others[0]]
    if signal.dtype.kind not in "fiu":
        raise FormatError(f"{name} holds {str(signal.dtype)[:40]}, not numbers: save the samples as float32")
    return signal


def _one_number(array: Array | None, name: str) -> float | None:
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "fiu":
        raise SignalError(f"{name} has an array 'fs' that is not one number: save the rate in Hz there")
    return float(array.item())


def _one_text(array: Array | None, name: str) -> str:
    if array is None:
        return ""
    if array.size != 1:
        raise SignalError(f"{name} has an array 'unit' that is not one word: save V, mV, uV or nV there")
    return _texts(array)[0]


def _lead_names(array: Array | None, name: str) -> Sequence[str]:
    if array is None:
        return LEADS
    if array.ndim != 1 or not 0 < array.size <= 256 or array.dtype.kind not in "US":
        raise SignalError(f"{name} has an array 'leads' that is no list of names: save one name for each lead there")
    return _texts(array)


def _texts(array: Array) -> list[str]:
    return [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in array.reshape(-1)]


def _shape(signal: Array, leads: int, name: str) -> Array:
    """Bring the samples into (N, leads, T); the leads are where their number is."""
    exams = signal[None] if signal.ndim == 2 else signal
    if exams.ndim != 3 or (exams.shape[1] == leads) == (exams.shape[2] == leads) or not exams.size:
        raise FormatError(
            f"{name} has the shape {signal.shape}, in which {leads} leads are not to be told: "
            f"give ({leads}, samples), or (ECGs, {leads}, samples) for several"
        )
    source.check_samples(exams.shape[1] * exams.shape[2], name)
    return exams if exams.shape[1] == leads else exams.transpose(0, 2, 1)
