import pytest
import torch

from napari_effseg import nets

SMALL = {"features_per_stage": (4, 6, 8), "kernel_sizes": (3, 3, 3), "strides": (1, 2, (1, 2, 2))}
PLANAR = {"spatial_dims": 2, "features_per_stage": (4, 6, 8), "kernel_sizes": (3, 3, 3), "strides": (1, 2, 2)}


def _mamba_levels(net):
    return sorted({int(n.split(".")[2]) for n in net.state_dict() if n.startswith("encoder.mamba_layers")})


def test_only_the_deeper_levels_are_built_with_one_block():
    """As the public code does, whatever the plans say."""
    net = nets.create("u-mamba")
    assert [len(stage) for stage in net.encoder.stages] == [2, 2, 2, 1, 1, 1]
    assert [len(stage) for stage in net.decoder.stages] == [2, 2, 2, 1, 1]


def test_the_state_holds_the_encoder_twice_as_public_ones_do():
    state = nets.create("u-mamba", **SMALL).state_dict()
    twice = {name for name in state if name.startswith("encoder.")}
    assert {f"decoder.{name}" for name in twice} <= set(state)
    assert "encoder.stages.0.1.conv1.all_modules.0.weight" in state


def test_the_encoder_variant_mixes_every_level_in_3d_and_every_other_in_2d():
    assert _mamba_levels(nets.create("u-mamba", variant="encoder", input_size=(8, 16, 16), **SMALL)) == [
        0,
        1,
        2,
    ]
    assert _mamba_levels(nets.create("u-mamba", variant="encoder", input_size=(32, 32), **PLANAR)) == [0, 2]


def test_in_2d_the_finest_level_does_without_the_encoders():
    net = nets.create("u-mamba", **PLANAR).eval()
    assert net.decoder.stages[-1][0].conv1.in_channels == 4
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 16, 12)).shape == (1, 2, 16, 12)


def test_a_level_of_few_voxels_takes_channels_as_tokens_and_ties_the_size():
    net = nets.create("u-mamba", variant="encoder", input_size=(4, 4, 8), **SMALL).eval()
    assert net.encoder.mamba_layers[2].norm.normalized_shape == (2 * 1 * 2,)
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 4, 4, 8)).shape == (1, 2, 4, 4, 8)
    with pytest.raises(ValueError, match=r"takes \(4, 4, 8\) only"):
        net(torch.zeros(1, 1, 8, 4, 8))


def test_sizes_that_do_not_divide_are_refused_in_words():
    with pytest.raises(ValueError, match=r"multiples of \[2, 4, 4\]"):
        nets.create("u-mamba", **SMALL)(torch.zeros(1, 1, 8, 6, 8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variant": "all"}, "expected 'bottleneck' or 'encoder'"),
        ({"spatial_dims": 4}, "expected 2 or 3"),
        ({"variant": "encoder"}, "needs 3 sizes"),
        ({"strides": (1, 2)}, "expected 6"),
        ({"n_conv_per_stage": (1, 0)}, "expected 6"),
        ({"features_per_stage": (8,)}, "two levels"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("u-mamba", **wrong)
