"""The card of a finetuned model: a draft from the base's, and what is known of it in the end."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...engine.plausibility import extent_mm
from ...errors import CardError, ConfigError
from ...io.dataset import Dataset, plain_name
from ...nets.parts import parts
from ...object_colours import PALETTE
from ...volume import Code, Grid
from ...zoo import is_sctid, parse_card
from ...zoo.card import (
    Accuracy,
    Card,
    CodeSpec,
    FieldOfView,
    LabelSpec,
    OutputSpec,
    Postprocess,
    TrainingData,
    WeightsFile,
)
from ...zoo.card_file import card_to_table
from ..release import NOT_STATED
from .labels import FoundLabels, LabelMatch

__all__ = ["Outcome", "check_base", "draft_of", "finished", "is_sided", "with_view_of"]

_UNKNOWN = WeightsFile("unknown.safetensors", "0" * 64, "not known yet", 1, "float32", 1)
_SCHEME = "99EFFSEG"
"""DICOM's prefix for codes of nobody's terminology is 99."""
_ROOM_TO_SPARE = 1.25
"""How much larger than the largest case an image may be: the base cards' own proportion."""
_OWN_LIMITS = (
    "Not a medical device; not for diagnosis.",
    "Finetuned by its user; nobody else has looked at it.",
)


@dataclass(frozen=True)
class Outcome:
    """What a card says of how its model came about.

    Attributes
    ----------
    dataset : Dataset
        With its splits as they were used.
    rule : str
        How the held-back cases were chosen, in words.
    accuracy : tuple of Accuracy
    temperature : float
        Of doubt.
    """

    dataset: Dataset
    rule: str
    accuracy: tuple[Accuracy, ...]
    temperature: float


def check_base(base: Card) -> None:
    """Refuse cards that the training cannot go on with.

    Raises
    ------
    ConfigError
        If the card is of pictures or slices, numbers objects, or its output is not a softmax.
    UnknownModel
        If nobody has named the parts of its network.
    """
    if base.dimensions != 3:
        raise ConfigError(f"{base.name} works on slices; only models of whole volumes can be finetuned")
    if base.output.activation != "softmax":
        raise ConfigError(
            f'{base.name} has {base.output.activation} outputs; only models with "softmax" can be finetuned'
        )
    if base.postprocess.instances is not None:
        raise ConfigError(f"{base.name} numbers objects; only models of structures can be finetuned")
    parts(base.network)


def draft_of(base: Card, match: LabelMatch, found: FoundLabels, name: str) -> Card:
    """Return the card to be, without weights, data, field of view and accuracy of its own.

    Parameters
    ----------
    base : Card
    match : LabelMatch
        Its structures.
    found : FoundLabels
        Colours and codes of new structures, where the files tell them.
    name : str

    Raises
    ------
    ConfigError
        If the name is not a card's.
    """
    structures = ", ".join(match.names.values())
    postprocess = _kept_rules(base.postprocess, match)
    labels = tuple(_label(label, base, match, found) for label in match.names)
    draft = replace(
        base if labels == base.labels else _not_located(base),
        name=name,
        title=f"{base.title}, finetuned" if match.kept else f"{structures}, finetuned from {base.name}",
        summary=f"{base.name}, finetuned by its user: {structures}.",
        intended_use="Research, on images like those it was finetuned on, after a look at every result.",
        limits=(base.limits if match.kept else ()) or _OWN_LIMITS,
        constructor={**base.constructor, parts(base.network).classes: len(match.names) + 1},
        weights=_UNKNOWN,
        training=replace(base.training, finetuned_from=f"{base.name}, SHA-256 {base.weights.sha256}"),
        labels=labels,
        output=OutputSpec("softmax"),
        postprocess=postprocess,
        accuracy=(),
        path=None,
    )
    try:
        return parse_card(card_to_table(_findable(draft, match)), source=f"the card {name!r}")
    except CardError as err:
        raise ConfigError(str(err)) from err


def _not_located(base: Card) -> Card:
    """Return the card without the boxes that hold its own structures and name their labels."""
    if base.locate is None:
        return base
    return replace(base, locate=None, field_of_view=replace(base.field_of_view, locate="region"))


