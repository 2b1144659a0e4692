"""From an input to an answer. Command line, service and evaluation all come through here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ecglens import explain, io
from ecglens.errors import SignalError, UnreadableError, UsageError
from ecglens.inputs import AFTER_BEAT, BEFORE_BEAT, ImageSpec, SignalSpec, image_tensor, signal_tensors
from ecglens.intervals import Measurements, measure
from ecglens.labels import BY_KEY, MALE
from ecglens.leads import LEADS
from ecglens.paper import Page, render
from ecglens.paper.legibility import assess
from ecglens.paper.reading import LEAST_PX_PER_MM, MOST_REPEATED, SECONDS, USUAL, read_page, resolution
from ecglens.paper.scan import straighten
from ecglens.paper.settings import Gain, Settings
from ecglens.plausibility import doubts
from ecglens.record import Record
from ecglens.runtime import WEIGHTS, Array, Card, Model, load_model
from ecglens.signal import flat_leads

SCHEMA = "ecglens/1"
MOST_ASSUMED = 5  # leads whose names are not read; readable photographs have no more
LEAST_CERTAINTY = 0.6  # of the least certain trace read off a page; readable photographs have more
UNSCALED = "The scale of the paper cannot be told: take a picture of the whole page on which its grid is seen"
SEVERAL = "More than one ECG is seen in the picture: take a picture of each by itself"
UNNAMED = "Too few of the leads' names can be read: take the picture closer and sharper, with every lead's name in view"
UNCERTAIN = "The traces cannot be followed for certain: take the picture again, sharper, flat and in even light"

Kind = Literal["image", "signal"]
Input = str | Path | bytes | Record | Page | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One label's calibrated probability, whether it reaches the model's threshold, and whether a person should say."""

    probability: float
    positive: bool
    unsure: bool = False


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The answer for one ECG. Not readable: ``reason`` says why in one sentence, and ``labels`` is empty.

    ``labels`` gives a finding by label key; ``quality`` and ``measurements`` what was seen besides; ``card`` which
    model answered; ``id`` what the file calls the ECG. ``signal`` is what the answer rests on: the ECG, or what was
    read off a picture, at 100 Hz from the left end of its rows, NaN where a lead is not shown. ``maps`` (labels,
    positions...) >= 0 says where the evidence for each label lies.
    """

    source: str
    page: int
    kind: Kind | None
    reason: str | None = None
    labels: Mapping[str, Finding] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    measurements: Mapping[str, float | None] = field(default_factory=dict)
    card: Card | None = None
    maps: Array | None = field(default=None, repr=False)
    ecg: Record | Page | None = field(default=None, repr=False)
    signal: Record | None = field(default=None, repr=False)
    id: str | None = None

    @property
    def readable(self) -> bool:
        """Whether there is an answer."""
        return self.reason is None

    @property
    def name(self) -> str:
        """What to call the ECG among others: its file, its page from the second on, and its ``id``."""
        page = f" page {self.page}" if self.page > 1 else ""
        return f"{self.source}{page}{f' ({self.id})' if self.id else ''}"

    @property
    def positives(self) -> tuple[str, ...]:
        """Keys of the labels called positive."""
        return tuple(key for key, finding in self.labels.items() if finding.positive)

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON types, schema ``ecglens/1``."""
        model = self.card and {
            "name": self.card.name,
            "version": self.card.version,
            "sha256": self.card.sha256,
            "not_judged": list(self.card.not_judged),
            "thresholds": dict(self.card.thresholds),
        }
        return {
            "schema": SCHEMA,
            "source": self.source,
            "page": self.page,
            "id": self.id,
            "kind": self.kind,
            "readable": self.readable,
            "reason": self.reason,
            "labels": {
                key: {
                    "probability": round(finding.probability, 4),
                    "positive": finding.positive,
                    "unsure": finding.unsure,
                }
                for key, finding in self.labels.items()
            },
            "quality": dict(self.quality),
            "measurements": dict(self.measurements),
            "model": model,
        }

    def without_pixels(self) -> "Diagnosis":
        """The same answer without the ECG and its maps, for keeping thousands; it cannot be annotated any more."""
        return replace(self, ecg=None, signal=None, maps=None)

    @cached_property
    def annotated(self) -> Page:
        """The page (a signal is drawn as one), once for each positive label with its evidence laid over it.

        Raises UsageError when there is no answer to show.
        """
        if self.card is None or self.maps is None or self.ecg is None:
            raise UsageError("there is no answer to show: look at `reason`")
        panels = [self._panel(key) for key in self.positives]
        if set(self.positives) <= {MALE.key}:
            page = self.ecg if isinstance(self.ecg, Page) else _drawn(self.ecg, 0.0)
            panels.insert(0, (self._verdict(), page.pixels))
        return Page(explain.stack(panels))

    def _verdict(self) -> str:
        """What to say where no diagnosis is positive, which is not that the ECG is normal."""
        assert self.card is not None
        unsure = [key for key, finding in self.labels.items() if finding.unsure]
        said = "none of the six diagnoses called; others are not looked for"
        for what, keys in (("unsure of", unsure), ("not judged by this model", self.card.not_judged)):
            named = [key for key in keys if key != MALE.key]
            said += f"; {what}: {', '.join(named)}" * bool(named)
        return said

    def _panel(self, key: str) -> tuple[str, npt.NDArray[np.uint8]]:
        """Caption and picture of one label; of a long signal, the ten seconds around the strongest evidence."""
        assert self.card is not None
        assert self.maps is not None
        evidence = self.maps[self.card.labels.index(key)]
        finding = self.labels[key]
        caption = f"{BY_KEY[key].name}: {finding.probability:.0%}{', unsure' * finding.unsure}"
        if isinstance(self.ecg, Page):
            if isinstance(self.card.spec, ImageSpec):
                return caption, explain.overlay(self.ecg, evidence)
            return caption, explain.overlay_traces(self.ecg, evidence, SECONDS)
        assert self.ecg is not None
        peak = float(evidence.argmax()) / len(evidence) * self.ecg.duration
        start = float(np.clip(peak - SECONDS / 2, 0, max(self.ecg.duration - SECONDS, 0)))
        page = _drawn(self.ecg, start)
        return f"{caption}, from {start:.0f} s" if start else caption, explain.overlay_traces(
            page, evidence, self.ecg.duration
        )


