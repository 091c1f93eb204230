"""The forms that networks have for inference: the same numbers as the plain ones."""

import copy
import platform

import pytest
import torch
from torch import Tensor, nn

from napari_effseg import nets
from napari_effseg.errors import ConfigError
from napari_effseg.nets._quick import QuickConv, QuickMBConv, QuickOverlapping, QuickTransposed, quick_chain
from napari_effseg.nets.inference import inference_form

from .test_registry import INPUTS, SMALL

CLOSE = 1e-4
"""Largest difference, over the largest value."""
needs_onednn = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available(),
    reason="quick forms are for x86 CPUs with oneDNN",
)


def trained(network: nn.Module) -> nn.Module:
    """In evaluation mode, with norms that have learned something."""
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)) and module.running_mean is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return network.eval()


def difference(plain: nn.Module, quick: nn.Module, x: Tensor) -> float:
    """How far the quick form is off, over the largest value; less what the plain form itself is off."""
    with torch.inference_mode():
        truth, expected, found = copy.deepcopy(plain).double()(x.double()), plain(x), quick(x)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    off, rounding = ((y - truth).abs().max() / truth.abs().max() for y in (found, expected))
    return float(off - rounding)


def both_forms(name: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    plain = trained(nets.create(name, **SMALL[name]))
    return plain, inference_form(copy.deepcopy(plain))


@pytest.mark.parametrize("name", nets.names())
def test_every_network_gives_the_same_logits_in_its_quick_form(name):
    plain, quick = both_forms(name)
    assert difference(plain, quick, torch.randn(3, *INPUTS[name])) < CLOSE


@needs_onednn
@pytest.mark.parametrize("name", nets.names())
def test_every_network_has_quick_layers(name):
    _, quick = both_forms(name)
    assert any(isinstance(module, (QuickConv, QuickMBConv)) for module in quick.modules())


@pytest.mark.parametrize("name", ["hrmedseg", "hrmedsegsam", "sam"])
def test_prompts_are_answered_alike(name):
    plain, quick = both_forms(name)
    image, boxes = torch.randn(1, *INPUTS[name]), torch.tensor([[4.0, 4, 20, 20], [2, 8, 30, 30]])
    with torch.inference_mode():
        expected, found = (
            net.decode(net.encode(image), boxes=boxes, multimask=True) for net in (plain, quick)
        )
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=CLOSE * float(expected.abs().max()))


@pytest.mark.parametrize("options", [{"spatial_dims": 2}, {"blocks_down": [1, 2, 1], "blocks_up": [1, 1]}])
def test_lightm_unet_in_other_shapes(options):
    plain = trained(nets.create("lightm-unet", **{"init_filters": 8, **SMALL["lightm-unet"], **options}))
    sizes = (36, 44) if options.get("spatial_dims") == 2 else (12, 8, 16)
    assert difference(plain, inference_form(copy.deepcopy(plain)), torch.randn(2, 1, *sizes)) < CLOSE


@needs_onednn
def test_a_long_sequence_is_mixed_in_pieces(monkeypatch):
    from napari_effseg.nets import _quick_mamba

    plain, quick = both_forms("lightm-unet")
    x = torch.randn(1, 1, 32, 24, 20)
    monkeypatch.setattr(_quick_mamba, "_PIECE_NUMBERS", 0)  # pieces of 1024 tokens
    assert difference(plain, quick, x) < CLOSE


@needs_onednn
def test_images_of_other_sizes_and_batches_follow_each_other():
    plain, quick = both_forms("unet")
    for shape in [(1, 1, 8, 12, 16), (2, 1, 8, 12, 16), (1, 1, 16, 8, 8), (1, 1, 8, 12, 16)]:
        assert difference(plain, quick, torch.randn(shape)) < CLOSE


def test_a_network_that_came_back_from_another_precision_is_changed():
    plain, _ = both_forms("unet")
    moved = copy.deepcopy(plain).to(torch.float64).to("cpu", torch.float32)
    assert difference(plain, inference_form(moved), torch.randn(1, *INPUTS["unet"])) < CLOSE


