"""A whole run that finds its structure: sides, names, and that nothing is labelled elsewhere."""

import numpy as np
import pytest

from napari_effseg.engine import PlanOptions, resolve, resolve_device, segment_with
from napari_effseg.engine.choose import fits
from napari_effseg.engine.segmenter import plan_segmentation
from napari_effseg.errors import Cancelled, VolumeError
from napari_effseg.metrics import dice
from napari_effseg.volume import Volume, reorient, same_grid, transform_points
from tests.engine.test_frame import AXCODES
from tests.zoo.synthetic import synthetic_card

from .heads import (
    LEFT,
    MARK_MM,
    MARKS,
    RIGHT,
    TILTED,
    MarkFinder,
    grid_around,
    head,
    located_card,
    marked_head,
    pose,
)

MARK_ML = 4 / 3 * np.pi * MARK_MM**3 / 1000


def run(volume, card=None, **options):
    return segment_with(MarkFinder(), volume, card or located_card(), "cpu", **options)


@pytest.fixture(scope="module")
def found():
    return run(marked_head())


def centre_of(labels, label):
    return transform_points(labels.affine, np.argwhere(labels.data == label).mean(axis=0))


def test_each_side_is_found_where_it_lies(found):
    left, right = centre_of(found.labels, 11), centre_of(found.labels, 22)
    np.testing.assert_allclose(left, transform_points(TILTED, LEFT), atol=1.5)
    np.testing.assert_allclose(right, transform_points(TILTED, RIGHT), atol=1.5)


def test_nothing_else_is_labelled(found):
    assert set(np.unique(found.labels.data)) == {0, 11, 22}
    volumes = found.labels.volumes_ml()
    assert volumes[11] == pytest.approx(MARK_ML, rel=0.25)
    assert volumes[22] == pytest.approx(MARK_ML, rel=0.25)


def test_labels_lie_on_the_voxels_that_they_mean(found):
    truth = np.isin(marked_head().data, list(MARKS.values()))
    assert dice(found.labels.data > 0, truth) > 0.85


def test_the_result_lies_exactly_on_the_input(found):
    volume = marked_head()
    assert same_grid(found.labels.grid, volume.grid)
    assert found.doubt.shape == volume.shape
    assert (found.doubt[found.labels.data == 0] > 0).mean() < 0.2


def test_labels_name_the_side(found):
    labels = found.labels
    assert labels.names == {
        11: "left anterior mark",
        12: "left posterior mark",
        21: "right anterior mark",
        22: "right posterior mark",
    }
    assert [labels.codes[label].laterality for label in (11, 12, 21, 22)] == [
        "left",
        "left",
        "right",
        "right",
    ]


def test_the_report_says_where(found):
    located = found.report.to_json()["located"]
    assert located["similarity"] > 0.5
    assert [place["side"] for place in located["places"]] == ["left", "right"]
    assert "boxes that are found first" in found.report.plan


@pytest.mark.parametrize("axcodes", ["LPS", "SAR", "IPL"])
def test_the_patient_s_sides_have_their_names_in_other_storages(found, axcodes):
    other = run(reorient(marked_head(), axcodes)).labels
    back = reorient(other, found.labels.axcodes)
    assert np.array_equal(back.data, found.labels.data)


@pytest.mark.slow
@pytest.mark.parametrize("axcodes", AXCODES)
def test_the_patient_s_sides_have_their_names_in_every_storage(found, axcodes):
    other = run(reorient(marked_head(), axcodes)).labels
    assert np.array_equal(reorient(other, found.labels.axcodes).data, found.labels.data)


def test_a_mirrored_head_has_its_sides_where_the_world_says(found):
    """The left of a mirrored head shows what was on the right: names follow the world, not the anatomy."""
    upright = pose()
    volume = marked_head(upright, grid_around(upright, turn_degrees=(0.0, 0.0, 0.0)))
    mirrored = Volume(volume.data[::-1], volume.affine)
    assert set(np.unique(run(mirrored).labels.data)) == {0, 12, 21}


def test_a_side_that_cannot_be_right_is_left_out():
    volume = marked_head()
    values = np.where(volume.data == MARKS["right"], 500.0, volume.data)  # no mark on the right
    result = run(Volume(values, volume.affine))
    assert set(np.unique(result.labels.data)) == {0, 11}
    assert any("the right side was left out: nothing was found" in text for text in result.report.warnings)


def test_a_head_in_which_nothing_plausible_is_found_is_refused():
    with pytest.raises(VolumeError, match=r"left side was left out.*right side was left out.*--roi"):
        run(head())


def test_a_region_is_labelled_without_a_side():
    volume = marked_head()
    index = transform_points(np.linalg.inv(volume.affine) @ TILTED, RIGHT).round().astype(int)
    box = tuple((index - 6).tolist()), tuple((index + 6).tolist())
    result = run(volume, roi=box)
    assert set(np.unique(result.labels.data)) == {0, 2}
    assert result.report.located is None


def test_an_image_as_large_as_the_field_of_view_is_labelled_without_a_side():
    values = np.full((30, 30, 30), MARKS["right"])
    values[0] = 0
    found = run(Volume(values, np.diag([2.0, 2.0, 2.0, 1.0])))
    assert set(np.unique(found.labels.data)) == {0, 2}


def test_a_whole_head_as_a_region_is_refused():
    volume = marked_head()
    with pytest.raises(VolumeError, match="smaller region"):
        run(volume, roi=((0, 0, 0), volume.shape))


def test_a_head_fits_a_card_that_can_find_its_structure():
    assert fits(located_card(), marked_head())


def test_the_plan_knows_the_windows_before_the_head_is_found(found):
    plan = resolve(PlanOptions(), located_card(), marked_head().grid, resolve_device("cpu"))
    assert plan.locates
    assert plan.windows == found.report.windows


def test_the_plan_of_a_card_by_name_finds_first(tmp_path):
    card = located_card()
    made = synthetic_card(
        tmp_path,
        input=card.input,
        field_of_view=card.field_of_view,
        locate=card.locate,
        labels=card.labels,
    )
    assert plan_segmentation(marked_head(), made, "cpu").locates


def test_a_run_can_be_stopped_while_the_head_is_looked_for():
    with pytest.raises(Cancelled):
        run(marked_head(), cancel=lambda: True)
