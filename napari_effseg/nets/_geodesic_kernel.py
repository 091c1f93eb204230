"""Shortest paths over the pixels of an image, by sweeps, as a compiled kernel."""

# mypy: ignore-errors
# numba infers the types of what is compiled here

from __future__ import annotations

from ._numba_cache import kernel

__all__ = ["sweep", "sweep_solid"]


@kernel
def sweep(length, right, below, below_right, below_left, most):
    """Shorten paths, in place, until nothing changes or `most` double sweeps are done.

    Parameters
    ----------
    length : ndarray, shape (I, J), float32
        0 at seeds, large elsewhere.
    right, below, below_right, below_left : ndarray, shape (I, J), float32
        Length of the step from each pixel to that neighbour; what leads out of the image is not looked at.
    most : int
    """
    rows, columns = length.shape
    for _ in range(most):
        changed = False
        for i in range(rows):
            for j in range(columns):
                best = length[i, j]
                if j > 0:
                    best = min(best, length[i, j - 1] + right[i, j - 1])
                if i > 0:
                    best = min(best, length[i - 1, j] + below[i - 1, j])
                    if j > 0:
                        best = min(best, length[i - 1, j - 1] + below_right[i - 1, j - 1])
                    if j < columns - 1:
                        best = min(best, length[i - 1, j + 1] + below_left[i - 1, j + 1])
                if best < length[i, j]:
                    length[i, j] = best
                    changed = True
        for i in range(rows - 1, -1, -1):
            for j in range(columns - 1, -1, -1):
                best = length[i, j]
                if j < columns - 1:
                    best = min(best, length[i, j + 1] + right[i, j])
                if i < rows - 1:
                    best = min(best, length[i + 1, j] + below[i, j])
                    if j < columns - 1:
                        best = min(best, length[i + 1, j + 1] + below_right[i, j])
                    if j > 0:
                        best = min(best, length[i + 1, j - 1] + below_left[i, j])
                if best < length[i, j]:
                    length[i, j] = best
                    changed = True
        if not changed:
            break


@kernel
def sweep_solid(length, steps, offsets, most):
    """Shorten paths through a volume, in place, until nothing changes or `most` double sweeps are done.

    Parameters
    ----------
    length : ndarray, shape (N,), float32
        Of the voxels of a volume with a margin, one after the other: 0 at seeds, large elsewhere.
    steps : ndarray, shape (N, M), float32
        Length of the step from each voxel to each of its later neighbours; large where there is none.
    offsets : ndarray of int, shape (M,)
        How many voxels later these neighbours are.
    most : int
    """
    margin = offsets[-1]
    for _ in range(most):
        changed = False
        for here in range(margin, len(length) - margin):
            best = length[here]
            for way in range(len(offsets)):
                there = here - offsets[way]
                best = min(best, length[there] + steps[there, way])
            if best < length[here]:
                length[here] = best
                changed = True
        for here in range(len(length) - margin - 1, margin - 1, -1):
            best = length[here]
            for way in range(len(offsets)):
                best = min(best, length[here + offsets[way]] + steps[here, way])
            if best < length[here]:
                length[here] = best
                changed = True
        if not changed:
            break
