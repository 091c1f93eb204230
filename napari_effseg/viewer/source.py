"""What we know about where a layer comes from; it travels in the layer's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..volume import Code, IntensityWindow, Reorientation

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["METADATA_KEY", "LayerSource", "Lead", "source_of"]

METADATA_KEY = "effseg"
Lead = Literal["time", "channel"]


@dataclass(frozen=True, eq=False)
class LayerSource:
    """Where a layer comes from; lies in ``layer.metadata["effseg"]``.

    Attributes
    ----------
    view : Reorientation
        From the stored array (``view.source`` is its grid) to the axes of the layer.
    path : Path or None
        File or folder that was opened.
    modality : str or None
        "MR", "CT", ... where it is known.
    window : IntensityWindow or None
        How the image's header wants to be shown.
    channel : str
        Name or role of the channel that the layer shows, "" for the only one.
    lead : "time", "channel" or None
        What an axis before the three spatial ones means.
    codes : mapping of int to Code
        Of a layer of labels.
    warnings : tuple of str
        What was odd about the file.
    """

    view: Reorientation
    path: Path | None = None
    modality: str | None = None
    window: IntensityWindow | None = None
    channel: str = ""
    lead: Lead | None = None
    codes: Mapping[int, Code] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def source_of(layer: Layer) -> LayerSource | None:
    """Return what we know about where a layer comes from; None for a layer of another plugin."""
    source = layer.metadata.get(METADATA_KEY)
    return source if isinstance(source, LayerSource) else None
