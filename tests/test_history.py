"""The history of a session: laws of undo and redo, over any order of actions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg import Box, Lasso, Mask, Point, PromptError, Scribble
from napari_effseg.history import (
    Add,
    Choose,
    Commit,
    Edit,
    History,
    Propagate,
    Remove,
    Stroke,
    current_events,
    current_prompts,
    in_words,
)

MOVES = st.lists(
    st.sampled_from(["add", "remove", "edit", "stroke", "choose", "propagate", "commit", "undo", "redo"]),
    max_size=25,
)


def play(moves, history=None):
    """Do a list of moves as a user might; those that are not possible are left out."""
    history = history or History()
    for number, move in enumerate(moves):
        prompts = list(current_prompts(history.applied))
        if move == "add":
            history.do(Add(history.new_id(), Point((number, 0, 0)), shown=2))
        elif move == "stroke":
            box = ((0, 0, 0), (1, 2, 1))
            history.do(Stroke(history.new_id(), box, np.ones((1, 2, 1), bool)))
        elif move in ("remove", "edit") and prompts:
            which = prompts[number % len(prompts)]
            history.do(Remove(which) if move == "remove" else Edit(which, Point((number, 1, 1))))
        elif move == "choose":
            history.do(Choose(2, 0, 1))
        elif move == "propagate":
            history.do(Propagate(2))
        elif move == "commit":
            history.do(Commit(1, "thing", (1, 2, 3)))
        elif move == "undo":
            history.undo()
        elif move == "redo":
            history.redo()
    return history


@given(MOVES)
@settings(deadline=None, max_examples=60)
def test_undoing_and_redoing_everything_changes_nothing(moves):
    history = play(moves)
    before = history.applied
    steps = 0
    while history.undo() is not None:
        steps += 1
    assert history.applied == ()
    for _ in range(steps):
        history.redo()
    assert history.applied == before


@given(MOVES)
@settings(deadline=None, max_examples=60)
def test_numbers_are_never_given_twice(moves):
    history = play(moves)
    given_so_far = {action.id for action in history.actions if isinstance(action, Add | Stroke)}
    new = history.new_id()
    assert new > max(given_so_far, default=0)
    history.undo()
    assert history.new_id() > new


@given(MOVES)
@settings(deadline=None, max_examples=60)
def test_a_copy_goes_on_alike(moves):
    history = play(moves)
    copy = History(history.actions, len(history.applied), history.last_id)
    assert copy.applied == history.applied
    assert copy.redoable == history.redoable
    assert copy.new_id() == history.new_id()


@given(MOVES)
@settings(deadline=None, max_examples=60)
def test_removed_prompts_are_gone_and_the_others_keep_their_order(moves):
    history = play(moves)
    prompts = current_prompts(history.applied)
    assert list(prompts) == sorted(prompts)
    removed = {action.id for action in history.applied if isinstance(action, Remove)}
    assert not removed & set(prompts)
    for number, prompt in prompts.items():
        edits = [a.prompt for a in history.applied if isinstance(a, Edit) and a.id == number]
        if edits:
            assert prompt == edits[-1]


@given(MOVES)
@settings(deadline=None, max_examples=40)
def test_after_a_commit_nothing_is_at_hand(moves):
    history = play([*moves, "commit"])
    assert current_events(history.applied) == ()
    with pytest.raises(PromptError, match="no prompt 1 "):
        history.do(Remove(1))


def test_a_new_action_forgets_what_was_undone():
    history = play(["add", "add", "undo", "add"])
    assert history.redoable is None
    assert list(current_prompts(history.applied)) == [1, 3]


def test_the_buttons_say_what_they_undo():
    line = [(0, 0, 0), (2, 2, 0), (0, 2, 0)]
    said = {
        "point": Add(1, Point((0, 0, 0))),
        "negative box": Add(1, Box((0, 0, 0), (1, 1, 1), positive=False)),
        "scribble": Add(1, Scribble(line)),
        "lasso": Add(1, Lasso(line)),
        "mask": Add(1, Mask(np.ones((1, 1, 1), bool))),
        "remove prompt 4": Remove(4),
        "change of prompt 4": Edit(4, Point((0, 0, 0))),
        "wipe": Stroke(1, ((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), bool), positive=False),
        "choice": Choose(0, 0, 1),
        "propagate": Propagate(2),
        "finish liver": Commit(1, "liver", (0, 0, 0)),
        "": None,
    }
    assert {in_words(action): action for action in said.values()} == said


def test_a_stroke_of_another_shape_is_refused():
    with pytest.raises(PromptError, match="stroke"):
        Stroke(1, ((0, 0, 0), (2, 2, 2)), np.ones((1, 2, 2), bool))


def test_more_actions_than_there_are_cannot_apply():
    with pytest.raises(PromptError, match="3 of 0"):
        History((), 3)
