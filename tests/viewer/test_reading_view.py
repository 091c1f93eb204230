"""Letters and planes on napari's viewer model: what is drawn at an edge is what its letter says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_effseg.errors import PromptError
from napari_effseg.viewer.orientation import EdgeLetters, Plane, Sides
from napari_effseg.viewer.reading_view import (
    camera_of,
    can_turn_pictures,
    current_layer,
    go_to,
    letters_of,
    plane_shown,
    show_plane,
    turn_upright,
    why_no_anatomy,
)
from napari_effseg.volume import Volume

from .reading_cases import (
    ORIENTATIONS,
    SHAPE,
    add,
    affine_of,
    camera_words,
    coordinates,
    drawn,
    needs_turning,
)

pytest.importorskip("napari", reason="needs the extra [napari]")
from napari.components import ViewerModel

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")


@pytest.fixture(scope="module")
def shared_viewer():
    return ViewerModel()


@pytest.fixture
def viewer(shared_viewer):
    """An empty viewer; making a new one for each of many cases would take most of the time."""
    shared_viewer.layers.clear()
    shared_viewer.dims.ndisplay = 2
    shared_viewer.dims.order = tuple(range(shared_viewer.dims.ndim))
    if can_turn_pictures(shared_viewer):
        camera_of(shared_viewer).orientation = ("towards", "down", "right")
    return shared_viewer


def drawn_letters(viewer, layers):
    """Letters of the edges from what napari draws of three layers whose values are x, y and z in RAS."""
    pictures = np.stack([drawn(layer) for layer in layers])
    a_row, a_column = pictures[:, 1, 0] - pictures[:, 0, 0], pictures[:, 0, 1] - pictures[:, 0, 0]
    # napari turns a picture within the canvas, but leaves out what would tilt it against the canvas.
    shown = list(viewer.dims.order[-2:])
    in_canvas = np.linalg.inv(layers[0]._data_to_world.linear_matrix[np.ix_(shown, shown)])
    down, across = in_canvas.T @ (a_row, a_column)
    _, vertical, horizontal = camera_words(viewer)
    return EdgeLetters.of_directions(
        -across if horizontal == "left" else across, -down if vertical == "up" else down
    )


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_letters_are_those_of_the_voxels_drawn_at_the_edges(viewer, order, signs):
    affine = affine_of(order, signs, 25 * (ORIENTATIONS.index((order, signs)) % 2))
    layers = [add(viewer, Volume(values, affine)) for values in coordinates(affine)]
    for plane, sides in itertools.product(Plane, Sides):
        show_plane(viewer, plane, sides)
        assert plane_shown(viewer) is plane
        assert letters_of(viewer, layers[0]) == drawn_letters(viewer, layers)


@pytest.mark.parametrize("display_order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("orientation", list(itertools.product(("up", "down"), ("left", "right"))))
def test_letters_follow_rolled_axes_and_a_turned_camera(viewer, display_order, orientation):
    needs_turning(viewer)
    affine = affine_of((2, 0, 1), (1, -1, -1))
    layers = [add(viewer, Volume(values, affine)) for values in coordinates(affine)]
    viewer.dims.order = display_order
    camera_of(viewer).orientation2d = orientation
    assert letters_of(viewer, layers[0]) == drawn_letters(viewer, layers)


def test_letters_of_a_time_series_leave_the_edges_of_time_empty(viewer):
    layer = add(viewer, Volume(np.zeros((4, *SHAPE)), affine_of((0, 1, 2), (1, 1, 1))), lead="time")
    show_plane(viewer, Plane.CORONAL, Sides.RADIOLOGICAL)
    assert viewer.dims.order == (0, 2, 1, 3)
    assert letters_of(viewer, layer).right == "L"
    viewer.dims.order = (1, 2, 0, 3)
    assert letters_of(viewer, layer) == EdgeLetters(left="R", right="L")
    assert plane_shown(viewer) is None


@pytest.mark.parametrize("display_order", list(itertools.permutations(range(3))))
def test_in_3d_the_letters_follow_the_camera(viewer, display_order):
    viewer.dims.ndisplay = 3
    layer = add(viewer, Volume(np.zeros(SHAPE), affine_of((0, 1, 2), (1, 1, 1))))
    viewer.dims.order = display_order
    turn_upright(viewer, Sides.RADIOLOGICAL)
    camera = camera_of(viewer)
    shown = np.array(["S", "P", "L"])[list(display_order)]
    camera.set_view_direction((-1, 0, 0), (0, 0, 1))
    assert letters_of(viewer, layer).top == shown[2]
    camera.set_view_direction((0, 1, 0), (1, 0, 0))
    assert letters_of(viewer, layer).top == shown[0]


def test_pictures_and_volumes_of_unknown_orientation_have_no_letters_and_say_why(viewer):
    assert "no image" in why_no_anatomy(viewer, None)
    picture = viewer.add_image(np.zeros((5, 6)), name="photo")
    assert "picture" in why_no_anatomy(viewer, picture)
    unknown = viewer.add_image(np.zeros((4, 5, 6)), name="stack")
    assert "“stack” came without an orientation" in why_no_anatomy(viewer, unknown)
    assert why_no_anatomy(viewer, unknown, assume=True) == ""


def test_a_copy_on_the_same_grid_shares_the_orientation(viewer):
    scan = add(viewer, Volume(np.zeros(SHAPE), affine_of((1, 2, 0), (1, -1, 1), 12)))
    smooth = viewer.add_image(scan.data, scale=scan.scale, affine=scan.affine.affine_matrix, name="smooth")
    moved = viewer.add_image(scan.data, scale=scan.scale, name="moved")
    assert why_no_anatomy(viewer, smooth) == ""
    assert why_no_anatomy(viewer, moved) != ""


def test_the_current_layer_is_the_active_image_or_the_topmost_that_is_visible(viewer):
    assert current_layer(viewer) is None
    below = viewer.add_image(np.zeros((4, 5, 6)))
    above = viewer.add_image(np.zeros((4, 5, 6)))
    labels = viewer.add_labels(np.zeros((4, 5, 6), dtype=int))
    viewer.layers.selection.active = labels
    assert current_layer(viewer) is above
    above.visible = False
    assert current_layer(viewer) is below
    viewer.layers.selection.active = above
    assert current_layer(viewer) is above
    viewer.layers.remove(above)
    viewer.layers.remove(below)
    assert current_layer(viewer) is labels


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::7])
def test_going_to_a_place_shows_the_slice_of_its_voxel(viewer, plane, order, signs):
    affine = affine_of(order, signs)
    index = (2, 5, 7)
    data = np.zeros(SHAPE)
    data[index] = 1
    layer = add(viewer, Volume(data, affine))
    show_plane(viewer, plane, Sides.RADIOLOGICAL)
    go_to(viewer, layer, coordinates(affine)[(slice(None), *index)])
    assert drawn(layer).sum() == 1
    row, column = np.argwhere(drawn(layer))[0]
    shown = list(viewer.dims.order[-2:])
    corner = np.array(layer.translate)[shown] + np.array(layer.scale)[shown] * (row, column)
    np.testing.assert_allclose(camera_of(viewer).center[1:], corner, atol=1e-6)


def test_going_to_a_place_in_a_tilted_volume_shows_the_slice_of_its_voxel(viewer):
    affine = affine_of((0, 1, 2), (-1, -1, 1), 8)
    index = (3, 4, 5)
    data = np.zeros(SHAPE)
    data[index] = 1
    layer = add(viewer, Volume(data, affine))
    for plane in Plane:
        show_plane(viewer, plane, Sides.RADIOLOGICAL)
        go_to(viewer, layer, coordinates(affine)[(slice(None), *index)])
        assert drawn(layer).sum() == 1


def test_a_place_outside_the_image_is_refused_and_nothing_moves(viewer):
    layer = add(viewer, Volume(np.zeros(SHAPE), affine_of((0, 1, 2), (1, 1, 1))))
    before = viewer.dims.point
    with pytest.raises(PromptError, match="outside “scan”, which reaches over R -4 to 5"):
        go_to(viewer, layer, (500, 0, 0))
    assert viewer.dims.point == before


def test_this_napari_can_turn_pictures_if_its_camera_has_an_orientation(viewer):
    assert can_turn_pictures(viewer) == hasattr(camera_of(viewer), "orientation")
