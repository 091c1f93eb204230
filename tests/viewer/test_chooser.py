"""The chooser of models in a real window: typed, clicked, ticked, and without a mouse."""

import pytest
from qtpy.QtCore import QPoint, Qt

from napari_effseg.viewer import layers
from napari_effseg.zoo import built_in_cards
from tests.zoo.synthetic import synthetic_card

from .canvas import LEFT
from .panels import PANEL, PLUGIN, TIMEOUT, add


@pytest.fixture
def widget(window, qtbot, cards, ct):
    """The dock with a CT volume, three models that fit it, and the chooser unfolded."""
    synthetic_card(cards, name="second", title="Kidney and liver, again", seed=5)
    viewer = window(show=True)
    viewer.window.resize(1366, 768)
    add(viewer, ct)
    _, made = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    settle(qtbot, made)
    qtbot.mouseClick(made.model_rows.compare, LEFT)
    return made


def settle(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.panel.store.now.is_checking, timeout=TIMEOUT)
    qtbot.wait(50)


def names(widget):
    lines = widget.model_rows.chooser.lines
    return [lines.item(row, 0).text() for row in range(lines.rowCount())]


def ticked(widget):
    lines = widget.model_rows.chooser.lines
    rows = range(lines.rowCount())
    return [
        lines.item(row, 0).text() for row in rows if lines.item(row, 0).checkState() == Qt.CheckState.Checked
    ]


def box_of(widget, name):
    """Middle of the box to tick, in the table's own pixels."""
    lines = widget.model_rows.chooser.lines
    rect = lines.visualItemRect(lines.item(names(widget).index(name), 0))
    return QPoint(rect.left() + 9, rect.center().y())


def test_the_chooser_is_folded_away_until_it_is_wanted(widget, qtbot):
    rows = widget.model_rows
    assert rows.chooser.isVisible()
    qtbot.mouseClick(rows.compare, LEFT)
    assert not rows.chooser.isVisible()
    assert rows.facts.isVisible()
    facts = {name.text(): value.text() for name, value in rows.facts.lines}
    assert facts["Labels"] == "left kidney, liver"
    assert facts["Accuracy"] == "not measured"
    assert facts["Time here"].startswith("about ")
    assert "(estimated)" in facts["Time here"]
    assert facts["Memory"].endswith(" GB")
    assert facts["Licence"] == "CC0-1.0"


def test_models_are_found_by_typing_and_by_modality(widget, qtbot):
    chooser = widget.model_rows.chooser
    assert names(widget)[:2] == ["quick", "second"]
    qtbot.keyClicks(chooser.organ, "hippo")
    qtbot.waitUntil(lambda: "quick" not in names(widget), timeout=TIMEOUT)
    assert set(names(widget)) == {card.name for card in built_in_cards() if "hippocampus" in card.name}
    chooser.modality.setCurrentIndex(chooser.modality.findData("CT"))
    chooser.modality.activated.emit(chooser.modality.currentIndex())
    qtbot.waitUntil(chooser.none.isVisible, timeout=TIMEOUT)
    assert "by themselves: hippo: hippocampus-lightm-unet" in chooser.none.text()
    chooser.organ.clear()
    qtbot.waitUntil(lambda: names(widget) == ["quick", "second"], timeout=TIMEOUT)
    qtbot.mouseClick(widget.model_rows.compare, LEFT)
    qtbot.wait(50)
    assert widget.panel.store.now.wish.is_empty


def test_a_model_that_does_not_fit_is_off_and_says_why(widget):
    lines = widget.model_rows.chooser.lines
    row = names(widget).index("hippocampus-lightm-unet")
    assert not lines.item(row, 0).flags() & Qt.ItemFlag.ItemIsEnabled
    assert lines.item(row, 1).text() == "It takes MR."
    assert "It takes MR." in lines.item(row, 0).toolTip()


def test_boxes_are_ticked_to_queue_and_a_line_is_clicked_to_choose_one(widget, qtbot):
    chooser = widget.model_rows.chooser
    settle(qtbot, widget)
    for name in ("second", "quick"):
        if name not in ticked(widget):
            qtbot.mouseClick(chooser.lines.viewport(), LEFT, pos=box_of(widget, name))
            settle(qtbot, widget)
    assert set(ticked(widget)) == {"quick", "second"}
    assert widget.run_rows.button.text() == "&Run 2 models"
    assert "the label of the earlier one stays" in chooser.order.text()
    assert widget.model_rows.model.placeholderText() == "2 models, one after the other"
    qtbot.mouseClick(chooser.later_wins, LEFT, pos=QPoint(8, chooser.later_wins.height() // 2))
    qtbot.waitUntil(lambda: "the later one stays" in chooser.order.text(), timeout=TIMEOUT)
    line = chooser.lines.visualItemRect(chooser.lines.item(names(widget).index("second"), 2))
    qtbot.mouseClick(chooser.lines.viewport(), LEFT, pos=line.center())
    settle(qtbot, widget)
    assert ticked(widget) == ["second"]
    assert widget.run_rows.button.text() == "&Run"
    assert not chooser.order.isVisible()


def test_the_keyboard_alone_queues_and_runs(widget, qtbot):
    lines = widget.model_rows.chooser.lines
    lines.setFocus()
    lines.setCurrentCell(names(widget).index("quick"), 0)
    qtbot.keyClick(lines, Qt.Key.Key_Return)
    settle(qtbot, widget)
    assert ticked(widget) == ["quick"]
    lines.setCurrentCell(names(widget).index("second"), 0)
    qtbot.keyClick(lines, Qt.Key.Key_Space)
    settle(qtbot, widget)
    assert widget.panel.store.now.chosen == ("quick", "second")
    qtbot.keyClick(widget.run_rows.button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: widget.panel.store.now.is_idle, timeout=TIMEOUT)
    qtbot.wait(50)
    found = layers.labels_of_layer(widget._viewer.layers["scan segmentation"])
    assert list(found.names.values())[2:] == ["left kidney (second)", "liver (second)"]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_chooser_fits_the_dock_on_a_small_screen(widget, qtbot, theme):
    widget._viewer.theme = theme
    widget.panel.choose_model("quick")
    widget.panel.queue_model("second", True)
    settle(qtbot, widget)
    qtbot.wait(50)
    chooser = widget.model_rows.chooser
    assert widget.scroll.widget().width() <= widget.scroll.viewport().width()
    assert not chooser.lines.horizontalScrollBar().isVisible()
    for control in (chooser.modality, chooser.lines, chooser.later_wins):
        assert control.mapTo(widget, control.rect().bottomRight()).x() <= widget.width()