def _drawn(record: Record, start: float) -> Page:
    return render(record, "3x4+1-II", start=start, px_per_mm=6)


def diagnose(
    ecg: Input,
    *,
    page: int | None = None,
    fs: float | None = None,
    unit: str | None = None,
    speed: float | None = None,
    gain: Gain | None = None,
    model: Path | None = None,
) -> Diagnosis:
    """Answer for one ECG: a file's path or content, a Record, a Page, or an array.

    An array of uint8, (H, W, 3) or (H, W), is a picture; one of floats, (12, T) or (T, 12), mV at ``fs`` Hz.
    ``page`` (from 1) chooses one of several ECGs in a file; ``fs`` and ``unit`` are for files that do not say them;
    ``speed``, mm/s, and ``gain``, mm/mV (two: of limb and chest leads), for pictures that are not of 25 and 10.
    ``model`` is an ONNX file other than the one that ships.

    What cannot be read is answered with ``readable`` False and a reason. Raises UsageError for arguments that do not
    fit together, ModelError for weights that are missing or damaged.
    """
    is_file = isinstance(ecg, str | Path | bytes)
    if (page is not None or unit is not None) and not is_file:
        raise UsageError("page and unit are for files: leave them out for an ECG in memory, which is in mV")
    if fs is not None and not (is_file or isinstance(ecg, np.ndarray)):
        raise UsageError("fs is the rate of an array or a file: leave it out, since this ECG has its own")
    source, settings = str(ecg) if isinstance(ecg, str | Path) else "-", Settings.given(speed, gain)
    try:
        given = io.read(ecg, page, fs=fs, unit=unit) if isinstance(ecg, str | Path | bytes) else _wrapped(ecg, fs)
    except UnreadableError as error:
        return Diagnosis(source, page or 1, None, str(error))
    if isinstance(given, Record) and settings != USUAL:
        raise UsageError("speed and gain are for pictures: leave them out for a signal, which is in mV")
    return _answer(given, source, page or 1, model, settings)


def diagnose_file(
    path: str | Path | bytes,
    *,
    fs: float | None = None,
    unit: str | None = None,
    speed: float | None = None,
    gain: Gain | None = None,
    model: Path | None = None,
) -> Iterator[Diagnosis]:
    """Answer for every ECG in a file, one after the other, as ``diagnose`` does; ``bytes`` are a file's content."""
    source, settings = "-" if isinstance(path, bytes) else str(path), Settings.given(speed, gain)
    return io.for_each(
        path,
        io.Given(fs, unit),
        lambda ecg, page, _: _answer(ecg, source, page, model, settings),
        lambda reason, page, _: Diagnosis(source, page, None, reason),
    )


