"""Pictures: what was drawn is what is read, whatever the file's way of storing it; anything else is refused."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecglens.errors import EcgLensError, FileError, FormatError, UnreadableError
from ecglens.io import picture, source
from ecglens.paper.page import Page
from hostile import damaged, peak, read_or_refuse

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
    if kind == "HEIC":
        pillow_heif.from_pillow(image).save(buffer, format="HEIF", **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(content: bytes, name: str, number: int = 1) -> Page:
    page = picture.open_file(content, name).read(number)
    assert isinstance(page, Page)
    return page


def count_pages(content: bytes, name: str) -> int:
    return picture.open_file(content, name).count


def quarters(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The colours in the middles of the four quarters, each channel rounded to 0 or 255."""
    height, width = pixels.shape[:2]
    middles = [pixels[y, x] for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [tuple(int(channel > 127) * 255 for channel in middle) for middle in middles]


UPRIGHT = [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                          ("TIFF", {"big_tiff": True}), ("WEBP", {"lossless": True}), ("GIF", {}),
                          ("JPEG2000", {}), ("JPEG2000", {"no_jp2": True}), ("TIFF", {"compression": "packbits"}),
                          ("TIFF", {"compression": "tiff_adobe_deflate"})]
)  # fmt: skip
def test_lossless_pictures_are_read_exactly(kind: str, options: dict[str, Any]) -> None:
    page = read(encode(drawing(), kind, **options), "a")
    np.testing.assert_array_equal(page.pixels, np.asarray(drawing()))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_jpegs_are_read_in_every_colour_model(mode: str) -> None:
    page = read(encode(drawing().convert(mode), "JPEG", quality=95), "a.jpg")
    assert page.pixels.shape == (32, 48, 3)
    if mode == "L":
        assert np.ptp(page.pixels.astype(int), axis=2).max() == 0
    else:
        assert quarters(page.pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize(("kind", "options"), [("HEIC", {"quality": 90}), ("AVIF", {"quality": 90})])
def test_pictures_of_phones_are_read(kind: str, options: dict[str, Any], mode: str) -> None:
    page = read(encode(drawing().convert(mode), kind, **options), "a.heic")
    assert page.pixels.shape == (32, 48, 3)
    expected = drawing().convert(mode).convert("RGB")
    middles = np.asarray(expected)[8::16, 12::24].astype(int)
    assert np.abs(page.pixels[8::16, 12::24] - middles).max() < 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "HEIC", "AVIF"])
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
    if kind == "HEIC":
        options["exif"] = exif.tobytes()
    page = read(encode(stored, kind, **options), "a")
    assert page.pixels.shape == (32, 48, 3)
    assert quarters(page.pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["P", "RGBA", "PA"])
def test_palettes_and_opaque_pictures_keep_their_colours(mode: str) -> None:
    image = drawing().quantize(8).convert("PA") if mode == "PA" else drawing().convert(mode)
    kind = "TIFF" if mode == "PA" else "PNG"
    assert quarters(read(encode(image, kind), "a").pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    if mode == "P":
        content = encode(Image.new("P", (8, 8), 0), "PNG", transparency=0)
    else:
        content = encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode), "PNG")
    assert (read(content, "a.png").pixels == 255).all()


