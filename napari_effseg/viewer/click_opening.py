"""A session is opened on a layer: the volume read, the model loaded, an earlier session looked for. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnknownModel, VolumeError
from ..protocols import Session
from ..types import CancelCheck, PathLike, Progress
from ..volume import Volume
from .click_bench import Answer, Bench
from .click_saving import Keeper, Offer, keeping_of, offer_among
from .click_state import ModelChoice
from .from_layer import frames_of, layer_to_volume
from .placement import level_array, levels_of

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Opened", "Opener", "Source", "models_for_clicks", "open_bench", "put_away", "source_in"]

_MOST_VOXELS = 2**31
_WELL_SIZED = 2**27
"""Voxels of the finest level of a multiscale layer that is taken."""


def _open(volume: Volume, model: str) -> Session:
    from ..sessions import open_session

    return open_session(volume, model)


def _resume(path: PathLike, volume: Volume, model: str) -> Session:
    from ..sessions import resume

    return resume(path, volume, model)


@dataclass(frozen=True)
class Opener:
    """How sessions are opened; tests and remote sessions give their own.

    Attributes
    ----------
    open : callable
        ``open(volume, model)``.
    resume : callable
        ``resume(path, volume, model)``; "auto" is the model that the session was made with.
    """

    open: Callable[[Volume, str], Session] = _open
    resume: Callable[[PathLike, Volume, str], Session] = _resume


@dataclass(frozen=True, eq=False)
class Source:
    """What a session is opened on.

    Attributes
    ----------
    image : Image layer
    volume : Volume
        As the layer is now; perhaps not read yet.
    level : int
    frame : int or None
        Time point, where there are several.
    """

    image: Image
    volume: Volume
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


def source_in(image: Image, frame: int) -> Source:
    """Take down what a layer shows; nothing is read.

    Raises
    ------
    VolumeError
        If the layer has no place, or more voxels than a session takes.
    """
    sizes = [prod(level_array(image, level).shape) for level in range(levels_of(image))]
    level = next((at for at, size in enumerate(sizes) if size <= _WELL_SIZED), len(sizes) - 1)
    level = 0 if len(sizes) == 1 else level
    volume = layer_to_volume(image, frame=frame, level=level)
    if prod(volume.shape) > _MOST_VOXELS:
        raise VolumeError(
            f"“{image.name}” has {prod(volume.shape):.2g} voxels; clicks take at most {_MOST_VOXELS:.2g}. "
            "Crop it, or open a coarser level"
        )
    return Source(image, volume, level, frame if frames_of(image) > 1 else None)


def open_bench(
    opener: Opener, source: Source, model: str, path: Path | None, progress: Progress, cancel: CancelCheck
) -> Opened:
    """Open a session, or go on with one; takes its time.

    Parameters
    ----------
    opener : Opener
    source : Source
    model : str
    path : Path or None
        Of a session to go on with.
    progress, cancel : callable

    Raises
    ------
    EffsegError
        As `napari_effseg.open_session` and `napari_effseg.resume`.
    """
    progress(0.0, "Reading the image")
    volume = replace(source.volume, data=np.asarray(source.volume.data))
    keeping = keeping_of(source.image, source.frame, volume)
    offer = None if path is not None else offer_among(keeping.candidates, volume)
    progress(0.3, "Loading the model")
    session, note = (
        (opener.open(volume, model), "") if path is None else _resumed(opener, path, volume, model)
    )
    bench = Bench(session, volume)
    return Opened(source, volume, bench, Keeper(keeping, path), offer, bench.everything(None), note)


def _resumed(opener: Opener, path: Path, volume: Volume, model: str) -> tuple[Session, str]:
    """Go on with the model that was chosen, else with that of the session; where it is gone, with another."""
    try:
        return opener.resume(path, volume, model), ""
    except UnknownModel as err:
        model = next((choice.name for choice in models_for_clicks()), "")
        if not model:
            raise
        session = opener.resume(path, volume, model)
        return session, f"It was made with a model that is not installed ({err}); it goes on with {model}."


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


def models_for_clicks() -> tuple[ModelChoice, ...]:
    """Return the models that answer clicks, the best first."""
    from ..sessions import promptable_cards

    return tuple(ModelChoice(card.name, card.title) for card in promptable_cards())
