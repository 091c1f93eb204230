"""The panel *Click segmentation* with a network, untrained, through `open_session` as in use."""

import pytest

from napari_effseg.io.effseg import read_session
from napari_effseg.viewer.click_desk import ClickDesk
from napari_effseg.viewer.click_opening import models_for_clicks
from tests.session.test_sessions import promptable

from .click_cases import Clicks, add_balls


@pytest.fixture
def clicks(viewer_model, inference, desk, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CARDS", str(tmp_path))
    monkeypatch.setenv("EFFSEG_SESSIONS", str(tmp_path / "sessions"))
    promptable(tmp_path, name="prompt-ours", dice=0.99)
    add_balls(viewer_model)
    made = Clicks(viewer_model, inference, desk, None)
    yield made
    made.panel.close()


def test_models_that_answer_clicks_are_listed(clicks):
    clicks.settle()
    assert "prompt-ours" in [choice.name for choice in clicks.now.models]
    assert "prompt-ours" in [choice.name for choice in models_for_clicks()]


def test_a_network_answers_and_its_session_goes_on(clicks, viewer_model, inference, desk):
    clicks.settle().click((9, 8, 5)).click((21, 18, 6), positive=False)
    clicks.panel.finish()
    clicks.settle()
    clicks.until(lambda: clicks.now.saved)
    labels = clicks.labels.data.copy()
    assert labels.any()
    clicks.panel.close()
    again = Clicks(viewer_model, inference, desk, None)
    assert isinstance(again.panel, ClickDesk)
    again.settle()
    assert again.now.offer is not None
    again.panel.room.resume()
    again.settle()
    assert (again.labels.data == labels).all()
    again.panel.close()


def test_the_model_can_be_changed_in_the_middle(clicks, tmp_path):
    promptable(tmp_path, name="prompt-other", dice=0.1)
    clicks.panel.room.look_for_models()
    clicks.settle().click((9, 8, 5))
    before = clicks.labels.data.copy()
    clicks.panel.room.choose_model("prompt-other")
    clicks.settle()
    assert (clicks.labels.data == before).all()
    assert [type(layer).__name__ for layer in clicks.viewer.layers].count("Labels") == 1
    assert clicks.click((21, 18, 6)).now.undo == "point"
    clicks.panel.room.saver.rest()
    clicks.until(lambda: clicks.now.saved)
    (kept,) = (tmp_path / "sessions").glob("*.effseg")
    assert read_session(kept).model == "prompt-other"


def test_labels_stay_where_the_image_is_opened_anew_after_a_model_was_chosen(clicks, tmp_path):
    promptable(tmp_path, name="prompt-other", dice=0.1)
    clicks.panel.room.look_for_models()
    clicks.settle().click((9, 8, 5))
    first = clicks.labels
    clicks.panel.room.choose_model("prompt-other")
    clicks.panel.room.stop_opening()
    clicks.panel.room.open()
    clicks.settle()
    assert first in clicks.viewer.layers
    assert first.data.any()


def test_a_session_whose_model_is_gone_goes_on_with_another_and_says_so(clicks, tmp_path):
    clicks.settle().click((9, 8, 5))
    clicks.panel.save_to(tmp_path / "mine.effseg")
    clicks.until(lambda: clicks.now.saved)
    promptable(tmp_path, name="prompt-other", dice=0.99)
    (tmp_path / "prompt-ours.toml").unlink()
    clicks.panel.open_from(tmp_path / "mine.effseg")
    clicks.settle()
    assert "goes on with prompt-other" in clicks.now.notice
    assert clicks.labels.data.any()
