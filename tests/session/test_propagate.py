"""An object is carried through the volume, stops where it ends, and corrections run again what they touch."""

import numpy as np
import pytest
import torch

from napari_effseg import Box, Cancelled, Point, PromptError, Volume
from napari_effseg.engine.session.body import Hypothesis
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.propagate import Gap, _has_ended, _Shares, gaps_between
from napari_effseg.history import History

from .fake import FakeBody

SHAPE = (24, 22, 12)


def tube():
    """A bright tube along k, from slice 2 to 9."""
    data = np.zeros(SHAPE, np.float32)
    i, j = np.mgrid[:24, :22]
    for k in range(2, 10):
        data[..., k] = ((i - 10 - 0.3 * k) ** 2 + (j - 11) ** 2 < 14).astype(np.float32)
    return Volume(data, np.diag([1.0, 1.0, 1.0, 1.0])), data > 0.5


def opened(history=None):
    body = FakeBody()
    return LocalSession(tube()[0], body, history), body


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_a_tube_is_carried_to_its_ends_and_no_further():
    session, _ = opened()
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    truth = tube()[1]
    assert dice(session.mask, truth) > 0.8
    assert not session.mask[..., :2].any()
    assert not session.mask[..., 10:].any()


def test_undo_takes_it_back_at_once_and_a_replay_is_the_same():
    session, body = opened()
    session.add(Point((12, 11, 5)))
    before = session.mask.copy()
    session.propagate(2)
    after = session.mask.copy()
    asked = body.calls
    assert session.undo() == "propagate"
    assert (session.mask == before).all()
    session.redo()
    assert (session.mask == after).all()
    assert body.calls == asked
    replayed, _ = opened(History(session.history.applied))
    assert (replayed.mask == after).all()


def test_a_correction_runs_again_only_what_it_touches():
    session, body = opened()
    session.add(Point((11, 11, 3)))
    session.add(Point((13, 11, 8)))
    session.propagate(2)
    below = session.mask[..., :3].copy()
    session.add(Point((13, 14, 8), positive=False))
    asked = body.calls
    session.propagate(2)
    assert body.calls - asked <= 2 * 4 + 3  # both ways between the anchors, and beyond the second
    assert (session.mask[..., :3] == below).all()
    asked = body.calls
    session.propagate(2)
    assert body.calls == asked


def test_painted_voxels_survive():
    session, _ = opened()
    session.add(Point((12, 11, 5)))
    session.paint(((0, 0, 7), (2, 2, 8)), np.ones((2, 2, 1), bool))
    session.paint(((12, 11, 7), (13, 12, 8)), np.ones((1, 1, 1), bool), positive=False)
    session.propagate(2)
    assert session.mask[0:2, 0:2, 7].all()
    assert not session.mask[12, 11, 7]


def test_cancelling_leaves_the_session_as_it_was():
    session, _ = opened()
    session.add(Point((12, 11, 5)))
    before = session.mask.copy()
    asked = 0

    def cancel():
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(Cancelled):
        session.propagate(2, cancel=cancel)
    assert (session.mask == before).all()
    assert session.undo_words == "point"
    session.propagate(2)


