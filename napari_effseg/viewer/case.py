"""What is segmented: an image layer, or several as the channels of one case; its level and time point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import VolumeError
from ..io.channels import join_channels
from ..types import IndexBox
from ..volume import Volume, stack_channels
from ..zoo.card import Card
from .from_layer import frames_of, layer_to_volume
from .placement import grid_of_layer, levels_of
from .region import Region
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Case", "Parts", "guess_channels", "level_for", "needs_layers", "roles_of"]

_SPACING_TOLERANCE = 1.01  # a level this much coarser than the card's voxels still has all that it sees


@dataclass(frozen=True, eq=False)
class Parts:
    """The volumes of a case as they were when it was taken down, one for each layer.

    Attributes
    ----------
    volumes : tuple of Volume
        The first gives the grid.
    names : tuple of str
        Of their layers, for messages.
    roles : tuple of str
        Of each, where there are several.
    """

    volumes: tuple[Volume, ...]
    names: tuple[str, ...]
    roles: tuple[str, ...] = ()

    def joined(self) -> Volume:
        """Return one volume; those on other grids are resampled to the first, which takes time.

        Raises
        ------
        VolumeError
            If one shows another part of the body.
        """
        if len(self.volumes) == 1:
            return self.volumes[0]
        joined = join_channels(self.volumes, [Path(name) for name in self.names])
        return replace(joined, channel_names=self.roles)


@dataclass(frozen=True, eq=False)
class Case:
    """The layers that are segmented together.

    Attributes
    ----------
    image : Image layer
        Its grid is the result's.
    channels : mapping of str to Image layer
        By role, for a card that needs several layers; empty for others.
    frame : int
        Step along the axis before the spatial ones, where that is time.
    region : Region or None
        What part of it gets labels; None: all.
    """

    image: Image
    channels: Mapping[str, Image] = field(default_factory=dict)
    frame: int = 0
    region: Region | None = None

    def parts(self, card: Card, level: int = 0) -> Parts:
        """Return what a card is given, as the layers are now; nothing is computed or copied.

        Raises
        ------
        VolumeError
            If a layer has no place, or a channel of the card has no layer.
        """
        if not needs_layers(card, self.image):
            channels = _has_channels(self.image, len(card.input.channels))
            volume = layer_to_volume(self.image, frame=self.frame, channels=channels, level=level)
            return Parts((volume,), (self.image.name,))
        roles = roles_of(card)
        missing = [role for role in roles if self.channels.get(role) is None]
        if missing:
            raise VolumeError(f"{card.name} takes {len(roles)} images; choose {_listed(missing)}")
        # the image whose grid the result gets comes first, whatever its role
        ordered = sorted(roles, key=lambda role: self.channels[role] is not self.image)
        layers = [self.channels[role] for role in ordered]
        volumes = (
            layer_to_volume(layer, frame=self.frame, level=level if layer is self.image else 0)
            for layer in layers
        )
        return Parts(tuple(volumes), tuple(layer.name for layer in layers), tuple(ordered))

    def boxes(self, level: int = 0) -> tuple[IndexBox, ...]:
        """Regions to label, in stored voxel indices of a level; empty for the whole image.

        Raises
        ------
        VolumeError
            If the region lies outside the image.
        """
        return () if self.region is None else self.region.stored_boxes(self.image, level)

    def trial_volume(self, card: Card, open_images: int) -> Volume:
        """Volume that tells whether a card fits, before its channels are chosen.

        Raises
        ------
        VolumeError
            If fewer images are open than the card has channels.
        """
        level = level_for(card, self.image)
        if not needs_layers(card, self.image):
            return self.parts(card, level).joined()
        roles = roles_of(card)
        if open_images < len(roles):
            have = "one is" if open_images == 1 else f"{open_images} are"
            raise VolumeError(f"it takes {len(roles)} images ({_listed(roles)}); {have} open")
        one = layer_to_volume(self.image, frame=self.frame, level=level)
        if isinstance(one.data, np.ndarray):
            data = np.broadcast_to(one.data, (len(roles), *one.shape))
            return replace(one, data=data, channel_names=tuple(roles))
        return replace(one, data=stack_channels([one.data] * len(roles)), channel_names=tuple(roles))


def roles_of(card: Card) -> list[str]:
    """Names of a card's channels, lower case."""
    return [channel.role.lower() for channel in card.input.channels]


def needs_layers(card: Card, image: Image) -> bool:
    """Whether a card takes several channels that this image does not hold itself."""
    wanted = len(card.input.channels)
    if wanted == 1 or image.rgb:
        return False
    # a grey picture is repeated for a card of red, green and blue
    if set(roles_of(card)) == {"red", "green", "blue"}:
        return False
    return not _has_channels(image, wanted)


def guess_channels(card: Card, image: Image, images: Iterable[Image]) -> dict[str, Image]:
    """Give each role of a card the layer whose name or channel says that it is it.

    `image` gets the first role that is left, if none is its own.
    """
    found: dict[str, Image] = {}
    for role in roles_of(card):
        match = next(
            (layer for layer in images if layer not in found.values() and _is_called(layer, role)), None
        )
        if match is not None:
            found[role] = match
    if image not in found.values():
        free = next((role for role in roles_of(card) if role not in found), None)
        if free is not None:
            found[free] = image
    return found


def level_for(card: Card, image: Image) -> int:
    """Level of a multiscale layer that a card is given: the coarsest that is not coarser than its voxels."""
    if card.input.spacing is None:
        return 0
    finest_wanted = min(card.input.spacing) * _SPACING_TOLERANCE
    fitting = [
        level
        for level in range(levels_of(image))
        if max(_in_plane(grid_of_layer(image, level).spacing, card.dimensions)) <= finest_wanted
    ]
    return max(fitting, default=0)


def _in_plane(spacing: Sequence[float], dimensions: int) -> Sequence[float]:
    return sorted(spacing)[:dimensions]


def _has_channels(image: Image, count: int) -> bool:
    """Whether the axis before the spatial ones is that of a card's channels, and not time."""
    source = source_of(image)
    if source is not None and source.lead == "time":
        return False
    return count > 1 and frames_of(image) == count


def _is_called(layer: Image, role: str) -> bool:
    source = source_of(layer)
    if source is not None and source.channel:
        return source.channel.lower() == role
    words = "".join(letter if letter.isalnum() else " " for letter in layer.name.lower()).split()
    return role in words


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
