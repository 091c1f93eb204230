"""The named parts are there, apart from each other, and the head holds all that depends on the classes."""

from __future__ import annotations

import pytest
import torch

from napari_effseg import UnknownModel, nets
from napari_effseg.nets.parts import _PARTS, parts


@pytest.mark.parametrize("name", sorted(_PARTS))
def test_parts_are_there_and_apart(name: str) -> None:
    with torch.device("meta"):
        names = [key for key, _ in nets.create(name).named_parameters()]
    known = parts(name)
    for prefix in (*known.encoder, *known.head):
        assert any(key.startswith(prefix) for key in names), prefix
    assert not any(key.startswith(known.encoder) and key.startswith(known.head) for key in names)
    assert not all(key.startswith((*known.encoder, *known.head)) for key in names)


@pytest.mark.parametrize("name", sorted(_PARTS))
def test_all_that_depends_on_the_classes_is_in_the_head(name: str) -> None:
    known = parts(name)
    with torch.device("meta"):
        few, many = (nets.create(name, **{known.classes: classes}).state_dict() for classes in (3, 4))
    changed = [key for key in few if few[key].shape != many[key].shape]
    assert changed
    assert all(key.startswith(known.head) for key in changed)


def test_a_network_without_named_parts_is_said() -> None:
    with pytest.raises(UnknownModel, match="cannot be finetuned"):
        parts("some-network")
