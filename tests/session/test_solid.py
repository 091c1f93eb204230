"""A network of volumes carries objects on: from slices of any plane, as far as they go, in every storage."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from napari_effseg import Cancelled, Point, Volume
from napari_effseg.engine.session.blocks import CHANNELS
from napari_effseg.engine.session.body import Hypothesis
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.solid import BlockBody
from napari_effseg.history import History

from .fake import FakeBody
from .test_blocks import CODES, stored_as, voxel_of

SHAPE, CENTRE, RADIUS = (40, 36, 30), (19.0, 17.0, 14.0), 8.0


class Nearest(nn.Module):
    """Answers by what reaches a voxel best: the object, or what is none of it."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        channel = CHANNELS.index
        return 30 * (x[:, channel("from_object")] - x[:, channel("from_other")])[:, None]


class Bright(FakeBody):
    """Answers with all that is bright around the first mark; later marks change little."""

    def answer(self, image, prompts, previous, locked):
        if len(prompts) > 1:
            return super().answer(image, prompts, previous, locked)
        bright = image.pixels.mean(dim=0).numpy() > 0.4
        if locked is not None:
            bright &= locked.numpy() < 0.5
        pieces, _ = ndimage.label(bright)
        row, column = np.rint(prompts[0].places[0]).astype(int)
        mask = (pieces == pieces[row, column]) & bright
        return (Hypothesis(torch.from_numpy(np.where(mask, 2.0, -2.0).astype(np.float32)), 1.0),)


def ball(shape=SHAPE, radius=RADIUS):
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = (i - CENTRE[0]) ** 2 + (j - CENTRE[1]) ** 2 + (k - CENTRE[2]) ** 2 < radius**2
    noise = 0.05 * np.random.default_rng(0).random(shape)
    return Volume((inside + noise).astype(np.float32), np.eye(4)), inside


def opened(volume, history=None, size=32):
    network = Nearest()
    solid = BlockBody(network, size, torch.device("cpu"))
    return LocalSession(volume, Bright(), history, solid=solid), network


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("axis", range(3))
def test_one_click_and_one_key_make_a_ball(axis):
    volume, truth = ball()
    session, _ = opened(volume)
    session.add(Point((19, 17, 14), axis=axis))
    session.propagate(axis)
    assert dice(session.mask, truth) > 0.9


@pytest.mark.parametrize("codes", CODES)
def test_it_is_the_same_ball_in_every_storage(codes):
    volume, truth = ball()
    other = stored_as(volume, codes)
    session, _ = opened(other)
    place = np.rint(voxel_of(other, CENTRE)).astype(int)
    axis = next(a for a in range(3) if codes[a] in "SI")
    session.add(Point(tuple(place.tolist()), axis=axis))
    session.propagate(axis)
    wanted = np.asarray(stored_as(Volume(truth.astype(np.float32), np.eye(4)), codes).data) > 0.5
    assert dice(session.mask, wanted) > 0.9


def test_a_slice_with_prompts_stays_as_it_is_shown_whatever_its_plane():
    volume, _ = ball()
    session, _ = opened(volume)
    session.add(Point((19, 17, 14), axis=2))
    session.propagate(2)
    session.add(Point((19, 17, 14), axis=0))
    session.add(Point((19, 10, 14), positive=False, axis=0))
    before = session.mask[19].copy()
    session.propagate(2)
    assert (session.mask[19] == before)[:, np.arange(SHAPE[2]) != 14].all()


def test_finished_objects_keep_their_voxels():
    volume, _ = ball()
    session, _ = opened(volume)
    session.add(Point((19, 17, 14), axis=0))
    finished = session.mask.copy()
    session.commit(name="a slice of it")
    session.add(Point((17, 17, 14)))
    session.propagate(2)
    assert session.mask.any()
    assert not (session.mask & finished).any()
    assert (session.labels.data[finished] == 1).all()


def test_an_object_that_is_far_larger_than_its_slice_is_looked_at_from_farther_away():
    long = np.zeros((40, 36, 120), bool)
    long[15:24, 13:22, 5:110] = True
    session, network = opened(Volume(long.astype(np.float32), np.eye(4)))
    session.add(Point((19, 17, 14)))
    session.propagate(2)
    assert network.calls > 2
    assert dice(session.mask, long) > 0.8


def test_undo_redo_and_replay_give_the_same_voxels():
    volume, _ = ball()
    session, network = opened(volume)
    session.add(Point((19, 17, 14)))
    before = session.mask.copy()
    session.propagate(2)
    after, calls = session.mask.copy(), network.calls
    session.undo()
    assert (session.mask == before).all()
    session.redo()
    assert (session.mask == after).all()
    assert network.calls == calls
    replayed, _ = opened(volume, History(session.history.applied))
    assert (replayed.mask == after).all()


def test_cancel_leaves_the_session_as_it_was():
    volume, _ = ball()
    session, _ = opened(volume)
    session.add(Point((19, 17, 14)))
    before = session.mask.copy()
    with pytest.raises(Cancelled):
        session.propagate(2, cancel=lambda: True)
    assert (session.mask == before).all()
    assert session.undo() != "propagate"


def test_progress_rises():
    volume, _ = ball()
    session, _ = opened(volume)
    session.add(Point((19, 17, 14)))
    told = []
    session.propagate(2, progress=lambda fraction, text: told.append(fraction))
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] < 1


class Everything(nn.Module):
    """Says that all is the object."""

    def forward(self, x):
        return torch.ones_like(x[:, :1])


def test_what_does_not_fit_into_a_block_is_followed_slice_by_slice():
    data = np.zeros((400, 20, 20), np.float32)
    data[:, 8:16, 8:16] = 1
    volume = Volume(data, np.eye(4))
    followed = LocalSession(volume, FakeBody())
    session = LocalSession(volume, FakeBody(), solid=BlockBody(Everything(), 16, torch.device("cpu")))
    for one in (followed, session):
        one.add(Point((200, 12, 12), axis=0))
        one.propagate(0)
    assert (session.mask == followed.mask).all()
