"""Shared fixtures. Real ECGs are looked for in $ECGLENS_DATA, then in shared/data beside the project."""

import os
from pathlib import Path

import numpy as np
import pytest

from ecglens.io import wfdb
from ecglens.labels import BY_KEY
from ecglens.simulator import simulate


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real ECGs; skips the test where there is none."""
    folder = Path(os.environ.get("ECGLENS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real ECGs at {folder}: set ECGLENS_DATA to test with them")
    return folder


@pytest.fixture(scope="session")
def simulated_ptbxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in PTB-XL's layout: 30 simulated exams, three a fold, all diagnoses and both sexes in each."""
    folder = tmp_path_factory.mktemp("ptbxl")
    lines = ["ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr"]
    kinds = (("AF", "RBBB", "male"), ("ST", "LBBB", "female"), ("SB", "1dAVb", "male"))
    for i in range(30):
        labels = kinds[i % 3]
        record = simulate(labels, rng=np.random.default_rng(i), fs=100)
        name = f"records100/{i:05d}_lr"
        wfdb.write(record, folder / name)
        codes = {BY_KEY[key].ptbxl: 0.0 for key in labels if key not in ("male", "female")}
        lines.append(f'{i},{i},60,{0 if "male" in labels else 1},"{codes}",{i // 3 + 1},{name}')
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    return folder
