"""Pages of ECG paper: layouts, styles, and drawing records on them."""

from ecglens.paper.damage import wear
from ecglens.paper.drawing import draw, random_page, render
from ecglens.paper.furniture import Notes, measured_notes, random_notes
from ecglens.paper.layout import PAPER_LAYOUTS, layouts
from ecglens.paper.page import Box, Page, Trace
from ecglens.paper.sheet import Sheet, compose
from ecglens.paper.style import random_style, styles

__all__ = [
    "PAPER_LAYOUTS",
    "Box",
    "Notes",
    "Page",
    "Sheet",
    "Trace",
    "compose",
    "draw",
    "layouts",
    "measured_notes",
    "random_notes",
    "random_page",
    "random_style",
    "render",
    "styles",
    "wear",
]