def _wrapped(ecg: Record | Page | npt.NDArray[Any], fs: float | None) -> Record | Page:
    if isinstance(ecg, Record | Page):
        return ecg
    array = np.asarray(ecg)
    if array.dtype == np.uint8:
        return Page(
            np.ascontiguousarray(np.broadcast_to(array[..., None], (*array.shape, 3)) if array.ndim == 2 else array)
        )
    if array.dtype.kind != "f":
        raise UsageError(
            f"an array of {array.dtype} is neither a picture (uint8) nor a signal in mV (floats): convert it"
        )
    if fs is None:
        raise UsageError("the sampling rate of a signal is never guessed: give fs in Hz")
    if array.ndim == 2 and array.shape[1] == len(LEADS) != array.shape[0]:
        array = array.T
    return Record(np.ascontiguousarray(array, np.float32), float(fs))


def _answer(ecg: Record | Page, source: str, page: int, path: Path | None, settings: Settings) -> Diagnosis:
    kind: Kind = "image" if isinstance(ecg, Page) else "signal"
    model = load_model(path or WEIGHTS / f"{kind}.onnx")
    spec = model.card.spec
    if isinstance(ecg, Page):
        fits = isinstance(spec, ImageSpec) or spec.partial
        seen = look(ecg, isinstance(spec, SignalSpec), settings) if fits else None
    else:
        seen = _examine(ecg) if isinstance(spec, SignalSpec) else None
    if seen is None:
        raise UsageError(f"the model {model.card.name} does not read this kind of ECG ({kind}): give another model")
    name = ecg.id if isinstance(ecg, Record) else None
    unread = Diagnosis(source, page, kind, seen.reason, {}, seen.quality, seen.measurements, id=name)
    if seen.given is None:
        return unread
    try:
        logits, maps = _run(seen, model)
    except SignalError as error:
        return replace(unread, reason=str(error) if kind == "signal" else f"{UNCERTAIN} ({error})")
    if seen.reason is not None:  # after what `_run` refuses, which says more
        return unread
    probabilities = model.card.probabilities(logits)
    findings = {
        key: Finding(float(p), bool(p >= model.card.thresholds[key]), model.card.is_unsure(key, float(p)))
        for key, p in zip(model.card.labels, probabilities, strict=True)
    }
    quality = seen.quality
    if isinstance(seen.given, Record):
        called = {key: one.positive for key, one in findings.items() if key not in model.card.not_judged}
        quality = quality | {"warnings": doubts(seen.given, seen.measurements, called, quality)}
    signal = seen.apart or (seen.given if isinstance(seen.given, Record) else None)
    return replace(unread, labels=findings, quality=quality, card=model.card, maps=maps, ecg=seen.ecg, signal=signal)


class Seen(NamedTuple):
    """What is seen of an ECG before a model answers: ``ecg`` is shown, ``given`` goes to the network, if anything.

    ``apart`` is ``given`` with each lead at its own time, where that is another one.
    """

    ecg: Record | Page
    given: Record | Page | None
    quality: dict[str, Any]
    measured: Measurements | None
    reason: str | None
    apart: Record | None = None

    @property
    def measurements(self) -> dict[str, float | None]:
        """One number a quantity, if any were measured."""
        return self.measured.summary() if self.measured else {}


def look(page: Page, by_traces: bool, settings: Settings = USUAL) -> Seen:
    """Return what is seen of the page straightened; turned over, or as it came, if only so it can be answered for.

    With ``by_traces`` its leads are read off it, ``settings`` being its speed and gains.
    """
    refused: list[Seen] = []
    for flat, facts in _ways(page):
        seen = _inspect(flat, facts, by_traces, settings)
        if seen.reason is None or seen.reason == SEVERAL:
            return seen
        refused.append(seen)
    return max(refused[:2], key=lambda seen: seen.quality["likeness"])  # the way up that an ECG is seen in


def _ways(page: Page) -> Iterator[tuple[Page, dict[str, Any]]]:
    """The page as it may lie, the likeliest way first, and what is to be said of that."""
    height, width = page.pixels.shape[:2]
    size = {"width": width, "height": height}
    scan = straighten(page)
    for turn_over in (False, True):
        way = scan.turned_over() if turn_over else scan
        yield way.page, size | {"corners": way.corners.astype(float).round(1).tolist(), "turn_deg": way.turn}
    if scan.page.pixels is not page.pixels:
        yield scan.as_it_came(page), size | {"corners": None, "turn_deg": 0}


