"""Pictures of ECGs: PNG, JPEG, BMP, GIF, WebP, JPEG 2000, HEIC, AVIF, TIFF and PDF with pages, as RGB pixels.

Of the metadata only the orientation is used; everything else stays behind.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageOps

from ecglens.errors import FileError, FormatError
from ecglens.io import pdf, source
from ecglens.io.source import Opened
from ecglens.paper.page import Page, Pixels

MAX_PIXELS: Final = 80_000_000  # decoding, turning and copying so many stays within 1 GiB
# These decoders keep several copies, or are slow.
MAX_PIXELS_OF: Final = {"HEIC": 50_000_000, "AVIF": 50_000_000, "JPEG2000": 25_000_000, "WEBP": 40_000_000}

_SIGNATURES: Final = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "GIF": (b"GIF87a", b"GIF89a"),
    "JPEG2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0"),
    "PDF": (b"%PDF-",),
    "raw": (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"),
}
_BRANDS: Final = {  # of ISO base media files (ISO/IEC 23008-12)
    b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC",
    b"hevc": "HEIC", b"hevx": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"crx ": "raw",
}  # fmt: skip
_MAX_TAGS: Final = 1000  # of one TIFF page
_SUBFILE_TYPE: Final = 254  # TIFF tags
_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC: Final = 262
_SUB_IFDS: Final = 330
_DNG_VERSION: Final = 50706
_TIFF_SIZES: Final = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}  # bytes of a whole number by its field type
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)  # "BM" alone might begin a text
# A picture in blocks of 1 kB; decoders take microseconds a block of metadata, without limit.
_MAX_READS: Final = 300_000
_MAX_EXIF: Final = 64  # blocks, which Pillow joins one by one
_MAX_SCANNED: Final = 2_000_000_000  # pixels over all scans of a JPEG; a progressive one has about ten
_DAMAGED: Final = "is a damaged {} picture: copy it again or take a new one"
_WHITE: Final = (255, 255, 255, 255)
_BAND: Final = 1024  # rows converted at a time


def recognise(head: bytes) -> str | None:
    """Name the picture format that ``head``, the first bytes of a file, belongs to, or None."""
    for name, signatures in _SIGNATURES.items():
        if head.startswith(signatures):
            return "raw" if name == "TIFF" and head[8:10] == b"CR" else name
    if head[4:8] == b"ftyp":
        return _BRANDS.get(b"avif" if b"avif" in head[8:64] else head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return "PDF" if b"%PDF-" in head[:1024] else None  # readers accept junk before a PDF's first line


class Blocks(BytesIO):
    """Content that a decoder may read in so many pieces, not in millions of tiny ones. Raises OSError then."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next ``size`` bytes, or all."""
        self.reads += 1
        if self.reads > _MAX_READS:
            raise OSError("too many blocks")
        return super().read(size)


def open_file(given: Path | bytes, name: str) -> Opened:
    """Open a picture; ``name`` stands for the file in errors. The pages of a PDF or TIFF are ECGs of their own.

    ``read`` gives pixels turned upright, flattened on white and reduced to 8 bits; a JPEG of more than ``MAX_PIXELS``
    is decoded at half its size. Both raise FileError for a damaged or password-protected file
    and FormatError for a format, size or kind of pixel that is not read.
    """
    content = source.load(given)
    kind = recognise(content[: source.HEAD])
    if kind is None:
        raise FormatError(f"{name} is no picture: give a PNG, JPEG, HEIC, TIFF, BMP, WebP or PDF file")
    if kind == "raw":
        raise _raw(name)
    if kind == "PDF":
        return pdf.open_file(content, name)
    frames = _tiff_pages(content, name) if kind == "TIFF" else [0]
    if not frames or (kind == "JPEG" and content.count(b"Exif\0\0") > _MAX_EXIF):
        raise _damaged(kind, name)
    with _picture(content, kind, name):
        return Opened(len(frames), lambda number: _read(content, kind, name, frames[number - 1]))


def _read(content: bytes, kind: str, name: str, frame: int) -> Page:
    with _picture(content, kind, name) as image:
        image.seek(frame if kind == "TIFF" else image.tell())
        if kind == "JPEG":
            check_scans(image, content, name)
        return Page(_decode(image, kind, name))


def check_scans(image: Image.Image, content: bytes, name: str) -> None:
    """Refuse a JPEG whose coefficients do not fit into memory, or that goes over its pixels again and again."""
    pixels = image.width * image.height
    if "progressive" in image.info and pixels > MAX_PIXELS:
        raise _too_large(name, MAX_PIXELS)
    if pixels * content.count(b"\xff\xda") > _MAX_SCANNED:
        raise _damaged("JPEG", name)


