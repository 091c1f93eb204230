"""A batch in this process: bad cases among good ones, going on, trying again, stopping."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_effseg import Cancelled, load_labels, zoo
from napari_effseg.batch import (
    BatchOptions,
    CaseResult,
    Status,
    Wanted,
    find_cases,
    room,
    run,
    run_batch,
    work,
)
from napari_effseg.errors import ConfigError, ExportError
from tests.cli.conftest import AFFINE
from tests.cli.test_json_docs import NAMED, keys_of
from tests.io.dicom.synthetic import slices, write

from .conftest import Batch, Scans, visible


def statuses(result) -> dict[str, str]:
    return {one.result.case: "old" if one.is_old else one.result.status.value for one in result.outcomes}


def test_the_one_who_hands_out_needs_no_torch() -> None:
    code = "import sys, napari_effseg.batch.local_pool; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


def test_each_case_gets_its_label_map_and_report(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    batch(scans("a.nii.gz", "ward/b.nrrd"))
    out = tmp_path / "out"
    of_a, of_b = (
        ["a_report.json", "a_seg.nii.gz", "a_seg.tsv"],
        ["b_report.json", "b_seg.nii.gz", "b_seg.tsv"],
    )
    own = ["batch.jsonl", "summary.csv", "summary.html"]
    assert visible(out) == sorted([*own, *of_a, *(f"ward/{name}" for name in of_b)])
    assert np.allclose(load_labels(out / "ward/b_seg.nii.gz").affine, AFFINE, atol=1e-4)
    assert json.loads((out / "a_report.json").read_text())["weights_sha256"]


def test_a_bad_case_is_reported_and_the_others_done(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    folder = scans("a.nii.gz", "z.nii.gz")
    (folder / "m.nii.gz").write_text("no image")
    result = batch(folder)
    assert statuses(result) == {"a": "done", "m": "bad input", "z": "done"}
    assert "m.nii.gz: is not a NIfTI file" in result.failed[0].words
    assert not list((tmp_path / "out").glob("m_*"))


def test_a_fault_of_ours_ends_one_case(scans: Scans, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_effseg import engine

    def broken(volume, *_):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(engine, "segment", broken)
    (failed,) = batch(scans("a.nii.gz")).failed
    assert (failed.status, "ZeroDivisionError: by nothing" in failed.words) == (Status.FAULT, True)
    assert "Traceback" in failed.details


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".mha", "nii"])
def test_the_ending_picks_the_format(scans: Scans, batch: Batch, tmp_path: Path, suffix: str) -> None:
    batch(scans("a.nii.gz"), suffix=suffix)
    name = {".seg.nrrd": "a.seg.nrrd", ".mha": "a_seg.mha", "nii": "a_seg.nii"}[suffix]
    assert load_labels(tmp_path / "out" / name).names == {1: "left kidney", 2: "liver"}


def test_an_unknown_ending_is_refused_before_anything_runs(
    scans: Scans, batch: Batch, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="cannot be written"):
        batch(scans("a.nii.gz"), suffix=".jpg")
    assert not (tmp_path / "out").exists()


def test_dicom_series_get_dicom_segmentations(batch: Batch, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(100, 20, (12, 10, 8)).astype(np.int16)
    write(tmp_path / "in" / "anna", slices(voxels, AFFINE))
    assert statuses(batch(tmp_path / "in", suffix=".dcm")) == {"anna": "done"}
    labels = load_labels(tmp_path / "out" / "anna_seg.dcm")
    assert set(labels.names.values()) <= {"left kidney", "liver"}


def test_channels_are_segmented_as_one_case(scans: Scans, batch: Batch, two_channels: zoo.Card) -> None:
    folder = scans("a_0000.nii.gz", "a_0001.nii.gz")
    assert statuses(batch(folder, Wanted(two_channels.path))) == {"a": "done"}


def test_a_region_of_all_cases_may_fit_some(
    scans: Scans, batch: Batch, card: zoo.Card, tmp_path: Path
) -> None:
    scans("small.nii.gz", size=(6, 6, 6))
    folder = scans("large.nii.gz")
    result = batch(folder, Wanted(card.path, roi=(((0, 0, 0), (12, 10, 4)),)))
    assert statuses(result) == {"large": "done", "small": "bad input"}
    assert not load_labels(tmp_path / "out" / "large_seg.nii.gz").data[:, :, 4:].any()


# --- going on ---


def test_what_is_done_is_not_done_again(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    folder = scans("a.nii.gz", "b.nii.gz")
    first, labels = batch(folder), tmp_path / "out" / "a_seg.nii.gz"
    before = labels.stat().st_mtime_ns
    second = batch(folder)
    assert statuses(second) == {"a": "old", "b": "old"}
    assert labels.stat().st_mtime_ns == before
    assert [one.result for one in second.outcomes] == [one.result for one in first.outcomes]


def test_a_new_case_alone_is_done(scans: Scans, batch: Batch) -> None:
    folder = scans("a.nii.gz")
    batch(folder)
    shutil.copy(folder / "a.nii.gz", folder / "b.nii.gz")
    assert statuses(batch(folder)) == {"a": "old", "b": "done"}


def test_a_changed_image_is_done_again(scans: Scans, batch: Batch) -> None:
    folder = scans("a.nii.gz", "b.nii.gz")
    batch(folder)
    os.utime(folder / "b.nii.gz", (1, 1))
    assert statuses(batch(folder)) == {"a": "old", "b": "done"}


def test_a_slice_that_is_added_to_a_series_is_seen(batch: Batch, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(100, 20, (12, 10, 8)).astype(np.int16)
    whole = slices(voxels, AFFINE)
    write(tmp_path / "in" / "anna", whole[:7])
    batch(tmp_path / "in")
    write(tmp_path / "in" / "anna", whole)
    assert statuses(batch(tmp_path / "in")) == {"anna": "done"}
    assert load_labels(tmp_path / "out" / "anna_seg.nii.gz").shape == (12, 10, 8)


def test_other_weights_do_it_again(scans: Scans, batch: Batch, card: zoo.Card, tmp_path: Path) -> None:
    from tests.zoo.synthetic import synthetic_card

    folder = scans("a.nii.gz")
    batch(folder)
    other = synthetic_card(tmp_path / "other", seed=1, input=card.input)
    assert statuses(batch(folder, Wanted(other.path))) == {"a": "done"}


@pytest.mark.parametrize("changes", [{"overlay": True}, {"suffix": ".nrrd"}])
def test_other_options_do_it_again(scans: Scans, batch: Batch, changes: dict[str, object]) -> None:
    folder = scans("a.nii.gz")
    batch(folder)
    assert statuses(batch(folder, **changes)) == {"a": "done"}


def test_a_result_that_was_taken_away_is_made_again(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    folder = scans("a.nii.gz")
    batch(folder)
    (tmp_path / "out" / "a_seg.nii.gz").unlink()
    assert statuses(batch(folder)) == {"a": "done"}


def test_a_line_that_a_crash_cut_off_is_as_if_not_written(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    folder = scans("a.nii.gz", "b.nii.gz")
    batch(folder)
    ledger = tmp_path / "out" / "batch.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])
    assert statuses(batch(folder)) == {"a": "old", "b": "done"}
    assert statuses(batch(folder)) == {"a": "old", "b": "old"}


def test_what_a_killed_run_left_is_cleared_away(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    left = tmp_path / "out" / ".effseg-batch" / "dead" / "half"
    left.mkdir(parents=True)
    (left / "a_seg.nii.gz").write_text("half")
    (left.parents[1] / "lock.json").write_text('{"machine": ')
    batch(scans("a.nii.gz"))
    assert not (tmp_path / "out" / ".effseg-batch").exists()


def test_two_batches_do_not_share_a_folder(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    from napari_effseg.batch.room import OutputRoom

    with OutputRoom(tmp_path / "out"), pytest.raises(ConfigError, match="another batch"):
        batch(scans("a.nii.gz"))


def test_a_full_disk_is_told_by_its_folder(scans: Scans, batch: Batch, tmp_path: Path, monkeypatch) -> None:
    """What a write that found no room left raises names no file."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(work, "_write", full)
    (failed,) = batch(scans("a.nii.gz")).failed
    assert failed.words == f"{tmp_path / 'out'}: {os.strerror(errno.ENOSPC)}"


