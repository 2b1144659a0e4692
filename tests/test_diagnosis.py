"""The one road from an input to an answer, with the models that ship."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import ecglens
from ecglens import diagnosis
from ecglens.diagnosis import SEVERAL, UNNAMED, diagnose, diagnose_file
from ecglens.errors import FAULT, ModelError, UsageError
from ecglens.io import wfdb
from ecglens.labels import KEYS
from ecglens.leads import INDEX, complete_limb_leads
from ecglens.paper import Page, scan
from ecglens.paper.legibility import assess
from ecglens.paper.reading import Reading, read_page
from ecglens.paper.settings import Settings
from ecglens.record import Record
from ecglens.signal import resample
from ecglens.simulator import simulate


@pytest.fixture(scope="module")
def record() -> Record:
    return simulate({"LBBB"}, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def page_file(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.png"
    Image.fromarray(ecglens.render(record).pixels).save(path)
    return path


def test_a_signal_is_answered_for(record: Record) -> None:
    answer = diagnose(record)
    assert answer.readable
    assert answer.kind == "signal"
    assert tuple(answer.labels) == KEYS
    assert all(0 < finding.probability < 1 for finding in answer.labels.values())
    assert answer.labels["LBBB"].positive
    assert answer.measurements["qrs_ms"] > 120


def test_a_page_is_answered_for(page_file: Path) -> None:
    answer = diagnose(page_file)
    assert answer.readable
    assert answer.kind == "image"
    assert tuple(answer.labels) == KEYS
    assert answer.labels["LBBB"].positive
    assert answer.measurements["qrs_ms"] > 120
    assert answer.quality["missing_leads"] == []
    assert answer.quality["assumed_leads"] == []
    assert answer.maps.min() >= 0


def test_a_page_is_measured_as_its_signal_is(record: Record) -> None:
    page, signal = diagnose(ecglens.render(record, "3x4+1-II", px_per_mm=6)), diagnose(record)
    for key, most in (("heart_rate_bpm", 2), ("qrs_ms", 25), ("qt_ms", 40)):
        assert page.measurements[key] == pytest.approx(signal.measurements[key], abs=most), key


def test_a_page_is_read_at_the_speed_and_gain_that_are_said(record: Record) -> None:
    page = ecglens.render(record, "3x4+1", speed=50, gain=(10, 5), px_per_mm=5)
    said, unsaid, truth = diagnose(page, speed=50, gain=(10, 5)), diagnose(page), diagnose(record)
    for key in ("heart_rate_bpm", "qrs_ms", "qt_ms"):
        assert said.measurements[key] == pytest.approx(truth.measurements[key], rel=0.15)
    assert unsaid.measurements["qt_ms"] != pytest.approx(truth.measurements["qt_ms"], rel=0.15)
    assert any("paper's speed" in doubt for doubt in unsaid.quality["warnings"])
    assert said.quality["gain_mm_mv"] == {"limb": 10, "chest": 5}
    assert [said.quality["speed_from"], said.quality["gain_from"]] == ["given", "given"]
    assert [unsaid.quality["speed_from"], unsaid.quality["gain_from"]] == ["assumed", "assumed"]
    for wrong in ({"speed": 0}, {"gain": 1000}):
        with pytest.raises(UsageError, match=r"no ECG's: give 5 to 200 mm/s and 1 to 100 mm/mV"):
            diagnose(page, **wrong)
    with pytest.raises(UsageError, match="are for pictures"):
        diagnose(record, speed=50)


def test_a_page_that_lacks_leads_is_not_answered_for(record: Record) -> None:
    page = ecglens.render(record, "3x4", px_per_mm=6)
    edge = max(box.corners[:, 0].min() for box in page.boxes if box.kind == "panel")  # of the last column
    answer = diagnose(ecglens.Page(np.ascontiguousarray(page.pixels[:, : int(edge) - 5])))
    assert not answer.readable
    assert "V4" in answer.reason or "Not all 12 leads" in answer.reason


def test_a_page_too_small_for_its_names_is_refused_as_such(record: Record) -> None:
    page = ecglens.render(record, "6x2", px_per_mm=1.4)
    for box in page.boxes:
        if box.kind == "label":
            (x0, y0), (x1, y1) = box.corners[0].astype(int) - 1, box.corners[2].astype(int) + 2
            page.pixels[y0:y1, x0:x1] = 255
    answer = diagnose(page)
    width = page.pixels.shape[1]
    assert f"too small in the picture for the leads' names to be read ({width} x" in answer.reason
    assert f"at least {int(np.ceil(width / 1.4 * 2 / 50)) * 50} pixels across" in answer.reason


def test_a_page_that_print_shows_the_wrong_way_up_is_turned_over(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ecglens.render(record, "3x4+1", px_per_mm=5)
    right = diagnose(page)
    monkeypatch.setattr(scan, "find_turn", lambda *_: 180)
    turned = diagnose(page)
    assert turned.quality["turn_deg"] == 0
    assert turned.labels == right.labels


@pytest.mark.parametrize("layout", ["3x4+1", "6x2"])
@pytest.mark.parametrize("turn", [0, -9])
def test_two_ecgs_on_one_picture_are_refused(record: Record, layout: str, turn: float) -> None:
    other = simulate({"AF"}, rng=np.random.default_rng(7))
    pixels = [ecglens.render(each, layout, px_per_mm=5).pixels for each in (record, other)]
    for both in (np.vstack(pixels), np.hstack(pixels)):
        height, width = both.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 0.8 if turn else 1.0)
        answer = diagnose(cv2.warpAffine(both, matrix, (width, height), borderValue=(60, 60, 60)))
        assert answer.reason == SEVERAL
        assert len(answer.quality["repeated_leads"]) > 6


def test_two_ecgs_are_said_to_be_two_where_they_look_like_a_part_of_a_page(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = "Not all 12 leads are seen in this picture: show the whole page, with every lead"
    monkeypatch.setattr(
        diagnosis, "assess", lambda page: replace(assess(page), reason=part, likeness=-1.0, sharpness=1.0)
    )
    one = ecglens.render(record, "3x4+1", px_per_mm=5).pixels
    assert diagnose(np.vstack([one, one])).reason == SEVERAL
    desk = np.full((60, one.shape[1], 3), 60, np.uint8)
    assert diagnose(np.vstack([desk, one, desk, one, desk])).reason == SEVERAL
    assert diagnose(np.ascontiguousarray(one[: len(one) // 2])).reason == part


@pytest.mark.parametrize(("layout", "row"), [("3x4+1", 0.75), ("6x2+1", 0.85), ("3x4+3", 0.84)])
def test_a_strip_of_another_ecg_is_doubted(record: Record, layout: str, row: float) -> None:
    other = simulate({"AF"}, rng=np.random.default_rng(7))
    one, strip = (ecglens.render(each, layout, px_per_mm=5).pixels for each in (record, other))
    own = diagnose(one)
    assert own.quality["strip_likeness"] > 0.9
    assert own.quality["warnings"] == []
    (doubt,) = diagnose(np.vstack([one[: int(row * len(one))], strip[int(row * len(one)) :]])).quality["warnings"]
    assert doubt == "a rhythm strip is unlike its lead: the page was misread, or shows more than one ECG"


def test_a_strip_below_columns_of_one_time_is_not_doubted(record: Record, tmp_path: Path) -> None:
    layout = resources.files("ecglens.paper") / "layouts" / "3x4-same.toml"
    (tmp_path / "strip.toml").write_text(layout.read_text() + 'rhythm = ["V1"]\n')
    quality = diagnose(ecglens.render(record, str(tmp_path / "strip.toml"), px_per_mm=5)).quality
    assert quality["strip_likeness"] > 0.9
    assert quality["warnings"] == []
    assert diagnose(ecglens.render(record, "3x4", px_per_mm=5)).quality["strip_likeness"] is None


def test_strips_are_leads_named_twice(record: Record) -> None:
    assert diagnose(ecglens.render(record, "3x4+3", px_per_mm=5)).quality["repeated_leads"] == ["II", "V1", "V5"]


def test_a_page_most_of_whose_names_are_assumed_is_refused(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(page: Page, settings: Settings) -> Reading:
        return replace(read_page(page, settings), assumed=("I", "II", "V1", "V2", "V3", "V4"))

    monkeypatch.setattr(diagnosis, "read_page", read)
    assert diagnose(ecglens.render(record, "3x4+1", px_per_mm=5)).reason == UNNAMED


def test_a_blurred_page_is_answered_for_where_its_leads_are_read(record: Record) -> None:
    page = ecglens.render(record, "3x4+1", px_per_mm=5)
    little, much = (ecglens.Page(cv2.GaussianBlur(page.pixels, (0, 0), sigma), 5.0) for sigma in (2.2, 8.0))
    assert "blurred" in str(assess(little).reason)
    assert diagnose(little).readable
    assert "blurred" in diagnose(much).reason


def test_evidence_of_a_page_lies_along_its_traces(page_file: Path) -> None:
    answer = diagnose(page_file)
    assert len(answer.ecg.traces) == 12
    height, width = answer.ecg.pixels.shape[:2]
    _, panel = answer._panel("LBBB")
    tinted = (panel != answer.ecg.pixels).any(axis=2)
    assert panel.shape == (height, width, 3)
    assert 0.01 < tinted.mean() < 0.5


def test_the_same_picture_gives_the_same_answer_however_it_comes(page_file: Path) -> None:
    pixels = ecglens.read(page_file).pixels
    answers = [diagnose(page_file), diagnose(page_file.read_bytes()), diagnose(ecglens.Page(pixels)), diagnose(pixels)]
    assert all(answer.readable for answer in answers)
    assert len({json.dumps(answer.to_dict()["labels"]) for answer in answers}) == 1


def test_the_same_signal_gives_the_same_answer_however_it_comes(record: Record, tmp_path: Path) -> None:
    header = wfdb.write(record, tmp_path / "one")
    expected = diagnose(record).labels
    for given in (diagnose(header), diagnose(record.signal, fs=record.fs), diagnose(tmp_path / "one")):
        assert [f.probability for f in given.labels.values()] == pytest.approx(
            [f.probability for f in expected.values()], abs=5e-3
        )


def test_the_answer_as_json_has_the_agreed_keys(record: Record) -> None:
    answer = json.loads(json.dumps(diagnose(record).to_dict()))
    assert list(answer) == [
        "schema", "source", "page", "id", "kind", "readable", "reason", "labels", "quality", "measurements", "model",
    ]  # fmt: skip
    assert answer["schema"] == "ecglens/1"
    assert list(answer["labels"]) == ["AF", "RBBB", "LBBB", "1dAVb", "ST", "SB", "male"]
    assert set(answer["labels"]["AF"]) == {"probability", "positive", "unsure"}
    assert set(answer["model"]) == {"name", "version", "sha256", "not_judged", "thresholds"}


def test_the_annotated_page_shows_one_panel_a_positive_label(record: Record, page_file: Path) -> None:
    for ecg in (record, page_file):
        answer = diagnose(ecg)
        height, width = answer.annotated.pixels.shape[:2]
        panels = max(len(answer.positives), 1)
        page = ecglens.render(record, "3x4+1-II", px_per_mm=6) if ecg is record else ecglens.read(ecg)
        assert width == page.pixels.shape[1]
        assert height > panels * page.pixels.shape[0]


def test_an_answer_has_the_signal_it_rests_on(record: Record, page_file: Path) -> None:
    assert diagnose(record).signal is record
    read = diagnose(page_file).signal
    assert read.fs == 100
    v1, truth = read.signal[INDEX["V1"]], resample(record, 100).signal[INDEX["V1"]]
    shown = np.isfinite(v1)
    assert shown.mean() == pytest.approx(0.25, abs=0.01)
    assert np.corrcoef(v1[shown], truth[: len(v1)][shown])[0, 1] > 0.98
    assert diagnose(page_file).without_pixels().signal is None


def test_how_long_the_rows_of_a_page_are_is_said(record: Record) -> None:
    assert diagnose(ecglens.render(record, "3x4", px_per_mm=4)).quality["row_s"] == pytest.approx(10, abs=0.2)


def test_leads_of_a_roll_follow_each_other_in_the_signal_of_an_answer(record: Record) -> None:
    read = diagnose(ecglens.render(record, "roll-3", px_per_mm=4)).signal
    starts = np.isfinite(read.signal).argmax(axis=1) / read.fs
    assert [round(float(starts[INDEX[lead]]) / 2.5) for lead in ("I", "aVR", "V1", "V4")] == [0, 1, 2, 3]


def test_a_picture_without_a_diagnosis_names_what_is_unsure(record: Record) -> None:
    answer = diagnose(record)
    labels = {
        key: replace(finding, positive=False, unsure=key in ("AF", "male")) for key, finding in answer.labels.items()
    }
    said = replace(answer, labels=labels)._verdict()
    assert said == "none of the six diagnoses called; others are not looked for; unsure of: AF"


def test_evidence_of_a_signal_covers_all_of_it(record: Record) -> None:
    answer = diagnose(record)
    assert answer.maps.shape == (len(KEYS), 63)  # 10 s, a position for every 16 samples at 100 Hz
    assert answer.maps[KEYS.index("LBBB")].max() > 0


def without(record: Record, lead: str) -> Record:
    signal = record.signal.copy()
    signal[INDEX[lead]] = np.nan
    return Record(signal, record.fs)


def test_what_cannot_be_read_gets_one_sentence(record: Record, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    flat = record.signal.copy()
    flat[6:9] = 0.5
    hiss = np.random.default_rng(0).normal(0, 0.2, (12, 5000)).astype(np.float32)
    hiss[2:6] = np.nan
    refused = {
        "V3 not recorded": without(record, "V3"),
        "at least 5 s": Record(record.signal[:, :2000], record.fs),
        "V1, V2, V3 are flat": Record(flat, record.fs),
        "check the gain and the unit": Record(record.signal * 1000, record.fs),
        "V6 are flat": Record(record.signal / 1000, record.fs),
        "no heart beat": Record(complete_limb_leads(hiss), 500.0),
        "contradict each other": Record(record.signal[::-1].copy(), record.fs),
        "does not exist": tmp_path / "missing.png",
        "empty": tmp_path / "empty.png",
        "ECG": noise,
    }
    for says, ecg in refused.items():
        answer = diagnose(ecg)
        assert not answer.readable, says
        assert says in answer.reason
        assert answer.labels == {}
        assert "\n" not in answer.reason
        with pytest.raises(UsageError):
            _ = answer.annotated


def test_gaps_are_borne_up_to_a_tenth(record: Record) -> None:
    signal = record.signal.copy()
    signal[:, 1000:1200] = np.nan
    assert diagnose(Record(signal, record.fs)).readable
    signal[:, ::2] = np.nan
    assert "missing" in diagnose(Record(signal, record.fs)).reason


def test_a_rate_is_never_guessed(record: Record) -> None:
    with pytest.raises(UsageError, match="give fs"):
        diagnose(record.signal)


def test_a_model_reads_only_its_kind(record: Record) -> None:
    from ecglens.runtime import WEIGHTS

    with pytest.raises(UsageError, match="does not read"):
        diagnose(ecglens.render(record), model=WEIGHTS / "signal.onnx")
    with pytest.raises(ModelError, match="missing"):
        diagnose(record, model=WEIGHTS / "none.onnx")


def test_every_page_of_a_file_is_answered_for(page_file: Path, tmp_path: Path) -> None:
    page, blank = Image.fromarray(ecglens.read(page_file).pixels), Image.new("RGB", (800, 600), "white")
    page.save(tmp_path / "three.tiff", save_all=True, append_images=[page, blank])
    answers = list(diagnose_file(tmp_path / "three.tiff"))
    assert [answer.page for answer in answers] == [1, 2, 3]
    assert [answer.readable for answer in answers] == [True, True, False]
    with pytest.raises(UsageError, match="3 pages"):
        diagnose(tmp_path / "three.tiff")


@pytest.mark.parametrize("label", ["LBBB", "RBBB", "ST", "SB", "1dAVb", "AF"])
def test_simulated_diagnoses_are_told_from_normal(label: str) -> None:
    """On average over ten hearts the signal model finds a label likelier where it holds."""

    def mean(labels: set[str]) -> float:
        return float(
            np.mean(
                [diagnose(simulate(labels, rng=np.random.default_rng(i))).labels[label].probability for i in range(10)]
            )
        )

    assert mean({label}) > 5 * mean(set())


def test_ptbxl_records_and_photos_are_answered_for(data_dir: Path) -> None:
    for path in sorted((data_dir / "cinc").glob("*.hea"))[:5]:
        assert diagnose(path).readable, path.name
    assert diagnose(data_dir / "photos" / "ecg00001.png").readable


def test_a_fault_of_ours_costs_one_answer(page_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecglens.io, "open_file", lambda *_: {}["fault"])
    (answer,) = diagnose_file(page_file)
    assert answer.reason == FAULT
