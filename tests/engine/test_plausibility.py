import numpy as np
import pytest

from napari_effseg import zoo
from napari_effseg.engine.intensity import statistics_of
from napari_effseg.engine.plausibility import (
    check_contrast,
    check_field_of_view,
    check_modality,
    check_pieces,
    check_sides,
    check_volumes,
    extent_mm,
)
from napari_effseg.errors import VolumeError
from napari_effseg.volume import Grid, LabelMap, reorient

from .builders import OBLIQUE, card_for, labelled

REGION = zoo.FieldOfView((20.0, 30.0, 20.0), (60.0, 80.0, 60.0), "region")
KIDNEY = zoo.CodeSpec("SCT", "64033007", "Kidney")
PAIR = tuple(
    zoo.LabelSpec(n, f"{side} kidney", (1, 2, 3), KIDNEY, side) for n, side in ((1, "left"), (2, "right"))
)
WIDE = np.diag([4.0, 4.0, 4.0, 1.0])  # RAS: x, and with it the right side, grows with i


def grid_of(*sizes_mm, axcodes="RAS"):
    grid = Grid(tuple(int(size) for size in sizes_mm), np.eye(4))
    return reorient(LabelMap(np.zeros(grid.shape, np.uint8), grid.affine), axcodes).grid


def statistics(low, high):
    return [statistics_of(np.linspace(low, high, 8).reshape(2, 2, 2), zoo.IntensityRule("none"))]


def label_map(**boxes):
    labels = np.zeros((50, 40, 30), np.uint8)
    for label, (start, stop) in boxes.items():
        labels[start:stop, 10:20, 10:20] = int(label[1:])
    return LabelMap(labels, WIDE)


def test_sizes_follow_the_card_s_axes_in_every_order():
    card = card_for()
    assert (
        extent_mm(grid_of(20, 30, 40, axcodes="SPL"), card)
        == extent_mm(grid_of(20, 30, 40), card)
        == (20, 30, 40)
    )


def test_a_head_for_a_model_of_a_small_structure_needs_a_region():
    with pytest.raises(VolumeError, match=r"160 x 200 x 180 mm.*at most 60 x 80 x 60 mm.*--roi"):
        check_field_of_view(grid_of(160, 200, 180), card_for(field_of_view=REGION))


def test_a_region_that_is_too_large_needs_to_be_smaller():
    with pytest.raises(VolumeError, match=r"the region measures.*smaller region"):
        check_field_of_view(grid_of(160, 200, 180), card_for(field_of_view=REGION), "region")


def test_ten_percent_more_than_the_field_of_view_is_taken():
    assert check_field_of_view(grid_of(65, 80, 60), card_for(field_of_view=REGION)) == ()


def test_a_field_of_view_that_is_too_small_is_said():
    assert "may be cut off" in check_field_of_view(grid_of(40, 20, 40), card_for(field_of_view=REGION))[0]


def test_a_card_for_anywhere_takes_any_size():
    view = zoo.FieldOfView((0.0, 0.0, 0.0), (60.0, 80.0, 60.0), "anywhere")
    assert check_field_of_view(grid_of(160, 200, 180), card_for(field_of_view=view)) == ()


def test_another_modality_is_said():
    assert "made for CT" in check_modality("MR", statistics(-1000, 2000), card_for())[0]


def test_the_right_modality_in_hu_is_fine():
    assert check_modality("CT", statistics(-1024, 2000), card_for()) == ()


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (-1, 1), (0, 1), (-1024, 0)])
def test_values_that_are_not_hu_are_said_to_a_ct_model(low, high):
    assert "Hounsfield" in check_modality("CT", statistics(low, high), card_for())[0]


def test_values_that_look_like_hu_are_said_to_an_mr_model():
    card = card_for(modality=("MR",))
    assert "made for MR" in check_modality(None, statistics(-1024, 2000), card)[0]
    assert check_modality(None, statistics(0, 2000), card) == ()
    assert check_modality("MR", statistics(-1024, 2000), card) == ()


def test_a_constant_image_is_said():
    assert "nothing to segment" in check_contrast(statistics(7, 7), card_for())[0]


def test_one_constant_channel_is_named():
    found = check_contrast([*statistics(7, 7), *statistics(0, 7)], card_for(channels=("t1", "t2")))
    assert found == ("the channel t1 has one value everywhere",)


def test_an_implausible_volume_is_said():
    card = card_for(labels=labelled("liver", volume_ml=(800.0, 2500.0)))
    assert check_volumes(label_map(_1=(5, 15)), card) == (
        "liver measures 64 mL; 800 to 2500 mL is plausible",
    )
    assert (
        check_volumes(label_map(_1=(5, 45)), card_for(labels=labelled("liver", volume_ml=(100.0, 2500.0))))
        == ()
    )


def test_a_structure_that_was_not_found_is_named():
    card = card_for(labels=labelled("liver", "spleen", volume_ml=(1.0, 2500.0)))
    assert check_volumes(label_map(_1=(5, 15)), card) == ("spleen was not found",)


def test_an_empty_result_is_said():
    assert "nothing was found" in check_volumes(label_map(), card_for())[0]


def test_many_pieces_of_one_structure_are_said():
    labels = np.zeros((30, 4, 4), np.uint8)
    labels[::3] = 1
    assert (
        "10 separate pieces"
        in check_pieces(labels, card_for(labels=labelled("liver", volume_ml=(0.0, 9.0))))[0]
    )
    assert check_pieces(labels, card_for(labels=labelled("nucleus"))) == ()


def test_a_pair_on_its_own_sides_is_fine():
    assert check_sides(label_map(_1=(5, 15), _2=(30, 40)), card_for(labels=PAIR)) == ()


def test_a_swapped_pair_is_said_once():
    found = check_sides(label_map(_1=(30, 40), _2=(5, 15)), card_for(labels=PAIR))
    assert len(found) == 1
    assert "left kidney lies to the right of right kidney" in found[0]


@pytest.mark.parametrize("axcodes", ["LPS", "SAR", "PIL"])
def test_sides_are_those_of_the_world_and_not_of_the_array(axcodes):
    card = card_for(labels=PAIR)
    assert check_sides(reorient(label_map(_1=(5, 15), _2=(30, 40)), axcodes), card) == ()
    assert check_sides(reorient(label_map(_1=(30, 40), _2=(5, 15)), axcodes), card)


def test_a_pair_may_lie_in_one_half_of_the_image():
    assert check_sides(label_map(_1=(30, 36), _2=(40, 46)), card_for(labels=PAIR)) == ()


def test_one_of_a_pair_in_the_wrong_half_of_a_wide_image_is_said():
    assert "right half" in check_sides(label_map(_1=(30, 40)), card_for(labels=PAIR))[0]
    assert "left half" in check_sides(label_map(_2=(5, 15)), card_for(labels=PAIR))[0]


def test_one_of_a_pair_across_the_middle_is_not_judged():
    assert check_sides(label_map(_1=(24, 40)), card_for(labels=PAIR)) == ()


def test_a_narrow_image_has_no_known_midline():
    narrow = LabelMap(label_map(_1=(30, 40)).data, OBLIQUE)
    assert check_sides(narrow, card_for(labels=PAIR)) == ()
