"""Models, ours and others', measured in one run on one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..engine.device import DeviceInfo, resolve_device
from ..types import CancelCheck, Progress
from ..zoo import Card
from ..zoo.weights import build_network
from ._cost import Cost, measure
from .peers import peers, round_up

__all__ = ["BenchRow", "bench"]


@dataclass(frozen=True)
class BenchRow:
    """One network on one input.

    Attributes
    ----------
    name : str
        Card or peer.
    network : str
        Our network's name, or the peer's.
    peer : bool
    input_shape : tuple of int
        (1, C, *window): a batch of one window of the card; for a peer its sides rounded up to what it takes.
    cost : Cost
    """

    name: str
    network: str
    peer: bool
    input_shape: tuple[int, ...]
    cost: Cost


@dataclass(frozen=True)
class _Candidate:
    name: str
    network: str
    peer: bool
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]


def bench(
    cards: Sequence[Card],
    device: str = "auto",
    with_peers: bool = False,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> tuple[DeviceInfo, tuple[BenchRow, ...]]:
    """Measure one pass over one window of each card, and of its peers on the same input.

    Weights do not matter for the cost, so fresh ones are used and no file is needed.

    Parameters
    ----------
    cards : sequence of Card
    device : str
        As for `segment`.
    with_peers : bool
        Whether to measure networks of others, too (needs MONAI).
    progress, cancel : callable, optional

    Raises
    ------
    DeviceError, CardError, MissingExtra, Cancelled
    """
    info = resolve_device(device)
    target = torch.device(info.name)
    candidates = [candidate for card in cards for candidate in _candidates(card, with_peers)]
    unique = list({(entry.name, entry.input_shape): entry for entry in candidates}.values())
    rows = []
    for done, entry in enumerate(unique):
        if progress is not None:
            progress(done / len(unique), entry.name)
        example = torch.randn(entry.input_shape, generator=torch.Generator().manual_seed(0)).to(target)
        cost = measure(entry.build().to(target), example, cancel or _never)
        rows.append(BenchRow(entry.name, entry.network, entry.peer, entry.input_shape, cost))
    return info, tuple(rows)


def _candidates(card: Card, with_peers: bool) -> list[_Candidate]:
    channels, classes = len(card.input.channels), len(card.labels) + 1
    shape = (1, channels, *card.window.size)
    found = [_Candidate(card.name, card.network, False, lambda: build_network(card), shape)]
    if with_peers:
        size = round_up(card.window.size)
        found += [
            _Candidate(peer.name, peer.name, True, peer.build, (1, channels, *size))
            for peer in peers(size, channels, classes)
        ]
    return found


def _never() -> bool:
    return False
