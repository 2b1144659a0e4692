"""What the readers' tests share: damaged files, what may become of them, and what they cost."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from ecglens.errors import UnreadableError
from ecglens.paper.page import Page
from ecglens.record import Record

_SENTENCE = re.compile(r"[^\n]*\S[:;] \S[^\n]*")  # what is wrong, and what to do
_PROBE = """
import sys, time
from pathlib import Path
from ecglens import io
from ecglens.errors import UnreadableError

fs, unit, *paths = sys.argv[1:]
said = io.Given(float(fs) if fs else None, unit or None)
for path in paths:
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew, proc(5)
    began = time.process_time()
    try:
        io.open_file(Path(path), said).read(1)
        outcome = "read"
    except UnreadableError as error:
        outcome = str(error)
    seconds = time.process_time() - began
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(seconds, int(status["VmHWM"].split()[0]) >> 10, outcome, sep="|")
"""


class Cost(NamedTuple):
    """What the reading of a file took: CPU time, the whole process's memory, and "read" or the refusal's sentence."""

    seconds: float
    megabytes: int
    outcome: str


def read_or_refuse(read: Callable[[], Record | Page]) -> str:
    """Return "read", or the sentence of the UnreadableError; fails where ``read`` gives or raises anything else."""
    try:
        found = read()
    except UnreadableError as error:
        sentence = str(error)
    else:
        assert isinstance(found, Record | Page)
        return "read"
    assert _SENTENCE.fullmatch(sentence), f"an error must be one sentence that says what to do: {sentence}"
    return sentence


@st.composite
def damaged(draw: st.DrawFn, *sound: bytes) -> bytes:
    """One of some ``sound`` files with up to four bytes changed, often near its start, and perhaps cut off."""
    content = bytearray(draw(st.sampled_from(sound)))
    places = st.integers(0, min(len(content), 256) - 1) | st.integers(0, len(content) - 1)
    for at, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        content[at] = value
    return bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))])


@st.composite
def mangled(draw: st.DrawFn, sound: bytes) -> bytes:
    """A ``sound`` document with one to three stretches of it replaced by a few bytes, and perhaps cut off."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(len(content), start + 40)))
        content[start:stop] = draw(st.binary(max_size=3))
    if draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


def peak(*paths: Path, fs: float | None = None, unit: str | None = None) -> list[Cost]:
    """Open each file by its content in one new process, read its first ECG, and return what each took (Linux)."""
    command = [sys.executable, "-c", _PROBE, str(fs or ""), unit or "", *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    found = [line.split("|", 2) for line in lines]
    return [Cost(float(seconds), int(megabytes), outcome) for seconds, megabytes, outcome in found]
