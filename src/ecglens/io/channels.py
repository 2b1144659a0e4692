"""What every format's channels have in common: names that are leads or not, and units that are voltages or not."""

import re
from collections.abc import Container, Sequence
from typing import Final

from ecglens.errors import SignalError
from ecglens.leads import LEADS, canonical

MILLIVOLTS: Final = {"V": 1e3, "mV": 1.0, "mv": 1.0, "uV": 1e-3, "uv": 1e-3, "µV": 1e-3, "μV": 1e-3, "nV": 1e-6}

# The same numbers in ISO/IEEE 11073-10102 (MDC), SCP-ECG and DICOM's codes of SCP-ECG 5.6.3.
CODED_LEADS: Final = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
MDC_LEAD: Final = "MDC_ECG_LEAD_"  # begins the names of ISO/IEEE 11073-10102

# On the right side, on the back, and Frank's, however they are introduced.
_OTHER_LEADS = re.compile(r"(?:(?:E[CK]G|LEAD)[-_:\s]*)*(?:V[2-9]R|V[789]|[XYZ])")


def choose_leads(names: Sequence[str], file: str, skip: Container[str] = ()) -> dict[str, int]:
    """Return which channel (its place in ``names``) is which standard lead; ``file`` names the file in errors.

    Names to ``skip``, and leads beside the twelve (V3R, V4R, V7, X and so on), are passed over. Other channels that
    are no standard lead are so only where all twelve are there, since they might be leads under another name. Raises
    SignalError for those, and for a lead given twice.
    """
    chosen: dict[str, int] = {}
    others: list[str] = []
    for i, name in enumerate(names):
        lead = canonical(name)
        if name in skip or _OTHER_LEADS.fullmatch(name.strip().upper()):
            continue
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
    """Return how many mV one ``unit`` is. Raises SignalError where it is missing ("") or no unit of voltage."""
    if not unit:
        raise SignalError(f"{file} gives no unit of lead {lead}: export the ECG again with it")
    if unit not in MILLIVOLTS:
        raise SignalError(f"{file} gives lead {lead} in {unit[:40]!r}: it must be in V, mV, uV or nV")
    return MILLIVOLTS[unit]
