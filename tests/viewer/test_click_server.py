"""The panel *Click segmentation* on a server: the same masks, nothing lost, words for what is in the way."""

import threading

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")
pytest.importorskip("uvicorn", reason="needs the extra [server]")

from napari_effseg.viewer.click_state import ModelChoice
from napari_effseg.viewer.engine_choice import EngineSetting, Where, remembered

from .click_cases import Clicks, Fakes, add_balls, balls
from .servers import KEY, QUIET, Lab, impatient

pytestmark = QUIET

FIRST, SECOND = (9, 8, 5), (21, 18, 6)


@pytest.fixture(autouse=True)
def sessions(monkeypatch, tmp_path):
    monkeypatch.setenv("EFFSEG_SESSIONS", str(tmp_path / "sessions"))


@pytest.fixture
def lab():
    made = Lab().start()
    yield made
    made.stop()


@pytest.fixture
def setting():
    return EngineSetting()


@pytest.fixture
def clicks(viewer_model, inference, desk, setting):
    """The panel on this computer, with an image that is open."""
    add_balls(viewer_model)
    made = Clicks(viewer_model, inference, desk, Fakes(), setting, impatient())
    yield made.settle()
    made.close()


def test_a_click_on_a_server_gives_the_mask_of_this_computer(clicks, setting, lab):
    clicks.click(FIRST).click(SECOND)
    here = clicks.labels.data.copy()
    clicks.panel.undo()
    clicks.settle().panel.undo()
    lab.choose(setting)
    clicks.settle().click(FIRST).click(SECOND)
    assert clicks.now.models == (ModelChoice("clicks", "Clicks"),)
    assert lab.engine.live[-1].prompts.keys() == clicks.panel.room.prompts.keys()
    assert np.array_equal(clicks.labels.data, here)


def test_what_was_done_goes_along_to_the_server_and_back(clicks, setting, lab):
    clicks.click(FIRST)
    clicks.panel.finish()
    clicks.settle().click(SECOND)
    before = clicks.labels.data.copy()
    for choose in (lambda: lab.choose(setting), lambda: setting.choose(where=Where.HERE)):
        choose()
        clicks.settle()
        assert [one.label for one in clicks.now.objects] == [1]
        assert [prompt.index for prompt in clicks.panel.room.prompts.values()] == [SECOND]
        assert np.array_equal(clicks.labels.data, before)


def test_all_actions_work_on_a_server(clicks, setting, lab):
    lab.choose(setting)
    clicks.settle().click(FIRST)
    for action in ("next_mask", "carry", "undo", "redo", "finish"):
        getattr(clicks.panel, action)()
        clicks.settle()
        assert clicks.now.notice == "", action
    assert clicks.now.objects[0].volume_ml > 0


def test_a_film_goes_through_time_on_a_server_as_it_does_here(viewer_model, clicks, setting, lab):
    film = np.stack([np.roll(balls(), frame, axis=0).transpose(2, 1, 0) for frame in range(3)])
    image = viewer_model.add_image(film, name="film")
    clicks.panel.room.choose_image(image)
    viewer_model.dims.set_point(0, 0)
    clicks.settle().click(FIRST)
    clicks.panel.carry_through_time()
    here = clicks.settle().labels.data.copy()
    assert here.any(axis=(1, 2, 3)).all()
    clicks.panel.undo()
    clicks.settle().panel.undo()
    clicks.settle()
    lab.choose(setting)
    clicks.settle().click(FIRST)
    clicks.panel.carry_through_time()
    assert np.array_equal(clicks.settle().labels.data, here)
    assert lab.sessions == 3


def test_a_film_too_long_for_a_server_is_clicked_on_at_one_time(viewer_model, clicks, setting, lab):
    image = viewer_model.add_image(np.zeros((61, 4, 12, 12), np.float32), name="film")
    clicks.panel.room.choose_image(image)
    assert clicks.settle().now.frames == 61
    lab.choose(setting)
    assert clicks.settle().now.frames == 1
    assert lab.sessions == 1


def test_nothing_is_asked_of_a_server_before_all_of_it_is_known(clicks, setting, lab):
    setting.choose(where=Where.SERVER, url=lab.url)
    assert "key" in setting.wanted.missing
    assert clicks.click(FIRST).session.prompts
    assert setting.now.is_here


