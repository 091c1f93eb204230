"""Count the bytes that torch's tensors hold while something runs."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["TorchMemory"]


class TorchMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not say
    """Context in which the memory of every new tensor is counted until it is freed.

    Exact where the operating system's figure is coarse: it keeps freed pages and is sampled.

    Attributes
    ----------
    held, peak : int
        Bytes of the tensors that were made inside and still exist, and the most of it so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not say
        self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, then count the storages that are new among its results."""
        given = {id(x.untyped_storage()) for x in tree_leaves((args, kwargs)) if _has_storage(x)}
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if _has_storage(x):
                storage = x.untyped_storage()
                if id(storage) not in given and id(storage) not in self._known:
                    self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        size, name = storage.nbytes(), id(storage)
        self._known.add(name)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._remove, name, size)

    def _remove(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.held -= size


def _has_storage(x: object) -> bool:
    """Whether it is a tensor with memory that torch knows; oneDNN's own tensors keep theirs to themselves."""
    return isinstance(x, torch.Tensor) and not x.is_mkldnn