def lock_of(pid: int) -> str:
    since = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 1.0
    return json.dumps({"machine": platform.node(), "pid": pid, "since": since})


def test_a_batch_that_begins_at_the_same_moment_is_seen(tmp_path: Path, monkeypatch) -> None:
    """Its lock is there, and not written yet."""
    lock = tmp_path / "out" / ".effseg-batch" / "lock.json"
    lock.parent.mkdir(parents=True)
    lock.touch()
    monkeypatch.setattr(room.time, "sleep", lambda _: lock.write_text(lock_of(os.getpid())))
    with pytest.raises(ConfigError, match="another batch"), room.OutputRoom(tmp_path / "out"):
        pass
    assert lock.read_text() == lock_of(os.getpid())


def test_of_two_batches_that_find_a_dead_one_a_single_one_goes_on(tmp_path: Path, monkeypatch) -> None:
    lock = tmp_path / "out" / ".effseg-batch" / "lock.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(lock_of(2**22 + 1))
    judge = room.OutputRoom._refuse_living

    def judged_while_another_takes_over(found: room.OutputRoom, path: Path) -> str:
        said = judge(found, path)
        lock.write_text(lock_of(os.getpid()))
        return said

    monkeypatch.setattr(room.OutputRoom, "_refuse_living", judged_while_another_takes_over)
    with pytest.raises(ConfigError, match="another batch"), room.OutputRoom(tmp_path / "out"):
        pass
    assert lock.read_text() == lock_of(os.getpid())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lists no process that has ended")
