"""Laws of a session: whatever was done, it shows what its history alone would make."""

import itertools
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg import Box, Lasso, Mask, Point, PromptError, Scribble, Volume
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.history import History
from napari_effseg.volume import Reorientation

from .fake import FakeBody

SHAPE = (14, 12, 6)
AXCODES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]


def image(seed=0, spacing=(1.0, 1.0, 1.0)):
    data = np.random.default_rng(seed).random(SHAPE).astype(np.float32)
    return Volume(data, np.diag([*spacing, 1.0]))


def opened(volume=None, history=None):
    return LocalSession(volume or image(), FakeBody(), history)


def prompt_of(kind, random):
    i, j, k = (int(random.integers(1, side - 1)) for side in SHAPE)
    positive = bool(random.random() < 0.7)
    if kind == "box":
        return Box((i - 1, j - 1, k), (i + 1, j + 1, k + 1), positive=positive)
    if kind == "solid":
        return Box((i - 1, j - 1, k - 1), (i + 1, j + 1, k + 1), positive=positive)
    if kind == "scribble":
        return Scribble([(i, j, k), (i - 1, j, k)], positive=positive)
    if kind == "lasso":
        return Lasso([(i - 1, j - 1, k), (i + 1, j - 1, k), (i, j + 1, k)], positive=positive)
    if kind == "mask":
        array = np.zeros(SHAPE, bool)
        array[i, j, k] = True
        return Mask(array, positive=positive)
    return Point((i, j, k), positive=positive, axis=int(random.integers(3)))


KINDS = ["point", "box", "solid", "scribble", "lasso", "mask"]
MOVES = st.lists(
    st.sampled_from(
        [*KINDS, "point", "point", "remove", "edit", "stroke", "choose", "commit", "undo", "undo", "redo"]
    ),
    max_size=14,
)


def play(session, moves, seed=0):
    random = np.random.default_rng(seed)
    for move in moves:
        prompts = list(session.prompts)
        if move in KINDS:
            with suppress(PromptError):  # of a point that says the opposite of another
                session.add(prompt_of(move, random))
        elif move == "remove" and prompts:
            session.remove(prompts[int(random.integers(len(prompts)))])
        elif move == "edit" and prompts:
            with suppress(PromptError):
                session.edit(prompts[int(random.integers(len(prompts)))], prompt_of("point", random))
        elif move == "stroke":
            inside = random.random((2, 3, 1)) > 0.5
            session.paint(((4, 4, 2), (6, 7, 3)), inside, positive=bool(random.random() < 0.7))
        elif move == "choose":
            slices = list(session._timeline.answers.slices)
            if slices:
                axis, index = slices[int(random.integers(len(slices)))]
                if session.hypotheses(axis, index):
                    session.choose(axis, index, 1)
        elif move == "commit" and session.mask.any():
            session.commit(int(random.integers(1, 4)))
        elif move == "undo":
            session.undo()
        elif move == "redo":
            session.redo()
    return session


def same(one, other):
    return (one.mask == other.mask).all() and (one.labels.data == other.labels.data).all()


