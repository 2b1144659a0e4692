"""What a careful reader would doubt: figures that hardly any ECG has, and findings that the measured rate contradicts.

A wrong gain or sampling rate gives a signal that looks like an ECG, and an answer that looks like any other.
"""

from collections.abc import Mapping
from typing import Any, Final

import bottleneck
import numpy as np

from ecglens.record import Record, Signal, correlation
from ecglens.signal import amplitudes

# ms of a QRS that is mostly misread where no bundle branch block is called: of 240 worn pages 21 have one, 13 of them
# more than 30 ms too long, as are 5 others; of 1200 signals one in a hundred has.
WIDE_QRS: Final = (130, 250)

# Hardly any ECG has less or more: outside each range is at most one of 1000 PTB-XL records drawn at random.
AMPLITUDE_MV: Final = (0.7, 8.0)  # of the largest lead
RANGES: Final = (
    ("heart_rate_bpm", 35, 180, "a heart rate of {:.0f}/min"),
    ("qrs_ms", 60, WIDE_QRS[1], "a QRS of {:.0f} ms"),
    ("qt_ms", 220, 600, "a QT of {:.0f} ms"),
    ("qtc_ms", 250, 600, "a QTc of {:.0f} ms"),
)

# 1/min; the definitions are 100 and 60. Of 60 PTB-XL records with each, 59 measure at least 99, and less than 60.
SLOWEST_ST, FASTEST_SB = 95.0, 65.0
# 1/min, of a sinus rhythm beyond which they are called: but in 5 and 3 of the 2183 records of fold 9.
FAST, SLOW = 105.0, 50.0

# Of 151 records of fold 9 with AF, two vary less; of 150 others, 104.
REGULAR: Final = 0.04  # SD of RR over its mean
LEAST_BEATS: Final = 7.0  # that tell regular ones from chance

# Least and most of everything timed, as it hardly ever comes together in an ECG, but does in most that are read at half
# or at twice their speed: none of 110 PTB-XL records as they are, 101 of them at half, 80 at twice.
STRETCHED: Final = {
    "heart_rate_bpm": (0, 70),
    "pr_ms": (210, 999),
    "qrs_ms": (130, 999),
    "qtc_ms": (450, 999),
}
SQUEEZED: Final = {"heart_rate_bpm": (95, 999), "qrs_ms": (0, 75), "qtc_ms": (0, 320)}

# s that rows of paper hardly ever last: 44 photographs and scans have 8.8 to 10.2, exams of CODE 7. Grids of which only
# the lines 1 mm apart are clear are now and then taken for ones of 0.6 or 1.6 times their size, and pages that lie on
# another ECG for one with rows of 11 to 13.
ODD_ROWS: Final = ((5.6, 6.8), (10.8, 19.0))
DOUBLE_ROW: Final = (19.0, 21.0)  # s; of 10 s at 50 mm/s, though a roll may be as long
FAINT_PX_PER_MM: Final = 1.3  # below, lines 5 mm apart are 6 pixels apart, and one page in ten has a wrong scale
USUAL_ROW: Final = (9.2, 10.8)  # s, of such pages

# Of 147 drawn pages, half of them worn, one in twenty has less, as have six of ten answered pictures of two ECGs.
LEAST_ALIKE: Final = 0.55
# Of 200 worn pages four have less, of 118 with the lower part of another one 89.
LEAST_ALIKE_STRIP: Final = 0.3
MOST_OFF: Final = 4  # samples by which leads of warped paper may lie beside each other
LEAST_COMPARED: Final = 80  # samples


def doubts(
    record: Record,
    measurements: Mapping[str, float | None],
    called: Mapping[str, bool],
    settings: Mapping[str, Any] | None = None,
) -> list[str]:
    """Give a sentence for everything in an answer that is doubtful.

    ``called`` says of each label that was judged if it was called. ``settings`` is, of a page, ``Diagnosis.quality``,
    of which ``speed_from``, ``scale``, ``row_s``, ``px_per_mm`` and ``strip_likeness`` are asked for.
    """
    settings = settings or {}
    is_page = "speed_from" in settings
    found = _rare(record, measurements, is_page)
    if is_page:
        found += _unread(settings, measurements) + _wide(measurements, called)
        if limb_agreement(record) < LEAST_ALIKE:
            found.append("the limb leads hardly fit each other: the page was misread, or shows more than one ECG")
    likeness = settings.get("strip_likeness")
    if likeness is not None and likeness < LEAST_ALIKE_STRIP:
        found.append("a rhythm strip is unlike its lead: the page was misread, or shows more than one ECG")
    if settings.get("scale") == "grid" and _is_odd(settings):
        found.append(
            f"rows of {settings['row_s']:.0f} s are rare: if the grid was misread, or rows run on into another page, "
            "rate and intervals are wrong"
        )
    return found + [f"{what}: check the rhythm" for what in _of_rhythm(record, measurements, called)]


