"""Processes that train one network together, as torch's own launcher starts them: ``torchrun``.

Each takes its share of every batch. The loss is that of the joint batch, and so is the gradient: Dice over a
batch is no mean of the Dice of its parts. The first process decides, writes and validates; the others follow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from ..errors import ConfigError, EffsegError

__all__ = ["ALONE", "Ranks", "joined", "ranks_of_environment"]

_PATIENCE = timedelta(hours=12)  # the others wait this long for the first one's validation

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Ranks:
    """Which of several processes this one is; of a single one, every question has a plain answer.

    Attributes
    ----------
    number : int
        From 0; the first one decides.
    count : int
    local : int
        Number among those on this machine, which is that of its card.
    """

    number: int = 0
    count: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device of this process: a card of its own, where there are cards.

        Raises
        ------
        ConfigError
            If one card was asked for by number for several processes.
        """
        if self.count == 1:
            return asked
        if ":" in asked:
            raise ConfigError(f"{self.count} processes cannot share {asked}; give --device cuda, or auto")
        has_cards = asked in ("auto", "cuda") and torch.cuda.is_available()
        return f"cuda:{self.local}" if has_cards else asked

    def share(self, batch_size: int) -> int:
        """How many patches of a batch are this process's.

        Raises
        ------
        ConfigError
            If the batch cannot be divided evenly.
        """
        if batch_size % self.count:
            raise ConfigError(
                f"batch_size is {batch_size}, which {self.count} processes cannot share evenly; expected a "
                f"multiple of {self.count}"
            )
        return batch_size // self.count

    def wrapped(self, net: nn.Module) -> nn.Module:
        """Return the network in a form whose backward pass averages gradients over all processes."""
        if self.count == 1:
            return net
        where = next(net.parameters()).device
        # static_graph: layers that a network has and does not call, and blocks that are computed again
        cards = [where] if where.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=cards, static_graph=True)

    def joint_loss(
        self, loss_of: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor
    ) -> Tensor:
        """Loss of the joint batch, of which this process has a share.

        Returns
        -------
        Tensor, scalar
            Its value is that of the joint batch. Its gradient is `count` times the share's part of the joint
            gradient, so that the mean over all processes is the whole.
        """
        if self.count == 1:
            return loss_of(logits, targets)
        all_logits, all_targets = self._gathered(logits.float()), self._gathered(targets)
        all_logits[self.number] = logits.float()  # the only one that gradients flow into
        loss = loss_of(torch.cat(all_logits), torch.cat(all_targets))
        return loss.detach() + self.count * (loss - loss.detach())

    def of_first(self, value: float) -> float:
        """Return the first process's number, to all."""
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(held, src=0)
        return float(held)

    def total(self, value: float) -> float:
        """Sum over all processes, to all."""
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(held)
        return float(held)

    def by_first(self, make: Callable[[], _Answer]) -> _Answer:
        """Let the first process do something, and give its answer, or its refusal, to all.

        Raises
        ------
        EffsegError
            The first process's, in each.
        """
        if self.count == 1:
            return make()
        held: list[Any] = [None]
        if self.is_first:
            try:
                held[0] = make()
            except EffsegError as err:
                held[0] = err
        dist.broadcast_object_list(held, src=0)
        if isinstance(held[0], EffsegError):
            raise held[0]
        answer: _Answer = held[0]
        return answer

    def _gathered(self, values: Tensor) -> list[Tensor]:
        held = values.detach().contiguous()
        found = [torch.empty_like(held) for _ in range(self.count)]
        dist.all_gather(found, held)
        return found


ALONE = Ranks()
"""The one process of a run that is not shared."""


def ranks_of_environment() -> Ranks:
    """Read what ``torchrun`` says in the environment; without it this process is alone."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    number, count, local = (os.environ.get(name, "") for name in names)
    if not count.isdecimal() or int(count) < 2:
        return ALONE
    return Ranks(int(number), int(count), int(local or number))


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the other processes of this run, if there are any, for as long as the context is open.

    Parameters
    ----------
    device : str
        As the user asked for it.
    """
    ranks = ranks_of_environment()
    if ranks.count == 1:
        yield ranks
        return
    on_card = ranks.device(device).startswith("cuda")
    if on_card:
        torch.cuda.set_device(ranks.local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_card else "gloo", timeout=_PATIENCE)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
