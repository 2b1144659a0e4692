"""Sierra XML: plain and compressed waveforms are read back in millivolts; all else is refused."""

import base64
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError
from ecglens.io import philips
from ecglens.leads import LEADS
from ecglens.record import Record
from hostile import mangled, read_or_refuse

SAMPLES = 50
COUNTS = np.cumsum(np.random.default_rng(0).integers(-20, 21, (12, SAMPLES)), axis=1)
PLAIN = 'dataencoding="Plain"'
BASE64 = 'dataencoding="Base64"'
XLI = {"1.03": f'{BASE64} compressflag="True" compressmethod="XLI"', "1.04": f'{BASE64} compression="XLI"'}
LABELLED = f'numberofleads="12" leadlabels="{" ".join(LEADS)}" samplespersecond="500" resolution="5" signaloffset="0"'


def compress(content: bytes) -> bytes:
    """LZW with codes of ten bits: the table holds codes to 1022, 1023 ends."""
    table = {bytes([i]): i for i in range(256)}
    fresh, codes, known = count(256), [], b""
    for byte in content:
        longer = known + bytes([byte])
        if longer not in table:
            codes.append(table[known])
            if len(table) < 1023:
                table[longer] = next(fresh)
            longer = longer[-1:]
        known = longer
    bits = "".join(f"{code:010b}" for code in [*codes, table[known], 1023])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def pack_lead(samples: np.ndarray) -> bytes:
    """Code a lead as XLI: two samples, then 64 less each second difference, high bytes before low bytes."""
    bends = np.diff(samples, 2)
    codes = np.concatenate([samples[:2], 64 - bends[1:], [64]]).astype(">i2")
    packed = compress(codes.view(np.uint8).reshape(-1, 2).T.tobytes())
    return len(packed).to_bytes(4, "little") + b"\1\0" + int(-bends[0]).to_bytes(2, "little", signed=True) + packed


