"""Reading: any file or upload in, a Record or a Page out.

What a file is, its content says, never its name. Each family of formats has a module here; formats that are
recognised and not read are refused by name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecglens.errors import FileError, FormatError, UsageError
from ecglens.io import picture, source, wfdb
from ecglens.paper.page import Page
from ecglens.record import Record

ECG_SUFFIXES: Final = frozenset({".hea", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pdf"})
UPLOAD: Final = "the input"  # what errors call bytes that came without a file name

_READ: Final = "a PNG, JPEG, TIFF, BMP, WebP or PDF picture, or a WFDB record"
_CONVERT: Final = f"convert the ECG to {_READ}"
_UNPACK: Final = "unpack it and give the files inside"

# (name, offset, bytes there, what to do)
_REFUSED: Final = (
    ("a ZIP archive", 0, b"PK\x03\x04", _UNPACK),
    ("an empty ZIP archive", 0, b"PK\x05\x06", _CONVERT),
    ("a gzip archive", 0, b"\x1f\x8b", _UNPACK),
    ("a 7-Zip archive", 0, b"7z\xbc\xaf\x27\x1c", _UNPACK),
    ("a RAR archive", 0, b"Rar!", _UNPACK),
    ("an XZ archive", 0, b"\xfd7zXZ\0", _UNPACK),
    ("a DICOM file", 128, b"DICM", _CONVERT),
    ("an HDF5 file", 0, b"\x89HDF\r\n\x1a\n", _CONVERT),
    ("an SCP-ECG file", 16, b"SCPECG", _CONVERT),
    ("an EDF recording", 0, b"0       ", _CONVERT),
    ("a BDF recording", 0, b"\xffBIOSEMI", _CONVERT),
    ("an ISHNE recording", 0, b"ISHNE1.0", _CONVERT),
    ("a NumPy array", 0, b"\x93NUMPY", _CONVERT),
    ("a MATLAB file", 0, b"MATLAB 5.0 MAT-file", _CONVERT),
    ("a MATLAB file without its WFDB header", 0, b"\x1e\0\0\0", "put the .hea file of the same name beside it"),
    ("a GIF picture", 0, b"GIF8", "save it as PNG"),
    ("a HEIC picture", 4, b"ftyphei", "save it as JPEG"),
    ("a HEIF picture", 4, b"ftypmif1", "save it as JPEG"),
    ("an AVIF picture", 4, b"ftypavif", "save it as JPEG"),
    ("a JPEG 2000 picture", 4, b"jP  \r\n\x87\n", "save it as PNG"),
    ("a Photoshop picture", 0, b"8BPS", "save it as PNG"),
    ("a video", 4, b"ftyp", "take a photograph of the ECG"),
    ("an old Office document", 0, b"\xd0\xcf\x11\xe0", "save it as PDF"),
)
_MARKUP: Final = (
    ("an HL7 aECG file", b"AnnotatedECG"),
    ("a Philips XML file", b"restingecgdata"),
    ("a GE MUSE XML file", b"RestingECG"),
    ("an SVG drawing", b"<svg"),
    ("a web page", b"<html"),
    ("an XML file", b"<?xml"),
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file whose format is known: ``pages`` ECGs, each read by its number from 1."""

    name: str
    pages: int
    read: Callable[[int], Record | Page]


def read(path: str | Path | bytes, page: int | None = None) -> Record | Page:
    """Read the one ECG of a file, or the one on ``page`` (from 1); ``bytes`` are taken as the file's content.

    A WFDB record is given by its header, a signal file or its name without extension. Raises UsageError where the
    file holds several pages and none is chosen, or has no such page; UnreadableError where it cannot be read.
    """
    opened = _open(path)
    if page is None and opened.pages > 1:
        raise UsageError(f"{opened.name} has {opened.pages} pages: choose one of them, or read them all")
    if page is not None and not 1 <= page <= opened.pages:
        raise UsageError(f"{opened.name} has no page {page}: choose from 1 to {opened.pages}")
    return opened.read(page or 1)


def read_all(path: str | Path | bytes) -> Iterator[tuple[int, Record | Page]]:
    """Read every ECG of a file: (page number from 1, ECG), one at a time. Raises UnreadableError."""
    opened = _open(path)
    return ((number, opened.read(number)) for number in range(1, opened.pages + 1))


def count_pages(path: str | Path | bytes) -> int:
    """How many ECGs a file holds. Raises UnreadableError."""
    return _open(path).pages


def _open(path: str | Path | bytes) -> _Opened:
    if isinstance(path, bytes):
        return _open_bytes(path)
    path = Path(path)
    header = wfdb.header_of(path)
    if header is None or header == path:  # else it is a record's name or signal file, whose bytes could be anything
        head = source.head(path)
        if picture.recognise(head):
            return _open_picture(source.content(path), path.name)
        if header is None:
            raise _refusal(head, path.name)
    return _Opened(path.name, 1, lambda _: wfdb.read(header))


def _open_bytes(content: bytes) -> _Opened:
    if not content:
        raise FileError(f"{UPLOAD} is empty: send the content of a file")
    if picture.recognise(content[: source.HEAD]):
        return _open_picture(content, UPLOAD)
    if wfdb.is_header(content):
        raise FormatError(f"{UPLOAD} is a WFDB header alone: its signal file is needed too, so give the record's path")
    raise _refusal(content[: source.HEAD], UPLOAD)


def _open_picture(content: bytes, name: str) -> _Opened:
    return _Opened(name, picture.count_pages(content, name), lambda page: picture.read(content, name, page))


def _refusal(head: bytes, name: str) -> FormatError:
    for what, offset, signature, advice in _REFUSED:
        if head[offset:].startswith(signature):
            return FormatError(f"{name} is {what}, which is not read: {advice}")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        for what, mark in _MARKUP:
            if mark.lower() in head.lower():
                return FormatError(f"{name} is {what}, which is not read: {_CONVERT}")
    if head.isascii() and not head.translate(None, bytes([*b"\t\n\f\r", *range(32, 127)])):
        return FormatError(f"{name} is a text file, which is not read: {_CONVERT}")
    return FormatError(f"{name} is of no format that ecglens reads: give {_READ}")
