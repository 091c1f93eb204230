"""Which values the section ``[locate]`` of a card may have."""

from __future__ import annotations

from ._schema import Where
from .card import Card
from .location import LocatedBox, LocateSpec

__all__ = ["check_location"]


def check_location(card: Card, where: Where) -> None:
    """Check that a card says how its structure is found if, and only if, it says that it can be found.

    Raises
    ------
    CardError
        At the first rule that is broken, naming source and field.
    """
    if (card.locate is not None) != (card.field_of_view.locate == "template"):
        raise where.at("locate").error(
            'expected a section [locate] where field_of_view.locate is "template", and only there'
        )
    if card.locate is None:
        return
    if card.dimensions != 3 or card.input.spacing is None:
        raise where.at("locate").error("expected dimensions = 3 and an input.spacing")
    boxes = where.at("locate").at("boxes")
    if not card.locate.boxes:
        raise boxes.error("expected at least one box")
    for index, box in enumerate(card.locate.boxes):
        _check_box(box, card, boxes.at(index))
    _check_ids(card.locate, card, boxes)
    _check_midline(card.locate, boxes)


def _check_box(box: LocatedBox, card: Card, where: Where) -> None:
    view = card.field_of_view
    for size, low, high in zip(box.size_mm, view.minimum_mm, view.maximum_mm, strict=True):
        if not low <= size <= high:
            raise where.at("size_mm").error(
                f"expected sizes inside the field of view, {view.minimum_mm} to {view.maximum_mm}, "
                f"got {box.size_mm}"
            )
    if box.ids and len(box.ids) != len(card.labels):
        raise where.at("ids").error(f"expected {len(card.labels)}, one for each label, got {len(box.ids)}")
    if (box.side is not None) != bool(box.ids):
        raise where.at("ids").error("a box has ids if, and only if, it has a side")
    if box.colours and len(box.colours) != len(box.ids):
        raise where.at("colours").error(f"expected {len(box.ids)}, one for each of ids")
    if not all(0 <= value <= 255 for colour in box.colours for value in colour):
        raise where.at("colours").error(f"expected red, green and blue from 0 to 255, got {box.colours}")


def _check_ids(spec: LocateSpec, card: Card, where: Where) -> None:
    """One id has one meaning, in every result of the card."""
    taken = set(card.label_names)
    for index, box in enumerate(spec.boxes):
        for label in box.ids:
            if label < 1 or label in taken:
                raise where.at(index).at("ids").error(f"{label} is below 1 or has another meaning already")
            taken.add(label)


def _check_midline(spec: LocateSpec, where: Where) -> None:
    """Left is negative x: a box on the wrong side of the template would name every result wrongly."""
    for index, box in enumerate(spec.boxes):
        x = box.centre_mm[0]
        if (box.side == "left" and x >= 0) or (box.side == "right" and x <= 0):
            raise where.at(index).at("centre_mm").error(f"x = {x:g} mm does not lie on the {box.side} side")
