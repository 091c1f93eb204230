"""One image segmented by two models, as layers: what a model did before, and what its successor does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..types import CancelCheck, Progress
from ..zoo.card import Card
from .from_layer import layer_to_volume
from .source import REPORT_KEY
from .to_layer import labels_layer

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, eq=False)
class Compared:
    """Layers of labels, the older model's first."""

    layers: tuple[Labels, ...]


def compare(
    image: Image, before: str | Card, after: Card, progress: Progress, cancel: CancelCheck
) -> Compared:
    """Segment an image layer with two models.

    Raises
    ------
    VolumeError, OutOfMemory, Cancelled
        As `segment`.
    """
    from napari.layers import Layer

    from ..engine import part_of, segment
    from ..zoo import find_card

    volume = layer_to_volume(image)
    layers = []
    for at, (card, word) in enumerate(((find_card(before), "before"), (after, "after"))):
        result = segment(volume, card, progress=part_of(progress, at, 2, card.name), cancel=cancel)
        made = labels_layer(result.labels, image, name=f"{image.name} {word}")
        made[1]["metadata"][REPORT_KEY] = result.report.to_json()
        layers.append(Layer.create(*made))
    return Compared(tuple(layers))
