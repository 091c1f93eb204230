"""Networks of SAM's layout behind a session: embedded once, places right, images of any shape."""

import numpy as np
import pytest
import torch

from napari_effseg import Box, Point, Scribble, Volume, nets
from napari_effseg.engine.session.body import PlanePrompt, SliceImage
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.sam import EmbeddingCache, SamBody
from napari_effseg.engine.session.sam_prompts import points_of
from napari_effseg.history import History

SMALL = {
    "dim": 24,
    "img_size": 64,
    "embed_dim": 16,
    "decoder_heads": 2,
    "decoder_mlp_dim": 8,
    "mask_in_chans": 4,
}
NETS = {
    "ecm": ("hrmedsegsam", SMALL),
    "sam decoder": ("hrmedsegsam", {**SMALL, "decoder": "sam"}),
    "sam": ("sam", {"img_size": 64, "encoder_dim": 16, "encoder_depth": 4, "encoder_heads": 2}),
}


def body(kind="sam decoder", most=2**20):
    torch.manual_seed(0)
    name, constructor = NETS[kind]
    network = nets.create(name, **constructor).eval()
    return SamBody(network, torch.device("cpu"), EmbeddingCache(most))


def picture(shape=(40, 90), key=0):
    random = np.random.default_rng(0)
    return SliceImage((key,), torch.from_numpy(random.random((3, *shape), np.float32)))


def point(*place, positive=True):
    return PlanePrompt(positive, places=np.asarray([place], float))


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("shape", [(40, 90), (64, 64), (150, 33)])
def test_answers_have_the_slices_pixels(kind, shape):
    found = body(kind).answer(picture(shape), [point(10, 10)], None, None)
    assert all(one.logits.shape == shape for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) == {"ecm": 1, "sam decoder": 4}.get(kind, 3)


@pytest.mark.parametrize("kind", NETS)
def test_prompts_and_the_last_answer_change_the_answer(kind):
    sam, image = body(kind), picture()
    one = sam.answer(image, [point(5, 5), point(20, 70)], None, None)[0].logits
    for other in (
        sam.answer(image, [point(5, 5), point(20, 70, positive=False)], None, None),
        sam.answer(image, [point(5, 5), point(20, 70)], one, None),
        sam.answer(image, [point(5, 5), PlanePrompt(True, region=_region())], None, None),
    ):
        assert (other[0].logits - one).abs().max() > 1e-6


def _region():
    region = torch.zeros(40, 90)
    region[5:20, 30:60] = 1
    return region


def test_a_slice_is_embedded_once():
    sam, asked = body(), []
    encode = sam._network.encode
    sam._network.encode = lambda x: asked.append(1) or encode(x)
    for _ in range(3):
        sam.answer(picture(), [point(3, 3)], None, None)
    assert len(asked) == 1
    sam.answer(picture(key=1), [point(3, 3)], None, None)
    assert len(asked) == 2


def test_the_cache_forgets_what_was_used_longest_ago():
    cache = EmbeddingCache(most_bytes=250)
    for key in range(3):
        cache.put((key,), torch.zeros(25))  # 100 bytes
        cache.get((0,))
    assert cache.get((0,)) is not None
    assert cache.get((1,)) is None
    assert cache.bytes == 200


@pytest.mark.parametrize("shape", [(40, 90), (64, 64), (128, 50)])
def test_what_goes_into_the_square_comes_back(shape):
    for kind in ("sam", "ecm"):
        sam = body(kind)
        rows, columns = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
        smooth = torch.stack([rows / shape[0], columns / shape[1]]).float()
        there = sam._square(smooth)
        back = sam._back(there, shape)
        torch.testing.assert_close(back, smooth, atol=0.03, rtol=0)


def test_points_lie_where_the_pixels_went():
    sam = body("sam")
    image = torch.zeros(1, 40, 90)
    image[0, 30, 70] = 1
    place = sam._square(image)[0]
    row, column = np.unravel_index(int(place.argmax()), place.shape)
    (xy, labels) = points_of([point(30, 70)], sam._scales((40, 90)))
    assert labels.tolist() == [1]
    assert abs(float(xy[0, 0]) - (column + 0.5)) <= 1
    assert abs(float(xy[0, 1]) - (row + 0.5)) <= 1


@pytest.mark.parametrize("kind", NETS)
def test_a_session_with_every_prompt_replays_alike(kind):
    data = np.random.default_rng(0).random((30, 26, 4)).astype(np.float32)
    volume = Volume(data, np.eye(4))
    session = LocalSession(volume, body(kind))
    session.add(Point((10, 10, 1)))
    session.add(Box((4, 4, 2), (20, 20, 3)))
    session.add(Scribble([(3, 3, 1), (9, 3, 1)], positive=False))
    session.add(Box((0, 0, 2), (4, 4, 3), positive=False))
    again = LocalSession(volume, body(kind), History(session.history.applied))
    assert (session.mask == again.mask).all()
    assert session.mask[10, 10, 1]
    assert not session.mask[3, 3, 1]
    assert not session.mask[:4, :4, 2].any()


def test_the_slices_beside_the_shown_one_are_embedded_ahead():
    sam = body()
    encoded = []
    encode = sam._network.encode
    sam._network.encode = lambda given: encoded.append(1) or encode(given)
    volume = Volume(np.random.default_rng(0).random((20, 20, 5), np.float32), np.eye(4))
    session = LocalSession(volume, sam)
    session.look_ahead(2, 2)
    assert not encoded  # it is not known yet how long that takes
    session.add(Point((10, 10, 2)))
    session.look_ahead(2, 2)
    assert len(encoded) == 3
    for index in (1, 3):
        session.add(Point((10, 10, index)))
    assert len(encoded) == 3
    session.look_ahead(2, 3, cancel=lambda: True)
    assert len(encoded) == 3
    session.look_ahead(2, 4)
    assert len(encoded) == 3  # 3 is known, and there is no 5


def test_what_takes_long_is_not_done_ahead():
    sam = body()
    sam.prepare(picture())
    sam._seconds = 30.0
    sam.look_ahead(picture(key=1))
    assert sam._cache.get((1,)) is None