@pytest.mark.parametrize(
    "change", [lambda net: net.double(), lambda net: net.train(), lambda net: net.half()]
)
def test_other_precisions_and_training_stay_plain(change):
    network = change(nets.create("unet", **SMALL["unet"]))
    assert not any(isinstance(module, QuickConv) for module in inference_form(network).modules())


def test_networks_of_others_stay_plain():
    class Foreign(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

    network = Foreign().eval()
    kept = network.conv
    assert inference_form(network).conv is kept


def test_the_plain_form_can_be_forced(monkeypatch):
    monkeypatch.setenv("EFFSEG_FORM", "eager")
    _, network = both_forms("unet")
    assert not any(isinstance(module, QuickConv) for module in network.modules())


def test_another_form_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("EFFSEG_FORM", "fastest")
    with pytest.raises(ConfigError, match="fastest"):
        inference_form(nn.Identity().eval())


CHAINS = {
    "batch norm, leaky ReLU": [
        nn.Conv3d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm3d(8),
        nn.LeakyReLU(0.1),
    ],
    "instance norm, ReLU": [nn.Conv2d(3, 8, 3, 2, 1), nn.InstanceNorm2d(8, affine=True), nn.ReLU()],
    "GELU": [nn.Conv3d(4, 6, (1, 3, 5), padding=(0, 1, 2), groups=2), nn.GELU()],
    "group norm": [nn.ConvTranspose3d(3, 8, (2, 4, 2), (2, 4, 2)), nn.GroupNorm(4, 8), nn.LeakyReLU()],
    "overlapping": [nn.ConvTranspose3d(4, 6, 5, 2, 2, output_padding=1), nn.Tanh()],
    "dilated": [nn.Conv2d(4, 4, 3, dilation=2, groups=4), nn.ReLU6(), nn.BatchNorm2d(4)],
    "other padding": [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
    ],
}


@needs_onednn
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_chain_of_layers_gives_the_same_values(chain):
    plain = trained(nn.Sequential(*copy.deepcopy(chain)))
    with torch.no_grad():
        quick = nn.Sequential(*quick_chain(list(plain)))
    dims = 3 if "3d" in type(chain[0]).__name__ else 2
    x = torch.randn(3, chain[0].in_channels, *(9, 12, 10)[:dims])
    assert difference(plain, quick, x) < CLOSE


@needs_onednn
def test_what_was_folded_is_gone():
    with torch.no_grad():
        kinds = [
            type(part)
            for part in quick_chain(trained(nn.Sequential(*copy.deepcopy(CHAINS["batch norm, leaky ReLU"]))))
        ]
    assert kinds == [QuickConv, nn.Identity, nn.Identity]


@needs_onednn
@pytest.mark.parametrize(
    ("chain", "kind"), [("group norm", QuickTransposed), ("overlapping", QuickOverlapping)]
)
def test_kernels_that_do_not_overlap_are_one_product(chain, kind):
    with torch.no_grad():
        assert type(quick_chain(CHAINS[chain])[0]) is kind


@needs_onednn
@pytest.mark.parametrize(
    ("channels", "groups", "sides"), [(8, 8, (7, 9, 11)), (12, 3, (16, 16)), (130, 1, (3, 5, 7))]
)
def test_norms_hold_where_the_mean_is_large(channels, groups, sides):
    from napari_effseg.nets._quick_norm import normalise

    x = (torch.randn(2, channels, *sides) + 30).contiguous(
        memory_format=torch.channels_last_3d if len(sides) == 3 else torch.channels_last
    )
    weight, bias = torch.randn(channels), torch.randn(channels)
    expected = torch.nn.functional.group_norm(x.double(), groups, weight.double(), bias.double())
    found = normalise(x, groups, weight, bias, 1e-5, 0.25)
    assert float((found - torch.nn.functional.leaky_relu(expected, 0.25)).abs().max()) < 3e-5
