"""Instance and group norms of channels-last images on a CPU, compiled, with the activation in the same pass.

Torch's own group norm adds up channels-last images in single precision, voxel after voxel: at 96 voxels a
side its results are off by 4e-4, and by 5e-3 where the mean is ten times the spread. Here each block of
voxels has a mean and a spread of its own, and those are joined in double precision.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of the kernels.

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._numba_cache import SOURCE, inlined, kernel
from ._simd import claim
from ._threads import run_together

__all__ = ["normalise"]

_ROW = 64  # numbers of a row, at least, where there are fewer channels: long enough for vectors
_BLOCK = 1 << 14  # numbers of a block: 64 kB
_INLINE_NUMBERS = 1 << 15  # of an image, below which a second thread costs more than it gives

Floats = NDArray[np.float32]


def normalise(
    x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float, slope: float = 1.0
) -> Tensor:
    """Normalise groups of channels over an image: (B, C, *S), channels last -> the same.

    Parameters
    ----------
    x : Tensor
        float32 on the CPU, without gradients.
    groups : int
        Of neighbouring channels; C of them make an instance norm.
    weight, bias : Tensor, shape (C,), or None
    eps : float
        Added to the variance.
    slope : float
        What numbers below 0 are multiplied by in the end: 0 is a ReLU, 1 no activation.
    """
    image = x.movedim(1, -1).contiguous()
    batch, channels = x.shape[:2]
    voxels = image[0].numel() // channels
    together = next(n for n in range(max(_ROW // channels, 1), 0, -1) if voxels % n == 0)
    rows = image.reshape(batch, voxels // together, together * channels).numpy()
    scale, shift = _affine_map(rows, channels, groups, weight, bias, eps)
    out = torch.empty_like(image)
    _share(
        lambda counter: _apply(
            counter, rows, scale, shift, np.float32(slope), _rows_of(rows), out.numpy().reshape(rows.shape)
        ),
        rows,
    )
    return out.movedim(-1, 1)


def _affine_map(
    rows: Floats, channels: int, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Floats, Floats]:
    """Factor and offset of every number of a row: two (B, P)."""
    batch, count, _ = rows.shape
    step = _rows_of(rows)
    blocks = -(-count // step)
    means, spreads = (np.empty((batch, blocks, rows.shape[2]), np.float32) for _ in range(2))
    _share(lambda counter: _moments(counter, rows, step, means, spreads), rows)
    sizes = np.full((blocks, 1, 1), step, np.float64)
    sizes[-1] = count - (blocks - 1) * step
    # (B, blocks, together, groups, channels of a group)
    m = means.astype(np.float64).reshape(batch, blocks, -1, groups, channels // groups)
    s = spreads.astype(np.float64).reshape(m.shape)
    n = sizes[..., None]
    total = count * m.shape[2] * m.shape[4]
    mean = (n * m).sum((1, 2, 4), keepdims=True) / total
    variance = (s + n * (m - mean) ** 2).sum((1, 2, 4), keepdims=True) / total
    inverse = 1 / np.sqrt(variance + eps)
    own = (groups, channels // groups)
    factor = np.broadcast_to(inverse, (batch, 1, 1, *own)) * (
        1.0 if weight is None else weight.numpy().reshape(own)
    )
    offset = (0.0 if bias is None else bias.numpy().reshape(own)) - mean * factor
    repeats = rows.shape[2] // channels
    scale, shift = (np.tile(v.reshape(batch, channels), repeats).astype(np.float32) for v in (factor, offset))
    return scale, shift


def _rows_of(rows: Floats) -> int:
    """Rows of a block."""
    return max(_BLOCK // rows.shape[2], 1)


def _share(work: Callable[[int], None], rows: Floats) -> None:
    """Run ``work(address of a counter of claims)`` on as many threads as the image is worth."""
    counter = np.zeros(1, np.int64)
    threads = 1 if rows.size < _INLINE_NUMBERS else torch.get_num_threads()
    run_together(lambda: work(counter.ctypes.data), threads)


@inlined
def _moments_of_block(block, mean, spread):
    """Mean of every column, and sum of squares about it."""
    count, width = block.shape
    for p in range(width):
        mean[p] = 0
        spread[p] = 0
    for r in range(count):
        for p in range(width):
            mean[p] += block[r, p]
    inverse = np.float32(1.0) / np.float32(count)
    for p in range(width):
        mean[p] *= inverse
    for r in range(count):
        for p in range(width):
            apart = block[r, p] - mean[p]
            spread[p] += apart * apart


def _moments_kernel(source):
    def moments(counter, rows, step, means, spreads):
        _ = source
        batch, blocks, _width = means.shape
        number = claim(counter)
        while number < batch * blocks:
            b, k = number // blocks, number % blocks
            _moments_of_block(rows[b, k * step : (k + 1) * step], means[b, k], spreads[b, k])
            number = claim(counter)

    return moments


@inlined
def _apply_to_block(block, scale, shift, slope, out):
    count, width = block.shape
    for r in range(count):
        for p in range(width):
            y = block[r, p] * scale[p] + shift[p]
            out[r, p] = y if y > 0 else y * slope


def _apply_kernel(source):
    def apply(counter, rows, scale, shift, slope, step, out):
        _ = source
        batch, count, _width = rows.shape
        blocks = (count + step - 1) // step
        number = claim(counter)
        while number < batch * blocks:
            b, start = number // blocks, number % blocks * step
            _apply_to_block(
                rows[b, start : start + step], scale[b], shift[b], slope, out[b, start : start + step]
            )
            number = claim(counter)

    return apply


_moments = kernel(_moments_kernel(SOURCE))
_apply = kernel(_apply_kernel(SOURCE))
