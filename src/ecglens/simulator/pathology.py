"""What disease does to the shapes of P, QRS and ST-T, as changes of their waves.

Directions: x to the left, y to the feet, z to the back. Criteria and mechanisms: Surawicz et al. (conduction),
Circulation 119:e235, 2009; Hancock et al. (hypertrophy), 119:e251; Rautaharju et al. (ST, T, QT), 119:e241; Wagner et
al. (infarction), 119:e262. These say what changes and which way; by how much is ours, chosen so that R, S and T in each
lead are spread as in the groups of PTB-XL. A finding is what was done to the heart: not every one meets the voltage
criteria of the textbooks, just as in clinics.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from ecglens.simulator.rhythm import Floats
from ecglens.simulator.shapes import P_SHAPE, SHAPES, T_BEGINS, T_SHAPES, Shape

Direction = tuple[float, float, float]

# Where scars lie, seen from the middle of the heart.
_SCARS: Final[dict[str, Direction]] = {
    "IMI": (0.0, 0.95, 0.3),
    "ASMI": (-0.1, 0.0, -1.0),
    "AMI": (0.45, 0.0, -0.9),
    "LMI": (0.95, -0.1, 0.3),
}
_LATERAL, _INFERIOR, _ANTERIOR = (0.9, 0.15, -0.4), (0.2, 1.0, 0.0), (0.45, 0.0, -0.9)


def rotation(about_z: float, about_y: float, about_x: float) -> Floats:
    """Return the (3, 3) rotation by angles in radians; a positive first angle turns the frontal axis clockwise."""
    (cz, cy, cx), (sz, sy, sx) = np.cos((about_z, about_y, about_x)), np.sin((about_z, about_y, about_x))
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return np.asarray(z @ y @ x)


# --- Depolarisation --------------------------------------------------------------------------------------------------


def depolarisation(findings: frozenset[str], rng: np.random.Generator) -> Shape:
    """Return the QRS of a heart with ``findings``, before it is turned and varied as one person's."""
    shape = SHAPES[_table(findings)]
    if "IRBBB" in findings:  # the right ventricle a little late
        size = rng.uniform(0.15, 0.32)
        shape = replace(shape, dipole=shape.dipole * np.array([[1], [1], [rng.uniform(0.5, 1)]]))
        shape = shape.plus(rng.uniform(0.84, 0.92), 0.07, (-size, rng.normal(0, 0.05), -rng.uniform(0.7, 1.3) * size))
    if "IVCD" in findings:
        for at in rng.uniform(0.35, 0.95, 2):
            shape = shape.plus(at, rng.uniform(0.04, 0.08), tuple(rng.normal(0, 0.16, 3)))
    if "WPW" in findings:
        shape = _preexcited(shape, rng)
    for scar in _scars(findings):
        shape = _scarred(shape, np.array(scar), rng)
    if "LVH" in findings:
        shape = _left_hypertrophy(shape, rng)
    if "RVH" in findings:
        shape = replace(shape, dipole=_turned_right(rng) @ shape.dipole, detail=0.3 * shape.detail)
    if findings & {"LAFB", "LPFB"}:
        shape = _fascicle_blocked(shape, "LAFB" in findings, rng)
    return shape


def _scars(findings: frozenset[str]) -> list[Direction]:
    """Where the scars among ``findings`` lie, always in the same order."""
    return [place for code, place in _SCARS.items() if code in findings]


def _table(findings: frozenset[str]) -> str:
    if findings & {"LBBB", "ILBBB", "PACE"}:
        return "LBBB"
    return "RBBB" if "RBBB" in findings else "normal"


def ectopic(rng: np.random.Generator) -> tuple[Shape, Shape]:
    """Return QRS and T of a beat that begins in the ventricles: slow from end to end, in any direction."""
    left = rng.random() < 0.45  # from the left ventricle the forces point to the front
    turn = rotation(rng.uniform(-1.6, 1.6), rng.normal(2.2 if left else 0, 0.45), rng.normal(0, 0.3))
    qrs, t = SHAPES["LBBB"], T_SHAPES["LBBB"]
    return (
        replace(qrs, dipole=turn @ qrs.dipole, detail=0.4 * qrs.detail),
        replace(t, dipole=1.3 * turn @ t.dipole, detail=0.4 * t.detail),
    )


def _preexcited(shape: Shape, rng: np.random.Generator) -> Shape:
    """A slow delta wave from the ring of the mitral or tricuspid valve, which the usual QRS joins."""
    share = rng.uniform(0.25, 0.42)
    later = replace(shape, at=share + (1 - share) * shape.at, width=(1 - share) * shape.width)
    left, high = rng.random() < 0.55, rng.random() < 0.5
    towards = (rng.uniform(-0.2, 0.4) if left else rng.uniform(0.4, 0.8), 0.5 if high else -0.4, -0.6 if left else 0.3)
    size = rng.uniform(0.35, 0.6)
    return later.plus(1.15 * share, 0.55 * share, (size * towards[0], size * towards[1], size * towards[2]))


def _scarred(shape: Shape, scar: Floats, rng: np.random.Generator) -> Shape:
    """Dead muscle adds nothing: early forces point away from it, later ones towards it are smaller."""
    early = np.exp(-0.5 * ((shape.at - 0.3) / 0.16) ** 2)
    towards = scar @ shape.dipole
    lost = np.maximum(towards, 0) * early * rng.uniform(0.7, 1.1) + 0.1 * early * rng.lognormal(0, 0.4)
    dipole = shape.dipole - scar[:, None] * lost
    away = rng.uniform(0.12, 0.42)
    nearby = 1 - 0.5 * early * (scar[2] < -0.5)  # chest electrodes over the scar
    scarred = replace(shape, dipole=dipole, detail=shape.detail * nearby)
    x, y, z = (-away * scar).tolist()
    return scarred.plus(rng.uniform(0.18, 0.3), rng.uniform(0.07, 0.11), (x, y, z))


