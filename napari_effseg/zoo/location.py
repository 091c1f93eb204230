"""How a card says where its structure lies in a larger image: boxes in the space of a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LocateSpec", "LocatedBox"]


@dataclass(frozen=True)
class LocatedBox:
    """A box around one structure, and what the network's labels become there.

    Registration carries the centre from the template into the image, and turns the box with the head. Its
    size is the patient's, in mm: a network that learned from images at 1 mm sees a small head small.
    """

    centre_mm: tuple[float, float, float]
    """In the template's space, RAS."""
    size_mm: tuple[float, float, float]
    """Along the axes of ``input.orientation``."""
    side: Literal["left", "right"] | None = None
    """The patient's side: it goes before the labels' names, and into their codes as laterality."""
    ids: tuple[int, ...] = ()
    """What the labels 1, 2, ... become in this box; empty: they stay."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """Red, green, blue of each of `ids`; empty: those of the labels."""


@dataclass(frozen=True)
class LocateSpec:
    """A template to register an image to, and the boxes in it."""

    template: Literal["mni152"]
    """"mni152": the brain of the MNI ICBM 152 template, T1-weighted, for heads with or without skull."""
    boxes: tuple[LocatedBox, ...]
    contrast: Literal["template", "any"] = "template"
    """"template": an image whose bright and dark do not lie as in the template is refused; "any": it is not,
    as the network was trained on such images."""
