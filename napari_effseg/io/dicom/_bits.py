"""Pixels of a single bit, packed: a frame may begin inside a byte, where pydicom loses its way in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._kinds import Layout

__all__ = ["is_packed", "unpacked"]

_LITTLE_ENDIAN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")


def is_packed(layout: Layout) -> bool:
    """Whether eight pixels share a byte, the first in its lowest bit."""
    return layout.bits_allocated == 1 and layout.samples == 1 and layout.syntax in _LITTLE_ENDIAN


def unpacked(source: BinaryIO, layout: Layout, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of 0 and 1, (rows, columns).

    Parameters
    ----------
    source : binary file
        At the first byte of the pixels.
    layout : Layout
    indices : sequence of int
        Which frames.
    """
    start, bits = source.tell(), layout.rows * layout.columns
    for index in indices:
        byte, shift = divmod(index * bits, 8)
        source.seek(start + byte)
        packed = np.frombuffer(source.read((shift + bits + 7) // 8), np.uint8)
        one_frame = np.unpackbits(packed, bitorder="little")[shift : shift + bits]
        yield one_frame.reshape(layout.rows, layout.columns)
