"""A program, not a module: draw one page of the PDF on standard input, and write its pixels to standard output.

    python pdfium.py NUMBER < FILE > PIXELS

``pdf`` runs it. It imports nothing of ecglens, so that it starts in a tenth of a second. PIXELS are four numbers, how
many pages there are and the width, height and bytes a row of this one, and its rows in RGB; of a document without
pages, four zeros. Exit code 3: a password is needed; 4: the document or the page is damaged; 5: it needs more memory.
"""

import math
import struct
import sys
from typing import Final

HEADER: Final = "<IIII"
PASSWORD: Final = 3
DAMAGED: Final = 4
TOO_MUCH: Final = 5
SECONDS: Final = 8  # of computing
MEMORY: Final = 1 << 30  # bytes

_DPI: Final = 200.0  # 7.9 px/mm: a millimetre square of the grid is well resolved
_POINTS_PER_INCH: Final = 72.0
_MAX_SIDE: Final = 30_000  # pixels; a page may be as long and narrow as it likes
_MAX_PIXELS: Final = 40_000_000


def main() -> None:
    """Draw the page that the command line names."""
    import pypdfium2

    _limit()
    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        if len(document) == 0:
            sys.stdout.buffer.write(struct.pack(HEADER, 0, 0, 0, 0))
            return
        page = document[int(sys.argv[1]) - 1]
        bitmap = page.render(scale=_scale(*page.get_size()), rev_byteorder=True)
    except MemoryError:
        sys.exit(TOO_MUCH)
    except Exception as error:  # PdfiumError, or whatever else a damaged document brings out of the library
        raise SystemExit(PASSWORD if "password" in str(error).lower() else DAMAGED) from error
    sys.stdout.buffer.write(struct.pack(HEADER, len(document), bitmap.width, bitmap.height, bitmap.stride))
    sys.stdout.buffer.write(bitmap.buffer)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; there the caller's patience is the only one
        return
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _scale(width: float, height: float) -> float:
    if not (width > 0 and height > 0):
        sys.exit(DAMAGED)
    fits = min(_MAX_SIDE / max(width, height), math.sqrt(_MAX_PIXELS / (width * height)))
    return min(_DPI / _POINTS_PER_INCH, fits)


if __name__ == "__main__":
    main()
