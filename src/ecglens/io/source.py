"""Files and bytes as they come in, with every way of not getting them as a FileError."""

import math
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecglens.errors import EcgLensError, FileError, SignalError, UsageError
from ecglens.io.channels import MILLIVOLTS
from ecglens.paper.page import Page
from ecglens.record import Record

HEAD: Final = 4096  # bytes that tell one format from another
MAX_BYTES: Final = 256 << 20
MAX_PAGES: Final = 500  # of a document, or frames
MAX_SAMPLES: Final = 30_000_000  # over all channels; 12 leads at 500 Hz for 83 minutes, which decodes within 1 GiB
NUMBER: Final = r"[-+]?(?:[0-9]{1,20}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?"  # as a file's text has it
UPLOAD: Final = "the input"  # what errors call bytes that came without a file name


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose format is known: ``count`` ECGs, each read by its number from 1."""

    count: int
    read: Callable[[int], Record | Page]


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller says of files that do not say it themselves: ``fs`` in Hz, ``unit`` of voltage.

    Raises UsageError for a rate that is no number above 0, or a unit that is none of ``channels.MILLIVOLTS``.
    """

    fs: float | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.fs is not None and not 0 < self.fs < math.inf:
            raise UsageError(f"fs says {self.fs:g} Hz: give a sampling rate above 0")
        if self.unit is not None and self.unit not in MILLIVOLTS:
            raise UsageError(f"unit says {self.unit[:40]!r}: give V, mV, uV or nV")

    def settle_rate(self, found: float | None, name: str) -> float:
        """The rate in Hz that was ``found`` in the file or said; SignalError where neither, or where they differ."""
        rate = self.fs if found is None else found
        if rate is None:
            raise SignalError(f"{name} does not say its sampling rate: give it (fs, in Hz)")
        if self.fs is not None and not math.isclose(rate, self.fs, rel_tol=1e-3):
            raise SignalError(f"{name} has {rate:g} Hz, but {self.fs:g} is given (fs): correct it or leave it out")
        return rate

    def settle_unit(self, found: str, name: str) -> str:
        """The unit that was ``found`` in the file ("" for none) or said; SignalError where neither, or they differ."""
        unit = found or self.unit
        if not unit:
            raise SignalError(f"{name} does not say its unit: give it (unit: V, mV, uV or nV)")
        if self.unit and MILLIVOLTS.get(unit) != MILLIVOLTS[self.unit]:
            raise SignalError(
                f"{name} is in {unit[:40]!r}, but {self.unit!r} is given (unit): correct it or leave it out"
            )
        return unit


def head(path: Path) -> bytes:
    """The first bytes of a file. Raises FileError where it is missing, empty, no ordinary file or not permitted."""
    return _read(path, HEAD)


def content(path: Path, limit: int = MAX_BYTES) -> bytes:
    """All bytes of a file. Raises FileError as ``head`` does, and where it is longer than ``limit`` bytes."""
    found = _read(path, limit + 1)
    if len(found) > limit:
        raise _too_large(path.name, limit)
    return found


def piece(path: Path, start: int, size: int) -> bytes:
    """At most ``size`` bytes of a file from ``start`` on, none beyond its end. Raises FileError as ``head`` does."""
    return _read(path, size, start)


def load(given: Path | bytes) -> bytes:
    """All bytes of a file, or the content itself where that was given. Raises FileError as ``content`` does."""
    if isinstance(given, Path):
        return content(given)
    if len(given) > MAX_BYTES:
        raise _too_large(UPLOAD, MAX_BYTES)
    return given


def decode(content: bytes) -> str:
    """Text in UTF-8 or, where it is not that, in Latin-1, which any bytes are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def check_samples(count: float, name: str, limit: int = MAX_SAMPLES) -> None:
    """Raise SignalError where the ``count`` of samples over all channels is more than ``limit``, or no number."""
    if not count <= limit:
        raise SignalError(f"{name} is too long to read at once: cut out the part that matters")


@contextmanager
def reading(name: str, what: str = "is damaged or cut off: copy it again") -> Iterator[None]:
    """Make whatever a library raises within a FileError that says ``what`` of the file ``name``."""
    try:
        yield
    except EcgLensError:
        raise
    except Exception as error:  # damaged content brings a dozen kinds out of libraries, MemoryError among them
        raise FileError(f"{name} {what}") from error


def _read(path: Path, size: int, start: int = 0) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{path.name} is a folder, of which no file was read: give the files in it")
        if not stat.S_ISREG(mode):  # a pipe or a device might never end
            raise FileError(f"{path.name} is no ordinary file: copy its content into one")
        with path.open("rb") as file:
            file.seek(start)
            found = file.read(size)
    except FileNotFoundError as error:
        raise FileError(f"{path.name} does not exist: check the name and the folder") from error
    except PermissionError as error:
        raise FileError(f"{path.name} may not be read: ask for permission to read it") from error
    except OSError as error:
        raise FileError(f"{path.name} cannot be read ({error.strerror}): check the disk or copy it again") from error
    except ValueError as error:  # a zero byte in the name
        raise FileError("this file name is impossible: check the name") from error
    if not found and not start:
        raise FileError(f"{path.name} is empty: copy it again")
    return found


def _too_large(name: str, limit: int) -> FileError:
    size = f"{limit >> 20} MB" if limit >= 1 << 20 else f"{limit >> 10} kB"
    return FileError(f"{name} is larger than {size}: check the file, or give a smaller one")
