"""DICOM: millivolts and pixels are those that were written; what is left open or damaged is refused."""

import logging
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from ecglens.errors import EcgLensError, FileError, FormatError, SignalError, UnreadableError
from ecglens.io import dicom, source
from ecglens.leads import LEADS
from ecglens.paper.page import Page
from ecglens.record import Record
from hostile import damaged, read_or_refuse

SHIPPED = Path(pydicom.__file__).parent / "data"
PATIENT = "Doe^Jane"
MDC = ["2:1", "2:2", "2:61", "2:62", "2:63", "2:64", "2:3", "2:4", "2:5", "2:6", "2:7", "2:8"]
SCP = [code.replace("2:", "5.6.3-9-") for code in MDC]
TYPES = {
    ("SB", 8): "i1", ("UB", 8): "u1", ("SS", 16): "i2", ("US", 16): "u2", ("SL", 32): "i4", ("UL", 32): "u4",
}  # fmt: skip


def coded(value: str, scheme: str, meaning: str = "") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def channel(code: str = "2:1", meaning: str = "", unit: str = "uV", **elements: Any) -> Dataset:
    """The definition of a channel of 2.5 uV a step; an element of None is left out."""
    definition = Dataset()
    definition.ChannelSourceSequence = [coded(code, "MDC", meaning)]
    definition.ChannelSensitivityUnitsSequence = [coded(unit, "UCUM")]
    usual = {"ChannelSensitivity": "2.5", "ChannelSensitivityCorrectionFactor": "1", "ChannelBaseline": "0"}
    for keyword, value in (usual | {"ChannelSampleSkew": "0"} | elements).items():
        if value is not None:
            setattr(definition, keyword, value)
    return definition


def integers(samples: int = 40, width: int = 12, dtype: str = "i2") -> np.ndarray:
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -9000), min(limits.max, 9000)
    return np.random.default_rng(3).integers(low, high, (samples, width)).astype(dtype)


def group(
    values: np.ndarray | None = None, definitions: Sequence[Dataset] = (), order: str = "<", **elements: Any
) -> Dataset:
    """A multiplex group of ``values`` (samples, channels); an element of None is left out."""
    values = integers() if values is None else values
    kinds = {dtype: kind for kind, dtype in TYPES.items()}
    kind, bits = kinds[values.dtype.str[1:]]
    item = Dataset()
    usual = {
        "WaveformOriginality": "ORIGINAL", "NumberOfWaveformChannels": values.shape[1], "MultiplexGroupLabel": "RHYTHM",
        "NumberOfWaveformSamples": len(values), "SamplingFrequency": "500", "WaveformBitsAllocated": bits,
        "WaveformSampleInterpretation": kind,
        "ChannelDefinitionSequence": list(definitions) or [channel(code) for code in MDC],
        "WaveformData": values.astype(values.dtype.newbyteorder(order)).tobytes(),
    }  # fmt: skip
    for keyword, value in (usual | elements).items():
        if value is not None:
            setattr(item, keyword, value)
    item["WaveformData"].VR = "OW" if bits == 16 else "OB"
    if "WaveformPaddingValue" in item:
        item["WaveformPaddingValue"].VR = "OW" if bits == 16 else "OB"
    return item


