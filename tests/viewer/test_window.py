"""A real window: mouse, keyboard, cancel, closing in the middle, themes, a small screen."""

import threading

import numpy as np
import pytest
from napari.layers import Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
)

import napari_effseg as eff
from napari_effseg.viewer import layers
from napari_effseg.viewer.looks import text_colours
from napari_effseg.viewer.state import Stage
from napari_effseg.volume import Volume, same_grid

from .builders import affine_of
from .canvas import LEFT, drag
from .panels import PANEL, PLUGIN, TIMEOUT, add

pytestmark = pytest.mark.usefixtures("cards")


@pytest.fixture
def viewer(window):
    made = window(show=True)
    made.window.resize(1366, 768)
    return made


@pytest.fixture
def open_panel(viewer):
    def opened():
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
        return widget

    return opened


def settle(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.panel.store.now.is_checking, timeout=TIMEOUT)
    qtbot.wait(50)


def finish(qtbot, widget):
    qtbot.waitUntil(lambda: widget.panel.store.now.is_idle, timeout=TIMEOUT)
    qtbot.wait(50)


def press(qtbot, button):
    qtbot.mouseClick(button, LEFT)


def inference_threads():
    return [thread for thread in threading.enumerate() if thread.name == "effseg-inference"]


@pytest.fixture
def slow_ct():
    """Many windows for the quick model, so that a run can be met in its middle."""
    values = np.zeros((160, 160, 60), np.int16)
    values[::2] = 500
    return Volume(values, affine_of("LPS"), modality="CT")


def test_one_press_of_the_button_gives_named_coloured_labels_in_place(viewer, open_panel, qtbot, ct):
    image, widget = add(viewer, ct), open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    labels = viewer.layers["scan segmentation"]
    assert labels.data_to_world((1, 2, 3)) == image.data_to_world((1, 2, 3))
    assert widget.table.isVisible()
    names = [widget.table.lines.item(line, 1).text() for line in range(widget.table.lines.rowCount())]
    assert names == ["left kidney", "liver"]
    assert widget.run_rows.status.text().startswith("Done in ")
    assert "scan doubt" in viewer.layers