def test_a_killed_batch_whose_parent_has_not_looked_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lock = tmp_path / "out" / ".effseg-batch" / "lock.json"
        lock.parent.mkdir(parents=True)
        lock.write_text(lock_of(process.pid))
        with pytest.raises(ConfigError, match="another batch"), room.OutputRoom(tmp_path / "out"):
            pass
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        with room.OutputRoom(tmp_path / "out"):
            assert lock.read_text() == lock_of(os.getpid())


def test_a_batch_that_ends_at_the_same_moment_is_no_fault(tmp_path: Path, monkeypatch) -> None:
    opened, hidden = Path.open, tmp_path / "out" / ".effseg-batch"

    def open_after_the_end_of_another(path: Path, *mode: str, **options: str) -> object:
        if path.name == "lock.json" and mode == ("x",) and not gone:
            gone.append(hidden.rmdir())
        return opened(path, *mode, **options)

    gone: list[None] = []
    monkeypatch.setattr(Path, "open", open_after_the_end_of_another)
    with room.OutputRoom(tmp_path / "out"):
        assert (hidden / "lock.json").read_text() == lock_of(os.getpid())
    assert gone


# --- trying again and stopping, with a pool that is told what happens ---


class Scripted:
    """A pool whose cases end as a script says, and which counts what it was given at once."""

    replaces_lost = False
    late = 0

    def __init__(self, *statuses: Status, size: int = 2) -> None:
        self.script, self.size = list(statuses), size
        self.held, self.most, self.order = [], 0, []

    @property
    def room(self) -> int:
        return self.size - len(self.held)

    def submit(self, task) -> None:
        self.held.append(task)
        self.most = max(self.most, len(self.held))

    def collect(self) -> list[CaseResult]:
        task = self.held.pop(0)
        self.order.append(task.case.name)
        status = self.script.pop(0) if self.script else Status.DONE
        return [CaseResult(task.case.name, status, attempt=task.attempt)]

    def close(self) -> list[CaseResult]:
        return [CaseResult(task.case.name, Status.DONE) for task in self.held[: self.late]]