def test_half_transparent_ink_is_mixed_with_white() -> None:
    content = encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")
    assert read(content, "a.png").pixels[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_byte(kind: str) -> None:
    ramp = np.linspace(0, 0xFFFF, 256).astype(np.uint16).reshape(16, 16)
    page = read(encode(Image.fromarray(ramp), kind), "a")
    np.testing.assert_array_equal(page.pixels[..., 0], ramp >> 8)
    assert np.ptp(page.pixels.astype(int), axis=2).max() == 0


def test_bilevel_fax_pages_are_black_on_white() -> None:
    image = Image.new("1", (16, 16), 1)
    image.putpixel((3, 5), 0)
    page = read(encode(image, "TIFF", compression="group4"), "a.tif")
    assert np.argwhere(page.pixels[..., 0] == 0).tolist() == [[5, 3]]


def test_tiff_pages_are_counted_and_read_one_by_one() -> None:
    pages = [Image.new("RGB", (10 + number, 8), (number, 0, 0)) for number in range(3)]
    content = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert count_pages(content, "a.tif") == 3
    for number in range(3):
        page = read(content, "a.tif", number + 1)
        assert page.pixels.shape == (8, 10 + number, 3)
        assert (page.pixels[..., 0] == number).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_its_first_picture(kind: str) -> None:
    content = encode(drawing(), kind, save_all=True, append_images=[Image.new("RGB", (48, 32))], lossless=True)
    assert count_pages(content, "a") == 1
    assert quarters(read(content, "a").pixels) == UPRIGHT


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
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
        read(content, "a.xyz")
    assert str(caught.value).startswith("a.xyz ")


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_PAGES", 2)
    pages = [drawing()] * 3
    for content in (encode(pages[0], kind, save_all=True, append_images=pages[1:]) for kind in ("PDF", "TIFF")):
        with pytest.raises(FormatError, match="has more than 2 pages: split it"):
            count_pages(content, "a")


def test_a_large_jpeg_is_decoded_smaller_instead_of_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 48 * 32 - 1)
    page = read(encode(drawing(), "JPEG", quality=95), "a.jpg")
    assert page.pixels.shape == (16, 24, 3)
    assert quarters(page.pixels) == UPRIGHT


def test_every_real_photo_is_read(data_dir: Path) -> None:
    paths = sorted((data_dir / "photos").iterdir())
    assert len(paths) == 48
    for path in paths:
        with Image.open(path) as image:
            width, height = image.size
        assert read(path.read_bytes(), path.name).pixels.shape == (height, width, 3)


TAGS = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}  # width, height, ..., bytes


def tiff(
    *directories: dict[int, int],
    pixels: bytes = bytes(range(64)),
    again: bool = False,
    order: str = "<",
    types: dict[int, int] | None = None,
) -> bytes:
    """An uncompressed grey TIFF by its tags, LONG (4) or of these ``types``, where only SHORT (3) is another.

    With ``again`` the last directory names the first as the next.
    """
    start = 8 + len(pixels)
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start) + pixels
    for number, changes in enumerate(directories, 1):
        tags = sorted((TAGS | changes).items())
        after = 0 if number == len(directories) else len(content) + 2 + 12 * len(tags) + 4
        content += struct.pack(order + "H", len(tags))
        for tag, value in tags:
            kind = (types or {}).get(tag, 4)
            content += struct.pack(order + ("HHIHxx" if kind == 3 else "HHII"), tag, kind, 1, value)
        content += struct.pack(order + "I", start if again and not after else after)
    return content


def test_a_tiff_may_call_white_0_and_hold_12_or_16_bits() -> None:
    words = np.arange(64, dtype="<u2").reshape(8, 8) * 1000
    assert read(tiff({262: 0}), "a").pixels[..., 0].tolist() == (255 - np.arange(64).reshape(8, 8)).tolist()
    inverse = tiff({258: 16, 262: 0, 279: 128}, pixels=words.tobytes())
    np.testing.assert_array_equal(read(inverse, "a").pixels[..., 1], 255 - (words >> 8))
    twelve = tiff({258: 12, 279: 96}, pixels=bytes([0xAB, 0xC1, 0x23]) * 32)  # ABC and 123
    np.testing.assert_array_equal(read(twelve, "a").pixels[0, :2, 2], [0xAB, 0x12])


def test_previews_in_a_tiff_are_no_pages() -> None:
    content = tiff({}, {254: 1, 256: 4, 279: 32}, {256: 2, 279: 16})
    assert count_pages(content, "a") == 2
    assert [read(content, "a", number).pixels.shape[1] for number in (1, 2)] == [8, 2]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_a_tag_is_read_by_its_type_in_either_order_of_bytes(order: str, kind: int) -> None:
    content = tiff({}, {254: 1, 256: 4, 279: 32}, order=order, types={254: kind})
    assert count_pages(content, "a") == 1


def test_a_tiff_that_goes_in_circles_has_the_pages_that_it_has() -> None:
    assert count_pages(tiff({}, {}, again=True), "a") == 2