def test_a_click_on_a_line_selects_the_label_and_goes_to_it(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    labels, lines = viewer.layers["scan segmentation"], widget.table.lines
    viewer.dims.set_current_step(0, 0)
    qtbot.mouseClick(lines.viewport(), LEFT, pos=lines.visualItemRect(lines.item(1, 1)).center())
    assert labels.selected_label == 2
    (row,) = (row for row in widget.panel.table.now.rows if row.label == 2)
    index = np.round(layers.index_of_world(labels, viewer.dims.point, viewer.dims.displayed))
    wanted = np.linalg.inv(ct.affine) @ (*row.place_ras, 1)
    along = int(np.argmax(np.abs(ct.affine[2, :3])))
    assert index[along] == pytest.approx(wanted[along], abs=1)


def test_enter_on_a_line_does_the_same(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    lines = widget.table.lines
    lines.setCurrentCell(1, 1)
    qtbot.keyClick(lines, Qt.Key.Key_Return)
    assert viewer.layers["scan segmentation"].selected_label == 2


def test_run_becomes_cancel_and_cancel_leaves_nothing(viewer, open_panel, qtbot, slow_ct):
    add(viewer, slow_ct)
    widget = open_panel()
    settle(qtbot, widget)
    button = widget.run_rows.button
    assert button.text() == "&Run"
    press(qtbot, button)
    qtbot.waitUntil(lambda: widget.run_rows.status.text().startswith("Window"), timeout=TIMEOUT)
    assert button.text() == "&Cancel"
    assert widget.run_rows.progress.isVisible()
    press(qtbot, button)
    finish(qtbot, widget)
    assert widget.run_rows.status.text() == "Cancelled; nothing was changed."
    assert button.text() == "&Run"
    assert len(viewer.layers) == 1


def test_the_keyboard_alone_runs_and_cancels(viewer, open_panel, qtbot, slow_ct):
    add(viewer, slow_ct)
    widget = open_panel()
    settle(qtbot, widget)
    widget.window().activateWindow()
    widget.run_rows.button.setFocus()
    qtbot.keyClick(widget.run_rows.button, Qt.Key.Key_Space)
    assert widget.panel.store.now.stage is Stage.RUNNING
    qtbot.waitUntil(widget.cancel_key.isEnabled, timeout=TIMEOUT)
    widget.cancel_key.activated.emit()  # without a window manager no window is active, and no key arrives
    assert widget.panel.store.now.stage is not Stage.RUNNING
    finish(qtbot, widget)
    assert "Cancelled" in widget.run_rows.status.text()


def test_tab_goes_through_the_controls_from_top_to_bottom(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    wanted = [
        widget.image_rows.image,
        widget.model_rows.model,
        widget.device_row.device,
        widget.region_rows.layer,
        widget.region_rows.draw,
        widget.run_rows.button,
    ]
    passed, at = [], widget.image_rows.image
    while widget.isAncestorOf(at):
        if at in wanted:
            passed.append(at)
        at = at.nextInFocusChain()
    assert passed == wanted


def test_every_control_that_is_off_says_why(viewer, open_panel, qtbot, ct):
    widget = open_panel()
    settle(qtbot, widget)

    def silent():
        kinds = (QAbstractButton, QComboBox, QAbstractSpinBox)
        controls = [control for kind in kinds for control in widget.findChildren(kind)]
        return [c for c in controls if c.isVisible() and not c.isEnabled() and not c.toolTip()]

    assert silent() == []
    assert widget.run_rows.plan.text() == widget.panel.store.now.why_not_run
    add(viewer, ct)
    settle(qtbot, widget)
    assert silent() == []
    press(qtbot, widget.run_rows.button)
    qtbot.wait(30)
    assert silent() == []
    finish(qtbot, widget)
    assert silent() == []


def test_no_letter_with_alt_means_two_things(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    _, reading = viewer.window.add_plugin_dock_widget(PLUGIN, "Image reading")
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    texts = [action.text() for action in widget.window().menuBar().actions()]
    for dock in (widget, reading):
        parts = [*dock.findChildren(QAbstractButton), *dock.findChildren(QLabel)]
        texts += [part.text() for part in parts if part.isVisible()]
    letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert len(letters) > 12
    assert len(set(letters)) == len(letters)


def test_models_that_do_not_fit_cannot_be_chosen_and_say_why(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    box = widget.model_rows.model
    items = {box.itemText(at): box.model().item(at) for at in range(box.count())}
    assert items["quick"].isEnabled()
    assert not items["hippocampus-lightm-unet"].isEnabled()
    assert "It takes MR." in items["hippocampus-lightm-unet"].toolTip()
    press(qtbot, widget.model_rows.why)
    assert "hippocampus-lightm-unet: It takes MR." in widget.model_rows.reasons.text()


def test_a_wrong_layer_is_a_sentence_and_no_box(viewer, open_panel, qtbot):
    viewer.add_image(np.zeros((2, 2, 8, 8, 8), np.float32))
    widget = open_panel()
    settle(qtbot, widget)
    assert not widget.run_rows.button.isEnabled()
    assert "has 5 axes" in widget.model_rows.reasons.text()
    assert QApplication.activeModalWidget() is None


def test_closing_the_window_in_the_middle_of_a_run_is_clean(viewer, open_panel, qtbot, slow_ct):
    add(viewer, slow_ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    qtbot.waitUntil(lambda: widget.panel.store.now.message.startswith("Window"), timeout=TIMEOUT)
    viewer.close()
    qtbot.waitUntil(lambda: not inference_threads(), timeout=TIMEOUT)


def test_closing_the_panel_ends_its_thread_and_it_can_be_opened_again(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not inference_threads(), timeout=TIMEOUT)
    again = open_panel()
    settle(qtbot, again)
    press(qtbot, again.run_rows.button)
    finish(qtbot, again)
    assert "scan segmentation" in viewer.layers


def test_nothing_is_read_or_computed_in_the_thread_of_the_window(
    viewer, open_panel, qtbot, ct, monkeypatch, tmp_path
):
    from napari_effseg import engine
    from napari_effseg.viewer import label_table, running

    seen = {}

    def watched(module, name):
        inner = getattr(module, name)

        def outer(*arguments, **keywords):
            seen[name] = threading.current_thread().name
            return inner(*arguments, **keywords)

        monkeypatch.setattr(module, name, outer)

    for name in ("misfit", "plan_segmentation", "segment", "available_devices"):
        watched(engine, name)
    watched(running, "measure_labels")
    watched(label_table, "save_labels_layer")
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "a.nii.gz"), "NIfTI (*.nii.gz)")
    )
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    press(qtbot, widget.table.save_labels)
    qtbot.waitUntil(lambda: not widget.panel.table.now.is_saving, timeout=TIMEOUT)
    assert len(seen) == 6
    assert set(seen.values()) == {"effseg-inference"}


# --- region ---


@pytest.mark.parametrize("tilt", [0.0, 14.0])
def test_a_region_is_drawn_with_the_mouse(viewer, open_panel, qtbot, tilt):
    values = np.random.default_rng(0).normal(0, 300, (40, 44, 36)).astype(np.int16)
    affine = affine_of("LPS", tilt, spacing=(2, 2, 2))
    image = add(viewer, Volume(values, affine, modality="CT"))
    widget = open_panel()
    settle(qtbot, widget)
    qtbot.wait(200)
    press(qtbot, widget.region_rows.draw)
    middle = np.asarray(image.extent.world).mean(axis=0)
    drag(viewer, middle[1:] - 16, middle[1:] + 16)
    qtbot.waitUntil(lambda: widget.panel.store.now.region is not None, timeout=TIMEOUT)
    settle(qtbot, widget)
    rows = widget.region_rows
    assert rows.first.isVisible()
    assert rows.last.value() - rows.first.value() == pytest.approx(16, abs=3)
    rows.first.setValue(10)
    rows.last.setValue(20)
    assert (widget.panel.store.now.region.first, widget.panel.store.now.region.last) == (10, 20)
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    data = viewer.layers["scan segmentation"].data
    assert data[10:21].any()
    assert not data[:10].any()
    assert not data[21:].any()
    press(qtbot, rows.clear)
    assert widget.panel.store.now.region is None
    for _ in range(3):  # with software OpenGL napari would end here, had the layer been removed
        viewer.screenshot(canvas_only=True, flash=False)


# --- results ---


def test_labels_saved_with_the_button_open_again_as_they_were(
    viewer, open_panel, qtbot, ct, monkeypatch, tmp_path
):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    before = layers.labels_of_layer(viewer.layers["scan segmentation"])
    chosen = (str(tmp_path / "organs"), "NRRD segmentation, for 3D Slicer (*.seg.nrrd)")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: chosen)
    press(qtbot, widget.table.save_labels)
    qtbot.waitUntil(lambda: "Wrote" in widget.table.note.text(), timeout=TIMEOUT)
    viewer.layers.clear()
    (again,) = viewer.open(str(tmp_path / "organs.seg.nrrd"), plugin=PLUGIN)
    assert isinstance(again, Labels)
    after = layers.labels_of_layer(again)
    assert np.array_equal(after.data, before.data)
    assert same_grid(after.grid, ct.grid)
    assert (after.names, after.colours, after.codes) == (before.names, before.colours, before.codes)


def test_the_table_goes_to_a_file_and_to_the_clipboard(viewer, open_panel, qtbot, ct, monkeypatch, tmp_path):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "t.csv"), ""))
    press(qtbot, widget.table.save_table)
    qtbot.waitUntil(lambda: "Wrote" in widget.table.note.text(), timeout=TIMEOUT)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "label,name,voxels,volume_ml,mean_intensity"
    assert lines[1].startswith("1,left kidney,")
    press(qtbot, widget.table.copy)
    assert QApplication.clipboard().text().splitlines()[2].startswith("2\tliver\t")


