"""XML as ECG files use it, read safely, and what its families share: numbers and coded samples.

Hostile files are the norm to plan for: definitions inside the file (of entities, of default attributes) are refused,
and bytes, elements, attributes and depth are limited, so that the worst takes seconds and half a gigabyte. A document
type that only names an external file, as GE MUSE writes it, is allowed and never fetched. The encoding is the one that
byte order mark or XML declaration give. Namespaces are dropped.
"""

import base64
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import source

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element, TreeBuilder

MAX_BYTES: Final = 16 << 20
MAX_SAMPLES: Final = 8_000_000  # over all leads, 12 at 500 Hz for 22 minutes: as many as that many bytes can hold
MAX_ELEMENTS: Final = 200_000
MAX_ATTRIBUTES: Final = 1000  # of one element
MAX_DEPTH: Final = 100
LARGEST: Final = 1e12  # no figure of an ECG comes near it, nor its inverse; float32 holds their products

_NUMBER = re.compile(source.NUMBER)
_INTEGERS = re.compile(r"[-+\d \t\r\n]*", re.ASCII)
_BAD_SIGN = re.compile(r"\d[-+]|[-+](?!\d)", re.ASCII)
_SPACES: Final = b" \t\r\n"
_BEFORE: Final = _SPACES + b"\xef\xbb\xbf\xff\xfe\0"  # of the first "<": byte order marks, and half of UTF-16


def root(head: bytes) -> str | None:
    """Return the name of the root element, without namespace, of XML that begins with ``head``; None where none is."""
    if head.lstrip(_BEFORE)[:1] != b"<":
        return None
    from defusedxml.ElementTree import XMLParser

    finder = _Finder()
    with suppress(SyntaxError, ValueError, LookupError):  # the head of a document always ends too early
        XMLParser(target=finder).feed(head)
    return finder.root


def parse(given: Path | bytes, name: str) -> "Element":
    """Return the root element of a document, all names without namespace; ``name`` stands for the file in errors.

    Raises FileError where it is damaged, truncated, too large, too deep or of too many elements, FormatError where it
    defines entities or the like of its own.
    """
    from xml.etree.ElementTree import TreeBuilder

    from defusedxml.ElementTree import XMLParser

    content = source.load(given)
    if len(content) > MAX_BYTES:
        raise FileError(f"{name} is larger than {MAX_BYTES >> 20} MB, too long for one ECG: export a shorter piece")
    builder = _Builder(TreeBuilder())
    parser = XMLParser(target=builder)
    parser.parser.StartDoctypeDeclHandler = _refuse_definitions
    parser.parser.StartElementHandler = builder.start_element
    parser.parser.EndElementHandler = builder.end_element
    try:
        parser.feed(content)
        found: Element = parser.close()
    except _DefinitionsError as error:
        raise FormatError(
            f"{name} defines a document type of its own, which could hide anything: export the ECG again"
        ) from error
    except _TooMuchError as error:
        raise FileError(f"{name} has {error}, which no ECG has: export the ECG again") from error
    except (SyntaxError, ValueError, LookupError) as error:  # ElementTree's ParseError is a SyntaxError
        raise FileError(f"{name} is damaged or cut off, its XML does not read: copy or export it again") from error
    return found


def text(element: "Element", path: str) -> str:
    """Return the text of the first element at ``path``, without blanks around it; empty where there is none."""
    return (element.findtext(path) or "").strip()


def number(value: str, what: str, name: str) -> float:
    """Return a number. Raises SignalError where ``what`` is missing, no number or beyond ``LARGEST``."""
    if not value:
        raise SignalError(f"{name} gives no {what}: export the ECG again with it")
    found = float(value) if _NUMBER.fullmatch(value) else np.nan
    if not abs(found) <= LARGEST:
        raise SignalError(f"{name} gives {value[:40]!r} as {what}, which cannot be: export the ECG again")
    return found


