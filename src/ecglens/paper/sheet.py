"""A sheet of ECG paper before anything is drawn: what stands where on it, in mm from its upper left corner.

Paper speed, gain, calibration step and the 1 mm and 5 mm grid follow the AHA/ACC/HRS recommendations (Kligfield et al.,
Circulation 115:1306, 2007).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from ecglens.errors import UsageError
from ecglens.leads import INDEX
from ecglens.paper.furniture import Notes
from ecglens.paper.layout import Layout, Panel, load_layout
from ecglens.paper.lettering import Strokes, join, pen_width, pieces, text_width, write
from ecglens.paper.page import NODE_MM, Box, Points, Trace
from ecglens.paper.settings import Gain, Settings
from ecglens.paper.style import Style, load_style
from ecglens.record import Record

Area = tuple[float, float, float, float]  # left, top, right, bottom, mm

_TEXT_HEIGHT: Final = 2.6  # mm, of all lettering but the leads' names
_LINE: Final = 4.2  # mm from one line of notes to the next
RULE_WIDTH: Final = 0.5  # mm, of the marks between columns


class Text(NamedTuple):
    """A line of print: its lower left corner and the height of its capitals."""

    text: str
    at: tuple[float, float]
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A sheet and what it shows.

    ``gains`` are mm/mV of limb and chest leads, ``origin`` is the layout's corner. ``spans`` are, of each panel, the
    record's first sample and the one after the last; ``anchors`` its left end of 0 mV.
    """

    record: Record
    layout: Layout
    style: Style
    start: float
    speed: float
    gains: tuple[float, float]
    notes: Notes
    panels: tuple[Panel, ...]
    spans: tuple[tuple[int, int], ...]
    anchors: tuple[tuple[float, float], ...]
    size: tuple[float, float]
    origin: tuple[float, float]

    def gain(self, panel: Panel) -> float:
        """Millimetres per mV in a panel, negative where the lead is upside down."""
        return panel.sign * self.gains[panel.lead.startswith("V")]

    def samples(self) -> Strokes:
        """The samples of every panel, NaN where nothing was recorded; they end at the style's reach, as a pen does."""
        fs, reach, lengths = self.record.fs, self.style.reach, tuple(last - first for first, last in self.spans)
        points = np.empty((sum(lengths), 2), np.float32)
        steps = np.arange(max(lengths), dtype=np.float32) * np.float32(self.speed / fs)
        rooms = zip(self.panels, self.anchors, self.spans, pieces(points, lengths), strict=True)
        for panel, (left, middle), (first, last), room in rooms:
            gain, (x, y) = self.gain(panel), room.T
            signal = self.record.signal[INDEX[panel.lead], first:last]
            if reach:
                signal = np.clip(signal, -reach / abs(gain), reach / abs(gain))
            np.add(steps[: last - first], left + self.speed * (first / fs - self.start - panel.start), out=x)
            np.multiply(signal, -gain, out=y)
            y += middle
        return Strokes(points, lengths)

    def traces(self, samples: Strokes) -> tuple[Trace, ...]:
        """The traces of ``samples``, wherever they have been moved."""
        fs = self.record.fs
        return tuple(
            Trace(panel.name, points, first / fs, fs)
            for panel, (first, _), points in zip(self.panels, self.spans, samples.lines(), strict=True)
        )

    def pulses(self) -> Strokes:
        """The 1 mV, 0.2 s calibration step of every row."""
        if self.style.pulse == "none":
            return join([])
        right, width = self.style.pulse == "right", 0.2 * self.speed
        places = list(zip(self.panels, self.anchors, strict=True))
        steps = []
        for panel, (x, y) in {panel.row: (panel, at) for panel, at in (places if right else places[::-1])}.values():
            up, high = x + self.speed * panel.seconds + 3 if right else x - 3 - width, y - abs(self.gain(panel))
            down = up + width
            steps.append([(up - 2, y), (up, y), (up, high), (down, high), (down, y), (down + 2, y)])
        return Strokes(np.array(steps, np.float32).reshape(-1, 2), (6,) * len(steps))

    def rules(self) -> Strokes:
        """Upright marks between the columns."""
        if self.style.separators == "none":
            return join([])
        half = self.layout.row_height / 2
        ends = {
            "ticks": ((-7.0, -3.0), (3.0, 7.0)),
            "dots": tuple((low, low + 0.6) for low in np.arange(-8.0, 8.1, 2.0)),
            "lines": ((-half, half),),
        }[self.style.separators]
        places = [at for panel, at in zip(self.panels, self.anchors, strict=True) if panel.left > 0]
        marks = [[(x, y + near), (x, y + far)] for x, y in places for near, far in ends]
        return Strokes(np.array(marks, np.float32).reshape(-1, 2), (2,) * len(marks))

    def labels(self) -> list[Text]:
        """The panels' names."""
        style, right, up = self.style, self.style.label_shift, self.style.label_rise
        return [
            Text(style.spell(panel.name), (x + right, y - up), style.label_height)
            for panel, (x, y) in zip(self.panels, self.anchors, strict=True)
        ]

    def texts(self) -> list[Text]:
        """Header, footer and notes."""
        (x, y), (width, height) = self.origin, self.size
        left, (limb, chest) = x + self.layout.margin.left, (f"{gain:g}" for gain in self.gains)
        both = limb if limb == chest else f"{limb}/{chest}"
        shown = {"speed": f"{self.speed:g}", "gain": both, "limb": limb, "chest": chest}
        lines = [(self.style.header, (left, y + 7)), (self.style.footer, (left, height - 5))]
        found = [Text(line.format(**shown), at, _TEXT_HEIGHT) for line, at in lines if line]
        for i, block in enumerate(self.notes.blocks()):
            across = 10 + i * (width - 15) / 3
            found += [Text(line, (across, 7 + _LINE * k), _TEXT_HEIGHT) for k, line in enumerate(block)]
        return found

    def letters(self) -> list[tuple[float, Strokes]]:
        """All print as strokes, with the width of the pen: the panels' names, and everything else."""
        font, written = self.style.font, []
        for lines in (self.labels(), self.texts()):
            if lines:
                texts, places, heights = zip(*lines, strict=True)
                strokes = write(texts, font, heights[0], np.array(places, np.float32))
                written.append((pen_width(font, heights[0]), strokes))
        return written

    def boxes(self) -> tuple[Box, ...]:
        """Where each panel and each panel's name is."""
        half, style = self.layout.row_height / 2, self.style
        found = []
        for panel, (x, y), label in zip(self.panels, self.anchors, self.labels(), strict=True):
            left, bottom = label.at
            found.append(_box(panel, "panel", (x, y - half, x + self.speed * panel.seconds, y + half)))
            right = left + text_width(label.text, style.font, label.height)
            found.append(_box(panel, "label", (left, bottom - label.height, right, bottom)))
        return tuple(found)

    def nodes(self) -> Points:
        """The points every NODE_MM mm, (rows, columns, 2)."""
        across, down = (np.arange(0, side + 1e-6, NODE_MM, dtype=np.float32) for side in self.size)
        return np.stack(np.meshgrid(across, down), -1)

    def grid_area(self) -> Area:
        """Where there is a grid: to the edges, or within a rim of bare paper."""
        width, height = self.size
        if self.style.bleed:
            return 0.0, 0.0, width, height
        return 5.0, self.origin[1] + 10, (width - 5) // 5 * 5, (height - 10) // 5 * 5


