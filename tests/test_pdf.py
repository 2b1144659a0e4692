"""PDF pages are drawn true to scale; what would keep PDFium busy for ever, or burst, is refused in time."""

import logging
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given, settings
from PIL import Image

from ecglens.errors import EcgLensError, FileError, FormatError
from ecglens.io import pdf, pdfium
from ecglens.paper.page import Page
from hostile import damaged, read_or_refuse
from test_picture import UPRIGHT, drawing, quarters


def read(content: bytes, name: str, number: int = 1) -> Page:
    page = pdf.open_file(content, name).read(number)
    assert isinstance(page, Page)
    return page


def document(*images: Image.Image) -> bytes:
    buffer = BytesIO()
    images[0].save(buffer, "PDF", resolution=72, save_all=True, append_images=images[1:])
    return buffer.getvalue()


def test_pdf_pages_are_drawn_at_200_dpi() -> None:
    content = document(drawing(), drawing().rotate(180))
    assert pdf.open_file(content, "a.pdf").count == 2
    first, second = (read(content, "a.pdf", number).pixels for number in (1, 2))
    assert abs(first.shape[1] - 48 * 200 / 72) <= 1
    assert quarters(first) == UPRIGHT
    assert quarters(second) == UPRIGHT[::-1]


def test_an_empty_pdf_page_is_white() -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(72, 144)
    buffer = BytesIO()
    document.save(buffer)
    document.close()
    page = read(buffer.getvalue(), "a.pdf")
    assert page.pixels.shape == (400, 200, 3)
    assert (page.pixels == 255).all()


@pytest.mark.parametrize(("width", "height"), [(14_400, 14_400), (1e6, 0.01), (0.01, 1e6)])
def test_huge_pdf_pages_are_drawn_within_the_limits(width: float, height: float) -> None:
    document = pypdfium2.PdfDocument.new()
    document.new_page(width, height)
    buffer = BytesIO()
    document.save(buffer)
    document.close()
    pixels = read(buffer.getvalue(), "a.pdf").pixels
    assert pixels.shape[0] * pixels.shape[1] <= 80_000_000
    assert max(pixels.shape) <= 30_001


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


def pack_zeros(chunks: int) -> bytes:
    """So many times 16 MiB of zeros, packed by zlib (RFC 1950) in the time that one takes."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    chunk = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = ((chunks << 24) % 65521 << 16) + 1
    return b"\x78\x9c" + chunk * chunks + b"\3\0" + checksum.to_bytes(4)


def drawn(packed: bytes, *forms: bytes) -> bytes:
    """A PDF of one page with this packed content, which may draw the first of ``forms`` as /F."""
    resources = b"/Resources << /XObject << /F 5 0 R >> >>" if forms else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R %s >>" % resources,
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed),
        *forms,
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % pair for pair in enumerate(objects, 1))
    return b"%%PDF-1.4\n%strailer\n<< /Size %d /Root 1 0 R >>\n%%%%EOF\n" % (body, len(objects) + 1)


def form(body: bytes, number: int) -> bytes:
    """A form that may draw object ``number`` as /F."""
    resources = b"/Resources << /XObject << /F %d 0 R >> >>" % number
    head = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] %s /Length %d >>" % (resources, len(body))
    return head + b"\nstream\n" + body + b"\nendstream"


DRAW = b"/F Do " * 10
PACKED = zlib.compress(DRAW)
ENDLESS = r"^a takes too long to draw, or too much memory: save the page as a picture$"
ENDLESS_PAGES: dict[str, Callable[[], bytes]] = {
    "a drawing without measure": lambda: drawn(zlib.compress(b"0 0 m 9 9 l S\n" * 3_000_000)),
    "very much of everything": lambda: drawn(zlib.compress(b"0 0 595 842 re f\n" * 400_000)),
    "a form that draws itself": lambda: drawn(PACKED, form(DRAW, 5)),
    "forms that draw forms": lambda: drawn(
        PACKED, *(form(DRAW, number) for number in range(6, 26)), form(b"0 0 9 9 re f", 25)
    ),
}


@pytest.mark.parametrize("name", ENDLESS_PAGES)
def test_a_page_without_end_is_given_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "_PATIENCE", 0.7)
    with pytest.raises(FormatError, match=ENDLESS):
        read(ENDLESS_PAGES[name](), "a")


def test_a_page_that_unpacks_to_gigabytes_is_given_up() -> None:
    with pytest.raises(FormatError, match=ENDLESS):
        read(drawn(pack_zeros(64)), "a")


SMALL = document(drawing())


@given(content=damaged(SMALL))
@settings(max_examples=15, deadline=None)
def test_a_damaged_document_is_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: read(content, "a"))


DAMAGED = r"^a is a damaged PDF: save or print it to PDF again$"
UNABLE = r"^a cannot be drawn, as no PDF can here: install ecglens again, or save the page as a picture$"
WITHOUT_MEMORY = "from ecglens.io import pdfium\npdfium.MEMORY = 1 << 20\npdfium.main()"
KILLED = "import os, signal\nos.kill(os.getpid(), signal.{})"


@pytest.mark.parametrize(
    ("program", "error", "sentence"),
    [
        (KILLED.format("SIGSEGV"), FileError, DAMAGED),
        (KILLED.format("SIGKILL"), FormatError, ENDLESS),
        (KILLED.format("SIGABRT"), FormatError, ENDLESS),
        (WITHOUT_MEMORY, FormatError, ENDLESS),
        ("import no_such_library", EcgLensError, UNABLE),
    ],
    ids=["fault", "killed", "aborted", "without memory", "not installed"],
)
def test_each_end_of_the_drawing_program_has_its_error(
    program: str,
    error: type[EcgLensError],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(pdfium, "__file__", str(tmp_path / "program.py"))
    caplog.set_level(logging.INFO)
    with pytest.raises(error, match=sentence) as caught:
        read(SMALL + bytes(10 << 20), "a")
    assert caught.type is error
    assert not caplog.records  # what the program wrote is for those who ask for details


def test_without_the_drawing_program_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/program")
    with pytest.raises(EcgLensError, match=UNABLE):
        read(SMALL, "a")


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (locked_pdf(), "is password-protected: save it without a password"),
        (b"%PDF-1.7\nnothing", "is a damaged PDF: save or print it to PDF again"),
    ],
)
def test_what_cannot_be_drawn_is_refused(content: bytes, fragment: str) -> None:
    with pytest.raises(FileError, match=f"^a {fragment}$"):
        read(content, "a")
