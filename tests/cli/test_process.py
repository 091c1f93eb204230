"""Real processes: exit codes, Ctrl-C, and files that are broken in ways that were met."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import Volume, load_labels, save
from napari_effseg.io.effseg import read_session
from tests.session.test_sessions import promptable

EFFSEG = [sys.executable, "-c", "import sys; from napari_effseg.cli import main; sys.exit(main())"]


def environment(models: Path) -> dict[str, str]:
    return {**os.environ, "EFFSEG_CARDS": str(models), "OMP_NUM_THREADS": "1"}


def large_scan(folder: Path) -> Path:
    voxels = np.random.default_rng(0).normal(100, 20, (200, 180, 160)).astype(np.float32)
    return save(Volume(voxels, np.diag([1.0, 1.2, 0.8, 1.0])), folder / "large.nii")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_computing_ends_with_3_and_leaves_nothing(
    models: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = [*EFFSEG, "segment", str(large_scan(tmp_path)), "-m", "synthetic"]
    process = subprocess.Popen(command, env=environment(models), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    plan = process.stderr.readline()  # the plan is said before the first window
    time.sleep(0.5)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert "windows" in plan
    assert (process.returncode, said) == (3, "effseg: cancelled\n")
    assert [path.name for path in tmp_path.iterdir()] == ["large.nii"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_leaves_an_older_output_as_it_was(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.nrrd"
    output.write_text("old")
    command = [*EFFSEG, "segment", str(large_scan(tmp_path)), "-m", "synthetic", "-o", str(output)]
    process = subprocess.Popen(command, env=environment(models), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 3
    assert output.read_text() == "old"


def test_a_process_that_did_its_work_ends_with_0(models: Path, scan: Path) -> None:
    command = [*EFFSEG, "segment", str(scan), "-m", "synthetic"]
    run = subprocess.run(command, env=environment(models), capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert load_labels(scan.with_name("scan 1_seg.nii.gz")).shape == (20, 14, 10)


def test_a_broken_file_ends_a_process_with_2_and_one_line(models: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii.gz"
    scan.write_text("no image")
    command = [*EFFSEG, "segment", str(scan), "-m", "synthetic"]
    run = subprocess.run(command, env=environment(models), capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert "scan.nii.gz" in run.stderr


def test_prompts_go_on_in_a_new_process(models: Path, scan: Path, tmp_path: Path) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    common = ["-o", str(tmp_path / "out.nrrd"), "--session", str(tmp_path / "case.effseg")]
    command = [*EFFSEG, "prompt", str(scan), *common, "--point"]
    for more in (["5,6,4", "-m", str(promptable(folder))], ["15,9,4"]):
        run = subprocess.run(
            [*command, *more], env=environment(models), capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    assert len(read_session(tmp_path / "case.effseg").history.applied) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be no text")
def test_a_file_name_that_is_no_text_is_no_trouble(models: Path, scan: Path) -> None:
    odd = os.fsencode(scan.parent) + b"/scan\xff.nii.gz"
    os.rename(scan, odd)
    command = [*EFFSEG, "segment", odd, "-m", "synthetic", "--report", os.fsencode(scan.parent) + b"/r.json"]
    run = subprocess.run(command, env=environment(models), capture_output=True, check=False)
    assert (run.returncode, run.stderr.count(b"\n")) == (0, 1)
    assert len(list(scan.parent.iterdir())) == 4
