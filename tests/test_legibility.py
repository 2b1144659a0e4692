"""A legible 12-lead ECG is accepted, whatever its layout and look; anything else is refused with a reason."""

import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image

from ecglens.diagnosis import diagnose
from ecglens.paper.damage import wear
from ecglens.paper.drawing import render
from ecglens.paper.layout import layouts, load_layout
from ecglens.paper.legibility import KINDS, Quality, assess, look
from ecglens.paper.page import Page, Pixels
from ecglens.paper.scan import straighten
from ecglens.paper.style import random_style, styles
from ecglens.record import Record
from ecglens.simulator import simulate

WORDS = ("heart", "seventy", "minute", "of", "the", "and", "nobody", "is", "walks", "evening", "quickly", "it")

# What each real picture shows, and what it should give: the photographs are of phones, scanners and screens.
PHOTOS = {
    "ecg00001.png": ("12 leads, 3x4 and one strip, pink, scan", True),
    "ecg00002.png": ("12 leads, 3x4 and three strips, grey grid, thin trace, scan", True),
    "ecg00003.png": ("12 leads, 3x4 and one strip, pink, thin trace, screen", True),
    "ecg00005.jpg": ("limb leads only, six rows, dark photo", False),
    "ecg00006.png": ("12 leads, 3x4 and three strips, cut off above, orange, thin trace, scan", True),
    "ecg00007.png": ("12 leads, 3x4, only the strip's name is left, pink, screen", True),
    "ecg00008.jpg": ("V4 and V5 only, a close-up in shadow", False),
    "ecg00010.png": ("12 leads, 3x4 and one strip, pale trace, screen", True),
    "ecg00013.jpg": ("12 leads, 3x4, grey, scan", True),
    "ecg00014.png": ("12 leads, the same picture as 10", True),
    "ecg00015.png": ("12 leads, 3x4, pink, one noisy lead", True),
    "ecg00016.jpg": ("12 leads, 3x4, text above", True),
    "ecg00017.png": ("12 leads, 3x4, pink", True),
    "ecg00018.jpg": ("12 leads, 3x4, text above", True),
    "ecg00019.bmp": ("12 leads, 3x4, magenta, 640 pixels", True),
    "ecg00020.jpg": ("15 leads, 3x5, photocopy whose grid is nearly as dark as the trace", True),
    "ecg00021.bmp": ("12 leads, 3x4, magenta, 640 pixels", True),
    "ecg00022.bmp": ("12 leads, 3x4, magenta, 640 pixels", True),
    "ecg00023.jpg": ("12 leads, 3x4, pink", True),
    "ecg00024.jpg": ("12 leads, 3x4 and one strip, text above", True),
    "ecg00025.jpg": ("12 leads, 3x4, text above, noisy", True),
    "ecg00026.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00027.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00028.jpg": ("12 leads, 3x4 and one strip, creased brown paper, phone photo", True),
    "ecg00029.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00030.jpg": ("12 leads, 3x4 and one strip, cut off at the edges, phone photo", True),
    "ecg00031.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00032.jpg": ("12 leads, 3x4 and one strip, phone photo with glare", True),
    "ecg00033.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00034.jpg": ("12 leads, 3x4 and one strip, in perspective, phone photo", True),
    "ecg00035.jpg": ("12 leads, 3x4 and one strip, thin trace on strong grid, phone photo", True),
    "ecg00036.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00037.jpg": ("12 leads, 3x4 and one strip, thin trace, phone photo", True),
    "ecg00038.jpg": ("12 leads, 3x4 and one strip, much muscle noise, phone photo", True),
    "ecg00039.jpg": ("12 leads, 3x4 and one strip, wide complexes, phone photo", True),
    "ecg00040.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00041.jpg": ("12 leads, 3x4 and one strip, two leads with noise, phone photo", True),
    "ecg00042.jpg": ("12 leads, 3x4 and one strip, strong red grid, phone photo", True),
    "ecg00043.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00044.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00045.jpg": ("12 leads, 3x4 and one strip, dark grid, close photo", True),
    "ecg00046.jpg": ("12 leads, 3x4 and one strip, dark grid, close photo", True),
    "ecg00047.jpg": ("12 leads, 3x4 and one strip, large waves that cross, phone photo", True),
    "ecg00048.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00049.jpg": ("12 leads, 3x4 and one strip, curved paper, phone photo", True),
    "ecg00050.jpg": ("12 leads, 3x4 and one strip, phone photo", True),
    "ecg00053.png": ("12 leads, 3x4 and three strips, whole letter page with text", True),
    "ecg00054.png": ("12 leads, 3x4 and one strip, green, 621 pixels", True),
}

