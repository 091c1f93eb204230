"""Colours of text that can be read on napari's background, whatever the theme."""

from __future__ import annotations

__all__ = ["text_colours"]

_ON_LIGHT = {"error": "#9a1220", "warning": "#6f4a00"}
_ON_DARK = {"error": "#ff8a80", "warning": "#ffca3a"}


def text_colours(theme: str) -> dict[str, str]:
    """Return colours for trouble ("error") and warnings ("warning") on the background of a theme."""
    from napari.utils.theme import get_theme

    red, green, blue = get_theme(theme).background.as_rgb_tuple()[:3]
    return _ON_LIGHT if 0.299 * red + 0.587 * green + 0.114 * blue > 127 else _ON_DARK
