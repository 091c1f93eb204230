"""Letters, planes and the camera's directions: geometry alone, no viewer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.viewer.orientation import (
    WORLD_AXES_RAS,
    EdgeLetters,
    Plane,
    Sides,
    camera_axes,
    direction_letters,
    plane_of_order,
    plane_order,
)

OPPOSITE = str.maketrans("LRAPSI", "RLPAIS")
COMPONENTS = st.floats(-10, 10, allow_nan=False).map(lambda number: round(number, 3))
DIRECTIONS = st.tuples(COMPONENTS, COMPONENTS, COMPONENTS).filter(lambda v: np.linalg.norm(v) > 0.01)


@given(DIRECTIONS)
def test_opposite_directions_have_opposite_letters(direction):
    assert direction_letters(-np.array(direction)) == direction_letters(direction).translate(OPPOSITE)


@given(DIRECTIONS)
def test_the_first_letter_is_the_largest_part_and_the_second_another_axis(direction):
    letters = direction_letters(direction)
    parts = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    assert np.abs(direction[parts[letters[0]]]) >= np.abs(direction).max() - 1e-6
    assert len({parts[letter] for letter in letters}) == len(letters) <= 2


@pytest.mark.parametrize(("degrees", "expected"), [(0, "L"), (9, "L"), (11, "LA"), (44, "LA"), (46, "AL")])
def test_a_direction_off_its_axis_gets_a_second_letter(degrees, expected):
    angle = np.deg2rad(degrees)
    assert direction_letters((-np.cos(angle), np.sin(angle), 0)) == expected


def test_no_direction_has_no_letter():
    assert direction_letters((0, 0, 0)) == ""
    assert not EdgeLetters.of_directions(None, None)


def test_an_edge_of_time_stays_empty():
    letters = EdgeLetters.of_directions(None, (0, -1, 0))
    assert (letters.left, letters.right, letters.top, letters.bottom) == ("", "", "A", "P")


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("ndim", [3, 4, 5])
def test_a_plane_is_found_again_in_its_order_and_in_the_transposed_one(plane, ndim):
    order = plane_order(plane, ndim)
    assert sorted(order) == list(range(ndim))
    assert plane_of_order(order) is plane
    assert plane_of_order((*order[:-2], order[-1], order[-2])) is plane


def test_a_canvas_of_time_and_space_is_no_plane():
    assert plane_of_order((1, 2, 3, 0)) is None
    assert plane_of_order((1, 2, 0, 3)) is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("sides", Sides)
def test_the_three_axes_on_the_screen_are_the_patient_and_not_a_mirror_image(order, sides):
    depth, up, right = camera_axes(order, sides).signs
    towards = depth * WORLD_AXES_RAS[order[0]]
    upwards, rightwards = up * WORLD_AXES_RAS[order[1]], right * WORLD_AXES_RAS[order[2]]
    np.testing.assert_allclose(np.cross(rightwards, upwards), towards)


@pytest.mark.parametrize(
    ("plane", "sides", "expected"),
    [
        (Plane.AXIAL, Sides.RADIOLOGICAL, ("R", "L", "A", "P")),
        (Plane.AXIAL, Sides.NEUROLOGICAL, ("L", "R", "A", "P")),
        (Plane.CORONAL, Sides.RADIOLOGICAL, ("R", "L", "S", "I")),
        (Plane.CORONAL, Sides.NEUROLOGICAL, ("L", "R", "S", "I")),
        (Plane.SAGITTAL, Sides.RADIOLOGICAL, ("A", "P", "S", "I")),
        (Plane.SAGITTAL, Sides.NEUROLOGICAL, ("A", "P", "S", "I")),
    ],
)
def test_pictures_are_upright_and_left_is_where_readers_of_their_school_expect_it(plane, sides, expected):
    _, vertical, horizontal = plane_order(plane, 3)
    _, up, right = camera_axes(plane_order(plane, 3), sides).signs
    letters = EdgeLetters.of_directions(right * WORLD_AXES_RAS[horizontal], -up * WORLD_AXES_RAS[vertical])
    assert (letters.left, letters.right, letters.top, letters.bottom) == expected
