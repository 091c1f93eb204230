"""One battery for every network that `create` knows."""

import pytest
import torch

import napari_effseg as eff
from napari_effseg import nets

SMALL = {
    "lightm-unet": {"spatial_dims": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
}


@pytest.fixture(params=nets.names())
def net(request):
    torch.manual_seed(0)
    return nets.create(request.param, **SMALL[request.param])


def _image(batch=2):
    return torch.randn(batch, 1, 8, 6, 4, generator=torch.Generator().manual_seed(1))


def test_logits_have_the_images_grid(net):
    assert net(_image()).shape == (2, 2, 8, 6, 4)


def test_every_parameter_learns(net):
    net(_image()).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_batch_equals_its_elements(net):
    net.eval()
    x = _image()
    with torch.inference_mode():
        whole = net(x)
        parts = torch.cat([net(x[:1]), net(x[1:])])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_evaluation_is_deterministic(net):
    net.eval()
    with torch.inference_mode():
        assert torch.equal(net(_image()), net(_image()))


def test_state_dict_round_trip(net):
    other = type(net)(net.config)
    other.load_state_dict(net.state_dict(), strict=True)
    net.eval(), other.eval()
    with torch.inference_mode():
        assert torch.equal(net(_image()), other(_image()))


def test_half_precision_input_is_widened_or_kept_finite(net):
    with torch.inference_mode():
        assert net.to(torch.bfloat16)(_image().to(torch.bfloat16)).isfinite().all()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(eff.UnknownModel, match="Did you mean lightm-unet"):
        nets.create("light-unet")


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="filters"):
        nets.create("lightm-unet", filters=8)
