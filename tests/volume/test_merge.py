"""Laws of merging label maps: nothing is lost, no two share a number or a name, and who comes first stays."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg.errors import VolumeError
from napari_effseg.volume import Algorithm, Code, LabelMap, merge_labels

few = settings(max_examples=25)
AFFINE = np.array([[0.9, 0.1, 0, -3], [-0.1, 1.2, 0, 5], [0, 0, 2.5, 1], [0, 0, 0, 1.0]])
SHAPE = (4, 3, 5)

maps = st.lists(
    arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 1, 2, 7])).map(lambda data: labelled(data)),
    min_size=1,
    max_size=4,
)


def labelled(data, **tables):
    names = {label: f"structure {label}" for label in (1, 2, 7)}
    colours = {label: (label, 0, 0) for label in (1, 2, 7)}
    codes = {2: Code("SCT", "10200004", "Liver", "left")}
    return LabelMap(data, AFFINE, **{"names": names, "colours": colours, "codes": codes, **tables})


def back(merged, at):
    """Labels of one map, as they are in the result, by its own numbers."""
    found = np.zeros(SHAPE, int)
    for old, new in merged.numbers[at].items():
        found[merged.labels.data == new] = old
    return found


@few
@given(maps)
def test_a_voxel_is_labelled_where_any_map_labels_it(given_maps):
    merged = merge_labels(given_maps)
    assert np.array_equal(merged.labels.data > 0, np.any([one.data > 0 for one in given_maps], axis=0))
    assert np.array_equal(merged.owner > 0, merged.labels.data > 0)


@few
@given(maps)
def test_the_first_map_is_as_it_was(given_maps):
    merged, first = merge_labels(given_maps), given_maps[0]
    assert merged.numbers[0] == {label: label for label in merged.numbers[0]}
    assert np.array_equal(merged.labels.data[first.data > 0], first.data[first.data > 0])


@few
@given(maps, st.booleans())
def test_each_voxel_has_the_label_of_its_owner(given_maps, later_wins):
    merged = merge_labels(given_maps, later_wins=later_wins)
    order = range(len(given_maps))
    for at in order:
        mine = merged.owner == at + 1
        assert np.array_equal(back(merged, at)[mine], given_maps[at].data[mine])
        before = order[at + 1 :] if later_wins else order[:at]
        assert not any((given_maps[other].data[mine] > 0).any() for other in before)


@few
@given(maps)
def test_numbers_and_names_are_all_different_and_what_is_known_of_a_label_goes_with_it(given_maps):
    merged = merge_labels(given_maps)
    numbers = [new for table in merged.numbers for new in table.values()]
    assert len(set(numbers)) == len(numbers) == 3 * len(given_maps)
    assert len(set(merged.labels.names.values())) == len(numbers)
    for one, table in zip(given_maps, merged.numbers, strict=True):
        for old, new in table.items():
            assert merged.labels.names[new].startswith(one.names[old])
            assert merged.labels.colours[new] == one.colours[old]
            assert merged.labels.codes.get(new) == one.codes.get(old)


@few
@given(maps)
def test_merging_one_after_the_other_labels_the_same_voxels(given_maps):
    at_once, step = merge_labels(given_maps), given_maps[0]
    for other in given_maps[1:]:
        step = merge_labels([step, other]).labels
    assert np.array_equal(step.data, at_once.labels.data)


@few
@given(arrays(np.uint8, SHAPE, elements=st.integers(0, 3)))
def test_one_map_alone_stays_what_it_is(data):
    one = labelled(data, names={3: "tail"})
    merged = merge_labels([one]).labels
    assert np.array_equal(merged.data, one.data)
    assert np.array_equal(merged.affine, one.affine)
    assert (merged.names, merged.colours, merged.codes) == (one.names, one.colours, one.codes)


def one_voxel(label, name, at=0, **more):
    data = np.zeros(SHAPE, np.uint8)
    data[at] = label
    return LabelMap(data, AFFINE, {label: name}, **more)


def test_a_free_number_is_kept_and_a_taken_one_moves_above_all():
    merged = merge_labels([one_voxel(1, "liver"), one_voxel(5, "spleen", 1), one_voxel(1, "aorta", 2)])
    assert merged.labels.names == {1: "liver", 5: "spleen", 6: "aorta"}
    assert merged.numbers == ({1: 1}, {5: 5}, {1: 6})


def test_equal_names_say_whose_they_are():
    same = [one_voxel(1, name, at) for at, name in enumerate(("Liver", "liver", "liver", "liver"))]
    merged = merge_labels(same, ["a", "b", "c", "c"])
    assert list(merged.labels.names.values()) == ["Liver", "liver (b)", "liver (c)", "liver (c, 2)"]


def test_labels_that_nobody_describes_are_kept_without_a_name():
    bare = LabelMap(one_voxel(1, "x").data, AFFINE)
    merged = merge_labels([bare, bare, one_voxel(300 % 256, "y", 1)])
    assert merged.labels.names == {44: "y"}
    assert merged.labels.counts() == {1: 15, 44: 15}


@pytest.mark.parametrize("label", [255, 70_000, 2**40])
def test_large_numbers_fit(label):
    data = np.zeros(SHAPE, np.int64)
    data[1] = label
    merged = merge_labels([LabelMap(data, AFFINE), LabelMap(data[::-1], AFFINE)])
    assert merged.labels.counts() == {label: 15, label + 1: 15}


def test_all_that_made_them_is_named():
    made = [one_voxel(1, "a", made_by=Algorithm(name, "1")) for name in "xy"]
    assert merge_labels(made).labels.made_by == Algorithm("x + y", "1; 1")
    assert merge_labels([made[0], made[0]]).labels.made_by == made[0].made_by
    assert merge_labels([*made, one_voxel(1, "b")]).labels.made_by is None


def test_what_does_not_belong_together_is_refused():
    moved = dataclasses.replace(one_voxel(1, "a"), affine=AFFINE @ np.diag([1, 1, 2, 1]))
    with pytest.raises(VolumeError, match="label map 2 lies on another grid"):
        merge_labels([one_voxel(1, "a"), moved])
    with pytest.raises(VolumeError, match="expected 1 to 255"):
        merge_labels([])
    with pytest.raises(VolumeError, match="the label -1"):
        merge_labels([LabelMap(np.full(SHAPE, -1), AFFINE)])
