"""HL7 aECG: what a file says is read back in millivolts; variants, damage and impossible figures are refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import aecg
from ecglens.leads import LEADS
from ecglens.record import Record
from hostile import mangled, read_or_refuse

DIGITS = np.random.default_rng(0).integers(-400, 400, (12, 20))
TIME = '<head value="20021122091000"/><increment value="0.002" unit="s"/>'


def sequence(code: str, kind: str, value: str) -> str:
    return f"""<component><sequence classCode="OBS"><code code="{code}" codeSystem="2.16.840.1.113883.6.24"/>
      <value xsi:type="{kind}">{value}</value></sequence></component>"""


def lead(
    name: str,
    digits: np.ndarray,
    origin: str = 'value="0" unit="uV"',
    scale: str = 'value="2.5" unit="uV"',
    kind: str = "SLIST_PQ",
) -> str:
    listed = f"<origin {origin}/><scale {scale}/><digits>{' '.join(map(str, digits))}\n</digits>"
    return sequence(f"MDC_ECG_LEAD_{name.upper()}", kind, listed)


def series(
    code: str = "RHYTHM",
    digits: np.ndarray = DIGITS,
    names: Sequence[str] = LEADS,
    time: str = TIME,
    time_kind: str = "GLIST_TS",
    more: str = "",
    **changes: str,
) -> str:
    leads = "".join(lead(name, row, **changes) for name, row in zip(names, digits, strict=True))
    return f"""<component><series><code code="{code}"/><component><sequenceSet>
      {sequence("TIME_ABSOLUTE", time_kind, time)}{leads}</sequenceSet></component>{more}</series></component>"""


def derived(digits: np.ndarray) -> str:
    inner = series("REPRESENTATIVE_BEAT", digits).replace("series>", "derivedSeries>")
    return f"<derivation>{inner.removeprefix('<component>').removesuffix('</component>')}</derivation>"


def export(*parts: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?><!-- an example -->
      <AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
      <id root="1"/>{"".join(parts or (series(),))}</AnnotatedECG>""".encode()


def read(content: bytes) -> list[Record]:
    opened = aecg.open_file(content, "a.xml")
    return [opened.read(number) for number in range(1, opened.count + 1)]


def test_samples_are_origin_and_scale_times_digits_in_millivolts() -> None:
    (record,) = read(export(series(origin='value="0.5" unit="mV"')))
    assert record.fs == 500
    np.testing.assert_allclose(record.signal, 0.5 + DIGITS * 0.0025, atol=1e-6)


def test_whole_number_lists_with_a_unit_read_alike() -> None:
    np.testing.assert_array_equal(read(export(series(kind="SLIST_INT")))[0].signal, read(export())[0].signal)


def test_limb_leads_follow_and_others_are_missing() -> None:
    (record,) = read(export(series(names=("I", "II", "V1"), digits=DIGITS[:3])))
    assert record.missing_leads() == ("V2", "V3", "V4", "V5", "V6")
    np.testing.assert_allclose(record.signal[2], (DIGITS[1] - DIGITS[0]) * 0.0025, atol=1e-6)


def test_each_rhythm_is_an_ecg_and_derived_series_are_none() -> None:
    one, two = read(export(series(more=derived(DIGITS[:, :5])), series("REPRESENTATIVE_BEAT"), series(digits=-DIGITS)))
    np.testing.assert_array_equal(one.signal, -two.signal)


def test_each_set_of_sequences_is_an_ecg() -> None:
    content = export().replace(
        b"</sequenceSet></component>", b"</sequenceSet></component><component><sequenceSet/></component>"
    )
    opened = aecg.open_file(content, "a.xml")
    assert opened.count == 2
    assert opened.read(1).signal.shape == (12, 20)
    with pytest.raises(SignalError, match="0 sequences of time"):
        opened.read(2)


@pytest.mark.parametrize(
    ("increment", "rate"),
    [('value="2" unit="ms"', 500), ('value="1E-3" unit="s"', 1000), ('value="4000" unit="us"', 250)],
)
@pytest.mark.parametrize("kind", ["GLIST_TS", "GLIST_PQ"])
def test_rate_is_one_over_the_increment(increment: str, rate: float, kind: str) -> None:
    (record,) = read(export(series(time=f'<head value="0" unit="s"/><increment {increment}/>', time_kind=kind)))
    assert record.fs == pytest.approx(rate)


def test_a_file_in_utf_16_reads_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(export().decode().replace("UTF-8", "UTF-16").encode("utf-16"))
    assert aecg.recognise(path.read_bytes()[:4096])
    np.testing.assert_array_equal(aecg.open_file(path, "a.xml").read(1).signal, read(export())[0].signal)


