import pytest
import torch

from napari_effseg.engine.ladder import climb_down, is_memory_error
from napari_effseg.engine.plan import Step
from napari_effseg.errors import EffsegError, OutOfMemory

STEPS = tuple(Step((side, side, side), 1, "float32", "cpu") for side in (32, 24, 16))


def failing_above(side, error):
    def attempt(step):
        if step.window[0] > side:
            raise error
        return step

    return attempt


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory"),
    ],
    ids=["numpy", "cuda", "mps", "linux", "windows"],
)
def test_memory_errors_lead_one_step_down(error):
    said = []
    assert climb_down(STEPS, failing_above(16, error), said.append) == STEPS[2]
    assert said == [
        "memory ran out with windows of 32 x 32 x 32 voxels in float32 on cpu; "
        "trying windows of 24 x 24 x 24 voxels in float32 on cpu",
        "memory ran out with windows of 24 x 24 x 24 voxels in float32 on cpu; "
        "trying windows of 16 x 16 x 16 voxels in float32 on cpu",
    ]


def test_the_last_step_failing_is_out_of_memory():
    with pytest.raises(OutOfMemory, match="every fallback") as caught:
        climb_down(STEPS, failing_above(0, MemoryError()), lambda sentence: None)
    assert isinstance(caught.value, EffsegError)


def test_other_errors_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape mismatch"):
        climb_down(STEPS, failing_above(0, RuntimeError("shape mismatch")), lambda sentence: None)


def test_a_stop_during_a_step_stops_the_ladder():
    tried = []

    def attempt(step):
        tried.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        climb_down(STEPS, attempt, lambda sentence: None)
    assert len(tried) == 1


def test_a_key_error_is_no_memory_error():
    assert not is_memory_error(KeyError("out of memory"))
