"""From the functional groups of a SEG to its frames: which segment each shows, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import ImageReadError
from ..dicom._places import Place, place_of
from ..dicom._values import item, items, number, numbers, whole

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["SegFrame", "frames_of"]

_SHARED = ("PlaneOrientationSequence", "PixelMeasuresSequence")  # by all frames, in most files


@dataclass(frozen=True, slots=True)
class SegFrame:
    """One frame: which segment it shows, and where.

    Parameters
    ----------
    index : int
        In the file, from 0.
    segment : int or None
        Segment number; None in a label map, whose pixels say it.
    place : Place
    spacing_mm : float or None
        Distance between slices where the file names it; a thickness is none.
    """

    index: int
    segment: int | None
    place: Place
    spacing_mm: float | None


def frames_of(dataset: Dataset, count: int) -> tuple[SegFrame, ...]:
    """Frames as the functional groups describe them.

    Raises
    ------
    ImageReadError
        If some are not described, or lie on a slide; the message is the rest of a sentence.
    """
    shared = item((dataset,), "SharedFunctionalGroupsSequence")
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    if groups and len(groups) < count:
        raise ImageReadError(f"describes {len(groups)} of its {count} frames; it is damaged")
    first = (groups[0], shared) if groups else (shared,)
    if item(first, "PlanePositionSlideSequence") is not None or whole(dataset, "TotalPixelMatrixRows"):
        raise ImageReadError("lies on a microscope slide, in tiles, which is not read")
    frames: list[SegFrame] = []
    like: SegFrame | None = None
    for index in range(count):
        own = groups[index] if groups else None
        identification = item((own, shared), "SegmentIdentificationSequence")
        segment = None if identification is None else whole(identification, "ReferencedSegmentNumber")
        has_own = own is not None and any(keyword in own for keyword in _SHARED)
        place, spacing = _place(dataset, own, shared, None if has_own else like)
        frames.append(SegFrame(index, segment, place, spacing))
        if like is None and not has_own:
            like = frames[-1]
    return tuple(frames)


def _place(
    dataset: Dataset, own: Dataset | None, shared: Dataset | None, like: SegFrame | None
) -> tuple[Place, float | None]:
    """Place of a frame, and the distance between slices that the file names for it.

    Parameters
    ----------
    dataset : Dataset
    own, shared : Dataset or None
        Functional groups.
    like : SegFrame or None
        A frame that lies as all do but for its position: what both share is taken from it, as reading it
        again for thousands of frames takes long.
    """
    if like is not None and own is not None:
        at = numbers(item((own,), "PlanePositionSequence"), "ImagePositionPatient", 3)
        if at is not None and like.place.position_lps is not None:
            return replace(like.place, position_lps=(at[0], at[1], at[2])), like.spacing_mm
    measures = item((own, shared), "PixelMeasuresSequence")
    spacing = None if measures is None else number(measures, "SpacingBetweenSlices")
    return place_of(dataset, (own, shared)), spacing
