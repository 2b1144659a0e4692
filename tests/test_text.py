"""Text: tables of samples are read in all common spellings; what is no such table is not taken for one."""

import csv
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError, UnreadableError
from ecglens.io import text
from ecglens.io.source import Given
from ecglens.leads import LEADS
from ecglens.record import Record
from hostile import read_or_refuse

SAID = Given(250, "mV")
SIGNAL = np.random.default_rng(1).normal(0, 1, (12, 60)).round(4)
HEADER = ",".join(LEADS)
ROWS = "\n".join(",".join(map(str, sample)) for sample in SIGNAL.T)
TABLE = f"{HEADER}\n{ROWS}\n"


def read(content: str | bytes, said: Given = SAID) -> Record:
    content = content.encode() if isinstance(content, str) else content
    assert text.recognise(content[:4096])
    return text.open_file(content, "a.csv", said).read(1)


def timed(times: object, header: str = "time") -> str:
    """The table with a column of times in front."""
    return "\n".join([f"{header},{HEADER}", *(f"{t},{row}" for t, row in zip(times, ROWS.split("\n"), strict=True))])


def check(content: str | bytes, said: Given = SAID) -> None:
    np.testing.assert_allclose(read(content, said).signal, SIGNAL, rtol=1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", ", "   "])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separators_and_line_ends_make_no_difference(separator: str, newline: str) -> None:
    check(TABLE.replace(",", separator).replace("\n", newline))


@pytest.mark.parametrize(
    "content",
    [
        TABLE.rstrip(),
        "\ufeff" + TABLE,
        "# made by hand: I, II and so on\n\n" + TABLE,
        "# made by hand\n# " + TABLE,
        TABLE.replace("\n", "\n# remark\n\n", 30),
        TABLE.replace(",", ";").replace(".", ","),
        TABLE.replace(",", "\t").replace(".", ","),
        TABLE.replace(HEADER, ",".join(f'"Lead {lead}"' for lead in LEADS)),
        TABLE.replace(HEADER, HEADER.upper()),
        TABLE.replace("0.", "."),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in TABLE.split("\n")[:-1]),
    ],
)
def test_common_spellings_are_read(content: str) -> None:
    check(content)


def test_what_numpy_and_the_csv_module_write_is_read(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", SIGNAL.T, delimiter=",", header=HEADER)
    np.savetxt(tmp_path / "b.txt", SIGNAL.T, header=" ".join(LEADS), comments="")
    stream = StringIO()
    csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC).writerows([LEADS, *SIGNAL.T.tolist()])
    check(stream.getvalue())
    for name in ("a.csv", "b.txt"):
        check((tmp_path / name).read_bytes())
        np.testing.assert_allclose(text.open_file(tmp_path / name, name, SAID).read(1).signal, SIGNAL, rtol=1e-6)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = Record(np.tile(SIGNAL, 800).astype(np.float32), 400)  # two minutes
    record.signal[3, 5:9] = np.nan
    text.write(record, tmp_path / "a.csv")
    back = text.open_file(tmp_path / "a.csv", "a.csv", Given()).read(1)
    assert back.fs == 400
    np.testing.assert_allclose(back.signal, record.signal, atol=1e-4)


