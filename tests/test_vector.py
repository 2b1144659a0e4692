import re
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pypdfium2
import pytest

from ecglens.paper import Notes, compose, draw
from ecglens.paper.style import load_style
from ecglens.paper.vector import pdf, svg
from ecglens.record import Record

PATH = "{http://www.w3.org/2000/svg}path"


def record() -> Record:
    t = np.arange(3000) / 300
    beats = np.exp(-(((t % 0.8 - 0.4) / 0.02) ** 2))
    signal = np.outer(np.linspace(-1.2, 1.2, 12), beats) + 0.1 * np.sin(5 * t)
    signal[7, 1600:1700] = np.nan
    return Record(signal.astype(np.float32), 300.0)


def pictured(content: bytes, px_per_mm: float) -> np.ndarray:
    document = pypdfium2.PdfDocument(content)
    assert len(document) == 1
    picture = np.asarray(document[0].render(scale=px_per_mm * 25.4 / 72).to_pil().convert("RGB"))
    document.close()
    return picture


@pytest.mark.parametrize(
    ("layout", "style"), [("3x4+1", "red"), ("6x2-cabrera", "cardiofax"), ("3x4", "muse"), ("12x1", "night")]
)
def test_a_pdf_shows_what_the_pixels_show_to_a_pixel(layout: str, style: str) -> None:
    sheet = compose(record(), layout, style, notes=Notes(patient=("Specimen, Ada", "ID: X0")))
    ours = draw(sheet, 8.0).pixels
    theirs = pictured(pdf(sheet), 8.0)[: ours.shape[0], : ours.shape[1]]
    dark = [(np.abs(pixels.astype(int) - sheet.style.ink).max(-1) < 90).astype(np.uint8) for pixels in (ours, theirs)]
    for one, other in (dark, dark[::-1]):
        assert one.sum() > 10_000
        assert (one & ~cv2.dilate(other, np.ones((3, 3), np.uint8)) & 1).sum() < 0.01 * one.sum()
    assert int(dark[0].sum()) == pytest.approx(int(dark[1].sum()), rel=0.2)
    bare = [np.median(pixels.reshape(-1, 3), axis=0) for pixels in (ours, theirs)]
    np.testing.assert_allclose(bare[0], bare[1], atol=2)


def test_an_svg_is_in_mm_and_holds_every_sample_that_was_recorded() -> None:
    sheet = compose(record(), "3x4", replace(load_style("plain"), pulse="none"))
    root = ElementTree.fromstring(svg(sheet))
    assert root.attrib["width"] == f"{sheet.size[0]:g}mm"
    assert root.attrib["viewBox"] == f"0 0 {sheet.size[0]:g} {sheet.size[1]:g}"
    traces = next(path for path in root.iter(PATH) if float(path.attrib["stroke-width"]) == sheet.style.trace_width)
    places = np.array(re.findall(r"[ML]([-\d.]+) ([-\d.]+)", traces.attrib["d"]), np.float32)
    samples = sheet.samples().points
    np.testing.assert_allclose(places, samples[~np.isnan(samples[:, 1])], atol=0.001)
    assert traces.attrib["d"].count("M") == 13  # twelve leads, one of them in two parts


def test_a_gap_is_left_open() -> None:
    sheet = compose(
        Record(np.full((12, 3000), np.nan, np.float32), 300.0), "3x4", replace(load_style("plain"), pulse="none")
    )
    dark = (pictured(pdf(sheet), 4.0) < 128).all(-1)
    top, bottom = (round(4 * (sheet.layout.baseline(1) + shift)) for shift in (-3, 3))
    assert not dark[top:bottom, 100:].any()
