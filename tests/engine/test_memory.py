"""Peak memory, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def measured(*arguments):
    command = [sys.executable, "-m", "tests.engine.memory_probe", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("spacing", [(), (1.5,)], ids=["as stored", "resampled"])
def test_the_planned_memory_is_within_a_factor_of_two(spacing):
    found = measured(200, 200, 160, *spacing)
    assert found["peak"] / 2 <= found["planned"] <= found["peak"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [(), (1.5,)], ids=["as stored", "resampled"])
def test_a_large_ct_runs_in_a_fraction_of_six_gigabytes(spacing):
    found = measured(512, 512, 400, *spacing)
    assert found["peak"] < 2.5e9
    assert found["peak"] / 2 <= found["planned"] <= found["peak"] * 2