@pytest.fixture
def scripted(scans: Scans, card: zoo.Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a batch of `count` cases with a scripted pool."""

    def go(pool: Scripted, count: int = 1, cancel=None, **options: object):
        monkeypatch.setattr(run, "_make_pool", lambda *_: pool)
        found = find_cases(scans(*(f"{n}.nii" for n in range(count))), Wanted(card.path), tmp_path / "out")
        return run_batch(found, tmp_path / "out", BatchOptions(**options), cancel=cancel)

    return go


@pytest.mark.parametrize("status", [Status.NO_MEMORY, Status.LOST])
def test_what_may_pass_is_tried_again(scripted, status: Status) -> None:
    (one,) = scripted(Scripted(status)).outcomes
    assert (one.result.status, one.result.attempt) == (Status.DONE, 2)


@pytest.mark.parametrize("status", [Status.BAD_INPUT, Status.FAULT])
def test_what_will_not_pass_is_not(scripted, status: Status) -> None:
    (one,) = scripted(Scripted(status)).outcomes
    assert (one.result.status, one.result.attempt) == (status, 1)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (3, 4)])
def test_it_is_tried_as_often_as_was_said(scripted, retries: int, attempts: int) -> None:
    (one,) = scripted(Scripted(*[Status.LOST] * 9), retries=retries).outcomes
    assert (one.result.status, one.result.attempt) == (Status.LOST, attempts)


def test_others_come_before_a_second_attempt(scripted) -> None:
    pool = Scripted(Status.NO_MEMORY, size=1)
    scripted(pool, count=3)
    assert pool.order == ["0", "1", "2", "0"]


def test_a_pool_that_gave_up_on_a_lost_worker_is_not_asked_again(scripted) -> None:
    pool = Scripted(Status.LOST)
    pool.replaces_lost = True
    assert scripted(pool).outcomes[0].result.attempt == 1


def test_never_more_cases_are_handed_out_than_there_is_room(scripted) -> None:
    pool = Scripted(size=3)
    scripted(pool, count=10)
    assert pool.most == 3


def test_stopping_keeps_what_is_done(scripted, tmp_path: Path) -> None:
    pool = Scripted(size=1)
    with pytest.raises(Cancelled, match="goes on from there"):
        scripted(pool, count=4, cancel=lambda: len(pool.order) == 2)
    ended = [json.loads(line)["case"] for line in (tmp_path / "out" / "batch.jsonl").read_text().splitlines()]
    assert ended == ["0", "1"]
    assert (tmp_path / "out" / "summary.csv").read_text().count("done") == 2
    assert not (tmp_path / "out" / ".effseg-batch").exists()


def test_what_ends_while_it_stops_is_kept_too(scripted, tmp_path: Path) -> None:
    pool = Scripted(size=2)
    pool.late = 1
    with pytest.raises(Cancelled):
        scripted(pool, count=4, cancel=lambda: len(pool.order) == 1)
    ended = [json.loads(line)["case"] for line in (tmp_path / "out" / "batch.jsonl").read_text().splitlines()]
    assert ended == ["0", "1"]


def test_every_key_of_the_ledger_is_on_the_page_about_json(
    scans: Scans, batch: Batch, tmp_path: Path
) -> None:
    batch(scans("a.nii.gz"))
    assert set(keys_of(json.loads((tmp_path / "out" / "batch.jsonl").read_text()))) <= NAMED


def test_a_result_survives_json() -> None:
    one = CaseResult("a", Status.DONE, warnings=("x",), outputs=("a.nii",), objects=3, seconds=1.5)
    assert CaseResult.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert {field.name for field in dataclasses.fields(one)} == set(one.to_json())
