"""The engine of this process behind the words of `protocols.Segmenter`; its twin is `server.Client`."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from .errors import UnknownModel
from .protocols import LabelInfo, ModelInfo, Region, Segmented, Session
from .types import CancelCheck, PathLike, Progress
from .volume import Code, Volume

if TYPE_CHECKING:
    from .zoo.card import Card, LabelSpec

__all__ = ["LocalSegmenter", "info_of", "model_infos"]


class LocalSegmenter:
    """A `protocols.Segmenter` in this process.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda[:n]" or "mps".

    Examples
    --------
    >>> from napari_effseg.segmenters import LocalSegmenter
    >>> with LocalSegmenter("cpu") as engine:
    ...     names = [model.name for model in engine.models() if model.recommended]
    >>> "prompt-unet" in names
    True
    """

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self._sessions: list[Session] = []

    def models(self) -> tuple[ModelInfo, ...]:
        """See `protocols.Segmenter.models`."""
        return model_infos()

    def segment(
        self,
        volume: Volume,
        model: str | None = None,
        *,
        roi: Region | None = None,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> Segmented:
        """See `protocols.Segmenter.segment`."""
        from .engine import segment

        result = segment(volume, model, self.device, roi, progress, cancel)
        return Segmented(result.labels, result.doubt, result.report.to_json())

    def open_session(self, volume: Volume, model: str = "auto") -> Session:
        """See `protocols.Segmenter.open_session`."""
        from .sessions import open_session

        return self._kept(open_session(volume, model, self.device))

    def resume(self, path: PathLike, volume: Volume, model: str = "auto") -> Session:
        """See `protocols.Segmenter.resume`."""
        from .sessions import resume

        return self._kept(resume(path, volume, model, self.device))

    def close(self) -> None:
        """See `protocols.Segmenter.close`."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    def __enter__(self) -> LocalSegmenter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _kept(self, session: Session) -> Session:
        self._sessions.append(session)
        return session


def model_infos() -> tuple[ModelInfo, ...]:
    """Return what choosers need to know of each installed model."""
    from .zoo import cards

    known = cards().values()
    best = {card.name for card in _best_cards(known)}
    return tuple(info_of(card, card.name in best) for card in known)


def info_of(card: Card, recommended: bool = False) -> ModelInfo:
    """Return what choosers need to know of a model."""
    from .zoo.brief import accuracy_words

    return ModelInfo(
        name=card.name,
        title=card.title,
        summary=card.summary,
        task=card.task,
        dimensions=card.dimensions,
        modality=tuple(card.input.modality),
        channels=tuple((channel.role, channel.description) for channel in card.input.channels),
        labels=tuple(_label(label) for label in card.labels),
        licence=card.weights.licence,
        accuracy=accuracy_words(card),
        recommended=recommended,
        limits=tuple(card.limits),
        spacing=card.input.spacing,
    )


def _best_cards(known: Iterable[Card]) -> list[Card]:
    """Return the best of those that label the same structures, and of those that answer clicks."""
    from .engine import best_of
    from .sessions import promptable_card

    groups: dict[tuple[str, ...], list[Card]] = {}
    for card in known:
        if card.task == "automatic":
            groups.setdefault(tuple(sorted(card.label_names.values())), []).append(card)
    found = [best for group in groups.values() if (best := best_of(group)) is not None]
    try:
        return [*found, promptable_card()]
    except UnknownModel:  # none is installed
        return found


def _label(label: LabelSpec) -> LabelInfo:
    code = Code(label.code.scheme, label.code.value, label.code.meaning, label.laterality)
    return LabelInfo(label.id, label.name, label.colour, code)
