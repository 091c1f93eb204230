"""The dock *Fine-tune a model* in a real window: by mouse and keys, on a small screen, in both themes."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QLabel, QLineEdit

from napari_effseg.viewer.finetune_state import FinetuneStage
from tests.training.balls import ball_card

from .canvas import LEFT
from .finetune_cases import Played, add_ball, ball_model  # noqa: F401  a fixture
from .panels import PANEL, PLUGIN, TIMEOUT

pytestmark = pytest.mark.usefixtures("ball_model")


@pytest.fixture
def viewer(window):
    made = window(show=True)
    made.window.resize(1366, 768)
    return made


@pytest.fixture
def dock(viewer, monkeypatch, tmp_path):
    """The dock, with a process that only plays one."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Fine-tune a model")
    played = []

    def start(deliver, told):
        played.append(Played(deliver, told))
        return played[-1]

    widget.panel.runner._start_process = start
    widget.played = played
    return widget


@pytest.fixture
def ready(dock, viewer, qtbot):
    """Three cases, ready to be measured."""
    for number in range(3):
        add_ball(viewer, number)
    qtbot.wait(50)
    qtbot.waitUntil(lambda: len(dock.panel.store.now.images) == 3, timeout=TIMEOUT)
    qtbot.waitUntil(dock.case_rows.add_all.isEnabled, timeout=TIMEOUT)
    qtbot.mouseClick(dock.case_rows.add_all, LEFT)
    qtbot.waitUntil(lambda: len(dock.panel.store.now.cases) == 3, timeout=TIMEOUT)
    settle(qtbot, dock)
    dock.panel.choose_model("balls")
    settle(qtbot, dock)
    return dock


def settle(qtbot, dock):
    state = dock.panel.store
    qtbot.waitUntil(lambda: bool(state.now.models) and not state.now.is_looking, timeout=TIMEOUT)
    qtbot.wait(50)


def press(qtbot, dock):
    qtbot.waitUntil(dock.progress_rows.button.isEnabled, timeout=TIMEOUT)
    qtbot.mouseClick(dock.progress_rows.button, LEFT)
    qtbot.wait(50)


def measure(qtbot, dock):
    press(qtbot, dock)
    qtbot.waitUntil(lambda: bool(dock.played), timeout=TIMEOUT)
    return dock.played[-1]


def silent(dock):
    """Controls that are off and do not say why."""
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit)
    controls = [control for kind in kinds for control in dock.findChildren(kind)]
    own = [c for c in controls if not isinstance(c.parent(), (QComboBox, QAbstractSpinBox))]
    return [c for c in own if c.isVisible() and not c.isEnabled() and not c.toolTip()]


def test_from_cases_to_a_new_model_by_one_button(ready, viewer, qtbot, tmp_path):
    rows = ready.progress_rows
    assert rows.button.text() == "Meas&ure what it takes"
    process = measure(qtbot, ready)
    assert rows.button.text() == "Cancel"
    process.plan()
    qtbot.wait(50)
    assert rows.button.text() == "Fine-t&une"
    shown = {name.text(): value.text() for name, value in rows.plan.lines}
    assert shown["Memory"] == "1.0 GB of 8.0 GB, on CPU, 2 threads"
    press(qtbot, ready)
    assert process.heard == ["run"]
    process.say(
        "points",
        points=[{"step": 12, "mean_dice": 0.5}, {"step": 24, "mean_dice": 0.7}],
        before={"ball": 0.1},
    )
    process.say("progress", fraction=0.5, message="step 24 of 120")
    qtbot.wait(50)
    assert rows.button.text() == "Stop"
    assert rows.curve.isVisible()
    assert "Dice 0.700 at step 24" in rows.curve.toolTip()
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    made = ball_card(tmp_path / "run", name="balls-finetuned", seed=5)
    scores = {"mean": 0.9, "labels": {"ball": 0.9}}
    done = {"steps": 120, "seconds": 60.0, "warnings": [], "folder": "x"}
    process.say("done", card=str(made.path), before=scores, after=scores, **done)
    qtbot.waitUntil(lambda: "ball_2 after" in viewer.layers, timeout=TIMEOUT)
    qtbot.wait(50)
    assert [rows.scores.item(0, column).text() for column in range(3)] == ["ball", "0.900", "0.900"]
    chooser = panel.panel.store
    qtbot.waitUntil(
        lambda: any(option.card.name == "balls-finetuned" for option in chooser.now.options), timeout=TIMEOUT
    )


