"""A server that segments by itself, as the panel *Automatic segmentation* asks an engine. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import EffsegError, UnknownModel, VolumeError
from ..protocols import LabelInfo, ModelInfo
from ..zoo.card import (
    Card,
    ChannelRole,
    CodeSpec,
    FieldOfView,
    InputSpec,
    IntensityRule,
    LabelSpec,
    OutputSpec,
    TrainingData,
    WeightsFile,
    WindowSpec,
)
from .case import Case
from .engine_choice import EngineChoice
from .fitting import Models, level_for_all
from .state import ModelOption, PlanWords
from .words import sentence

if TYPE_CHECKING:
    from ..engine import Result
    from ..types import CancelCheck, IndexBox, Progress
    from ..volume import Volume
    from .engines import Engines

__all__ = ["OnServer", "card_told_by"]

_MOST_BYTES = 4 * 2**30
"""What a server takes of one image, unless it was started with another `--most-mb`."""


class OnServer:
    """See `automatic.Automatic`.

    Parameters
    ----------
    choice : EngineChoice
    engines : Engines
        Connects to it.
    """

    def __init__(self, choice: EngineChoice, engines: Engines) -> None:
        self._choice, self._engines = choice, engines
        self._known: tuple[ModelInfo, ...] | None = None

    def models(self, case: Case, images: int, device: str, cancel: CancelCheck) -> Models:
        """See `automatic.Automatic.models`; the server is asked once."""
        if self._known is None:
            self._known = self._engines.server(self._choice).models()
        if not self._known:
            raise UnknownModel(f"{self._choice.place} has no model; choose another server, or this computer")
        options = tuple(_option(info, case, images) for info in self._known)
        fitting = {option.card.name for option in options if not option.reason}
        return Models(options, (), _recommended([info for info in self._known if info.name in fitting]))

    def plan(self, case: Case, cards: Sequence[Card], device: str) -> PlanWords:
        """See `automatic.Automatic.plan`."""
        level = level_for_all(cards, case.image)
        case.boxes(level)
        size = max(_size(volume) for card in cards for volume in case.parts(card, level).volumes)
        place = self._choice.place
        line = f"On {place}, which is sent the image: {max(size / 1e6, 0.1):.1f} MB before packing"
        details = "How long it takes depends on the server, and on who else waits there."
        return PlanWords(line, details, tuple(filter(None, (self._choice.warning,))))

    def segment(
        self,
        volume: Volume,
        card: Card,
        device: str,
        boxes: Sequence[IndexBox],
        progress: Progress,
        cancel: CancelCheck,
    ) -> Result:
        """See `automatic.Automatic.segment`; the server says on which device."""
        from .server_result import result_of

        _size(volume)
        progress(0.0, f"Sending the image to {self._choice.place}")
        read = replace(volume, data=np.asarray(volume.data))
        server = self._engines.server(self._choice)
        found = server.segment(read, card.name, roi=list(boxes) or None, progress=progress, cancel=cancel)
        return result_of(found, self._choice.place)


def _option(info: ModelInfo, case: Case, images: int) -> ModelOption:
    card = card_told_by(info)
    if info.task != "automatic":
        return ModelOption(card, "It answers clicks.", told=info)
    try:
        reason = info.misfit(case.trial_volume(card, images))
    except EffsegError as err:
        reason = str(err)
    return ModelOption(card, sentence(reason or ""), told=info)


def _recommended(fitting: Sequence[ModelInfo]) -> str:
    """Return the model to begin with: the only one, or the best of those that label the same structures."""
    structures = {frozenset(label.name for label in info.labels) for info in fitting}
    best = [info.name for info in fitting if info.recommended]
    if len(fitting) == 1:
        return fitting[0].name
    return best[0] if len(structures) == 1 and best else ""


def _size(volume: Volume) -> int:
    """Return the bytes of an image.

    Raises
    ------
    VolumeError
        If they are more than travel.
    """
    size = prod(volume.data.shape) * np.dtype(volume.data.dtype).itemsize
    if size > _MOST_BYTES:
        raise VolumeError(
            f"the image has {size / 1e9:.1f} GB, and is sent as a whole; choose this computer under "
            "“Networks run on”, or crop it"
        )
    return size


def card_told_by(info: ModelInfo) -> Card:
    """Return the card of a model as far as a server tells it; the rest is neutral, and never run here."""
    channels = tuple(ChannelRole(role, description) for role, description in info.channels)
    return Card(
        name=info.name,
        title=info.title,
        summary=info.summary,
        intended_use="",
        limits=info.limits,
        task=info.task,
        dimensions=2 if info.dimensions == 2 else 3,
        network="",
        licence="",
        constructor={},
        weights=WeightsFile("", "", info.licence, 0, "float32", 0),
        training=TrainingData("", "", "", "", ""),
        input=InputSpec(info.modality, channels, "IJK", IntensityRule("none"), info.spacing),
        field_of_view=FieldOfView((0.0, 0.0, 0.0), (inf, inf, inf), "anywhere"),
        window=WindowSpec((1,) * info.dimensions, 0.0, 1),
        output=OutputSpec("softmax"),
        labels=tuple(_label(label) for label in info.labels),
    )


def _label(label: LabelInfo) -> LabelSpec:
    code = label.code
    told = CodeSpec("", "", "") if code is None else CodeSpec(code.scheme, code.value, code.meaning)
    sides: dict[str | None, Literal["left", "right"]] = {"left": "left", "right": "right"}
    side = sides.get(code.laterality) if code is not None else None
    return LabelSpec(label.id, label.name, label.colour, told, side)
