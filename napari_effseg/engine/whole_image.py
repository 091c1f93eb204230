"""Images for networks of nnU-Net's and MONAI's kind: made whole, step by step as these make them.

Their steps look at the whole image (splines, voxels that are not empty, rules one after the other), and a
network has learned from exactly what they give. So the image on the network's grid is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import VolumeError
from ..types import BoolArray, IndexBox
from ..volume import Grid, LazyView, RowReader
from ..zoo.card import Card, IntensityRule
from .frame import Frame
from .intensity import STD_FLOOR, Statistics, finite_float32, statistics_of
from .manner import axis_between_slices
from .plausibility import check_voxels
from .rows import AxisLine, AxisTaps, RowResampling

__all__ = ["WholeImage", "content_box"]

_SPLINE: Literal[3] = 3
_PLAIN = IntensityRule("none")
FloatVolume = NDArray[np.float32]


def content_box(channels: Sequence[NDArray[Any] | LazyView], card: Card) -> IndexBox | None:
    """Return the stored box outside which every channel is 0, if the card's manner goes by it.

    Parameters
    ----------
    channels : sequence of arrays (I, J, K)
        As stored; read a few rows at a time.
    card : Card

    Returns
    -------
    IndexBox or None
        None where the card sees whole images, or all of this one is 0.
    """
    if card.input.manner != "nnunet":
        return None
    shape = channels[0].shape
    filled = [np.zeros(side, dtype=bool) for side in shape]
    readers = [RowReader(channel) for channel in channels]
    for row in range(shape[0]):
        plane = np.zeros(shape[1:], dtype=bool)
        for reader in readers:
            plane |= np.asarray(reader.read(row, row + 1))[0] != 0
        filled[0][row] = plane.any()
        filled[1] |= plane.any(axis=1)
        filled[2] |= plane.any(axis=0)
    if not filled[0].any():
        return None
    low = [int(np.argmax(axis)) for axis in filled]
    high = [len(axis) - int(np.argmax(axis[::-1])) for axis in filled]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


class WholeImage:
    """An image on the network's grid, made at once; the same face as `NetworkImage`.

    Statistics are those of all that is not empty (nnU-Net) or of all (MONAI), also where only a region of it
    is to be labelled.

    Parameters
    ----------
    channels : sequence of arrays (I, J, K)
        As stored.
    frame : Frame
        Which part of them, and the way to the network's grid.
    card : Card
        Rules and manner.
    after_chunk : callable
        Called now and then; it may raise to stop.
    """

    def __init__(
        self,
        channels: Sequence[NDArray[Any] | LazyView],
        frame: Frame,
        card: Card,
        after_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        self.frame = frame
        box = content_box(channels, card)
        whole = [_finite(frame.turn.apply(channel), after_chunk) for channel in channels]
        self.statistics = [found for _, found in whole]
        self.warnings = check_voxels(self.statistics, frame.turn.source, card)
        whole_box: IndexBox = ((0, 0, 0), frame.turn.grid.shape)
        cut = frame.turn.apply_box(box) if box is not None else whole_box
        if not _contains(cut, frame.seen):  # a region where all is empty
            cut = whole_box
        image = np.stack([values for values, _ in whole])
        del whole
        after_chunk()
        make = _as_nnunet if card.input.manner == "nnunet" else _as_monai
        self._image = torch.from_numpy(make(image, cut, frame, card, after_chunk))

    @property
    def is_constant(self) -> bool:
        """Whether no channel has any contrast."""
        return all(found.is_constant for found in self.statistics)

    def read(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the network's grid: (C, stop - start, J, K), float32."""
        return self._image[:, start:stop]


def _finite(
    channel: NDArray[Any] | LazyView, after_chunk: Callable[[], None]
) -> tuple[FloatVolume, Statistics]:
    found = statistics_of(channel, _PLAIN, after_chunk)
    return finite_float32(np.asarray(channel[...]), found.minimum), found


