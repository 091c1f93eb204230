"""How much memory there is left."""

from __future__ import annotations

import psutil

__all__ = ["free_bytes"]


def free_bytes() -> int:
    """Bytes of the machine that can still be allocated."""
    return int(psutil.virtual_memory().available)
