"""Pictures: what was drawn is what is read, whatever the file's way of storing it; anything else is refused."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecglens.errors import EcgLensError, FileError, FormatError, UnreadableError, UsageError
from ecglens.io import picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112  # EXIF tag


def drawing() -> Image.Image:
    """A picture 48 wide and 32 high whose four quarters tell every turn and mirror apart: red green / blue white."""
    image = Image.new("RGB", (48, 32), WHITE)
    image.paste(RED, (0, 0, 24, 16))
    image.paste(GREEN, (24, 0, 48, 16))
    image.paste(BLUE, (0, 16, 24, 32))
    return image


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The colours in the middles of the four quarters, each channel rounded to 0 or 255."""
    height, width = pixels.shape[:2]
    middles = [pixels[y, x] for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [tuple(int(channel > 127) * 255 for channel in middle) for middle in middles]


UPRIGHT = [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                          ("TIFF", {"big_tiff": True}), ("WEBP", {"lossless": True})]
)  # fmt: skip
def test_lossless_pictures_are_read_exactly(kind: str, options: dict[str, Any]) -> None:
    page = picture.read(encode(drawing(), kind, **options), "a")
    np.testing.assert_array_equal(page.pixels, np.asarray(drawing()))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_jpegs_are_read_in_every_colour_model(mode: str) -> None:
    page = picture.read(encode(drawing().convert(mode), "JPEG", quality=95), "a.jpg")
    assert page.pixels.shape == (32, 48, 3)
    if mode == "L":
        assert np.ptp(page.pixels.astype(int), axis=2).max() == 0
    else:
        assert quarters(page.pixels) == UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(kind: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = drawing().transpose(undo[orientation]) if orientation > 1 else drawing()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif}
    page = picture.read(encode(stored, kind, **options), "a")
    assert page.pixels.shape == (32, 48, 3)
    assert quarters(page.pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["P", "RGBA", "PA"])
def test_palettes_and_opaque_pictures_keep_their_colours(mode: str) -> None:
    image = drawing().quantize(8).convert("PA") if mode == "PA" else drawing().convert(mode)
    kind = "TIFF" if mode == "PA" else "PNG"
    assert quarters(picture.read(encode(image, kind), "a").pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    if mode == "P":
        content = encode(Image.new("P", (8, 8), 0), "PNG", transparency=0)
    else:
        content = encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode), "PNG")
    assert (picture.read(content, "a.png").pixels == 255).all()


