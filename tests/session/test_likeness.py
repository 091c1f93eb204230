"""What is much darker or brighter than the object is known to be is not carried on."""

import numpy as np
import pytest

from napari_effseg import Volume
from napari_effseg.engine.session.blocks import KnownSlice
from napari_effseg.engine.session.likeness import Likeness
from napari_effseg.engine.session.scene import Scene

SHAPE = (24, 22, 9)


def scene_of(inside, outside, spacing=(1.0, 1.0, 2.0)):
    """A box of one brightness in another, with some noise."""
    box = np.zeros(SHAPE, bool)
    box[6:16, 5:15, 2:7] = True
    noise = np.random.default_rng(0).normal(0, 2, SHAPE)
    return Scene(Volume(np.where(box, inside, outside) + noise, np.diag([*spacing, 1.0]))), box


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("inside", "outside"), [(20, 90), (90, 20)], ids=["dark", "bright"])
def test_what_looks_otherwise_is_doubted_and_the_object_is_not(axis, inside, outside):
    scene, box = scene_of(inside, outside)
    index = {0: 10, 1: 9, 2: 4}[axis]
    known = [KnownSlice(axis, index, np.take(box, index, axis))]
    likeness = Likeness.of(known, scene)
    doubts = likeness.doubts(scene, axis, index + 1)
    there = scene.planes[axis].mask(np.take(box, index + 1, axis)) > 0.5
    assert doubts[there].mean() > -1.5
    assert doubts[~there].mean() < -4


def test_a_mask_that_took_some_of_what_lies_around_is_forgiven():
    scene, box = scene_of(20, 90)
    wide = np.take(box, 4, 2)
    wide = wide | np.roll(wide, 1, axis=0)
    doubts = Likeness.of([KnownSlice(2, 4, wide)], scene).doubts(scene, 2, 5)
    there = scene.planes[2].mask(np.take(box, 5, 2)) > 0.5
    assert doubts[there].mean() > -1.5
    assert doubts[~there].mean() < -4


def test_an_object_of_many_shades_doubts_nothing():
    scene, _ = scene_of(20, 90)
    whole = np.ones(SHAPE[:2], bool)
    likeness = Likeness.of([KnownSlice(2, 4, whole)], scene)
    assert likeness.doubts(scene, 2, 5).min() > -3


def test_where_nothing_is_known_nothing_is_doubted():
    scene, _ = scene_of(20, 90)
    likeness = Likeness.of([KnownSlice(2, 4, np.zeros(SHAPE[:2], bool))], scene)
    assert not likeness.doubts(scene, 2, 5).any()
