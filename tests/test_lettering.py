import string

import numpy as np
import pytest

from ecglens.paper.lettering import FONTS, Font, Strokes, join, pen_width, text_width, write

ORIGIN = np.zeros((1, 2), np.float32)


@pytest.mark.parametrize("font", FONTS)
def test_every_letter_and_figure_has_strokes_of_its_own(font: Font) -> None:
    drawn = {c: write((c,), font, 1.0, ORIGIN) for c in string.ascii_uppercase + string.digits + "aceg/-.:,~()<>%"}
    assert all(len(strokes.points) > 1 for strokes in drawn.values())
    assert len({strokes.points.tobytes() for strokes in drawn.values()}) == len(drawn)


@pytest.mark.parametrize("font", FONTS)
def test_capitals_stand_on_the_line_and_have_the_height_asked_for(font: Font) -> None:
    x, y = write(("HEI",), font, 3.0, np.array([(10, 20)], np.float32)).points.T
    assert (y.min(), y.max()) == (pytest.approx(17), pytest.approx(20))
    assert x.min() >= 10
    assert x.max() <= 10 + text_width("HEI", font, 3.0)
    assert 0 < pen_width(font, 3.0) < 1


def test_each_text_stands_at_its_own_place() -> None:
    at = np.array([(0, 0), (50, 30)], np.float32)
    both, one, two = (
        write(("V1", "aVF"), "sans", 2.0, at),
        write(("V1",), "sans", 2.0, at),
        write(("aVF",), "sans", 2.0, at[1:]),
    )
    np.testing.assert_allclose(both.points, join([one, two]).points, atol=1e-5)
    assert both.lengths == one.lengths + two.lengths


def test_what_the_font_lacks_is_a_question_mark() -> None:
    ours, theirs = (write((text,), "serif", 1.0, ORIGIN) for text in ("\u00e9", "?"))
    np.testing.assert_array_equal(ours.points, theirs.points)


def test_strokes_come_apart_as_they_were_joined() -> None:
    lines = [np.full((n, 2), n, np.float32) for n in (3, 1, 2)]
    joined = join([Strokes(line, (len(line),)) for line in lines])
    assert [line.tolist() for line in joined.lines()] == [line.tolist() for line in lines]
    assert join([]).lines() == []
