"""Commands of the palette that are more than opening a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["segment_selected_layer"]


def segment_selected_layer(viewer: napari.viewer.Viewer) -> None:
    """Open the panel and segment the selected image layer as soon as a model fits."""
    from .segmentation_widget import SegmentationWidget

    _, widget = viewer.window.add_plugin_dock_widget("napari-effseg", "Automatic segmentation")
    if isinstance(widget, SegmentationWidget):
        widget.panel.run_when_ready()