# Should be accepted, and are not yet.
NOT_YET = {
    "ecg00038.jpg": "muscle noise buries the complexes",
}


def at_most(rate: float, count: int) -> int:
    """How many of so many pictures go wrong at most, in 19 samples of 20, where that rate of all pictures does."""
    chance, number = 0.0, -1
    while chance < 0.95:
        number += 1
        chance += math.comb(count, number) * rate**number * (1 - rate) ** (count - number)
    return number


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate((), rng=np.random.default_rng(3), fs=250)


def draw_page(layout: str, rng: np.random.Generator, worn: bool) -> Page:
    """A page 300 to 3000 pixels wide, in any style, turned by up to 10 degrees or worn up to grade 0.6."""
    width = np.exp(rng.uniform(np.log(300), np.log(3000 if rng.random() < 0.2 else 1200)))
    scale = float(np.clip(width / load_layout(layout).width(25), 1.06, 12))
    style = str(rng.choice(styles())) if rng.random() < 0.5 else random_style(rng)
    record = simulate(None, rng=rng, fs=250)
    page = render(record, layout, style, px_per_mm=scale, rotation=0.0 if worn else rng.uniform(-10, 10))
    return wear(page, rng.uniform(0, 0.6), rng) if worn else page


def flat(page: Page, wanted: bool) -> Page:
    """The page as it goes to ``assess``: straightened, if wanted."""
    return straighten(page).page if wanted else page


@pytest.mark.parametrize("worn", [False, True])
def test_readable_pages_of_every_layout_style_size_and_turn_are_accepted(worn: bool) -> None:
    cases = [(layout, seed) for layout in layouts() for seed in range(5)]
    refused = []
    for number, (layout, seed) in enumerate(cases):
        page = draw_page(layout, np.random.default_rng((71, worn, number)), worn)
        quality = assess(flat(page, seed % 2 == 0))
        refused += [(layout, seed, quality.reason)] if quality.reason else []
    assert len(refused) <= at_most(0.02, len(cases)), refused


@pytest.mark.parametrize("style", styles())
def test_pages_of_every_style_are_legible(style: str, record: Record) -> None:
    assert assess(render(record, "6x2", style, px_per_mm=4, rotation=-3)).reason is None


def test_rows_are_counted(record: Record) -> None:
    for layout, rows in (("2x6", 2), ("3x4", 3), ("3x4+1", 4), ("6x2", 6), ("12x1", 12)):
        assert assess(render(record, layout, px_per_mm=3)).rows == pytest.approx(rows, rel=0.3)


def solid(rng: np.random.Generator) -> Pixels:
    return np.full((600, 800, 3), rng.integers(0, 256, 3), np.uint8)


def gradient(rng: np.random.Generator) -> Pixels:
    return cv2.resize(rng.integers(0, 256, (2, 2, 3)).astype(np.uint8), (900, 700))


def noise(rng: np.random.Generator) -> Pixels:
    return rng.integers(0, 256, (500, 700, 3)).astype(np.uint8)


