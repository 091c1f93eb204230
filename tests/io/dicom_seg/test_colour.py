"""Colours come back to the byte, and are those that other programs see."""

from __future__ import annotations

import pytest
from highdicom.color import CIELabColor
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.io.dicom_seg._colour import lab_from_rgb, rgb_from_lab

COLOURS = st.tuples(*[st.integers(0, 255)] * 3)
NUMBERS = st.tuples(*[st.integers(0, 65535)] * 3)


@given(COLOURS)
def test_every_colour_comes_back(colour):
    assert rgb_from_lab(lab_from_rgb(colour)) == colour


@given(COLOURS)
def test_highdicom_means_the_same_colour(colour):
    ours, theirs = lab_from_rgb(colour), CIELabColor.from_rgb(*colour).value
    assert all(abs(a - b) <= 1 for a, b in zip(ours, theirs, strict=True))


@given(NUMBERS)
def test_whatever_a_file_says_is_a_colour_of_the_screen(numbers):
    assert all(0 <= part <= 255 for part in rgb_from_lab(numbers))


@pytest.mark.parametrize(
    ("colour", "numbers"), [((0, 0, 0), (0, 32896, 32896)), ((255, 255, 255), (65535, 32897, 32893))]
)
def test_black_and_white(colour, numbers):
    assert lab_from_rgb(colour) == numbers
