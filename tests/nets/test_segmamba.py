import pytest
import torch
from monai.networks.blocks.dynunet_block import UnetOutBlock
from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock

from napari_effseg import nets

SMALL = {"feat_size": (4, 6, 8, 10), "depths": (1, 1, 1, 1), "hidden_size": 12, "out_chans": 2}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nets.create("segmamba", **SMALL).eval()


def _monai(kind, **sizes):
    return kind(3, **sizes, kernel_size=3, norm_name="instance", res_block=True)


def test_the_count_is_the_published_one():
    with torch.device("meta"):
        net = nets.create("segmamba", in_chans=4, out_chans=4)
    assert sum(p.numel() for p in net.parameters()) == 67_416_196


@pytest.mark.parametrize(
    ("name", "sizes"), [("encoder1", (1, 4)), ("encoder5", (10, 12)), ("decoder1", (4, 4))]
)
def test_residual_blocks_equal_those_of_monai(net, name, sizes):
    ours = net.get_submodule(name)
    theirs = _monai(UnetrBasicBlock, in_channels=sizes[0], out_channels=sizes[1], stride=1).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, sizes[0], 6, 4, 8)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_the_way_up_equals_that_of_monai(net):
    theirs = _monai(UnetrUpBlock, in_channels=8, out_channels=6, upsample_kernel_size=2).eval()
    theirs.load_state_dict(net.decoder3.state_dict(), strict=True)
    x, skip = torch.randn(2, 8, 3, 2, 4), torch.randn(2, 6, 6, 4, 8)
    with torch.inference_mode():
        torch.testing.assert_close(net.decoder3(x, skip), theirs(x, skip))


def test_the_head_loads_that_of_monai(net):
    net.out.load_state_dict(UnetOutBlock(3, 4, 2).state_dict(), strict=True)


def test_mamba_layers_keep_their_input(net):
    layer = net.vit.stages[0][0]
    torch.nn.init.zeros_(layer.mamba.out_proj.weight)
    x = torch.randn(1, 4, 8, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), x)


@pytest.mark.parametrize("size", [(40, 32, 32), (16, 16, 16)])
def test_sizes_that_do_not_divide_are_refused_in_words(net, size):
    with pytest.raises(ValueError, match=r"multiples of 16|multiple of 32"):
        net(torch.zeros(1, 1, *size))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depths": (1, 1)}, "four"),
        ({"spatial_dims": 2}, "three-dimensional"),
        ({"in_chans": 0}, "at least 1"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("segmamba", **wrong)
