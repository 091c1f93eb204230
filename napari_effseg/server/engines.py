"""What a server computes with: the engine of this process, behind a few words that tests can fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import CardError, EffsegError, PromptError, UnknownModel, nearest_names
from ..history import Choose, History, Propagate
from ..protocols import ModelInfo, Region, Segmented
from ..session_state import SessionState
from ..time_session import check_one_grid
from ..types import BoolArray, CancelCheck, Progress, SpatialShape
from ..volume import Volume
from .hosting import Stateful

if TYPE_CHECKING:
    from ..zoo import Card

__all__ = ["Engine", "LocalEngine", "Opened", "through_time"]

_DAMAGE = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError)
"""What a history that is none may raise while it is restored."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A session, and what it was opened with."""

    session: Stateful
    model: str
    weights_sha256: str


class Engine(Protocol):
    """An engine; its methods are called on the threads that compute, but for `models` and `device`."""

    @property
    def device(self) -> str:
        """Where it computes, for people."""
        ...

    def models(self) -> tuple[ModelInfo, ...]:
        """See `protocols.Segmenter.models`."""
        ...

    def segment(
        self,
        volume: Volume,
        model: str | None,
        roi: Region | None,
        progress: Progress,
        cancel: CancelCheck,
    ) -> Segmented:
        """See `protocols.Segmenter.segment`."""
        ...

    def open(self, volume: Volume, sha256: str, model: str, state: SessionState | None) -> Opened:
        """Open a click session on an image of a known hash, or go on with one."""
        ...

    def through_time(
        self, sessions: Sequence[Stateful], progress: Progress, cancel: CancelCheck
    ) -> Mapping[int, BoolArray]:
        """Return the masks of those time points that follow from the others."""
        ...


class LocalEngine:
    """The engine of this process; models are found by name alone, never by a path.

    Parameters
    ----------
    device : str
    """

    def __init__(self, device: str = "auto") -> None:
        from ..engine import resolve_device

        found = resolve_device(device)
        self._name, self._description = found.name, found.description

    @property
    def device(self) -> str:
        """Where it computes, for people."""
        return f"{self._name} ({self._description})"

    def models(self) -> tuple[ModelInfo, ...]:
        """See `protocols.Segmenter.models`."""
        from ..segmenters import model_infos

        return model_infos()

    def segment(
        self,
        volume: Volume,
        model: str | None,
        roi: Region | None,
        progress: Progress,
        cancel: CancelCheck,
    ) -> Segmented:
        """See `protocols.Segmenter.segment`."""
        from ..engine import segment

        card = None if model is None else _card(model)
        result = segment(volume, card, self._name, roi, progress, cancel)
        return Segmented(result.labels, result.doubt, result.report.to_json())

    def open(self, volume: Volume, sha256: str, model: str, state: SessionState | None) -> Opened:
        """Open a click session on an image of a known hash, or go on with one.

        Raises
        ------
        EffsegError
            As `napari_effseg.open_session` and `resume`.
        """
        from ..sessions import open_session, promptable_card, restore

        name = state.model if state is not None and model == "auto" else model
        card = promptable_card() if name == "auto" else _card(name)
        if card.task != "promptable":
            raise CardError(f"{card.name} answers no clicks; name another model")
        if state is None:
            session = open_session(volume, card, self._name)
            session.scene.sha256 = sha256  # which takes seconds to find again
            return Opened(session, card.name, card.weights.sha256)
        check_history(state.history, volume.shape)
        try:
            session = restore(state, volume, card, self._name)
        except EffsegError:
            raise
        except _DAMAGE as err:
            raise PromptError(f"the session cannot be restored ({type(err).__name__})") from err
        return Opened(session, card.name, card.weights.sha256)

    def through_time(
        self, sessions: Sequence[Stateful], progress: Progress, cancel: CancelCheck
    ) -> Mapping[int, BoolArray]:
        """Return the masks of those time points that follow from the others.

        Raises
        ------
        PromptError
            If no time point shows the object.
        VolumeError
            If the images do not share a grid.
        """
        return through_time(sessions, progress, cancel)


def through_time(
    sessions: Sequence[Stateful], progress: Progress, cancel: CancelCheck
) -> Mapping[int, BoolArray]:
    """See `LocalEngine.through_time`; for sessions of this process."""
    from ..engine.session.local import LocalSession
    from ..engine.session.over_time import ThroughTime

    found = [session for session in sessions if isinstance(session, LocalSession)]
    assert len(found) == len(sessions), "sessions of another engine"
    check_one_grid([session.scene.volume for session in found])
    return ThroughTime(found, found[0].body)(progress, cancel)


def check_history(history: History, shape: SpatialShape) -> None:
    """Refuse actions that name slices which no image of that shape has.

    Raises
    ------
    PromptError
        Naming the first one.
    """
    for action in history.actions:
        if isinstance(action, Propagate) and not _is_range(action, shape):
            raise PromptError("the session was carried on along an axis, or a range, that the image has not")
        if isinstance(action, Choose) and not (
            0 <= action.axis <= 2 and 0 <= action.index < shape[action.axis] and action.hypothesis >= 0
        ):
            raise PromptError("the session has a choice in a slice that the image has not")


def _is_range(action: Propagate, shape: SpatialShape) -> bool:
    if not 0 <= action.axis <= 2:
        return False
    side = shape[action.axis]
    low, high = action.low or 0, side if action.high is None else action.high
    return 0 <= low <= high <= side


def _card(name: str) -> Card:
    from ..zoo import cards

    known = cards()
    if name not in known:
        raise UnknownModel(f"the server has no model {name[:80]!r}.{nearest_names(name[:80], known)}")
    return known[name]
