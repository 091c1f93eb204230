"""One computation at a time, users in turn, clicks between the steps of a job."""

import asyncio
import gc
import threading
import weakref

import pytest

from napari_effseg.errors import Cancelled, PromptError, ServerBusy
from napari_effseg.server.work import Task, Workshop


@pytest.fixture
def workshop():
    workshop = Workshop(most_waiting=4)
    yield workshop
    workshop.close()


def finished(*tasks):
    async def wait():
        for task in tasks:
            assert await task.over(10)

    asyncio.run(wait())


class Gate:
    """Work that waits until it is opened."""

    def __init__(self):
        self.began, self.open = threading.Event(), threading.Event()

    def __call__(self, task):
        self.began.set()
        while not self.open.wait(0.005):
            if task.is_cancelled():
                raise Cancelled("stopped")


def test_users_take_turns(workshop):
    gate, order = Gate(), []
    first = workshop.put(Task("anna", gate, is_long=True))
    assert gate.began.wait(10)
    tasks = [
        workshop.put(Task(user, lambda task: order.append(task.user), is_long=True))
        for user in ("anna", "anna", "anna", "bert", "cleo", "bert")
    ]
    gate.open.set()
    finished(first, *tasks)
    assert order == ["anna", "bert", "cleo", "anna", "bert", "anna"]


def test_nothing_is_computed_at_the_same_time(workshop):
    busy, most = [], []

    def work(task):
        for _ in range(20):
            busy.append(task)
            most.append(len(busy))
            busy.remove(task)
            task.is_cancelled()

    tasks = [workshop.put(Task("anna", work, is_long=bool(at % 2))) for at in range(8)]
    finished(*tasks)
    assert max(most) == 1


def test_clicks_come_between_the_steps_of_a_job(workshop):
    gate, said = Gate(), []
    job = workshop.put(Task("anna", gate, is_long=True))
    assert gate.began.wait(10)
    click = workshop.put(Task("bert", lambda task: said.append(job.state)))
    finished(click)
    assert said == ["running"]
    gate.open.set()
    finished(job)


def test_a_task_that_waits_is_cancelled_at_once(workshop):
    gate = Gate()
    job = workshop.put(Task("anna", gate, is_long=True))
    waiting = workshop.put(Task("anna", lambda task: 1 / 0, is_long=True))
    waiting.cancel()
    assert waiting.state == "cancelled"
    assert isinstance(waiting.error, Cancelled)
    job.cancel()
    finished(job)
    assert job.state == "cancelled"


def test_a_task_that_fails_stops_nobody(workshop):
    def fail(task):
        raise PromptError("no")

    failed = workshop.put(Task("anna", fail))
    good = workshop.put(Task("anna", lambda task: 7))
    finished(failed, good)
    assert (failed.state, str(failed.error), good.result) == ("failed", "no", 7)


def test_a_user_may_not_fill_the_queue(workshop):
    gate = Gate()
    workshop.put(Task("anna", gate, is_long=True))
    assert gate.began.wait(10)
    for _ in range(4):
        workshop.put(Task("anna", lambda task: None, is_long=True))
    with pytest.raises(ServerBusy, match="waiting already"):
        workshop.put(Task("anna", lambda task: None, is_long=True))
    workshop.put(Task("bert", lambda task: None, is_long=True))
    gate.open.set()


def test_who_waits_is_woken_by_progress(workshop):
    gate = Gate()
    task = workshop.put(Task("anna", gate, is_long=True))
    assert gate.began.wait(10)

    async def watch():
        waiting = asyncio.create_task(task.changed(task.revision, 10))
        await asyncio.sleep(0.01)
        task.progress(0.5, "half")
        await waiting
        return task.fraction

    assert asyncio.run(watch()) == 0.5
    gate.open.set()


def test_a_task_that_is_over_is_not_held(workshop):
    class Held:
        pass

    held = Held()
    seen = weakref.ref(held)
    task = workshop.put(Task("anna", lambda task, held=held: id(held)))
    finished(task)
    finished(workshop.put(Task("anna", lambda task: None)))
    del task, held
    gc.collect()
    assert seen() is None


def test_a_closed_workshop_takes_nothing():
    workshop = Workshop()
    gate = Gate()
    task = workshop.put(Task("anna", gate, is_long=True))
    workshop.close()
    assert task.state == "cancelled"
    with pytest.raises(ServerBusy, match="shutting down"):
        workshop.put(task)
