"""Names, colours and codes for what foreign files leave unsaid."""

from __future__ import annotations

import colorsys
import re
import zlib
from collections.abc import Iterable
from typing import Literal

from ..card import ChannelRole, CodeSpec, IntensityRule, LabelSpec

__all__ = ["channel_roles", "label_spec", "modalities_of", "slug"]

_SCHEME = "99EFFSEG"
"""DICOM's prefix for codes of nobody's terminology is 99."""
_GOLDEN = 0.61803398875
_LONGEST_MEANING = 64
_MR = {"mr", "mri", "t1", "t1c", "t1ce", "t1gd", "t1w", "t2", "t2w", "flair", "adc", "dwi", "pd"}
_MODALITY_WORDS = {"CT": {"ct", "cta", "hounsfield"}, "MR": _MR, "PT": {"pet", "pt", "suv"}, "US": {"us"}}


def slug(text: str, joint: str = "-") -> str:
    """Return a text as lower-case words joined by hyphens.

    Examples
    --------
    >>> slug("Dataset012_Spleen CT")
    'dataset012-spleen-ct'
    """
    return joint.join(re.findall(r"[a-z0-9]+", text.lower()))


def label_spec(label: int, name: str) -> LabelSpec:
    """Describe a label of which only the name is known."""
    words = slug(name, " ").split()
    side: Literal["left", "right"] | None = None
    if ("left" in words) != ("right" in words):
        side = "left" if "left" in words else "right"
    digest = f"{zlib.crc32(' '.join(words).encode()):08X}"
    meaning = re.sub(r"[|~^]", " ", name)[:_LONGEST_MEANING]
    return LabelSpec(label, name, _colour(label), CodeSpec(_SCHEME, digest, meaning), side)


def channel_roles(names: Iterable[str], rules: Iterable[IntensityRule | None]) -> tuple[ChannelRole, ...]:
    """Make channels of names, with roles that no other has."""
    roles: list[ChannelRole] = []
    for index, (name, rule) in enumerate(zip(names, rules, strict=True)):
        role = slug(name) or f"channel-{index}"
        if any(role == other.role for other in roles):
            role = f"{role}-{index}"
        roles.append(ChannelRole(role, name or role, rule))
    return tuple(roles)


def modalities_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the DICOM modalities that texts speak of, or none."""
    words = {word for text in texts for word in slug(text, " ").split()}
    return tuple(code for code, known in _MODALITY_WORDS.items() if words & known)


def _colour(label: int) -> tuple[int, int, int]:
    """Return a colour far from those of the labels before it: the hue turns by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.65 + 0.2 * (label % 2), 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
