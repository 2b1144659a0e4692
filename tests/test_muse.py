"""MUSE XML: what a file says is read back in millivolts; counts and checksums hold; all else is refused."""

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import muse
from ecglens.leads import LEADS
from ecglens.record import Record
from hostile import mangled, read_or_refuse

STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
COUNTS = np.random.default_rng(0).integers(-400, 400, (8, 20), dtype=np.int16)


def lead(name: str, counts: np.ndarray, gain: str = "4.88", unit: str = "MICROVOLTS", more: str = "") -> str:
    packed = counts.astype("<i2").tobytes()
    return f"""<LeadData>
      <LeadByteCountTotal>{len(packed)}</LeadByteCountTotal> <LeadTimeOffset>0</LeadTimeOffset>
      <LeadSampleCountTotal>{len(counts)}</LeadSampleCountTotal>
      <LeadAmplitudeUnitsPerBit>{gain}</LeadAmplitudeUnitsPerBit> <LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits>
      <LeadID>{name}</LeadID> <FirstSampleBaseline>0</FirstSampleBaseline> <LeadSampleSize>2</LeadSampleSize>
      <LeadDataCRC32>{zlib.crc32(packed)}</LeadDataCRC32> {more}
      <WaveFormData>\n{base64.encodebytes(packed).decode()}\n</WaveFormData> </LeadData>"""


def waveform(kind: str = "Rhythm", counts: np.ndarray = COUNTS, names: Sequence[str] = STORED, **changes: str) -> str:
    leads = "".join(lead(name, row, **changes) for name, row in zip(names, counts, strict=True))
    return f"""<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>{len(names)}</NumberofLeads>
      <SampleType>CONTINUOUS_SAMPLES</SampleType><SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>
      {leads}</Waveform>"""


