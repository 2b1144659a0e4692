"""Pages of ECG paper: layouts, styles, and drawing records on them."""

from ecglens.paper.drawing import random_page, render
from ecglens.paper.layout import PAPER_LAYOUTS, layouts
from ecglens.paper.page import Page, Trace
from ecglens.paper.style import random_style, styles

__all__ = ["PAPER_LAYOUTS", "Page", "Trace", "layouts", "random_page", "random_style", "render", "styles"]