def _left_hypertrophy(shape: Shape, rng: np.random.Generator) -> Shape:
    """More muscle to the left and the back."""
    more = rng.uniform(1.25, 1.9)
    return replace(shape, dipole=shape.dipole * np.array([[more], [1.0], [more * rng.uniform(0.9, 1.15)]]))


def _turned_right(rng: np.random.Generator) -> Floats:
    """The right ventricle outweighs the left: forces to the right and to the front."""
    return rotation(rng.uniform(0.9, 1.6), rng.uniform(0.6, 1.3), 0)


def _fascicle_blocked(shape: Shape, anterior: bool, rng: np.random.Generator) -> Shape:
    """The left ventricle from one of its two fascicles: first away from the blocked one, then long towards it."""
    first, towards = (rng.uniform(0.3, 0.7), -1) if anterior else (-rng.uniform(0.3, 0.7), 1)
    swing = rng.uniform(0.8, 1.25) if anterior else rng.uniform(0.9, 1.4)
    left = np.clip(shape.dipole[0] / shape.dipole[0].max(), 0, 1)  # a blocked right bundle's late forces stay
    share = np.maximum(left, np.interp(shape.at, [0.55, 0.75], [0, 1]) * (shape.dipole[0] > -0.12))
    dipole = shape.dipole.copy()
    for k, (at, part) in enumerate(zip(shape.at, share, strict=True)):
        angle = first if at < 0.25 else towards * swing * float(np.interp(at, [0.3, 0.5], [0.6, 1.1])) * part
        dipole[:, k] = rotation(angle, 0, 0) @ dipole[:, k]
    start = (-0.1, 0.17, -0.05) if anterior else (0.14, -0.2, -0.05)
    shape = replace(shape, dipole=dipole).plus(0.2, 0.09, start)
    return shape.plus(0.64, 0.09, (-rng.uniform(0.25, 0.6), -0.1, 0.1)) if anterior else shape


# --- Repolarisation --------------------------------------------------------------------------------------------------


def repolarisation(findings: frozenset[str], rng: np.random.Generator) -> Shape:
    """Return the ST-T of a heart with ``findings``, before it is turned and varied as one person's."""
    shape = T_SHAPES[_table(findings)]
    if "LVH" in findings and rng.random() < 0.5:  # strain
        shape = _shifted(_inverted(shape, _LATERAL, rng.uniform(0.9, 1.8)), _LATERAL, -rng.uniform(0.03, 0.12))
    if "RVH" in findings:
        shape = _inverted(shape, _ANTERIOR, rng.uniform(1.0, 2.0))
    if "WPW" in findings:
        shape = _inverted(shape, _LATERAL, rng.uniform(0.3, 1.6))
    for scar in _scars(findings):
        if rng.random() < 0.6:
            shape = _inverted(shape, scar, rng.uniform(0.8, 2.0))
        if rng.random() < 0.25:
            shape = _shifted(shape, scar, rng.uniform(0.03, 0.15))
    if "INVT" in findings:
        shape = _inverted(shape, _where(rng), rng.uniform(1.3, 2.8))
    if "STD" in findings:
        shape = _shifted(shape, _where(rng, (0.75, 0.2, 0.05)), -rng.uniform(0.06, 0.2))
        shape = _inverted(shape, _LATERAL, rng.uniform(0.0, 1.2))
    if "STE" in findings:
        shape = _shifted(shape, _where(rng), rng.uniform(0.12, 0.35))
    return shape


def _where(rng: np.random.Generator, shares: tuple[float, float, float] = (0.4, 0.25, 0.35)) -> Direction:
    return (_LATERAL, _INFERIOR, _ANTERIOR)[rng.choice(3, p=shares)]


def _inverted(shape: Shape, towards: Direction, by: float) -> Shape:
    """T forces towards a place lessened (``by`` below 1) or turned round (above)."""
    unit = np.array(towards) / np.linalg.norm(towards)
    is_t = shape.at > T_BEGINS
    forces = np.maximum(unit @ shape.dipole, 0.35 * np.linalg.norm(shape.dipole, axis=0)) * is_t
    return replace(
        shape,
        dipole=shape.dipole - by * unit[:, None] * forces,
        detail=shape.detail * np.where(is_t, max(1 - by, -0.5), 1),
    )


def _shifted(shape: Shape, towards: Direction, by: float) -> Shape:
    """ST segment raised or lowered by ``by`` mV of dipole towards a place, from the J point into T."""
    x, y, z = (by * np.array(towards)).tolist()
    return shape.plus(0.01, 0.035, (x, y, z)).plus(0.08, 0.055, (0.9 * x, 0.9 * y, 0.9 * z))


# --- Atria -----------------------------------------------------------------------------------------------------------


def atrial(findings: frozenset[str]) -> Shape:
    """Return the P wave of a heart with ``findings``: the right atrium's half, then the left's."""
    right = 1.7 if "RAE" in findings else 1.0
    left = 1.6 if "LAE" in findings else 1.0
    later = 0.08 if "LAE" in findings else 0.0
    back = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.8 if "LAE" in findings else 1.0]])
    return replace(P_SHAPE, at=P_SHAPE.at + np.array([0, later]), dipole=P_SHAPE.dipole * [right, left] * back)
