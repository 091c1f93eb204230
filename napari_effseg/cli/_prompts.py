"""Prompts on the command line: points, boxes, scribbles and masks, in the order in which they were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..errors import PromptError

if TYPE_CHECKING:
    from ..prompts import Prompt
    from ..types import Affine
    from ..volume import LabelMap, Volume

__all__ = [
    "Given",
    "GivenMask",
    "GivenScribble",
    "InOrder",
    "in_order",
    "parse_boxes",
    "parse_lassos",
    "parse_points",
]

_ORDER = "effseg.order"
_SAME_PLACE_MM = 1e-2
"""Headers of an image and of what was drawn on it may differ by rounding."""


class Given(Protocol):
    """A prompt as it was typed."""

    @property
    def said(self) -> str:
        """The option with its value, to name it in a message."""
        ...

    def prompts(self, volume: Volume, axis: int) -> Iterable[Prompt]:
        """Return what it means on an image.

        Parameters
        ----------
        volume : Volume
        axis : int
            Axis across the plane in which points and scribbles are meant.

        Raises
        ------
        PromptError
            If it has more or fewer numbers than the image has axes, or lies on another grid.
        """
        ...


class InOrder(click.Command):
    """A command that remembers in which order its options were given, whatever their kinds."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the names of the parameters in the order of the command line."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def in_order(ctx: click.Context, given: Mapping[str, Sequence[Given]]) -> list[Given]:
    """Merge the values of several repeated options into the order in which they were typed.

    Parameters
    ----------
    ctx : click.Context
        Of a command of the class `InOrder`.
    given : mapping of str to sequence of Given
        Values of each parameter.
    """
    left = {name: iter(values) for name, values in given.items()}
    return [next(left[name]) for name in ctx.meta[_ORDER] if name in left]


@dataclass(frozen=True)
class GivenPoint:
    """``--point`` or ``--not-point``."""

    option: str
    text: str
    numbers: tuple[float, ...]
    is_ras: bool
    positive: bool

    @property
    def said(self) -> str:
        """As it was typed."""
        return f"{self.option} {self.text}"

    def prompts(self, volume: Volume, axis: int) -> Iterator[Prompt]:
        """Return the point; millimetres become the voxel that they lie in."""
        from ..prompts import Point

        i, j, k = _three(self.numbers, volume, 0)
        if self.is_ras:
            i, j, k = _voxel((i, j, k), volume)
        yield Point((int(i), int(j), int(k)), positive=self.positive, axis=axis)


@dataclass(frozen=True)
class GivenBox:
    """``--box``."""

    text: str
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def said(self) -> str:
        """As it was typed."""
        return f"--box {self.text}"

    def prompts(self, volume: Volume, axis: int) -> Iterator[Prompt]:
        """Return the box."""
        from ..prompts import Box

        low, high = (_three(corner, volume, last) for corner, last in ((self.low, 0), (self.high, 1)))
        yield Box((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))


@dataclass(frozen=True)
class GivenLasso:
    """``--lasso`` or ``--not-lasso``."""

    option: str
    text: str
    corners: tuple[tuple[float, ...], ...]
    positive: bool

    @property
    def said(self) -> str:
        """As it was typed."""
        return f"{self.option} {self.text}"

    def prompts(self, volume: Volume, axis: int) -> Iterator[Prompt]:
        """Return the outline."""
        import numpy as np

        from ..prompts import Lasso

        corners = [_three(corner, volume, 0) for corner in self.corners]
        yield Lasso(np.asarray(corners, float), positive=self.positive)


@dataclass(frozen=True)
class GivenScribble:
    """``--scribble``: 1 on the object, 2 outside of it, 0 nothing."""

    file: Path

    @property
    def said(self) -> str:
        """As it was typed."""
        return f"--scribble {self.file}"

    def prompts(self, volume: Volume, axis: int) -> Iterator[Prompt]:
        """Return the lines of every slice."""
        from ..prompt_files import scribbles_of

        yield from scribbles_of(_drawn(self.file, volume).data, axis)


