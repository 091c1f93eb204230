"""Which fields belong to the manners of nnU-Net and MONAI, and are refused in cards of our own."""

from __future__ import annotations

from ._schema import Where
from .card import Card, IntensityRule

__all__ = ["check_manner", "is_stored_order"]


def is_stored_order(orientation: str) -> bool:
    """Whether an orientation is an order of the stored axes, such as "KJI", and no axcodes."""
    return sorted(orientation) == ["I", "J", "K"]


def check_manner(card: Card, where: Where) -> None:
    """Check that a card asks for nothing that its way of preparing images does not have.

    Raises
    ------
    CardError
        At the first rule that is broken, naming source and field.
    """
    given = card.input
    if given.manner == "own":
        _check_own(card, where)
    elif card.locate is not None:
        raise where.at("locate").error(f'only the manner "own" finds structures, not "{given.manner}"')
    if given.manner == "nnunet":
        for index, rule in enumerate(_rules(card)):
            if rule.where == "nonzero":
                raise where.at("input").error(f'rule {index}: the manner "nnunet" has no where = "nonzero"')
    if given.manner == "monai":
        for index, rule in enumerate(_rules(card)):
            if rule.where == "inside":
                raise where.at("input").error(f'rule {index}: the manner "monai" has no where = "inside"')


def _check_own(card: Card, where: Where) -> None:
    given = where.at("input")
    if card.input.then:
        raise given.at("then").error('the manner "own" has one rule only')
    if any(channel.intensity is not None for channel in card.input.channels):
        raise given.at("channels").error('in the manner "own" channels have no rules of their own')
    rule = card.input.intensity
    plain = IntensityRule(rule.rule)
    for key in ("target", "clip", "where"):
        if getattr(rule, key) != getattr(plain, key):
            raise given.at("intensity").at(key).error(f'the manner "own" takes no {key}')
    if rule.rule == "rescale":
        raise given.at("intensity").at("rule").error('the manner "own" has no rule "rescale"')
    if is_stored_order(card.input.orientation):
        raise given.at("orientation").error(
            'the manner "own" goes by the patient\'s axes, not by the stored ones'
        )


def _rules(card: Card) -> list[IntensityRule]:
    own = [channel.intensity for channel in card.input.channels if channel.intensity is not None]
    return [card.input.intensity, *own, *card.input.then]
