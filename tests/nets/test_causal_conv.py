import pytest
import torch
import torch.nn.functional as F

from napari_effseg.nets._causal_conv import causal_conv


def _official(x, weight, bias):
    padded = F.conv1d(x, weight, bias, padding=weight.shape[-1] - 1, groups=x.shape[1])
    return padded[..., : x.shape[-1]]


@pytest.mark.parametrize(("length", "kernel"), [(1, 4), (2, 4), (4, 4), (9, 4), (9, 1), (7, 3)])
def test_values_and_gradients_equal_torchs(length, kernel):
    torch.manual_seed(length)
    inputs = [torch.randn(2, 3, length), torch.randn(3, 1, kernel), torch.randn(3)]
    ours, theirs = ([t.double().requires_grad_() for t in inputs] for _ in range(2))
    made, expected = causal_conv(*ours), _official(*theirs)
    torch.testing.assert_close(made, expected)
    grad = torch.randn_like(made)
    made.backward(grad), expected.backward(grad)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_a_strided_sequence_needs_no_copy_by_the_caller():
    x = torch.randn(2, 9, 3).transpose(1, 2)
    weight, bias = torch.randn(3, 1, 4), torch.randn(3)
    torch.testing.assert_close(causal_conv(x, weight, bias), _official(x, weight, bias))
