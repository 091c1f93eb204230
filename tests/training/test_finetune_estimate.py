"""What a step is said to cost is about what it costs."""

import pytest
import torch

from napari_effseg import zoo
from napari_effseg.engine.device import resolve_device
from napari_effseg.engine.torch_memory import TorchMemory
from napari_effseg.training.config import OptimiserConfig
from napari_effseg.training.finetune.estimate import measure_step, window_seconds
from napari_effseg.training.finetune.transfer import FREEZES, freeze
from napari_effseg.training.losses import segmentation_loss
from tests.zoo.synthetic import draft_card

PATCH = (24, 16, 32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return zoo.build_network(draft_card())


@pytest.mark.parametrize("what", FREEZES)
def test_the_memory_of_a_step_is_told_from_a_smaller_one(network, what):
    learning = freeze(network, "lightm-unet", what)
    loss_of = segmentation_loss(OptimiserConfig())
    told = measure_step(network, loss_of, draft_card(), PATCH, resolve_device("cpu")).bytes
    image, truth = torch.randn(1, 1, *PATCH), torch.ones(1, 1, *PATCH, dtype=torch.uint8)
    with TorchMemory() as made:
        loss_of(network.train()(image), truth).backward()
    values = sum(value.numel() for value in network.parameters())
    taken = made.peak + 4 * (2 * learning + 2 * values)  # AdamW's moments, averaged and best weights
    assert taken < told < 2 * taken  # tensors are not all that a process holds


def test_measuring_leaves_the_network_as_it_is(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure_step(network, segmentation_loss(OptimiserConfig()), draft_card(), PATCH, resolve_device("cpu"))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())


def test_a_larger_image_takes_longer(network):
    cost = measure_step(
        network, segmentation_loss(OptimiserConfig()), draft_card(), PATCH, resolve_device("cpu")
    )
    assert window_seconds((60, 60, 60), draft_card(), cost) > window_seconds(PATCH, draft_card(), cost) > 0
