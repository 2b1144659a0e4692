"""The shapes of P, QRS and ST-T: Gaussians in time, each a dipole in space with a small detail per lead.

Sums of Gaussians: McSharry et al., IEEE Trans Biomed Eng 50:289, 2003; with a direction in space: Sameni et al.,
EURASIP J Adv Signal Process 2007:43407. The numbers of each conduction type were fitted to the median beat of its
group in PTB-XL (Wagner et al., Scientific Data 7:154, 2020), folds 1 to 8, by least squares.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ecglens.simulator.rhythm import Floats

# mV in I, II, V1..V6 from the dipole (x to the left, y to the feet, z to the back).
DOWER: Final = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)


class Wave(NamedTuple):
    """One Gaussian: time and width as fractions of its complex, dipole and lead detail (I, II, V1..V6) in mV."""

    at: float
    width: float
    dipole: tuple[float, float, float]
    detail: tuple[float, ...] = (0.0,) * 8


# Right atrium, then left.
P_WAVES: Final = (
    Wave(0.36, 0.15, (0.045, 0.075, -0.05)),
    Wave(0.62, 0.16, (0.065, 0.065, 0.035)),
)
QRS_WAVES: Final = {
    # Septum to the right and front, apex, free wall, base to the back.
    "normal": (
        Wave(0.20, 0.094, (-0.06, -0.03, -0.19), (-0.01, 0.00, -0.02, 0.03, -0.02, 0.00, 0.00, 0.02)),
        Wave(0.38, 0.100, (0.78, 0.25, -0.10), (0.07, 0.01, 0.02, 0.04, -0.03, -0.03, 0.00, 0.02)),
        Wave(0.50, 0.085, (0.78, 0.47, 0.48), (0.03, 0.00, 0.13, -0.11, -0.01, 0.07, 0.01, -0.03)),
        Wave(0.63, 0.092, (-0.06, 0.08, 0.55), (0.06, 0.02, 0.02, -0.04, 0.05, -0.03, -0.04, 0.01)),
        Wave(0.80, 0.091, (-0.07, 0.00, 0.19), (0.00, 0.01, -0.01, -0.03, 0.03, 0.01, -0.01, -0.03)),
    ),
    # The left ventricle as ever, then slowly the right one: forces to the right and front (R' in V1, S in I and V6).
    "RBBB": (
        Wave(0.16, 0.080, (-0.01, 0.02, -0.08), (-0.05, -0.02, 0.01, 0.00, -0.01, 0.01, 0.01, 0.02)),
        Wave(0.27, 0.072, (0.85, 0.17, -0.17), (0.09, 0.00, 0.03, 0.12, -0.13, -0.02, 0.05, 0.05)),
        Wave(0.40, 0.086, (-0.17, -0.12, 0.04), (0.17, 0.05, -0.03, 0.06, 0.03, -0.12, -0.06, 0.05)),
        Wave(0.55, 0.083, (-0.20, -0.06, -0.32), (-0.06, -0.02, 0.00, -0.01, 0.03, -0.02, 0.01, 0.04)),
        Wave(0.71, 0.092, (-0.38, -0.06, -0.42), (-0.03, -0.05, 0.26, -0.13, -0.08, 0.04, 0.10, 0.13)),
        Wave(0.85, 0.083, (-0.14, 0.01, -0.03), (-0.06, -0.04, 0.20, -0.14, -0.02, 0.06, 0.06, 0.04)),
    ),
    # The septum from the right, then slowly the left ventricle: to the left and back throughout, notched, without q.
    "LBBB": (
        Wave(0.16, 0.079, (0.02, -0.03, -0.42), (-0.01, 0.00, -0.02, 0.01, 0.02, -0.02, -0.01, 0.02)),
        Wave(0.30, 0.100, (0.45, 0.29, 1.02), (0.01, 0.03, 0.01, -0.15, 0.04, 0.10, 0.02, -0.18)),
        Wave(0.41, 0.106, (0.13, 0.05, 0.92), (0.26, 0.05, 0.01, 0.06, -0.16, -0.12, 0.00, -0.04)),
        Wave(0.53, 0.100, (0.20, 0.28, 0.88), (0.07, 0.00, 0.12, -0.05, -0.15, -0.19, 0.22, 0.08)),
        Wave(0.69, 0.116, (0.20, -0.26, 0.66), (0.33, 0.04, 0.10, 0.08, -0.12, -0.32, 0.14, 0.26)),
    ),
}
# From the end of QRS: J point, ST segment, T. Times are only relative: the T wave is stretched to the drawn QT.
T_WAVES: Final = {
    "normal": (
        Wave(0.000, 0.030, (-0.02, 0.00, 0.00)),
        Wave(0.087, 0.051, (0.02, 0.01, -0.07), (0.01, 0.00, -0.01, 0.03, -0.01, -0.01, 0.00, 0.01)),
        Wave(0.180, 0.039, (0.06, 0.00, -0.12), (0.02, 0.01, -0.06, 0.06, 0.00, -0.03, -0.02, 0.02)),
        Wave(0.217, 0.044, (0.19, 0.13, -0.07), (0.06, 0.01, -0.01, 0.05, -0.03, -0.03, -0.01, 0.03)),
    ),
    "RBBB": (
        Wave(0.000, 0.029, (-0.02, 0.01, 0.00), (-0.01, 0.00, 0.01, -0.01, 0.00, 0.01, 0.00, 0.00)),
        Wave(0.087, 0.052, (0.05, 0.02, 0.04), (0.02, 0.01, -0.03, 0.02, 0.01, -0.01, -0.02, -0.01)),
        Wave(0.172, 0.038, (0.13, 0.05, 0.11), (0.06, 0.02, -0.06, 0.05, 0.00, -0.02, -0.02, -0.02)),
        Wave(0.225, 0.050, (0.06, 0.04, -0.05), (0.03, 0.01, -0.01, 0.03, -0.01, -0.02, -0.01, 0.01)),
    ),
    "LBBB": (
        Wave(0.002, 0.031, (-0.04, -0.03, -0.11), (-0.02, 0.00, 0.00, -0.01, 0.01, 0.01, -0.01, 0.01)),
        Wave(0.096, 0.057, (-0.10, -0.05, -0.37), (-0.06, -0.01, -0.02, 0.02, 0.02, 0.02, -0.04, 0.01)),
        Wave(0.169, 0.039, (-0.05, -0.05, -0.43), (-0.08, -0.01, -0.07, 0.01, 0.02, 0.03, -0.04, 0.00)),
        Wave(0.215, 0.043, (0.08, 0.07, -0.02), (0.03, 0.01, -0.01, 0.01, 0.00, -0.02, -0.01, 0.00)),
    ),
}


T_BEGINS: Final = 0.12  # of ST-T: waves centred before are its ST segment, later ones T


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A complex before it reaches the leads: ``at``, ``width`` (K,), ``dipole`` (3, K) mV, ``detail`` (8, K) mV."""

    at: Floats
    width: Floats
    dipole: Floats
    detail: Floats

    @classmethod
    def of(cls, waves: tuple[Wave, ...]) -> "Shape":
        """Gather a table's waves."""
        at, width, dipole, detail = (np.array(column, float) for column in zip(*waves, strict=True))
        return cls(at, width, dipole.T, detail.T)

    def plus(self, at: float, width: float, dipole: tuple[float, float, float]) -> "Shape":
        """Return the shape with one more wave."""
        return Shape(
            np.append(self.at, at),
            np.append(self.width, width),
            np.column_stack([self.dipole, dipole]),
            np.column_stack([self.detail, np.zeros(8)]),
        )


SHAPES: Final = {name: Shape.of(waves) for name, waves in QRS_WAVES.items()}
T_SHAPES: Final = {name: Shape.of(waves) for name, waves in T_WAVES.items()}
P_SHAPE: Final = Shape.of(P_WAVES)
