import numpy as np
import pytest

from napari_effseg.engine.postprocess import count_pieces, tidy
from napari_effseg.zoo import Postprocess


def two_blobs(label=1, other=1):
    labels = np.zeros((8, 9, 10), np.uint8)
    labels[1:3, 1:3, 1:3] = label
    labels[5:8, 5:8, 5:9] = other
    return labels


def test_only_the_largest_component_of_a_label_stays():
    labels = two_blobs()
    tidy(labels, Postprocess(keep_largest=(1,)), 1.0)
    assert labels.sum() == 36
    assert labels[1, 1, 1] == 0


def test_labels_that_are_not_named_keep_all_their_components():
    labels = two_blobs(2, 2)
    tidy(labels, Postprocess(keep_largest=(1,)), 1.0)
    assert labels.sum() == 2 * (8 + 36)


def test_parts_that_touch_at_a_corner_are_one_component():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    tidy(labels, Postprocess(keep_largest=(1,)), 1.0)
    assert labels.sum() == 3


def test_connect_all_keeps_the_largest_piece_of_all_labels_together():
    labels = two_blobs(1, 1)
    labels[5:8, 5:8, 9] = 2
    labels[0, 0, 9] = 2
    tidy(labels, Postprocess(connect_all=True), 1.0)
    assert labels[1, 1, 1] == 0
    assert labels[0, 0, 9] == 0
    assert (labels == 2).sum() == 9


def test_a_hole_is_filled_and_other_labels_in_it_stay():
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    labels[2:5, 2:5, 2:5] = 0
    labels[3, 3, 3] = 2
    tidy(labels, Postprocess(fill_holes=True), 1.0)
    assert labels[2, 2, 2] == 1
    assert labels[3, 3, 3] == 2


def test_a_ring_is_filled_slice_by_slice_for_a_slice_model():
    labels = np.zeros((3, 7, 7), np.uint8)
    labels[1, 1:6, 1:6] = 1
    labels[1, 3, 3] = 0
    solid = labels.copy()
    tidy(solid, Postprocess(fill_holes=True), 1.0)
    assert solid[1, 3, 3] == 0
    tidy(labels, Postprocess(fill_holes=True), 1.0, flat_axis=0)
    assert labels[1, 3, 3] == 1
    assert labels[0].sum() == labels[2].sum() == 0


@pytest.mark.parametrize(("voxel_mm3", "left"), [(1.0, 36), (2.0, 44)])
def test_specks_are_measured_in_cubic_millimetres(voxel_mm3, left):
    labels = two_blobs()
    tidy(labels, Postprocess(minimum_mm3=10.0), voxel_mm3)
    assert labels.sum() == left


def test_an_empty_map_stays_empty():
    labels = np.zeros((4, 5, 6), np.uint8)
    tidy(labels, Postprocess((1, 2), fill_holes=True, minimum_mm3=5.0, connect_all=True), 1.0)
    assert not labels.any()


def test_a_turned_view_is_tidied_in_place():
    labels = two_blobs()
    tidy(labels.transpose(2, 0, 1)[::-1], Postprocess(keep_largest=(1,)), 1.0)
    assert labels.sum() == 36


def test_pieces_are_counted():
    assert count_pieces(two_blobs(), 1) == 2
    assert count_pieces(two_blobs(), 3) == 0
