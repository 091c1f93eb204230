"""Which answers of a network are left out where the program has looked by itself."""

import numpy as np
import pytest

from napari_effseg.engine.locate.answer import ask_for_region, implausible, settle
from napari_effseg.engine.locate.places import place_boxes
from tests.engine.builders import card_for, labelled

from .heads import TILTED, located_card

CARD = card_for(labels=labelled("head", "tail", volume_ml=(0.8, 3.0)))
SHAPE = (24, 30, 20)
BOX = (slice(1, 23), slice(1, 29), slice(1, 19))


def answer(head=(8, 12), tail=(12, 16), doubt=0.2):
    """Labels 1 and 2 as blocks along j, 10 x 10 voxels wide: 0.4 mL at 1 mm, 1.6 mL at 4 mm³."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[7:17, slice(*head), 5:15] = 1
    labels[7:17, slice(*tail), 5:15] = 2
    inside = np.zeros(SHAPE, bool)
    inside[BOX] = True
    return labels, np.full(SHAPE, doubt, np.float32), inside


def test_a_plausible_answer_is_kept():
    assert implausible(*answer(), 4.0, CARD) is None


def test_disease_may_halve_a_volume():
    assert implausible(*answer(), 1.05, CARD) is None


@pytest.mark.parametrize(
    ("given", "voxel_mm3", "said"),
    [
        (answer(head=(8, 8), tail=(8, 8)), 4.0, "nothing was found"),
        (answer(), 0.5, "head would measure 0.2 mL"),
        (answer(tail=(12, 28)), 4.0, "tail would measure 6.4 mL"),
        (answer(doubt=0.7), 4.0, "too unsure"),
        (answer(head=(1, 5), tail=(5, 9)), 4.0, "at the edge of the box"),
    ],
)
def test_an_answer_that_cannot_be_right_is_not(given, voxel_mm3, said):
    assert said in implausible(*given, voxel_mm3, CARD)


def test_settled_labels_know_their_side():
    labels, doubt, inside = answer()
    right = place_boxes(located_card(), TILTED)[1]
    assert settle(labels, doubt, inside, 4.0, right, CARD) is None
    assert set(np.unique(labels)) == {0, 21, 22}


def test_what_is_left_out_leaves_nothing_behind():
    labels, doubt, inside = answer(doubt=0.7)
    left = place_boxes(located_card(), TILTED)[0]
    assert settle(labels, doubt, inside, 4.0, left, CARD).startswith("the left side was left out: ")
    assert not labels.any()
    assert not doubt.any()


def test_what_to_do_names_the_option():
    assert "--roi" in ask_for_region(CARD)
