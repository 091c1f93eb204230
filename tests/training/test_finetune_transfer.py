"""What finetuning begins with: kept output channels, new ones, and frozen parts."""

import dataclasses

import pytest
import torch

from napari_effseg import zoo
from napari_effseg.training.finetune.transfer import FREEZES, class_axes, freeze, start_network
from tests.zoo.synthetic import draft_card


def with_labels(*names):
    """A draft of the synthetic card with these labels."""
    card = draft_card()
    code = card.labels[0].code
    labels = tuple(zoo.LabelSpec(n, name, (1, 2, 3), code) for n, name in enumerate(names, 1))
    constructor = {**card.constructor, "out_channels": len(names) + 1}
    return dataclasses.replace(card, labels=labels, constructor=constructor)


@pytest.fixture
def base():
    torch.manual_seed(5)
    return zoo.build_network(draft_card()).eval()


@pytest.fixture
def image():
    return torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_same_labels_give_the_same_network(base, image):
    made = start_network(base, draft_card(), {1: 1, 2: 2}, 0).eval()
    assert torch.equal(made(image), base(image))


def test_labels_in_another_order_give_the_same_answer_in_that_order(base, image):
    made = start_network(base, draft_card(), {1: 2, 2: 1}, 0).eval()
    torch.testing.assert_close(made(image), base(image)[:, [0, 2, 1]])


def test_fewer_labels_keep_their_answers(base, image):
    made = start_network(base, with_labels("liver"), {1: 2}, 0).eval()
    torch.testing.assert_close(made(image), base(image)[:, [0, 2]])


def test_a_label_more_leaves_the_others_as_they_are(base, image):
    made = start_network(base, with_labels("a", "b", "new"), {1: 1, 2: 2}, 0).eval()
    torch.testing.assert_close(made(image)[:, :3], base(image))


def test_only_new_labels_make_the_whole_output_anew_and_nothing_else(base):
    draft = with_labels("new", "newer")
    made = start_network(base, draft, {}, 0).state_dict()
    axes = class_axes(draft)
    assert set(axes) == {"conv_final.2.1.conv.weight", "conv_final.2.1.conv.bias"}
    for name, value in base.state_dict().items():
        assert torch.equal(made[name], value) == (name not in axes), name


def test_new_channels_follow_from_the_seed(base):
    first, again, other = (
        start_network(base, with_labels("new"), {}, seed).state_dict() for seed in (1, 1, 2)
    )
    name = "conv_final.2.1.conv.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_frozen_parts_grow(base):
    left = [freeze(base, "lightm-unet", what) for what in FREEZES]
    assert left == sorted(left, reverse=True)
    assert left[-1] == sum(value.numel() for value in base.conv_final.parameters())
    freeze(base, "lightm-unet", "encoder")
    assert not any(value.requires_grad for value in base.down_layers.parameters())
    assert all(value.requires_grad for value in base.up_layers.parameters())
