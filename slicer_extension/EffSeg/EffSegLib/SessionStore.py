"""A click session kept in the scene: everything to go on with it, in a text node that .mrb files hold."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .Nodes import volume_of
from .rooms import EffsegError, Grid, PromptError, Session, Volume, same_grid

__all__ = ["StoredSession", "bytes_of", "keep", "stored_sessions", "volume_for"]

_ATTRIBUTE = "EffSeg.Session"
_VERSION = "1"
_VOLUME, _SEGMENTATION = "EffSeg.Volume", "EffSeg.Segmentation"
_POINTS = {True: "EffSeg.Positive", False: "EffSeg.Negative"}
_AFFINE, _SEGMENTS, _CURRENT = "EffSeg.Affine", "EffSeg.Segments", "EffSeg.Current"


@dataclass(frozen=True)
class StoredSession:
    """What a scene holds of a session.

    Attributes
    ----------
    text : vtkMRMLTextNode
        The session itself.
    volume, segmentation : nodes
    points : dict
        Markups nodes by their sign.
    segments : dict
        Ids of the segments of finished objects, by label.
    current : str
        Id of the segment of the object at hand; empty if there is none.
    """

    text: Any
    volume: Any
    segmentation: Any
    points: dict[bool, Any]
    segments: dict[int, str]
    current: str

    def write(self, folder: Path) -> Path:
        """Write the session to a file, as the engine reads it.

        Raises
        ------
        PromptError
            If what the scene holds is damaged.
        """
        try:
            content = base64.b64decode(self.text.GetText() or "", validate=True)
        except ValueError as err:
            raise PromptError(f"the session in {self.text.GetName()} is damaged") from err
        path = folder / "session.effseg"
        path.write_bytes(content)
        return path


def bytes_of(session: Session) -> bytes:
    """Return a session as its file would be."""
    with tempfile.TemporaryDirectory(prefix="effseg-") as folder:
        path = Path(folder) / "session.effseg"
        session.save(path)
        return path.read_bytes()


def keep(
    content: bytes,
    volume_node: Any,
    affine: np.ndarray,
    segmentation: Any,
    points: Mapping[bool, Any],
    segments: Mapping[int, str],
    current: str,
    text: Any = None,
) -> Any:
    """Put a session into the scene, and return its text node.

    Parameters
    ----------
    content : bytes
        See `bytes_of`.
    volume_node, segmentation, points, segments, current
        See `StoredSession`.
    affine : ndarray, shape (4, 4)
        That the engine was given, to the last bit.
    text : vtkMRMLTextNode, optional
        To write over.
    """
    if text is None:
        name = f"{volume_node.GetName()} EffSeg session"
        text = volume_node.GetScene().AddNewNodeByClass("vtkMRMLTextNode", name)
    text.SetText(base64.b64encode(content).decode("ascii"))
    text.SetAttribute(_ATTRIBUTE, _VERSION)
    text.SetAttribute(_AFFINE, json.dumps(np.asarray(affine).tolist()))
    text.SetAttribute(_SEGMENTS, json.dumps({str(label): one for label, one in segments.items()}))
    text.SetAttribute(_CURRENT, current)
    text.SetNodeReferenceID(_VOLUME, volume_node.GetID())
    text.SetNodeReferenceID(_SEGMENTATION, segmentation.GetID())
    for sign, node in points.items():
        text.SetNodeReferenceID(_POINTS[sign], node.GetID())
    return text


def stored_sessions(scene: Any) -> tuple[StoredSession, ...]:
    """Return the sessions that a scene holds, whose volume is there."""
    found = []
    for at in range(scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        text = scene.GetNthNodeByClass(at, "vtkMRMLTextNode")
        if text.GetAttribute(_ATTRIBUTE) and text.GetNodeReference(_VOLUME):
            found.append(_stored(text))
    return tuple(found)


def _stored(text: Any) -> StoredSession:
    try:
        kept = {
            int(label): str(one) for label, one in json.loads(text.GetAttribute(_SEGMENTS) or "{}").items()
        }
    except (ValueError, AttributeError):
        kept = {}  # the objects are shown anew
    points = {sign: text.GetNodeReference(role) for sign, role in _POINTS.items()}
    return StoredSession(
        text,
        text.GetNodeReference(_VOLUME),
        text.GetNodeReference(_SEGMENTATION),
        {sign: node for sign, node in points.items() if node is not None},
        kept,
        text.GetAttribute(_CURRENT) or "",
    )


def volume_for(stored: StoredSession) -> Volume:
    """Return the image of a session with the affine that the session was made with.

    A file keeps an affine to some fifteen digits, and a session knows its image by every bit.

    Raises
    ------
    PromptError
        If the volume lies elsewhere now.
    """
    volume = volume_of(stored.volume)
    try:
        kept = Volume(volume.data, json.loads(stored.text.GetAttribute(_AFFINE)), modality=volume.modality)
    except (TypeError, ValueError, EffsegError) as err:
        raise PromptError(f"the session in {stored.text.GetName()} is damaged") from err
    if not same_grid(Grid(volume.shape, kept.affine), volume.grid):
        raise PromptError(
            f"{stored.volume.GetName()} lies elsewhere than when the session was made; "
            "put it back under the same transform"
        )
    return kept
