"""One battery for every network that `create` knows."""

import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import napari_effseg as eff
from napari_effseg import nets

PICTURES = {
    "dim": 24,
    "img_size": 32,
    "embed_dim": 16,
    "decoder_heads": 2,
    "decoder_mlp_dim": 8,
    "mask_in_chans": 4,
}
SMALL = {
    "click-unet": {"features": [4, 8], "hypotheses": 1},
    "hrmedseg": PICTURES,
    "hrmedsegsam": {**PICTURES, "decoder": "sam"},
    "lightm-unet": {"spatial_dims": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "nnunet": {"features_per_stage": [4, 6, 8], "kernel_sizes": [3, 3, 3], "strides": [1, 2, 2]},
    "sam": {"img_size": 32, "encoder_dim": 16, "encoder_depth": 4, "encoder_heads": 2},
    "segmamba": {
        "out_chans": 2,
        "feat_size": [4, 4, 4, 8],
        "depths": [1, 1, 1, 1],
        "hidden_size": 8,
    },
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
    "u-mamba": {"features_per_stage": [4, 6, 8], "kernel_sizes": [3, 3, 3], "strides": [1, 2, 2]},
    "solid-unet": {"features": [4, 8]},
    "unet": {"spatial_dims": 3, "features": [4, 8]},
}
INPUTS = {
    "click-unet": (13, 12, 16),
    "hrmedseg": (3, 32, 32),
    "hrmedsegsam": (3, 32, 32),
    "lightm-unet": (1, 8, 6, 4),
    "nnunet": (1, 8, 12, 16),
    "sam": (3, 32, 32),
    "segmamba": (1, 32, 32, 32),
    "segresmamba": (1, 48, 16, 16),
    "slim-unetr": (1, 64, 32, 32),
    "u-mamba": (1, 8, 12, 16),
    "solid-unet": (8, 8, 6, 4),
    "unet": (1, 8, 6, 4),
}
_PROMPTED = r"prompt_encoder\.(point|not_a|mask_d)|hypernetworks_mlps\.[123]|iou_prediction_head"
# Prompts, and what chooses between several answers, take no part in a forward pass without prompts.
ASLEEP = {
    "click-unet": r"^score",
    "hrmedseg": r"prompt_encoder\.(point|not_a|mask_d)|hypernetworks_mlps\.[12]",
    "hrmedsegsam": _PROMPTED,
    "nnunet": r"seg_layers\.0",
    "sam": _PROMPTED,
    "u-mamba": r"seg_layers\.0",  # the coarser heads serve deep supervision
}


@dataclass(frozen=True)
class Case:
    net: nn.Module
    image: Tensor
    asleep: str


@pytest.fixture(params=nets.names())
def case(request):
    torch.manual_seed(0)
    net = nets.create(request.param, **SMALL[request.param])
    with torch.no_grad():
        for parameter in net.parameters():  # some are initialised to 0, which hides others
            parameter.add_(0.05 * torch.randn_like(parameter))
    return Case(net, torch.randn(2, *INPUTS[request.param]), ASLEEP.get(request.param, "^$"))


def test_logits_have_the_images_grid(case):
    classes = 1 if case.image.ndim == 4 or isinstance(case.net, nets.SolidUNet) else 2
    assert case.net(case.image).shape == (2, classes, *case.image.shape[2:])


def test_every_parameter_learns(case):
    y = case.net.eval()(case.image)
    (y * torch.randn_like(y)).sum().backward()
    still = {n for n, p in case.net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert still == {n for n, _ in case.net.named_parameters() if re.search(case.asleep, n)}


def test_a_batch_equals_its_elements(case):
    net, x = case.net.eval(), case.image
    with torch.inference_mode():
        whole = net(x)
        parts = torch.cat([net(x[:1]), net(x[1:])])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)


def test_evaluation_is_deterministic(case):
    case.net.eval()
    with torch.inference_mode():
        assert torch.equal(case.net(case.image), case.net(case.image))


def test_state_dict_round_trip(case):
    other = type(case.net)(case.net.config)
    other.load_state_dict(case.net.state_dict(), strict=True)
    case.net.eval(), other.eval()
    with torch.inference_mode():
        assert torch.equal(case.net(case.image), other(case.image))


def test_half_precision_input_is_widened_or_kept_finite(case):
    with torch.inference_mode():
        assert case.net.to(torch.bfloat16)(case.image.to(torch.bfloat16)).isfinite().all()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(eff.UnknownModel, match="Did you mean lightm-unet"):
        nets.create("light-unet")


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="filters"):
        nets.create("lightm-unet", filters=8)
