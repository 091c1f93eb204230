"""`effseg batch`: exit codes, what it says, Ctrl-C, and a kill in the midst of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from napari_effseg import load_labels, zoo

from .conftest import Batch, Scans, visible

EFFSEG = [sys.executable, "-c", "import sys; from napari_effseg.cli import main; sys.exit(main())"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console")


def test_all_done_is_0_and_a_bad_case_2(effseg, scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    folder = scans("a.nii")
    arguments = ("batch", folder, "-m", card.path, "-o", tmp_path / "out", "--device", "cpu")
    assert effseg(*arguments).code == 0
    (folder / "b.nii").write_bytes(b"no image")
    ran = effseg(*arguments)
    assert ran.code == 2
    assert [line.split("  ")[0] for line in ran.out.splitlines()[1:3]] == ["b", "a"]
    assert "done before" in ran.out
    assert "1 of 2 cases failed; the others are done" in ran.err


def test_a_dry_run_lists_and_does_nothing(effseg, scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    ran = effseg("batch", scans("a.nii", "p/b.nii"), "-m", card.path, "-o", tmp_path / "out", "--dry-run")
    assert ran.code == 0
    assert "p/b_seg.nii.gz" in ran.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "{tmp}/no/out"), "does not exist; create it"),
        (("-o", "{tmp}/in/a.nii"), "is a file; give a folder"),
        (("-o", "{tmp}/out", "--workers", "2", "--scheduler", "x"), "give one of them"),
        (("-o", "{tmp}/out", "--bids-suffix", "T1w"), "no BIDS data set"),
        (("-o", "{tmp}/out", "--pattern", "*.mha"), "there is no case"),
        (("-o", "{tmp}/out", "--suffix", ".pdf"), "cannot be written"),
    ],
)
def test_bad_usage_is_2_and_one_line(
    effseg, scans: Scans, card: zoo.Card, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = [text.replace("{tmp}", str(tmp_path)) for text in arguments]
    ran = effseg("batch", scans("a.nii"), "-m", card.path, *given)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


def start(folder: Path, card: zoo.Card, *options: str) -> subprocess.Popen[str]:
    command = [
        *EFFSEG,
        "batch",
        str(folder),
        "-m",
        str(card.path),
        "-o",
        str(folder.parent / "out"),
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_lines(ledger: Path, count: int) -> None:
    for _ in range(1200):
        if ledger.is_file() and ledger.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.05)
    pytest.fail("the batch did not come so far")


@posix
def test_killed_in_the_midst_it_leaves_whole_files_and_goes_on(
    scans: Scans, card: zoo.Card, batch: Batch, tmp_path: Path
) -> None:
    folder = scans(*(f"{number}.nii" for number in range(20)))
    process = start(folder, card, "--workers", "2", "--device", "cpu")
    wait_for_lines(tmp_path / "out" / "batch.jsonl", 1)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=60)  # they see that nobody asks any more
    assert (len(workers) >= 2, alive) == (True, [])
    for name in visible(tmp_path / "out"):
        if name.endswith("_seg.nii.gz") and not name.startswith("."):
            assert load_labels(tmp_path / "out" / name).shape == (12, 10, 8)
    lines = (tmp_path / "out" / "batch.jsonl").read_text().splitlines()
    done = {json.loads(line)["case"] for line in lines if line.endswith("}")}
    result = batch(folder)
    assert not result.failed
    assert {one.result.case for one in result.outcomes if one.is_old} == done
    assert 1 <= len(done) < 20


@posix
def test_ctrl_c_ends_with_3_and_keeps_what_is_done(scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    folder = scans(*(f"{number}.nii" for number in range(20)))
    process = start(folder, card, "--device", "cpu", "--workers", "2")
    wait_for_lines(tmp_path / "out" / "batch.jsonl", 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers too
    said = process.communicate(timeout=120)[1]
    out = tmp_path / "out"
    done = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert process.returncode == 3
    assert said.splitlines()[-1] == "effseg: cancelled"
    assert "Traceback" not in said
    assert 1 <= len(done) < 20
    assert len(list(out.glob("*_seg.nii.gz"))) == len(done)
    assert (out / "summary.csv").read_text().count("done") == len(done)
    assert not (out / ".effseg-batch").exists()