def texture(rng: np.random.Generator) -> Pixels:
    """Noise with the spectrum of nature, 1/f."""
    frequency = np.hypot(np.fft.fftfreq(600)[:, None], np.fft.rfftfreq(800))
    frequency[0, 0] = 1
    values = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.6, (600, 800))
    return cv2.applyColorMap(cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8), cv2.COLORMAP_BONE)


def landscape(rng: np.random.Generator) -> Pixels:
    picture = np.full((600, 900, 3), (150, 190, 230), np.uint8)
    for hill in range(5):
        edge = 150 + 80 * hill + np.cumsum(rng.normal(0, 4, 900))
        picture[np.arange(600)[:, None] > edge] = rng.integers(30, 200, 3)
    return cv2.add(picture, rng.integers(0, 30, picture.shape).astype(np.uint8))


def blobs(rng: np.random.Generator) -> Pixels:
    picture = np.full((700, 700, 3), 230, np.uint8)
    for x, y, radius in rng.integers(10, 690, (60, 3)):
        cv2.circle(picture, (int(x), int(y)), int(radius) // 8, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return picture


def text(rng: np.random.Generator) -> Pixels:
    picture = np.full((1100, 800, 3), 255, np.uint8)
    for y in range(60, 1080, 28):
        line = " ".join(rng.choice(WORDS, 12))
        cv2.putText(picture, line, (40, y), cv2.FONT_HERSHEY_COMPLEX, 0.6, (20, 20, 20), 1, cv2.LINE_AA)
    return picture


def spreadsheet(rng: np.random.Generator) -> Pixels:
    picture = np.full((700, 1000, 3), 255, np.uint8)
    for y in range(20, 700, 30):
        cv2.line(picture, (0, y), (1000, y), (180, 180, 180), 1)
        for x in range(0, 1000, 125):
            cv2.putText(
                picture, f"{rng.normal() * 99:.2f}", (x + 8, y + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1
            )
    picture[:, ::125] = 180
    return picture


def bars(rng: np.random.Generator) -> Pixels:
    picture = np.full((600, 900, 3), 255, np.uint8)
    for x in range(80, 860, 60):
        cv2.rectangle(picture, (x, int(rng.integers(60, 500))), (x + 40, 550), (180, 90, 40), -1)
    cv2.rectangle(picture, (60, 40), (880, 550), (0, 0, 0), 2)
    return picture


def chart(rng: np.random.Generator) -> Pixels:
    picture = np.full((600, 900, 3), 255, np.uint8)
    cv2.rectangle(picture, (60, 40), (880, 550), (0, 0, 0), 1)
    for _ in range(4):
        walk = 300 + np.cumsum(rng.normal(0, 9, 200))
        points = np.stack([np.linspace(60, 880, 200), walk.clip(45, 545)], axis=1)
        cv2.polylines(picture, [points.astype(np.int32)], False, (0, 0, 0), 2, cv2.LINE_AA)
    return picture


def empty_grid(rng: np.random.Generator) -> Pixels:
    nothing = Record(np.full((12, 5000), np.nan, np.float32), 500)
    return render(nothing, "3x4+1", "red", px_per_mm=float(rng.uniform(2, 6))).pixels


def rules(rng: np.random.Generator) -> Pixels:
    picture = np.full((800, 1000, 3), 250, np.uint8)
    picture[40::70] = picture[41::70] = 60
    return picture


DRAWN = (solid, gradient, noise, texture, landscape, blobs, text, spreadsheet, bars, chart, empty_grid, rules)


def test_pictures_without_an_ecg_are_refused() -> None:
    """At most one in fifty of the families drawn here, of which none is drawn for training."""
    cases = [(draw, seed) for draw in DRAWN for seed in range(8)]
    judged = [(draw, seed, assess(Page(draw(np.random.default_rng((72, seed)))))) for draw, seed in cases]
    accepted = [(draw.__name__, seed) for draw, seed, quality in judged if quality.legible]
    assert len(accepted) <= at_most(0.02, len(cases)), accepted
    reasons = {quality.reason for *_, quality in judged if quality.reason}
    assert all(": " in reason for reason in reasons)  # what is wrong, then what to do


def photograph(rng: np.random.Generator) -> Pixels:
    """A detail of a photograph of a person."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = np.asarray(Image.open(file).convert("RGB"))
    height, width = (int(length * rng.uniform(0.3, 1)) for length in photo.shape[:2])
    top, left = (int(rng.integers(0, a - b + 1)) for a, b in zip(photo.shape, (height, width), strict=False))
    scale = float(rng.uniform(400, 1200)) / max(width, height)
    return cv2.resize(photo[top : top + height, left : left + width], None, fx=scale, fy=scale)


def test_photographs_are_refused() -> None:
    pages = [Page(photograph(np.random.default_rng((76, seed)))) for seed in range(40)]
    accepted = [seed for seed, page in enumerate(pages) if assess(flat(page, seed % 2 == 0)).legible]
    assert len(accepted) <= at_most(0.02, len(pages)), accepted


def strip(rows: int, rng: np.random.Generator) -> Page:
    """Some rows of a page that has a lead in each, as a monitor or a recorder of few leads prints them."""
    layout = dataclasses.replace(
        load_layout("12x1"), row_height=float(rng.uniform(15, 40)), seconds=float(rng.uniform(3, 10))
    )
    scale = float(rng.uniform(2, 6))
    page = render(simulate(None, rng=rng, fs=250), layout, random_style(rng), px_per_mm=scale)
    first = int(rng.integers(0, 13 - rows))
    top = layout.margin.top + layout.row_height * first
    return Page(page.pixels[round(top * scale) : round((top + layout.row_height * rows) * scale)])


@pytest.mark.parametrize("rows", [1, 2])
def test_strips_of_one_or_two_leads_are_refused(rows: int) -> None:
    strips = [strip(rows, np.random.default_rng((73, rows, seed))) for seed in range(100)]
    accepted = [seed for seed, page in enumerate(strips) if assess(flat(page, seed % 4 == 0)).legible]
    assert len(accepted) <= at_most(0.02, len(strips)), accepted


def test_black_white_and_pale_pictures_are_refused_as_such(record: Record) -> None:
    page = render(record, px_per_mm=4).pixels
    assert "nearly black" in str(assess(Page(np.zeros((500, 700, 3), np.uint8))).reason)
    assert "nearly black" in str(assess(Page(page // 64)).reason)
    assert "blank" in str(assess(Page(np.full((500, 700, 3), 255, np.uint8))).reason)
    assert "over-exposed" in str(assess(Page(255 - (255 - page) // 20)).reason)


def test_a_small_picture_is_refused_with_its_size() -> None:
    reason = assess(Page(np.full((90, 120, 3), 255, np.uint8))).reason
    assert reason is not None
    assert "120 x 90 pixels" in reason


def shaken(pixels: Pixels, length: int, angle: float) -> Pixels:
    """As a phone that moves by so many pixels takes it."""
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), angle, 1)
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    path = cv2.warpAffine(line, turn, (length, length))
    return np.asarray(cv2.filter2D(pixels, -1, path / path.sum()), np.uint8)


def test_a_blurred_page_is_refused_as_blurred(record: Record) -> None:
    page = render(record, px_per_mm=5)
    sharp, blurred = assess(page), assess(Page(cv2.GaussianBlur(page.pixels, (0, 0), 8)))
    assert sharp.legible
    assert "blurred" in str(blurred.reason)
    assert blurred.sharpness < sharp.sharpness


@pytest.mark.parametrize("period", [2, 5, 20])  # pixels; they have steps one way only, as a shaken picture has
def test_stripes_are_no_blurred_ecg(period: int) -> None:
    wave = 128 + 100 * np.sin(np.arange(700)[:, None, None] / period)
    assert "No ECG" in str(assess(Page(np.broadcast_to(wave, (700, 1000, 3)).astype(np.uint8))).reason)


@pytest.mark.parametrize("angle", [0, 90])
def test_a_page_taken_with_a_shaken_phone_is_refused_as_blurred(angle: float, record: Record) -> None:
    assert "blurred" in str(assess(Page(shaken(render(record, px_per_mm=5).pixels, 35, angle))).reason)


@pytest.mark.parametrize(("turns", "reason"), [(1, "on its side"), (2, "upside down"), (3, "on its side")])
def test_a_turned_page_is_named_so(turns: int, reason: str) -> None:
    named = 0
    for seed in range(20):
        page = draw_page("3x4+1", np.random.default_rng((74, seed)), worn=seed % 2 == 0)
        pixels = np.ascontiguousarray(np.rot90(page.pixels, turns))
        named += reason in str(assess(Page(pixels)).reason)
    assert named >= 18


def half(layout: str, side: str, rng: np.random.Generator) -> Page:
    """Half of a page, cut through its middle: leads are missing, whichever half it is."""
    page = render(simulate(None, rng=rng, fs=250), layout, random_style(rng), px_per_mm=float(rng.uniform(2, 6)))
    height, width = page.pixels.shape[:2]
    upper, left = slice(0, height // 2), slice(0, width // 2)
    where = {"upper": (upper, slice(None)), "lower": (slice(height // 2, None), slice(None))}
    where |= {"left": (slice(None), left), "right": (slice(None), slice(width // 2, None))}
    return Page(np.ascontiguousarray(page.pixels[where[side]]))


# The share of each kind of halves that was refused when this was written, of 60; fewer would be a step back.
HALVES = {
    ("3x4+1", "upper"): 0.82,
    ("3x4+1", "left"): 0.98,
    ("3x4", "lower"): 0.93,
    ("6x2", "upper"): 0.98,
    ("6x2", "left"): 0.98,
    ("12x1", "upper"): 0.98,
}


@pytest.mark.parametrize(("layout", "side"), HALVES)
def test_half_pages_are_refused_at_the_rate_measured(layout: str, side: str) -> None:
    pages = [half(layout, side, np.random.default_rng((75, seed))) for seed in range(12)]
    accepted = [seed for seed, page in enumerate(pages) if assess(flat(page, seed % 4 == 0)).legible]
    assert len(accepted) <= at_most(1 - HALVES[layout, side], len(pages)), accepted


def test_what_the_network_sees_is_ink_on_paper_of_any_brightness(record: Record) -> None:
    page = render(record, px_per_mm=4).pixels
    seen, shape = look(page)
    dim, _ = look((page * 0.7).astype(np.uint8))
    assert seen.shape == (256, 448)
    assert shape == pytest.approx(np.log(page.shape[1] / page.shape[0]))
    assert np.abs(seen.astype(int) - dim).mean() < 2
    assert len(KINDS) == 6


def test_quality_is_plain_json(record: Record) -> None:
    quality = assess(render(record, px_per_mm=3))
    values = json.loads(json.dumps(quality.as_dict(), allow_nan=False))
    assert set(values) == {field.name for field in dataclasses.fields(Quality)} - {"reason"}
    assert (values["width"], values["height"]) == (quality.width, quality.height)
    blank = assess(Page(np.zeros((400, 400, 3), np.uint8)))
    json.dumps(blank.as_dict(), allow_nan=False)


def test_the_picture_is_left_as_it_was(record: Record) -> None:
    page = render(record, px_per_mm=3)
    before = page.pixels.copy()
    assert assess(page) == assess(page)
    assert np.array_equal(page.pixels, before)


@pytest.mark.parametrize("name", PHOTOS)
def test_real_pictures(name: str, data_dir: Path, request: pytest.FixtureRequest) -> None:
    if name in NOT_YET:
        request.applymarker(pytest.mark.xfail(reason=NOT_YET[name]))
    path = data_dir / "photos" / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {data_dir}")
    shows, legible = PHOTOS[name]
    assert diagnose(path).readable == legible, shows
