"""Only what hangs together with what is known of an object is carried on."""

import pytest
import torch

from napari_effseg.engine.session.pieces import joined

SIDES = (9, 11)


def mask(*places):
    found = torch.zeros(SIDES, dtype=torch.bool)
    for row, column in places:
        found[row, column] = True
    return found


def test_an_island_is_left_out_and_what_is_linked_through_other_slices_stays():
    masks = {3: mask((2, 2), (7, 7)), 4: mask((2, 2), (2, 3)), 6: mask((2, 3), (7, 7))}
    found = joined(masks, {5: mask((2, 3))})
    assert {index: torch.nonzero(one).tolist() for index, one in found.items()} == {
        3: [[2, 2]],
        4: [[2, 2], [2, 3]],
        6: [[2, 3]],
    }


def test_corners_do_not_link():
    found = joined({0: mask((2, 2)), 1: mask((3, 3))}, {2: mask((3, 3))})
    assert not found[0].any()
    assert found[1].any()


def test_a_known_line_in_the_slice_itself_links_too():
    found = joined({0: mask((5, 5), (5, 6))}, {0: mask((5, 5)), 4: mask((1, 1))})
    assert torch.nonzero(found[0]).tolist() == [[5, 5], [5, 6]]


@pytest.mark.parametrize("seeds", [{}, {1: mask((2, 2))}], ids=["nothing known", "one slice known"])
def test_without_slices_there_is_nothing_to_join(seeds):
    assert joined({}, seeds) == {}


def test_one_slice_without_anything_known_has_no_pieces_of_it():
    assert not joined({3: mask((2, 2))}, {})[3].any()


def test_nothing_stays_nothing():
    found = joined({0: mask(), 1: mask()}, {2: mask()})
    assert not any(one.any() for one in found.values())
