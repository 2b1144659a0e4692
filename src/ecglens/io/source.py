"""Files and bytes as they come in, with every way of not getting them as a FileError."""

import math
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecglens.errors import FileError, SignalError
from ecglens.paper.page import Page
from ecglens.record import Record

HEAD: Final = 4096  # bytes that tell one format from another
MAX_BYTES: Final = 256 << 20
MAX_PAGES: Final = 500  # of a document, or frames
MAX_SAMPLES: Final = 60_000_000  # over all channels; 12 leads at 500 Hz for 2.7 h, which decodes within 1 GiB


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose format is known: ``count`` ECGs, each read by its number from 1."""

    count: int
    read: Callable[[int], Record | Page]


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller says of files that do not say it themselves: ``fs`` in Hz, ``unit`` of voltage."""

    fs: float | None = None
    unit: str | None = None

    def settle_rate(self, found: float | None, name: str) -> float:
        """The rate in Hz that was ``found`` in the file or said; SignalError where neither, or where they differ."""
        rate = self.fs if found is None else found
        if rate is None:
            raise SignalError(f"{name} does not say its sampling rate: say it with --fs, in Hz")
        if self.fs is not None and not math.isclose(rate, self.fs, rel_tol=1e-3):
            raise SignalError(f"{name} has {rate:g} Hz, but --fs says {self.fs:g}: correct it or leave it out")
        return rate

    def settle_unit(self, found: str, name: str) -> str:
        """The unit that was ``found`` in the file ("" for none) or said; SignalError where neither, or they differ."""
        unit = found or self.unit
        if not unit:
            raise SignalError(f"{name} does not say its unit: say it with --unit, as V, mV, uV or nV")
        if self.unit and unit != self.unit:
            raise SignalError(f"{name} is in {unit[:40]!r}, but --unit says {self.unit!r}: correct it or leave it out")
        return unit


def head(path: Path) -> bytes:
    """The first bytes of a file. Raises FileError where it is missing, empty, no ordinary file or not permitted."""
    return _read(path, HEAD)


def content(path: Path, limit: int = MAX_BYTES) -> bytes:
    """All bytes of a file. Raises FileError as ``head`` does, and where it is longer than ``limit`` bytes."""
    found = _read(path, limit + 1)
    if len(found) > limit:
        raise FileError(f"{path.name} is larger than {_size(limit)}: check the file, or give a smaller one")
    return found


def load(given: Path | bytes) -> bytes:
    """All bytes of a file, or the content itself where that was given. Raises FileError as ``content`` does."""
    return given if isinstance(given, bytes) else content(given)


def _read(path: Path, size: int) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{path.name} is a folder: give the files in it")
        if not stat.S_ISREG(mode):  # a pipe or a device might never end
            raise FileError(f"{path.name} is no ordinary file: copy its content into one")
        with path.open("rb") as file:
            found = file.read(size)
    except FileNotFoundError as error:
        raise FileError(f"{path.name} does not exist: check the name and the folder") from error
    except PermissionError as error:
        raise FileError(f"{path.name} may not be read: ask for permission to read it") from error
    except OSError as error:
        raise FileError(f"{path.name} cannot be read ({error.strerror}): check the disk or copy it again") from error
    except ValueError as error:  # a zero byte in the name
        raise FileError("this file name is impossible: check the name") from error
    if not found:
        raise FileError(f"{path.name} is empty: copy it again")
    return found


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 1 << 20 else f"{count >> 10} kB"
