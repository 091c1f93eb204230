"""Blocks show the same of the same body in every storage, and bring answers back to where they were found."""

import itertools

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_effseg import Volume
from napari_effseg.engine.session.blocks import CHANNELS, Block, KnownSlice, maps_of_slices, seen_by_network
from napari_effseg.volume import Grid

CODES = [
    "".join(code) for axes in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*axes)
]
SPACING = (0.8, 1.1, 2.0)


def body():
    """A smooth volume stored R, A, S."""
    i, j, k = np.mgrid[:30, :26, :18]
    data = np.exp(-((i - 14) ** 2 / 40 + (j - 10) ** 2 / 60 + (k - 8) ** 2 / 20)) + 0.01 * i + 0.02 * k
    return Volume(data.astype(np.float32), np.diag([*SPACING, 1.0]))


def stored_as(volume, codes):
    """The same body in another order of storage, and where a voxel of the first one is in it."""
    image = nib.Nifti1Image(np.asarray(volume.data), volume.affine)
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
    )
    turned = image.as_reoriented(change)
    return Volume(np.asarray(turned.dataobj, np.float32), turned.affine)


def voxel_of(volume, place):
    """Voxel of a volume at a place in mm."""
    return tuple((np.linalg.inv(volume.affine) @ [*place, 1])[:3])


def block_at(volume, place, side=16.0, size=20):
    letters = nib.aff2axcodes(volume.affine)
    sides = [
        side * {"R": 1.0, "A": 1.2, "S": 0.9}.get(x, {"L": 1.0, "P": 1.2, "I": 0.9}.get(x)) for x in letters
    ]
    return Block(volume.grid, voxel_of(volume, place), tuple(sides), size)


PLACE = (11.0, 11.5, 16.0)


@pytest.mark.parametrize("codes", CODES)
def test_a_block_shows_the_same_in_every_storage(codes):
    volume = body()
    other = stored_as(volume, codes)
    here, there = block_at(volume, PLACE), block_at(other, PLACE)
    assert torch.allclose(here.show(volume.data), there.show(other.data), atol=1e-5)
    assert torch.equal(here.inside(), there.inside())


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("codes", ["RAS", "LPI", "SLA", "PIR"])
def test_what_is_shown_comes_back_to_where_it_was(codes, axis):
    volume = stored_as(body(), codes)
    block = block_at(volume, PLACE, side=14.0, size=40)
    seen = 0
    for index, found in block.slices(block.show(volume.data), axis, np.nan):
        wanted = np.take(volume.data, index, axis)
        there = np.isfinite(found)
        seen += there.sum()
        assert np.abs(found - wanted)[there].max(initial=0) < 0.06
    assert seen * np.prod(volume.spacing) == pytest.approx(1.2 * 0.9 * 14.0**3, rel=0.2)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("codes", ["RAS", "ILP", "ASR"])
def test_a_known_slice_lies_where_its_voxels_are_shown(codes, axis):
    volume = stored_as(body(), codes)
    index = round(voxel_of(volume, PLACE)[axis])
    mask = np.zeros(np.delete(volume.shape, axis), bool)
    mask[3:-3, 2:9] = True
    whole = np.zeros(volume.shape, np.uint8)
    np.moveaxis(whole, axis, 0)[index] = mask
    block = block_at(volume, PLACE, size=24)
    found, other = maps_of_slices(block, [KnownSlice(axis, index, mask)], block.inside())
    assert found.any()
    assert other.any()
    assert not (found & other).any()
    assert (block.show(whole)[found] > 0.2).float().mean() > 0.9
    assert (block.show(whole)[other] < 0.6).float().mean() > 0.9


def test_beyond_the_volume_there_is_nothing():
    volume = body()
    block = block_at(volume, (0.0, 0.0, 0.0), side=10.0)
    assert 0.1 < block.inside().mean() < 0.2
    assert not block.show(volume.data + 5)[block.inside() == 0].any()


def test_a_coarse_block_averages():
    noise = np.random.default_rng(0).standard_normal((64, 64, 64)).astype(np.float32)
    block = Block(Grid((64, 64, 64), np.eye(4)), (31.5, 31.5, 31.5), (64.0, 64.0, 64.0), 8)
    assert block.show(noise).std() < 0.1


def test_voxels_that_are_no_numbers_count_as_nothing():
    data = np.asarray(body().data).copy()
    data[10] = np.nan
    assert torch.isfinite(block_at(body(), PLACE).show(data)).all()


def test_a_network_sees_each_channel():
    image = torch.rand(12, 12, 12)
    known, other, locked = (torch.zeros(12, 12, 12, dtype=torch.bool) for _ in range(3))
    known[4:8, 4:8, 6] = True
    other[:, :, 6] = ~known[:, :, 6]
    locked[:2] = True
    seen = seen_by_network(image, torch.ones(12, 12, 12), known, other, locked)
    assert len(seen) == len(CHANNELS)
    of = dict(zip(CHANNELS, seen, strict=True))
    assert abs(float(of["image"].mean())) < 1e-5
    assert (of["from_object"][known] == 1).all()
    assert (of["from_other"][locked & ~known] == 1).all()
    assert of["from_object"][~known].max() < 1
    assert (of["from_border"][0] == 1).all()
