"""Volume and LabelMap <-> layers of napari, and where layers lie; the one door to the modules that do it.

Nothing here knows Qt. Layers are made by whoever has a viewer: `image_layers`, `labels_layer` and
`doubt_layer` give napari's plain triples (data, keywords, type).
"""

from .from_layer import frames_of, labels_of_layer, layer_to_volume
from .placement import (
    VIEW_AXCODES,
    grid_of_layer,
    index_of_world,
    is_oblique,
    mm_per_world_unit,
    placement_of,
    ras_of_world,
    world_of_index,
    world_of_ras,
)
from .source import METADATA_KEY, LayerSource, Origin, source_of
from .to_layer import LayerTriple, doubt_layer, image_layers, labels_layer

__all__ = [
    "METADATA_KEY",
    "VIEW_AXCODES",
    "LayerSource",
    "LayerTriple",
    "Origin",
    "doubt_layer",
    "frames_of",
    "grid_of_layer",
    "image_layers",
    "index_of_world",
    "is_oblique",
    "labels_layer",
    "labels_of_layer",
    "layer_to_volume",
    "mm_per_world_unit",
    "placement_of",
    "ras_of_world",
    "source_of",
    "world_of_index",
    "world_of_ras",
]
