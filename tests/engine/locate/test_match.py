"""Finding a head whose place is known, however it is held, cut and weighted; and refusing what is none."""

import dataclasses

import numpy as np
import pytest

from napari_effseg.engine.locate import locate
from napari_effseg.engine.locate.coarse import coarse_copy
from napari_effseg.engine.locate.register import register
from napari_effseg.engine.watch import Watch
from napari_effseg.errors import Cancelled, VolumeError
from napari_effseg.volume import Grid, Volume, transform_points

from .heads import LEFT, RIGHT, TEMPLATE, TILTED, grid_around, head, located_card, pose

CLOSE_MM = 3.0


def some_slow(cases, *quick):
    """Parametrize by the names of cases, of which only a few are run where time is short."""
    marks = {name: () if name in quick else pytest.mark.slow for name in cases}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


ANY_CONTRAST = located_card(locate=dataclasses.replace(located_card().locate, contrast="any"))
"""A card whose network was trained on images that the template is not like."""


def find(volume, watch=None, card=None):
    return locate(volume.data, volume.grid, card or located_card(), watch or Watch(None, None))


def error_mm(found, to_image):
    """How far the boxes lie from where they should."""
    centres = np.stack([LEFT, RIGHT])
    there = transform_points(found.to_image, centres)
    return np.linalg.norm(there - transform_points(to_image, centres), axis=1).max()


def changed(volume, change):
    """A head with other intensities; what `change` gives for each value."""
    return Volume(change(volume.data / 1000), volume.affine)


def noisy_and_biased(values):
    generator = np.random.default_rng(5)
    slope = np.linspace(0.6, 1.4, values.shape[1])[None, :, None]
    return values * slope + generator.normal(0, 0.08, values.shape)


CONTRASTS = {
    "inverted": lambda values: np.where(values > 0, 1.1 - values, 0),
    "dark": lambda values: values**2.5,
    "bright": lambda values: values**0.4,
    "like T2": lambda values: np.where(values > 0.1, (1.15 - values) ** 1.5, 0),
    "noisy and biased": noisy_and_biased,
    "whole numbers below zero": lambda values: (values * 500 - 300).astype(np.int16),
    "not a number outside": lambda values: np.where(values > 0, values, np.nan),
}
HELD = {
    "upright": pose(),
    "tilted": TILTED,
    "nodding": pose((-28.0, 0.0, 0.0)),
    "turned": pose((5.0, 10.0, -25.0)),
    "small": pose(size=(0.75, 0.76, 0.74)),
    "large and far away": pose(size=(1.05, 1.0, 1.08), shift=(-500.0, 300.0, 900.0)),
}
CUT = {
    "neck and chin": {"low": (-95.0, -125.0, -55.0)},
    "top": {"high": (95.0, 95.0, 40.0)},
    "back": {"low": (-95.0, -55.0, -85.0)},
    "thick slices": {"spacing": (1.5, 1.5, 5.0)},
    "much around": {"low": (-160.0, -150.0, -220.0), "high": (140.0, 160.0, 120.0)},
}


@pytest.mark.parametrize("held", some_slow(HELD, "tilted", "nodding"))
def test_a_head_is_found_however_it_is_held(held):
    found = find(head(HELD[held]))
    assert error_mm(found, HELD[held]) < CLOSE_MM
    assert found.similarity > 0.7


@pytest.mark.parametrize("contrast", some_slow(CONTRASTS, "inverted", "not a number outside"))
def test_a_head_is_found_in_other_contrasts(contrast):
    assert error_mm(find(changed(head(), CONTRASTS[contrast]), card=ANY_CONTRAST), TILTED) < CLOSE_MM


@pytest.mark.parametrize("contrast", some_slow(("dark", "bright", "noisy and biased"), "dark"))
def test_a_head_like_the_template_suits_a_card_that_was_made_for_such(contrast):
    assert error_mm(find(changed(head(), CONTRASTS[contrast])), TILTED) < CLOSE_MM


@pytest.mark.parametrize("contrast", some_slow(("inverted", "like T2"), "like T2"))
def test_a_head_of_another_weighting_is_refused_by_a_card_that_was_not_made_for_it(contrast):
    with pytest.raises(VolumeError, match="looks like another weighting"):
        find(changed(head(), CONTRASTS[contrast]))


def test_long_voxels_are_warned_of():
    watch = Watch(None, None)
    find(head(TILTED, grid_around(TILTED, spacing=(2.0, 2.0, 6.0))), watch)
    assert "the voxels measure 2 x 2 x 6 mm" in watch.warnings[0]


@pytest.mark.parametrize("cut", some_slow(CUT, "neck and chin", "thick slices"))
def test_a_head_is_found_with_parts_of_it(cut):
    assert error_mm(find(head(TILTED, grid_around(TILTED, **CUT[cut]))), TILTED) < CLOSE_MM


