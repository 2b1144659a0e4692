"""Shared fixtures. Real ECGs are looked for in $ECGLENS_DATA, then in ../shared/data beside the project."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real ECGs; skips the test where there is none."""
    folder = Path(os.environ.get("ECGLENS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real ECGs at {folder}: set ECGLENS_DATA to test with them")
    return folder
