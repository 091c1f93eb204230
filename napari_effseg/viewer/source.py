"""What we know about where a layer comes from; it travels in the layer's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..volume import Code, IntensityWindow, Reorientation

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["DOUBT", "METADATA_KEY", "REPORT_KEY", "LayerSource", "Lead", "shows_doubt", "source_of"]

METADATA_KEY = "effseg"
REPORT_KEY = "effseg_report"
"""Where a result keeps the report of its run, as plain values."""
DOUBT = "doubt"
"""Channel of a layer that shows doubt, and is no image to segment."""
Lead = Literal["time", "channel"]


@dataclass(frozen=True)
class Origin:
    """The files behind an image: what `napari_effseg.save` takes as the reference of a result.

    Attributes
    ----------
    paths : tuple of Path
        A file, a folder, or the files of one DICOM series.
    series : str or None
        UID of a DICOM series.
    frame : int or None
        Which time point it is, where the files hold several.
    """

    paths: tuple[Path, ...]
    series: str | None = None
    frame: int | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """Keyword arguments of `napari_effseg.save`; none where the files are gone."""
        if not all(path.exists() for path in self.paths):
            return {}
        reference = self.paths[0] if len(self.paths) == 1 else list(self.paths)
        return {"reference": reference, "series": self.series, "frame": self.frame}


@dataclass(frozen=True, eq=False)
class LayerSource:
    """Where a layer comes from; lies in ``layer.metadata["effseg"]``.

    Attributes
    ----------
    view : Reorientation
        From the stored array (``view.source`` is its grid) to the axes of the layer.
    origin : Origin or None
        The files of the image; for labels and doubt, those of the image that they were made from.
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
    knows_sides : bool
        Whether the patient's sides are known; not for what was made from a layer that came without.
    """

    view: Reorientation
    origin: Origin | None = None
    modality: str | None = None
    window: IntensityWindow | None = None
    channel: str = ""
    lead: Lead | None = None
    codes: Mapping[int, Code] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    knows_sides: bool = True


def source_of(layer: Layer) -> LayerSource | None:
    """Return what we know about where a layer comes from; None for a layer of another plugin."""
    source = layer.metadata.get(METADATA_KEY)
    return source if isinstance(source, LayerSource) else None


def shows_doubt(layer: Layer) -> bool:
    """Whether a layer shows how unsure a model was."""
    source = source_of(layer)
    return source is not None and source.channel == DOUBT
