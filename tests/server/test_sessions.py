"""A session on a server is the session that would run here, after every action, to the last bit."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_effseg as eff
from napari_effseg import Box, Lasso, Mask, Point, PromptError, Scribble
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.io.effseg import read_session
from napari_effseg.server import connect

from ..session.fake import FakeBody
from ..session.test_local import KINDS, SHAPE, image, prompt_of
from .conftest import KEYS

MOVES = st.lists(
    st.sampled_from(
        [
            *(*KINDS, "point", "outside", "remove", "edit", "stroke", "choose", "propagate", "commit"),
            *("undo", "undo", "redo", "preview"),
        ]
    ),
    max_size=12,
)


def move(session, kind, seed):
    """Do one thing, or the same refusal; return what came of it."""
    random = np.random.default_rng(seed)
    prompts = list(session.prompts)
    chosen = prompts[int(random.integers(len(prompts)))] if prompts else 99
    try:
        if kind in KINDS:
            return session.add(prompt_of(kind, random), shown=[None, 0, 1, 2][seed % 4])
        if kind == "outside":
            return session.add(Point((99, 0, 0)))
        if kind == "preview":
            found = session.preview(prompt_of("point", random))
            return [(box, inside.tolist()) for box, inside in found]
        if kind == "remove":
            return session.remove(chosen)
        if kind == "edit":
            return session.edit(chosen, prompt_of("box", random))
        if kind == "stroke":
            inside = random.random((2, 3, 1)) > 0.5
            return session.paint(((4, 4, 2), (6, 7, 3)), inside, positive=bool(random.random() < 0.7))
        if kind == "choose":
            return session.choose(2, int(random.integers(SHAPE[2])), 1)
        if kind == "propagate":
            return session.propagate(int(random.integers(3)))
        if kind == "commit":
            return session.commit(int(random.integers(1, 4)), name="tail" if seed % 2 else "")
        return getattr(session, kind)()
    except PromptError as err:
        return str(err)


def assert_equal(one, other):
    assert (one.mask == other.mask).all()
    assert (one.labels.data == other.labels.data).all()
    assert one.labels.names == other.labels.names
    assert one.objects == other.objects
    assert list(one.prompts) == list(other.prompts)
    assert (one.undo_words, one.redo_words) == (other.undo_words, other.redo_words)


@given(MOVES, st.integers(0, 9))
@settings(max_examples=40)
def test_remote_and_local_are_equal_after_every_action(client_of_all, moves, seed):
    here, there = LocalSession(image(seed % 3), FakeBody()), client_of_all.open_session(image(seed % 3))
    with there:
        for at, kind in enumerate(moves):
            assert move(here, kind, seed + at) == move(there, kind, seed + at)
            assert_equal(here, there)
        for index in range(SHAPE[2]):
            assert here.hypotheses(2, index) == there.hypotheses(2, index)
            assert here.chosen(2, index) == there.chosen(2, index)


@given(MOVES, MOVES, st.integers(0, 9))
@settings(max_examples=15)
def test_a_session_that_the_server_lost_goes_on_as_one_that_was_saved(client_of_all, before, after, seed):
    with client_of_all.open_session(image()) as there:
        for at, kind in enumerate(before):
            move(there, kind, seed + at)
        here = LocalSession.restored(image(), FakeBody(), there.state())
        client_of_all.call("DELETE", there._path)
        for at, kind in enumerate([*after, "undo", "point", "undo", "redo"]):
            assert move(here, kind, seed + at) == move(there, kind, seed + at)
            assert_equal(here, there)


@pytest.fixture(scope="module")
def client_of_all(server):
    with connect(server.url, KEYS["anna"]) as client:
        yield client


@pytest.mark.parametrize(
    "prompt",
    [
        Point((6, 6, 2), axis=2),
        Point((6, 6, 2), positive=False),
        Box((2, 2, 2), (9, 9, 3)),
        Box((2, 2, 1), (9, 9, 4), positive=False),
        Scribble([(2.5, 3, 2), (7, 8, 2)], radius=1.5),
        Lasso([(2, 2, 2), (9, 2, 2), (5, 9, 2)]),
        Mask(image().data > 0.5),
    ],
    ids=lambda prompt: f"{type(prompt).__name__} {prompt.positive}",
)
def test_every_prompt_travels(client, prompt):
    here, there = LocalSession(image(), FakeBody()), client.open_session(image())
    assert here.add(prompt) == there.add(prompt)
    assert here.add(Point((7, 7, 2))) == there.add(Point((7, 7, 2)))
    assert_equal(here, there)


def test_a_mask_of_another_shape_is_refused_as_it_is_here(client):
    with client.open_session(image()) as session, pytest.raises(PromptError, match="the image has"):
        session.add(Mask(np.ones((2, 2, 2), bool)))


def test_who_listens_is_told_where_something_changed(client):
    with client.open_session(image()) as session:
        seen = []
        session.listen(seen.append)
        before = session.mask.copy()
        session.add(Point((5, 5, 2)))
        changed = np.argwhere(before != session.mask)
        (((low, high),),) = seen
        assert (changed >= low).all()
        assert (changed < high).all()
        session.commit()
        assert seen[-1] == (((0, 0, 0), SHAPE),)


def test_the_answer_to_a_click_is_its_box_alone(client):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2), axis=2))
        boxes = []
        session.listen(boxes.extend)
        session.add(Point((7, 6, 2), axis=2))
        ((low, high),) = boxes
        assert np.prod(np.subtract(high, low)) < np.prod(SHAPE) / 4


def test_carrying_on_says_how_far_it_is(client):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2), axis=2))
        said = []
        session.propagate(2, progress=lambda fraction, message: said.append(fraction))
        assert session.undo_words == "propagate"
        assert all(0 <= fraction <= 1 for fraction in said)


def test_carrying_on_can_be_stopped_and_leaves_the_session_as_it_was(client, engine):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2), axis=2))
        mask = session.mask.copy()
        body = engine.live[-1]._bodies.slices
        quick = body.answer
        body.answer = lambda *arguments: (time.sleep(0.3), quick(*arguments))[1]
        with pytest.raises(eff.Cancelled):
            session.propagate(2, cancel=lambda: True)
        body.answer = quick
        assert (session.mask == mask).all()
        assert session.undo_words == "point"
        assert session.add(Point((6, 6, 3))) > 1


def test_a_session_is_saved_without_the_server_and_resumed_on_it(client, tmp_path):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2)))
        session.commit(3, "left atrium")
        session.add(Box((2, 2, 3), (9, 9, 4)))
        session.save(tmp_path / "case.effseg")
        with client.resume(tmp_path / "case.effseg", image()) as again:
            assert_equal(session, again)
            assert again.undo() == session.undo()
            assert_equal(session, again)


def test_what_the_client_saves_is_what_the_server_would(client, tmp_path):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2)))
        session.commit(3, "left atrium")
        session.add(Lasso([(2, 2, 2), (9, 2, 2), (5, 9, 2)]))
        session.save(tmp_path / "here.effseg")
        content = client.call("GET", f"{session._path}/file").content
        (tmp_path / "there.effseg").write_bytes(content)
    here, there = (read_session(tmp_path / f"{name}.effseg") for name in ("here", "there"))
    assert (here.mask_bits == there.mask_bits).all()
    assert (here.objects[0].bits == there.objects[0].bits).all()
    assert (here.model, here.weights_sha256, here.image_sha256) == (
        there.model,
        there.weights_sha256,
        there.image_sha256,
    )
    assert here.history.last_id == there.history.last_id


def test_the_session_of_another_image_is_refused(client, tmp_path):
    with client.open_session(image()) as session:
        session.add(Point((5, 5, 2)))
        session.save(tmp_path / "case.effseg")
    with pytest.raises(PromptError, match="another image"):
        client.resume(tmp_path / "case.effseg", image(seed=1))


def test_a_model_that_is_not_there_is_said(client):
    with pytest.raises(eff.UnknownModel, match="nonsense"):
        client.open_session(image(), "nonsense")


def test_a_closed_session_says_so(client):
    session = client.open_session(image())
    session.close()
    session.close()
    with pytest.raises(eff.ServerError, match="closed"):
        session.add(Point((5, 5, 2)))
