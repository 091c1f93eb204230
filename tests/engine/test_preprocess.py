import dataclasses

import numpy as np
import pytest
import torch

from napari_effseg import zoo
from napari_effseg.engine.frame import Frame
from napari_effseg.engine.preprocess import NetworkImage, prepare, select_channels
from napari_effseg.errors import VolumeError
from napari_effseg.volume import Volume, crop, reorient

from .builders import OBLIQUE, SHAPE, card_for, noise_volume

ZSCORE = zoo.IntensityRule("zscore")
PER_REGION = zoo.FieldOfView((0.0, 0.0, 0.0), (500.0, 500.0, 500.0), "region")


def colours(shape=(6, 5, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(np.uint8)


def test_a_prepared_volume_is_the_array_as_the_card_wants_it():
    volume = noise_volume()
    prepared = prepare(volume, card_for())
    assert prepared.tensor.dtype == torch.float32
    assert prepared.tensor.shape == (1, *reorient(volume, "RAS").shape)
    assert np.array_equal(prepared.tensor[0].numpy(), reorient(volume, "RAS").data)


def test_a_prepared_volume_lies_where_its_grid_says():
    prepared = prepare(noise_volume(), card_for(spacing=(1.5, 1.5, 1.5)))
    assert prepared.grid.shape == tuple(prepared.tensor.shape[1:])
    np.testing.assert_allclose(prepared.grid.spacing, (1.5, 1.5, 1.5))


@pytest.mark.parametrize("axcodes", ["LPS", "SRA", "PIL", "AIR"])
def test_reoriented_volumes_are_prepared_to_the_same_bits(axcodes):
    card = card_for(intensity=ZSCORE, spacing=(1.4, 0.9, 2.5))
    volume = noise_volume()
    assert torch.equal(prepare(reorient(volume, axcodes), card).tensor, prepare(volume, card).tensor)


@pytest.mark.parametrize("spacing", [None, (0.6, 1.7, 2.0), (3.0, 3.0, 3.0)])
@pytest.mark.parametrize("rule", ["zscore", "none"])
def test_rows_read_one_by_one_are_those_of_the_whole(spacing, rule):
    volume, card = noise_volume(), card_for(intensity=zoo.IntensityRule(rule), spacing=spacing)
    image = NetworkImage((volume.data,), Frame.of(volume.grid, card), card)
    whole = prepare(volume, card).tensor
    rows = torch.cat([image.read(row, row + 1) for row in range(whole.shape[1])], dim=1)
    torch.testing.assert_close(rows, whole, rtol=1e-4, atol=1e-3)


def test_the_volume_is_not_changed():
    volume = noise_volume()
    before = volume.data.copy()
    prepare(volume, card_for(intensity=ZSCORE))
    assert np.array_equal(volume.data, before)


def test_a_read_only_memory_map_is_taken(tmp_path):
    volume = noise_volume()
    np.save(tmp_path / "scan.npy", volume.data)
    mapped = Volume(np.load(tmp_path / "scan.npy", mmap_mode="r"), volume.affine)
    assert torch.equal(prepare(mapped, card_for()).tensor, prepare(volume, card_for()).tensor)


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float64, ">i2", np.uint8])
def test_dtypes_that_torch_cannot_take_are_converted(dtype):
    values = np.random.default_rng(0).integers(0, 200, SHAPE)
    found = prepare(Volume(values.astype(dtype), OBLIQUE), card_for()).tensor
    assert torch.equal(found, prepare(Volume(values, OBLIQUE), card_for()).tensor)


def test_a_mask_is_no_image():
    with pytest.raises(VolumeError, match="type bool"):
        prepare(Volume(np.ones(SHAPE, bool), OBLIQUE), card_for())


def test_grey_is_repeated_for_a_colour_card():
    card = card_for(channels=("red", "green", "blue"))
    tensor = prepare(noise_volume(), card).tensor
    assert tensor.shape[0] == 3
    assert torch.equal(tensor[0], tensor[2])


