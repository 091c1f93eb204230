"""What a client knows of its session: history, masks and finished objects, kept up to date; no torch.

It is all that is needed to show the session, to save it, and to open it again elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..history import Action, Commit, History
from ..protocols import SessionObject
from ..session_state import ObjectVoxels, SessionState, image_sha256, packed, unpacked
from ..types import BoolArray, IndexBox, IntArray
from ..volume import LabelMap, Volume
from .payloads import Patch

__all__ = ["Mirror"]


@dataclass(frozen=True, eq=False)
class _Finished:
    commit: Commit
    voxels: NDArray[np.intp]


class Mirror:
    """A session's state at the client.

    Parameters
    ----------
    volume : Volume
    """

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.sha256 = image_sha256(volume)
        self.history = History()
        self.mask: BoolArray = np.zeros(volume.shape, bool)
        self._taken: IntArray = np.zeros(volume.shape, np.uint16)
        self._finished: list[_Finished] = []

    @classmethod
    def of(cls, volume: Volume, state: SessionState) -> Mirror:
        """Return the mirror of a session that was saved."""
        mirror = cls(volume)
        mirror.history = state.history.copy()
        for kept in state.objects:
            mirror._finish(kept.commit, np.flatnonzero(unpacked(kept.bits, state.shape)))
        mirror.mask[...] = unpacked(state.mask_bits, state.shape)
        return mirror

    @property
    def labels(self) -> LabelMap:
        """All finished objects."""
        commits = [finished.commit for finished in self._finished]
        return LabelMap(
            self._taken.copy(),
            self.volume.affine,
            {commit.label: commit.name for commit in commits},
            {commit.label: commit.colour for commit in commits},
        )

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """Finished objects in order."""
        millilitres, found = self.volume.grid.voxel_mm3 / 1000, {}
        for finished in self._finished:
            commit = finished.commit
            size = int((self._taken == commit.label).sum()) * millilitres
            found[commit.label] = SessionObject(commit.label, commit.name, commit.colour, size)
        return tuple(found.values())

    def state(self, model: str, weights_sha256: str) -> SessionState:
        """Return all that is needed to go on later, or on another server."""
        objects = []
        for finished in self._finished:
            mask = np.zeros(self.mask.size, bool)
            mask[finished.voxels] = True
            objects.append(ObjectVoxels(finished.commit, packed(mask)))
        return SessionState(
            self.sha256,
            self.volume.shape,
            self.volume.affine,
            model,
            weights_sha256,
            self.history.copy(),
            tuple(objects),
            packed(self.mask),
        )

    def did(self, action: Action, last_id: int, patches: Iterable[Patch]) -> tuple[IndexBox, ...]:
        """Note an action that was done, and return the boxes that changed."""
        history = self._renumbered(last_id)
        history.do(action)
        self.history = history
        if isinstance(action, Commit):
            self._finish(action, np.flatnonzero(self.mask))
        return self._patched(patches, isinstance(action, Commit))

    def undid(self, last_id: int, patches: Iterable[Patch]) -> tuple[IndexBox, ...]:
        """Note that the last action was taken back."""
        self.history = self._renumbered(last_id)
        action = self.history.undo()
        if isinstance(action, Commit):
            finished = self._finished.pop()
            self._taken.reshape(-1)[finished.voxels] = 0
        return self._patched(patches, isinstance(action, Commit))

    def redid(self, last_id: int, patches: Iterable[Patch]) -> tuple[IndexBox, ...]:
        """Note that an action was brought back."""
        self.history = self._renumbered(last_id)
        action = self.history.redo()
        if isinstance(action, Commit):
            self._finish(action, np.flatnonzero(self.mask))
        return self._patched(patches, isinstance(action, Commit))

    def _finish(self, commit: Commit, voxels: NDArray[np.intp]) -> None:
        self._finished.append(_Finished(commit, voxels))
        self._taken.reshape(-1)[voxels] = commit.label

    def _patched(self, patches: Iterable[Patch], everywhere: bool) -> tuple[IndexBox, ...]:
        boxes = []
        for patch in patches:
            self.mask[tuple(slice(low, high) for low, high in zip(*patch.box, strict=True))] = patch.inside
            boxes.append(patch.box)
        return (((0, 0, 0), self.volume.shape),) if everywhere else tuple(boxes)

    def _renumbered(self, last_id: int) -> History:
        return History(self.history.actions, len(self.history.applied), last_id)
