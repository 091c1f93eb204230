"""What to do when memory runs out: the next step of the plan's ladder, and say so."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ..errors import OutOfMemory
from .plan import Step

__all__ = ["climb_down", "is_memory_error"]

_MEMORY_TEXTS = (
    "out of memory",  # CUDA, MPS ("MPS backend out of memory"), HIP
    "can't allocate memory",  # torch's CPU allocator, Linux and macOS
    "not enough memory",  # torch's CPU allocator, Windows
    "cannot allocate memory",  # the operating system's own words
)
_Answer = TypeVar("_Answer")


def is_memory_error(error: BaseException) -> bool:
    """Whether an exception means that memory ran out; torch raises plain RuntimeErrors for some."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _MEMORY_TEXTS)


def climb_down(
    steps: Sequence[Step], attempt: Callable[[Step], _Answer], say: Callable[[str], None]
) -> _Answer:
    """Try one step after the other until memory suffices.

    Parameters
    ----------
    steps : sequence of Step
        Each with less memory than the one before.
    attempt : callable
        ``attempt(step)`` does the work from its beginning.
    say : callable
        Told a sentence for each step down.

    Raises
    ------
    OutOfMemory
        If memory runs out on the last step too.
    """
    for index, step in enumerate(steps):
        try:
            return attempt(step)
        except (RuntimeError, MemoryError) as err:
            if not is_memory_error(err):
                raise
            failure = err.with_traceback(None)  # its frames hold the tensors that must be freed
        _free_memory()
        if index + 1 < len(steps):
            say(f"memory ran out with {step.describe()}; trying {steps[index + 1].describe()}")
    raise OutOfMemory(
        f"memory ran out with every fallback, the last being {steps[-1].describe()}; "
        "close other programs, give a smaller region, or use a machine with more memory"
    ) from failure


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
