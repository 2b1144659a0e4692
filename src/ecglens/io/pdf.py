"""PDF documents, whose pages are drawn at 200 dpi by PDFium in a process of their own.

PDFium cannot be interrupted, and a small file can keep it busy for ever or make it ask for any amount of memory. In its
own process it has limits of both, and whatever becomes of it becomes of that process alone.
"""

import logging
import signal
import struct
import subprocess
import sys
from typing import Final

import numpy as np

from ecglens.errors import EcgLensError, FileError, FormatError
from ecglens.io import pdfium, source
from ecglens.io.source import Opened
from ecglens.paper.page import Page, Pixels

_PATIENCE: Final = 9.0  # s, of a page; the process has fewer of computing
_FAULTS: Final = (-signal.SIGSEGV, -signal.SIGFPE)

log = logging.getLogger(__name__)


def open_file(content: bytes, name: str) -> Opened:
    """Open a document, whose pages are ECGs of their own; ``name`` stands for it in errors.

    This and ``read`` raise FileError for a damaged or password-protected document, and FormatError for one with more
    than ``source.MAX_PAGES`` pages or a page that takes too long to draw. An EcgLensError says that no PDF can be.
    """
    count, first = _draw(content, 1, name)
    if count == 0:
        raise FileError(f"{name} has no page: copy it again")
    if count > source.MAX_PAGES:
        raise FormatError(f"{name} has more than {source.MAX_PAGES} pages: split it into smaller files")
    return Opened(count, lambda number: Page(first if number == 1 else _draw(content, number, name)[1]))


def _draw(content: bytes, number: int, name: str) -> tuple[int, Pixels]:
    """Return how many pages there are, and page ``number``."""
    command = [sys.executable, "-P", pdfium.__file__, str(number)]  # -P: its folder holds namesakes of the library's
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise _endless(name) from error
    except OSError as error:
        raise _unable(name) from error
    if done.returncode:
        log.debug("drawing ended with %d: %r", done.returncode, done.stderr)
        raise _failure(done.returncode, name)
    count, width, height, stride = struct.unpack_from(pdfium.HEADER, done.stdout)
    rows = np.frombuffer(done.stdout, np.uint8, height * stride, struct.calcsize(pdfium.HEADER)).reshape(height, stride)
    return count, rows[:, : 3 * width].reshape(height, width, 3)


def _failure(code: int, name: str) -> EcgLensError:
    """What a process means that ended with this exit code, or by signal number -``code``."""
    if code == pdfium.PASSWORD:
        return FileError(f"{name} is password-protected: save it without a password")
    if code == pdfium.DAMAGED or code in _FAULTS or code > 255:  # Windows tells of a fault by a large number
        return FileError(f"{name} is a damaged PDF: save or print it to PDF again")
    if code == pdfium.TOO_MUCH or code < 0:  # its limit of time kills it; without memory, PDFium aborts
        return _endless(name)
    return _unable(name)


def _endless(name: str) -> FormatError:
    return FormatError(f"{name} takes too long to draw, or too much memory: save the page as a picture")


def _unable(name: str) -> EcgLensError:
    return EcgLensError(
        f"{name} cannot be drawn, as no PDF can here: install ecglens again, or save the page as a picture"
    )
