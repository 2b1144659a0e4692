"""A sheet of ECG paper as lines in mm, in SVG and PDF files: what the page shows, at any size."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from ecglens.paper.drawing import unbroken
from ecglens.paper.lettering import Strokes, join
from ecglens.paper.page import Points
from ecglens.paper.sheet import RULE_WIDTH, Sheet
from ecglens.paper.style import Colour

_POINT: Final = 72 / 25.4  # PDF units a mm


class _Layer(NamedTuple):
    strokes: Strokes
    width: float
    colour: Colour
    dotted: bool = False  # a dot each mm instead of a line


def svg(sheet: Sheet) -> str:
    """Return the sheet as an SVG document whose units are mm."""
    width, height = (f"{side:g}" for side in sheet.size)
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg"',
        f'width="{width}mm" height="{height}mm" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" fill="{_hex(sheet.style.paper)}"/>',
        '<g fill="none" stroke-linecap="round" stroke-linejoin="round">',
    ]
    for layer in _layers(sheet):
        path = _path(layer.strokes, "M{}", "L{}", lambda points: points)
        dash = ' stroke-dasharray="0 1"' if layer.dotted else ""
        lines.append(f'<path stroke="{_hex(layer.colour)}" stroke-width="{layer.width:.3g}"{dash} d="{path}"/>')
    return "\n".join([*lines, "</g>", "</svg>", ""])


def pdf(sheet: Sheet) -> bytes:
    """Return the sheet as a PDF document of one page (ISO 32000, version 1.4), at true size."""
    width, height = (side * _POINT for side in sheet.size)
    drawing = [f"{_levels(sheet.style.paper)} rg 0 0 {width:.3f} {height:.3f} re f 1 J 1 j"]
    for layer in _layers(sheet):
        path = _path(layer.strokes, "{} m", "{} l", lambda points: (0, height) + points * (_POINT, -_POINT))
        dash = f"[0 {_POINT:.6f}] 0 d" if layer.dotted else "[] 0 d"
        drawing.append(f"{_levels(layer.colour)} RG {layer.width * _POINT:.3f} w {dash} {path} S")
    content = "\n".join(drawing).encode("ascii")
    box = f"[0 0 {width:.3f} {height:.3f}]"
    return _document(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Resources << >> /Contents 4 0 R >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    )


def _layers(sheet: Sheet) -> Iterator[_Layer]:
    """What lies on the paper, from below."""
    style = sheet.style
    if style.grid == "dots":
        across, down = _steps(sheet, 1)
        rows = [[(across[0], y), (across[-1], y)] for y in down]
        dots = Strokes(np.array(rows, np.float32).reshape(-1, 2), (2,) * len(rows))
        yield _Layer(dots, style.minor_width, style.minor, dotted=True)
    elif style.grid == "lines":
        yield _Layer(_ruled(sheet, 1), style.minor_width, style.minor)
    if style.grid != "none":
        yield _Layer(_ruled(sheet, 5), style.major_width, style.major)
    yield _Layer(unbroken(join([sheet.samples(), sheet.pulses()])), style.trace_width, style.ink)
    yield _Layer(sheet.rules(), RULE_WIDTH, style.ink)
    for pen, letters in sheet.letters():
        yield _Layer(letters, pen, style.ink)


def _steps(sheet: Sheet, step: int) -> tuple[Points, Points]:
    """Multiples of ``step`` mm within the grid, across and down."""
    left, top, right, bottom = sheet.grid_area()
    across, down = (np.arange(np.ceil(a / step), b / step + 1e-6) * step for a, b in ((left, right), (top, bottom)))
    return across.astype(np.float32), down.astype(np.float32)


def _ruled(sheet: Sheet, step: int) -> Strokes:
    (left, top, right, bottom), (across, down) = sheet.grid_area(), _steps(sheet, step)
    lines = [[(x, top), (x, bottom)] for x in across] + [[(left, y), (right, y)] for y in down]
    return Strokes(np.array(lines, np.float32).reshape(-1, 2), (2,) * len(lines))


def _path(strokes: Strokes, move: str, line: str, place: Callable[[Points], Points]) -> str:
    """The strokes in a drawing language; a micrometre is fine enough."""
    commands = []
    for points in strokes.lines():
        pairs = [f"{x:.3f} {y:.3f}" for x, y in place(points).tolist()]
        commands += [move.format(pairs[0]), *(line.format(pair) for pair in pairs[1:])]
    return " ".join(commands)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{level:02x}" for level in colour)


def _levels(colour: Colour) -> str:
    return " ".join(f"{level / 255:.4f}" for level in colour)


def _document(*objects: bytes) -> bytes:
    """A PDF file of numbered objects, the first its catalogue."""
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = "".join(f"{place:010d} 00000 n \n" for place in places).encode()
    count = len(objects) + 1
    ending = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(written))
    return written + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + ending