def _as_nnunet(
    image: FloatVolume, cut: IndexBox, frame: Frame, card: Card, after_chunk: Callable[[], None]
) -> FloatVolume:
    """Crop to what is not empty, apply the rules, then splines: (C, I, J, K) -> (C, *network)."""
    inside = _filled(image) if any(rule.where == "inside" for rule in _all_rules(card)) else None
    image = image[_slices(cut)]
    mask = None if inside is None else inside[_slices(cut)[1:]]
    seen = tuple(
        slice(low - first, high - first) for low, high, first in zip(*frame.seen, cut[0], strict=True)
    )
    made = []
    for index, channel in enumerate(image):
        values = np.array(channel)
        for rule in _rules_of(card, index):
            _apply(values, rule, values, mask)
        after_chunk()
        made.append(_splined(values[seen], frame, card))
        after_chunk()
    return np.stack(made)


def _as_monai(
    image: FloatVolume, cut: IndexBox, frame: Frame, card: Card, after_chunk: Callable[[], None]
) -> FloatVolume:
    """Interpolate linearly, then apply the rules: (C, I, J, K) -> (C, *network)."""
    seen = _linear(image[_slices(frame.seen)], frame.seen_grid, frame.network)
    after_chunk()
    whole = seen
    measured = any(rule.rule in ("zscore", "clip_zscore", "rescale") for rule in _all_rules(card))
    if measured and not frame.sees_all:
        whole = _linear(image, frame.turn.grid, _whole_network(frame, card))
    after_chunk()
    for rule, parts in _turns(card, len(image)):
        _apply(seen[parts], rule, whole[parts], None)
        if whole is not seen:
            _apply(whole[parts], rule, whole[parts], None)
        after_chunk()
    return seen


def _whole_network(frame: Frame, card: Card) -> Grid:
    return Frame.of(frame.turn.source, card).network


def _linear(image: FloatVolume, source: Grid, target: Grid) -> FloatVolume:
    if np.array_equal(source.affine, target.affine) and source.shape == target.shape:
        return np.array(image)
    way = RowResampling(source, target, (AxisTaps.between,) * 3)
    rows = way.in_plane(torch.from_numpy(np.ascontiguousarray(image)))
    return np.asarray(way.across(rows, 0, 0, target.shape[0]).numpy())


def _turns(card: Card, channels: int) -> list[tuple[IntensityRule, slice]]:
    """Rules in their order, each with the channels that are measured and changed together."""
    every = [slice(index, index + 1) for index in range(channels)]
    turns: list[tuple[IntensityRule, slice]] = []
    for step in range(1 + len(card.input.then)):
        for index, part in enumerate(every):
            rule = _rules_of(card, index)[step]
            if rule.per_channel or channels == 1:
                turns.append((rule, part))
            elif index == 0:
                turns.append((rule, slice(0, channels)))
    return turns


def _rules_of(card: Card, index: int) -> tuple[IntensityRule, ...]:
    first = card.input.channels[index].intensity or card.input.intensity
    return (first, *card.input.then)


def _all_rules(card: Card) -> list[IntensityRule]:
    return [rule for index in range(len(card.input.channels)) for rule in _rules_of(card, index)]


def _filled(image: FloatVolume) -> BoolArray:
    """Voxels where a channel is not 0, and the holes between them."""
    from scipy import ndimage

    filled: BoolArray = ndimage.binary_fill_holes((image != 0).any(axis=0))
    return filled


def _apply(values: FloatVolume, rule: IntensityRule, measured: FloatVolume, inside: BoolArray | None) -> None:
    """Apply a rule in place, with the statistics of `measured`, which may be the same array."""
    if rule.rule == "none":
        return
    chosen = _chosen(values, rule, inside)
    counted = measured if rule.where == "everywhere" else measured[_chosen(measured, rule, inside)]
    if not counted.size:
        return
    if rule.percentiles is not None:
        rule = _with_numbers(rule, rule.percentiles, counted)
    shift, scale, offset = _affine_of(rule, counted)
    part = values if rule.where == "everywhere" else values[chosen]
    if rule.lower is not None and rule.clip:
        part = np.clip(part, rule.lower, rule.upper)
    part = (part - np.float32(shift)) / np.float32(scale)
    if rule.rule in ("scale", "rescale"):
        part = part * np.float32(rule.target[1] - rule.target[0]) + np.float32(offset)
    values[chosen] = part


