"""Records packed to travel: the eight independent leads in steps of 10 uV, sample less sample before, under bzip2.

At 100 Hz a record of 10 s takes 3.6 kB so: PTB-XL's folds 1 to 8 take 63 MB.
"""

import bz2
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError
from ecglens.files import replace_file
from ecglens.leads import INDEPENDENT, INDEX, LEADS, complete_limb_leads
from ecglens.record import Record, Signal

Facts = dict[str, npt.NDArray[Any]]

STEP_MV: Final = 0.01
_GAP: Final = -(2**15)
_ROWS: Final = [INDEX[lead] for lead in INDEPENDENT]


def write_pack(path: Path, records: Sequence[Record], facts: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write records and ``facts`` of them, arrays by name, to one file."""
    steps = np.concatenate([np.empty((len(_ROWS), 0), np.int16), *(_steps(record) for record in records)], axis=1)
    arrays = {
        "differences": np.diff(steps, axis=1, prepend=np.int16(0)),  # int16 wraps, and wraps back
        "lengths": np.array([record.signal.shape[1] for record in records], np.int64),
        "rates": np.array([record.fs for record in records], np.float64),
    }
    content = BytesIO()
    np.savez(content, **arrays, **facts)  # type: ignore[arg-type]
    replace_file(path, lambda part: part.write_bytes(bz2.compress(content.getvalue())))


def read_pack(path: Path) -> tuple[list[Record], Facts]:
    """Return what ``write_pack`` wrote, to the next 10 uV. Raises FileError where the file is damaged."""
    try:
        facts = dict(np.load(BytesIO(bz2.decompress(path.read_bytes()))))
        differences, lengths, rates = (facts.pop(name) for name in ("differences", "lengths", "rates"))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise FileError(f"{path.name} is damaged: copy it again, or remove it to have it made anew") from error
    steps = np.cumsum(differences, axis=1, dtype=np.int16)
    parts = np.split(steps, np.cumsum(lengths)[:-1], axis=1) if len(lengths) else []
    return [Record(_signal(part), float(fs)) for part, fs in zip(parts, rates, strict=True)], facts


def _steps(record: Record) -> npt.NDArray[np.int16]:
    """Return (8, T), ``_GAP`` where nothing was recorded."""
    steps = np.rint(record.signal[_ROWS] / STEP_MV).clip(-(2**15) + 1, 2**15 - 1)
    return np.where(np.isnan(steps), _GAP, steps).astype(np.int16)


def _signal(steps: npt.NDArray[np.int16]) -> Signal:
    """Return (12, T) mV."""
    signal = np.full((len(LEADS), steps.shape[1]), np.nan, np.float32)
    signal[_ROWS] = np.where(steps == _GAP, np.float32(np.nan), steps * np.float32(STEP_MV))
    return complete_limb_leads(signal)