def write(syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    """A DICOM file of someone, with these elements."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.9.1.1")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    order = {"is_implicit_VR": syntax.is_implicit_VR, "is_little_endian": syntax.is_little_endian}
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128), **order)
    file.SOPClassUID, file.StudyDate, file.Modality = meta.MediaStorageSOPClassUID, "20200101", "ECG"
    file.AccessionNumber, file.PatientName, file.PatientID = "77", PATIENT, "4711"
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    buffer = BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def waveform(*groups: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    return write(syntax, WaveformSequence=list(groups) or [group()])


def records(content: bytes) -> list[Record]:
    opened = dicom.open_file(content, "a.dcm")
    found = [opened.read(number) for number in range(1, opened.count + 1)]
    assert all(isinstance(record, Record) for record in found)
    return found  # type: ignore[return-value]


def pages(content: bytes) -> list[np.ndarray]:
    opened = dicom.open_file(content, "a.dcm")
    found = [opened.read(number) for number in range(1, opened.count + 1)]
    return [page.pixels for page in found if isinstance(page, Page)]


MILLIVOLTS = integers().T * 0.0025


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("codes", [MDC, SCP, [f"MDC_ECG_LEAD_{lead.upper()}" for lead in LEADS]])
def test_twelve_leads_are_the_millivolts_that_were_written(syntax: UID, codes: list[str]) -> None:
    content = waveform(group(definitions=[channel(code) for code in codes]), syntax=syntax)
    assert dicom.recognise(content[: source.HEAD])
    (record,) = records(content)
    assert record.fs == 500
    np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)


def test_big_endian_samples_are_turned() -> None:
    (record,) = records(waveform(group(order=">"), syntax=ExplicitVRBigEndian))
    np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES.values())
def test_every_width_of_samples_is_read(dtype: str) -> None:
    values = integers(41, 12, dtype)
    (record,) = records(waveform(group(values)))
    np.testing.assert_allclose(record.signal, values.T * 0.0025, rtol=1e-6)


@pytest.mark.parametrize(("unit", "scale"), [("uV", 1e-3), ("mV", 1.0), ("V", 1e3), ("nV", 1e-6)])
def test_sensitivity_correction_baseline_and_unit_count(unit: str, scale: float) -> None:
    values = integers(30, 2)
    calibration = {"ChannelSensitivity": "0.5", "ChannelSensitivityCorrectionFactor": "1.1", "ChannelBaseline": "-7"}
    definitions = [channel("2:1", unit=unit, **calibration), channel("2:2", unit=unit, **calibration)]
    (record,) = records(waveform(group(values, definitions)))
    np.testing.assert_allclose(record.signal[:2], (values.T * 0.55 - 7) * scale, rtol=1e-5)
    assert record.missing_leads() == LEADS[6:]  # the other limb leads follow


def test_an_empty_correction_or_baseline_changes_nothing() -> None:
    empty = {"ChannelSensitivityCorrectionFactor": None, "ChannelBaseline": None, "ChannelSampleSkew": None}
    (record,) = records(waveform(group(definitions=[channel(code, **empty) for code in MDC])))
    np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4"])
def test_padding_is_not_recorded(dtype: str) -> None:
    values = integers(dtype=dtype)
    values[values == 77] = 78
    values[5:9, 3] = 77
    (record,) = records(waveform(group(values, WaveformPaddingValue=np.array(77, dtype).tobytes())))
    assert np.argwhere(np.isnan(record.signal)).tolist() == [[3, k] for k in range(5, 9)]


def test_leads_beside_the_twelve_are_passed_over() -> None:
    values = integers(40, 4)
    definitions = [channel("2:1"), channel("2:2"), channel("2:11", "Lead V3R"), channel("2:9", "V7")]
    (record,) = records(waveform(group(values, definitions)))
    np.testing.assert_allclose(record.signal[:2], values.T[:2] * 0.0025, atol=1e-5)
    assert record.missing_leads() == LEADS[6:]


def test_nothing_of_the_file_is_logged_or_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    content = write(SpecificCharacterSet="ISO_IR 100", WaveformSequence=[group()])
    (record,) = records(content.replace(b"ISO_IR 100", PATIENT.ljust(10).encode()))  # of which pydicom complains
    np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)
    assert not caplog.records


def test_a_name_stands_in_for_an_unknown_code() -> None:
    definitions = [channel(f"X{i}", meaning=f"Lead {lead}") for i, lead in enumerate(LEADS[:6])]
    definitions += [channel("", ChannelLabel=lead) for lead in LEADS[6:]]
    (record,) = records(waveform(group(definitions=definitions)))
    np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)


@pytest.mark.parametrize(
    "skew", [{"ChannelSampleSkew": "3"}, {"ChannelTimeSkew": "0.0061"}, {"ChannelOffset": "0.006"}]
)
def test_a_channel_that_begins_later_is_put_where_it_was(skew: dict[str, str]) -> None:
    definitions = [channel(code, **(skew if code == "2:4" else {})) for code in MDC]
    (record,) = records(waveform(group(definitions=definitions)))
    assert np.isnan(record.signal[7, :3]).all()
    np.testing.assert_allclose(record.signal[7, 3:], MILLIVOLTS[7, :-3], atol=1e-5)
    np.testing.assert_allclose(record.signal[[0, 6, 8]], MILLIVOLTS[[0, 6, 8]], atol=1e-5)


def test_every_original_group_is_an_ecg_and_its_median_beat_is_not() -> None:
    first, second, pressure = integers(), -integers(50), integers(20, 1)
    content = waveform(
        group(integers(9), WaveformOriginality="DERIVED", MultiplexGroupLabel="MEDIAN BEAT"),
        group(first),
        group(pressure, [channel("2:999", unit="mm[Hg]")]),
        group(integers(9), MultiplexGroupLabel="Median Beat"),
        group(second, SamplingFrequency="1000"),
    )
    one, two = records(content)
    np.testing.assert_allclose(one.signal, first.T * 0.0025, atol=1e-5)
    np.testing.assert_allclose(two.signal, second.T * 0.0025, atol=1e-5)
    assert (one.fs, two.fs) == (500, 1000)


def test_a_derived_group_is_read_where_no_other_is_there() -> None:
    content = waveform(group(WaveformOriginality="DERIVED"), group(integers(9), MultiplexGroupLabel="MEDIAN BEAT"))
    assert [record.signal.shape[1] for record in records(content)] == [40]
    content = waveform(group(integers(9), WaveformOriginality="DERIVED", MultiplexGroupLabel="MEDIAN BEAT"))
    assert [record.signal.shape[1] for record in records(content)] == [9]


REFUSED: dict[str, tuple[Dataset, type[EcgLensError], str]] = {
    "mu-law": (group(integers(dtype="u1"), WaveformSampleInterpretation="MB"), FormatError, "samples as MB of 8"),
    "rate": (group(SamplingFrequency=None), SignalError, "gives no sampling rate"),
    "rate 0": (group(SamplingFrequency="0"), SignalError, "gives no sampling rate"),
    "gain": (group(definitions=[channel(c, ChannelSensitivity=None) for c in MDC]), SignalError, "no possible sens"),
    "unit": (group(definitions=[channel(c, unit="mm[Hg]") for c in MDC]), SignalError, r"gives lead I in 'mm\[Hg\]'"),
    "names": (group(definitions=[channel("2:65")] * 12), SignalError, r"that is a standard ECG lead \('2:65'"),
    "twice": (group(definitions=[channel("2:1")] * 12), SignalError, "gives lead I twice"),
    "some": (group(definitions=[channel(c) for c in (*MDC[:11], "2:33")]), SignalError, "no standard lead \\('2:33'"),
    "liar": (group(definitions=[channel("2:1", "Lead II")] * 12), SignalError, "calls the lead of code 2:1 'Lead II'"),
    "skew": (group(definitions=[channel(c, ChannelTimeSkew=str(i)) for i, c in enumerate(MDC)]), SignalError, "one"),
    "short": (group(NumberOfWaveformSamples=41), FileError, "is cut off"),
    "long": (group(NumberOfWaveformSamples=39), FileError, r"more samples than it says \(960 bytes, not 936\)"),
    "huge": (group(NumberOfWaveformSamples=0xFFFFFFF0), SignalError, "too long to read at once"),
    "none": (group(NumberOfWaveformSamples=0), FileError, "0 samples"),
    "gain 0": (group(definitions=[channel(c, ChannelSensitivity="0") for c in MDC]), SignalError, "no possible sens"),
    "channels": (group(NumberOfWaveformChannels=11), FileError, "defines 12 channels of 11"),
    "gain text": (group(definitions=[channel(c, ChannelSensitivity="1e38") for c in MDC]), SignalError, "infinite"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_waveform_is_refused_in_one_clear_sentence(case: str) -> None:
    item, error, fragment = REFUSED[case]
    with pytest.raises(error, match=fragment) as caught:
        records(waveform(item))
    assert PATIENT not in str(caught.value)


ODD = "1.2345"  # a number of three pairs of bytes, which no other is like


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("ChannelSensitivity", "nan"), ("ChannelSensitivity", "inf"), ("ChannelSensitivityCorrectionFactor", "nan"),
     ("ChannelSensitivityCorrectionFactor", "0"), ("ChannelBaseline", "nan"), ("ChannelBaseline", "-inf")],
)  # fmt: skip
def test_a_calibration_that_gives_no_number_or_a_flat_line_is_refused(keyword: str, value: str) -> None:
    content = waveform(group(definitions=[channel(code, **{keyword: ODD}) for code in MDC]))
    with pytest.raises(SignalError, match="gives lead I no possible sensitivity or baseline"):
        records(content.replace(ODD.encode(), value.ljust(len(ODD)).encode()))


def test_without_preamble_it_is_still_recognised() -> None:
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        content = waveform(syntax=syntax)
        bare = content[144 + content[140] :]  # neither preamble nor file meta
        assert dicom.recognise(bare[: source.HEAD])
        (record,) = records(bare)
        np.testing.assert_allclose(record.signal, MILLIVOLTS, atol=1e-5)
        assert dicom.recognise(content[132:][: source.HEAD])


@pytest.mark.parametrize("head", [b"", b"\x08\0\x05\0", bytes(4096), b"\x08\0" * 2048, b"%PDF-1.4", b"0       " * 32])
def test_what_only_begins_alike_is_not_taken_for_dicom(head: bytes) -> None:
    assert not dicom.recognise(head)


RGB = np.random.default_rng(1).integers(0, 256, (3, 12, 20, 3), np.uint8)


def picture(values: np.ndarray, kind: str = "RGB", syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    """Frames (n, H, W) or (n, H, W, 3) as a secondary capture."""
    bits = 8 * values.itemsize
    usual = {
        "SamplesPerPixel": values.shape[3] if values.ndim == 4 else 1, "PhotometricInterpretation": kind,
        "Rows": values.shape[1], "Columns": values.shape[2], "BitsAllocated": bits, "BitsStored": bits,
        "HighBit": bits - 1, "PixelRepresentation": int(values.dtype.kind == "i"), "NumberOfFrames": len(values),
    }  # fmt: skip
    if values.ndim == 4:
        usual["PlanarConfiguration"] = 0
    return write(syntax, **(usual | {"PixelData": values.tobytes()} | elements))


def test_every_frame_of_a_picture_is_an_ecg() -> None:
    np.testing.assert_array_equal(pages(picture(RGB)), RGB)
    planes = RGB.transpose(0, 3, 1, 2).tobytes()
    np.testing.assert_array_equal(pages(picture(RGB, PlanarConfiguration=1, PixelData=planes)), RGB)


def test_rle_is_read_exactly() -> None:
    file = pydicom.dcmread(BytesIO(picture(RGB)))
    file.compress(RLELossless)
    buffer = BytesIO()
    file.save_as(buffer)
    np.testing.assert_array_equal(pages(buffer.getvalue()), RGB)


def compress(kind: str, **options: Any) -> list[bytes]:
    frames = []
    for frame in RGB:
        buffer = BytesIO()
        Image.fromarray(np.kron(frame, np.ones((8, 8, 1), np.uint8))).save(buffer, kind, **options)
        frames.append(buffer.getvalue())
    return frames


@pytest.mark.parametrize(
    ("kind", "syntax", "photometric", "options", "near"),
    [("JPEG2000", JPEG2000Lossless, "YBR_RCT", {"no_jp2": True, "mct": 1}, 0),
     ("JPEG", JPEGBaseline8Bit, "YBR_FULL_422", {"quality": 100, "subsampling": 0}, 4)],
)  # fmt: skip
def test_compressed_frames_are_decoded(
    kind: str, syntax: UID, photometric: str, options: dict[str, Any], near: int
) -> None:
    frames = compress(kind, **options)
    content = picture(RGB, photometric, syntax, Rows=96, Columns=160, PixelData=encapsulate(frames))
    for page, frame in zip(pages(content), RGB, strict=True):
        assert np.abs(page[4::8, 4::8].astype(int) - frame).max() <= near


def test_ybr_becomes_rgb() -> None:
    ybr = np.asarray(Image.fromarray(RGB[0]).convert("YCbCr"))[np.newaxis]
    assert np.abs(pages(picture(ybr, "YBR_FULL"))[0].astype(int) - RGB[0]).max() <= 3


def test_palettes_are_looked_up() -> None:
    table = np.arange(256, dtype="<u2") * 257
    descriptor = [256, 0, 16]
    palette: dict[str, Any] = {}
    for colour, entries in (("Red", table), ("Green", table[::-1]), ("Blue", np.roll(table, 9))):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = descriptor
        palette[f"{colour}PaletteColorLookupTableData"] = entries.tobytes()
    indices = RGB[..., 0]
    expected = np.stack([indices, 255 - indices, indices - np.uint8(9)], axis=-1)
    np.testing.assert_array_equal(pages(picture(indices, "PALETTE COLOR", **palette)), expected)


@pytest.mark.parametrize(("kind", "inverse"), [("MONOCHROME2", False), ("MONOCHROME1", True)])
def test_grey_is_shown_through_its_window(kind: str, inverse: bool) -> None:
    eight = RGB[..., 0]
    shown = 255 - eight if inverse else eight
    np.testing.assert_array_equal([page[..., 1] for page in pages(picture(eight, kind))], shown)

    sixteen = np.array([[[-500, 0, 1, 1000, 2000, 2001, 9000]]], np.int16)  # twice less 100: -1100 to 17900
    window = {
        "RescaleSlope": "2",
        "RescaleIntercept": "-100",
        "WindowCenter": ["1900.5", "1"],
        "WindowWidth": ["4001", "1"],
    }
    (page,) = pages(picture(sixteen, kind, **window))
    share = np.clip((sixteen[0, 0] * 2.0 - 100 + 100) / 4000, 0, 1)
    np.testing.assert_array_equal(page[0, :, 0], np.rint(255 * (1 - share if inverse else share)))

    (page,) = pages(picture(sixteen, kind))  # without a window, from the least to the largest
    assert page[0, [0, -1], 2].tolist() == ([255, 0] if inverse else [0, 255])


def test_an_enclosed_pdf_gives_its_pages() -> None:
    buffer = BytesIO()
    sheets = [Image.new("RGB", (36, 72), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    sheets[0].save(buffer, "PDF", resolution=72, save_all=True, append_images=sheets[1:])
    content = write(EncapsulatedDocument=buffer.getvalue() + b"\0" * (len(buffer.getvalue()) % 2))
    red, blue = pages(content)
    assert red.shape == (200, 100, 3)
    np.testing.assert_allclose([red[100, 50], blue[100, 50]], [[255, 0, 0], [0, 0, 255]], atol=3)


@pytest.mark.parametrize(
    ("content", "error", "fragment"),
    [
        (write(), FormatError, "is a DICOM file without waveform, picture or PDF: export the ECG itself"),
        (write(DirectoryRecordSequence=[Dataset()]), FormatError, "is a list of DICOM files: give the files"),
        (write(EncapsulatedDocument=b"<ClinicalDocument/>"), FormatError, "encloses a document that is no PDF"),
        (write(WaveformSequence=[]), SignalError, r"no channel that is a standard ECG lead \(none\)"),
        (picture(RGB, Rows=60_000, Columns=60_000), FormatError, "has more than 40 million pixels"),
        (picture(RGB, "YBR_FULL", Rows=6000, Columns=6000), FormatError, "has more than 25 million pixels"),
        (picture(RGB, NumberOfFrames=1000), FormatError, "has 1000 frames, of which at most 500 are read"),
        (picture(RGB, Rows=13), FileError, "is a damaged DICOM file"),
        (picture(RGB[..., 0], "MONOCHROME2", RescaleSlope=ODD).replace(ODD.encode(), b"nan   "), FileError, "damaged"),
        (picture(RGB[..., 0], "MONOCHROME2", RescaleSlope="1e308"), FileError, "damaged"),
        (picture(RGB, "HSV"), FormatError, "stores its picture as HSV of 8 bits"),
        (picture(RGB[..., 0].astype("<u4"), "MONOCHROME2"), FormatError, "MONOCHROME2 of 32 bits"),
        (picture(RGB, syntax=JPEGLosslessSV1, PixelData=encapsulate([b"\xff\xd8\xff"] * 3)), FormatError,
         r"is compressed in a way that is not read \(JPEG Lossless"),
        (picture(RGB, "YBR_RCT", JPEG2000Lossless, PixelData=encapsulate(compress("JPEG2000"))), FileError, "damaged"),
        (write(DeflatedExplicitVRLittleEndian, ImageComments="a")[:-3], FileError, "is cut off"),
    ],
)  # fmt: skip
def test_what_is_no_ecg_is_refused_in_one_clear_sentence(
    content: bytes, error: type[EcgLensError], fragment: str
) -> None:
    with pytest.raises(error, match=fragment) as caught:
        pages(content)
    assert str(caught.value).startswith("a.dcm ")
    assert PATIENT not in str(caught.value)


def test_a_file_of_very_many_elements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecglens.io.picture._MAX_READS", 2000)
    elements = b"".join(b"\x11\0" + k.to_bytes(2, "little") + b"\0\0\0\0" for k in range(0x1000, 0x2000))
    with pytest.raises(FileError, match="is a damaged DICOM file"):
        records(write(ImplicitVRLittleEndian) + elements)


def test_the_shipped_ecg_equals_what_pydicom_reads() -> None:
    path = SHIPPED / "test_files" / "waveform_ecg.dcm"
    (record,) = (dicom.open_file(path, path.name).read(1),)
    assert isinstance(record, Record)
    microvolts = pydicom.dcmread(path).waveform_array(0)
    np.testing.assert_allclose(record.signal, microvolts.T / 1000, atol=1e-5)
    assert record.fs == 1000


def test_every_shipped_file_is_read_or_refused() -> None:
    read, refused = 0, set()
    for path in sorted(SHIPPED.rglob("*.dcm")):
        try:
            opened = dicom.open_file(path, path.name)
            for number in range(1, opened.count + 1):
                opened.read(number)
            read += 1
        except UnreadableError as error:
            refused.add(str(error).removeprefix(path.name))
    assert read >= 50
    assert all(sentence.count(":") == 1 for sentence in refused)


SMALL = waveform(group(integers(8)))


@given(length=st.integers(132, len(SMALL) - 1))
@settings(max_examples=100, deadline=None)
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(UnreadableError):
        records(SMALL[:length])


@given(content=damaged(SMALL))
@settings(max_examples=150, deadline=None)
def test_a_damaged_waveform_is_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: dicom.open_file(content, "a.dcm").read(1))


@given(rest=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_a_valid_head_are_refused(rest: bytes) -> None:
    with pytest.raises(UnreadableError):
        records(SMALL[: 144 + SMALL[140]] + rest)


FRAMES = {
    "plain": picture(RGB[:1]),
    "JPEG": picture(
        RGB[:1], "YBR_FULL_422", JPEGBaseline8Bit, Rows=96, Columns=160, PixelData=encapsulate(compress("JPEG")[:1])
    ),
}


@given(content=damaged(*FRAMES.values()))
@settings(max_examples=120, deadline=None)
def test_a_damaged_picture_is_read_or_refused(content: bytes) -> None:
    read_or_refuse(lambda: dicom.open_file(content, "a.dcm").read(1))
