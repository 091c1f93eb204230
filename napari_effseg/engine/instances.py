"""Number the objects of a label map as its card says: cores grown into borders, or masks split at waists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["each_slice"]


def each_slice(shape: Sequence[int], flat_axis: int | None) -> Iterator[tuple[Any, ...]]:
    """Index of each slice across an axis, or of the whole array without one."""
    if flat_axis is None:
        yield (slice(None),) * len(shape)
        return
    for place in range(shape[flat_axis]):
        yield (*(slice(None),) * flat_axis, place)
