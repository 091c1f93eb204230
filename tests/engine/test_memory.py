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


def within_a_factor_of_two(found):
    return found["peak"] / 2 <= found["planned"] <= found["peak"] * 2


@pytest.mark.parametrize(
    "options", [(200, 200, 160), (64, 64, 64, "--network")], ids=["a large image", "a large network"]
)
def test_the_planned_memory_is_within_a_factor_of_two(options):
    assert within_a_factor_of_two(measured(*options))


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--spacing", 1.5)], ids=["as stored", "resampled"])
def test_a_large_ct_runs_in_a_fraction_of_six_gigabytes(options):
    found = measured(512, 512, 400, *options)
    assert found["peak"] < 2.5e9
    assert within_a_factor_of_two(found)


@pytest.mark.slow
def test_a_hundred_classes_need_no_float_volume_for_each():
    found = measured(256, 256, 400, "--spacing", 1.5, "--classes", 105)
    whole = 4 * 105 * 256 * 256 * 400
    assert found["peak"] < whole / 2
    assert within_a_factor_of_two(found)
