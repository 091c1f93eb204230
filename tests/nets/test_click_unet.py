"""The network that sees clicks: its scores rank its masks, and nothing but them."""

import pytest
import torch

from napari_effseg.nets import ClickUNet, ClickUNetConfig
from napari_effseg.nets.inference import inference_form


def small(**more):
    torch.manual_seed(0)
    return ClickUNet(ClickUNetConfig(features=(4, 8), **more)).eval()


def test_every_mask_has_a_score():
    logits, scores = small(hypotheses=3).ranked(torch.randn(2, 13, 16, 24))
    assert logits.shape == (2, 3, 16, 24)
    assert scores.shape == (2, 3)


def test_masks_with_and_without_scores_are_the_same():
    net, x = small(), torch.randn(1, 13, 16, 16)
    assert torch.equal(net(x), net.ranked(x)[0])


def test_the_first_masks_alone_are_as_they_are_among_all():
    net, x = small(), torch.randn(2, 13, 16, 16)
    for part, whole in zip(net.ranked(x, 2), net.ranked(x), strict=True):
        assert part.shape[1] == 2
        assert torch.allclose(part, whole[:, :2], atol=1e-6)


def test_scores_teach_no_mask():
    net = small()
    net.ranked(torch.randn(1, 13, 16, 16))[1].sum().backward()
    rows = net.head.weight.grad[: net.config.hypotheses]
    assert not rows.any()
    assert net.head.weight.grad[net.config.hypotheses :].any()


def test_a_second_network_answers_what_is_more_than_a_click():
    net, x = small(further=True), torch.randn(2, 13, 16, 16)
    alone = ClickUNet(ClickUNetConfig(features=(4, 8))).eval()
    first = {name: value for name, value in net.state_dict().items() if not name.startswith("further.")}
    alone.load_state_dict(first)
    for one, other in zip(net.ranked(x), alone.ranked(x), strict=True):
        assert torch.equal(one, other)
    alone.load_state_dict(net.further.state_dict())
    for one, other in zip(net.ranked(x, 1, further=True), alone.ranked(x, 1), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(net.ranked(x)[0], net.ranked(x, further=True)[0])
    assert torch.equal(alone.ranked(x, further=True)[0], alone.ranked(x)[0])


def test_quick_layers_answer_alike_in_both_networks():
    net, x = small(further=True), torch.randn(1, 13, 16, 16)
    wanted = [net.ranked(x, further=further) for further in (False, True)]
    quick = inference_form(net)
    for further, (logits, scores) in zip((False, True), wanted, strict=True):
        found = quick.ranked(x.contiguous(memory_format=torch.channels_last), further=further)
        assert torch.allclose(found[0], logits, atol=1e-4)
        assert torch.allclose(found[1], scores, atol=1e-4)


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="multiples of 2"):
        small()(torch.zeros(1, 13, 15, 16))


@pytest.mark.parametrize("wrong", [{"features": (4,)}, {"hypotheses": 0}, {"maps": 0}])
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"at least|features"):
        ClickUNetConfig(**wrong)
