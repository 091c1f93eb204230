"""The one thread: newest wins, stale answers are dropped, cancel, errors as objects, a clean end."""

import threading

import pytest

from napari_effseg.errors import Cancelled
from napari_effseg.viewer.inference import Handlers, Inference

from .desk import SECONDS, Desk


class Told:
    def __init__(self):
        self.answers, self.errors, self.progress = [], [], []
        self.handlers = Handlers(
            self.answers.append, self.errors.append, lambda *said: self.progress.append(said)
        )


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def inference(desk):
    made = Inference(desk)
    yield made
    assert made.close(SECONDS), "the thread did not end"


def until_cancelled(started):
    def work(_, cancel):
        started.set()
        while not cancel():
            threading.Event().wait(0.001)
        raise Cancelled("stopped on request")

    return work


def test_an_answer_is_handed_to_the_window(inference, desk):
    told = Told()
    inference.submit("add", lambda progress, cancel: 1 + 1, told.handlers)
    desk.look()
    assert told.answers == [2]


def test_every_job_runs_in_one_thread(inference, desk):
    told = Told()
    for lane in ("a", "b", "c"):
        inference.submit(lane, lambda progress, cancel: threading.get_ident(), told.handlers)
    for _ in range(3):
        desk.look()
    assert len(set(told.answers)) == 1
    assert told.answers[0] != threading.get_ident()


def test_an_error_arrives_as_an_object_and_the_thread_lives_on(inference, desk):
    told = Told()
    inference.submit("bad", lambda progress, cancel: 1 / 0, told.handlers)
    desk.look()
    assert isinstance(told.errors[0], ZeroDivisionError)
    inference.submit("good", lambda progress, cancel: "alive", told.handlers)
    desk.look()
    assert told.answers == ["alive"]


def test_cancel_stops_the_running_job(inference, desk):
    told, started = Told(), threading.Event()
    ticket = inference.submit("run", until_cancelled(started), told.handlers)
    assert started.wait(SECONDS)
    ticket.cancel()
    desk.look()
    assert isinstance(told.errors[0], Cancelled)
    assert told.answers == []


def test_a_job_cancelled_while_it_waits_never_begins(inference, desk):
    told, started = Told(), threading.Event()
    running = inference.submit("run", until_cancelled(started), told.handlers)
    began = []
    inference.submit("plan", lambda progress, cancel: began.append(1), told.handlers).cancel()
    running.cancel()
    desk.look()
    desk.look()
    assert began == []
    assert [type(error) for error in told.errors] == [Cancelled, Cancelled]


def test_the_newest_job_of_a_lane_wins_and_nobody_hears_of_the_older(inference, desk):
    told, started = Told(), threading.Event()
    old = inference.submit("plan", until_cancelled(started), told.handlers)
    assert started.wait(SECONDS)
    inference.submit("plan", lambda progress, cancel: "between", told.handlers)
    inference.submit("plan", lambda progress, cancel: "newest", told.handlers)
    desk.look()
    desk.look()
    assert old.is_cancelled
    assert told.answers == ["newest"]
    assert told.errors == []


def test_an_answer_that_was_on_its_way_when_a_newer_job_came_is_dropped(inference, desk):
    told = Told()
    inference.submit("plan", lambda progress, cancel: "old", told.handlers)
    desk.wait()
    inference.submit("plan", lambda progress, cancel: "new", told.handlers)
    desk.look()
    desk.look()
    assert told.answers == ["new"]


def test_other_lanes_are_left_alone(inference, desk):
    told, started = Told(), threading.Event()
    run = inference.submit("run", until_cancelled(started), told.handlers)
    assert started.wait(SECONDS)
    inference.submit("plan", lambda progress, cancel: "plan", told.handlers)
    assert not run.is_cancelled
    run.cancel()
    desk.look()
    desk.look()
    assert told.answers == ["plan"]


def test_progress_that_came_while_the_window_was_busy_is_told_once_the_newest(inference, desk):
    told, release = Told(), threading.Event()

    def work(progress, cancel):
        for step in range(5):
            progress(step / 5, f"step {step}")
        release.set()
        return "done"

    inference.submit("run", work, told.handlers)
    assert release.wait(SECONDS)
    desk.look()
    desk.look()
    assert told.progress == [(0.8, "step 4")]
    assert told.answers == ["done"]


def test_closing_in_the_middle_of_a_job_tells_nobody_and_ends_the_thread(desk):
    inference, told, started = Inference(desk), Told(), threading.Event()
    inference.submit("run", until_cancelled(started), told.handlers)
    assert started.wait(SECONDS)
    assert inference.close(SECONDS)
    assert desk.waiting == []
    assert (told.answers, told.errors) == ([], [])
    with pytest.raises(RuntimeError, match="is closed"):
        inference.submit("run", until_cancelled(started), told.handlers)


def test_closing_what_never_began_is_nothing():
    assert Inference().close()


def test_what_a_finished_job_held_is_let_go(inference, desk):
    import gc
    import weakref

    class Image:
        pass

    image = Image()
    gone = weakref.ref(image)
    told = Told()
    inference.submit("run", lambda progress, cancel, image=image: None, told.handlers)
    desk.look()
    del image
    inference.submit("next", lambda progress, cancel: None, told.handlers)  # its frame has left the first
    desk.look()
    gc.collect()
    assert gone() is None