def compose(
    record: Record,
    layout: str | Path | Layout = "3x4+1",
    style: str | Path | Style = "red",
    *,
    start: float = 0.0,
    speed: float = 25.0,
    gain: Gain = 10.0,
    notes: Notes | None = None,
) -> Sheet:
    """Return the sheet that shows ``record`` from ``start`` s on, at ``speed`` mm/s and ``gain`` mm/mV.

    Two gains are those of limb and chest leads. ``notes`` are printed above everything. Raises UsageError for a layout,
    style, start or scale that does not exist, ConfigError for a wrong layout or style file.
    """
    if not 0 <= start < record.duration:
        raise UsageError(f"a page cannot start at {start:g} s of {record.duration:g} s: choose a start inside")
    gains = Settings.given(speed, gain).gains
    layout = layout if isinstance(layout, Layout) else load_layout(layout)
    style = style if isinstance(style, Style) else load_style(style)
    notes = notes or Notes()
    size, origin = _placed(layout, style, speed, notes)
    panels = _panels(layout, min(record.duration - start, layout.duration))
    spans = {(panel.start, panel.seconds): _span(record, start + panel.start, panel.seconds) for panel in panels}
    (x, y), left = origin, layout.margin.left
    return Sheet(
        record, layout, style, start, speed, gains, notes, panels,
        tuple(spans[panel.start, panel.seconds] for panel in panels),
        tuple((x + left + speed * panel.left, y + layout.baseline(panel.row)) for panel in panels),
        size, origin,
    )  # fmt: skip


@lru_cache(maxsize=64)  # training pages are of few layouts
def _panels(layout: Layout, available: float) -> tuple[Panel, ...]:
    return layout.panels(available)


def _span(record: Record, start: float, seconds: float) -> tuple[int, int]:
    first, last = (math.ceil(time * record.fs - 1e-6) for time in (start, start + seconds))
    return min(first, record.signal.shape[1]), min(last, record.signal.shape[1])


def _placed(
    layout: Layout, style: Style, speed: float, notes: Notes
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The sheet's size, and the layout's corner: in the middle below the notes, where grid lines cross."""
    room = 5 * np.ceil((_LINE * max((len(block) for block in notes.blocks()), default=-1) + _LINE) / 5)
    pulse = 0.2 * speed + 6 - layout.margin.right  # what the step needs at the right, beyond the margin
    width = layout.width(speed) + (max(pulse, 0.0) if style.pulse == "right" else 0.0)
    size = max(width, style.sheet[0]), max(room + layout.height, style.sheet[1])
    return size, (float((size[0] - width) // 10 * 5), float(room + (size[1] - room - layout.height) // 10 * 5))


def _box(panel: Panel, kind: Literal["panel", "label"], area: Area) -> Box:
    left, top, right, bottom = area
    return Box(panel.name, kind, np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32))
