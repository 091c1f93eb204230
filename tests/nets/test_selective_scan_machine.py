"""The compiled scan as a citizen: threads, forks, memory, the disk, and other vector widths."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from napari_effseg.nets import selective_scan
from napari_effseg.nets._threads import run_together

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


@pytest.fixture(autouse=True)
def _numba_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_SCAN", "numba")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make_arguments(channels: int = 48, length: int = 600, seed: int = 0) -> dict[str, Tensor]:
    """Draw a float32 problem that is large enough for threads."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "u": draw(1, channels, length),
        "delta": draw(1, channels, length) - 2,
        "A": -torch.exp(draw(channels, 16)),
        "B": draw(1, 16, length),
        "C": draw(1, 16, length),
        "D": draw(channels),
        "z": draw(1, channels, length),
    }


def output_with_gradients(arguments: dict[str, Tensor]) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in arguments.values()]
    y = selective_scan(**dict(zip(arguments, leaves, strict=True)), delta_softplus=True)
    return [y.detach(), *torch.autograd.grad(y.sum(), leaves)]


def assert_same_bits(first: list[Tensor], second: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    arguments = make_arguments(channels=200)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(output_with_gradients(arguments))
    finally:
        torch.set_num_threads(before)
    assert_same_bits(results[0], results[1])
    assert_same_bits(results[0], results[2])


@pytest.mark.usefixtures("two_threads")
def test_many_python_threads_may_scan_at_once() -> None:
    problems = [make_arguments(seed=seed) for seed in range(4)]
    expected = [output_with_gradients(problem) for problem in problems]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(output_with_gradients, problems * 6))
    for i, result in enumerate(found):
        assert_same_bits(result, expected[i % 4])


def _scan_in_child(queue: multiprocessing.Queue[list[float]]) -> None:
    torch.set_num_threads(1)  # torch's own OpenMP threads hang after a fork,
    torch.get_num_threads = lambda: 2  # ours must not
    queue.put([float(x.double().sum()) for x in output_with_gradients(make_arguments())])


@needs_fork
@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_scans_with_threads_of_its_own() -> None:
    expected = [float(x.double().sum()) for x in output_with_gradients(make_arguments())]
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[list[float]] = context.Queue()
    child = context.Process(target=_scan_in_child, args=(queue,))
    child.start()
    found = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0
    assert found == expected


