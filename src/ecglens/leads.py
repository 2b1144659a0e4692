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
LIMB_FROM_I_II: Final = np.vstack([np.eye(2, dtype=np.float32), DERIVED_FROM_I_II])  # (6, 2), in the order of LEADS

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
    one_two = np.linalg.pinv(LIMB_FROM_I_II[present]).astype(np.float32) @ limb[present]
    out = signal.copy()
    out[:6][~present] = (LIMB_FROM_I_II @ one_two)[~present]
    return out


def limb_misfit(signal: npt.NDArray[np.float32], least: int) -> float:
    """How little limb leads shown side by side fit together: the share (0-1) of their energy that no I and II explain.

    ``signal`` is (12, T) mV, NaN where a lead is not shown. Three leads or more count where they are shown at the same
    time for at least ``least`` samples, each about its median; 0 where there are none.
    """
    limb, shown = signal[:6], ~np.isnan(signal[:6])
    over = energy = 0.0
    for together in np.unique(shown, axis=1).T:
        columns = (shown == together[:, None]).all(axis=0)
        if together.sum() >= 3 and columns.sum() >= least:
            part = limb[together][:, columns]
            part = part - np.median(part, axis=1, keepdims=True)
            system = LIMB_FROM_I_II[together]
            over += float(((part - system @ (np.linalg.pinv(system) @ part)) ** 2).sum())
            energy += float((part**2).sum())
    return over / energy if energy else 0.0
