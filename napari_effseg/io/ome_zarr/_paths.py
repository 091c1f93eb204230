"""Paths inside of a store, as metadata name them."""

from __future__ import annotations

__all__ = ["join", "stays_inside"]


def stays_inside(path: str) -> bool:
    """Whether a path cannot leave the group that it is relative to, on any system."""
    return not any(
        part in ("", ".", "..") or any(mark in part for mark in "\\:\0") for part in path.split("/")
    )


def join(*parts: str) -> str:
    """Join parts by slashes, leaving out empty ones."""
    return "/".join(part for part in parts if part)