@needs_fork
@pytest.mark.usefixtures("two_threads")
def test_a_fork_in_the_middle_of_scans_is_safe() -> None:
    stop = threading.Event()

    def scan_on_and_on() -> None:
        while not stop.is_set():
            output_with_gradients(make_arguments())

    busy = [threading.Thread(target=scan_on_and_on) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        for _ in range(3):
            test_a_forked_child_scans_with_threads_of_its_own()
    finally:
        stop.set()
        for thread in busy:
            thread.join()


class _Scans(torch.utils.data.Dataset[Tensor]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        return selective_scan(**make_arguments(seed=index), delta_softplus=True)[0]


@pytest.mark.usefixtures("two_threads")
def test_data_loader_workers_may_scan() -> None:
    expected = torch.stack([_Scans()[index] for index in range(4)])
    loader = torch.utils.data.DataLoader(_Scans(), batch_size=2, num_workers=1)
    assert torch.equal(torch.cat(list(loader)), expected)


def test_a_failure_is_raised_after_the_others_end() -> None:
    numbers, ended = itertools.count(), []

    def work() -> None:
        for number in iter(lambda: next(numbers), None):
            if number >= 8:
                return
            if number == 3:
                raise KeyError(number)
            ended.append(number)

    with pytest.raises(KeyError):
        run_together(work, threads=3)
    assert len(ended) == len(set(ended)) <= 7


def test_every_thread_takes_part() -> None:
    meeting = threading.Barrier(2, timeout=60)
    run_together(lambda: meeting.wait() and None, threads=2)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_threads_that_share_a_heap_keep_their_scratch_apart() -> None:
    code = """
import torch
from concurrent.futures import ThreadPoolExecutor
from napari_effseg.nets import selective_scan
torch.manual_seed(0)
u, delta, A = torch.randn(1, 48, 600), torch.randn(1, 48, 600) - 2, -torch.randn(48, 16).exp()
B, C = torch.randn(2, 1, 16, 600)
def gradients(_):
    leaves = [x.clone().requires_grad_() for x in (u, delta, A, B, C)]
    y = selective_scan(*leaves, delta_softplus=True)
    return y.detach(), *torch.autograd.grad(y.sum(), leaves)
expected = gradients(0)
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(gradients, range(200)))
print(all(torch.equal(a, b) for result in found for a, b in zip(result, expected, strict=True)))
"""
    run = run_python(code, MALLOC_ARENA_MAX="1")  # glibc's; elsewhere threads share one anyway, or never do
    assert run.stdout.strip() == "True", run.stderr


def test_importing_the_networks_loads_no_numba() -> None:
    run = run_python("import sys, napari_effseg.nets; print('numba' in sys.modules)")
    assert run.stdout.strip() == "False", run.stderr


def test_a_scan_while_the_interpreter_ends_is_safe() -> None:
    code = """
import atexit, torch
from napari_effseg.nets import selective_scan
def scan():
    x, B = torch.ones(1, 64, 400), torch.ones(1, 16, 400)
    return float(selective_scan(x, x, -torch.ones(64, 16), B, B).sum())
torch.set_num_threads(2)
first = scan()
atexit.register(lambda: print(scan() == first))
"""
    run = run_python(code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "True"


REPORT_CACHE = """
import torch
from napari_effseg.nets import selective_scan
x = torch.ones(1, 3, 4, requires_grad=True)
selective_scan(x, x, -torch.ones(3, 2), torch.ones(1, 2, 4), torch.ones(1, 2, 4)).sum().backward()
from napari_effseg.nets import _scan_cpu
kernels = (_scan_cpu.forward, _scan_cpu.backward, _scan_cpu.reduce_parts)
print(sum(sum(k.stats.cache_hits.values()) for k in kernels),
      sum(sum(k.stats.cache_misses.values()) for k in kernels))
"""


def test_a_second_process_compiles_nothing() -> None:
    output_with_gradients(make_arguments())
    second = run_python(REPORT_CACHE)
    assert second.stdout.split() == ["3", "0"], second.stderr


@pytest.mark.slow
def test_vectors_of_another_width_give_the_same() -> None:
    code = """
import llvmlite.binding as llvm, numba
told = llvm.get_host_cpu_features
llvm.get_host_cpu_features = lambda: {"avx512f": {wide}}
import napari_effseg.nets._simd
llvm.get_host_cpu_features = told
import torch
from napari_effseg.nets import selective_scan
torch.manual_seed(0)
shapes = (1, 40, 70), (1, 40, 70), (40, 3), (1, 3, 70), (1, 3, 70)
leaves = [torch.randn(*shape, requires_grad=True) for shape in shapes]
u, delta, A, B, C = leaves
y = selective_scan(u, delta, -A.exp(), B, C, z=u, delta_softplus=True)
print(*(float(x.detach().double().abs().sum()) for x in (y, *torch.autograd.grad(y.square().sum(), leaves))))
"""
    runs = [run_python(code.replace("{wide}", str(wide))) for wide in (False, True)]
    assert all(run.returncode == 0 for run in runs), runs[0].stderr + runs[1].stderr
    narrow, wide = ([float(x) for x in run.stdout.split()] for run in runs)
    assert wide == pytest.approx(narrow, rel=1e-5)


def test_where_no_folder_can_be_written_kernels_are_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from napari_effseg.nets import _numba_cache

    def njit(cache: bool = False, **_: object) -> Callable[[object], object]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(_numba_cache, "njit", njit)
    assert _numba_cache.kernel(make_arguments) is make_arguments
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_denormals_are_flushed_inside_a_scan_and_nowhere_else() -> None:
    arguments = make_arguments(channels=16, length=2000)
    arguments["u"][..., 1:] = 0
    arguments["delta"].fill_(0.1)
    y = selective_scan(**arguments)
    smallest = torch.finfo(torch.float32).tiny
    assert not ((y != 0) & (y.abs() < smallest / 1e3)).any()
    assert torch.tensor(smallest) / 4 > 0


def test_without_gradients_nothing_is_kept() -> None:
    arguments = {name: x.requires_grad_() for name, x in make_arguments().items()}
    with torch.no_grad():
        assert selective_scan(**arguments).grad_fn is None


class _Allocations(torch.utils._python_dispatch.TorchDispatchMode):
    """Bytes of every tensor that torch makes; a kernel's own scratch is a block's, whatever the length."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in (
            "empty",
            "empty_like",
            "new_empty",
            "zeros",
            "new_zeros",
            "clone",
        ):
            self.bytes += result.nbytes
        return result


def test_the_forward_pass_needs_little_memory_beside_its_output() -> None:
    from napari_effseg.nets._scan_cpu import _run_forward
    from napari_effseg.nets._scan_types import checked_inputs

    arguments = make_arguments(channels=64, length=8192)
    inputs = checked_inputs(**arguments, delta_bias=None, delta_softplus=True)
    held = sum(x.nbytes for x in arguments.values()) + arguments["u"].nbytes
    for keep, share in ((False, 0.01), (True, 0.1)):
        with _Allocations() as made:
            _run_forward(inputs, keep)
        assert made.bytes - arguments["u"].nbytes <= share * held


def test_the_backward_pass_needs_little_memory_beside_its_gradients() -> None:
    from napari_effseg.nets._scan_cpu import _run_backward, _run_forward
    from napari_effseg.nets._scan_types import checked_inputs

    arguments = make_arguments(channels=64, length=65536)
    inputs = checked_inputs(**arguments, delta_bias=None, delta_softplus=True)
    y, _, checkpoints = _run_forward(inputs, keep=True)
    held = 2 * sum(x.nbytes for x in arguments.values())
    with _Allocations() as made:
        _run_backward(inputs, y, checkpoints)
    assert made.bytes - held / 2 <= 0.1 * held
