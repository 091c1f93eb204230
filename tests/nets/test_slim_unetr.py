import pytest
import torch

from napari_effseg import nets

SMALL = {"in_channels": 1, "embed_dim": 16, "channels": (8, 8, 8), "blocks": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("size", "tokens"), [((33, 32, 32), 1), ((35, 64, 32), 2), ((64, 32, 32), 1), ((32, 32, 32), 2)]
)
def test_sizes_that_the_original_takes_in_silence_are_refused(size, tokens):
    net = nets.create("slim-unetr", embedding_dim=tokens, **SMALL)
    with pytest.raises(ValueError, match=r"multiples of 32|blocks of 32"):
        net(torch.zeros(1, 1, *size))


def test_tokens_may_lie_in_any_arrangement():
    net = nets.create("slim-unetr", embedding_dim=2, **SMALL).eval()
    with torch.inference_mode():
        for size in [(64, 32, 32), (32, 64, 32), (32, 32, 64)]:
            assert net(torch.zeros(1, 1, *size)).shape == (1, 3, *size)


def test_dropout_acts_on_tokens_in_training_only():
    torch.manual_seed(0)
    net = nets.create("slim-unetr", embedding_dim=2, dropout=0.5, **SMALL)
    x = torch.randn(2, 1, 64, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"heads": (5, 2, 4, 4)}, "do not divide"),
        ({"channels": (24, 48)}, "expected 3"),
        ({"r": (4, 2, 2, 0)}, "at least 1"),
        ({"embedding_dim": 0}, "at least 1"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("slim-unetr", **wrong)


def test_an_unusual_attention_stride_asks_for_larger_multiples():
    assert nets.SlimUNETRConfig().multiple_of == 32
    assert nets.SlimUNETRConfig(r=(4, 2, 2, 2)).multiple_of == 64