@pytest.mark.parametrize("style", ["{} [{}]", "{} ({})", "{}({})", "{}_{}", '"{} [{}]"'])
@pytest.mark.parametrize(("unit", "factor"), [("V", 1e3), ("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("nV", 1e-6)])
def test_names_may_carry_the_unit(style: str, unit: str, factor: float) -> None:
    content = TABLE.replace(HEADER, ",".join(style.format(lead, unit) for lead in LEADS))
    for encoding in ("utf-8", "latin-1"):
        np.testing.assert_allclose(read(content.encode(encoding), Given(250)).signal, SIGNAL * factor, rtol=1e-6)


def test_each_lead_has_its_own_unit() -> None:
    content = TABLE.replace("V1", "V1 [uV]")
    expected = SIGNAL.copy()
    expected[6] /= 1000
    with pytest.raises(SignalError, match="is in 'uV', but 'mV' is given"):
        read(content)
    mixed = TABLE.replace(HEADER, ",".join(f"{lead}_{'uV' if lead == 'V1' else 'mV'}" for lead in LEADS))
    np.testing.assert_allclose(read(mixed, Given(250)).signal, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ("time", 1), ("Time [s]", 1), ("t", 1), ("time_s", 1), ("seconds", 1), ("time (sec)", 1),
        ("time_ms", 1e3), ("ms", 1e3), ("t [ms]", 1e3), ("TIME (us)", 1e6),
    ],
)  # fmt: skip
@pytest.mark.parametrize("fs", [100, 250, 500, 1000])
def test_times_give_the_rate(header: str, scale: float, fs: int) -> None:
    content = timed([f"{3 + scale * k / fs:.6f}" for k in range(60)], header)
    assert read(content, Given(None, "mV")).fs == fs
    assert read(content, Given(fs, "mV")).fs == fs
    with pytest.raises(SignalError, match=rf"has {fs} Hz, but 123 is given \(fs\)"):
        read(content, Given(123, "mV"))


@pytest.mark.parametrize("fs", [128, 240, 257, 300, 360, 500])
def test_times_rounded_to_milliseconds_give_the_rate(fs: int) -> None:
    lines = ["time I II", *(f"{k / fs:.3f} 0 1" for k in range(1000))]
    assert read("\n".join(lines), Given(None, "mV")).fs == fs


def test_a_rate_that_is_no_whole_number_is_kept() -> None:
    assert read(timed([k / 257.5 for k in range(60)]), Given(None, "mV")).fs == pytest.approx(257.5, rel=1e-9)


def test_empty_cells_and_nan_were_not_recorded() -> None:
    for cell in ("", " ", "nan", "NaN", '""'):
        rows = [row.split(",") for row in ROWS.split("\n")]
        rows[5][0] = rows[6][3] = rows[7][11] = cell
        expected = SIGNAL.copy()
        expected[[0, 3, 11], [5, 6, 7]] = np.nan
        content = "\n".join([HEADER, *map(",".join, rows)])
        np.testing.assert_allclose(read(content).signal, expected, rtol=1e-6)


def test_other_columns_are_passed_over_beside_all_twelve_leads() -> None:
    check("\n".join([f",{HEADER},note", *(f"{k},{row},text" for k, row in enumerate(ROWS.split("\n")))]))


def test_missing_limb_leads_are_computed_and_others_missing() -> None:
    record = read("\n".join(["V1;I;II", *(f"{a:.3f};{b:.3f};{c:.3f}" for a, b, c in SIGNAL[[6, 0, 1]].T)]))
    np.testing.assert_allclose(record.signal[2], (SIGNAL[1] - SIGNAL[0]), atol=2e-3)
    assert record.missing_leads() == ("V2", "V3", "V4", "V5", "V6")


def test_a_long_table_is_read_like_a_short_one() -> None:
    values = np.random.default_rng(2).integers(-999, 999, (120_003, 2))
    content = "I II\n" + "\n".join(f"{a} {b}" for a, b in values)
    np.testing.assert_array_equal(read(content).signal[:2], values.T)
    lines = content.split("\n")
    lines[110_000] = "1 x"
    with pytest.raises(FileError, match="has no number under 'II' in line 110001: correct that line"):
        read("\n".join(lines))


def test_a_table_of_very_many_lines_is_refused() -> None:
    with pytest.raises(SignalError, match="too long to read at once"):
        read("I,II\n1,2\n" + "\n" * 600_000)


def test_a_table_of_very_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_MOST_CELLS", 12 * 60)
    with pytest.raises(SignalError, match="too long to read at once"):
        read(TABLE)


def test_a_usual_table_is_read_fast() -> None:
    values = np.random.default_rng(2).normal(0, 1, (5000, 12)).round(4)
    content = (HEADER + "\n" + "\n".join(",".join(map(str, row)) for row in values)).encode()
    spent = []
    for _ in range(5):
        start = time.process_time()
        text.open_file(content, "a.csv", SAID).read(1)
        spent.append(time.process_time() - start)
    assert min(spent) < 1  # 0.03 s where nothing else runs


@pytest.mark.parametrize(
    ("content", "said", "error", "fragment"),
    [
        (TABLE, Given(None, "mV"), SignalError, r"does not say its sampling rate: give it \(fs"),
        (TABLE, Given(250, None), SignalError, r"does not say its unit: give it \(unit"),
        (TABLE, Given(2, "mV"), SignalError, "a sampling rate of 2 Hz"),
        (TABLE.replace("V1", "V1 [raw]"), Given(250), SignalError, "does not say its unit|in 'raw'"),
        (TABLE.replace("V1", "V2"), SAID, SignalError, "gives lead V2 twice"),
        (TABLE.replace("V1", "MLII"), SAID, SignalError, r"no standard lead \('MLII'\)"),
        (TABLE + "1," * 99999, SAID, FileError, "has 199998 bytes in line 62: break it into lines"),
        (TABLE + "1,2,3\n", SAID, FileError, "has 3 cells for 12 columns in line 62"),
        (TABLE + "1,2,3,4,5,6,7,8,9,10,11,12,13\n", SAID, FileError, "has 13 cells for 12 columns in line 62"),
        (TABLE[:-9], SAID, FileError, "has 1[01] cells for 12 columns in line 61"),
        (TABLE + "x,2,3,4,5,6,7,8,9,10,11,12\n", SAID, FileError, "no number under 'I' in line 62"),
        (TABLE + "1_0,2,3,4,5,6,7,8,9,10,11,12\n", SAID, FileError, "no number under 'I' in line 62"),
        (TABLE + "inf,2,3,4,5,6,7,8,9,10,11,12\n", SAID, SignalError, "infinite"),
        (TABLE + "1e999,2,3,4,5,6,7,8,9,10,11,12\n", SAID, SignalError, "infinite"),
        (TABLE.replace(",", ";") + ";".join(["1,5"] * 12), SAID, FormatError, "decimal commas and decimal points"),
        (timed(range(60)), Given(None, "mV"), SignalError, "a sampling rate of 1 Hz cannot be"),
        (timed(range(0, 120, 2)), Given(None, "mV"), SignalError, "a sampling rate of 0.5 Hz cannot be"),
        (timed([0] * 60), SAID, SignalError, "times that do not increase"),
        (timed(np.arange(60)[::-1] / 250), SAID, SignalError, "times that do not increase"),
        (timed(np.delete(np.arange(61), 20) / 250), SAID, SignalError, "times that are not regular"),
        (timed([*np.arange(59) / 250, "nan"]), SAID, SignalError, "times that do not increase"),
        (timed([0, "", *np.arange(2, 60) / 250]), SAID, SignalError, "times that are not regular"),
        (timed(np.arange(60), "time [h]"), SAID, SignalError, "has times in 'h': give them in s or ms"),
        (timed([f"{k},{k}" for k in range(60)], "time,ms"), SAID, SignalError, "has 2 columns of times"),
        (timed(["0"] + ["#"] * 59), SAID, SignalError, "times that do not increase"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_clear_sentence(
    content: str, said: Given, error: type[UnreadableError], fragment: str
) -> None:
    with pytest.raises(error, match=fragment) as caught:
        read(content, said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"I II\n",
        b"I, II\nand so on\n",
        b"I,II,III\n",
        b"I,II,III\n1,2\n",
        b"I,II,III\n,,\n",
        b"lead,amplitude\nI,1.0\nII,2.0\n",
        b"time,value\n0,1\n1,2\n",
        b"0,1,2\n3,4,5\n",
        b"100 2 360 650000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n",
        b"A 12 500 5000\nA.mat 16+24 1000/mV 16 0 -47 409 0 I\nA.mat 16+24 1000/mV 16 0 -47 409 0 II\n",
        b"As I said, II is no lead here,\nand 3 no number.\n",
        b"# I II III\nprose\n",
        b"ecg_id,patient_id,age\n1,2,3\n",
        b"I,II\n\x001,2\n",
        b"<table><tr><td>I</td><td>II</td></tr></table>\n1\n",
        b"I,II\n12:00:01,12:00:02\n",
        b"I " * 3000,
    ],
)
def test_other_text_is_no_table(content: bytes) -> None:
    assert not text.recognise(content[:4096])


def test_a_table_is_known_from_its_first_bytes_alone() -> None:
    content = f"# {'x' * 3900}\n{TABLE}".encode()
    assert text.recognise(content[:4096])
    assert not text.recognise(f"# {'x' * 5000}\n{TABLE}".encode()[:4096])
    with pytest.raises(FormatError, match="without a header line"):
        text.open_file(b"plain words\n", "a.txt", SAID)


@given(
    st.lists(
        st.tuples(st.integers(0, len(TABLE) - 1), st.sampled_from([*b',;"\t\r\n#.e-+x 9\0\xff'])),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, len(TABLE)) | st.just(len(TABLE)),
)
@settings(max_examples=250, deadline=None)
def test_a_damaged_table_is_read_or_refused(changes: list[tuple[int, int]], end: int) -> None:
    damaged = bytearray(TABLE.encode())
    for at, value in changes:
        damaged[at] = value
    text.recognise(bytes(damaged[:4096]))
    read_or_refuse(lambda: text.open_file(bytes(damaged[:end]), "a.csv", SAID).read(1))


@given(st.binary(max_size=200) | st.text(alphabet='0123456789,.;"\n\r \t-e#n', max_size=200).map(str.encode))
@settings(max_examples=250, deadline=None)
def test_random_bytes_below_a_header_are_read_or_refused(content: bytes) -> None:
    head = b"time,I,II\n"
    text.recognise(head + content)
    read_or_refuse(lambda: text.open_file(head + content, "a.csv", SAID).read(1))
