"""Where boxes lie once a head was found: turned with it, in millimetres, on the patient's side."""

import dataclasses

import numpy as np
import pytest

from napari_effseg import zoo
from napari_effseg.engine.locate.places import bounding_box, expected_places, place_boxes
from napari_effseg.engine.locate.pose import nearest_rotation, pose_affine, rotation
from napari_effseg.volume import Grid, transform_points
from tests.engine.builders import OBLIQUE

from .heads import LEFT, RIGHT, TILTED, grid_around, located_card


def test_a_pose_carries_the_centre_to_its_place():
    pose = np.array([10.0, -20.0, 30.0, 0.3, -0.2, 0.1, 0.0, -0.1, 0.1])
    centre = np.array([1.0, -22.0, 9.0])
    np.testing.assert_allclose(transform_points(pose_affine(pose, centre), centre), pose[:3])


def test_the_nearest_rotation_forgets_sizes():
    turn = rotation(0.3, -0.2, 0.4)
    np.testing.assert_allclose(nearest_rotation(turn * 0.8), turn, atol=1e-12)


def test_boxes_lie_where_the_registration_carries_them():
    places = place_boxes(located_card(), TILTED)
    for place, centre in zip(places, (LEFT, RIGHT), strict=True):
        middle = (np.asarray(place.network.shape) - 1) / 2
        found = transform_points(place.network.affine, middle)
        np.testing.assert_allclose(found, transform_points(TILTED, centre), atol=1e-9)


def test_the_network_is_given_millimetres_and_right_angles():
    sheared = TILTED.copy()
    sheared[0, 1] += 0.2
    network = place_boxes(located_card(), sheared)[0].network
    assert network.spacing == pytest.approx((2.0, 2.0, 2.0))
    np.testing.assert_allclose(network.direction.T @ network.direction, np.eye(3), atol=1e-12)
    assert network.shape == (20, 24, 18)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SAR", "PIR"])
def test_boxes_have_the_card_s_axes(orientation):
    card = located_card()
    card = dataclasses.replace(card, input=dataclasses.replace(card.input, orientation=orientation))
    assert "".join(place_boxes(card, np.eye(4))[0].network.axcodes) == orientation


def test_each_place_knows_the_patient_s_side():
    left, right = place_boxes(located_card(), TILTED)
    assert (left.side, left.ids, right.side, right.ids) == ("left", (11, 12), "right", (21, 22))
    assert left.network.corners_ras[:, 0].mean() < right.network.corners_ras[:, 0].mean()


def test_a_box_at_the_edge_lies_partly_inside():
    place = place_boxes(located_card(), TILTED)[0]
    assert place.inside(grid_around(TILTED)) == 1.0
    beside = grid_around(TILTED, low=(-28.0, -125.0, -85.0), turn_degrees=(18.0, -7.0, 9.0))
    assert 0.3 < place.inside(beside) < 0.7


def test_a_bounding_box_holds_every_voxel_of_its_place():
    image = Grid((90, 90, 90), OBLIQUE @ np.diag([1.0, 1.0, 0.6, 1.0]))
    network = Grid(
        (9, 12, 7),
        image.affine
        @ np.array([[0.9, 0.3, 0, 31], [-0.3, 0.8, 0.2, 42], [0.1, -0.2, 1.1, 38], [0, 0, 0, 1.0]]),
    )
    low, high = bounding_box(network, image)
    inside = transform_points(
        np.linalg.inv(image.affine) @ network.affine, np.indices(network.shape).reshape(3, -1).T
    )
    assert (inside >= np.asarray(low) - 0.5).all()
    assert (inside <= np.asarray(high) - 0.5).all()


def test_the_plan_expects_boxes_of_the_right_size():
    grid = grid_around(TILTED)
    expected, found = expected_places(located_card(), grid), place_boxes(located_card(), TILTED)
    assert [place.network.shape for place in expected] == [place.network.shape for place in found]


def test_a_box_without_a_side_keeps_the_labels():
    spec = zoo.LocateSpec("mni152", (zoo.LocatedBox((0.0, 0.0, 0.0), (40.0, 40.0, 40.0)),))
    card = located_card(locate=spec)
    assert card.located_labels == card.labels
    assert place_boxes(card, TILTED)[0].name == "the structure"
