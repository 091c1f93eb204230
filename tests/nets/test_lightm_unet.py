import pytest
import torch

from napari_effseg import nets

from .parity import key_list, read, relative_error

FULL = ["lightm_unet_2d_full", "lightm_unet_3d_full"]


@pytest.mark.parametrize("name", ["lightm_unet_2d_small", "lightm_unet_3d_small"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_logits_equal_the_official_ones(name, dtype, tolerance):
    fixture = read(name)
    net = nets.create("lightm-unet", **fixture.meta["constructor"]).to(dtype).eval()
    net.load_state_dict(fixture.tensors("state/", dtype), strict=True)
    with torch.inference_mode():
        y = net(fixture.tensors("input/", dtype)["x"])
    stride = fixture.meta["output64_stride"]
    sparse = y[(..., *[slice(None, None, stride)] * (y.ndim - 2))]
    assert relative_error(sparse, fixture.arrays["output64/y"]) < tolerance


@pytest.mark.parametrize("name", FULL)
def test_keys_shapes_order_and_count_are_the_official_ones(name):
    official = key_list(name)
    net = nets.create("lightm-unet", **official["constructor"])
    ours = {key: list(value.shape) for key, value in net.state_dict().items()}
    theirs = {key: entry["shape"] for key, entry in official["keys"].items()}
    assert list(ours.items()) == list(theirs.items())
    assert sum(p.numel() for p in net.parameters()) == official["parameters"]


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
