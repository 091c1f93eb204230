"""One battery for every network that `create` knows."""

import pytest
import torch

import napari_effseg as eff
from napari_effseg import nets

SMALL = {
    "lightm-unet": {"spatial_dims": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "segresmamba": {
        "out_chans": 2,
        "feat_size": [4, 8, 16, 32],
        "decoder_group_norm_groups": 2,
        "slim": True,
    },
    "slim-unetr": {
        "in_channels": 1,
        "out_channels": 2,
        "embed_dim": 16,
        "embedding_dim": 2,
        "channels": [8, 8, 8],
        "blocks": [1, 1, 1, 1],
    },
}
SIZES = {"lightm-unet": (8, 6, 4), "segresmamba": (48, 16, 16), "slim-unetr": (64, 32, 32)}


@pytest.fixture(params=nets.names())
def net(request):
    torch.manual_seed(0)
    return nets.create(request.param, **SMALL[request.param])


@pytest.fixture
def image(net):
    size = next(SIZES[name] for name in nets.names() if type(nets.create(name, **SMALL[name])) is type(net))
    return torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))


def test_logits_have_the_images_grid(net, image):
    assert net(image).shape == (2, 2, *image.shape[2:])


def test_every_parameter_learns(net, image):
    net.eval()
    target = torch.randn(2, 2, *image.shape[2:], generator=torch.Generator().manual_seed(2))
    (net(image) * target).sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_batch_equals_its_elements(net, image):
    net.eval()
    x = image
    with torch.inference_mode():
        whole = net(x)
        parts = torch.cat([net(x[:1]), net(x[1:])])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)


def test_evaluation_is_deterministic(net, image):
    net.eval()
    with torch.inference_mode():
        assert torch.equal(net(image), net(image))


def test_state_dict_round_trip(net, image):
    other = type(net)(net.config)
    other.load_state_dict(net.state_dict(), strict=True)
    net.eval(), other.eval()
    with torch.inference_mode():
        assert torch.equal(net(image), other(image))


def test_half_precision_input_is_widened_or_kept_finite(net, image):
    with torch.inference_mode():
        assert net.to(torch.bfloat16)(image.to(torch.bfloat16)).isfinite().all()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(eff.UnknownModel, match="Did you mean lightm-unet"):
        nets.create("light-unet")


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="filters"):
        nets.create("lightm-unet", filters=8)