def test_progress_rises_to_below_one():
    session, _ = opened()
    session.add(Point((12, 11, 5)))
    seen = []
    session.propagate(2, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[0] >= 0
    assert seen[-1] < 1


def test_nothing_cannot_be_carried_on():
    session, _ = opened()
    with pytest.raises(PromptError, match="nothing to propagate"):
        session.propagate(2)
    with pytest.raises(PromptError, match="0, 1 or 2"):
        session.propagate(4)


def test_a_painted_slice_is_carried_on_too():
    session, _ = opened()
    session.paint(((10, 9, 5), (14, 14, 6)), np.ones((4, 5, 1), bool))
    session.propagate(2)
    assert dice(session.mask, tube()[1]) > 0.5


def test_gaps_lie_beside_and_between_anchors():
    assert gaps_between((3, 6), 0, 9) == (Gap(None, 3, 0, 3), Gap(3, 6, 4, 6), Gap(6, None, 7, 9))
    assert gaps_between((3, 6), 4, 6) == (Gap(3, 6, 4, 6),)
    assert gaps_between((), 0, 9) == ()
    assert gaps_between((0, 1), 0, 2) == ()


@pytest.mark.parametrize(("now", "ends"), [(12, False), (20, False), (30, True), (3, True)])
def test_an_answer_that_runs_out_or_fades_ends_the_object(now, ends):
    def square(side):
        logits = torch.full((64, 64), -4.0)
        logits[32 - side // 2 : 32 - side // 2 + side, 32 - side // 2 : 32 - side // 2 + side] = 4
        return logits

    assert _has_ended(square(16), square(now), 16.0**2) == ends


def test_an_answer_that_grows_little_by_little_ends_where_it_is_four_times_the_anchor():
    grown = torch.full((64, 64), 4.0)
    assert _has_ended(grown, grown, 30.0**2)
    assert not _has_ended(grown, grown, 33.0**2)


class Forgetful(FakeBody):
    """Finds nothing where nobody says what it is, as networks do that learned from users who begin so."""

    def answer(self, image, prompts, previous, locked):
        self.asked = prompts
        if not any(prompt.positive for prompt in prompts):
            nothing = torch.full(image.pixels.shape[1:], -2.0)
            return (Hypothesis(nothing, 0.1),)
        return super().answer(image, prompts, previous, locked)


def test_a_first_click_off_an_object_that_was_carried_here_does_not_lose_it():
    body = Forgetful()
    session = LocalSession(tube()[0], body)
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    before = session.mask[..., 7].copy()
    i, j = np.argwhere(before)[0].tolist()
    session.add(Point((i, j, 7), positive=False))
    after = session.mask[..., 7]
    assert not after[i, j]
    assert after.any()
    implied, said = body.asked
    assert implied.positive
    assert before[tuple(np.rint(implied.places[0]).astype(int))]
    assert not said.positive


def test_where_the_user_says_what_it_is_nothing_is_implied():
    body = Forgetful()
    session = LocalSession(tube()[0], body)
    session.add(Point((12, 11, 5)))
    assert len(body.asked) == 1
    session.add(Point((8, 11, 5), positive=False))
    assert [prompt.positive for prompt in body.asked] == [True, False]


def test_an_object_that_is_wiped_away_by_its_first_mark_is_gone():
    body = Forgetful()
    session = LocalSession(tube()[0], body)
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    session.add(Box((0, 0, 7), (24, 22, 8), positive=False))
    assert not session.mask[..., 7].any()


def test_anchors_of_one_size_share_by_distance():
    shares = _Shares.of(2, 10, 50.0, 50.0)
    assert [shares.of_above(index) for index in (2, 4, 6, 10)] == [0, 0.25, 0.5, 1]


def test_a_small_anchor_says_little_beside_a_large_one():
    shares = _Shares.of(2, 10, 5.0, 500.0)
    assert shares.of_above(6) > 0.95
    assert 0.5 < shares.of_above(3) < shares.of_above(4)


def test_empty_anchors_share_alike():
    assert _Shares.of(2, 4, 0.0, 0.0).of_above(3) == 0.5


def test_a_click_in_the_very_middle_says_that_the_object_does_not_reach_the_slice():
    session, body = opened()
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    calls = body.calls
    places = np.argwhere(session.mask[..., 9])
    i, j = np.rint(places.mean(axis=0)).astype(int).tolist()
    session.add(Point((i, j, 9), positive=False))
    assert not session.mask[..., 9].any()
    assert body.calls == calls
    session.propagate(2)
    assert session.mask[..., 8].any()
    assert not session.mask[..., 9:].any()


def test_a_first_click_only_adds_or_only_takes_away():
    class Contrary(FakeBody):
        def answer(self, image, prompts, previous, locked):
            if not self.is_contrary:
                return super().answer(image, prompts, previous, locked)
            sign = -1.0 if prompts[-1].positive else 1.0
            return (Hypothesis(torch.full(image.pixels.shape[1:], 2 * sign), 1.0),)

    body = Contrary()
    body.is_contrary = False
    session = LocalSession(tube()[0], body)
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    body.is_contrary = True
    before = session.mask.copy()
    for index, positive in ((6, True), (7, False)):
        i, j = np.argwhere(before[..., index])[0].tolist()
        session.add(Point((i, j, index), positive=positive))
        changed = before[..., index].copy()
        changed[i, j] = positive
        assert (session.mask[..., index] == changed).all()


def test_a_first_click_on_what_was_carried_is_given_as_it_is_and_keeps_its_choices():
    body = Forgetful()
    session = LocalSession(tube()[0], body)
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    i, j = np.argwhere(session.mask[..., 7])[0].tolist()
    session.add(Point((i, j, 7)))
    assert len(body.asked) == 1


def test_slices_without_the_object_share_one_answer():
    session, _ = opened()
    session.add(Point((12, 11, 5)))
    session.propagate(2)
    slices = session._timeline.answers.slices
    empty = [slices[2, index].logits for index in (0, 1, 10, 11)]
    assert all(logits is empty[0] for logits in empty)
    assert empty[0].stride() == (0, 0)


@pytest.mark.parametrize(("carried", "wanted"), [(4, 8), (6, 6)], ids=["little", "most of it"])
def test_where_little_was_carried_the_first_click_counts_as_one_by_itself(carried, wanted):
    """The body answers a click by itself with a square of 8 pixels, and a correction with what there is."""

    class Square(FakeBody):
        def answer(self, image, prompts, previous, locked):
            alone = torch.full(image.pixels.shape[1:], -4.0)
            alone[6:14, 6:14] = 4
            return (Hypothesis(alone if previous is None else previous, 0.5),)

    session = LocalSession(Volume(np.zeros((20, 20, 3), np.float32), np.eye(4)), Square())
    low, high = 10 - carried // 2, 10 + carried // 2
    session.paint(((low, low, 1), (high, high, 2)), np.ones((carried, carried, 1), bool))
    session.add(Point((10, 10, 1)))
    assert session.mask[..., 1].sum() == wanted**2
    session.add(Point((11, 10, 1)))
    assert session.mask[..., 1].sum() == wanted**2


def test_a_prompt_can_be_removed_from_which_the_object_was_carried():
    session, _ = opened()
    first = session.add(Point((12, 11, 5)))
    session.propagate(2)
    session.add(Point((11, 11, 3), positive=False))
    carried = session.mask.copy()
    session.remove(first)
    alone, _ = opened()
    alone.add(Point((11, 11, 3), positive=False))
    assert (session.mask == alone.mask).all()
    replayed, _ = opened(History(session.history.applied))
    assert (replayed.mask == session.mask).all()
    session.undo()
    assert (session.mask == carried).all()


def test_what_cannot_be_carried_is_not_in_the_history():
    session, _ = opened()
    session.add(Point((1, 1, 1)))
    session.undo()
    with pytest.raises(PromptError, match="nothing to propagate"):
        session.propagate(2)
    assert session.undo_words == ""
