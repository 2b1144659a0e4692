"""What a careful reader would doubt: figures that hardly any ECG has, and findings that the measured rate contradicts.

A wrong gain or sampling rate gives a signal that looks like an ECG, and an answer that looks like any other.
"""

from collections.abc import Collection, Mapping
from typing import Final

import bottleneck

from ecglens.record import Record
from ecglens.signal import amplitudes

# Hardly any ECG has less or more: outside each range is at most one of 1200 PTB-XL records drawn at random.
AMPLITUDE_MV: Final = (0.7, 8.0)  # of the largest lead
RANGES: Final = (
    ("heart_rate_bpm", 35, 180, "a heart rate of {:.0f}/min"),
    ("qrs_ms", 60, 250, "a QRS of {:.0f} ms"),
    ("qt_ms", 220, 600, "a QT of {:.0f} ms"),
)

# 1/min; the definitions are 100 and 60. Of 60 PTB-XL records with each, 59 measure at least 99, and less than 60.
SLOWEST_ST, FASTEST_SB = 95.0, 65.0


def doubts(record: Record, measurements: Mapping[str, float | None], positives: Collection[str]) -> list[str]:
    """Give a sentence for everything in an answer that is doubtful; ``positives`` are the labels that were called."""
    found = _rare(record, measurements)
    rate = measurements.get("heart_rate_bpm")
    if rate is not None and "ST" in positives and rate < SLOWEST_ST:
        found.append(f"sinus tachycardia is called at a measured rate of {rate:.0f}/min: check the rhythm")
    if rate is not None and "SB" in positives and rate > FASTEST_SB:
        found.append(f"sinus bradycardia is called at a measured rate of {rate:.0f}/min: check the rhythm")
    return found


def _rare(record: Record, measurements: Mapping[str, float | None]) -> list[str]:
    largest = float(bottleneck.nanmax(amplitudes(record)))
    found = []
    if not AMPLITUDE_MV[0] <= largest <= AMPLITUDE_MV[1]:
        found.append(f"an amplitude of {largest:.2g} mV in the largest lead is rare: check the gain and the unit")
    for key, least, most, what in RANGES:
        value = measurements.get(key)
        if value is not None and not least <= value <= most:
            found.append(f"{what.format(value)} is rare: check the sampling rate and the paper speed")
    return found
