"""Out of memory, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OutOfMemory

__all__ = ["memory_in_words"]


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Turn torch's own ways of saying that memory ran out into `OutOfMemory`."""
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        from ..engine.ladder import is_memory_error

        if isinstance(err, OutOfMemory) or not is_memory_error(err):
            raise
        raise OutOfMemory("not enough memory for this image; close other programs, or crop it") from err
