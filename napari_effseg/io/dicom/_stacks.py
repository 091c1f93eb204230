"""Split the frames of a series into stacks that can be one volume: same size, direction and pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...volume import affine_axcodes, lps_to_ras
from ._frames import Frame
from ._places import Place

__all__ = ["Stack", "main_stacks", "split_into_stacks"]

_SAME_DIRECTION = 1e-3  # of each cosine; headers of one stack differ by rounding
_SAME_PIXEL = 1e-3  # relative
_PLANES = {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames of one series that lie parallel and have pixels of one size.

    Parameters
    ----------
    frames : tuple of Frame
        In no particular order.
    """

    frames: tuple[Frame, ...]

    @property
    def has_place(self) -> bool:
        """Whether the header says where in the patient the frames lie."""
        return self.frames[0].place.position_lps is not None

    @property
    def is_localizer(self) -> bool:
        """Whether the header calls the frames a localizer."""
        return any("LOCALIZER" in frame.image_type for frame in self.frames)

    @property
    def words(self) -> str:
        """Short description: number, size and plane."""
        layout = self.frames[0].layout
        plane = f", {_plane(self.frames[0].place)}" if self.has_place else ", without a position"
        return f"{len(self.frames)} of {layout.columns} x {layout.rows} pixels{plane}"


def split_into_stacks(frames: Iterable[Frame]) -> tuple[Stack, ...]:
    """Group frames that fit together, the largest group first."""
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _fit(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    groups.sort(key=len, reverse=True)  # stable: equal groups stay in the order of their files
    return tuple(Stack(tuple(group)) for group in groups)


def main_stacks(stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """Stacks that somebody may want as a volume: localizers and pictures beside placed images left out."""
    placed = [stack for stack in stacks if stack.has_place]
    main = [stack for stack in placed if not stack.is_localizer]
    return tuple(main or placed or stacks)


def _fit(first: Frame, other: Frame) -> bool:
    a, b = first.layout, other.layout
    if (a.rows, a.columns, a.channels) != (b.rows, b.columns, b.channels):
        return False
    here, there = first.place, other.place
    if (here.position_lps is None) != (there.position_lps is None):
        return False
    turned = np.subtract((*here.along_row, *here.along_column), (*there.along_row, *there.along_column))
    return bool(
        np.abs(turned).max() <= _SAME_DIRECTION
        and np.allclose(here.pixel_mm, there.pixel_mm, rtol=_SAME_PIXEL, atol=0)
    )


def _plane(place: Place) -> str:
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([place.along_row, place.along_column, place.normal])
    return _PLANES[affine_axcodes(lps_to_ras(lps))[2]]