def _with_numbers(
    rule: IntensityRule, percentiles: tuple[float, float], counted: FloatVolume
) -> IntensityRule:
    """Return a rule of percentiles as one that names the numbers that they are here."""
    low, high = (float(value) for value in np.percentile(counted, percentiles))
    clipped = np.clip(counted, low, high)
    std = _divisor(float(clipped.std()))
    return replace(
        rule,
        rule="fixed_zscore",
        percentiles=None,
        lower=low,
        upper=high,
        mean=float(clipped.mean()),
        std=std,
    )


def _chosen(values: FloatVolume, rule: IntensityRule, inside: BoolArray | None) -> BoolArray | slice:
    if rule.where == "nonzero":
        chosen: BoolArray = values != 0
        return chosen
    if rule.where == "inside" and inside is not None:
        return inside
    return slice(None)


def _affine_of(rule: IntensityRule, counted: FloatVolume) -> tuple[float, float, float]:
    """Return what a rule takes away, divides by and adds."""
    if rule.rule == "zscore":
        return float(counted.mean()), _divisor(float(counted.std())), 0.0
    if rule.rule == "fixed_zscore" and rule.mean is not None and rule.std is not None:
        return rule.mean, max(rule.std, STD_FLOOR), 0.0
    if rule.rule == "rescale":
        low, high = float(counted.min()), float(counted.max())
        return low, max(high - low, STD_FLOOR), rule.target[0]
    if rule.rule == "scale" and rule.lower is not None and rule.upper is not None:
        return rule.lower, rule.upper - rule.lower, rule.target[0]
    raise VolumeError(f'the rule "{rule.rule}" does not belong to this way of preparing images')


def _divisor(std: float) -> float:
    return max(std, STD_FLOOR)


def _splined(channel: FloatVolume, frame: Frame, card: Card) -> FloatVolume:
    """Bring a channel to the network's grid by splines of third order, nothing beyond the values that it has.

    Between thick slices the nearest slice is taken, and each slice has its own limits.
    """
    target = frame.network.shape
    if channel.shape == target:
        return channel
    wanted = _wanted_spacing(frame, card)
    across = axis_between_slices(frame.seen_grid.spacing, wanted)
    if across is None:
        return _zoomed(channel, target)
    plane = tuple(side for axis, side in enumerate(target) if axis != across)
    slices = [_zoomed(one, plane) for one in np.moveaxis(channel, across, 0)]
    places = AxisTaps.nearest_slice(AxisLine(0.0, 0.0, len(slices), target[across])).index[0].tolist()
    return np.stack([slices[place] for place in places], axis=across)


def _wanted_spacing(frame: Frame, card: Card) -> tuple[float, ...]:
    """Spacing that the card asks for, which the network's grid has but for rounding."""
    spacing = card.input.spacing or ()
    return (*frame.seen_grid.spacing[: 3 - len(spacing)], *spacing)


def _zoomed(values: FloatVolume, shape: tuple[int, ...]) -> FloatVolume:
    from scipy import ndimage

    if values.shape == shape:
        return values
    factors = tuple(new / old for new, old in zip(shape, values.shape, strict=True))
    exact: NDArray[np.float64] = values.astype(np.float64)
    zoomed = ndimage.zoom(exact, factors, order=_SPLINE, mode="nearest", grid_mode=True)
    return np.asarray(np.clip(zoomed, values.min(), values.max()), dtype=np.float32)


def _contains(outer: IndexBox, inner: IndexBox) -> bool:
    starts = all(a <= b for a, b in zip(outer[0], inner[0], strict=True))
    return starts and all(a >= b for a, b in zip(outer[1], inner[1], strict=True))


def _slices(box: IndexBox) -> tuple[slice, ...]:
    return (slice(None), *(slice(low, high) for low, high in zip(*box, strict=True)))