def test_half_transparent_ink_is_mixed_with_white() -> None:
    content = encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")
    assert picture.read(content, "a.png").pixels[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_byte(kind: str) -> None:
    ramp = np.linspace(0, 0xFFFF, 256).astype(np.uint16).reshape(16, 16)
    page = picture.read(encode(Image.fromarray(ramp), kind), "a")
    np.testing.assert_array_equal(page.pixels[..., 0], ramp >> 8)
    assert np.ptp(page.pixels.astype(int), axis=2).max() == 0


def test_bilevel_fax_pages_are_black_on_white() -> None:
    image = Image.new("1", (16, 16), 1)
    image.putpixel((3, 5), 0)
    page = picture.read(encode(image, "TIFF", compression="group4"), "a.tif")
    assert np.argwhere(page.pixels[..., 0] == 0).tolist() == [[5, 3]]


def test_tiff_pages_are_counted_and_read_one_by_one() -> None:
    pages = [Image.new("RGB", (10 + number, 8), (number, 0, 0)) for number in range(3)]
    content = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert picture.count_pages(content, "a.tif") == 3
    for number in range(3):
        page = picture.read(content, "a.tif", number + 1)
        assert page.pixels.shape == (8, 10 + number, 3)
        assert (page.pixels[..., 0] == number).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_its_first_picture(kind: str) -> None:
    content = encode(drawing(), kind, save_all=True, append_images=[Image.new("RGB", (48, 32))], lossless=True)
    assert picture.count_pages(content, "a") == 1
    assert quarters(picture.read(content, "a").pixels) == UPRIGHT


def pdf(*images: Image.Image) -> bytes:
    return encode(images[0], "PDF", resolution=72, save_all=True, append_images=images[1:])


def test_pdf_pages_are_drawn_at_200_dpi() -> None:
    content = pdf(drawing(), drawing().rotate(180))
    assert picture.count_pages(content, "a.pdf") == 2
    first, second = (picture.read(content, "a.pdf", number).pixels for number in (1, 2))
    assert abs(first.shape[1] - 48 * 200 / 72) <= 1
    assert quarters(first) == UPRIGHT
    assert quarters(second) == UPRIGHT[::-1]


def test_an_empty_pdf_page_is_white() -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(72, 144)
    buffer = BytesIO()
    document.save(buffer)
    document.close()
    page = picture.read(buffer.getvalue(), "a.pdf")
    assert page.pixels.shape == (400, 200, 3)
    assert (page.pixels == 255).all()


@pytest.mark.parametrize(("width", "height"), [(14_400, 14_400), (1e6, 0.01), (0.01, 1e6)])
def test_huge_pdf_pages_are_drawn_within_the_limits(width: float, height: float) -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(width, height)
    buffer = BytesIO()
    document.save(buffer)
    document.close()
    pixels = picture.read(buffer.getvalue(), "a.pdf").pixels
    assert pixels.shape[0] * pixels.shape[1] <= picture.MAX_PIXELS
    assert max(pixels.shape) <= picture.MAX_SIDE + 1


def locked_pdf() -> bytes:
    """A PDF under the standard 40-bit handler whose key no empty password opens."""
    secret = b"<" + b"ab" * 32 + b">"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >>",
        b"<< /Filter /Standard /V 1 /R 2 /P -4 /O " + secret + b" /U " + secret + b" >>",
    ]
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 5 /Root 1 0 R /Encrypt 4 0 R /ID [<00> <00>] >>\nstartxref\n%d\n%%%%EOF\n"
    return content + table + trailer % len(content)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (locked_pdf(), FileError, "is password-protected: save it without a password"),
        (b"%PDF-1.7\nnothing", FileError, "is a damaged PDF"),
        (encode(drawing(), "PNG")[:60], FileError, "is a damaged PNG picture"),
        (encode(drawing(), "JPEG")[:-100], FileError, "is a damaged JPEG picture"),
        (encode(drawing(), "WEBP")[:-20], FileError, "is a damaged WEBP picture"),
        (encode(drawing(), "TIFF")[:200], FileError, "is a damaged TIFF picture"),
        (encode(drawing(), "BMP")[:200], FileError, "is a damaged BMP picture"),
        (png_header(0, 10), FileError, "is a damaged PNG picture"),
        (png_header(9_500, 9_500), FormatError, "has more than 80 million pixels: save it at a smaller size"),
        (png_header(100_000, 100_000), FormatError, "has more than 80 million pixels"),
        (encode(Image.new("F", (4, 4)), "TIFF"), FormatError, "stores 32-bit pixels"),
        (encode(Image.new("I", (4, 4)), "TIFF"), FormatError, "stores 32-bit pixels"),
        (b"nothing", FormatError, "is no picture"),
    ],
)  # fmt: skip
def test_a_wrong_picture_is_refused_in_one_clear_sentence(
    content: bytes, error: type[EcgLensError], fragment: str
) -> None:
    with pytest.raises(error, match=fragment) as caught:
        picture.read(content, "a.xyz")
    assert str(caught.value).startswith("a.xyz ")


@pytest.mark.parametrize("content", [pdf(drawing()), encode(drawing(), "TIFF"), encode(drawing(), "PNG")])
@pytest.mark.parametrize("page", [0, 2, -1])
def test_a_page_that_is_not_there_is_wrong_usage(content: bytes, page: int) -> None:
    with pytest.raises(UsageError, match=f"has no page {page}"):
        picture.read(content, "a", page)


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PAGES", 2)
    pages = [drawing()] * 3
    for content in (pdf(*pages), encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])):
        with pytest.raises(FormatError, match="has more than 2 pages: split it"):
            picture.count_pages(content, "a")


def test_a_large_jpeg_is_decoded_smaller_instead_of_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 48 * 32 - 1)
    page = picture.read(encode(drawing(), "JPEG", quality=95), "a.jpg")
    assert page.pixels.shape == (16, 24, 3)
    assert quarters(page.pixels) == UPRIGHT


def test_every_real_photo_is_read(data_dir: Path) -> None:
    paths = sorted((data_dir / "photos").iterdir())
    assert len(paths) == 48
    for path in paths:
        with Image.open(path) as image:
            width, height = image.size
        assert picture.read(path.read_bytes(), path.name).pixels.shape == (height, width, 3)


ENCODINGS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encode(drawing(), "PNG"),
    "JPEG": lambda: encode(
        drawing(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0"
    ),
    "BMP": lambda: encode(drawing(), "BMP"),
    "WEBP": lambda: encode(drawing(), "WEBP"),
    "TIFF": lambda: encode(drawing(), "TIFF", compression="tiff_lzw", save_all=True, append_images=[drawing()]),
    "PDF": lambda: pdf(drawing()),
}


@pytest.mark.parametrize("kind", ENCODINGS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_picture_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(ENCODINGS[kind]())
    for position in data.draw(st.lists(st.integers(8, len(content) - 1), max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(8, len(content)))])
    try:
        shape = picture.read(damaged, "a", picture.count_pages(damaged, "a")).pixels.shape
    except UnreadableError as error:
        shape = (len(str(error)), 1, 3)
    assert len(shape) == 3
