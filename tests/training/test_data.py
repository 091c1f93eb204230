import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training import AugmentConfig, DataConfig, read_config
from napari_effseg.training.augment import Augmenter
from napari_effseg.training.data import PatchSampler, _refuse_too_many, cut, load_case
from napari_effseg.training.release import draft_card

ONLY_MIRROR = AugmentConfig(
    rotate_degrees=0, scale=0, noise=0, blur_voxels=0, contrast=0, gamma=1, bias_field=0, low_resolution=0
)


@pytest.fixture
def card(ball_config):
    return draft_card(read_config(ball_config(1)))


@pytest.fixture
def cases(ball_config, card, tmp_path):
    ball_config(1)
    return [load_case(entry, card) for entry in read_dataset(tmp_path / "data").split("training")]


def test_a_cut_inside_is_a_slice():
    array = torch.arange(60).reshape(1, 3, 4, 5)
    assert torch.equal(cut(array, (1, 0, 2), (2, 3, 3)), array[:, 1:3, 0:3, 2:5])


@pytest.mark.parametrize("start", [(-2, 0, 0), (2, 3, -1), (-9, 0, 0), (9, 0, 0)])
def test_a_cut_reaching_out_is_a_slice_of_the_padded_array(start):
    array = torch.arange(1, 61).reshape(1, 3, 4, 5)
    padded = torch.nn.functional.pad(array, [10] * 6)
    index = tuple(slice(first + 10, first + 10 + 4) for first in start)
    assert torch.equal(cut(array, start, (4, 4, 4)), padded[(slice(None), *index)])


def test_storage_order_does_not_reach_the_network(cases):
    """Odd cases are stored flipped with the affine following; the ball is seen in the same world."""
    for case in cases:
        place = np.argwhere(case.target[0].numpy()).mean(0)
        first_axis_turned = case.volume.axcodes[0] == "L"
        ijk = np.argwhere(case.labels.data).mean(0)
        assert place == pytest.approx([14 - ijk[0], *ijk[1:]] if first_axis_turned else ijk)


def test_a_patch_depends_on_the_seed_and_the_step_alone(cases):
    def batch(seed, step):
        augmenter = Augmenter(AugmentConfig(), "RAS")
        return PatchSampler(cases, (16, 16, 16), DataConfig("data"), augmenter, seed).batch(step, 2)

    torch.testing.assert_close(batch(0, 5), batch(0, 5), rtol=0, atol=0)
    assert not torch.equal(batch(0, 5)[0], batch(0, 6)[0])
    assert not torch.equal(batch(0, 5)[0], batch(1, 5)[0])


def test_every_case_comes_once_an_epoch(cases):
    sampler = PatchSampler(cases, (15, 17, 16), DataConfig("data", shift_voxels=0), None, 0)
    seen = {sampler.batch(step, 1)[0].sum().item() for step in range(len(cases))}
    assert seen == {cut(case.image, (0, 0, 0), (15, 17, 16)).sum().item() for case in cases}


def test_image_and_labels_change_alike(cases):
    augmenter = Augmenter(AugmentConfig(noise=0, contrast=0, probability=1.0), "RAS")
    case = cases[0]
    for seed in range(5):
        image, target = augmenter(case.image, case.target, seed)
        assert image[target > 0].mean() > image[target == 0].mean() + 1


def test_mirroring_flips_the_left_right_axis_wherever_it_is_stored(cases):
    case = cases[0]
    for axcodes, axis in (("RAS", 1), ("PSL", 3)):
        augmenter = Augmenter(ONLY_MIRROR, axcodes)
        made = {bool(torch.equal(augmenter(case.image, case.target, s)[0], case.image)) for s in range(12)}
        assert made == {True, False}
        flipped = next(
            i
            for i in (augmenter(case.image, case.target, s)[0] for s in range(12))
            if not i.equal(case.image)
        )
        assert torch.equal(flipped, case.image.flip(axis))


def test_a_label_that_the_card_lacks_is_refused(card, cases, tmp_path):
    entry = read_dataset(tmp_path / "data").split("training")[0]
    labels = eff.load_labels(entry.label)
    eff.save(eff.LabelMap(labels.data * 7, labels.affine), entry.label)
    with pytest.raises(eff.ConfigError, match=r"\[7\]"):
        load_case(entry, card)


def test_a_label_map_on_another_grid_is_refused(card, cases, tmp_path):
    entry = read_dataset(tmp_path / "data").split("training")[0]
    labels = eff.load_labels(entry.label)
    moved = labels.affine.copy()
    moved[0, 3] += 5
    eff.save(eff.LabelMap(labels.data, moved), entry.label)
    with pytest.raises(eff.ConfigError, match="different grids"):
        load_case(entry, card)


def test_cases_that_memory_cannot_hold_are_refused_before_it_is_full(cases):
    one = cases[0].bytes
    assert one > cases[0].image.nbytes
    _refuse_too_many(cases[:1], total=10, free=3 * one)  # too early to tell
    with pytest.raises(eff.OutOfMemory, match="10 cases need about"):
        _refuse_too_many(cases[:3], total=10, free=5 * one)
    with pytest.raises(eff.OutOfMemory):
        _refuse_too_many(cases[:1], total=10, free=one)
    _refuse_too_many(cases[:4], total=4, free=5 * one)


def test_other_label_numbers_are_given_the_cards(card, cases, tmp_path):
    entry = read_dataset(tmp_path / "data").split("training")[0]
    labels = eff.load_labels(entry.label)
    eff.save(eff.LabelMap(labels.data * np.uint8(7), labels.affine), entry.label)
    case = load_case(entry, card, {7: 1})
    assert torch.equal(case.target, cases[0].target)
    assert np.array_equal(case.labels.data, labels.data)
    with pytest.raises(eff.ConfigError, match=r"\[7\]"):
        load_case(entry, card, {2: 1})
