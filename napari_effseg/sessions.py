"""Open a click session on an image, or go on with one: networks, cards and files brought together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from .errors import CardError, PromptError, UnknownModel
from .types import PathLike
from .volume import Volume

if TYPE_CHECKING:
    from .engine.session.body import SliceBody
    from .engine.session.local import LocalSession
    from .engine.session.solid import SolidBody
    from .session_state import SessionState
    from .time_session import Done, TimeSession
    from .zoo.card import Card

__all__ = [
    "open_session",
    "promptable_card",
    "promptable_cards",
    "restore",
    "resume",
    "slice_body",
    "solid_body",
]

_TASK = "promptable"
_LEAST_SLICES = 4
"""Of a volume with fewer, objects are followed slice by slice."""


@overload
def open_session(
    volume: Volume, model: str | PathLike | Card = "auto", device: str = "auto"
) -> LocalSession: ...


@overload
def open_session(
    volume: Sequence[Volume], model: str | PathLike | Card = "auto", device: str = "auto"
) -> TimeSession: ...


def open_session(
    volume: Volume | Sequence[Volume], model: str | PathLike | Card = "auto", device: str = "auto"
) -> LocalSession | TimeSession:
    """Open a click session on an image, or on several that show one place over time.

    Parameters
    ----------
    volume : Volume, or sequence of Volume
        Of several, all must share one grid; `TimeSession.frame` says which one is at hand, and
        ``propagate(axis="time")`` carries an object from one to the others.
    model : str, path or Card
        A promptable model; "auto": the one with the best measured Dice. It answers slice by slice; through
        a volume of four slices or more objects are carried by the best model of three dimensions, too.
    device : str
        "auto", "cpu", "cuda[:n]" or "mps".

    Returns
    -------
    protocols.Session
        To be closed, or used in a ``with`` block.

    Raises
    ------
    UnknownModel
        If there is no such model, or none that answers clicks.
    CardError
        If the model answers no clicks.
    WeightsError
        If its weights are missing or not what the card says.
    VolumeError
        If the images of a sequence do not share a grid.

    Examples
    --------
    >>> import napari_effseg as eff
    >>> with eff.open_session(eff.load("scan.nii.gz")) as session:  # doctest: +SKIP
    ...     session.add(eff.Point((40, 50, 20)))
    ...     session.commit(name="left atrium")
    ...     session.save("case.effseg")
    """
    from .engine.session.local import LocalSession

    card = promptable_card(model)
    body = slice_body(card, device)
    if isinstance(volume, Volume):
        return LocalSession(volume, body, write=_writer(card), solid=_solid_body(volume, device))
    from .engine.session.over_time import over_time

    sessions = [LocalSession(one, body, solid=_solid_body(one, device)) for one in volume]
    return over_time(sessions, body, write=_time_writer(card, sessions))


@overload
def resume(
    path: PathLike, volume: Volume, model: str | PathLike | Card = "auto", device: str = "auto"
) -> LocalSession: ...


@overload
def resume(
    path: PathLike, volume: Sequence[Volume], model: str | PathLike | Card = "auto", device: str = "auto"
) -> TimeSession: ...


def resume(
    path: PathLike,
    volume: Volume | Sequence[Volume],
    model: str | PathLike | Card = "auto",
    device: str = "auto",
) -> LocalSession | TimeSession:
    """Go on with a session that was saved, its masks as they were.

    Parameters
    ----------
    path : path
        An ``.effseg`` file.
    volume : Volume, or sequence of Volume
        The image, or the images over time, that it was made on.
    model : str, path or Card
        "auto": the model that it was made with.
    device : str
        As for `open_session`.

    Raises
    ------
    ImageReadError
        If the file is missing or damaged.
    PromptError
        If it is of another image.
    UnknownModel, CardError, WeightsError
        As `open_session`.
    """
    from .io.effseg import read_session

    if not isinstance(volume, Volume):
        return _resume_over_time(path, volume, model, device)
    return restore(read_session(path), volume, model, device)


def restore(
    state: SessionState, volume: Volume, model: str | PathLike | Card = "auto", device: str = "auto"
) -> LocalSession:
    """Go on with a session that was read already; all else as `resume`."""
    from .engine.session.local import LocalSession

    card = promptable_card(state.model if model == "auto" else model)
    solid = _solid_body(volume, device)
    return LocalSession.restored(volume, slice_body(card, device), state, _writer(card), solid)


def _resume_over_time(
    path: PathLike, volumes: Sequence[Volume], model: str | PathLike | Card, device: str
) -> TimeSession:
    from .engine.session.local import LocalSession
    from .engine.session.over_time import over_time
    from .session_time_file import read_time_session

    state = read_time_session(path)
    if len(state.frames) != len(volumes):
        raise PromptError(
            f"the session is of {len(state.frames)} time points; {len(volumes)} images were given"
        )
    card = promptable_card(state.frames[0].model if model == "auto" else model)
    body = slice_body(card, device)
    sessions = [
        LocalSession.restored(volume, body, frame, solid=_solid_body(volume, device))
        for volume, frame in zip(volumes, state.frames, strict=True)
    ]
    return over_time(sessions, body, state.done, state.undone, _time_writer(card, sessions))


def promptable_card(model: str | PathLike | Card = "auto") -> Card:
    """Find a model that answers clicks.

    Parameters
    ----------
    model : str, path or Card
        "auto": the one with the best measured Dice.

    Raises
    ------
    UnknownModel
        If there is no such model, or none that answers clicks.
    CardError
        If the model answers no clicks.
    """
    from .zoo import find_card

    if model != "auto":
        card = find_card(model)
        if card.task != _TASK:
            raise CardError(f"{card.name} answers no clicks; effseg segment runs it by itself")
        if card.dimensions != 2:
            raise CardError(
                f"{card.name} answers no clicks by itself: it carries objects that another model outlined in "
                "slices through volumes"
            )
        return card
    known = promptable_cards()
    if not known:
        raise UnknownModel(
            "no model that answers clicks is installed; name the card of one, such as a run of effseg train"
        )
    return known[0]


def promptable_cards() -> tuple[Card, ...]:
    """Return the models that answer clicks, those with the best measured Dice first."""
    return _cards_of(2)


def _cards_of(dimensions: int) -> tuple[Card, ...]:
    """Return promptable models of slices, or those that carry objects through volumes."""
    from .zoo import cards

    known = [card for card in cards().values() if card.task == _TASK and card.dimensions == dimensions]
    return tuple(sorted(known, key=_measured_dice, reverse=True))


def _measured_dice(card: Card) -> float:
    """Return Dice after three clicks, or three corrections of a volume, as far as it was measured."""
    wanted = ("dice_clicks_3", "dice_volume_corrections_3")
    return next((row.mean for row in card.accuracy if row.metric in wanted), 0.0)


def slice_body(card: Card, device: str = "auto") -> SliceBody:
    """Load a card's network, and put it behind the words of a body.

    Raises
    ------
    CardError
        If the network answers no clicks.
    WeightsError
        If its weights are missing or not what the card says.
    """
    import torch

    from .engine.device import resolve_device
    from .engine.networks import cached_network
    from .engine.session.fusion import FusionBody
    from .engine.session.sam import EmbeddingCache, SamBody
    from .nets import SAM, ClickUNet, HRMedSeg

    target = torch.device(resolve_device(device).name)
    network = cached_network.get(card, str(target))
    if isinstance(network, ClickUNet):
        return FusionBody(network, card.window.size[0], target)
    if isinstance(network, HRMedSeg | SAM):
        return SamBody(network, target, EmbeddingCache())
    raise CardError(f"{card.name}: the network {card.network} answers no clicks")


def _solid_body(volume: Volume, device: str) -> SolidBody | None:
    """Load the network that carries objects through volumes; None for pictures, and where there is none."""
    known = _cards_of(3)
    return solid_body(known[0], device) if min(volume.shape) >= _LEAST_SLICES and known else None


def solid_body(card: Card, device: str = "auto") -> SolidBody:
    """Load a card's network that carries objects through volumes.

    Raises
    ------
    WeightsError
        If its weights are missing or not what the card says.
    """
    import torch

    from .engine.device import resolve_device
    from .engine.networks import cached_network
    from .engine.session.solid import BlockBody

    target = torch.device(resolve_device(device).name)
    return BlockBody(cached_network.get(card, str(target)), card.window.size[0], target)


def _writer(card: Card) -> Callable[[LocalSession, PathLike], None]:
    """Return what saves a session of this card."""
    from .io.effseg import write_session

    name = _name(card)

    def write(session: LocalSession, path: PathLike) -> None:
        write_session(session.state(name, card.weights.sha256), path)

    return write


def _time_writer(card: Card, sessions: Sequence[LocalSession]) -> Callable[[Done, Done, PathLike], None]:
    """Return what saves a session over time of this card."""
    from .session_time_file import TimeState, write_time_session

    name = _name(card)

    def write(done: Done, undone: Done, path: PathLike) -> None:
        frames = [one.state(name, card.weights.sha256) for one in sessions]
        write_time_session(TimeState(tuple(frames), done, undone), path)

    return write


def _name(card: Card) -> str:
    """Name under which the card is found again: that of a card that is installed, else its file."""
    from .zoo import cards

    known = cards().get(card.name)
    if known is not None or card.path is None:
        return card.name
    return str(Path(card.path).resolve())
