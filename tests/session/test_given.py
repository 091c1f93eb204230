"""What scripts give to a session: numbers of numpy are kept and saved, nonsense is refused in words."""

import numpy as np
import pytest

from napari_effseg import Point, PromptError
from napari_effseg.io.effseg import read_session, write_session

from .test_local import SHAPE, opened, same
from .test_state import left

BOX = ((1, 1, 1), (3, 3, 2))
INSIDE = np.ones((2, 2, 1), bool)


def begun():
    session = opened()
    session.add(Point((5, 5, 2)))
    session.paint(BOX, INSIDE)
    return session


@pytest.mark.parametrize(
    "do",
    [
        lambda s: s.commit(label=np.int64(3), name="x"),
        lambda s: s.commit(label=3.0),
        lambda s: s.commit(colour=np.array([1, 2, 3])),
        lambda s: s.commit(colour=tuple(np.array([1, 2, 3]))),
        lambda s: s.choose(np.int64(2), np.int64(2), np.int64(1)),
        lambda s: s.propagate(axis=np.int64(2)),
        lambda s: s.propagate(axis=2.0),
        lambda s: s.paint(np.array(BOX), INSIDE),
        lambda s: s.paint([[1, 1, 1], [3, 3, 2]], INSIDE.tolist()),
        lambda s: s.paint(((1.0, 1.0, 1.0), (3.0, 3.0, 2.0)), INSIDE, positive=np.bool_(False)),
        lambda s: s.add(Point((4, 4, 4), positive=np.bool_(False), axis=1.0), shown=2.0),
        lambda s: s.add(Point((4, 4, 4)), shown=np.int64(0)),
        lambda s: s.remove(np.int64(1)),
        lambda s: s.edit(np.int64(1), Point((6, 5, 2))),
    ],
)
def test_what_a_session_takes_it_saves(tmp_path, do):
    session = begun()
    do(session)
    found = read_session(write_session(left(session), tmp_path / "case.effseg"))
    again = type(session).restored(session.scene.volume, session.body, found)
    assert same(session, again)
    assert session.objects == again.objects
    assert session.labels.names == again.labels.names


@pytest.mark.parametrize(
    "do",
    [
        lambda s: s.commit(label=2.5),
        lambda s: s.commit(label="2"),
        lambda s: s.commit(label=0),
        lambda s: s.commit(label=65536),
        lambda s: s.commit(colour=(500, -1, 0)),
        lambda s: s.commit(colour="#ff0000"),
        lambda s: s.commit(colour=(1, 2)),
        lambda s: s.commit(name=5),
        lambda s: s.commit(name="two\nlines"),
        lambda s: s.propagate(axis="time"),
        lambda s: s.propagate(axis=-1),
        lambda s: s.paint(((1, 1, 1), (1, 3, 3)), np.ones((0, 2, 2), bool)),
        lambda s: s.paint(((1, 1), (3, 3)), np.ones((2, 2), bool)),
        lambda s: s.paint(((1, 1, 1), (3, 3, SHAPE[2] + 1)), np.ones((2, 2, SHAPE[2]), bool)),
        lambda s: s.paint(BOX, INSIDE.astype(np.uint8)),
        lambda s: s.add((4, 4, 4)),
        lambda s: s.add(None),
        lambda s: s.add(Point((4, 4, 4)), shown=5),
        lambda s: s.preview((4, 4, 4)),
        lambda s: s.remove("1"),
        lambda s: s.edit(1, 5),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(do):
    session, untouched = begun(), begun()
    with pytest.raises(PromptError):
        do(session)
    assert same(session, untouched)
    assert session.undo_words == untouched.undo_words
    assert not session.objects


@pytest.mark.parametrize("axis", [3, -1, 1.5, "k", np.array([1, 2])])
def test_a_point_across_no_axis_is_refused(axis):
    with pytest.raises(PromptError, match="0, 1 or 2"):
        Point((1, 2, 3), axis=axis)