@dataclass(frozen=True)
class GivenMask:
    """``--mask``: everything but 0 is on the object."""

    file: Path

    @property
    def said(self) -> str:
        """As it was typed."""
        return f"--mask {self.file}"

    def prompts(self, volume: Volume, axis: int) -> Iterator[Prompt]:
        """Return the mask."""
        from ..prompts import Mask

        yield Mask(_drawn(self.file, volume).data != 0)


def parse_points(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[GivenPoint, ...]:
    """Read ``i,j,k`` or ``ras:x,y,z``; on a picture two numbers."""
    name = option.opts[0]
    positive = name == "--point"
    found = []
    for value in values:
        is_ras = value.lower().startswith("ras:")
        numbers = _numbers(value[4:] if is_ras else value, float if is_ras else int)
        if not numbers:
            raise click.BadParameter(
                f"{value!r}; expected i,j,k in voxels such as 40,52,20, or ras:x,y,z in mm "
                "(on a picture two numbers)",
                context,
                option,
            )
        found.append(GivenPoint(name, value, numbers, is_ras, positive))
    return tuple(found)


def parse_boxes(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[GivenBox, ...]:
    """Read ``i0,j0,k0:i1,j1,k1``; on a picture two numbers each."""
    found = []
    for value in values:
        low, _, high = value.partition(":")
        corners = _numbers(low, int), _numbers(high, int)
        if not corners[0] or len(corners[0]) != len(corners[1]):
            raise click.BadParameter(
                f"{value!r}; expected i0,j0,k0:i1,j1,k1 in whole voxels, the second corner not included, "
                "such as 30,40,20:60,70,21 (on a picture two numbers each)",
                context,
                option,
            )
        found.append(GivenBox(value, *corners))
    return tuple(found)


def parse_lassos(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[GivenLasso, ...]:
    """Read the corners ``i,j,k:i,j,k:i,j,k:...``; on a picture two numbers each."""
    name = option.opts[0]
    found = []
    for value in values:
        corners = tuple(_numbers(corner, float) for corner in value.split(":"))
        if len(corners) < 3 or not all(corners) or len({len(corner) for corner in corners}) != 1:
            raise click.BadParameter(
                f"{value!r}; expected three corners or more, i,j,k:i,j,k:i,j,k, in one slice, such as "
                "30,40,20:60,40,20:45,70,20 (on a picture two numbers each)",
                context,
                option,
            )
        found.append(GivenLasso(name, value, corners, name == "--lasso"))
    return tuple(found)


def _numbers(text: str, kind: Any) -> tuple[float, ...]:
    """Two or three numbers, or none if the text is something else."""
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        return ()
    return numbers if len(numbers) in (2, 3) else ()


def _three(numbers: tuple[float, ...], volume: Volume, last: float) -> tuple[float, float, float]:
    if len(numbers) == 3:
        return numbers[0], numbers[1], numbers[2]
    if volume.shape[2] != 1:
        raise PromptError(f"two numbers were given; the image has {volume.shape} voxels: give three")
    return numbers[0], numbers[1], last


def _voxel(point_ras: tuple[float, float, float], volume: Volume) -> tuple[float, float, float]:
    import numpy as np

    from ..volume import transform_points

    if not np.isfinite(point_ras).all():
        raise PromptError("the place in mm is not finite")
    inverse: Affine = np.linalg.inv(volume.affine).astype(np.float64)
    i, j, k = np.rint(transform_points(inverse, [point_ras])[0])
    return float(i), float(j), float(k)


def _drawn(file: Path, volume: Volume) -> LabelMap:
    """Load what was drawn on an image; pictures have no place that could differ."""
    from ..io import load_labels
    from ..volume import same_grid

    drawn = load_labels(file)
    is_picture = volume.shape[2] == 1
    if drawn.shape != volume.shape or not (
        is_picture or same_grid(drawn.grid, volume.grid, tolerance_mm=_SAME_PLACE_MM)
    ):
        raise PromptError(
            f"it has {drawn.shape} voxels and the image {volume.shape}, or they lie at different places; "
            "expected one grid"
        )
    return drawn
