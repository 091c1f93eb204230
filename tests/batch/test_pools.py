"""This process, processes beside it, a cluster, and one on another machine: the same voxels from all.

The other machine is a scheduler and a worker in a process group of their own, found by the scheduler's file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import Volume, load_labels, save, zoo
from napari_effseg.batch import BatchResult, InProcessPool, Pool, Status, Wanted, find_cases, local_pool
from napari_effseg.batch.local_pool import LocalPool, threads_for
from napari_effseg.batch.room import OutputRoom
from napari_effseg.batch.work import Task
from napari_effseg.cli import main
from napari_effseg.errors import MissingExtra, ServerError, ServerLost
from tests.cli.conftest import AFFINE

from .conftest import Batch, Scans

pytestmark = pytest.mark.xdist_group("pools")  # which start their cluster once
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that cannot be caught")
NO_DASHBOARD = "127.0.0.1:0"
"""Any free port: without an address, dask takes 8787 and warns where another process has it."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of two processes, and its address."""
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    options = {"dashboard_address": NO_DASHBOARD, "scheduler_kwargs": {"dashboard": False}}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, silence_logs=50, **options
    ) as found:
        yield found.scheduler_address


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and a worker in their own process group, and the scheduler's file."""
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    common = {"cwd": folder, "stderr": subprocess.DEVNULL, "start_new_session": True}
    dask = [sys.executable, "-m", "dask"]
    head = subprocess.Popen(
        [
            *dask,
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            NO_DASHBOARD,
            "--scheduler-file",
            str(file),
        ],
        **common,
    )
    options = ["--nthreads", "1", "--no-dashboard", "--no-nanny"]
    worker = subprocess.Popen([*dask, "worker", "--scheduler-file", str(file), *options], **common)
    for _ in range(600):
        if file.is_file() and file.stat().st_size:
            break
        time.sleep(0.1)
    yield str(file)
    for process in (worker, head):
        process.terminate()
        process.wait(60)


@pytest.fixture(params=["this process", "processes", "cluster", "elsewhere"])
def pool_options(request: pytest.FixtureRequest) -> dict[str, object]:
    """Options of a batch for each kind of worker."""
    if request.param == "this process":
        return {"workers": 1}
    if request.param == "processes":
        return {"workers": 2}
    return {"scheduler": request.getfixturevalue(request.param)}


def labels_of(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: load_labels(path).data for path in sorted(folder.glob("*_seg.nii.gz"))}


def words(result: BatchResult) -> dict[str, Status]:
    return {one.result.case: one.result.status for one in result.outcomes}