def leave_over(counts: np.ndarray) -> np.ndarray:
    """What XLI stores of twelve leads: of III, aVR, aVL and aVF, what I and II leave over."""
    one, two, three, right, left, foot = counts[:6]
    rest = [two - one - three, -((one + two) // 2) - right, (one - three) // 2 - left, (two + three) // 2 - foot]
    return np.concatenate([[one, two], rest, counts[6:]])


def pack(counts: np.ndarray = COUNTS) -> bytes:
    return b"".join(map(pack_lead, leave_over(counts)))


def coded(content: bytes) -> str:
    return base64.encodebytes(content).decode()


def waveform(how: str = XLI["1.04"], text: str | None = None, labels: str = LABELLED, duration: int = 100) -> str:
    text = coded(pack()) if text is None else text
    return f'<parsedwaveforms durationperchannel="{duration}" {how} {labels}>{text}</parsedwaveforms>'


def export(
    *waveforms: str,
    version: str = "1.04",
    settings: str = "<samplingrate>500</samplingrate>",
    encoding: str = "utf-16",
) -> bytes:
    return f"""<?xml version="1.0" encoding="{encoding}"?>
      <restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>PhilipsECG</documenttype>
      <documentversion>{version}</documentversion></documentinfo><patient><lastname>Müller</lastname></patient>
      <dataacquisition><signalcharacteristics>{settings}<signalsigned>True</signalsigned>
      <bitspersample>16</bitspersample></signalcharacteristics></dataacquisition>
      <waveforms>{"".join(waveforms or (waveform(),))}<repbeats {BASE64}><repbeat leadname="I">AAAA</repbeat></repbeats>
      </waveforms></restingecgdata>""".encode(encoding)


def old(settings: str = "") -> str:
    """A file of version 1.03, which names its leads by their set and gives all figures in one place."""
    return f"""<samplingrate>500</samplingrate><signalresolution>5</signalresolution><signaloffset>0</signaloffset>
      <acquisitiontype>STD-12</acquisitiontype><numberchannelsallocated>12</numberchannelsallocated>{settings}"""


def read(content: bytes) -> list[Record]:
    opened = philips.open_file(content, "a.xml")
    return [opened.read(number) for number in range(1, opened.count + 1)]


def same(record: Record, counts: np.ndarray = COUNTS) -> None:
    assert record.fs == 500
    np.testing.assert_allclose(record.signal, counts * 0.005, atol=1e-5)


def test_compressed_leads_read_back_in_millivolts() -> None:
    same(*read(export()))


@given(st.integers(0, 2**32 - 1), st.integers(3, 2000), st.sampled_from([1, 30, 3000]))
@settings(max_examples=40, deadline=None)
def test_compression_inverts(seed: int, samples: int, largest: int) -> None:
    lead = np.random.default_rng(seed).integers(-largest, largest + 1, samples)
    expanded = philips._expand(pack_lead(lead)[8:], 2 * samples, "I", "a.xml")
    assert philips._integrate(expanded, -int(np.diff(lead, 2)[0])).tolist() == lead.tolist()


def test_version_1_03_reads_alike() -> None:
    same(*read(export(waveform(XLI["1.03"], labels=""), version="1.03", settings=old(), encoding="utf-8")))


@pytest.mark.parametrize(
    "how", [PLAIN, f'{PLAIN} compressflag="False" compressmethod="XLI"', f'{PLAIN} compression="None"']
)
def test_plain_samples_are_whole_leads(how: str) -> None:
    same(*read(export(waveform(how, "\n".join(" ".join(map(str, row)) for row in COUNTS)))))


def test_uncompressed_samples_are_whole_leads() -> None:
    same(*read(export(waveform(BASE64, coded(COUNTS.astype("<i2").tobytes())))))


def test_leads_beside_the_twelve_are_passed_over() -> None:
    labels = LABELLED.replace("12", "13").replace("V6", "V6 V4R")
    packed = pack() + pack_lead(COUNTS[0])
    same(*read(export(waveform(text=coded(packed), labels=labels))))


def test_each_waveform_is_an_ecg() -> None:
    one, two = read(export(waveform(), waveform(text=coded(pack(-COUNTS)))))
    np.testing.assert_array_equal(one.signal, -two.signal)


def test_a_file_reads_as_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(export())
    assert philips.recognise(path.read_bytes()[:4096])
    same(philips.open_file(path, "a.xml").read(1))


PACKED = pack()
WRONG = {
    "no base64": (FileError, {"text": "!" * 40}),
    "odd bytes": (FileError, {"how": BASE64, "text": "AAAA"}),
    "too few samples": (FileError, {"how": PLAIN, "text": "1 2 3"}),
    "no samples": (SignalError, {"how": PLAIN, "text": ""}),
    "nothing compressed": (FileError, {"text": ""}),
    "words": (SignalError, {"how": PLAIN, "text": "one two"}),
    "samples nan": (SignalError, {"how": PLAIN, "text": "nan " * 600}),
    "samples beyond 16 bits": (FileError, {"how": PLAIN, "text": "99999 " * 600}),
    "cut off": (FileError, {"text": coded(PACKED[:-40])}),
    "cut off in a header": (FileError, {"text": coded(PACKED[:4])}),
    "a lead more": (FileError, {"text": coded(PACKED + pack_lead(COUNTS[0]))}),
    "a lead less": (FileError, {"text": coded(b"".join(map(pack_lead, COUNTS[:11])))}),
    "longer leads": (FileError, {"text": coded(pack(np.hstack([COUNTS, COUNTS])))}),
    "longer duration": (FileError, {"duration": 102}),
    "no duration": (SignalError, {"duration": ""}),
    "duration inf": (SignalError, {"duration": "inf"}),
    "duration of years": (SignalError, {"duration": 10**11}),
    "duration of half samples": (SignalError, {"duration": 101}),
    "two samples": (SignalError, {"duration": 4}),
    "huge chunk": (FileError, {"text": coded(b"\xff\xff\xff\x7f" + PACKED[4:])}),
    "unknown first code": (FileError, {"text": coded(b"\x02\0\0\0\1\0\0\0\x40\x40" + PACKED)}),
    "unknown compression": (FormatError, {"how": f'{BASE64} compression="ZIP"'}),
    "unnamed compression": (FormatError, {"how": f'{BASE64} compressflag="True"'}),
    "compressed plain text": (FormatError, {"how": f'{PLAIN} compression="XLI"'}),
    "no encoding": (FormatError, {"how": 'compression="XLI"'}),
    "no resolution": (SignalError, {"labels": LABELLED.replace("resolution", "other")}),
    "resolution zero": (SignalError, {"labels": LABELLED.replace('"5"', '"0"')}),
    "resolution nan": (SignalError, {"labels": LABELLED.replace('"5"', '"nan"')}),
    "offset": (FormatError, {"labels": LABELLED.replace('signaloffset="0"', 'signaloffset="2048"')}),
    "rate zero": (SignalError, {"labels": LABELLED.replace('"500"', '"0"')}),
    "wide samples": (FormatError, {"labels": LABELLED + ' bitspersample="12"'}),
    "unsigned samples": (FormatError, {"labels": LABELLED + ' signalsigned="False"'}),
    "no labels": (SignalError, {"labels": 'samplespersecond="500" resolution="5"'}),
    "too few labels": (FormatError, {"labels": LABELLED.replace("V6", "")}),
    "thousands of leads": (
        FormatError,
        {"labels": LABELLED.replace("V6", "V6 " + "V7 " * 9988).replace('"12"', '"10000"')},
    ),
    "lead twice": (SignalError, {"labels": LABELLED.replace("V6", "V5")}),
    "unknown lead": (SignalError, {"labels": LABELLED.replace("V6", "ECG")}),
    "another order, compressed": (FormatError, {"labels": LABELLED.replace("I II III", "II I III")}),
    "no count of leads": (SignalError, {"labels": LABELLED.replace("numberofleads", "leads")}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_one_error(wrong: bytes) -> None:
    kind, changes = WRONG[wrong]
    with pytest.raises(kind) as caught:
        read(export(waveform(**changes)))
    assert "\n" not in str(caught.value)


def test_no_rate_unknown_version_and_no_waveform_are_refused() -> None:
    labels = LABELLED.replace("samplespersecond", "other")
    with pytest.raises(SignalError, match="sampling rate"):
        read(export(waveform(labels=labels), settings=""))
    with pytest.raises(FormatError, match=r"version '1\.05'"):
        read(export(version="1.05"))
    with pytest.raises(FormatError, match="no parsed waveforms"):
        read(export("<waveform/>"))
    with pytest.raises(SignalError, match="does not name its leads"):
        read(export(waveform(labels=""), settings=old().replace("STD-12", "EASI")))


def test_a_bomb_of_few_codes_stops_at_the_samples_promised() -> None:
    # 600 codes, each a byte longer than the last, then the longest again and again: 250 MB from half a megabyte.
    codes = [0, *range(256, 1023), *[1022] * 340_000]
    packed = int("".join(f"{code:010b}" for code in codes).ljust(-(-len(codes) * 10 // 8) * 8, "0"), 2)
    packed = packed.to_bytes(-(-len(codes) * 10 // 8), "big")
    bomb = len(packed).to_bytes(4, "little") + b"\1\0\0\0" + packed
    with pytest.raises(FileError, match="has not 50 samples"):
        read(export(waveform(text=coded(bomb)), encoding="utf-8"))


SMALL = export(waveform(), encoding="utf-8")


@settings(max_examples=150, deadline=None)
@given(mangled(SMALL))
def test_damage_gives_a_record_or_one_error(content: bytes) -> None:
    read_or_refuse(lambda: read(content)[0])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_compression_gives_a_record_or_one_error(data: st.DataObject) -> None:
    packed = bytearray(PACKED)
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(lambda: read(export(waveform(text=coded(bytes(packed)))))[0])
