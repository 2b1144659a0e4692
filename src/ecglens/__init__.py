"""Read a 12-lead ECG from a picture or a signal: six diagnoses and sex, and where the evidence lies.

>>> import numpy as np
>>> import ecglens
>>> answer = ecglens.diagnose(ecglens.simulate({"AF"}, rng=np.random.default_rng(1)))
>>> answer.readable, answer.labels["AF"].positive
(True, True)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecglens.diagnosis import Diagnosis, Finding, diagnose, diagnose_file
    from ecglens.errors import EcgLensError
    from ecglens.io import read
    from ecglens.paper import Page, render
    from ecglens.record import Record
    from ecglens.simulator import simulate

__all__ = [
    "Diagnosis",
    "EcgLensError",
    "Finding",
    "Page",
    "Record",
    "diagnose",
    "diagnose_file",
    "read",
    "render",
    "simulate",
]

__version__ = "0.1.0"

_HOMES = {
    "Diagnosis": "diagnosis",
    "Finding": "diagnosis",
    "diagnose": "diagnosis",
    "diagnose_file": "diagnosis",
    "EcgLensError": "errors",
    "read": "io",
    "Page": "paper",
    "render": "paper",
    "Record": "record",
    "simulate": "simulator",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used, so that ``import ecglens`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ecglens' has no attribute {name!r}")
    return getattr(import_module(f"ecglens.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
