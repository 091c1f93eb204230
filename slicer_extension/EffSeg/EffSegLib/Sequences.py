"""Time points: the volumes of a sequence, and segmentations that go along with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .rooms import LabelMap
from .Segments import new_segmentation, put_labels, remember_report

__all__ = ["Times", "browser_of", "frames_of", "put_sequence", "times_of"]


@dataclass(frozen=True)
class Times:
    """When the time points of a sequence are.

    Attributes
    ----------
    title : str
        Such as "time [s]".
    values : tuple of str
        Numbers, or text where the sequence has others than numbers.
    """

    title: str
    values: tuple[float, ...] | tuple[str, ...]


def browser_of(volume_node: Any) -> Any:
    """Return the sequence browser whose shown time point a volume node is; None if it is no such node."""
    scene = volume_node.GetScene()
    for at in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = scene.GetNthNodeByClass(at, "vtkMRMLSequenceBrowserNode")
        if browser.IsProxyNodeID(volume_node.GetID()):
            return browser
    return None


def frames_of(volume_node: Any) -> tuple[Any, ...]:
    """Return the volumes of all time points; none if the volume node is not one of a sequence."""
    browser = browser_of(volume_node)
    if browser is None:
        return ()
    sequence = browser.GetSequenceNode(volume_node)
    frames = tuple(sequence.GetNthDataNode(at) for at in range(sequence.GetNumberOfDataNodes()))
    return frames if all(frame.IsA("vtkMRMLVolumeNode") for frame in frames) else ()


def times_of(volume_node: Any) -> Times:
    """Return when the time points are of the sequence whose shown one a volume node is."""
    sequence = browser_of(volume_node).GetSequenceNode(volume_node)
    name, unit = sequence.GetIndexName() or "index", sequence.GetIndexUnit()
    count = sequence.GetNumberOfDataNodes()
    texts = tuple(str(sequence.GetNthIndexValue(at)) for at in range(count))
    title = f"{name} [{unit}]" if unit else name
    try:
        return Times(title, tuple(float(text) for text in texts))
    except ValueError:
        return Times(title, texts)


def put_sequence(
    labels: Sequence[LabelMap],
    volume_node: Any,
    name: str,
    model: str = "",
    reports: Sequence[Mapping[str, Any]] = (),
) -> Any:
    """Add a sequence of segmentations to the browser of a volume node, and return the one that is shown.

    Parameters
    ----------
    labels : sequence of LabelMap
        One for each time point.
    volume_node : vtkMRMLVolumeNode
        The one that is shown.
    name, model : str
    reports : sequence of mapping
        What is to be remembered of each; none: nothing.
    """
    scene = volume_node.GetScene()
    browser = browser_of(volume_node)
    images = browser.GetSequenceNode(volume_node)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} sequence")
    sequence.SetIndexName(images.GetIndexName())
    sequence.SetIndexUnit(images.GetIndexUnit())
    sequence.SetIndexType(images.GetIndexType())
    shown = new_segmentation(volume_node, name)
    for at, one in enumerate(labels):
        frame = new_segmentation(volume_node, name)
        put_labels(one, volume_node, frame, model)
        if reports:
            remember_report(frame, reports[at])
        sequence.SetDataNodeAtValue(frame, images.GetNthIndexValue(at))
        scene.RemoveNode(frame.GetDisplayNode())
        scene.RemoveNode(frame)
    browser.AddSynchronizedSequenceNode(sequence)
    browser.AddProxyNode(shown, sequence, False)
    return shown