def _inspect(page: Page, facts: dict[str, Any], by_traces: bool, settings: Settings) -> Seen:
    """What is seen of a flat page. Where it is arguable that it is a whole ECG, its twelve leads settle it."""
    quality = assess(page)
    scale = {"px_per_mm": page.px_per_mm and round(page.px_per_mm, 3)}
    seen = Seen(page, page, quality.as_dict() | scale | facts, None, quality.reason)
    if quality.reason is not None and not (by_traces and quality.arguable):
        return seen._replace(given=None)
    read = _read(seen, page, settings) if by_traces else seen
    if read.reason in (None, SEVERAL):
        return read
    return read._replace(reason=quality.reason or read.reason)


def _read(seen: Seen, page: Page, settings: Settings) -> Seen:
    """The page's leads read off it, as a signal that shows each of them in part."""
    reading = read_page(page, settings)
    facts = {
        "missing_leads": list(reading.missing),
        "assumed_leads": list(reading.assumed),
        "repeated_leads": list(reading.repeated),
        "strip_likeness": round(reading.strip_likeness, 2) if np.isfinite(reading.strip_likeness) else None,
        "trace_certainty": round(reading.certainty, 3),
        "scale": reading.scale,
        "row_s": round(reading.seconds, 2),
        **reading.settings.as_dict(),
    }
    seen = seen._replace(ecg=reading.page, quality=seen.quality | facts)
    if len(reading.repeated) > MOST_REPEATED:
        return seen._replace(given=None, reason=SEVERAL)
    if reading.record is None or reading.missing:
        return seen._replace(given=None, reason=_unread(reading.missing, page) if reading.missing else UNSCALED)
    if len(reading.assumed) > MOST_ASSUMED:
        return seen._replace(given=None, reason=UNNAMED)
    if reading.certainty < LEAST_CERTAINTY:
        return seen._replace(given=None, reason=UNCERTAIN)
    measured = measure(reading.record)
    beats = len(measured.r_peaks) > 0
    apart = None if reading.beside is reading.record else reading.record
    seen = seen._replace(given=reading.beside, apart=apart, measured=measured)
    return seen._replace(reason=None if beats else UNCERTAIN)


def _unread(missing: Sequence[str], page: Page) -> str:
    """Why a page on which leads were not found is not answered for."""
    if (scale := resolution(page)) < LEAST_PX_PER_MM:
        height, width = page.pixels.shape[:2]
        wanted = int(np.ceil(width * LEAST_PX_PER_MM / scale / 50)) * 50
        return (
            f"The page is too small in the picture for the leads' names to be read ({width} x {height} pixels): "
            f"scan it or photograph it from nearer, with at least {wanted} pixels across the page"
        )
    if len(missing) == len(LEADS):
        return (
            "The names of the leads cannot be read: take the picture closer and sharper, with every lead's name in view"
        )
    leads = f"lead{'s' * (len(missing) > 1)} {', '.join(missing)}"
    return f"Not found on the page: {leads}; take a picture of the whole page on which every lead's name can be read"


def _examine(record: Record) -> Seen:
    """What is seen of a signal without a model: quality, measurements, and a reason not to answer."""
    flat = [lead for lead, off in zip(LEADS, flat_leads(record), strict=True) if off]
    quality = {
        "duration_s": round(record.duration, 3),
        "fs_hz": record.fs,
        "missing_leads": list(record.missing_leads()),
        "flat_leads": flat,
        "missing_share": round(float(np.isnan(record.signal).mean()), 4),
    }
    measured = measure(record)
    beats = len(measured.r_peaks) > 0
    reason = None if beats else "no heart beat is seen in the signal: check the electrodes and record again"
    return Seen(record, record, quality, measured, reason)


def _run(seen: Seen, model: Model) -> tuple[Array, Array]:
    """Logits (labels,) and maps (labels, positions...) of one ECG: of its page, or over the windows of its signal."""
    spec, ecg = model.card.spec, seen.given
    if isinstance(ecg, Page) and isinstance(spec, ImageSpec):
        logits, maps = model.run({"pixels": image_tensor(ecg, spec)})
        return logits[0], maps[0]
    assert isinstance(ecg, Record)
    assert isinstance(spec, SignalSpec)
    inputs, starts = signal_tensors(ecg, spec, seen.measured, seen.apart)
    logits, maps, *of_beats = model.run(inputs)
    evidence = explain.join(maps, starts, spec.duration, ecg.duration)
    if of_beats and seen.measured and seen.apart is None:
        span, peaks = (-BEFORE_BEAT, AFTER_BEAT), seen.measured.r_peaks
        evidence += explain.spread(of_beats[0].mean(axis=0), peaks, span, ecg.duration, evidence.shape[1])
    return logits.mean(axis=0), evidence