def test_every_control_that_is_off_says_why(dock, viewer, qtbot):
    qtbot.wait(50)
    assert silent(dock) == []
    add_ball(viewer, 0)
    settle(qtbot, dock)
    assert silent(dock) == []
    assert dock.progress_rows.why_not.text() == dock.panel.store.now.why_not_prepare
    add_ball(viewer, 1)
    qtbot.wait(50)
    qtbot.mouseClick(dock.case_rows.add_all, LEFT)
    dock.panel.choose_model("balls")
    settle(qtbot, dock)
    measure(qtbot, dock)
    assert silent(dock) == []


def test_cases_are_held_back_and_removed_and_labels_named_by_hand(ready, qtbot):
    lines = ready.case_rows.lines
    lines.item(1, 2).setCheckState(Qt.CheckState.Checked)
    qtbot.wait(50)
    assert [case.hold_back for case in ready.panel.store.now.cases] == [False, True, False]
    lines.setCurrentCell(0, 0)
    qtbot.mouseClick(ready.case_rows.remove, LEFT)
    qtbot.wait(50)
    assert [case.image.name for case in ready.panel.store.now.cases] == ["ball_1", "ball_2"]
    settle(qtbot, ready)
    box = ready.structure_rows.boxes[1]
    assert box.currentText() == "ball"
    box.lineEdit().selectAll()
    qtbot.keyClicks(box, "cube")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    settle(qtbot, ready)
    assert ready.panel.store.now.structures[0].name == "cube"
    assert ready.structure_rows.lines.item(0, 2).text() == "new"


def test_escape_stops_and_a_stopped_run_can_go_on(ready, qtbot):
    process = measure(qtbot, ready)
    process.plan()
    qtbot.wait(50)
    press(qtbot, ready)
    ready.stop_key.activated.emit()
    ready.stop_key.activated.emit()  # once more ends nothing
    assert process.heard == ["run", "stop"]
    process.say("failed", kind="cancelled", message="stopped after 7 steps", details="")
    qtbot.wait(50)
    assert ready.progress_rows.go_on.isVisible()
    qtbot.mouseClick(ready.progress_rows.go_on, LEFT)
    assert ready.played[-1].asked[2]["resume"]


def test_closing_the_window_stops_the_run(ready, viewer, qtbot):
    process = measure(qtbot, ready)
    process.plan()
    qtbot.wait(50)
    press(qtbot, ready)
    viewer.close()
    assert process.is_closed


def test_no_letter_with_alt_means_two_things(ready, viewer, qtbot):
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    _, reading = viewer.window.add_plugin_dock_widget(PLUGIN, "Image reading")
    qtbot.wait(100)
    texts = [action.text() for action in ready.window().menuBar().actions()]
    for one in (ready, panel, reading):
        texts += [part.text() for kind in (QAbstractButton, QLabel) for part in one.findChildren(kind)]
    letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert len(set(letters)) == len(letters)


def test_the_dock_fits_a_small_screen(ready, viewer, qtbot):
    viewer.theme = "light"
    process = measure(qtbot, ready)
    process.plan()
    qtbot.waitUntil(lambda: ready.panel.store.now.stage is FinetuneStage.READY, timeout=TIMEOUT)
    qtbot.wait(100)
    assert ready.window().width() <= 1366
    assert ready.window().height() <= 768
    assert ready.scroll.widget().width() <= ready.scroll.viewport().width()
    for control in (ready.case_rows.lines, ready.structure_rows.lines, ready.progress_rows.button):
        assert control.mapTo(ready, control.rect().bottomRight()).x() <= ready.width()
    button = ready.progress_rows.button
    top = button.mapTo(ready.scroll.viewport(), button.rect().topLeft()).y()
    assert 0 <= top <= ready.scroll.viewport().height() - button.height()
    assert QApplication.activeModalWidget() is None
