"""Names and colours of labels, as napari's layers of labels hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import Colour
from ..volume import LabelMap

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["colormap_of", "features_of", "names_in", "own_colours", "rgb_of"]

_OTHER_COLOUR = (0.6, 0.6, 0.6, 1.0)  # of labels that have none, such as one that is newly painted


def features_of(labels: LabelMap) -> dict[str, list[Any]]:
    """Table from which napari's status bar takes the name of a label."""
    present = labels.described
    return {
        "index": [0, *present],
        "name": ["background", *(labels.names.get(label, _placeholder(label)) for label in present)],
    }


def colormap_of(labels: LabelMap) -> Any:
    """Colormap with each label's colour; the background is transparent."""
    from napari.utils import DirectLabelColormap

    colours: dict[int | None, Any] = {None: _OTHER_COLOUR, 0: (0.0, 0.0, 0.0, 0.0)}
    colours |= {label: (*(part / 255 for part in rgb), 1.0) for label, rgb in labels.colours.items()}
    return DirectLabelColormap(color_dict=colours)


def names_in(layer: Labels) -> dict[int, str]:
    """Names in a layer's features: the column "name" ("label_name", "label"), by the column "index"."""
    features = layer.features
    column = next((name for name in ("name", "label_name", "label") if name in features), None)
    if column is None or "index" not in features:
        return {}
    texts = {
        int(label): " ".join(str(name).split())
        for label, name in zip(features["index"], features[column], strict=True)
    }
    return {
        label: text for label, text in texts.items() if label > 0 and text not in ("", _placeholder(label))
    }


def own_colours(layer: Labels) -> set[int]:
    """Labels to which somebody gave a colour, where the layer has a table of colours."""
    table: Mapping[int | None, Any] = getattr(layer.colormap, "color_dict", {})
    return {int(label) for label in table if label is not None and label > 0}


def rgb_of(layer: Labels, label: int) -> Colour:
    """Colour in which a layer shows a label, 0-255, whether or not others are shown beside it."""
    r, g, b = (round(float(part) * 255) for part in np.asarray(layer.colormap.map(label)).ravel()[:3])
    return r, g, b


def _placeholder(label: int) -> str:
    return f"label {label}"
