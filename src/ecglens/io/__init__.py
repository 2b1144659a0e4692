"""Reading: any file or upload in, a Record or a Page out.

What a file is, its content says, never its name. Each family of formats has a module here; formats that are
recognised and not read are refused by name.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

from ecglens.errors import FAULT, EcgLensError, FileError, FormatError, UnreadableError, UsageError
from ecglens.io import aecg, array, dicom, edf, hdf5, muse, philips, picture, scp, source, text, wfdb
from ecglens.io.source import UPLOAD, Given, Opened
from ecglens.paper.page import Page
from ecglens.record import Record

__all__ = ["Given", "Opened", "find_files", "for_each", "open_file", "read"]

T = TypeVar("T")

log = logging.getLogger(__name__)

NOTHING_SAID: Final = Given()


class _Reader(Protocol):
    """A module for a family of formats that say everything."""

    def recognise(self, head: bytes) -> object: ...
    def open_file(self, given: Path | bytes, name: str) -> Opened: ...


class _ToldReader(Protocol):
    """A module for formats that leave rate and unit to the caller."""

    def recognise(self, head: bytes) -> bool: ...
    def open_file(self, given: Path | bytes, name: str, said: Given) -> Opened: ...


_READERS: Final[tuple[_Reader, ...]] = (picture, dicom, hdf5, edf, scp, aecg, muse, philips)
_TOLD: Final[tuple[_ToldReader, ...]] = (array, text)  # text last, as it is known by least
_PICTURES: Final = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".pdf")
)
_SIGNALS: Final = frozenset((".hea", ".dcm", ".xml", ".scp", ".edf", ".bdf", ".h5", ".hdf5"))
_NUMBERS: Final = frozenset({".npy", ".npz", ".csv", ".tsv"})  # ECGs, or anything else

_READ: Final = "a picture, a PDF, or a DICOM, WFDB, SCP-ECG, aECG, MUSE, Philips, EDF, HDF5, NumPy or CSV file"
_CONVERT: Final = "convert the ECG to PNG, PDF, DICOM or WFDB"
_UNPACK: Final = "unpack it and give the files inside"

# (name, offset, bytes there, what to do)
_REFUSED: Final = (
    ("a ZIP archive", 0, b"PK\x03\x04", _UNPACK),
    ("an empty ZIP archive", 0, b"PK\x05\x06", _CONVERT),
    ("a gzip archive", 0, b"\x1f\x8b", _UNPACK),
    ("a 7-Zip archive", 0, b"7z\xbc\xaf\x27\x1c", _UNPACK),
    ("a RAR archive", 0, b"Rar!", _UNPACK),
    ("an XZ archive", 0, b"\xfd7zXZ\0", _UNPACK),
    ("an ISHNE recording", 0, b"ISHNE1.0", _CONVERT),
    ("a MATLAB file", 0, b"MATLAB 5.0 MAT-file", _CONVERT),
    ("a MATLAB file without its WFDB header", 0, b"\x1e\0\0\0", "put the .hea file of the same name beside it"),
    ("a Photoshop picture", 0, b"8BPS", "save it as PNG"),
    ("a video", 4, b"ftyp", "take a photograph of the ECG"),
    ("an old Office document", 0, b"\xd0\xcf\x11\xe0", "save it as PDF"),
)
_MARKUP: Final = (("an SVG drawing", b"<svg"), ("a web page", b"<html"), ("an XML file", b"<?xml"))


def read(
    path: str | Path | bytes, page: int | None = None, *, fs: float | None = None, unit: str | None = None
) -> Record | Page:
    """Read the one ECG of a file, or the one on ``page`` (from 1); ``bytes`` are taken as the file's content.

    A WFDB record is given by its header, a signal file or its name without extension. ``fs`` in Hz and ``unit`` of
    voltage are for files that do not say them, as CSV and NumPy. Raises UsageError where the file holds several pages
    and none is chosen, has no such page, or is a picture, which has no rate and no unit; UnreadableError where it
    cannot be read.
    """
    opened, name = open_file(path, Given(fs, unit)), UPLOAD if isinstance(path, bytes) else Path(path).name
    if page is None and opened.count > 1:
        raise UsageError(f"{name} has {opened.count} pages: choose one of them, or read them all")
    if page is not None and not 1 <= page <= opened.count:
        raise UsageError(f"{name} has no page {page}: choose from 1 to {opened.count}")
    found = opened.read(page or 1)
    if isinstance(found, Page) and (fs, unit) != (None, None):
        raise UsageError(f"{name} is a picture, which has no rate and no unit: leave fs and unit out")
    return found


def for_each(
    path: str | Path | bytes,
    said: Given,
    take: Callable[[Record | Page, int, int], T],
    refuse: Callable[[str, int, int], T],
) -> Iterator[T]:
    """Yield what ``take`` makes of every ECG in a file, or ``refuse`` of the reason why it cannot be read.

    Both get the ECG's number from 1 and how many there are. ``take`` may raise UnreadableError as well. A fault of ours
    is logged and costs one ECG; every other EcgLensError ends the file.
    """
    opened, number, count = None, 1, 1
    while number <= count:
        try:
            opened = opened or open_file(path, said)
            count = opened.count
            yield take(opened.read(number), number, count)
        except UnreadableError as error:
            yield refuse(str(error), number, count)
        except EcgLensError:
            raise
        except Exception:  # which must not cost a batch its other answers
            log.exception("ECG %d of %d could not be worked on", number, count)
            yield refuse(FAULT, number, count)
        number += 1


def open_file(path: str | Path | bytes, said: Given = NOTHING_SAID) -> Opened:
    """Tell a file's format and how many ECGs it holds, each to be read by its number. Raises UnreadableError.

    The rate that is ``said`` must be that of every Record, whether its file says one or not.
    """
    opened = _open_content(path, said) if isinstance(path, bytes) else _open_path(Path(path), said)

    def read(number: int) -> Record | Page:
        found = opened.read(number)
        if isinstance(found, Record):
            said.settle_rate(found.fs, UPLOAD if isinstance(path, bytes) else Path(path).name)
        return found

    return Opened(opened.count, read)


def _open_path(path: Path, said: Given) -> Opened:
    header = wfdb.header_of(path)
    if header is None or header == path:  # else it is a record's name or signal file, whose bytes could be anything
        head = source.head(path)
        if opened := _open_known(path, head, path.name, said):
            return opened
        if header is None:
            raise _refusal(head, path.name)
    return Opened(1, lambda _: wfdb.read(header))


def find_files(folder: Path, said: Given = NOTHING_SAID, *, pictures: bool = True) -> list[Path]:
    """Find the ECGs below a folder: what is called like one, and whatever its content shows to be one.

    NumPy arrays could be anything, so they count only where something is ``said`` of them. Links that lead nowhere are
    among what is found, so that somebody hears of them.
    """
    suffixes = _SIGNALS | (_PICTURES if pictures else frozenset()) | (_NUMBERS if said != NOTHING_SAID else frozenset())
    files = sorted(path for path in folder.rglob("*") if path.is_file() or (path.is_symlink() and not path.exists()))
    return [path for path in files if path.suffix.lower() in suffixes or _is_known(path, pictures)]


def _is_known(path: Path, pictures: bool) -> bool:
    """Whether a file of any name is an ECG by its content, and not a part of a WFDB record."""
    if path.suffix.lower() in _PICTURES | _NUMBERS - {".csv", ".tsv"}:
        return False
    try:
        head = source.head(path)
    except FileError:
        return path.is_symlink()
    readers: list[_Reader | _ToldReader] = [text, *(reader for reader in _READERS if pictures or reader is not picture)]
    return any(reader.recognise(head) for reader in readers) and wfdb.header_of(path) is None


def _open_content(content: bytes, said: Given) -> Opened:
    if not content:
        raise FileError(f"{UPLOAD} is empty: send the content of a file")
    head = content[: source.HEAD]
    if opened := _open_known(content, head, UPLOAD, said):
        return opened
    if wfdb.is_header(content):
        raise FormatError(f"{UPLOAD} is a WFDB header alone: its signal file is needed too, so give the record's path")
    raise _refusal(head, UPLOAD)


def _open_known(given: Path | bytes, head: bytes, name: str, said: Given) -> Opened | None:
    for reader in _READERS:
        if reader.recognise(head):
            return reader.open_file(given, name)
    if not wfdb.is_header(head):  # which is text as well
        for told in _TOLD:
            if told.recognise(head):
                return told.open_file(given, name, said)
    return None


def _refusal(head: bytes, name: str) -> FormatError:
    for what, offset, signature, advice in _REFUSED:
        if head[offset:].startswith(signature):
            return FormatError(f"{name} is {what}, which is not read: {advice}")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        for what, mark in _MARKUP:
            if mark.lower() in head.lower():
                return FormatError(f"{name} is {what}, which is not read: {_CONVERT}")
    if head.isascii() and not head.translate(None, bytes([*b"\t\n\f\r", *range(32, 127)])):
        return FormatError(f"{name} is a text file that names no leads: name the lead of each column in its first line")
    return FormatError(f"{name} is of no format that ecglens reads: give {_READ}")
