import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg.engine.doubt import channels_of, check_channels, decide_labels, doubt_of
from napari_effseg.errors import WeightsError
from napari_effseg.zoo import OutputSpec, Region

from .builders import card_for, labelled

SOFTMAX, SIGMOID = OutputSpec("softmax"), OutputSpec("sigmoid")
NESTED = OutputSpec("regions", (Region(0, 1), Region(2, 3), Region(1, 2)))
LOGITS = arrays(np.float32, (4, 2, 3, 2), elements=st.floats(-80, 80, width=32))


@pytest.mark.parametrize("output", [SOFTMAX, SIGMOID, NESTED], ids=lambda output: output.activation)
@given(logits=LOGITS)
def test_doubt_lies_between_zero_and_one(output, logits):
    doubt = doubt_of(torch.from_numpy(logits), output)
    assert doubt.shape == (2, 3, 2)
    assert doubt.dtype == torch.float32
    assert (doubt >= 0).all()
    assert (doubt <= 1).all()


@given(logits=LOGITS)
def test_softmax_doubt_is_the_normalised_entropy(logits):
    p = torch.softmax(torch.from_numpy(logits).double(), 0)
    entropy = -torch.special.xlogy(p, p).sum(0) / math.log(4)
    torch.testing.assert_close(
        doubt_of(torch.from_numpy(logits), SOFTMAX).double(), entropy, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("output", [SOFTMAX, SIGMOID, NESTED], ids=lambda output: output.activation)
def test_no_difference_between_classes_is_full_doubt(output):
    assert doubt_of(torch.zeros(4, 1, 1, 1), output).item() == pytest.approx(1.0)


@pytest.mark.parametrize("output", [SOFTMAX, SIGMOID], ids=lambda output: output.activation)
def test_a_large_difference_is_no_doubt(output):
    assert doubt_of(torch.tensor([90.0, -90.0, -90.0]), output).item() == pytest.approx(0.0, abs=1e-6)


def test_one_doubtful_region_makes_the_voxel_doubtful():
    assert doubt_of(torch.tensor([50.0, 0.0, -50.0]), NESTED).item() == pytest.approx(1.0)


def test_a_higher_temperature_raises_doubt():
    logits = torch.tensor([2.0, 0.0, -1.0])
    calm = doubt_of(logits, OutputSpec("softmax", doubt_temperature=3.0))
    assert calm > doubt_of(logits, SOFTMAX)


def test_softmax_takes_the_likeliest_class():
    assert decide_labels(torch.tensor([[0.1, 3.0], [0.2, 1.0], [5.0, 2.0]]), SOFTMAX).tolist() == [2, 0]


def test_sigmoid_below_one_half_is_background():
    logits = torch.tensor([[-0.1, 0.1, 2.0], [-3.0, -1.0, 3.0]])
    assert decide_labels(logits, SIGMOID).tolist() == [0, 1, 2]


def test_later_regions_overwrite_earlier_ones():
    logits = torch.tensor([[1.0, 1.0, -1.0, 1.0], [-1.0, 1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    assert decide_labels(logits, NESTED).tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize(("activation", "channels"), [("softmax", 3), ("sigmoid", 2), ("regions", 2)])
def test_the_activation_tells_the_number_of_channels(activation, channels):
    assert channels_of(card_for(activation=activation)) == channels


def test_a_network_with_other_channels_is_refused():
    with pytest.raises(WeightsError, match=r"gives 5 channels.*ask for 4"):
        check_channels(card_for(labels=labelled("a", "b", "c")), 5)


def test_a_network_may_have_more_channels_than_regions():
    check_channels(card_for(activation="regions"), 3)