def export(*waveforms: str) -> bytes:
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd">
      <RestingECG><PatientDemographics><PatientLastName>Müller</PatientLastName></PatientDemographics>
      {"".join(waveforms or (waveform("Median", COUNTS[:, :6]), waveform()))}</RestingECG>""".encode("latin-1")


def read(content: bytes) -> list[Record]:
    opened = muse.open_file(content, "a.xml")
    return [opened.read(number) for number in range(1, opened.count + 1)]


def test_rhythm_is_read_in_millivolts_and_limb_leads_follow() -> None:
    (record,) = read(export())
    millivolts = COUNTS * 0.00488
    assert record.fs == 500
    np.testing.assert_allclose(record.signal[[LEADS.index(name) for name in STORED]], millivolts, atol=1e-6)
    np.testing.assert_allclose(record.signal[2], millivolts[1] - millivolts[0], atol=1e-6)
    np.testing.assert_allclose(record.signal[3], -(millivolts[0] + millivolts[1]) / 2, atol=1e-6)
    assert record.missing_leads() == ()


def test_the_checksum_is_crc_32_and_checked() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926
    with pytest.raises(FileError, match="checksum of lead I:"):
        read(export().replace(str(zlib.crc32(COUNTS[0].tobytes())).encode(), b"1"))


def test_a_file_reads_as_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(export())
    opened = muse.open_file(path, "a.xml")
    assert opened.count == 1
    np.testing.assert_array_equal(opened.read(1).signal, read(export())[0].signal)


def test_each_rhythm_is_an_ecg() -> None:
    one, two = read(export(waveform(), waveform("Median"), waveform(counts=-COUNTS)))
    np.testing.assert_array_equal(one.signal, -two.signal)


@pytest.mark.parametrize(("unit", "scale"), [("MILLIVOLTS", 1000), ("NANOVOLTS", 0.001), ("microvolts", 1), ("uV", 1)])
def test_other_units_of_voltage_are_converted(unit: str, scale: float) -> None:
    (record,) = read(export(waveform(unit=unit)))
    np.testing.assert_allclose(record.signal, read(export())[0].signal * scale, rtol=1e-5)


def test_rate_is_base_times_ten_to_the_exponent() -> None:
    assert read(export().replace(b"Exponent>0", b"Exponent>1").replace(b"Base>500", b"Base>25"))[0].fs == 250


def test_leads_beside_the_twelve_are_passed_over() -> None:
    (record,) = read(export(waveform(names=("V3R", *STORED[1:]))))
    assert "I" in record.missing_leads()


@pytest.mark.parametrize("tag", ["NumberofLeads", "LeadByteCountTotal", "LeadSampleCountTotal", "LeadDataCRC32"])
def test_counts_and_checksums_may_be_absent(tag: str) -> None:
    (record,) = read(export().replace(f"<{tag}>".encode(), b"<Other>").replace(f"</{tag}>".encode(), b"</Other>"))
    assert record.missing_leads() == ()


WRONG = {
    "broken markup": (FileError, b"LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>", b"x"),
    "no unit": (SignalError, b"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>", b""),
    "other unit": (SignalError, b">MICROVOLTS<", b">MMHG<"),
    "no gain": (SignalError, b">4.88<", b"><"),
    "zero gain": (SignalError, b">4.88<", b">0<"),
    "gain nan": (SignalError, b">4.88<", b">NaN<"),
    "gain inf": (SignalError, b">4.88<", b">1e999<"),
    "no rate": (SignalError, b"<SampleBase>500</SampleBase>", b""),
    "no exponent": (SignalError, b"<SampleExponent>0</SampleExponent>", b""),
    "rate inf": (SignalError, b">500<", b">inf<"),
    "large exponent": (SignalError, b"Exponent>0<", b"Exponent>400<"),
    "half exponent": (SignalError, b"Exponent>0<", b"Exponent>0.5<"),
    "rate of a tape": (SignalError, b"Exponent>0<", b"Exponent>3<"),
    "lead twice": (SignalError, b">II<", b">I<"),
    "unknown lead": (SignalError, b">II<", b">ECG<"),
    "no lead name": (SignalError, b">II<", b"><"),
    "too few leads": (FileError, b"<NumberofLeads>8<", b"<NumberofLeads>12<"),
    "too few bytes": (FileError, b"ByteCountTotal>40<", b"ByteCountTotal>42<"),
    "too few samples": (FileError, b"SampleCountTotal>20<", b"SampleCountTotal>21<"),
    "count nan": (SignalError, b"SampleCountTotal>20<", b"SampleCountTotal>nan<"),
    "no base64": (FileError, b"<WaveFormData>", b"<WaveFormData>!"),
    "odd bytes": (FileError, b"<WaveFormData>", b"<WaveFormData>AAAA"),
    "no samples": (FileError, b"WaveFormData>", b"Samples>"),
    "wide samples": (FormatError, b"SampleSize>2", b"SampleSize>4"),
    "late lead": (FormatError, b"TimeOffset>0", b"TimeOffset>8"),
    "baseline": (FormatError, b"Baseline>0", b"Baseline>8"),
    "samples by the piece": (FormatError, b"CONTINUOUS_SAMPLES", b"PIECES"),
    "no rhythm": (FormatError, b">Rhythm<", b">Median<"),
    "no leads": (SignalError, b"LeadData>", b"Data>"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_one_error(wrong: bytes) -> None:
    kind, old, new = WRONG[wrong]
    content = export(waveform())
    if wrong == "no leads":
        content = content.replace(b"<NumberofLeads>8</NumberofLeads>", b"")
    assert old in content
    with pytest.raises(kind) as caught:
        read(content.replace(old, new))
    assert "\n" not in str(caught.value)


def test_odd_bytes_without_a_count_are_refused() -> None:
    content = export(waveform()).replace(b"LeadByteCountTotal", b"Other").replace(b"LeadDataCRC32", b"Other")
    with pytest.raises(FileError, match="within a sample"):
        read(content.replace(b"<WaveFormData>", b"<WaveFormData>AAAA"))


def test_leads_of_different_length_are_refused() -> None:
    rows = waveform().replace("</Waveform>", lead("aVR", COUNTS[0][:9]) + "</Waveform>").replace(">8</N", ">9</N")
    with pytest.raises(SignalError, match="different lengths"):
        read(export(rows))


@settings(max_examples=150, deadline=None)
@given(mangled(export()))
def test_damage_gives_a_record_or_one_error(content: bytes) -> None:
    read_or_refuse(lambda: read(content)[0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(export().decode("latin-1").replace("><", ">|<").split("|")), max_size=30))
def test_shuffled_markup_gives_a_record_or_one_error(pieces: list[str]) -> None:
    content = f"<RestingECG>{''.join(pieces)}</RestingECG>".encode()
    read_or_refuse(lambda: read(content)[0])