def _of_rhythm(record: Record, measurements: Mapping[str, float | None], called: Mapping[str, bool]) -> list[str]:
    """What rate, regularity and P waves, of which PR tells, contradict of what was called."""
    rate, spread = (measurements.get(key) for key in ("heart_rate_bpm", "rr_sd_ms"))
    has_p = measurements.get("pr_ms") is not None
    found = []
    if called.get("AF") and has_p:
        found.append("atrial fibrillation is called, but P waves are measured")
    if rate is None:
        return found
    enough = rate * record.duration / 60 >= LEAST_BEATS
    if called.get("AF") and enough and spread is not None and spread < REGULAR * 60_000 / rate:
        found.append("atrial fibrillation is called, but the beats come regularly")
    for label, name, is_contradicted, is_beyond in (
        ("ST", "sinus tachycardia", rate < SLOWEST_ST, rate > FAST),
        ("SB", "sinus bradycardia", rate > FASTEST_SB, rate < SLOW),
    ):
        if called.get(label) and is_contradicted:
            found.append(f"{name} is called at a measured rate of {rate:.0f}/min")
        if called.get(label) is False and is_beyond and has_p and not called.get("AF"):
            found.append(f"{name} is not called at a measured rate of {rate:.0f}/min with P waves")
    return found


def _is_odd(settings: Mapping[str, Any]) -> bool:
    """Whether a page's rows are of an odd length, in s, or not of the usual one where its lines are hardly seen."""
    faint = settings.get("speed_from") == "assumed" and settings["px_per_mm"] < FAINT_PX_PER_MM
    if faint and not any(least < settings["row_s"] < most for least, most in (USUAL_ROW, DOUBLE_ROW)):
        return True
    return any(least < settings["row_s"] < most for least, most in ODD_ROWS)


def _rare(record: Record, measurements: Mapping[str, float | None], is_page: bool) -> list[str]:
    gain, speed = ("gain", "speed") if is_page else ("gain and the unit", "sampling rate")
    largest = float(bottleneck.nanmax(amplitudes(record)))
    found = []
    if not AMPLITUDE_MV[0] <= largest <= AMPLITUDE_MV[1]:
        found.append(f"an amplitude of {largest:.2g} mV in the largest lead is rare: check the {gain}")
    for key, least, most, what in RANGES:
        value = measurements.get(key)
        if value is not None and not least <= value <= most:
            found.append(f"{what.format(value)} is rare: check the {speed}" + " and measure it on the paper" * is_page)
    return found


def limb_agreement(record: Record) -> float:
    """How alike III is to II - I, or aVR to -(aVL + aVF), whichever is more: a correlation, NaN where none is shown.

    Signals are refused where these contradict each other; traces that are read off paper never fit as well.
    """
    one, two, three, avr, avl, avf = record.signal[:6]
    return float(np.fmax(_best_correlation(three, two - one), _best_correlation(avr, -(avl + avf))))


def _best_correlation(one: Signal, other: Signal) -> float:
    """The best correlation of two signals that may be a few samples apart; NaN where they share too little."""
    moved = (np.roll(other, by) for by in range(-MOST_OFF, MOST_OFF + 1))
    return float(np.fmax.reduce([correlation(one, each, LEAST_COMPARED) for each in moved]))


def _unread(settings: Mapping[str, Any], measurements: Mapping[str, float | None]) -> list[str]:
    """What is doubtful of a page's times: its speed or, where there is no grid, the length of its rows was assumed."""
    has_grid, row = settings.get("scale", "grid") == "grid", settings.get("row_s", 0.0)
    if has_grid and settings["speed_from"] != "assumed":
        return []
    assumed = "25 mm/s is assumed" if has_grid else f"no grid is seen, and rows are taken to last {row:.0f} s"
    timed = {key: value for key, value in measurements.items() if value is not None}  # in fibrillation there is no PR
    if {"qrs_ms", "qtc_ms"} <= timed.keys():
        for ranges, factor in ((STRETCHED, 2.0), (SQUEEZED, 0.5)):
            if all(least <= timed[key] <= most for key, (least, most) in ranges.items() if key in timed):
                true = f"{25 * factor:g}: give the paper's speed" if has_grid else f"rows of {row / factor:.0f} s"
                return [f"{assumed}, but rate and intervals are rather those of {true}"]
    if has_grid and DOUBLE_ROW[0] < row < DOUBLE_ROW[1]:
        return [f"rows of {row:.0f} s are rare: if the paper's speed is 50 mm/s, give it"]
    return [] if has_grid else [f"{assumed}: if they do not, rate and intervals are wrong"]


def _wide(measurements: Mapping[str, float | None], called: Mapping[str, bool]) -> list[str]:
    """What is doubtful of a page's QRS: wide, though neither bundle branch block was called."""
    qrs = measurements.get("qrs_ms")
    blocks = [called.get(label, True) for label in ("RBBB", "LBBB")]
    if qrs is None or not WIDE_QRS[0] < qrs <= WIDE_QRS[1] or any(blocks):
        return []
    return [f"a QRS of {qrs:.0f} ms without a bundle branch block may be misread, or paced: measure it on the paper"]
