"""The voxel under the cursor is the one that napari draws there; places and values in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.errors import PromptError
from napari_effseg.viewer.layers import labels_layer
from napari_effseg.viewer.orientation import Plane, Sides
from napari_effseg.viewer.reading_cursor import (
    label_words,
    labels_on_top,
    parse_point,
    point_words,
    unit_of,
    value_words,
    voxel_at,
)
from napari_effseg.viewer.reading_view import show_plane
from napari_effseg.volume import LabelMap, Volume, transform_points

from .reading_cases import ORIENTATIONS, SHAPE, add, affine_of, drawn

pytest.importorskip("napari", reason="needs the extra [napari]")
from napari.components import ViewerModel
from napari.layers import Layer

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")


@pytest.fixture(scope="module")
def shared_viewer():
    return ViewerModel()


@pytest.fixture
def viewer(shared_viewer):
    """An empty viewer; making a new one for each of many cases would take most of the time."""
    shared_viewer.layers.clear()
    shared_viewer.dims.ndisplay = 2
    return shared_viewer


def canvas_point(viewer, layer, row, column):
    """Position of the cursor over a drawn pixel: napari moves it within the canvas, tilt left out."""
    shown = list(viewer.dims.order[-2:])
    transform = layer._data_to_world
    within = transform.linear_matrix[np.ix_(shown, shown)] @ (row, column) + transform.translate[shown]
    position = np.array(viewer.dims.point)
    position[shown] = within
    return tuple(position)


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize(("number", "case"), list(enumerate(ORIENTATIONS))[::5])
def test_the_voxel_under_the_cursor_is_the_one_that_is_drawn(viewer, plane, number, case):
    affine = affine_of(*case, 20 * (number % 2))
    data = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    layer = add(viewer, Volume(data, affine))
    show_plane(viewer, plane, Sides.RADIOLOGICAL)
    for row, column in [(0, 0), (1, 3), (4, 2)]:
        voxel = voxel_at(viewer, layer, canvas_point(viewer, layer, row, column))
        assert data[voxel.index] == drawn(layer)[row, column] == layer.data[voxel.array_index]
        np.testing.assert_allclose(voxel.point_ras, transform_points(affine, voxel.index), atol=1e-4)


def test_between_the_middles_of_voxels_the_place_is_the_cursors(viewer):
    layer = add(viewer, Volume(np.zeros(SHAPE), affine_of((0, 1, 2), (-1, -1, 1))))
    show_plane(viewer, Plane.AXIAL, Sides.RADIOLOGICAL)
    here = voxel_at(viewer, layer, canvas_point(viewer, layer, 2, 3))
    there = voxel_at(viewer, layer, canvas_point(viewer, layer, 2, 3.4))
    assert here.index == there.index
    np.testing.assert_allclose(np.subtract(there.point_ras, here.point_ras), (-0.4 * 1.5, 0, 0), atol=1e-9)


def test_beside_the_image_and_in_3d_there_is_no_voxel(viewer):
    layer = add(viewer, Volume(np.zeros(SHAPE), affine_of((0, 1, 2), (-1, -1, 1))))
    show_plane(viewer, Plane.AXIAL, Sides.RADIOLOGICAL)
    assert voxel_at(viewer, layer, canvas_point(viewer, layer, -1, 3)) is None
    viewer.dims.ndisplay = 3
    assert voxel_at(viewer, layer, viewer.dims.point) is None


def test_a_time_series_gives_the_voxel_of_the_time_that_is_shown(viewer):
    data = np.arange(4 * np.prod(SHAPE), dtype=np.int32).reshape(4, *SHAPE)
    layer = add(viewer, Volume(data, affine_of((1, 0, 2), (1, -1, 1))), lead="time")
    show_plane(viewer, Plane.SAGITTAL, Sides.RADIOLOGICAL)
    viewer.dims.set_point(0, 2)
    voxel = voxel_at(viewer, layer, canvas_point(viewer, layer, 1, 2))
    assert voxel.array_index[0] == 2
    assert layer.data[voxel.array_index] == data[(2, *voxel.index)] == drawn(layer)[1, 2]


def test_a_picture_has_column_row_and_no_slice(viewer):
    picture = viewer.add_image(np.arange(30).reshape(5, 6))
    voxel = voxel_at(viewer, picture, (2.2, 3.4))
    assert voxel.index == (3, 2, 0)
    assert voxel.array_index == (2, 3)


def test_labels_are_named(viewer):
    scan = add(viewer, Volume(np.zeros(SHAPE), affine_of((0, 1, 2), (1, 1, 1))))
    found = LabelMap(np.ones(SHAPE, dtype=np.uint8), affine_of((0, 1, 2), (1, 1, 1)), {1: "left thing"})
    assert labels_on_top(viewer) is None
    layer = viewer.add_layer(Layer.create(*labels_layer(found, scan)))
    assert labels_on_top(viewer) is layer
    assert (label_words(layer, 0), label_words(layer, 1), label_words(layer, 7)) == (
        "",
        "left thing (1)",
        "label 7",
    )
    layer.visible = False
    assert labels_on_top(viewer) is None


def test_hounsfield_units_are_said_for_ct_alone(viewer):
    affine = affine_of((0, 1, 2), (1, 1, 1))
    scans = [add(viewer, Volume(np.zeros(SHAPE), affine, modality=m)) for m in ("CT", "MR", None)]
    assert [unit_of(scan) for scan in scans] == [" HU", "", ""]


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.int16(-1000), "-1000"), (np.float32(0.12345), "0.1235"), (1234567.0, "1.23457e+06"), (True, "1")],
)
def test_values_are_short(value, words):
    assert value_words(value) == words


PLACES = st.tuples(*[st.floats(-2000, 2000).map(lambda number: round(number, 1) + 0.0)] * 3)


@given(PLACES)
def test_a_place_in_words_is_read_back(place):
    assert parse_point(point_words(place)) == place
    assert parse_point(", ".join(f"{number:.1f}" for number in place)) == place


@pytest.mark.parametrize(
    "text",
    [
        "12.5, -4, 20",
        "12.5 -4 20",
        " 12.5;-4;20 mm",
        "12,5; -4,0; 20",
        "(12.5, -4, 20)",
        "ras: 12.5, -4, 20",
        "ras:12.5,-4,20",
        "R 12.5 A -4 S 20",
        "L -12.5, P 4, I -20",
        "s20 p4 r12.5",
    ],
)
def test_places_are_read_in_the_ways_that_people_write_them(text):
    assert parse_point(text) == (12.5, -4, 20)


@pytest.mark.parametrize("text", ["", "12.5", "1, 2", "1, 2, 3, 4", "R 1 L 2 S 3", "here", "1,5, 2, 3"])
def test_what_is_no_place_is_refused_with_an_example(text):
    with pytest.raises(PromptError, match="expected three numbers in mm, such as"):
        parse_point(text)
