"""Pictures of ECGs: PNG, JPEG, BMP, WebP, TIFF with pages and PDF with pages, as RGB pixels.

Of the metadata only the EXIF orientation is used; everything else stays behind.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps

from ecglens.errors import EcgLensError, FileError, FormatError, UsageError
from ecglens.paper.page import Page, Pixels

MAX_PIXELS: Final = 80_000_000  # decoding, turning and copying so many stays within 1 GiB
MAX_PAGES: Final = 500
MAX_SIDE: Final = 30_000  # pixels of a PDF page, which may be as long and narrow as it likes
PDF_DPI: Final = 200.0  # 7.9 px/mm: a millimetre square of the grid is well resolved
POINTS_PER_INCH: Final = 72.0

_SIGNATURES: Final = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PDF": (b"%PDF-",),
}
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)  # "BM" alone might begin a text
_WHITE: Final = (255, 255, 255, 255)
_PDFIUM = threading.Lock()  # PDFium is not thread-safe


def recognise(head: bytes) -> str | None:
    """Name the picture format that ``head``, the first bytes of a file, belongs to, or None."""
    for name, signatures in _SIGNATURES.items():
        if head.startswith(signatures):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return "PDF" if b"%PDF-" in head[:1024] else None  # readers accept junk before a PDF's first line


def count_pages(content: bytes, name: str) -> int:
    """How many pages a file has; pictures other than TIFF and PDF have one. Raises as ``read`` does."""
    if recognise(content) == "PDF":
        with _pdf(content, name) as document:
            pages = len(document)
    else:
        with _picture(content, name) as image:
            pages = _count_frames(image)
    if pages == 0:
        raise FileError(f"{name} has no page: copy it again")
    if pages > MAX_PAGES:
        raise FormatError(f"{name} has more than {MAX_PAGES} pages: split it into smaller files")
    return pages


def _count_frames(image: Image.Image) -> int:
    """Count a TIFF's pages, as far as one more than allowed; the frames of an animation are not pages."""
    if image.format != "TIFF":
        return 1
    for number in range(1, MAX_PAGES + 1):
        try:
            image.seek(number)
        except EOFError:
            return number
    return MAX_PAGES + 1


def read(content: bytes, name: str, page: int = 1) -> Page:
    """Decode one page, counted from 1; ``name`` stands for the file in errors.

    Pixels are turned upright by EXIF, flattened on white and reduced to 8 bits; a JPEG of more than ``MAX_PIXELS``
    is decoded at a half, quarter or eighth of its size. Raises FileError for a damaged or password-protected file,
    FormatError for a format, size or kind of pixel that is not read, UsageError for a page that is not there.
    """
    if recognise(content) == "PDF":
        with _pdf(content, name) as document:
            if not 1 <= page <= len(document):
                raise _no_page(name, page)
            return Page(_render(document[page - 1], name))
    with _picture(content, name) as image:
        if page != 1 and image.format != "TIFF":
            raise _no_page(name, page)
        try:
            image.seek(page - 1)
        except EOFError as error:
            raise _no_page(name, page) from error
        return Page(_decode(image, name))


def _no_page(name: str, page: int) -> UsageError:
    return UsageError(f"{name} has no page {page}: choose one that it has")


@contextmanager
def _picture(content: bytes, name: str) -> Iterator[Image.Image]:
    """Open a picture with Pillow; whatever Pillow raises on damaged content, here or in the block, is a FileError."""
    kind = recognise(content)
    if kind is None or kind == "PDF":
        raise FormatError(f"{name} is no picture: give a PNG, JPEG, TIFF, BMP, WebP or PDF file")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # it warns of odd metadata, which we drop
            with Image.open(BytesIO(content), formats=(kind,)) as image:
                yield image
    except EcgLensError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except Exception as error:  # Pillow's decoders raise a dozen kinds, from SyntaxError to struct.error
        raise FileError(f"{name} is a damaged {kind} picture: copy it again or take a new one") from error


def _too_large(name: str) -> FormatError:
    return FormatError(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels: save it at a smaller size")


def _decode(image: Image.Image, name: str) -> Pixels:
    if image.width * image.height > MAX_PIXELS:
        image.draft("RGB", (image.width // 2, image.height // 2))  # JPEG alone can be decoded smaller
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("I", "F"):  # 32 bits: what is black and what is white is anyone's guess
        raise FormatError(f"{name} stores 32-bit pixels, which are not read: save it as an 8-bit PNG")
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", pixels.size, _WHITE), pixels)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@contextmanager
def _pdf(content: bytes, name: str) -> Iterator[Any]:
    """Open a PDF with PDFium; whatever PDFium refuses, here or in the block, is a FileError."""
    import pypdfium2  # only those who read PDFs wait for it

    try:
        with _PDFIUM, closing(pypdfium2.PdfDocument(content)) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise FileError(f"{name} is password-protected: save it without a password") from error
        raise FileError(f"{name} is a damaged PDF: save or print it to PDF again") from error


def _render(page: Any, name: str) -> Pixels:
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        raise FileError(f"{name} has a page without size: save or print it to PDF again")
    fits = min(MAX_SIDE / max(width, height), float(np.sqrt(MAX_PIXELS / 2 / (width * height))))
    scale = min(PDF_DPI / POINTS_PER_INCH, fits)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    pixels = bitmap.to_numpy()
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return np.array(pixels[..., :3])  # a copy, because PDFium frees the bitmap with the page
