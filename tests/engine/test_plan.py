import dataclasses

import pytest

from napari_effseg import zoo
from napari_effseg.engine import DeviceInfo, PlanOptions, resolve
from napari_effseg.engine.costs import cost_of
from napari_effseg.engine.plan import steps_of
from napari_effseg.errors import VolumeError
from napari_effseg.volume import Grid

from .builders import OBLIQUE, card_for

GRID = Grid((40, 50, 30), OBLIQUE)
CPU = DeviceInfo("cpu", "CPU, 2 threads", 8 * 10**9, 8 * 10**9, 3 * 10**8, 2)
CUDA = DeviceInfo("cuda:0", "a GPU", 8 * 10**9, 8 * 10**9, 3 * 10**8, 2)
LARGE = dataclasses.replace(card_for(), window=zoo.WindowSpec((128, 128, 128), overlap=0.5, multiple_of=16))


def plan(card=None, grid=GRID, device=CPU, boxes=()):
    return resolve(PlanOptions(tuple(boxes)), card or card_for(), grid, device)


def test_a_plan_counts_the_windows_of_the_image():
    # 40, 50 and 30 voxels in windows of 12, 8 and 16 that overlap by half
    assert plan().windows == 6 * 12 * 3


def test_a_plan_counts_the_windows_of_each_region():
    boxes = [((0, 0, 0), (6, 4, 8)), ((20, 20, 10), (26, 24, 18))]
    assert len(plan(boxes=boxes).regions) == 2
    assert plan(boxes=boxes).windows < plan().windows / 10


def test_a_plan_is_said_in_one_line():
    said = plan().describe()
    assert said.startswith(
        "synthetic: 216 windows of 12 x 8 x 16 voxels in float32 on cpu (CPU, 2 threads), about"
    )
    assert said.endswith("GB")
    assert "\n" not in said


def test_larger_images_take_more_time_and_memory():
    large = plan(grid=Grid((400, 500, 300), OBLIQUE))
    assert large.seconds > 100 * plan().seconds
    assert large.peak_memory_bytes > plan().peak_memory_bytes


def test_more_classes_take_more_memory():
    many = tuple(dataclasses.replace(card_for().labels[0], id=n, name=f"label {n}") for n in range(1, 105))
    grid = Grid((400, 500, 300), OBLIQUE)
    assert plan(card_for(labels=many), grid).peak_memory_bytes > 1.5 * plan(grid=grid).peak_memory_bytes


def test_a_coarser_network_grid_takes_fewer_windows():
    assert plan(card_for(spacing=(3.0, 3.0, 3.0))).windows < plan().windows


def test_a_plan_is_made_for_too_little_memory_and_says_so():
    small = dataclasses.replace(CPU, free_bytes=9 * 10**8, host_free_bytes=9 * 10**8)
    found = plan(LARGE, Grid((160, 160, 160), OBLIQUE), small)
    assert max(found.step.window) < 128
    assert "too little memory is free" in found.notes[0]


def test_a_plan_that_never_fits_begins_with_the_card_and_says_so():
    tiny = dataclasses.replace(CPU, free_bytes=10**6, host_free_bytes=10**6)
    found = plan(LARGE, GRID, tiny)
    assert found.step.window == (128, 128, 128)
    assert "may need more memory" in found.notes[0]


def test_the_ladder_on_a_cpu_is_smaller_windows_only():
    assert [step.window[0] for step in steps_of(LARGE, CPU)] == [128, 96, 64]
    assert {step.precision for step in steps_of(LARGE, CPU)} == {"float32"}


def test_the_ladder_on_cuda_goes_on_to_half_precision_and_the_cpu():
    steps = [(step.window[0], step.precision, step.device) for step in steps_of(LARGE, CUDA)]
    assert steps == [
        (128, "float32", "cuda:0"),
        (96, "float32", "cuda:0"),
        (64, "float32", "cuda:0"),
        (64, "float16", "cuda:0"),
        (128, "float32", "cpu"),
        (96, "float32", "cpu"),
        (64, "float32", "cpu"),
    ]


def test_smaller_windows_are_multiples_of_what_the_network_takes():
    card = dataclasses.replace(card_for(), window=zoo.WindowSpec((48, 64, 48), overlap=0.5, multiple_of=16))
    assert [step.window for step in steps_of(card, CPU)] == [(48, 64, 48), (48, 48, 48), (32, 32, 32)]


def test_the_first_step_down_with_small_windows_is_one_at_a_time():
    assert [step.batch for step in steps_of(card_for(), CPU)[:2]] == [16, 1]


def test_memory_on_a_device_is_counted_apart():
    assert plan(device=CPU).device_memory_bytes == 0
    found = plan(device=CUDA)
    assert found.device_memory_bytes > 0
    assert "on the device" in found.describe()


def test_measured_times_of_a_card_are_used():
    measured = (zoo.Performance("2-core CPU", "40 x 50 x 30 voxels", 21.6, 900.0),)
    found = plan(card_for(performance=measured))
    assert found.seconds == pytest.approx(21.6, rel=0.01)


def test_measured_times_know_the_size_of_voxels():
    """A case of 40 x 50 x 30 voxels of 1 mm has eight times as many voxels of 0.5 mm."""
    coarse, fine = (
        card_for(
            spacing=(mm,) * 3, performance=(zoo.Performance("CPU", f"{size} voxels at {of} mm", 21.6, 900.0),)
        )
        for mm, size, of in ((0.5, "40 x 50 x 30", 1), (0.5, "80 x 100 x 60", 0.5))
    )
    assert cost_of(coarse, "cpu", 2) == cost_of(fine, "cpu", 2)


def test_measured_times_of_another_kind_of_device_are_not_used():
    measured = (zoo.Performance("CUDA, RTX 4090", "40 x 50 x 30 voxels", 21.6, 900.0),)
    assert cost_of(card_for(performance=measured), "cpu", 2) == cost_of(card_for(), "cpu", 2)


def test_a_plan_of_one_slice_for_a_volume_model_is_refused():
    with pytest.raises(VolumeError, match="one slice"):
        plan(grid=Grid((30, 30, 1), OBLIQUE))
