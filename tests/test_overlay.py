"""The picture of a result: right side left, colours of the labels, millimetres equal in both directions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_effseg import LabelMap, Volume, VolumeError
from napari_effseg.overlay import label_colour, overlay_picture
from napari_effseg.volume import reorient

AFFINE = np.diag([0.5, 0.8, 2.0, 1.0])
RED, GREEN = (255, 0, 0), (0, 255, 0)


def case() -> tuple[Volume, LabelMap]:
    """A grey image with a red block in the patient's right, front and top corner, a green one opposite."""
    image = np.random.default_rng(0).normal(100, 5, (40, 30, 16)).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    labels[28:38, 20:28, 10:15], labels[2:12, 2:10, 10:15] = 1, 2
    return Volume(image, AFFINE), LabelMap(
        labels, AFFINE, {1: "right front", 2: "left back"}, {1: RED, 2: GREEN}
    )


def centre_of(picture: np.ndarray, colour: tuple[int, int, int], height: int = 320) -> tuple[float, float]:
    """Mean row and column of the pixels of exactly this colour within the first panel."""
    rows, columns = np.nonzero((picture[:height, :320] == colour).all(axis=-1))
    return float(rows.mean()), float(columns.mean())


def test_the_patients_right_is_left_and_the_front_is_up() -> None:
    picture = np.asarray(overlay_picture(*case()))
    (red_row, red_column), (green_row, green_column) = centre_of(picture, RED), centre_of(picture, GREEN)
    assert red_column < green_column
    assert red_row < green_row


@pytest.mark.parametrize("axcodes", ["LPS", "SAR", "AIL"])
def test_the_picture_does_not_depend_on_the_storage_order(axcodes: str) -> None:
    volume, labels = case()
    turned = overlay_picture(reorient(volume, axcodes), reorient(labels, axcodes))
    assert np.array_equal(np.asarray(turned), np.asarray(overlay_picture(volume, labels)))


def test_a_2d_picture_is_shown_once_as_it_is_stored() -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    labels = np.zeros((60, 40, 1), np.uint8)
    labels[2:12, 2:12] = 1
    picture = overlay_picture(
        Volume(np.zeros((60, 40, 1)), affine), LabelMap(labels, affine, colours={1: RED})
    )
    assert picture.width < 400
    row, column = centre_of(np.asarray(picture), RED, height=210)
    assert row < 100
    assert column < 100


def test_a_result_without_structures_is_drawn_too() -> None:
    volume, labels = case()
    assert overlay_picture(volume, LabelMap(np.zeros_like(labels.data), AFFINE)).mode == "RGB"


def test_voxels_that_are_no_numbers_are_drawn_black() -> None:
    volume, labels = case()
    volume.data[:, :, ::2] = np.nan
    assert overlay_picture(volume, labels).width > 0


@pytest.mark.parametrize("channels", [2, 3])
def test_several_channels_are_drawn(channels: int) -> None:
    volume, labels = case()
    assert overlay_picture(Volume(np.stack([volume.data] * channels), AFFINE), labels).mode == "RGB"


def test_a_label_map_of_another_grid_is_refused() -> None:
    volume, labels = case()
    with pytest.raises(VolumeError, match="on one grid"):
        overlay_picture(volume, LabelMap(labels.data, np.eye(4)))


def test_labels_without_a_colour_get_different_ones() -> None:
    labels = case()[1]
    assert label_colour(labels, 1) == RED
    assert len({label_colour(labels, number) for number in range(1, 20)}) == 19


def test_a_legend_of_hundreds_of_objects_stays_short() -> None:
    volume, labels = case()
    many = {number: f"object {number}" for number in range(1, 501)}
    assert overlay_picture(volume, LabelMap(labels.data, AFFINE, many)).height < 900


def test_two_label_maps_are_compared_on_the_same_slices() -> None:
    volume, labels = case()
    moved = LabelMap(np.roll(labels.data, 3, axis=2), AFFINE, labels.names, labels.colours)
    ours, theirs = (overlay_picture(volume, one, slices_of=labels) for one in (labels, moved))
    assert np.array_equal(np.asarray(ours)[12, 12], np.asarray(theirs)[12, 12])
    nothing = LabelMap(np.zeros_like(labels.data), AFFINE)
    bare = np.asarray(overlay_picture(volume, nothing, slices_of=labels))
    free = ~((np.asarray(ours)[: bare.shape[0], : bare.shape[1]] != bare).any(axis=-1))
    assert free[12:332, 12:332].mean() > 0.5  # the same image lies below both


def test_a_picture_gets_no_words_of_anatomy_and_areas_instead_of_volumes(monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, place, text, **how: said.append(text))
    data = np.zeros((60, 40, 1), np.uint8)
    for number in range(12):
        data[5 * number : 5 * number + 3, 4:8] = number + 1
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    names = {number + 1: f"nucleus {number + 1}" for number in range(12)}
    overlay_picture(Volume(data.astype(np.float32), affine), LabelMap(data, affine, names))
    assert said == ["12 x nucleus, median 12 pixels"]
    said.clear()
    half = np.diag([-0.5, -0.5, 1.0, 1.0])
    overlay_picture(Volume(data.astype(np.float32), half), LabelMap((data == 1).astype(np.uint8), half))
    assert said == ["label 1  3 mm²"]
