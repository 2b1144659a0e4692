"""What every format's channels have in common: names that are leads or not, and units that are voltages or not."""

from collections.abc import Sequence
from typing import Final

from ecglens.errors import SignalError
from ecglens.leads import LEADS, canonical

MILLIVOLTS: Final = {"V": 1e3, "mV": 1.0, "mv": 1.0, "uV": 1e-3, "uv": 1e-3, "µV": 1e-3, "μV": 1e-3, "nV": 1e-6}


def choose_leads(names: Sequence[str], file: str) -> dict[str, int]:
    """Return which channel (its place in ``names``) is which standard lead; ``file`` names the file in errors.

    Channels that are no standard lead are passed over only where all twelve are there, since they might be leads under
    another name. Raises SignalError for those, and for a lead given twice.
    """
    chosen: dict[str, int] = {}
    others: list[str] = []
    for i, name in enumerate(names):
        lead = canonical(name)
        if lead is None:
            others.append(repr(name[:40]))
        elif lead in chosen:
            raise SignalError(f"{file} gives lead {lead} twice: keep one of them")
        else:
            chosen[lead] = i
    if others and len(chosen) < len(LEADS):
        named = ", ".join(others[:12])
        raise SignalError(
            f"{file} has channels that are no standard lead ({named}) and not all twelve: "
            f"name the leads {', '.join(LEADS)}"
        )
    return chosen


def millivolts(unit: str, lead: str, file: str) -> float:
    """Return how many mV one ``unit`` is. Raises SignalError where that is no unit of voltage."""
    if unit not in MILLIVOLTS:
        raise SignalError(f"{file} gives lead {lead} in {unit[:40]!r}: it must be in V, mV, uV or nV")
    return MILLIVOLTS[unit]