def _raw(name: str) -> FormatError:
    return FormatError(f"{name} is a camera's raw picture, which is not read: save it as JPEG")


def _damaged(kind: str, name: str) -> FileError:
    return FileError(f"{name} {_DAMAGED.format(kind)}")


def _too_large(name: str, limit: int) -> FormatError:
    return FormatError(f"{name} has more than {limit // 1_000_000} million pixels: save it at a smaller size")


def _too_many_pages(name: str) -> FormatError:
    return FormatError(f"{name} has more than {source.MAX_PAGES} pages: split it into smaller files")


@contextmanager
def _picture(content: bytes, kind: str, name: str) -> Iterator[Image.Image]:
    """Open a picture with Pillow; whatever Pillow raises on damaged content, here or in the block, is a FileError."""
    # It warns of odd metadata, which we drop. The filter stays: filters are those of the process, and another thread,
    # still reading, would lose it.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with source.reading(name, _DAMAGED.format(kind)):
        try:
            with _open(content, kind) as image:
                yield image
        except Image.DecompressionBombError as error:
            raise _too_large(name, MAX_PIXELS) from error


def _open(content: bytes, kind: str) -> Image.Image:
    if kind == "HEIC":
        import pillow_heif  # only those who read HEIC wait for it

        turned: Image.Image = pillow_heif.HeifImageFile(Blocks(content))  # type: ignore[no-untyped-call]
        return turned  # its EXIF no longer says that it should be
    return Image.open(Blocks(content), formats=(kind,))


def _decode(image: Image.Image, kind: str, name: str) -> Pixels:
    limit = MAX_PIXELS_OF.get(kind, MAX_PIXELS)
    if image.width * image.height > limit:
        image.draft("RGB", (image.width // 2, image.height // 2))  # JPEG alone can be decoded smaller
    if image.width * image.height > limit:
        raise _too_large(name, limit)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("I", "F", "LAB"):  # of 32 bits, what is black and what is white is anyone's guess
        what = "LAB colours" if image.mode == "LAB" else "32-bit pixels"
        raise FormatError(f"{name} stores {what}, which are not read: save it as an 8-bit PNG")
    if image.mode.startswith("I;16"):
        return _grey(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):
        band = image.crop((0, top, image.width, min(top + _BAND, image.height)))
        pixels[top : top + _BAND] = _flatten(band)
    return pixels


def _grey(image: Image.Image) -> Pixels:
    """Return (H, W, 3) of a picture of 16 bits a pixel, or, in a TIFF, of 12; a TIFF may also call white 0."""
    tags = getattr(image, "tag_v2", {})
    grey = (np.asarray(image) >> (tags.get(_BITS_PER_SAMPLE, (16,))[0] - 8)).astype(np.uint8)
    return np.repeat((~grey if tags.get(_PHOTOMETRIC) == 0 else grey)[..., np.newaxis], 3, axis=2)


def _flatten(image: Image.Image) -> Pixels:
    """Return (H, W, 3) of a picture laid on white paper."""
    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", pixels.size, _WHITE), pixels)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _tiff_pages(content: bytes, name: str) -> list[int]:
    """Which of a TIFF's directories are pages, not previews of them; checked before Pillow trusts their lengths.

    Their layout is that of the TIFF 6.0 specification, section 2, with wider numbers in a BigTIFF. Raises FormatError
    for a camera's raw picture, which has a preview and keeps the rest where ordinary readers do not look.
    """
    order: Literal["little", "big"] = "little" if content[:2] == b"II" else "big"
    width, head, entry = (8, 8, 20) if b"+" in content[2:4] else (4, 2, 12)

    def number(at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], order)

    def value(place: int) -> int:
        return number(place + entry - width, _TIFF_SIZES.get(number(place + 2, 2), 0))

    pages: list[int] = []
    seen: list[int] = []
    at = number(width, width)
    while at and at not in seen:
        if len(seen) == source.MAX_PAGES:
            raise _too_many_pages(name)
        start = at + head
        end = start + number(at, head) * entry
        if not start < end <= min(start + _MAX_TAGS * entry, len(content)):
            raise _damaged("TIFF", name)
        values = {number(place, 2): value(place) for place in range(start, end, entry)}
        if _DNG_VERSION in values:
            raise _raw(name)
        preview = values.get(_SUBFILE_TYPE, 0) & 1
        if preview and _SUB_IFDS in values:
            raise _raw(name)
        if not preview:
            pages.append(len(seen))
        seen.append(at)
        at = number(end, width)
    return pages or list(range(len(seen)))
