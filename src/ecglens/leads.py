"""The twelve standard leads: their names, their order, and the identities that bind the limb leads.

Limb-lead identities (Einthoven 1912, Goldberger 1942): with I and II known,
III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEX: Final = {name: i for i, name in enumerate(LEADS)}
INDEPENDENT: Final = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

# Rows give III, aVR, aVL, aVF as combinations of (I, II).
DERIVED_FROM_I_II: Final = np.array([[-1.0, 1.0], [-0.5, -0.5], [1.0, -0.5], [-0.5, 1.0]], np.float32)

_BY_FOLDED = {name.upper(): name for name in LEADS}
_PREFIX = re.compile(r"(?:(?:E[CK]G|LEAD)(?:-|\s*[_:]?\s*))*")


def canonical(name: str) -> str | None:
    """Return the standard spelling of a lead name (``"AVR"``, ``"avr"``, ``"Lead II"``), or None.

    Case, blanks around it and a leading "lead", "ECG" or "EKG" are folded; a name that could mean something else
    (``MLII``, ``CM5``, or ``-aVR``, which is upside down) is not a standard lead and gives None.
    """
    return _BY_FOLDED.get(_PREFIX.sub("", name.strip().upper(), count=1))


def complete_limb_leads(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Fill limb leads that are wholly NaN from those that are present, by the identities above.

    ``signal`` is (12, T) mV in the order of ``LEADS``; a new array is returned. Any two limb leads give the other four;
    more of them are fitted by least squares. What does not follow stays NaN.
    """
    limb = signal[:6]
    present = ~np.isnan(limb).all(axis=1)
    if present.all() or present.sum() < 2:
        return signal.copy()
    system = np.vstack([np.eye(2, dtype=np.float32), DERIVED_FROM_I_II])  # (6, 2): every limb lead from (I, II)
    one_two = np.linalg.pinv(system[present]).astype(np.float32) @ limb[present]
    out = signal.copy()
    out[:6][~present] = (system @ one_two)[~present]
    return out
