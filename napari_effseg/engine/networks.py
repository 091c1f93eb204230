"""Loaded networks in their quick forms, kept for the next image: loading one costs more than a small case."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from ..nets.inference import inference_form
from ..zoo import load_network
from ..zoo.card import Card

__all__ = ["NetworkCache", "cached_network"]

KEPT_NETWORKS = 3
"""Networks that stay loaded; the one that was used longest ago goes first."""


class NetworkCache:
    """A few networks in evaluation mode, by checksum of their weights and device; safe between threads.

    Parameters
    ----------
    load : callable
        ``load(card, device)`` -> network in evaluation mode.
    size : int
        Networks to keep.
    """

    def __init__(self, load: Callable[[Card, str], nn.Module], size: int = KEPT_NETWORKS) -> None:
        self._load = load
        self._size = size
        self._networks: OrderedDict[tuple[str, str, str, str], nn.Module] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, card: Card, device: str) -> nn.Module:
        """Return the card's network on a device, loading it if it is not there.

        Raises
        ------
        WeightsError, CardError
            As `zoo.load_network`.
        """
        key = (card.weights.sha256, card.network, repr(sorted(card.constructor.items())), device)
        with self._lock:  # a second thread waits for the first rather than load the same weights again
            network = self._networks.pop(key, None)
            if network is None:
                network = self._load(card, device)
            self._networks[key] = network
            while len(self._networks) > self._size:
                self._networks.popitem(last=False)
            return network

    def clear(self) -> None:
        """Forget all networks, so that their memory can be freed."""
        with self._lock:
            self._networks.clear()


def _load(card: Card, device: str) -> nn.Module:
    return inference_form(load_network(card, device))


cached_network = NetworkCache(_load)
"""The networks of this process."""