def with_view_of(draft: Card, grids: Sequence[Grid]) -> Card:
    """Give a card whose structures are all new the field of view of its cases."""
    extents = list(zip(*(extent_mm(grid, draft) for grid in grids), strict=True))
    low = [round(min(sizes), 1) for sizes in extents]
    high = [round(_ROOM_TO_SPARE * max(sizes), 1) for sizes in extents]
    locate: Literal["anywhere", "region"] = (
        "anywhere" if draft.field_of_view.locate == "anywhere" else "region"
    )
    view = FieldOfView(
        (low[0], low[1], low[2]), (high[0], high[1], high[2]), locate, "As the cases it was finetuned on."
    )
    return replace(draft, field_of_view=view)


def is_sided(card: Card) -> bool:
    """Whether a structure of the card is a left or a right one, so that mirrored anatomy is wrong anatomy."""
    words = {word for label in card.labels for word in plain_name(label.name).split()}
    return bool(words & {"left", "right"}) or any(label.laterality for label in card.labels)


def finished(draft: Card, base: Card, outcome: Outcome) -> Card:
    """Return the draft with all that is known in the end, but for its weights."""
    data, old = outcome.dataset, base.training
    trained, held = len(data.split("training")), len(data.split("validation"))
    cases = f"{trained} case{'s' * (trained != 1)}"
    training = TrainingData(
        dataset=f"{data.name}; the weights it began with: {old.dataset}",
        licence=f"{data.licence or NOT_STATED}; {old.licence}",
        citation="; ".join(filter(None, (data.citation, old.citation))),
        split=f"finetuned on {cases}, {held} held back: {outcome.rule}. The held-back cases also chose the "
        "step to stop at, so that new cases can come out somewhat worse",
        config="config.toml in the run folder",
        redistributable=data.redistributable and old.redistributable,
        finetuned_from=draft.training.finetuned_from,
    )
    limits = (
        f"Finetuned from {base.name} on {cases} of {data.name}, and measured on {held} more.",
        f"The weights inherit the licence of those they began with: {base.weights.licence}.",
    )
    return replace(
        draft,
        summary=f"{draft.summary.removesuffix('.')}; on {cases} of {data.name}.",
        limits=(*draft.limits, *limits),
        training=training,
        output=replace(draft.output, doubt_temperature=outcome.temperature),
        accuracy=outcome.accuracy,
    )


def _findable(draft: Card, match: LabelMatch) -> Card:
    """Keep how the structures are found in a larger image, if they are the same; else a region is needed.

    The user's images may have another contrast than those the base was made for.
    """
    if draft.locate is None:
        return draft
    if not (match.new or match.dropped):
        return replace(draft, locate=replace(draft.locate, contrast="any"))
    return replace(draft, locate=None, field_of_view=replace(draft.field_of_view, locate="region"))


def _label(label: int, base: Card, match: LabelMatch, found: FoundLabels) -> LabelSpec:
    """Take a known structure over, or describe a new one by what the files tell."""
    if label in match.kept:
        old = next(known for known in base.labels if known.id == match.kept[label])
        return replace(old, id=label)
    number = next(theirs for theirs, ours in match.numbers.items() if ours == label)
    name = match.names[label]
    words = plain_name(name).split()
    side = next((side for side in ("left", "right") if side in words), None)
    code = found.codes.get(number)
    return LabelSpec(
        id=label,
        name=name,
        colour=found.colours.get(number) or _colour(label, match, base),
        code=_code(name) if code is None else _known_code(code, name),
        laterality="left" if side == "left" else "right" if side == "right" else None,
    )


def _colour(label: int, match: LabelMatch, base: Card) -> tuple[int, int, int]:
    """Choose a colour that no known structure has, as far as there are any."""
    taken = {known.colour for known in base.labels if known.id in match.kept.values()}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    return free[(label - len(match.kept) - 1) % len(free)]


def _known_code(code: Code, name: str) -> CodeSpec:
    if code.scheme == "SCT" and not is_sctid(code.value):
        return _code(name)
    return CodeSpec(code.scheme, code.value, code.meaning)


def _code(name: str) -> CodeSpec:
    """Return a code of our own: the same for the same name, and short enough for DICOM."""
    digest = f"{zlib.crc32(plain_name(name).encode()):08X}"
    return CodeSpec(_SCHEME, digest, re.sub(r"[|~^]", " ", name)[:64])


def _kept_rules(old: Postprocess, match: LabelMatch) -> Postprocess:
    """Keep rules for known structures; a new one may come in several pieces, and small ones."""
    ours = {theirs: label for label, theirs in match.kept.items()}
    largest = tuple(sorted(ours[label] for label in old.keep_largest if label in ours))
    if match.new:
        return Postprocess(keep_largest=largest)
    return replace(old, keep_largest=largest)
