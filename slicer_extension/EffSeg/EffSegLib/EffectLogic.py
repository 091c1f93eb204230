"""Clicks in Segment Editor: a session on the segment that is selected, its masks as modifier images.

The editor applies a modifier image under its own rules of masking and overlap; nothing is written past them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer

from .Marks import point_at
from .Nodes import volume_of
from .rooms import BoolArray, Mask, Segmenter, Session, Volume
from .SegmentationLogic import words_of
from .Segments import image_of, mask_of
from .Work import Job, Worker

__all__ = ["EffectLogic"]


class EffectLogic:
    """What a click in Segment Editor does.

    Parameters
    ----------
    worker : Worker
    segmenter : callable
        Returns what opens the engine that is chosen, for the other thread.
    apply : callable
        ``apply(image)``: replace the selected segment by an image, under the editor's rules.
    said : callable
        Called with a sentence for the user.
    """

    def __init__(
        self,
        worker: Worker,
        segmenter: Callable[[], Callable[[], Segmenter]],
        apply: Callable[[Any], None],
        said: Callable[[str], None],
    ) -> None:
        self._worker, self._segmenter, self._apply, self._said = worker, segmenter, apply, said
        self._session: list[Session] = []  # at most one; filled in the other thread
        self._of: tuple[Any, Any, str] | None = None
        self._seen: BoolArray | None = None

    def click(
        self, ras: Any, positive: bool, axis: int, volume_node: Any, segmentation: Any, segment_id: str
    ) -> None:
        """Say that a place belongs to the segment, or does not.

        Parameters
        ----------
        ras : (3,)
            In the world, mm.
        positive : bool
        axis : int
            Array axis across the view.
        volume_node, segmentation, segment_id
            What the editor has selected.

        Raises
        ------
        PromptError, VolumeError
            If the place is outside of the image, or the volume has no right geometry.
        """
        point = point_at(np.asarray(ras, float), volume_node, positive, axis)
        self._begin_if_needed(volume_node, segmentation, segment_id)
        self._ask(lambda session: session.add(point, shown=axis))

    def undo(self) -> None:
        """Take the last click back."""
        if self._of is not None:
            self._ask(lambda session: session.undo())

    def propagate(self, axis: int) -> None:
        """Carry the object on through the slices across an axis."""
        if self._of is not None:
            self._ask(lambda session: session.propagate(axis))

    def end(self) -> None:
        """Forget the session; the segment stays as it is."""
        sessions, self._session = self._session, []
        self._of, self._seen = None, None

        def work(job: Job) -> None:
            for session in sessions:
                session.close()

        self._worker.do(Job(work, lambda _: None, self._fail))

    def _begin_if_needed(self, volume_node: Any, segmentation: Any, segment_id: str) -> None:
        """Begin anew on another segment, or where another effect changed this one."""
        of = (volume_node, segmentation, segment_id)
        now = mask_of(segmentation, segment_id, volume_node)
        if self._of == of and (
            self._worker.is_busy or (self._seen is not None and (now == self._seen).all())
        ):
            return
        self.end()
        self._of, self._seen = of, now
        given = volume_of(volume_node)
        volume = Volume(np.array(given.data), given.affine, modality=given.modality)
        opened, segmenter = self._session, self._segmenter()

        def work(job: Job) -> None:
            session = segmenter().open_session(volume)
            if now.any():
                session.add(Mask(now))
            opened.append(session)

        self._worker.do(Job(work, lambda _: None, self._fail))

    def _ask(self, question: Callable[[Session], Any]) -> None:
        of, opened = self._of, self._session

        def work(job: Job) -> BoolArray | None:
            if not opened:  # it could not be opened, which has been said
                return None
            question(opened[0])
            return np.array(opened[0].mask)

        self._worker.do(Job(work, lambda mask: self._show(mask, of), self._fail))

    def _show(self, mask: BoolArray | None, of: tuple[Any, Any, str] | None) -> None:
        if mask is None or of is None or of != self._of:  # another segment was selected meanwhile
            return
        volume_node, segmentation, segment_id = of
        self._apply(fitted(image_of(mask, volume_node, segmentation), segmentation))
        self._seen = mask_of(segmentation, segment_id, volume_node)

    def _fail(self, error: Exception) -> None:
        self._said(words_of(error))


def fitted(image: Any, segmentation: Any) -> Any:
    """Return an image on the voxels of a segmentation, as the editor wants it; the nearest voxel counts."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetSegmentation().GetConversionParameter(name)
    reference = slicer.vtkOrientedImageData()
    if not geometry or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, reference):
        return image
    resample = slicer.vtkOrientedImageDataResample
    found = slicer.vtkOrientedImageData()
    resample.ResampleOrientedImageToReferenceOrientedImage(image, reference, found, False)
    return found
