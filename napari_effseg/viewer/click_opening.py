"""A session is opened on a layer: the volume read, the model loaded, an earlier session looked for. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import Cancelled, UnknownModel, VolumeError
from ..protocols import Session
from ..types import CancelCheck, PathLike, Progress
from ..volume import Volume
from .click_bench import Answer, Bench
from .click_saving import Keeper, Offer, keeping_of, offer_among
from .click_state import ModelChoice
from .engine_choice import EngineChoice
from .engines import Engines
from .from_layer import frames_of, layer_to_volume
from .placement import level_array, levels_of

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = [
    "Opened",
    "Opener",
    "Source",
    "models_for_clicks",
    "on_server",
    "open_bench",
    "put_away",
    "source_in",
]

_SLICES = 2
"""Models of slices answer clicks; those of volumes carry objects on, for them."""
_MOST_VOXELS = 2**31
_WELL_SIZED = 2**27
"""Voxels of the finest level of a multiscale layer that is taken."""
_MOST_OVER_TIME = 2**26
"""Voxels of all time points; of an image with more, the one that is shown is taken."""

_MOST_ON_SERVER = 60
"""Time points on a server, which lets a user have 64 sessions if its keeper has not set another number."""

Images: TypeAlias = Volume | Sequence[Volume]
"""An image, or its time points."""


def _open(images: Images, model: str) -> Session:
    from ..sessions import open_session

    return open_session(images, model)


def _resume(path: PathLike, images: Images, model: str) -> Session:
    from ..sessions import resume

    return resume(path, images, model)


def models_for_clicks() -> tuple[ModelChoice, ...]:
    """Return the models of this computer that answer clicks, the best first."""
    from ..sessions import promptable_cards

    return tuple(ModelChoice(card.name, card.title) for card in promptable_cards())


@dataclass(frozen=True)
class Opener:
    """How sessions are opened; on this computer, if nothing else is said.

    Attributes
    ----------
    open : callable
        ``open(images, model)``: of a volume, or of a sequence of them, which are time points.
    resume : callable
        ``resume(path, images, model)``; "auto" is the model that the session was made with.
    models : callable
        ``models()``: those that answer clicks, the best first.
    doing : str
        What takes its time meanwhile.
    most_frames : int, optional
        Of an image with more time points, the one that is shown is taken.
    """

    open: Callable[[Images, str], Session] = _open
    resume: Callable[[PathLike, Images, str], Session] = _resume
    models: Callable[[], tuple[ModelChoice, ...]] = models_for_clicks
    doing: str = "Loading the model"
    most_frames: int | None = None


def on_server(engines: Engines, choice: EngineChoice) -> Opener:
    """Return how sessions are opened on a server, which is connected to when it is first asked."""

    def models() -> tuple[ModelChoice, ...]:
        found = [one for one in engines.server(choice).models() if one.task == "promptable"]
        known = sorted(
            (one for one in found if one.dimensions == _SLICES), key=lambda one: not one.recommended
        )
        if not known:
            raise UnknownModel(
                f"{choice.place} has no model that answers clicks; choose another server, or this computer"
            )
        return tuple(ModelChoice(one.name, one.title) for one in known)

    def opened(images: Images, model: str) -> Session:
        return engines.alone(lambda: engines.server(choice).open_session(images, model))

    def resumed(path: PathLike, images: Images, model: str) -> Session:
        return engines.alone(lambda: engines.server(choice).resume(path, images, model))

    return Opener(
        opened,
        resumed,
        models,
        f"Sending the image to {choice.place}",
        _MOST_ON_SERVER,
    )


@dataclass(frozen=True, eq=False)
class Source:
    """What a session is opened on.

    Attributes
    ----------
    image : Image layer
    volumes : tuple of Volume
        As the layer is now, one a time point; perhaps not read yet.
    level : int
    frame : int or None
        Time point, where there are several and it is one of them alone.
    """

    image: Image
    volumes: tuple[Volume, ...]
    level: int
    frame: int | None


@dataclass(frozen=True, eq=False)
class Opened:
    """An open session, as the window takes it over."""

    source: Source
    volume: Volume
    bench: Bench
    keeper: Keeper
    offer: Offer | None
    answer: Answer
    note: str


def source_in(image: Image, frame: int, most_frames: int | None = None) -> Source:
    """Take down what a layer shows; nothing is read.

    Parameters
    ----------
    image : Image layer
    frame : int
        Time point that is shown.
    most_frames : int, optional
        Where there are more, the one that is shown is taken.

    Raises
    ------
    VolumeError
        If the layer has no place, or more voxels than a session takes.
    """
    sizes = [prod(level_array(image, level).shape) for level in range(levels_of(image))]
    level = next((at for at, size in enumerate(sizes) if size <= _WELL_SIZED), len(sizes) - 1)
    level = 0 if len(sizes) == 1 else level
    frames = frames_of(image)
    are_all = frames <= (most_frames or frames) and len(sizes) == 1 and sizes[0] <= _MOST_OVER_TIME
    if frames > 1 and are_all:
        return Source(image, tuple(layer_to_volume(image, frame=at) for at in range(frames)), 0, None)
    volume = layer_to_volume(image, frame=frame, level=level)
    if prod(volume.shape) > _MOST_VOXELS:
        raise VolumeError(
            f"“{image.name}” has {prod(volume.shape):.2g} voxels; clicks take at most {_MOST_VOXELS:.2g}. "
            "Crop it, or open a coarser level"
        )
    return Source(image, (volume,), level, frame if frames > 1 else None)


def open_bench(
    opener: Opener,
    source: Source,
    model: str,
    frame: int,
    path: Path | None,
    progress: Progress,
    cancel: CancelCheck,
) -> Opened:
    """Open a session, or go on with one; takes its time.

    Parameters
    ----------
    opener : Opener
    source : Source
    model : str
    frame : int
        Time point that is shown.
    path : Path or None
        Of a session to go on with.
    progress, cancel : callable

    Raises
    ------
    EffsegError
        As `napari_effseg.open_session` and `napari_effseg.resume`.
    """
    progress(0.0, "Reading the image")
    volumes = []
    for volume in source.volumes:
        volumes.append(replace(volume, data=np.asarray(volume.data)))
        if cancel():
            raise Cancelled("stopped while the image was read")
    volume = volumes[0]
    images: Images = volumes if len(volumes) > 1 else volume
    keeping = keeping_of(source.image, source.frame, volume)
    offer = None if path is not None else offer_among(keeping.candidates, volumes)
    if cancel():
        raise Cancelled("stopped before the image was opened")
    progress(0.3, opener.doing)
    session, note = (
        (opener.open(images, model), "") if path is None else _resumed(opener, path, images, model)
    )
    if cancel():  # nobody would close it
        session.close()
        raise Cancelled("stopped while the image was opened")
    bench = Bench(session, volume)
    return Opened(source, volume, bench, Keeper(keeping, path), offer, bench.everything(None, frame), note)


def _resumed(opener: Opener, path: Path, images: Images, model: str) -> tuple[Session, str]:
    """Go on with the model that was chosen, else with that of the session; where it is gone, with another."""
    try:
        return opener.resume(path, images, model), ""
    except UnknownModel as err:
        model = next((choice.name for choice in opener.models()), "")
        if not model:
            raise
        session = opener.resume(path, images, model)
        return session, f"It was made with a model that is not there ({err}); it goes on with {model}."


def put_away(
    opened: Opened, is_dirty: bool, then: Callable[[], None] | None, progress: Progress, cancel: CancelCheck
) -> None:
    """Save what was not saved, and free what the session holds."""
    try:
        if is_dirty:
            opened.keeper.autosave(opened.bench.session)
        opened.bench.close()
    finally:
        if then is not None:
            then()
