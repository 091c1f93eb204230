"""Operations and parameters are those of the specifications; a measurement has no empty field."""

from __future__ import annotations

import pytest
import torch

from napari_effseg import nets
from napari_effseg.errors import Cancelled
from napari_effseg.evaluation._cost import count_operations, count_parameters, measure
from napari_effseg.evaluation.peers import peers, round_up


def small_network() -> torch.nn.Module:
    return nets.create(
        "lightm-unet", spatial_dims=3, init_filters=8, blocks_down=(1, 1), blocks_up=(1,)
    ).eval()


def test_the_class_defaults_cost_what_the_specification_counts() -> None:
    network = nets.create("lightm-unet").eval()
    with torch.inference_mode():
        operations, scan = count_operations(network, torch.zeros(1, 1, 64, 64, 64))
    assert count_parameters(network) == 381_813
    assert round(operations / 1e9, 1) == 3.6
    assert round(scan / 1e9, 1) == 2.9


def test_a_scan_costs_nine_operations_a_state_update() -> None:
    block = nets.Mamba(6, d_state=4, expand=2)
    with torch.inference_mode():
        _, scan = count_operations(block, torch.zeros(2, 10, 6))
    assert scan == 2 * 10 * 12 * (9 * 4 + 2)


def test_three_orientations_cost_three_scans() -> None:
    example = torch.zeros(1, 10, 6)
    with torch.inference_mode():
        plain = count_operations(nets.Mamba(6), example)[1]
        three = count_operations(nets.Mamba(6, bimamba_type="v3", nslices=5), example)[1]
    assert three == 3 * plain


def test_a_linear_layer_costs_two_operations_a_multiply_add() -> None:
    assert count_operations(torch.nn.Linear(5, 7), torch.zeros(3, 5)) == (2 * 3 * 5 * 7, 0)


def test_a_measurement_says_everything() -> None:
    cost = measure(small_network(), torch.zeros(1, 1, 8, 8, 8), lambda: False)
    assert cost.parameters > 0
    assert 0 < cost.fastest_seconds <= cost.seconds
    assert cost.peak_memory_bytes >= 0
    assert cost.energy_joules is not None


def test_measuring_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        measure(small_network(), torch.zeros(1, 1, 8, 8, 8), lambda: True)


@pytest.mark.parametrize("name", ["BasicUNet (MONAI)", "nnU-Net (MONAI DynUNet)"])
def test_peers_take_the_rounded_window_and_give_its_classes(name: str) -> None:
    pytest.importorskip("monai")
    size = round_up((40, 33, 17))
    assert size == (64, 64, 32)
    found = {peer.name: peer for peer in peers(size, 2, 4)}
    with torch.inference_mode():
        answer = found[name].build().eval()(torch.zeros(1, 2, *size))
    assert answer.shape == (1, 4, *size)
