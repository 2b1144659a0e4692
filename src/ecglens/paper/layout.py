"""Where each lead is on the paper: layouts as data, checked when loaded.

A layout is a grid of leads in columns of equal time, with rhythm strips below it. Printers run the columns on in
time: column k shows what follows column k - 1, while a strip shows the whole stretch. Others print the same time in
every column. ``-aVR`` is aVR upside down, as in the Cabrera order (AHA/ACC/HRS, Kligfield et al. 2007).
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from ecglens.leads import LEADS
from ecglens.paper.catalogue import Catalogue

# The four layouts the picture model of Sangha et al. 2022 is trained on.
PAPER_LAYOUTS: Final = ("3x4+1", "3x4+1-shuffled", "6x2", "6x2-shuffled")

# A record may lack this much (s) of a layout's time and still count as long enough for it: devices cut corners.
_SLACK: Final = 0.1


@dataclass(frozen=True, slots=True)
class Panel:
    """One lead's place: ``row`` from the top, ``left`` s of paper from the first column, the stretch shown (s).

    ``name`` is what is printed: the lead's, or ``-aVR``, whose trace is upside down.
    """

    name: str
    row: int
    left: float
    start: float
    seconds: float

    @property
    def lead(self) -> str:
        """The standard lead that is shown."""
        return self.name.removeprefix("-")

    @property
    def sign(self) -> int:
        """-1 where the lead is shown upside down, else 1."""
        return -1 if self.name.startswith("-") else 1


@dataclass(frozen=True, slots=True)
class Margin:
    """Blank paper around the rows, mm."""

    top: Annotated[float, "mm, of blank paper around the rows"] = 15.0
    right: Annotated[float, "mm"] = 10.0
    bottom: Annotated[float, "mm"] = 15.0
    left: Annotated[float, "mm"] = 20.0

    def __post_init__(self) -> None:
        for key in ("top", "right", "bottom", "left"):
            if not 0 <= getattr(self, key) < 500:
                raise ValueError(f"{key}: {getattr(self, key):g} is no margin; give millimetres from 0 to 500")


@dataclass(frozen=True, slots=True)
class Layout:
    """A page's arrangement: ``rows`` of leads, ``seconds`` of each column, ``rhythm`` strips below, sizes in mm.

    Columns of ``consecutive`` time follow each other; those of the ``same`` time all begin where the page begins.
    Raises ValueError naming the field when a lead is unknown, repeated or absent, or a size is impossible.
    """

    name: str
    rows: Annotated[tuple[tuple[str, ...], ...], "names of leads, every lead once; -aVR for upside down"]
    rhythm: Annotated[tuple[str, ...], "leads that are shown below over the whole time"] = ()
    seconds: Annotated[float, "s, of each column"] = 2.5
    time: Annotated[Literal["consecutive", "same"], "that the columns show"] = "consecutive"
    row_height: Annotated[float, "mm"] = 25.0
    margin: Margin = Margin()

    def __post_init__(self) -> None:
        _check_rows(self.rows)
        _check_names("rhythm", self.rhythm)
        for key, most in (("seconds", 600), ("row_height", 200)):
            if not 0 < getattr(self, key) <= most:
                raise ValueError(f"{key}: {getattr(self, key):g} is no size; give a number above 0, at most {most}")

    @property
    def duration(self) -> float:
        """Seconds of paper from the first column's left edge to the last one's right edge."""
        return self.seconds * len(self.rows[0])

    @property
    def height(self) -> float:
        """Height of the sheet, mm."""
        return self.margin.top + self.row_height * (len(self.rows) + len(self.rhythm)) + self.margin.bottom

    def width(self, speed: float) -> float:
        """Width of the sheet in mm at a paper ``speed`` in mm/s."""
        return self.margin.left + speed * self.duration + self.margin.right

    def baseline(self, row: int) -> float:
        """Distance of a row's 0 mV from the top of the sheet, mm."""
        return self.margin.top + self.row_height * (row + 0.5)

    def panels(self, available: float) -> tuple[Panel, ...]:
        """Return every panel, given ``available`` s of signal from the page's start.

        With too little signal for consecutive columns, all of them show the same time.
        """
        consecutive = self.time == "consecutive" and available >= self.duration - _SLACK
        lefts = [column * self.seconds for column in range(len(self.rows[0]))]
        grid = [
            Panel(lead, row, left, left if consecutive else 0.0, self.seconds)
            for row, leads in enumerate(self.rows)
            for lead, left in zip(leads, lefts, strict=True)
        ]
        strips = [Panel(lead, len(self.rows) + i, 0.0, 0.0, self.duration) for i, lead in enumerate(self.rhythm)]
        return (*grid, *strips)


LAYOUTS: Final = Catalogue(Path(__file__).parent / "layouts", Layout)


def layouts() -> tuple[str, ...]:
    """Names of the layouts that come with ecglens."""
    return LAYOUTS.names()


def load_layout(wanted: str | Path) -> Layout:
    """Return a layout by name or from a TOML file. Raises UsageError (unknown name) or ConfigError (wrong file)."""
    return LAYOUTS.find(wanted)


def _check_rows(rows: tuple[tuple[str, ...], ...]) -> None:
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError("rows: every row needs the same number of leads, at least one")
    _check_names("rows", tuple(lead for row in rows for lead in row))
    counts = Counter("aVR" if lead == "-aVR" else lead for row in rows for lead in row)
    if wrong := [lead for lead in LEADS if counts[lead] != 1]:
        raise ValueError(f"rows: lead {wrong[0]} is there {counts[wrong[0]]} times; show each lead exactly once")


def _check_names(key: str, names: tuple[str, ...]) -> None:
    if unknown := [name for name in names if name not in (*LEADS, "-aVR")]:
        raise ValueError(f"{key}: {unknown[0]!r} is no lead; choose from {', '.join(LEADS)}, -aVR")
