"""What a page shows and where, for those who train others on it: a JSON object, and a mask of the traces."""

from typing import Any, Final

import cv2
import numpy as np

from ecglens.leads import INDEX
from ecglens.paper.page import NODE_MM, Page, Pixels, Points
from ecglens.paper.sheet import Sheet

SCHEMA: Final = "ecglens-page/1"


def describe(page: Page, sheet: Sheet, picture: str) -> dict[str, Any]:
    """Return what ``page``, a picture of ``sheet`` in the file ``picture``, shows and where, as plain values for JSON.

    Places are pixels (x, y), null where nothing was recorded; pixel 0 spans -0.5 to 0.5. A trace's sample k is at
    ``start + k / fs`` seconds of the record, and its 0 mV is at the middle of its panel. Nodes are the points that lie
    every ``node_mm`` mm on the sheet, in rows from its upper left corner.
    """
    height, width = page.pixels.shape[:2]
    gains = {panel.name: sheet.gain(panel) for panel in sheet.panels}
    return {
        "schema": SCHEMA,
        "picture": picture,
        "width": width,
        "height": height,
        "px_per_mm": page.px_per_mm if _is_level(page) else None,
        "layout": sheet.layout.name,
        "mm_per_s": sheet.speed,
        "sheet_mm": list(sheet.size),
        "node_mm": NODE_MM,
        "nodes": None if page.nodes is None else [_places(row) for row in page.nodes],
        "traces": [
            {"lead": t.lead, "start": t.start, "fs": t.fs, "mm_per_mv": abs(gains[t.lead]), "points": _places(t.points)}
            for t in page.traces
        ],
        "boxes": [{"lead": box.lead, "kind": box.kind, "corners": _places(box.corners)} for box in page.boxes],
    }


def _is_level(page: Page) -> bool:
    """Whether the sheet's rows are the picture's: only then is a millimetre up a millimetre down the pixels."""
    return page.nodes is not None and abs(float(page.nodes[0, -1, 1] - page.nodes[0, 0, 1])) < 1e-3


def mask(page: Page, width: int) -> Pixels:
    """Return (H, W) uint8: 0, or 1 to 12 where the trace of that lead of ``LEADS`` runs, ``width`` pixels wide."""
    lanes = np.zeros(page.pixels.shape[:2], np.uint8)
    for trace in page.traces:
        known = ~np.isnan(trace.points[:, 1])
        runs = np.split(np.arange(len(known)), np.flatnonzero(known[1:] != known[:-1]) + 1)
        lines = [
            np.rint(np.clip(trace.points[run], -1e6, 1e6) * 16).astype(np.int32) for run in runs if known[run].all()
        ]
        cv2.polylines(lanes, lines, False, INDEX[trace.lead.removeprefix("-")] + 1, width, cv2.LINE_8, 4)
    return lanes


def _places(points: Points) -> list[list[float] | None]:
    return [None if place[1] != place[1] else place for place in np.round(points.astype(float), 2).tolist()]
