"""Several processes train one network as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RECIPE = """
batch_size = 24
average = 0.5

[[stages]]
epochs = 5
lr = 1e-3
"""
OF_READ_PAGES = """
fs = 100.0
seconds = 10.0
beats = true
partial = true
read = 4
layouts = ["3x4+1"]
"""


@pytest.mark.parametrize("kind", ["", OF_READ_PAGES], ids=["signals", "read pages"])
def test_two_processes_train_as_one_does(kind: str, simulated_ptbxl: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(kind + RECIPE)
    logs = []
    for size in (1, 2):
        out = tmp_path / str(size)
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
        train = ["-m", "ecglens", "train", "signal", "--data", simulated_ptbxl, "--recipe", tmp_path / "recipe.toml"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*torchrun, *train, "--out", out, "--workers", "0"], check=True, env=environment)
        logs.append([json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()])
    assert [line["epoch"] for line in logs[0]] == [line["epoch"] for line in logs[1]] == [1, 2, 3, 4, 5]
    one, two = (np.array([line["loss"] for line in log]) for log in logs)
    np.testing.assert_allclose(one, two, rtol=0.1)
    assert one[-1] < one[0]
    assert two[-1] < two[0]
