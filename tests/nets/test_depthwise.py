import pytest
import torch
import torch.nn.functional as F

from napari_effseg.nets._depthwise import causal_conv, depthwise_conv


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


@pytest.mark.parametrize("size", [(5, 4, 3), (1, 2, 7), (4, 6)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_depthwise_convolution_and_its_gradients_equal_torchs(size, bias):
    torch.manual_seed(0)
    dims = len(size)
    inputs = [torch.randn(2, 3, *size), torch.randn(3, 1, *[3] * dims), torch.randn(3)]
    ours, theirs = ([t.double().requires_grad_() for t in inputs] for _ in range(2))
    made = depthwise_conv(ours[0], ours[1], ours[2] if bias else None)
    convolution = F.conv2d if dims == 2 else F.conv3d
    expected = convolution(theirs[0], theirs[1], theirs[2] if bias else None, padding=1, groups=3)
    torch.testing.assert_close(made, expected)
    grad = torch.randn_like(made)
    made.backward(grad), expected.backward(grad)
    for mine, other in zip(ours[: 3 if bias else 2], theirs, strict=False):
        torch.testing.assert_close(mine.grad, other.grad)
