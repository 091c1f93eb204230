"""Numbering of objects: cores grown into borders, masks split at waists."""

import dataclasses

import numpy as np
import pytest
from torch import nn

from napari_effseg.engine import segment_with
from napari_effseg.engine.instances import ObjectGrid, number_objects
from napari_effseg.engine.objects import object_colour
from napari_effseg.io import load_labels
from napari_effseg.io.dataset import read_dataset
from napari_effseg.metrics import object_score
from napari_effseg.training.objects import classes_of
from napari_effseg.volume import Volume
from napari_effseg.zoo import Instances, OutputSpec, Postprocess, WindowSpec
from tests.shapes import packed_discs

from .builders import card_for, labelled

BORDER, SPLIT = Instances(border=2), Instances()
PICTURE = ObjectGrid((1.0, 1.0, 1.0), flat_axis=2)
VOLUME = ObjectGrid((1.0, 1.0, 1.0))


def numbered(classes, rules=SPLIT, grid=PICTURE, **others):
    return number_objects(np.asarray(classes), Postprocess(instances=rules, **others), grid)


def same_objects(one, other):
    """Whether two maps hold the same objects, by whatever numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(pairs.T) == len(np.unique(one)) == len(np.unique(other))


def discs(*centres, radius=8, shape=(40, 60)):
    i, j = np.indices(shape)
    mask = np.zeros(shape, bool)
    for centre in centres:
        mask |= np.hypot(i - centre[0], j - centre[1]) <= radius
    return mask[..., None].astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_objects_come_back_from_the_classes_that_were_learned(seed):
    """All of them, but for a few voxels of rims that touch."""
    objects = packed_discs(seed=seed)
    found = numbered(classes_of(objects, BORDER, flat_axis=2), BORDER)
    assert found.max() == objects.max()
    for number in range(1, objects.max() + 1):
        inside = objects == number
        assert (found[inside] == np.bincount(found[inside]).argmax()).mean() > 0.95


@pytest.mark.parametrize("rules", [BORDER, SPLIT])
def test_the_foreground_stays_as_it_is(rules):
    classes = classes_of(packed_discs(), rules, flat_axis=2)
    assert np.array_equal(numbered(classes, rules) > 0, classes > 0)


@pytest.mark.parametrize("rules", [BORDER, SPLIT])
def test_numbers_run_from_1_without_gaps_in_the_order_of_the_array(rules):
    found = numbered(classes_of(packed_discs(), rules, flat_axis=2), rules)
    values, first = np.unique(found[found > 0], return_index=True)
    assert values.tolist() == list(range(1, len(values) + 1))
    assert first.tolist() == sorted(first.tolist())


def test_two_discs_that_touch_are_split_at_their_waist():
    found = numbered(discs((20, 20), (20, 34)))[..., 0]
    assert found.max() == 2
    assert abs(int((found == 1).sum()) - int((found == 2).sum())) < 20
    assert found[20, 20] != found[20, 34]


def test_a_long_object_without_a_waist_stays_one():
    assert numbered(discs(*((20, j) for j in range(12, 48)))).max() == 1


def test_a_lower_waist_splits_less():
    overlapping = discs((20, 22), (20, 33))
    assert numbered(overlapping, Instances(waist=0.95)).max() == 2
    assert numbered(overlapping, Instances(waist=0.3)).max() == 1


@pytest.mark.parametrize("gap", [10, 12, 14, 16])
def test_waists_are_measured_in_millimetres(gap):
    fine = discs((20, 20), (20, 20 + gap))
    coarse = numbered(fine[::2], grid=ObjectGrid((2.0, 1.0, 1.0), flat_axis=2))
    assert coarse.max() == numbered(fine).max() == (2 if gap > 10 else 1)


def test_cores_are_parted_at_waists_too_unless_told_not_to():
    classes = classes_of(np.int32(discs((20, 20), (20, 34))), Instances(border=2), flat_axis=2)
    assert numbered(classes, Instances(border=2, waist=0.0)).max() == 1
    assert numbered(classes, Instances(border=2, waist=0.7)).max() == 2
    assert numbered(discs((20, 20), (20, 34)), Instances(waist=0.0)).max() == 1


def test_a_border_without_a_core_is_an_object():
    classes = np.zeros((9, 9, 1), np.uint8)
    classes[1:4, 1:4] = 2
    classes[5:8, 5:8] = 1
    assert numbered(classes, BORDER).max() == 2


def test_small_objects_are_left_out_in_voxels_and_in_mm3():
    classes = discs((8, 8), radius=2) | discs((25, 40))
    assert numbered(classes).max() == 2
    assert numbered(classes, Instances(smallest=20)).max() == 1
    assert numbered(classes, minimum_mm3=20.0).max() == 1
    assert numbered(classes, grid=ObjectGrid((3.0, 3.0, 1.0), 2), minimum_mm3=20.0).max() == 2


def test_holes_of_an_object_are_filled_but_not_with_its_neighbour():
    ring = discs((20, 30), radius=12)
    ring[18:23, 28:33] = 0
    assert (numbered(ring, Instances(waist=0.01), fill_holes=True)[20, 30] == 1).all()
    ring[19:22, 29:32] = 1
    found = numbered(ring, Instances(waist=0.01), fill_holes=True)
    assert found[20, 30, 0] not in (0, found[9, 30, 0])


def test_objects_of_slices_end_with_their_slice_and_those_of_volumes_do_not():
    classes = np.repeat(discs((20, 30)), 4, axis=2)
    assert numbered(classes).max() == 4
    assert numbered(classes, grid=VOLUME).max() == 1
    along = numbered(np.moveaxis(classes, 2, 0), grid=ObjectGrid((1.0, 1.0, 1.0), flat_axis=0))
    assert same_objects(np.moveaxis(along, 0, 2), numbered(classes))


def test_balls_of_a_volume_are_split_too():
    grid = np.stack(np.indices((20, 20, 34)), axis=-1)
    balls = [np.linalg.norm(grid - (10, 10, k), axis=-1) <= 7 for k in (9, 22)]
    assert numbered((balls[0] | balls[1]).astype(np.uint8), grid=VOLUME).max() == 2


@pytest.mark.parametrize("rules", [BORDER, SPLIT])
def test_an_empty_image_has_no_objects_and_a_full_one_has_one(rules):
    assert numbered(np.zeros((6, 7, 1), np.uint8), rules).max() == 0
    assert numbered(np.ones((6, 7, 1), np.uint8), rules).max() == 1


@pytest.mark.parametrize(("side", "kind"), [(30, np.uint8), (33, np.uint16)])
def test_numbers_have_the_smallest_type_that_holds_them(side, kind):
    classes = np.zeros((side, side, 1), np.uint8)
    classes[::2, ::2] = 1
    found = numbered(classes)
    assert found.max() == len(range(0, side, 2)) ** 2
    assert found.dtype == kind


def test_colours_of_neighbouring_numbers_are_far_from_each_other():
    colours = np.array([object_colour(number) for number in range(1, 501)], int)
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100


class Bright(nn.Module):
    """One channel: what is brighter than 100 is an object."""

    def forward(self, x):
        return (x - 100) / 10


@pytest.fixture
def card():
    labels = labelled("nucleus")
    return card_for(
        2,
        "sigmoid",
        plane=None,
        labels=labels,
        modality=("OT",),
        constructor={},
        output=OutputSpec("sigmoid"),
        window=WindowSpec((64, 64), overlap=0.25, multiple_of=4),
        postprocess=Postprocess(instances=SPLIT),
    )


def picture(objects):
    return Volume((200 * (objects > 0)).astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_segmenting_gives_each_object_a_number_a_name_a_colour_and_the_code(card):
    image = picture(packed_discs())
    result = segment_with(Bright(), image, card, device="cpu")
    count = int(result.labels.data.max())
    assert result.report.objects.count == count > 5
    assert result.labels.names == {number: f"nucleus {number}" for number in range(1, count + 1)}
    assert set(result.labels.codes.values()) == {result.labels.codes[1]}
    assert len(set(result.labels.colours.values())) == count
    assert result.report.objects.mean_voxels == pytest.approx((image.data > 0).sum() / count)


def test_objects_of_regions_are_numbered_once(card):
    image = picture(discs((10, 10), (30, 50), radius=5))
    regions = [((0, 0, 0), (20, 20, 1)), ((20, 40, 0), (40, 60, 1))]
    whole = segment_with(Bright(), image, card, device="cpu").labels
    parts = segment_with(Bright(), image, card, device="cpu", roi=regions).labels
    assert np.array_equal(parts.data, whole.data)
    assert segment_with(Bright(), image, card, device="cpu", roi=regions[1]).labels.names == {1: "nucleus 1"}


def test_a_picture_without_objects_is_an_empty_map(card):
    dark = dataclasses.replace(picture(discs()), data=np.random.default_rng(0).uniform(0, 50, (40, 60, 1)))
    result = segment_with(Bright(), dark, card, device="cpu")
    assert result.labels.names == {}
    assert (result.report.objects.count, result.report.objects.mean_voxels) == (0, 0.0)


def test_slices_of_a_volume_are_numbered_on(card):
    stack = Volume(np.repeat(picture(discs((20, 30))).data, 3, axis=2), np.diag([1.0, 1.0, 4.0, 1.0]))
    labels = segment_with(Bright(), stack, card, device="cpu").labels
    assert [np.unique(labels.data[..., k])[-1] for k in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("rules", "least"), [(Instances(border=2, waist=0.7), 0.95), (SPLIT, 0.75)])
def test_real_nuclei_come_back_from_their_classes(shared_data, rules, least):
    dataset = read_dataset(shared_data / "dsb2018_nuclei")
    scores = []
    for case in dataset.split("test")[:8]:
        objects = load_labels(case.label).data
        found = numbered(classes_of(objects, rules, flat_axis=2), rules)
        scores.append(object_score(objects, found).ap50)
    assert np.mean(scores) > least
