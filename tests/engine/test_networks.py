import dataclasses
import threading
import time

from torch import nn

from napari_effseg.engine.networks import NetworkCache

from .builders import card_for


def card_with(sha256):
    card = card_for()
    return dataclasses.replace(card, weights=dataclasses.replace(card.weights, sha256=sha256))


class Loader:
    def __init__(self):
        self.loaded = []

    def __call__(self, card, device):
        time.sleep(0.01)
        self.loaded.append((card.weights.sha256, device))
        return nn.Identity()


def test_a_network_is_loaded_once():
    load = Loader()
    cache = NetworkCache(load)
    assert cache.get(card_with("a"), "cpu") is cache.get(card_with("a"), "cpu")
    assert load.loaded == [("a", "cpu")]


def test_other_weights_and_devices_are_other_networks():
    load = Loader()
    cache = NetworkCache(load)
    networks = {
        id(cache.get(card_with(sha), device)) for sha, device in [("a", "cpu"), ("b", "cpu"), ("a", "meta")]
    }
    assert len(networks) == len(load.loaded) == 3


def test_the_network_used_longest_ago_is_forgotten():
    load = Loader()
    cache = NetworkCache(load, size=2)
    for sha in ("a", "b", "a", "c", "a", "b"):
        cache.get(card_with(sha), "cpu")
    assert [sha for sha, _ in load.loaded] == ["a", "b", "c", "b"]


def test_threads_load_a_network_once():
    load = Loader()
    cache = NetworkCache(load)
    threads = [threading.Thread(target=cache.get, args=(card_with("a"), "cpu")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load.loaded) == 1


def test_a_cleared_cache_is_empty():
    load = Loader()
    cache = NetworkCache(load)
    cache.get(card_with("a"), "cpu")
    cache.clear()
    cache.get(card_with("a"), "cpu")
    assert len(load.loaded) == 2
