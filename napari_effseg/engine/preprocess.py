"""From a stored volume to what the network was trained on: channels, axes, spacing, intensities.

Training and inference share this. `prepare` gives the whole image; the engine reads a few rows at a time from
a `NetworkImage`, so that no float copy of a large volume is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import VolumeError
from ..types import IndexBox
from ..volume import Grid, LazyView, RowReader, Volume, Voxels
from ..zoo.card import Card
from .frame import Frame
from .intensity import Statistics, apply_rule, content_matters, finite_float32, pool, statistics_of
from .luminance import luminance_of
from .plausibility import check_voxels
from .rows import AxisTaps, RowResampling
from .whole_image import WholeImage, content_box

__all__ = ["Channels", "NetworkImage", "Prepared", "image_for", "prepare", "select_channels"]

_AHEAD_BYTES = 64 * 2**20  # of an image in chunks, read ahead so that no chunk is unpacked for each row


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume as its card's network sees it.

    Attributes
    ----------
    tensor : Tensor, shape (C, I, J, K), float32
        Axes, spacing, channels and intensities of the card. A 2D card's slices come first: (C, slices, I, J).
    grid : Grid
        Where the voxels of `tensor` lie.
    frame : Frame
        The way back to the stored array.
    warnings : tuple of str
        What was done that the user should know.
    """

    tensor: Tensor
    grid: Grid
    frame: Frame
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels that a card asks for, each (I, J, K) as stored; views where that is possible."""

    arrays: tuple[NDArray[Any] | LazyView, ...]
    warnings: tuple[str, ...]


def prepare(volume: Volume, card: Card, box: IndexBox | None = None) -> Prepared:
    """Bring a volume to what the card's network was trained on.

    Parameters
    ----------
    volume : Volume
        Any axes, spacing and real dtype.
    card : Card
        What the network expects.
    box : IndexBox or None
        Region, half-open, stored indices; it is widened by context as `segment` does it.

    Raises
    ------
    VolumeError
        If the channels do not fit, a 3D card is given one slice, or no voxel is finite.
    """
    channels = select_channels(volume, card)
    content = content_box(channels.arrays, card)
    image = image_for(channels.arrays, Frame.of(volume.grid, card, box, content), card)
    tensor = image.read(0, image.frame.network.shape[0])
    return Prepared(tensor, image.frame.network, image.frame, (*channels.warnings, *image.warnings))


def select_channels(volume: Volume, card: Card) -> Channels:
    """Choose the card's channels among the volume's, by name where names tell, else in order.

    One channel is repeated for a card of three; red, green and blue become luminance for a card of one.
    No voxel is read.

    Raises
    ------
    VolumeError
        If the voxels are no numbers, or the channels do not fit.
    """
    if volume.data.dtype.kind not in "iuf":
        raise VolumeError(
            f"the voxels are of type {volume.data.dtype}; a model needs intensities, whole or real numbers"
        )
    have = volume.each_channel()
    roles = [channel.role.lower() for channel in card.input.channels]
    names = [name.lower() for name in volume.channel_names]
    if names and set(roles) <= set(names):
        return Channels(tuple(have[names.index(role)] for role in roles), ())
    if len(have) == len(roles):
        return Channels(have, ())
    if len(have) == 1 and len(roles) == 3:
        return Channels(have * 3, ())
    if len(have) == 3 and len(roles) == 1:
        return Channels(
            (luminance_of(have),), ("the colour image was turned to grey: the model takes its luminance",)
        )
    given = f" ({', '.join(volume.channel_names)})" if names else ""
    raise VolumeError(
        f"the image has {len(have)} channel{'s' * (len(have) > 1)}{given}; {card.name} takes "
        f"{len(roles)}: {', '.join(roles)}. Give these channels, named by role"
    )


def image_for(
    channels: Sequence[NDArray[Any] | LazyView],
    frame: Frame,
    card: Card,
    after_chunk: Callable[[], None] = lambda: None,
) -> NetworkImage | WholeImage:
    """Make the network's image in the card's manner: row by row, or whole as nnU-Net and MONAI make it."""
    kind = NetworkImage if card.input.manner == "own" else WholeImage
    return kind(channels, frame, card, after_chunk)


class NetworkImage:
    """An image on the network's grid, of which rows are made when they are asked for.

    Statistics of a case are those of the image that the network was trained to see: of the region where a
    card is bound to one, of the whole image where it may go anywhere, of each slice for a 2D card.

    Parameters
    ----------
    channels : sequence of arrays (I, J, K)
        As stored; may be memory maps or read when they are needed. Of these no more is read than the region
        and its context; the whole, a piece at a time, only where the rule wants its statistics.
    frame : Frame
        Which part of them, and the way to the network's grid.
    card : Card
        Intensity rule and field of view.
    """

    def __init__(
        self,
        channels: Sequence[Voxels],
        frame: Frame,
        card: Card,
        after_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        self.frame = frame
        self._rule = card.input.intensity
        self._by_slice = card.dimensions == 2
        self._way = (
            RowResampling(frame.seen_grid, frame.network, (AxisTaps.cubic,) * 3)
            if frame.is_resampled
            else None
        )
        self._after_chunk = after_chunk
        # A grey image repeated for a colour card is one array three times; it is measured once.
        self._first = [next(at for at, other in enumerate(channels) if other is one) for one in channels]
        whole = [frame.turn.apply(channel) for channel in channels]
        seen = tuple(slice(low, high) for low, high in zip(*frame.seen, strict=True))
        self._seen = [channel[seen] for channel in whole]
        self.statistics = self._measure(self._seen)
        by_region = card.field_of_view.locate != "anywhere" or frame.sees_all
        whole_counts = content_matters(self._rule) and not (by_region or self._by_slice)
        self._case = self._pooled(self._measure(whole) if whole_counts else self.statistics)
        self._rows = self._readers(self._seen)
        # For slices: the arrays whose slices are cases, and the slice of theirs that is the first seen.
        self._slices = (self._rows, 0) if by_region else (self._readers(whole), frame.seen[0][0])
        self.warnings = check_voxels(self.statistics, frame.turn.source, card)

    @property
    def is_constant(self) -> bool:
        """Whether no channel has any contrast."""
        return all(found.is_constant for found in self.statistics)

    def read(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the network's grid.

        Returns
        -------
        Tensor, shape (C, stop - start, J, K), float32
        """
        self._after_chunk()
        shape = (len(self._seen), stop - start, *self.frame.network.shape[1:])
        if stop <= start:
            return torch.zeros(shape)
        if self._way is None:
            return self._normalised(start, stop)
        low, high = self._way.needed(start, stop)
        return self._way.across(self._way.in_plane(self._normalised(low, high)), low, start, stop)

    def _normalised(self, low: int, high: int) -> Tensor:
        """Rows at the image's own spacing, intensities as the card wants them: (C, high - low, J, K)."""
        rows = [self._normalised_channel(index, low, high) for index in range(len(self._seen))]
        return torch.from_numpy(np.stack(rows) if len(rows) > 1 else rows[0][None])

    def _normalised_channel(self, index: int, low: int, high: int) -> NDArray[np.float32]:
        rows = finite_float32(self._rows[index].read(low, high), self.statistics[index].minimum)
        if self._by_slice and content_matters(self._rule):
            for row in range(low, high):
                apply_rule(rows[row - low], self._rule, self._of_slice(row)[index])
            return rows
        return apply_rule(rows, self._rule, self._case[index])

    def _of_slice(self, row: int) -> list[Statistics]:
        """Statistics of one slice: to a 2D network, each is a case."""
        channels, first = self._slices
        slices = [
            finite_float32(channel.read(first + row, first + row + 1), found.minimum)
            for channel, found in zip(channels, self.statistics, strict=True)
        ]
        return self._pooled([statistics_of(one, self._rule) for one in slices])

    def _readers(self, channels: Sequence[NDArray[Any] | LazyView]) -> list[RowReader]:
        once = {at: RowReader(channels[at], _AHEAD_BYTES // len(set(self._first))) for at in set(self._first)}
        return [once[at] for at in self._first]

    def _measure(self, channels: Sequence[NDArray[Any] | LazyView]) -> list[Statistics]:
        found = {at: statistics_of(channels[at], self._rule, self._after_chunk) for at in set(self._first)}
        return [found[at] for at in self._first]

    def _pooled(self, parts: Sequence[Statistics]) -> list[Statistics]:
        if self._rule.per_channel or len(parts) == 1:
            return list(parts)
        return [pool(parts)] * len(parts)