WRONG = {
    "no unit": (SignalError, 'value="2.5" unit="uV"', 'value="2.5"'),
    "other unit": (SignalError, 'value="2.5" unit="uV"', 'value="2.5" unit="mm[Hg]"'),
    "origin without unit": (SignalError, 'value="0" unit="uV"', 'value="0"'),
    "no origin": (SignalError, '<origin value="0" unit="uV"/>', ""),
    "no scale": (SignalError, '<scale value="2.5" unit="uV"/>', ""),
    "scale nan": (SignalError, 'value="2.5"', 'value="NaN"'),
    "scale inf": (SignalError, 'value="2.5"', 'value="1e999"'),
    "scale zero": (SignalError, 'value="2.5"', 'value="0"'),
    "scale below zero": (SignalError, 'value="2.5"', 'value="-2.5"'),
    "no increment": (SignalError, '<increment value="0.002" unit="s"/>', ""),
    "increment zero": (SignalError, 'value="0.002"', 'value="0"'),
    "increment inf": (SignalError, 'value="0.002"', 'value="inf"'),
    "increment tiny": (SignalError, 'value="0.002"', 'value="1e-320"'),
    "increment of nothing": (SignalError, 'value="0.002" unit="s"', 'value="1e-320" unit="us"'),
    "increment without unit": (SignalError, 'value="0.002" unit="s"', 'value="0.002"'),
    "increment in minutes": (SignalError, 'value="0.002" unit="s"', 'value="0.002" unit="min"'),
    "two times": (SignalError, "MDC_ECG_LEAD_V1", "TIME_RELATIVE"),
    "no time": (SignalError, "TIME_ABSOLUTE", "MDC_ECG_HEART_RATE"),
    "listed time": (FormatError, "GLIST_TS", "SLIST_TS"),
    "repeated time": (FormatError, 'xsi:type="GLIST_TS"', 'xsi:type="GLIST_TS" period="100"'),
    "slow time": (FormatError, 'xsi:type="GLIST_TS"', 'xsi:type="GLIST_TS" denominator="2"'),
    "untyped samples": (FormatError, ' xsi:type="SLIST_PQ"', ""),
    "lead twice": (SignalError, 'MDC_ECG_LEAD_II"', 'MDC_ECG_LEAD_I"'),
    "unknown lead": (SignalError, 'MDC_ECG_LEAD_II"', 'MDC_ECG_LEAD_CM5"'),
    "upside down": (SignalError, "MDC_ECG_LEAD_AVR", "MDC_ECG_LEAD_AVRneg"),
    "no lead code": (SignalError, 'code="MDC_ECG_LEAD_II"', ""),
    "no digits": (SignalError, "digits>", "numbers>"),
    "words": (SignalError, "<digits>", "<digits>one "),
    "digits nan": (SignalError, "<digits>", "<digits>NaN "),
    "digits inf": (SignalError, "<digits>", f"<digits>{'9' * 400} "),
    "decimals": (SignalError, "<digits>", "<digits>.5 "),
    "one sample more": (SignalError, "<digits>", "<digits>1 "),
    "no rhythm": (FormatError, '"RHYTHM"', '"REPRESENTATIVE_BEAT"'),
    "no series": (FormatError, "series>", "serial>"),
    "cut off": (FileError, "</AnnotatedECG>", ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_one_error(wrong: bytes) -> None:
    kind, old, new = WRONG[wrong]
    content = export().decode()
    assert old in content
    changed = content.replace(old, new, 1) if wrong == "one sample more" else content.replace(old, new)
    with pytest.raises(kind) as caught:
        read(changed.encode())
    assert "\n" not in str(caught.value)


def test_leads_without_a_value_are_refused() -> None:
    empty = sequence("MDC_ECG_LEAD_I", "SLIST_PQ", "").replace("<value", "<amount").replace("</value", "</amount")
    with pytest.raises(FormatError, match="lead I not as a scaled list"):
        read(export(series(digits=(), names=()).replace("</sequenceSet>", f"{empty}</sequenceSet>")))


@settings(max_examples=150, deadline=None)
@given(mangled(export(series(digits=DIGITS[:3], names=LEADS[:3]))))
def test_damage_gives_a_record_or_one_error(content: bytes) -> None:
    read_or_refuse(lambda: read(content)[0])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(series(digits=DIGITS[:2], names=LEADS[:2]).replace("><", ">|<").split("|")), max_size=30)
)
def test_shuffled_markup_gives_a_record_or_one_error(pieces: list[str]) -> None:
    read_or_refuse(lambda: read(export(*pieces))[0])
