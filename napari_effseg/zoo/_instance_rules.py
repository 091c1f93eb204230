"""Which values the section on numbered objects may have."""

from __future__ import annotations

from ._checks import positive
from ._schema import Where
from .card import Card, Instances

__all__ = ["check_instances"]


def check_instances(card: Card, where: Where) -> None:
    """Check that objects can be numbered as a card says.

    Raises
    ------
    CardError
        At the first rule that is broken, naming source and field.
    """
    rules = card.postprocess.instances
    if rules is None:
        return
    _check_labels(card, rules, where)
    _check_waist(rules, where)
    positive(rules.smallest, where.at("smallest"))
    positive(rules.border_voxels, where.at("border_voxels"))
    if card.locate is not None:
        raise where.error("objects are not numbered in a structure that is found by [locate]")


def _check_labels(card: Card, rules: Instances, where: Where) -> None:
    used = {rules.label} if rules.border is None else {rules.label, rules.border}
    for key, label in (("label", rules.label), ("border", rules.border)):
        if label is not None and label not in card.label_names:
            raise where.at(key).error(f"no label has the id {label}")
    if rules.border == rules.label:
        raise where.at("border").error(f"expected another label than that of the objects, {rules.label}")
    others = [name for number, name in card.label_names.items() if number not in used]
    if others:
        raise where.error(f"only the objects and their border may be labels, not {', '.join(others)} too")


def _check_waist(rules: Instances, where: Where) -> None:
    if not 0 <= rules.waist <= 1:
        raise where.at("waist").error(f"expected 0 to 1, got {rules.waist}")
    if rules.smoothing < 0:
        raise where.at("smoothing").error(f"expected 0 or more, got {rules.smoothing}")
