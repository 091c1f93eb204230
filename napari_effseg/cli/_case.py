"""The files of one case on the command line: one image, or a file a channel, each with its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..errors import nearest_names

if TYPE_CHECKING:
    from ..volume import Volume
    from ..zoo import Card

__all__ = ["CaseInput", "choose_by_roles", "gather", "load_for", "parse_region"]

_REGION = "I0,J0,K0:I1,J1,K1"


@dataclass(frozen=True)
class CaseInput:
    """The files of a case, and the role of each channel where there are several.

    The first file gives the grid: the others are resampled to it. The files of one DICOM series are slices
    of one image, not channels. `frame`, `series` and `level` choose from them, as `load` says.
    """

    files: tuple[Path, ...]
    roles: tuple[str, ...] = ()
    are_slices: bool = False
    frame: int | None = None
    series: str | None = None
    level: int | None = None

    @property
    def reference(self) -> Path | list[Path]:
        """What gives the grid."""
        return list(self.files) if self.are_slices else self.files[0]

    @property
    def name(self) -> Path:
        """What results are named after, and lie beside."""
        from ..io import container_of, stem_of

        first = self.files[0].parent if self.are_slices else self.files[0]
        if not first.is_dir():
            return first
        first = first.resolve()  # "." has no name of its own
        folder = container_of(first)  # not among the chunks of an image
        inside = first.relative_to(folder).parts
        return folder.with_name("_".join((stem_of(folder), *inside))) if inside else folder


def choose_by_roles(channels: Mapping[str, Path], known: Mapping[str, Card]) -> Card:
    """Return the only card that has all the roles that were given.

    Raises
    ------
    click.UsageError
        If there is none, or several; with the candidates.
    """
    found = [card for card in known.values() if set(channels) <= set(_roles(card))]
    if len(found) == 1:
        return found[0]
    names = ", ".join(card.name for card in found or known.values()) or "none"
    have = f"{len(found)} models have" if found else "no model has"
    raise click.UsageError(f"{have} the channels {', '.join(channels)}; name one with -m: {names}")


def gather(inputs: Sequence[Path], channels: Mapping[str, Path], cards: Sequence[Card]) -> CaseInput:
    """Give each file its role: of ``--channel`` as named, of the others the card's remaining ones in order.

    Several cards take the channels they need from the same files.

    Raises
    ------
    click.UsageError
        If there is no file, a role is no card's, or more or fewer files than a card has channels.
    """
    files = (*inputs, *channels.values())
    if not files:
        raise click.UsageError("no image was given; give a file, or several with --channel ROLE=FILE")
    from ..io import are_slices

    if not channels and are_slices(files):
        return CaseInput(files, are_slices=True)
    if not cards:
        return CaseInput(files)
    _check_roles(channels, cards)
    if len(inputs) == 1 and not channels:
        return CaseInput(files)  # one file may hold all channels
    given = list(channels)
    if inputs:
        _check_one_order(cards)
        given = [*(role for role in _roles(cards[0]) if role not in channels), *channels]
    for card in cards:
        _check_count(card, files, given)
    return CaseInput(files, tuple(given))


def _check_roles(channels: Mapping[str, Path], cards: Sequence[Card]) -> None:
    known = list(dict.fromkeys(role for card in cards for role in _roles(card)))
    for role in channels:
        if role not in known:
            names = " + ".join(card.name for card in cards)
            near = nearest_names(role, known)
            raise click.UsageError(f"{names} has no channel {role!r}.{near} It has: {', '.join(known)}")


def _check_one_order(cards: Sequence[Card]) -> None:
    """Refuse files without a role for cards that would give them different ones."""
    if any(_roles(card) != _roles(cards[0]) for card in cards):
        raise click.UsageError(
            "these models take different channels; say with --channel ROLE=FILE what each image is"
        )


def _check_count(card: Card, files: Sequence[Path], given: Sequence[str]) -> None:
    roles = _roles(card)
    if len(files) != len(given) or not set(roles) <= set(given):
        raise click.UsageError(
            f"images given: {len(files)}; {card.name} takes {len(roles)}: {', '.join(roles)}. Several images "
            "are the channels of one patient: give one for each, and run the command once for each patient"
        )


def load_for(case: CaseInput, cards: Sequence[Card]) -> list[Volume]:
    """Load the files of a case as each card takes them, and those that take them alike only once.

    Returns
    -------
    list of Volume
        One for each card, its channels named by role; without a card, the one that any card would get.

    Raises
    ------
    ImageReadError, VolumeError
        As `load` says.
    """
    is_one = len(case.files) == 1 or case.are_slices  # which may hold channels, for a card that takes several
    whole = [is_one and len(card.input.channels) > 1 for card in cards] or [False]
    loaded = {all_channels: _load(case, all_channels) for all_channels in set(whole)}
    return [loaded[all_channels] for all_channels in whole]


def _load(case: CaseInput, all_channels: bool) -> Volume:
    from ..io import load

    where = case.reference if len(case.files) == 1 or case.are_slices else list(case.files)
    wanted: Literal["all"] | None = "all" if all_channels else None
    volume = load(where, frame=case.frame, series=case.series, channel=wanted, level=case.level)
    return replace(volume, channel_names=case.roles) if case.roles else volume


def parse_region(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...]:
    """Read ``--roi`` options; a 2D picture may leave out the third index."""
    return tuple(_region(value, context, option) for value in values)


def _region(
    value: str, context: click.Context, option: click.Parameter
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    try:
        low, high = ([int(index) for index in corner.split(",")] for corner in value.split(":"))
    except ValueError:
        low, high = [], []
    if len(low) == len(high) == 2:
        low, high = [*low, 0], [*high, 1]
    if len(low) != 3 or len(high) != 3:
        raise click.BadParameter(
            f"{value!r}; expected {_REGION} in whole voxels, the second corner not included, "
            "such as 10,20,5:60,80,40",
            context,
            option,
        )
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _roles(card: Card) -> list[str]:
    return [channel.role.lower() for channel in card.input.channels]
