"""What the shape of an object in some slices says about the others."""

import numpy as np
import pytest
import torch

from napari_effseg.engine.session.propagate import Gap
from napari_effseg.engine.session.shapes import shaped

SIDES = (41, 47)


def disk(radius, centre=(20, 23)):
    i, j = np.meshgrid(*map(np.arange, SIDES), indexing="ij")
    return torch.from_numpy(np.where((i - centre[0]) ** 2 + (j - centre[1]) ** 2 <= radius**2, 4.0, -4.0))


def area(logits):
    return int((logits > 0).sum())


def test_between_two_slices_it_changes_evenly():
    anchors = {2: disk(5, (15, 20)), 12: disk(12, (25, 26))}
    found = dict(shaped(Gap(2, 12, 3, 12), anchors))
    assert sorted(found) == list(range(3, 12))
    areas = [area(anchors[2]), *(area(found[index]) for index in range(3, 12)), area(anchors[12])]
    assert areas == sorted(areas)
    middle = torch.nonzero(found[7] > 0).float().mean(dim=0)
    np.testing.assert_allclose(middle, (20, 23), atol=2.5)


def test_the_same_shape_at_both_ends_stays():
    anchors = {0: disk(8), 6: disk(8)}
    for _, logits in shaped(Gap(0, 6, 1, 6), anchors):
        assert ((logits > 0) == (anchors[0] > 0)).all()


@pytest.mark.parametrize("gap", [Gap(5, None, 6, 30), Gap(None, 5, 0, 5), Gap(5, 29, 6, 29)])
def test_where_an_end_does_not_show_it_there_is_nothing_to_say(gap):
    anchors = {5: disk(9), 29: torch.full(SIDES, -4.0)}
    assert not list(shaped(gap, anchors))