def positive(value: str, what: str, name: str) -> float:
    """Return a number above 0. Raises SignalError as ``number`` does, and for less than one over ``LARGEST``."""
    found = number(value, what, name)
    if found < 1 / LARGEST:
        raise SignalError(f"{name} gives {value[:40]} as {what}, which must be above 0: export the ECG again")
    return found


def expect(value: str, wanted: float, what: str, name: str) -> None:
    """Check a figure that a file may give (``value`` is empty where it does not). Raises FormatError."""
    if value and number(value, what, name) != wanted:
        raise FormatError(f"{name} gives {value[:40]} as {what}, and only {wanted:g} is read: export the ECG again")


def expect_count(value: str, found: int, what: str, name: str) -> None:
    """Check a count that a file may give of what it holds (``value`` is empty where it does not). Raises FileError."""
    if value and number(value, f"the number of {what}", name) != found:
        raise FileError(f"{name} promises {value[:40]} {what} and holds {found}: copy or export it again")


def decode_base64(value: str, what: str, name: str) -> bytes:
    """Return the bytes that base64 stands for. Raises FileError where it is none, or stands for nothing."""
    try:
        found = base64.b64decode(value.encode("ascii").translate(None, _SPACES), validate=True)
    except ValueError as error:
        raise FileError(f"{name} is damaged, {what} is not base64: copy or export it again") from error
    if not found:
        raise FileError(f"{name} holds no samples of {what}: export the ECG again")
    return found


def decode_words(packed: bytes, what: str, name: str) -> npt.NDArray[np.int16]:
    """Return the 16-bit samples, low byte first, of ``packed``. Raises FileError where there is half of one."""
    if len(packed) % 2:
        raise FileError(f"{name} is cut off, {what} ends within a sample: copy or export it again")
    return np.frombuffer(packed, "<i2")


def decode_integers(value: str, what: str, name: str) -> npt.NDArray[np.float64]:
    """Return the whole numbers of a list with blanks between. Raises SignalError where it is none, or empty."""
    if not _INTEGERS.fullmatch(value) or _BAD_SIGN.search(value):
        raise SignalError(f"{name} gives samples of {what} that are no whole numbers: export the ECG again")
    if not value.strip():
        raise SignalError(f"{name} holds no samples of {what}: export the ECG again")
    found = np.fromstring(value, np.float64, sep=" ")
    if np.abs(found).max() > LARGEST:
        raise SignalError(f"{name} gives samples of {what} that cannot be: export the ECG again")
    return found


class _TooMuchError(Exception):
    pass


class _DefinitionsError(Exception):
    pass


def _refuse_definitions(name: str, system: str, public: str, internal: int) -> None:
    # Entities are the known bombs; a default attribute of a megabyte, given to every element, is one too.
    if internal:
        raise _DefinitionsError


class _Finder:
    """A parser's target that remembers the first element."""

    root: str | None = None

    def start(self, tag: str, _: dict[str, str]) -> None:
        self.root = self.root or _local(tag)


class _Builder:
    """A parser's target that builds the tree; elements go by its own handlers, which see them before any are copied."""

    def __init__(self, builder: "TreeBuilder") -> None:
        self.builder, self.data, self.close = builder, builder.data, builder.close
        self.depth = self.elements = 0

    def start_element(self, tag: str, attributes: list[str]) -> None:
        self.depth, self.elements = self.depth + 1, self.elements + 1
        if len(attributes) > 2 * MAX_ATTRIBUTES:
            raise _TooMuchError(f"more than {MAX_ATTRIBUTES} attributes in one element")
        if self.depth > MAX_DEPTH:
            raise _TooMuchError(f"more than {MAX_DEPTH} elements within each other")
        if self.elements > MAX_ELEMENTS:
            raise _TooMuchError(f"more than {MAX_ELEMENTS} elements")
        keys = map(_local, attributes[::2])
        self.builder.start(_local(tag), dict(zip(keys, attributes[1::2], strict=True)))

    def end_element(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(_local(tag))


def _local(name: str) -> str:
    return name.rpartition("}")[2]