@pytest.mark.parametrize(
    "content", [tiff({50706: 1}), tiff({254: 1, 330: 8}), b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW 0201",
                b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"]
)  # fmt: skip
def test_raw_pictures_are_refused_as_such(content: bytes) -> None:
    with pytest.raises(FormatError, match=r"^a is a camera's raw picture, which is not read: save it as JPEG$"):
        read(content, "a")


def bombs() -> dict[str, bytes]:
    """Small files that ask for gigabytes or minutes."""
    small, progressive = encode(drawing(), "PNG"), encode(drawing(), "JPEG", progressive=True)
    jpeg, gif = encode(drawing(), "JPEG"), encode(drawing(), "GIF")
    zeros = zlib.compress(bytes(100 << 20))
    exif = b"\xff\xe1" + struct.pack(">H", 60_008) + b"Exif\0\0MM\0*\0\0\0\x08" + bytes(59_992)
    size = progressive.index(b"\xff\xc2") + 5
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    colours = 13 + 3 * (2 << (gif[10] & 7))
    heic = bytearray(encode(drawing(), "HEIC"))
    extent = heic.index(b"ispe") + 8
    heic[extent : extent + 8] = struct.pack(">II", 30_000, 30_000)
    return {
        "a PNG's colour profile": small[:33] + chunk(b"iCCP", b"a\0\0" + zeros) + small[33:],
        "a PNG's text": small[:33] + chunk(b"zTXt", b"a\0\0" + zeros) + small[33:],
        "a PNG's other text": small[:33] + chunk(b"iTXt", b"a\0\1\0\0\0" + zeros) + small[33:],
        "very many texts": small[:33] + chunk(b"tEXt", b"a\0b") * 400_000 + small[33:],
        "very much EXIF": jpeg[:2] + exif * 200 + jpeg[2:],
        "a large progressive JPEG": progressive[:size] + struct.pack(">HH", 65_000, 65_000) + progressive[size + 4 :],
        "very many scans": progressive[:size] + struct.pack(">HH", 8000, 8000) + progressive[size + 4 : -2] + scan * 99,
        "very many comments": gif[:colours] + b"\x21\xfe\1a\0" * 400_000 + gif[colours:],
        "a large canvas": gif[:6] + b"\xff" * 4 + gif[10:],
        "a large HEIC": bytes(heic),
        "a huge strip": tiff({256: 8000, 257: 8000, 259: 5, 278: 1 << 30}),
        "very many tags": tiff(dict.fromkeys(range(1000, 3000), 0)),
    }


def test_bombs_are_refused_at_once_and_within_memory(tmp_path: Path) -> None:
    made = bombs()
    files = [tmp_path / name for name in made]
    for file in files:
        file.write_bytes(made[file.name])
    for file, cost in zip(files, peak(*files), strict=True):
        assert cost.outcome != "read", file.name
        assert cost.seconds < 10, file.name
        assert cost.megabytes < 512, file.name


ENCODINGS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encode(drawing(), "PNG"),
    "JPEG": lambda: encode(
        drawing(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0"
    ),
    "BMP": lambda: encode(drawing(), "BMP"),
    "WEBP": lambda: encode(drawing(), "WEBP"),
    "TIFF": lambda: encode(drawing(), "TIFF", compression="tiff_lzw", save_all=True, append_images=[drawing()]),
    "GIF": lambda: encode(drawing(), "GIF"),
    "JPEG2000": lambda: encode(drawing(), "JPEG2000"),
    "HEIC": lambda: encode(drawing(), "HEIC"),
    "AVIF": lambda: encode(drawing(), "AVIF"),
}


@pytest.mark.parametrize("kind", ENCODINGS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_picture_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    content = data.draw(damaged(ENCODINGS[kind]()))
    read_or_refuse(lambda: read(content, "a", count_pages(content, "a")))


@pytest.mark.parametrize("kind", ENCODINGS)
@given(rest=st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_random_bytes_after_a_valid_head_are_refused(kind: str, rest: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(ENCODINGS[kind]()[:16] + rest, "a")