def test_the_same_head_is_found_at_the_same_place():
    first, second = find(head()), find(head())
    assert np.array_equal(first.to_image, second.to_image)
    assert first.similarity == second.similarity


def test_registration_is_the_same_to_the_last_bit_every_time():
    volume = head()
    image, start = coarse_copy(volume.data, volume.grid), pose((10.0, -3.0, 5.0), shift=(134.0, -43.0, 30.0))
    first, *others = [register(TEMPLATE, image, start, 30) for _ in range(4)]
    assert not np.array_equal(first, start)
    assert all(np.array_equal(first, other) for other in others)


def test_registration_leaves_the_program_s_number_of_threads_as_it_was():
    from SimpleITK import ProcessObject

    before = ProcessObject.GetGlobalDefaultNumberOfThreads()
    ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        find(head())
        assert ProcessObject.GetGlobalDefaultNumberOfThreads() == 3
    finally:
        ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def test_where_a_head_was_found_is_reported():
    found = find(head()).to_json()
    assert found["template"] == "mni152"
    assert [place["side"] for place in found["places"]] == ["left", "right"]
    (low, high), grid = found["places"][0]["box"], grid_around(TILTED)
    index = transform_points(np.linalg.inv(grid.affine) @ TILTED, LEFT)
    assert (np.asarray(low) < index).all()
    assert (index < np.asarray(high)).all()


def ball(shape=(48, 52, 44), radius_mm=70.0):
    grid = Grid(shape, np.diag([4.0, 4.0, 4.0, 1.0]))
    world = transform_points(grid.affine, np.moveaxis(np.indices(shape), 0, -1))
    middle = transform_points(grid.affine, (np.asarray(shape) - 1) / 2)
    far = np.linalg.norm((world - middle) / (1.0, 1.2, 1.0), axis=-1)
    return Volume((far < radius_mm).astype(np.float32), grid.affine)


def smooth_noise():
    from scipy.ndimage import gaussian_filter

    values = gaussian_filter(np.random.default_rng(1).normal(0, 1, (50, 55, 45)), 2.0)
    return Volume(values, np.diag([4.0, 4.0, 4.0, 1.0]))


NO_HEADS = {
    "noise": lambda: Volume(np.random.default_rng(0).normal(0, 1, (50, 55, 45)), np.diag([4.0, 4, 4, 1])),
    "smooth noise": smooth_noise,
    "constant": lambda: Volume(np.full((50, 55, 45), 7), np.diag([4.0, 4.0, 4.0, 1.0])),
    "a ball": ball,
    "upside down": lambda: head(pose((180.0, 0.0, 0.0))),
    "lying on its side": lambda: head(pose((0.0, 90.0, 0.0))),
    "the upper third": lambda: head(TILTED, grid_around(TILTED, low=(-95.0, -125.0, 40.0))),
    "far too large": lambda: head(pose(size=(1.7, 1.7, 1.7)), grid_around(pose(), spacing=(6.0, 6.0, 6.0))),
}


@pytest.mark.parametrize("what", some_slow(NO_HEADS, "noise", "constant", "upside down"))
def test_what_is_no_head_is_refused_and_a_region_asked_for(what):
    with pytest.raises(VolumeError, match="--roi"):
        find(NO_HEADS[what]())


def test_a_side_outside_the_image_is_left_out_and_it_is_said():
    watch = Watch(None, None)
    grid = grid_around(TILTED, low=(-30.0, -125.0, -85.0), turn_degrees=(18.0, -7.0, 9.0))
    found = find(head(TILTED, grid), watch)
    assert [place.side for place in found.places] == ["right"]
    assert "the left side was left out" in watch.warnings[0]


def test_progress_rises_while_a_head_is_looked_for():
    fractions = []
    find(head(), Watch(lambda fraction, message: fractions.append(fraction), None))
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 20
    assert fractions[-1] < 0.5


def questions(cancel_after=None):
    """How often a search asks whether to stop, and whether it was stopped."""
    asked = []

    def cancel():
        asked.append(1)
        return cancel_after is not None and len(asked) > cancel_after

    try:
        find(head(), Watch(None, cancel))
    except Cancelled:
        return len(asked), True
    return len(asked), False


@pytest.fixture(scope="module")
def all_questions():
    return questions()[0]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97, 0.99])
def test_looking_for_a_head_can_be_stopped_at_any_time(share, all_questions):
    after = int(share * all_questions)
    assert questions(cancel_after=after) == (after + 1, True)


def test_the_template_is_symmetric_and_says_nothing_of_left_and_right():
    assert np.array_equal(TEMPLATE.image, TEMPLATE.image[::-1])
    assert TEMPLATE.centre[0] == pytest.approx(0.0)
