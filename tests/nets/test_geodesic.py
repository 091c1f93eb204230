"""Strength along paths: the same as shortest paths of a graph, and what follows from its meaning."""

import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_effseg.nets.geodesic import (
    FAR,
    Contrast,
    SolidContrast,
    _sweep,
    _sweep_solid,
    shortest_paths,
    shortest_paths_in_volume,
)


def picture(seed, shape=(23, 31), blur=1.0):
    noise = np.random.default_rng(seed).random((3, *shape))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, blur, blur)).astype(np.float32))


def seeds_at(shape, *places):
    seeds = torch.zeros(shape, dtype=torch.bool)
    for place in places:
        seeds[place] = True
    return seeds


@pytest.mark.parametrize("seed", range(4))
def test_sweeps_find_the_shortest_paths(seed):
    image = picture(seed, blur=0.8)
    seeds = seeds_at(image.shape[1:], (3, 4), (20, 11))
    contrast = Contrast.of(image)
    wanted = np.where(seeds.numpy(), np.float32(0), FAR)
    shortest_paths(wanted, contrast.right, contrast.below, contrast.below_right, contrast.below_left)
    assert np.abs(contrast.length(seeds).numpy() - wanted).max() < 1e-3


def test_without_the_compiled_kernel_paths_are_the_same(monkeypatch, caplog):
    image, seeds = picture(1), seeds_at((23, 31), (3, 4))
    wanted = Contrast.of(image).strength(seeds)
    monkeypatch.setitem(sys.modules, "napari_effseg.nets._geodesic_kernel", None)
    _sweep.cache_clear()
    try:
        found = Contrast.of(image).strength(seeds)
    finally:
        _sweep.cache_clear()
    assert torch.allclose(found, wanted, atol=1e-4)
    assert "more slowly" in caplog.text


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


def volume_image(seed, shape=(9, 11, 8)):
    noise = np.random.default_rng(seed).random(shape)
    return torch.from_numpy(ndimage.gaussian_filter(noise, 0.8).astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_sweeps_find_the_shortest_paths_through_volumes(seed):
    image = volume_image(seed)
    contrast = SolidContrast.of(image)
    seeds = seeds_at(image.shape, (1, 2, 3), (7, 7, 6))
    padded = np.full([side + 2 for side in image.shape], FAR, np.float32)
    padded[1:-1, 1:-1, 1:-1][seeds.numpy()] = 0
    flat = padded.ravel()
    shortest_paths_in_volume(flat, contrast.steps, contrast.offsets)
    wanted = np.exp(-flat.reshape(padded.shape)[1:-1, 1:-1, 1:-1])
    assert np.abs(contrast.strength(seeds).numpy() - wanted).max() < 3e-3


def test_a_line_of_voxels_is_a_line_of_pixels():
    image, seeds = picture(2)[:1, 4:5], seeds_at((1, 31), (0, 4))
    flat = Contrast.of(image).strength(seeds)
    solid = SolidContrast.of(image[0, None]).strength(seeds[None])[0]
    assert torch.allclose(solid, flat, atol=1e-4)


def test_no_path_leads_around_the_border_of_a_volume():
    image = torch.zeros(6, 6, 6)
    image[3:] = 1
    strength = SolidContrast.of(image).strength(seeds_at((6, 6, 6), (0, 5, 5)))
    assert strength[:3].min() > 0.98
    assert strength[3:].max() < 1e-4
    assert not SolidContrast.of(image).strength(seeds_at((6, 6, 6))).any()


def test_volumes_do_without_the_compiled_kernel(monkeypatch):
    image, seeds = volume_image(1), seeds_at((9, 11, 8), (3, 4, 4))
    wanted = SolidContrast.of(image).strength(seeds)
    monkeypatch.setitem(sys.modules, "napari_effseg.nets._geodesic_kernel", None)
    for cached in (_sweep, _sweep_solid):
        cached.cache_clear()
    try:
        found = SolidContrast.of(image).strength(seeds)
    finally:
        for cached in (_sweep, _sweep_solid):
            cached.cache_clear()
    assert torch.allclose(found, wanted, atol=3e-3)
