"""Strength along paths: the same as shortest paths of a graph, and what follows from its meaning."""

import numpy as np
import pytest
import torch
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from napari_effseg.nets.geodesic import Contrast


def picture(seed, shape=(23, 31), blur=1.0):
    noise = np.random.default_rng(seed).random((3, *shape))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, blur, blur)).astype(np.float32))


def seeds_at(shape, *places):
    seeds = torch.zeros(shape, dtype=torch.bool)
    for place in places:
        seeds[place] = True
    return seeds


def by_dijkstra(contrast, seeds):
    rows, columns = seeds.shape
    numbers = np.arange(rows * columns).reshape(rows, columns)
    graph = sparse.lil_matrix((rows * columns,) * 2)
    steps = {(0, 1): "right", (1, 0): "below", (1, 1): "below_right", (1, -1): "below_left"}
    for (down, right), name in steps.items():
        for i in range(rows - down):
            for j in range(max(0, -right), columns - max(0, right)):
                graph[numbers[i, j], numbers[i + down, j + right]] = getattr(contrast, name)[i, j]
    found = csgraph.dijkstra(graph.tocsr(), False, np.flatnonzero(seeds), min_only=True)
    return np.exp(-found.reshape(rows, columns))


@pytest.mark.parametrize("seed", range(4))
def test_sweeps_find_the_shortest_paths(seed):
    image = picture(seed, blur=0.8)
    seeds = seeds_at(image.shape[1:], (3, 4), (20, 11))
    contrast = Contrast.of(image)
    assert np.abs(contrast.strength(seeds).numpy() - by_dijkstra(contrast, seeds)).max() < 1e-3


def test_no_seed_reaches_nothing_and_seeds_are_strongest():
    contrast = Contrast.of(picture(0))
    assert not contrast.strength(seeds_at((23, 31))).any()
    strength = contrast.strength(seeds_at((23, 31), (5, 5)))
    assert strength[5, 5] == 1
    assert 0 < strength.min() < strength.max() == 1


def test_an_edge_is_hard_to_cross_and_brightness_does_not_matter():
    image = torch.zeros(1, 16, 16)
    image[:, :, 8:] = 1
    strength = Contrast.of(image).strength(seeds_at((16, 16), (8, 2)))
    assert strength[:, :8].min() > 0.98
    assert strength[:, 8:].max() < 0.01
    other = Contrast.of(3 * image - 7).strength(seeds_at((16, 16), (8, 2)))
    assert torch.allclose(strength, other, atol=1e-5)


def test_turning_the_image_turns_the_strengths():
    image, seeds = picture(5), seeds_at((23, 31), (4, 20))
    there = Contrast.of(image).strength(seeds)
    turned = Contrast.of(image.rot90(1, (1, 2)).contiguous()).strength(seeds.rot90(1).contiguous())
    assert torch.allclose(there.rot90(1), turned, atol=1e-3)
