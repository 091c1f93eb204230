"""Where networks run: the rows that both panels share, and what they say of a server."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")
pytest.importorskip("uvicorn", reason="needs the extra [server]")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit

from napari_effseg.server import client
from napari_effseg.viewer.engine_choice import EngineChoice, EngineSetting, Where, shared_setting
from napari_effseg.viewer.engine_desk import EngineDesk

from .click_cases import Fakes, add_balls
from .panels import PANEL, PLUGIN, TIMEOUT
from .servers import KEY, QUIET, Lab, impatient

pytestmark = QUIET

SERVER = {"where": Where.SERVER}


@pytest.fixture(scope="module")
def lab():
    made = Lab().start()
    yield made
    made.stop()


@pytest.fixture
def setting():
    return EngineSetting()


@pytest.fixture
def engine(setting, inference):
    made = EngineDesk(setting, inference, impatient())
    yield made
    made.close()


@pytest.fixture
def rows(engine, qtbot):
    from napari_effseg.viewer.engine_rows import EngineRows

    made = EngineRows(engine)
    qtbot.addWidget(made)
    made.show()
    return made


def tried(engine, desk):
    engine.try_out()
    desk.until(lambda: not engine.is_trying, "the answer")
    return engine.note


# --- what is chosen ---


def test_work_is_done_here_until_all_of_a_server_is_known(setting):
    seen = []
    setting.changed.connect(lambda: seen.append(setting.now.place))
    setting.choose(**SERVER)
    setting.choose(url="gpu.lab:8765")
    setting.choose(key="x")
    assert seen == ["this computer", "this computer", "gpu.lab:8765"]


def test_a_server_is_not_taken_up_again_by_itself(setting):
    setting.choose(**SERVER, url="https://gpu.lab:8765", key=KEY)
    again = EngineSetting()
    assert again.now.is_here
    assert (again.wanted.url, again.wanted.key) == ("https://gpu.lab:8765", "")


def test_a_damaged_note_is_as_good_as_none(setting, tmp_path):
    setting.choose(**SERVER, url="https://gpu.lab:8765", key=KEY)
    (file,) = (tmp_path / "config").iterdir()
    file.write_text("[")
    assert EngineSetting().wanted == EngineChoice()


@pytest.mark.parametrize(
    ("url", "is_kept"),
    [("https://gpu.lab:9", True), ("https://other.lab:8765", False), ("http://gpu.lab:8765", False)],
)
def test_a_key_is_not_shown_to_another_machine(setting, url, is_kept):
    setting.choose(**SERVER, url="https://gpu.lab:8765", key=KEY)
    setting.choose(url=url)
    assert bool(setting.wanted.key) is is_kept
    assert setting.now.url == (url if is_kept else "https://gpu.lab:8765")


@pytest.mark.parametrize(
    ("url", "is_warned"),
    [("http://gpu.lab:1", True), ("gpu.lab", True), ("https://gpu.lab", False), ("localhost:1", False)],
)
def test_a_way_that_is_not_encrypted_is_said(url, is_warned):
    assert bool(EngineChoice(Where.SERVER, url).warning) is is_warned


# --- trying it out ---


def test_a_server_that_answers_says_what_it_has(engine, desk, lab):
    lab.choose(engine.setting)
    said = tried(engine, desk)
    assert "answers: 2 models, on cpu (tests)" in said
    assert "are sent to 127.0.0.1" in said
    assert not engine.is_problem


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://127.0.0.1:9"}, "Nothing listens at 127.0.0.1:9"),
        ({"url": "nonsense://"}, "is no address"),
        ({"key": "a wrong key of some length"}, "does not know this key"),
        ({"url": "https{rest}"}, "does not speak TLS"),
        ({"url": "https{rest}", "certificate": "/nowhere.pem"}, "is no certificate"),
    ],
)
def test_what_is_in_the_way_is_told_apart(engine, desk, lab, fields, words):
    filled = {name: text.format(url=lab.url, rest=lab.url[4:]) for name, text in fields.items()}
    lab.choose(engine.setting, **filled)
    assert words in tried(engine, desk)
    assert engine.is_problem


def test_another_kind_of_server_is_told_apart(engine, desk, lab):
    other = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=other.handle_request, daemon=True).start()
    lab.choose(engine.setting, url=f"127.0.0.1:{other.server_port}")
    assert "no effseg server" in tried(engine, desk)
    other.server_close()


def test_another_version_is_told_apart(engine, desk, lab, monkeypatch):
    monkeypatch.setattr(client, "PROTOCOL", (2, 0))
    lab.choose(engine.setting)
    assert "speaks protocol 1.0" in tried(engine, desk)


def test_an_answer_about_another_server_is_dropped(engine, desk, lab):
    lab.choose(engine.setting)
    engine.try_out()
    engine.choose(url="127.0.0.1:9")
    while desk.waiting:
        desk.look()
    assert "answers" not in engine.note


# --- the rows ---


def test_they_are_folded_away_and_say_where_networks_run(rows):
    assert rows.fold.text() == "Networ&ks run on this computer"
    assert not rows.where.isVisible()


def test_a_server_is_chosen_by_the_keyboard_alone(rows, qtbot, lab):
    qtbot.keyClick(rows.fold, Qt.Key.Key_Space)
    assert not rows.url.isVisible()
    qtbot.keyClick(rows.where, Qt.Key.Key_Down)
    for field, text in ((rows.url, lab.url), (rows.key, KEY)):
        assert field.isVisible()
        assert not rows.test.isEnabled()
        assert "Give the" in rows.note.text()
        qtbot.keyClicks(field, text)
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert rows.test.isEnabled()
    assert rows.fold.text() == f"Networ&ks run on {lab.url.removeprefix('http://')}"


def test_a_key_that_was_forgotten_leaves_its_field(rows):
    rows.desk.choose(**SERVER, url="https://gpu.lab", key=KEY)
    rows.key.setFocus()
    rows.desk.choose(url="https://other.lab")
    assert rows.key.text() == ""


def test_the_key_is_not_shown_and_its_tip_says_that_it_is_not_saved(rows):
    assert rows.key.echoMode() == QLineEdit.EchoMode.Password
    assert "never saved" in rows.key.toolTip()


def test_nothing_can_be_chosen_while_something_runs(rows):
    rows.show_busy("Wait.", {})
    for control in (rows.where, rows.url, rows.key, rows.certificate, rows.browse, rows.test):
        assert (control.isEnabled(), control.toolTip()) == (False, "Wait.")


# --- in both panels ---


def test_both_panels_follow_one_choice_and_let_go_of_the_server(
    window, qtbot, cards, lab, monkeypatch, tmp_path
):
    monkeypatch.setenv("EFFSEG_SESSIONS", str(tmp_path / "sessions"))
    fakes = Fakes()
    monkeypatch.setattr("napari_effseg.viewer.click_desk.Opener", lambda: fakes)
    viewer = window(show=True)
    viewer.window.resize(1366, 768)
    viewer.theme = "light"
    add_balls(viewer)
    docks = [viewer.window.add_plugin_dock_widget(PLUGIN, name)[1] for name in (PANEL, "Click segmentation")]
    automatic, click = docks
    lab.choose(shared_setting(viewer))
    qtbot.waitUntil(lambda: automatic.panel.store.now.model == "bright", timeout=TIMEOUT)
    qtbot.waitUntil(lambda: click.desk.store.now.is_ready, timeout=TIMEOUT)
    for dock in docks:
        dock.engine_rows.fold.setChecked(True)
        qtbot.wait(50)
        assert_keeps_the_rules(dock)
    assert not automatic.device_row.isVisible()
    assert lab.held == 1
    for dock in docks:
        viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: lab.held == 0, timeout=TIMEOUT)


def assert_keeps_the_rules(dock):
    """Its letter is nobody else's, every field has a name and a tip, and the dock is as narrow as before."""
    parts = [part for kind in (QAbstractButton, QLabel) for part in dock.findChildren(kind)]
    texts = [part.text() for part in parts if part.isVisible()]
    texts += [action.text() for action in dock.window().menuBar().actions()]
    letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert letters.count("k") == 1
    for field in (part for kind in (QLineEdit, QComboBox) for part in dock.engine_rows.findChildren(kind)):
        assert field.accessibleName()
        assert field.toolTip()
    assert dock.width() <= 400
    assert dock.scroll.widget().width() <= dock.scroll.viewport().width()
