"""Annotations: what the reference package reads back is the truth of the record, to the sample."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from ecglens.errors import SignalError, UsageError
from ecglens.io import annotation, wfdb
from ecglens.io.annotation import CODES, Mark, encode
from ecglens.record import Record, Truth
from ecglens.simulator import simulate

with warnings.catch_warnings():  # the reference package uses parts of pandas that pandas means to drop
    warnings.simplefilter("ignore")
    import wfdb as reference

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

P, QRS, T = range(3)
NOTHING = np.array([])


def truth_of(labels: set[str] = frozenset(), findings: set[str] = frozenset(), **known: object) -> Truth:
    beats = np.asarray(known.get("beats", ["N"]))
    waves = {name: np.full(len(beats), np.nan) for name in ("P on", "P off", "QRS on", "QRS off", "T on", "T", "T off")}
    return Truth(
        labels=frozenset(labels),
        findings=frozenset(findings),
        r_peaks=np.asarray(known.get("r_peaks", [0.5])),
        beats=beats,
        waves={**waves, **{name: np.asarray(times) for name, times in known.get("waves", {}).items()}},
        p_waves=np.asarray(known.get("p_waves", np.empty((0, 2)))),
        intervals={},
        axis=0.0,
        age=50.0,
    )


def read_back(record: Record, folder: Path) -> "reference.Annotation":
    wfdb.write(record, folder / "a")
    annotation.write(record, folder / "a")
    return reference.rdann(str(folder / "a"), "atr")


def triples(found: "reference.Annotation", symbols: str, wave: int) -> list[tuple[int, int, int]]:
    """Onset, middle and end around each of ``symbols`` among the marks of a wave; -1 where there is none."""
    chosen = np.flatnonzero(found.num == wave)
    bounds = ["", *(found.symbol[i] for i in chosen), ""]
    samples = [-1, *found.sample[chosen].tolist(), -1]
    return [
        (
            samples[i - 1] if bounds[i - 1] == "(" else -1,
            samples[i],
            samples[i + 1] if bounds[i + 1] == ")" else -1,
        )
        for i, symbol in enumerate(bounds)
        if symbol and symbol in symbols
    ]


@pytest.mark.parametrize("labels", [(), ("AF",), ("1dAVb", "LBBB"), ("RBBB", "ST"), ("SB",)])
def test_a_simulated_truth_is_read_back_to_the_sample(labels: tuple[str, ...], tmp_path: Path) -> None:
    record = simulate(labels, rng=np.random.default_rng(4), duration=8)
    truth, fs, end = record.truth, record.fs, record.signal.shape[1]
    assert truth is not None
    found = read_back(record, tmp_path)
    beats = triples(found, "NLRAVEFJj/", QRS)
    inside = (truth.waves["QRS on"] >= 0) & (truth.waves["QRS off"] < record.duration)
    assert inside.sum() >= len(inside) - 2
    expected = np.stack([truth.waves["QRS on"], truth.r_peaks, truth.waves["QRS off"]], axis=1)
    np.testing.assert_array_equal(np.array(beats)[inside], np.minimum(np.rint(expected[inside] * fs), end - 1))
    assert [symbol for symbol in found.symbol if symbol in "NLRAVEFJj/"] == truth.beats.tolist()

    p_waves = truth.p_waves[(truth.p_waves[:, 0] >= 0) & (truth.p_waves[:, 1] < record.duration)]
    expected = np.stack([p_waves[:, 0], p_waves.mean(axis=1), p_waves[:, 1]], axis=1)
    whole = [triple for triple in triples(found, "p", P) if -1 not in triple]
    np.testing.assert_array_equal(np.reshape(whole, (-1, 3)), np.rint(expected * fs))

    shown = truth.waves["T off"] < record.duration
    expected = np.stack([truth.waves[name][shown] for name in ("T on", "T", "T off")], axis=1)
    whole = [triple for triple in triples(found, "t", T) if -1 not in triple]
    np.testing.assert_array_equal(whole, np.rint(expected * fs))
    assert np.all(np.diff(found.sample) >= 0)


def test_every_bound_says_of_which_wave_it_is(tmp_path: Path) -> None:
    truth = truth_of(
        r_peaks=[0.5, 1.5],
        beats=["N", "V"],
        waves={
            "QRS on": [0.46, 1.42],
            "QRS off": [0.55, 1.58],
            "T on": [0.7, 1.8],
            "T": [0.8, 2.05],
            "T off": [0.9, 2.1],
        },
        p_waves=[[0.3, 0.4], [1.0, 1.1]],
    )
    found = read_back(Record(np.zeros((12, 200), np.float32), 100, truth), tmp_path)
    assert list(zip(found.sample.tolist(), found.symbol, found.num.tolist(), strict=True)) == [
        (0, "+", P),
        (30, "(", P), (35, "p", P), (40, ")", P), (46, "(", QRS), (50, "N", QRS), (55, ")", QRS),
        (70, "(", T), (80, "t", T), (90, ")", T),
        (100, "(", P), (105, "p", P), (110, ")", P), (142, "(", QRS), (150, "V", QRS), (158, ")", QRS),
    ]  # fmt: skip
    assert found.aux_note == ["(N"] + [""] * 15


def test_a_wave_at_the_edge_keeps_what_lies_inside(tmp_path: Path) -> None:
    truth = truth_of(
        r_peaks=[0.02, 0.999],
        beats=["N", "N"],
        waves={
            "QRS on": [-0.02, 0.95],
            "QRS off": [0.06, 1.04],
            "T on": [0.2, np.nan],
            "T": [0.3, np.nan],
            "T off": [0.4, np.nan],
        },
        p_waves=[[-0.3, -0.1], [-0.08, 0.02], [-0.02, 0.06], [0.96, 1.06]],
    )
    found = read_back(Record(np.zeros((12, 100), np.float32), 100, truth), tmp_path)
    assert list(zip(found.sample.tolist(), found.symbol, strict=True)) == [
        (0, "+"), (2, "p"), (2, "N"), (6, ")"), (6, ")"), (20, "("), (30, "t"), (40, ")"), (95, "("), (99, "N"),
    ]  # fmt: skip


def test_long_gaps_and_notes_of_any_length(tmp_path: Path) -> None:
    times = (0, 1023, 2047, 2047 + 65_536, 2047 + 70_000 + 65_536)
    marks = [
        Mark(time, symbol, QRS, note)
        for time, symbol, note in zip(times, "+N/r+", ("(N", "", "", "", "(B"), strict=True)
    ]
    marks[1:1] = [Mark(5, "+", P, "(AFIB"), Mark(6, "+", P, "(SBR")]
    (tmp_path / "a.atr").write_bytes(encode(marks, 1.0, 200_000))
    found = reference.rdann(str(tmp_path / "a"), "atr")
    assert found.sample.tolist() == [round(mark.time) for mark in marks]
    assert found.symbol == [mark.symbol for mark in marks]
    assert found.aux_note == [mark.note for mark in marks]
    assert found.num.tolist() == [mark.wave for mark in marks]


def test_codes_are_those_of_the_reference_package() -> None:
    codes = {label.symbol: label.label_store for label in reference.io.annotation.ann_labels}
    assert {symbol: codes[symbol] for symbol in CODES} == CODES


@pytest.mark.parametrize(
    ("labels", "findings", "beats", "name"),
    [
        (set(), set(), ["N"], "(N"),
        ({"ST", "male"}, {"LVH"}, ["N"], "(N"),
        ({"AF", "RBBB"}, set(), ["R"], "(AFIB"),
        ({"SB"}, set(), ["N"], "(SBR"),
        ({"AF"}, {"PACE"}, ["/"], "(P"),
        (set(), {"AFLT"}, ["N"], "(AFL"),
        (set(), {"2AVB"}, ["N"], "(BII"),
        (set(), {"3AVB"}, ["j"], "(NOD"),
        (set(), {"3AVB"}, ["E"], "(IVR"),
        ({"SB"}, {"WPW"}, ["N"], "(PREX"),
        (set(), {"BIGU"}, ["N"], "(B"),
        (set(), {"TRIGU"}, ["N"], "(T"),
    ],
)
def test_the_rhythm_is_named(labels: set[str], findings: set[str], beats: list[str], name: str) -> None:
    assert annotation.rhythm(truth_of(labels, findings, beats=beats)) == name


def test_what_cannot_be_annotated_is_refused(tmp_path: Path) -> None:
    empty = np.zeros((12, 100), np.float32)
    with pytest.raises(SignalError, match="no known beats and waves"):
        annotation.write(Record(empty, 100), tmp_path / "a")
    with pytest.raises(SignalError, match="no beat 'X'"):
        annotation.write(Record(empty, 100, truth_of(beats=["X"])), tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another folder"):
        annotation.write(Record(empty, 100, truth_of()), tmp_path / "file" / "a")