@given(MOVES, st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_a_session_is_what_its_history_makes(moves, seed):
    session = play(opened(), moves, seed)
    replayed = opened(history=History(session.history.applied))
    assert same(session, replayed)
    assert session.objects == replayed.objects


@given(MOVES, st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_undoing_everything_leaves_nothing_and_redoing_brings_all_back(moves, seed):
    session = play(opened(), moves, seed)
    mask, labels = session.mask.copy(), session.labels.data.copy()
    steps = 0
    while session.undo():
        steps += 1
    assert not session.mask.any()
    assert not session.labels.data.any()
    for _ in range(steps):
        assert session.redo()
    assert (session.mask == mask).all()
    assert (session.labels.data == labels).all()


@given(MOVES, MOVES, st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_finished_objects_are_never_overwritten(before, after, seed):
    session = play(opened(), [*before, "point", "stroke"], seed)
    if not session.mask.any():
        return
    session.commit(9)
    kept = session.labels.data == 9
    play(session, [move for move in after if move not in ("undo", "redo")], seed + 1)
    assert (session.labels.data[kept] == 9).all()
    assert not (session.mask & kept).any()


def test_undo_costs_no_answer_and_redo_neither():
    body = FakeBody()
    session = LocalSession(image(), body)
    for place in ((3, 3, 2), (8, 8, 2), (5, 5, 3)):
        session.add(Point(place))
    asked = body.calls
    session.undo(), session.undo(), session.redo(), session.redo()
    assert body.calls == asked
    session.remove(next(iter(session.prompts)))
    assert body.calls == asked + 2


@pytest.mark.parametrize(
    "wrong", [Point((99, 0, 0)), Box((0, 0, 0), (3, 3, 99)), Mask(np.ones((2, 2, 2), bool))]
)
def test_a_prompt_outside_leaves_the_session_as_it_was(wrong):
    session = play(opened(), ["point", "box"])
    mask, prompts, words = session.mask.copy(), dict(session.prompts), session.undo_words
    with pytest.raises(PromptError):
        session.add(wrong)
    assert (session.mask == mask).all()
    assert dict(session.prompts) == prompts
    assert session.undo_words == words
    session.add(Point((3, 3, 3)))


def test_a_voxel_that_was_clicked_is_as_the_click_says():
    session = opened()
    for number in range(12):
        place = tuple(np.random.default_rng(number).integers(0, SHAPE))
        session.add(Point(place, positive=bool(number % 2)))
        assert session.mask[place] == bool(number % 2)


def test_who_listens_is_told_where_something_changed():
    session, seen = opened(), []
    session.listen(seen.append)
    before = session.mask.copy()
    session.add(Point((5, 5, 2)))
    changed = np.argwhere(before != session.mask)
    assert len(seen) == 1
    low, high = seen[0][0]
    assert (changed >= low).all()
    assert (changed < high).all()


def test_a_listener_that_fails_leaves_the_session_whole():
    session, other = opened(), opened()

    def fail(boxes):
        raise RuntimeError("of the listener")

    session.listen(fail)
    for act in (lambda one: one.add(Point((6, 6, 2))), lambda one: one.commit(), lambda one: one.undo()):
        with pytest.raises(RuntimeError, match="of the listener"):
            act(session)
        act(other)
        assert same(session, other)
        assert (session.undo_words, session.redo_words) == (other.undo_words, other.redo_words)


def test_another_hypothesis_can_be_chosen_and_one_that_is_not_there_cannot():
    session = opened()
    session.add(Point((6, 6, 2)))
    first = session.mask.copy()
    assert len(session.hypotheses(2, 2)) == 2
    session.choose(2, 2, 1)
    assert session.mask.sum() > first.sum()
    session.undo()
    assert (session.mask == first).all()
    with pytest.raises(PromptError, match="there are 2"):
        session.choose(2, 2, 2)


def test_nothing_cannot_be_finished():
    with pytest.raises(PromptError, match="nothing to finish"):
        opened().commit()


def test_objects_keep_names_colours_and_volumes():
    session = opened(image(spacing=(2.0, 1.0, 1.0)))
    session.paint(((0, 0, 0), (2, 2, 2)), np.ones((2, 2, 2), bool))
    session.commit(3, "left atrium")
    session.paint(((5, 0, 0), (6, 1, 1)), np.ones((1, 1, 1), bool))
    session.commit()
    first, second = session.objects
    assert (first.label, first.name, second.label) == (3, "left atrium", 4)
    assert first.volume_ml == pytest.approx(8 * 2 / 1000)
    assert first.colour != second.colour
    assert session.labels.names == {3: "left atrium", 4: "object 4"}


@pytest.mark.parametrize("letters", ["RL", "AP", "SI"])
@pytest.mark.parametrize("axcodes", AXCODES)
def test_the_same_prompts_mark_the_same_anatomy_in_every_storage_order(axcodes, letters):
    usual = image()
    turn = Reorientation.between(usual.affine, usual.shape, axcodes)
    other = Volume(turn.apply(usual.data), turn.grid.affine)
    one, two = opened(usual), opened(other)
    index = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    for place, positive in (((6, 6, 3), True), ((8, 5, 3), True), ((5, 6, 3), False)):
        there = tuple(int(n) for n in np.argwhere(turn.apply(index) == index[place])[0])
        for session, voxel in ((one, place), (two, there)):
            codes = session.scene.volume.axcodes
            axis = next(a for a, code in enumerate(codes) if code in letters)
            session.add(Point(voxel, positive=positive, axis=axis))
    assert one.mask.any()
    assert (turn.apply(one.mask) == two.mask).all()


def test_a_preview_is_what_the_prompt_will_make_and_changes_nothing():
    session = opened()
    session.add(Point((4, 4, 2), axis=2))
    before, told = session.mask.copy(), []
    session.listen(told.append)
    next_point = Point((9, 6, 2), axis=2)
    ((box, values),) = session.preview(next_point)
    assert (session.mask == before).all()
    assert not told
    assert session.undo_words == "point"
    session.add(next_point)
    assert (session.mask[tuple(slice(*ends) for ends in zip(*box, strict=True))] == values).all()


def test_a_session_says_which_mask_of_a_slice_it_shows():
    session = opened()
    session.add(Point((4, 4, 2), axis=2))
    session.choose(2, 2, 1)
    assert (session.chosen(2, 2), session.chosen(2, 3)) == (1, 0)
    session.undo()
    assert session.chosen(2, 2) == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_along_an_axis_is_meant_in_the_plane_that_was_shown(axis):
    session = opened()
    line = [(6, 6, 2), (6, 6, 4)]  # lies in planes across I and J
    session.add(Scribble(line), shown=axis)
    assert session.hypotheses(axis, 6)
    assert not session.hypotheses(1 - axis, 6)


def test_points_that_contradict_each_other_are_refused_and_change_nothing():
    session = opened()
    first = session.add(Point((6, 6, 2)))
    second = session.add(Point((8, 6, 2), positive=False))
    before = session.mask.copy()
    with pytest.raises(PromptError, match=f"prompt {first} says that it is on it"):
        session.add(Point((6, 6, 2), positive=False, axis=0))
    with pytest.raises(PromptError, match=r"\(6, 6, 2\)"):
        session.edit(second, Point((6, 6, 2), positive=False))
    assert list(session.prompts) == [first, second]
    assert (session.mask == before).all()
    session.edit(first, Point((6, 6, 2), positive=False))  # it takes back what it said itself
