"""Peak memory of a region of an image that is larger than the memory of many machines."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_region_of_eight_gigabytes_takes_a_fraction_of_one(tmp_path):
    command = [sys.executable, "-m", "tests.io.zarr_memory_probe", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["shape"] == [2000, 2000, 1000]
    assert found["labelled"] > 0
    assert found["image"] == 8e9
    assert found["taken"] < 0.4e9
