"""What a frame shows comes back to where it was."""

import numpy as np
import pytest
import torch

from napari_effseg.engine.session.frames import OUTSIDE, Framing, put_back, show


@pytest.mark.parametrize(
    ("centre", "side"), [((20.0, 30.0), 24.0), ((5.0, 50.0), 40.0), ((31.5, 31.5), 64.0)]
)
def test_a_smooth_image_comes_back(centre, side):
    rows, columns = np.mgrid[:64, :64]
    image = torch.from_numpy(np.stack([rows, columns]).astype(np.float32))
    framing = Framing(centre, side)
    back = put_back(show(image, framing, 96), framing, (64, 64))
    inside = back[0] != OUTSIDE
    away = torch.ones_like(inside)
    for axis, length in ((0, 64), (1, 64)):  # but for the last pixel before an edge
        near = torch.arange(length)
        low, high = centre[axis] - side / 2 + 1, centre[axis] + side / 2 - 1
        good = (near > max(low, 1)) & (near < min(high, 62))
        away &= good[:, None] if axis == 0 else good[None, :]
    assert away.any()
    assert (inside | ~away).all()
    torch.testing.assert_close(back[:, away], image[:, away], atol=0.6, rtol=0)


def test_what_lies_outside_is_named_so():
    framing = Framing((10.0, 10.0), 8.0)
    back = put_back(torch.zeros(1, 16, 16), framing, (40, 30))
    inside = back[0] == 0
    assert inside.sum() in (64, 72, 81)
    assert inside[10, 10]
    assert (back[0][~inside] == OUTSIDE).all()


def test_the_whole_frame_holds_every_pixel():
    framing = Framing.whole((17, 40))
    assert (put_back(torch.zeros(1, 8, 8), framing, (17, 40)) == 0).all()