@pytest.fixture(scope="module")
def alone(card: zoo.Card, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Two good images and a broken one, and what `effseg segment` finds in the good ones."""
    folder, results = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("alone")
    for number, name in enumerate(("a.nii.gz", "b.nrrd")):
        voxels = np.random.default_rng(number).normal(100, 20, (12, 10, 8)).astype(np.float32)
        save(Volume(voxels, AFFINE), folder / name)
        output = results / f"{name[0]}_seg.nii.gz"
        command = ["segment", folder / name, "-m", card.path, "-o", output, "--device", "cpu", "--quiet"]
        assert main([str(word) for word in command]) == 0
    (folder / "broken.nii").write_bytes(b"no image")
    return folder, labels_of(results)


def test_every_pool_finds_the_voxels_that_segment_finds(
    alone: tuple[Path, dict[str, np.ndarray]], batch: Batch, tmp_path: Path, pool_options: dict[str, object]
) -> None:
    folder, expected = alone
    result = batch(folder, **pool_options)
    assert words(result) == {"a": Status.DONE, "b": Status.DONE, "broken": Status.BAD_INPUT}
    found = labels_of(tmp_path / "out")
    assert found.keys() == expected.keys()
    for name, data in expected.items():
        assert data.any()
        assert np.array_equal(found[name], data)


def test_a_cluster_hands_a_lost_workers_case_to_another(
    scans: Scans, batch: Batch, cluster: str, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    folder = scans("large.nii", size=(32, 32, 32))
    killed: list[int] = []
    with distributed.Client(cluster, set_as_default=False) as client:

        def kill_the_one_at_work() -> bool:
            busy = [address for address, tasks in client.processing().items() if tasks]
            if busy and not killed:
                pids = client.run(os.getpid, workers=busy)
                killed.append(pids[busy[0]])
                os.kill(killed[0], signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            return False

        result = batch(folder, cancel=kill_the_one_at_work, scheduler=cluster)
    assert words(result) == {"large": Status.DONE}
    assert result.outcomes[0].result.worker.partition(":")[2] != str(killed[0])


def test_a_file_that_no_scheduler_wrote_is_said(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    for text in ("", "[]", "{}", "address"):
        (tmp_path / "scheduler.json").write_text(text)
        with pytest.raises(ServerError, match="no file that a dask scheduler wrote"):
            batch(scans("a.nii"), scheduler=str(tmp_path / "scheduler.json"))


def test_a_scheduler_that_wants_certificates_is_said(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    """Rather than that nobody answers, after a while."""
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    (tmp_path / "scheduler.json").write_text('{"address": "tls://127.0.0.1:9"}')
    for scheduler in ("tls://127.0.0.1:9", str(tmp_path / "scheduler.json")):
        with pytest.raises(ServerError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE"):
            batch(scans("a.nii"), scheduler=scheduler)


def test_no_scheduler_is_said(scans: Scans, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    from napari_effseg.batch import dask_pool

    monkeypatch.setattr(dask_pool, "_CONNECT_SECONDS", 0.2)
    with pytest.raises(ServerError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        batch(scans("a.nii"), scheduler="tcp://127.0.0.1:9")


def test_a_web_server_is_no_scheduler(scans: Scans, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the scheduler's own dashboard, whose port is the next one."""
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    from napari_effseg.batch import dask_pool

    monkeypatch.setattr(dask_pool, "_CONNECT_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as found:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = found.accept()
                    with one:
                        one.recv(4096)
                        one.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 9)

        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{found.getsockname()[1]}"
        with pytest.raises(ServerError, match="no dask scheduler answers"):
            batch(scans("a.nii"), scheduler=address)
        found.shutdown(socket.SHUT_RDWR)


def test_without_distributed_the_extra_is_named(
    scans: Scans, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"napari-effseg\[dask\]"):
        batch(scans("a.nii"), scheduler="tcp://127.0.0.1:9")


@pytest.fixture
def no_worker() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler without workers: its address and its process."""
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    dask = [sys.executable, "-m", "dask", "scheduler", *options, "--dashboard-address", NO_DASHBOARD]
    process = subprocess.Popen(dask, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.1)
    yield f"tcp://127.0.0.1:{port}", process
    process.kill()
    process.wait(60)


def test_a_scheduler_that_is_lost_is_said_and_no_case_is_blamed(
    scans: Scans, batch: Batch, no_worker: tuple[str, subprocess.Popen[bytes]], monkeypatch, tmp_path: Path
) -> None:
    from napari_effseg.batch import dask_pool

    monkeypatch.setattr(dask_pool, "_CONNECT_SECONDS", 3.0)
    address, process = no_worker
    asked: list[int] = []

    def end_the_scheduler() -> bool:
        asked.append(1)
        if len(asked) == 2:
            process.kill()
        return False

    with pytest.raises(ServerLost, match="run the same command again"):
        batch(scans("a.nii"), cancel=end_the_scheduler, scheduler=address)
    assert not (tmp_path / "out" / "batch.jsonl").exists()


def test_what_a_scheduler_forgets_is_handed_over_again(
    alone: tuple[Path, dict[str, np.ndarray]], batch: Batch, cluster: str, tmp_path: Path, monkeypatch
) -> None:
    """As it forgets all of a client whose connection breaks, however soon it comes back."""
    from napari_effseg.batch.dask_pool import DaskPool

    submit, forgotten = DaskPool.submit, []

    def submitted_and_forgotten(pool: DaskPool, task: Task) -> None:
        submit(pool, task)
        if task.case.name not in forgotten:
            forgotten.append(task.case.name)
            next(future for future, mine in pool._running.items() if mine is task).cancel()

    monkeypatch.setattr(DaskPool, "submit", submitted_and_forgotten)
    result = batch(alone[0], scheduler=cluster)
    assert words(result) == {"a": Status.DONE, "b": Status.DONE, "broken": Status.BAD_INPUT}
    assert sorted(forgotten) == ["a", "b", "broken"]


# --- processes beside this one ---


@pytest.fixture
def task(scans: Scans, card: zoo.Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """A case that takes a while; nobody waits for its end."""
    monkeypatch.setattr(local_pool, "_GRACE_SECONDS", 0.5)
    found = find_cases(scans("large.nii", size=(40, 40, 40)), Wanted(card.path), tmp_path / "out")
    with OutputRoom(tmp_path / "out") as room:
        yield Task(found.cases[0], tmp_path / "out", room.run, device="cpu")


def answers(pool: Pool) -> list[object]:
    while not (found := pool.collect()):
        continue
    return found


@posix
def test_a_worker_that_dies_is_replaced_and_its_case_comes_back(task: Task) -> None:
    pool = LocalPool(1)
    try:
        pool.submit(task)
        first = pool.processes
        assert pool.room == 0
        os.kill(first[0], signal.SIGKILL)
        (lost,) = answers(pool)
        assert (lost.status, "by signal 9" in lost.words) == (Status.LOST, True)
        assert pool.room == 1
        pool.submit(task)
        assert pool.processes != first
    finally:
        pool.close()
    assert pool.processes == ()


def test_closing_stops_a_case_and_leaves_nothing(task: Task) -> None:
    pool = LocalPool(1)
    pool.submit(task)
    pool.close()
    assert not [path for path in task.output.rglob("*") if path.is_file() and path.name != "lock.json"]


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert [threads_for(workers) for workers in (1, 2, 4, 20)] == [6, 3, 1, 1]


def test_this_process_stops_in_the_midst_of_a_case(task: Task) -> None:
    pool = InProcessPool(cancel=lambda: True)
    pool.submit(task)
    assert [one.status for one in pool.collect()] == [Status.CANCELLED]
