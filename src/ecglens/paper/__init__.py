"""Pages of ECG paper: layouts, styles, and drawing records on them."""

from ecglens.paper.layout import layouts
from ecglens.paper.page import Page, Trace
from ecglens.paper.render import random_page, render

__all__ = ["Page", "Trace", "layouts", "random_page", "render"]
