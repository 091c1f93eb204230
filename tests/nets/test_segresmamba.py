import pytest
import torch

from napari_effseg import nets

SMALL = {"feat_size": (4, 8, 16, 32), "decoder_group_norm_groups": 2, "out_chans": 2}


def _size(**options):
    with torch.device("meta"):
        return sum(
            p.numel() for p in nets.create("segresmamba", in_chans=4, out_chans=3, **options).parameters()
        )


def test_slim_leaves_out_what_takes_no_part():
    assert _size() == 111_610_951
    assert _size(slim=True) == 111_610_951 - 39_578_404
    assert _size(slim=True, use_mamba=False) == 111_610_951 - 39_578_404 - 1_560_960


def test_a_slim_network_loads_its_own_state_too():
    net, other = (nets.create("segresmamba", slim=True, **SMALL) for _ in range(2))
    other.load_state_dict(net.state_dict(), strict=True)


def test_a_slim_network_still_misses_what_it_needs():
    net = nets.create("segresmamba", slim=True, **SMALL)
    state = {name: value for name, value in net.state_dict().items() if name != "out.bias"}
    with pytest.raises(RuntimeError, match=r"out\.bias"):
        net.load_state_dict(state, strict=True)


def test_loading_leaves_the_given_state_as_it_was():
    official = nets.create("segresmamba", **SMALL).state_dict()
    names = list(official)
    nets.create("segresmamba", slim=True, use_mamba=False, **SMALL).load_state_dict(official, strict=True)
    assert list(official) == names


def test_a_side_one_short_of_a_multiple_comes_back_one_larger():
    net = nets.create("segresmamba", **SMALL).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 47, 32, 31)).shape == (1, 2, 48, 32, 32)


@pytest.mark.parametrize("size", [(40, 48, 48), (32, 32, 32), (31, 32, 16)])
def test_sizes_that_fail_inside_are_refused_in_words(size):
    net = nets.create("segresmamba", **SMALL)
    with pytest.raises(ValueError, match=r"multiples of 16|at least 48"):
        net(torch.zeros(1, 1, *size))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"feat_size": (48, 96, 200, 384)}, "twice"),
        ({"decoder_init_filters": 32}, "asks for 48"),
        ({"decoder_group_norm_groups": 7}, "do not divide"),
        ({"spatial_dims": 2}, "three-dimensional"),
        ({"out_chans": 0}, "at least 1"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("segresmamba", **wrong)