def test_a_wrong_key_is_a_sentence_and_the_right_one_goes_on(clicks, setting, lab, desk):
    clicks.click(FIRST)
    lab.choose(setting, key="a wrong key of some length")
    desk.until(lambda: clicks.now.problem)
    assert "does not know this key" in clicks.now.why_not
    assert "this computer" in clicks.now.why_not
    setting.choose(key=KEY)
    clicks.settle()
    assert next(iter(clicks.panel.room.prompts.values())).index == FIRST


def test_prompts_stay_when_the_server_dies_and_go_on_when_it_is_back(clicks, setting, lab, desk):
    lab.choose(setting)
    before = clicks.settle().click(FIRST).labels.data.copy()
    lab.stop()
    clicks.click(SECOND)
    assert "did not come back" in clicks.now.notice
    assert "choose this computer" in clicks.now.notice
    assert np.array_equal(clicks.labels.data, before)
    lab.start()
    clicks.click(SECOND)
    assert clicks.now.notice == ""
    assert len(clicks.now.prompts) == 2
    assert clicks.labels.data.sum() > before.sum()


def test_a_server_that_does_not_answer_is_not_asked_by_the_mouse(clicks, setting, lab, desk, monkeypatch):
    lab.choose(setting)
    clicks.settle().click(FIRST)
    lab.stop()
    clicks.click(SECOND)
    asked = []
    monkeypatch.setattr(clicks.panel.room.bench, "outline", lambda *_: asked.append("hover"))
    monkeypatch.setattr(clicks.panel.room.bench, "do", lambda *_: asked.append("slice"))
    clicks.panel.hover.at(clicks.show(SECOND))
    assert clicks.now.is_lost
    assert not asked


def test_work_goes_on_here_when_the_server_is_gone_for_good(clicks, setting, lab):
    lab.choose(setting)
    clicks.settle().click(FIRST)
    lab.stop()
    setting.choose(where=Where.HERE)
    clicks.settle().click(SECOND)
    assert [prompt.index for prompt in clicks.session.prompts.values()] == [FIRST, SECOND]


def test_a_session_of_a_server_is_saved_and_offered_again(viewer_model, inference, desk, setting, lab):
    add_balls(viewer_model)
    lab.choose(setting)

    def opened():
        return Clicks(viewer_model, inference, desk, Fakes(), setting, impatient()).settle()

    clicks = opened().click(FIRST)
    mask = clicks.labels.data.copy()
    clicks.close()
    viewer_model.layers.remove("balls objects")
    again = opened()
    assert again.now.offer is not None
    again.panel.room.resume()
    assert np.array_equal(again.settle().labels.data, mask)
    again.close()


def test_closing_frees_what_the_server_held(viewer_model, inference, desk, setting, lab):
    add_balls(viewer_model)
    lab.choose(setting)
    clicks = Clicks(viewer_model, inference, desk, Fakes(), setting, impatient())
    clicks.settle().click(FIRST)
    assert lab.held == 1
    clicks.close()
    assert lab.held == 0


def test_sessions_that_nobody_waited_for_do_not_pile_up(clicks, setting, lab):
    lab.choose(setting)
    clicks.settle()
    for _ in range(3):
        clicks.panel.room.open()
    clicks.settle()
    assert lab.sessions == 1


def test_the_window_never_waits_for_the_server(clicks, setting, lab, monkeypatch):
    from napari_effseg.server.transport import Transport

    threads, call = set(), Transport.call

    def watched(transport, *given, **named):
        threads.add(threading.current_thread().name)
        return call(transport, *given, **named)

    monkeypatch.setattr(Transport, "call", watched)
    lab.choose(setting)
    clicks.settle().click(FIRST)
    setting.choose(where=Where.HERE)
    clicks.settle()
    assert threads <= {"effseg-inference", "effseg-heartbeat"}


def test_the_address_is_remembered_and_the_key_is_not(setting, lab, tmp_path):
    lab.choose(setting, certificate="lab.pem")
    again = remembered()
    assert (again.where, again.url, again.key, again.certificate) == (Where.HERE, lab.url, "", "lab.pem")
    assert not any(KEY in file.read_text() for file in (tmp_path / "config").iterdir())
    assert KEY not in repr(setting.now)