def test_a_place_where_nothing_can_be_written_is_a_sentence(
    viewer, open_panel, qtbot, ct, monkeypatch, tmp_path
):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    chosen = (str(tmp_path / "missing" / "a.nii.gz"), "")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: chosen)
    press(qtbot, widget.table.save_labels)
    qtbot.waitUntil(lambda: not widget.panel.table.now.is_saving, timeout=TIMEOUT)
    assert widget.panel.table.now.is_problem
    assert "missing" in widget.table.note.text()


def test_painting_measures_again(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    labels = viewer.layers["scan segmentation"]
    before = {row.label: row.voxels for row in widget.panel.table.now.rows}
    labels.data[:] = 1
    labels.paint((5, 5, 5), 2)
    qtbot.waitUntil(lambda: not widget.panel.table.now.is_measuring, timeout=TIMEOUT)
    qtbot.waitUntil(
        lambda: {row.label: row.voxels for row in widget.panel.table.now.rows} != before, timeout=TIMEOUT
    )


def test_labels_that_are_selected_are_measured(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    labels = eff.segment(ct, "quick").labels
    viewer.add_layer(Layer.create(*layers.labels_layer(labels, name="older")))
    qtbot.waitUntil(lambda: bool(widget.panel.table.now.rows), timeout=TIMEOUT)
    assert widget.panel.table.now.image == "scan"
    assert {row.label: row.volume_ml for row in widget.panel.table.now.rows} == pytest.approx(
        labels.volumes_ml()
    )


# --- looks ---


def contrast(one, other):
    """Ratio of luminances as WCAG defines it."""

    def luminance(colour):
        parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_trouble_and_warnings_can_be_read_in_both_themes(theme):
    from napari.utils.theme import get_theme

    background = "#{:02x}{:02x}{:02x}".format(*get_theme(theme).background.as_rgb_tuple()[:3])
    for colour in text_colours(theme).values():
        assert contrast(colour, background) >= 4.5


def test_the_panel_fits_a_small_screen(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    press(qtbot, widget.run_rows.button)
    finish(qtbot, widget)
    viewer.window.resize(1366, 768)
    qtbot.wait(100)
    window = widget.window()
    assert window.width() <= 1366
    assert window.height() <= 768
    assert widget.scroll.widget().width() <= widget.scroll.viewport().width()
    for control in (widget.run_rows.button, widget.table.copy, widget.model_rows.model):
        right = control.mapTo(widget, control.rect().bottomRight()).x()
        assert right <= widget.width()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_squeezed_where_both_docks_share_a_small_screen(viewer, open_panel, qtbot, ct, theme):
    viewer.theme = theme
    open_panel()
    _, reading = viewer.window.add_plugin_dock_widget(PLUGIN, "Image reading")
    add(viewer, ct)  # oblique: the dock says so in two lines
    qtbot.waitUntil(reading.notes.isVisible, timeout=TIMEOUT)
    viewer.window.resize(1366, 768)
    qtbot.wait(200)
    kinds = (QLabel, QLineEdit, QAbstractButton, QComboBox)
    shown = [part for kind in kinds for part in reading.findChildren(kind) if part.isVisible()]
    squeezed = [part for part in shown if part.height() < part.minimumSizeHint().height()]
    assert squeezed == []
    assert reading.notes.height() >= reading.notes.heightForWidth(reading.notes.width())
    assert reading.window().height() <= 768


def test_the_outcome_is_scrolled_into_sight(viewer, open_panel, qtbot, ct):
    add(viewer, ct)
    widget = open_panel()
    settle(qtbot, widget)
    viewer.window.resize(1000, 420)
    qtbot.wait(100)
    widget.panel.run()
    finish(qtbot, widget)
    status = widget.run_rows.status

    def is_in_sight():
        top = status.mapTo(widget.scroll.viewport(), status.rect().topLeft()).y()
        return 0 <= top <= widget.scroll.viewport().height() - status.height()

    qtbot.waitUntil(is_in_sight, timeout=TIMEOUT)


def test_a_long_list_of_reasons_can_be_scrolled_to(viewer, open_panel, qtbot):
    viewer.add_image(np.zeros((2, 2, 8, 8, 8), np.float32))
    widget = open_panel()
    settle(qtbot, widget)
    viewer.window.resize(1000, 420)
    qtbot.wait(100)
    button = widget.run_rows.button
    widget.scroll.ensureWidgetVisible(button)
    qtbot.wait(50)
    top = button.mapTo(widget.scroll.viewport(), button.rect().topLeft()).y()
    assert 0 <= top <= widget.scroll.viewport().height()


def test_the_command_of_the_palette_opens_the_panel_and_segments(viewer, qtbot, ct):
    from napari_effseg.viewer._commands import segment_selected_layer

    add(viewer, ct)
    segment_selected_layer(viewer)
    qtbot.waitUntil(lambda: "scan segmentation" in viewer.layers, timeout=TIMEOUT)
