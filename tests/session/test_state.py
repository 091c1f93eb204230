"""A session goes on where it was left: in a file, tomorrow, on a machine that would answer otherwise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg import Point, PromptError
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.history import History

from .fake import FakeBody
from .test_local import MOVES, image, opened, play, same


class OtherBody(FakeBody):
    """Another machine: it finds nothing at all."""

    def answer(self, image, prompts, previous, locked):
        found = super().answer(image, prompts, previous, locked)
        return tuple(type(one)(one.logits - 100, one.score) for one in found)


class CarefulBody(FakeBody):
    """Looks at the logits that it gave before: where they are not its own, it finds other things."""

    def answer(self, image, prompts, previous, locked):
        found = super().answer(image, prompts, previous, locked)
        is_own = previous is None or float(previous.abs().max()) <= 2
        return found if is_own else found[::-1]


def left(session):
    return session.state("fake", "0" * 64)


@given(MOVES, MOVES, st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_a_session_that_was_closed_in_between_is_the_same(before, after, seed):
    session = play(opened(), before, seed)
    again = LocalSession.restored(image(), FakeBody(), left(session))
    assert same(session, again)
    assert session.objects == again.objects
    assert dict(session.prompts) == dict(again.prompts)
    play(session, after, seed + 1), play(again, after, seed + 1)
    assert same(session, again)
    assert same(again, opened(history=History(again.history.applied)))


@given(MOVES, st.integers(0, 5))
@settings(deadline=None, max_examples=25)
def test_what_was_shown_is_shown_where_answers_are_others(moves, seed):
    session = play(opened(), moves, seed)
    again = LocalSession.restored(image(), OtherBody(), left(session))
    assert same(session, again)
    while again.undo():
        pass
    assert not again.mask.any()
    assert not again.labels.data.any()


def test_opening_asks_the_network_nothing():
    session = play(opened(), ["point", "box", "commit", "point"])
    body = FakeBody()
    LocalSession.restored(image(), body, left(session))
    assert body.calls == 0


def test_another_image_is_refused():
    state = left(play(opened(), ["point"]))
    with pytest.raises(PromptError, match="another image"):
        LocalSession.restored(image(seed=1), FakeBody(), state)


def test_a_state_that_does_not_fit_itself_is_refused():
    state = left(play(opened(), ["point", "stroke", "commit", "point"]))
    with pytest.raises(PromptError, match="finished objects"):
        type(state)(**{**vars(state), "objects": ()})
    with pytest.raises(PromptError, match="bytes"):
        type(state)(**{**vars(state), "mask_bits": np.zeros(3, np.uint8)})


def test_numbers_go_on_after_those_that_were_given():
    session = opened()
    session.add(Point((3, 3, 3)))
    second = session.add(Point((4, 3, 3)))
    session.undo()
    again = LocalSession.restored(image(), FakeBody(), left(session))
    assert again.add(Point((5, 3, 3))) > second


@given(MOVES, st.lists(st.sampled_from(["undo", "redo"]), max_size=12), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_undo_and_redo_go_on_where_a_session_was_closed(moves, after, seed):
    session = play(opened(), moves, seed)
    again = LocalSession.restored(image(), FakeBody(), left(session))
    for move in after:
        assert getattr(session, move)() == getattr(again, move)()
        assert same(session, again)


def test_what_was_shown_comes_back_by_redo_where_answers_are_others():
    session = play(opened(), ["point", "box", "stroke"])
    shown = session.mask.copy()
    again = LocalSession.restored(image(), OtherBody(), left(session))
    again.undo(), again.undo(), again.redo(), again.redo()
    assert (again.mask == shown).all()
    again.undo()
    again.redo()
    assert (again.mask == shown).all()


def test_a_finished_object_that_is_opened_again_is_answered_as_before():
    session, places = LocalSession(image(), CarefulBody()), [(4, 4, 2), (8, 6, 2), (6, 5, 2)]
    session.add(Point(places[0]))
    session.commit()
    again = LocalSession.restored(image(), CarefulBody(), left(session))
    session.undo(), again.undo()
    assert session.hypotheses(2, 2) == again.hypotheses(2, 2) != ()
    for place in places[1:]:
        session.add(Point(place)), again.add(Point(place))
        assert same(session, again)


def test_what_was_undone_before_a_session_was_closed_comes_back_as_it_was():
    session = LocalSession(image(), CarefulBody())
    for place in ((4, 4, 2), (8, 6, 2), (6, 5, 2)):
        session.add(Point(place))
    session.undo()
    again = LocalSession.restored(image(), CarefulBody(), left(session))
    session.redo(), again.redo()
    assert same(session, again)


def test_an_undo_that_cannot_be_done_changes_nothing():
    session = play(opened(), ["point", "point", "point"])
    again = LocalSession.restored(image(), FakeBody(), left(session))
    again.body.answer = _no_memory
    with pytest.raises(MemoryError):
        again.undo()
    assert same(session, again)
    assert again.undo_words == session.undo_words
    assert again.redo_words == ""


def _no_memory(*_):
    raise MemoryError
