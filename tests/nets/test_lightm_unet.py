import pytest
import torch

from napari_effseg import nets


def test_class_defaults_have_the_published_count():
    assert sum(p.numel() for p in nets.create("lightm-unet").parameters()) == 381_813


def test_a_size_that_cannot_be_halved_is_refused_in_words():
    with pytest.raises(ValueError, match="multiples of 8"):
        nets.create("lightm-unet")(torch.zeros(1, 1, 16, 12, 16))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"init_filters": 12}, "multiple of 8"),
        ({"spatial_dims": 4}, "expected 2 or 3"),
        ({"blocks_up": (1, 1)}, "one less"),
        ({"out_channels": 0}, "at least 1"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("lightm-unet", **wrong)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    net = nets.create("lightm-unet", spatial_dims=2, blocks_down=(1, 1), blocks_up=(1,), dropout_prob=0.5)
    x = torch.randn(1, 1, 8, 8)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_several_decoder_blocks_keep_the_official_key_names():
    net = nets.create("lightm-unet", blocks_down=(1, 1), blocks_up=(2,))
    assert "up_layers.0.1.conv.0.conv.weight" in net.state_dict()
