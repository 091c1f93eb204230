"""Objects are found or not, whatever their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg import VolumeError
from napari_effseg.metrics import ObjectScore, object_score

from .shapes import packed_discs

maps = arrays(np.int16, (5, 6, 2), elements=st.integers(0, 5))


def by_hand(truth: np.ndarray, result: np.ndarray) -> ObjectScore:
    """Compare every pair of objects."""
    numbers, others = (set(np.unique(array).tolist()) - {0} for array in (truth, result))
    pairs = 0
    for number in numbers:
        for other in others:
            first, second = truth == number, result == other
            pairs += (first & second).sum() > 0.5 * (first | second).sum()
    return ObjectScore(int(pairs), len(numbers) - int(pairs), len(others) - int(pairs))


@given(maps, maps)
def test_each_object_is_compared_with_each(truth: np.ndarray, result: np.ndarray) -> None:
    assert object_score(truth, result) == by_hand(truth, result)


@given(maps)
def test_a_map_matches_itself_by_any_numbers(objects: np.ndarray) -> None:
    score = object_score(objects, np.where(objects > 0, 900 - objects, 0))
    assert (score.ap50, score.missed, score.extra) == (1, 0, 0)


@given(maps, maps)
def test_what_one_side_misses_is_extra_for_the_other(one: np.ndarray, other: np.ndarray) -> None:
    there, back = object_score(one, other), object_score(other, one)
    assert (there.matched, there.missed, there.extra) == (back.matched, back.extra, back.missed)
    assert there.ap50 == back.ap50


def test_two_objects_taken_for_one_are_missed() -> None:
    objects = packed_discs()
    assert object_score(objects, objects > 0).ap50 < 0.1


def test_half_an_object_is_not_enough() -> None:
    truth = np.ones((4, 5, 1), int)
    half, more = truth.copy(), truth.copy()
    half[:2], more[:1] = 0, 0
    assert object_score(truth, half) == ObjectScore(0, 1, 1)
    assert object_score(truth, more) == ObjectScore(1, 0, 0)


def test_an_image_without_objects_counts_one_or_nothing() -> None:
    nothing, one = np.zeros((3, 3, 1), int), np.ones((3, 3, 1), int)
    assert object_score(nothing, nothing).ap50 == 1
    assert object_score(nothing, one).ap50 == object_score(one, nothing).ap50 == 0


def test_maps_of_two_shapes_are_refused() -> None:
    with pytest.raises(VolumeError, match="one shape"):
        object_score(np.zeros((3, 3)), np.zeros((3, 4)))