def test_colours_become_luminance_for_a_grey_card_and_it_is_said():
    volume = Volume(colours(), np.diag([-1.0, -1.0, 1.0, 1.0]))
    prepared = prepare(volume, card_for(2, plane=None))
    wanted = np.tensordot([0.299, 0.587, 0.114], volume.data, axes=1)
    np.testing.assert_allclose(prepared.tensor[0, 0].numpy(), wanted[:, :, 0], rtol=1e-6)
    assert "luminance" in prepared.warnings[0]


def test_channels_are_chosen_by_role():
    volume = Volume(
        np.stack([np.full(SHAPE, n) for n in range(3)]), OBLIQUE, channel_names=("T1", "FLAIR", "T2")
    )
    found = select_channels(volume, card_for(channels=("t2", "t1"))).arrays
    assert [channel[0, 0, 0] for channel in found] == [2, 0]


def test_channels_without_names_are_taken_in_order():
    volume = Volume(np.stack([np.full(SHAPE, n) for n in range(2)]), OBLIQUE)
    found = select_channels(volume, card_for(channels=("t2", "t1"))).arrays
    assert [channel[0, 0, 0] for channel in found] == [0, 1]


def test_channels_that_do_not_fit_are_named():
    volume = Volume(np.zeros((2, *SHAPE)), OBLIQUE, channel_names=("pd", "adc"))
    with pytest.raises(VolumeError, match=r"2 channels \(pd, adc\); synthetic takes 4: t1, t1ce, t2, flair"):
        select_channels(volume, card_for(channels=("t1", "t1ce", "t2", "flair")))


def test_voxels_that_are_not_finite_are_named():
    values = np.ones(SHAPE)
    values[0, 0, 0], values[1, 1, 1], values[2, 2, 2] = np.nan, np.inf, -2
    prepared = prepare(Volume(values, OBLIQUE), card_for())
    assert torch.isfinite(prepared.tensor).all()
    assert prepared.warnings == (
        "2 voxels are NaN or infinite; they were taken as the lowest finite value, -2",
    )


def test_statistics_of_a_bound_card_are_those_of_its_region():
    volume, box = noise_volume((30, 30, 30)), ((8, 9, 10), (20, 20, 20))
    card = card_for(intensity=ZSCORE, field_of_view=PER_REGION)
    found = prepare(volume, card, box)
    alone = prepare(crop(volume, found.frame.seen), card)
    assert torch.equal(found.tensor, alone.tensor)


def test_statistics_of_a_free_card_are_those_of_the_whole_image():
    volume, box = noise_volume((30, 30, 30)), ((8, 9, 10), (20, 20, 20))
    card = card_for(intensity=ZSCORE)
    found = prepare(volume, card, box)
    seen = tuple(slice(*ends) for ends in zip(*found.frame.seen, strict=True))
    assert torch.equal(found.tensor, prepare(volume, card).tensor[(slice(None), *seen)])


def test_each_slice_is_a_case_for_a_slice_model():
    bright = np.arange(1, 11) * 100
    volume = Volume(
        np.random.default_rng(0).normal(size=(20, 16, 10)) * bright + bright, np.diag([-1, -1, 3, 1])
    )
    tensor = prepare(volume, card_for(2, intensity=ZSCORE)).tensor[0]
    torch.testing.assert_close(tensor.mean(dim=(1, 2)), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(tensor.std(dim=(1, 2)), torch.ones(10), atol=1e-2, rtol=0)


def test_channels_can_share_their_statistics():
    values = np.random.default_rng(0).normal([[[[3]]], [[[9]]]], 1, size=(2, *SHAPE))
    rule = zoo.IntensityRule("zscore", per_channel=False)
    tensor = prepare(Volume(values, OBLIQUE), card_for(channels=("a", "b"), intensity=rule)).tensor
    assert tensor.mean().abs() < 1e-5
    assert tensor[0].mean() < -0.5 < 0.5 < tensor[1].mean()


def test_a_single_slice_of_another_plane_is_said():
    card = dataclasses.replace(card_for(2, plane="axial"))
    prepared = prepare(noise_volume((1, 20, 18)), card)
    assert "not axial" in prepared.warnings[0]
