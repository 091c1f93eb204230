"""The window over stand-ins for Slicer's widgets and over a real scene."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import slicer
from EffSegLib import Segments
from EffSegLib.InstallLogic import PythonFound
from EffSegLib.Parameter import SERVER
from EffSegLib.Work import Worker

from napari_effseg.errors import ServerError

from .conftest import EXTENSION
from .fakes import FakeSegmenter
from .nodes import add_transform, add_volume, affine, grey, moved
from .test_automatic import add_roi, add_sequence
from .test_clicks import add_curve, saved_and_loaded, segment_names

UI = EXTENSION / "EffSeg" / "Resources" / "UI" / "EffSeg.ui"
LIBRARY = EXTENSION / "EffSeg" / "EffSegLib"


class FakeEngines:
    """Engines that need nothing, or lack something."""

    def __init__(self):
        self.lacks, self.error, self.segmenter, self.is_closed = "", None, FakeSegmenter(), False
        self.opened = []

    def missing(self, choice):
        return self.lacks

    def open(self, choice, say=None, cancel=None):
        self.opened.append(choice)
        if say:
            say("Starting the engine")
        if self.error:
            raise self.error
        return self.segmenter

    def close(self):
        self.is_closed = True


class Window:
    """The module's window, and a user."""

    def __init__(self, engines):
        from EffSeg import EffSegLogic, EffSegWidget
        from EffSegLib import Desk

        self.engines, self.placing, self.answer, self.questions = engines, [], True, []
        self.shell = EffSegWidget()
        real, shell = Desk.Engines, self.shell
        Desk.Engines = lambda private: engines
        try:
            shell.setup()
        finally:
            Desk.Engines = real
        assert isinstance(shell.logic, EffSegLogic)
        self.ui, self.widget = shell.ui, shell.widget
        self.widget.clicks._place = self.placing.append
        self.widget.engine._confirm = self.confirm

    def confirm(self, words):
        self.questions.append(words)
        return self.answer

    @property
    def worker(self) -> Worker:
        return self.widget.desk.worker

    def wait(self):
        self.worker.finish()
        return self

    def enter(self):
        self.shell.enter()
        return self.wait()

    def click(self, name):
        button = getattr(self.ui, name)
        assert button.enabled, button.toolTip
        button.click()
        return self

    def choose(self, **nodes):
        for name, node in nodes.items():
            getattr(self.ui, name).setCurrentNode(node)
        return self

    @property
    def segmentations(self):
        count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        return [slicer.mrmlScene.GetNthNodeByClass(at, "vtkMRMLSegmentationNode") for at in range(count)]


@pytest.fixture
def gui(qapp, logics, tmp_path):
    import slicer_gui

    slicer_gui.install(logics, str(tmp_path))
    yield
    sys.modules.pop("EffSeg", None)


@pytest.fixture
def window(gui, scene, monkeypatch):
    found = PythonFound(Path("/usr/bin/python3.12"), (3, 12))
    monkeypatch.setattr("EffSegLib.EnginePanel.find_pythons", lambda *_: (found,))
    windows = []

    def opened(engines=None):
        windows.append(Window(engines or FakeEngines()))
        return windows[-1]

    yield opened
    for one in windows:
        one.shell.cleanup()
        one.shell.parent.findChild(slicer.qMRMLWidget).setMRMLScene(None)
        one.shell.parent.deleteLater()


@pytest.fixture
def ready(window, scene):
    """A window whose engine has been asked for its models, and a volume."""
    one = window()
    one.volume = add_volume(scene)
    return one.choose(volumeSelector=one.volume).enter()


# --- the file ---


def test_every_widget_that_the_code_names_is_in_the_file():
    names = {widget.get("name") for widget in ET.parse(UI).iter("widget")}
    for module in LIBRARY.glob("*.py"):
        text = module.read_text(encoding="utf-8")
        used = set(re.findall(r"\bui\.(\w+)", text)) | set(
            re.findall(r'_(?:value|node)\([^)]*"(\w+)"\)', text)
        )
        assert used <= names, module.name


def test_every_button_says_what_it_does():
    for widget in ET.parse(UI).iter("widget"):
        if widget.get("class") in ("QPushButton", "qMRMLNodeComboBox", "QComboBox", "QLineEdit"):
            tips = [one for one in widget.findall("property") if one.get("name") == "toolTip"]
            assert tips or widget.get("name") == "applyButton", widget.get("name")


def test_every_selector_of_nodes_is_told_of_the_scene():
    tree = ET.parse(UI)
    told = {one.findtext("receiver") for one in tree.iter("connection")}
    assert told == {one.get("name") for one in tree.iter("widget") if one.get("class") == "qMRMLNodeComboBox"}


# --- beginning ---


def test_nothing_is_started_when_the_window_is_built(window):
    assert window().engines.opened == []


def test_what_has_to_be_done_first_is_said_and_nothing_is_started(window, scene):
    engines = FakeEngines()
    engines.lacks = "Install the engine first: Engine, Install."
    one = window(engines).choose(volumeSelector=add_volume(scene)).enter()
    assert one.ui.planLabel.text == engines.lacks
    assert not one.ui.applyButton.enabled
    assert one.ui.applyButton.toolTip == engines.lacks
    assert engines.opened == []


def test_opening_the_module_asks_the_engine_for_its_models(ready):
    assert ready.ui.modelBox.currentData == "bright"
    assert ready.ui.engineMessage.text == "The engine answers: 4 models."
    assert ready.ui.applyButton.enabled


def test_an_engine_that_cannot_be_reached_says_what_is_in_the_way(window):
    engines = FakeEngines()
    engines.error = ServerError("nobody is at https://gpu:1")
    one = window(engines).enter()
    assert one.ui.engineMessage.text == "nobody is at https://gpu:1"
    assert not one.ui.applyButton.enabled


def test_models_that_do_not_fit_cannot_be_chosen_and_say_why(ready):
    box = ready.ui.modelBox
    enabled = {box.itemData(at): box.model().item(at).isEnabled() for at in range(box.count)}
    assert enabled == {"bright": True, "pictures": False, "four": False}
    assert "pictures: It takes slices and pictures." in ready.ui.modelMessage.text


def test_the_plan_is_shown_before_the_run(ready):
    assert "anterior, posterior, in 14 x 12 x 9 voxels" in ready.ui.planLabel.text
    assert "CC-BY-4.0" in ready.ui.planLabel.text


# --- automatic ---


def test_apply_makes_a_segmentation_and_a_table(ready):
    ready.click("applyButton").wait()
    (node,) = ready.segmentations
    assert segment_names(node) == ["anterior", "posterior"]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert "Found: anterior, posterior." in ready.ui.messageLabel.text
    assert "the image is made up" in ready.ui.messageLabel.text
    assert ready.ui.applyButton.text == "Apply"


def test_while_it_runs_apply_is_cancel(ready):
    ready.click("applyButton")
    assert ready.ui.applyButton.text == "Cancel"
    ready.click("applyButton").wait()
    assert ready.ui.messageLabel.text == "Cancelled; nothing was changed."
    assert ready.segmentations == []


def test_a_second_run_leaves_the_first_result_alone(ready):
    ready.click("applyButton").wait().click("applyButton").wait()
    assert len(ready.segmentations) == 2


def test_the_result_goes_into_the_segmentation_that_is_chosen(ready):
    mine = Segments.new_segmentation(ready.volume, "mine")
    ready.choose(segmentationSelector=mine).click("applyButton").wait()
    assert ready.segmentations == [mine]
    assert len(segment_names(mine)) == 2


def test_a_region_is_said_in_the_plan_and_kept_to(ready, scene):
    roi = add_roi(scene, affine()[:3, :3] @ [3.5, 5, 4] + affine()[:3, 3], (1.5, 60, 60))
    ready.choose(regionSelector=roi)
    assert "in a region of" in ready.ui.planLabel.text
    ready.click("applyButton").wait()
    assert ready.engines.segmenter.asked[-1][2] == (((3, 0, 0), (5, 12, 9)),)


def test_a_region_beside_the_volume_says_so_and_stops_apply(ready, scene):
    ready.choose(regionSelector=add_roi(scene, (999, 0, 0), (5, 5, 5), "far"))
    assert not ready.ui.applyButton.enabled
    assert "far lies beside the image" in ready.ui.planLabel.text


def test_a_model_of_several_images_has_a_selector_for_each_role(ready, scene):
    others = [add_volume(scene, data=grey(seed), name=f"other{seed}") for seed in (1, 2, 3)]
    ready.ui.modelBox.setCurrentIndex(ready.ui.modelBox.findData("four"))
    selectors = ready.widget.automatic._selectors
    assert list(selectors) == ["t1ce", "t2", "flair"]
    assert "Choose a volume for each of: t1ce, t2, flair." in ready.ui.planLabel.text
    for selector, node in zip(selectors.values(), others, strict=True):
        selector.setCurrentNode(node)
    ready.click("applyButton").wait()
    given = ready.engines.segmenter.asked[-1][0]
    assert given.channels == 4
    assert np.array_equal(given.data[3], grey(3))


def test_every_time_point_can_be_wanted_of_a_sequence_only(ready, scene):
    assert not ready.ui.allTimesBox.enabled
    _, proxy = add_sequence(scene, [grey(), np.roll(grey(), 2, axis=0)])
    ready.choose(volumeSelector=proxy)
    assert ready.ui.allTimesBox.enabled
    ready.ui.allTimesBox.setChecked(True)
    assert "2 time points" in ready.ui.planLabel.text
    ready.click("applyButton").wait()
    assert len(ready.engines.segmenter.asked) == 2


def test_a_volume_under_a_transform_is_segmented_where_it_is_seen(ready, scene):
    ready.volume.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    ready.click("applyButton").wait()
    assert np.allclose(ready.engines.segmenter.asked[-1][0].affine, moved() @ affine())


def test_a_volume_that_is_removed_meanwhile_is_told(ready, scene):
    ready.click("applyButton")
    scene.RemoveNode(ready.volume)
    ready.wait()
    assert "removed from the scene" in ready.ui.messageLabel.text


def test_choices_are_kept_in_the_scene(ready, window, tmp_path, scene):
    ready.ui.statisticsBox.setChecked(False)
    ready.ui.urlEdit.setText("https://gpu:8765")
    ready.ui.engineBox.setCurrentIndex(ready.ui.engineBox.findData(SERVER))
    saved_and_loaded(scene, tmp_path)
    another = window()
    assert another.ui.volumeSelector.currentNode().GetName() == "case"
    assert not another.ui.statisticsBox.checked
    assert another.ui.urlEdit.text == "https://gpu:8765"
    assert another.ui.engineBox.currentData == SERVER


def test_the_key_of_a_server_is_in_no_scene(ready, scene, tmp_path):
    ready.ui.engineBox.setCurrentIndex(ready.ui.engineBox.findData(SERVER))
    ready.ui.keyEdit.setText("open-sesame")
    assert ready.widget.desk.engine.key == "open-sesame"
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    assert "open-sesame" not in (tmp_path / "scene.mrml").read_text(encoding="utf-8")


# --- the engine ---


@pytest.mark.parametrize(
    ("kind", "shown"), [("private", "privateGroup"), ("python", "pythonGroup"), ("server", "serverGroup")]
)
def test_only_what_belongs_to_the_chosen_engine_is_shown(ready, kind, shown):
    ready.ui.engineBox.setCurrentIndex(ready.ui.engineBox.findData(kind))
    groups = ("privateGroup", "pythonGroup", "serverGroup")
    assert [name for name in groups if not getattr(ready.ui, name).isHidden()] == [shown]


def test_another_engine_has_other_models(ready):
    ready.ui.engineBox.setCurrentIndex(ready.ui.engineBox.findData(SERVER))
    assert not ready.ui.applyButton.enabled
    ready.click("testButton").wait()
    assert ready.ui.applyButton.enabled


class FakeInstall:
    """An installation that takes no time."""

    def __init__(self, folder):
        self.folder, self.is_there, self.asked = folder, False, []

    def python(self):
        return Path(sys.executable) if self.is_there else None

    def version(self):
        return "1.2" if self.is_there else ""

    def plan(self, wanted, progress, cancel):
        from EffSegLib.InstallLogic import InstallPlan, Package

        self.asked.append(wanted)
        progress(0.5, "Asking what would be installed")
        return InstallPlan(wanted, self.folder, (Package("torch", "2.13", 200_000_000),))

    def install(self, plan, progress, cancel):
        self.is_there = True

    def remove(self):
        self.is_there = False


@pytest.fixture
def installing(window, tmp_path):
    one = window()
    one.widget.desk.install = FakeInstall(tmp_path / "engine")
    one.ui.basePythonBox.addItem("Python", sys.executable)
    return one


def test_pythons_of_this_computer_are_listed_when_the_module_is_opened(ready):
    box = ready.ui.basePythonBox
    assert [box.itemText(at) for at in range(box.count)] == ["Python 3.12: /usr/bin/python3.12"]


def test_without_a_python_it_is_said_what_to_do(window, monkeypatch):
    one = window()
    monkeypatch.setattr("EffSegLib.EnginePanel.find_pythons", lambda *_: ())
    one.click("installButton").wait()
    assert "Install one from python.org" in one.ui.engineMessage.text


def test_installing_asks_after_a_dry_run(installing):
    installing.click("installButton").wait()
    assert "1 packages, 200 MB to fetch" in installing.questions[0]
    assert installing.widget.desk.install.is_there
    assert "1.2 is installed" in installing.ui.engineMessage.text


def test_whoever_says_no_gets_nothing(installing):
    installing.answer = False
    installing.click("installButton").wait()
    assert not installing.widget.desk.install.is_there
    assert installing.ui.engineMessage.text == "Nothing was installed."


def test_a_folder_of_wheels_is_taken(installing, tmp_path):
    installing.ui.wheelsEdit.setCurrentPath(str(tmp_path))
    installing.click("installButton").wait()
    assert installing.widget.desk.install.asked[0].wheels == tmp_path


def test_the_smaller_torch_is_taken_unless_a_graphics_card_is_wanted(installing):
    installing.click("installButton").wait()
    installing.ui.cudaBox.setChecked(True)
    installing.click("installButton").wait()
    assert [one.needs_cuda for one in installing.widget.desk.install.asked] == [False, True]


def test_the_engine_can_be_removed(installing):
    installing.click("installButton").wait().click("removeButton")
    assert not installing.widget.desk.install.is_there
    assert not installing.ui.removeButton.enabled


# --- clicks ---


@pytest.fixture
def session(ready):
    return ready.click("beginButton").wait()


def points(window, positive=True):
    return window.widget.clicks.logic.points.nodes[positive]


def put_point(window, index, positive=True):
    ras = affine()[:3, :3] @ index + affine()[:3, 3]
    points(window, positive).AddControlPointWorld(*ras)
    return window.wait()


def test_before_a_session_the_buttons_say_what_to_do(ready):
    for name in ("positiveButton", "undoButton", "commitButton", "boxButton", "endButton"):
        assert not getattr(ready.ui, name).enabled
        assert getattr(ready.ui, name).toolTip == "Begin a session first."


def test_a_session_shows_its_prompts_and_what_undo_takes_back(session):
    put_point(session, (6, 4, 5))
    put_point(session, (8, 5, 5), positive=False)
    box = session.ui.promptList
    assert [box.item(at).text() for at in range(box.count)] == [
        "1: point (6, 4, 5)",
        "2: not: point (8, 5, 5)",
    ]
    assert session.ui.undoButton.text == "Undo negative point"
    session.click("undoButton").wait()
    assert session.ui.redoButton.text == "Redo negative point"
    session.click("redoButton").wait()
    assert box.count == 2


def test_a_prompt_of_the_list_is_taken_back(session):
    put_point(session, (6, 4, 5))
    put_point(session, (4, 3, 5))
    session.ui.promptList.setCurrentRow(0)
    session.click("removePromptButton").wait()
    assert [prompt.index for prompt in session.widget.clicks.logic.shown.prompts.values()] == [(4, 3, 5)]


def test_placing_points_is_either_on_the_object_or_off_it(session):
    session.click("positiveButton").click("negativeButton")
    assert not session.ui.positiveButton.checked
    assert session.placing == [points(session), points(session, False)]
    session.click("negativeButton")
    assert session.placing[-1] is None


def test_box_lasso_and_segment_are_used(session, scene):
    centre = affine()[:3, :3] @ [5.5, 4, 5] + affine()[:3, 3]
    session.choose(promptRoiSelector=add_roi(scene, centre, (3, 6, 3))).click("boxButton").wait()
    corners = [
        affine()[:3, :3] @ place + affine()[:3, 3] for place in ((2, 2, 5), (8, 2, 5), (8, 7, 5), (2, 7, 5))
    ]
    session.choose(promptCurveSelector=add_curve(scene, corners)).click("lassoButton").wait()
    drawing = Segments.new_segmentation(session.volume, "drawing")
    drawn = np.zeros((14, 12, 9), bool)
    drawn[3:8, 4, 5] = True
    Segments.put_mask(drawn, session.volume, drawing, Segments.add_segment(drawing, "line", (9, 9, 9)))
    session.choose(promptSegmentationSelector=drawing)
    session.ui.signBox.setCurrentIndex(1)
    session.click("scribbleButton").wait()
    session.ui.signBox.setCurrentIndex(0)
    session.click("maskButton").wait()
    kinds = [
        (type(prompt).__name__, prompt.positive)
        for prompt in session.widget.clicks.logic.shown.prompts.values()
    ]
    assert kinds == [("Box", True), ("Lasso", True), ("Scribble", False), ("Mask", True)]


def test_what_is_wrong_with_a_prompt_is_told(session, scene):
    session.choose(promptRoiSelector=add_roi(scene, (999, 0, 0), (3, 6, 3), "far")).click("boxButton")
    assert "far lies beside the image" in session.ui.clickMessage.text


def test_finishing_takes_name_colour_and_terminology_of_the_structure(session):
    put_point(session, (6, 4, 5))
    session.ui.structureBox.setCurrentIndex(session.ui.structureBox.findData("anterior"))
    assert session.ui.nameEdit.text == "anterior"
    session.click("commitButton").wait()
    logic = session.widget.clicks.logic
    assert "anterior" in segment_names(logic.segmentation)
    assert Segments.code_of(logic.segmentation, logic.segments[1]).value == "4421005"


def test_propagating_shows_progress_and_ends(session):
    session.ui.planeBox.setCurrentIndex(session.ui.planeBox.findData("axial"))
    put_point(session, (6, 4, 5))
    before = session.widget.clicks.logic.shown.mask.sum()
    session.click("propagateButton")
    assert session.ui.propagateButton.text == "Cancel"
    session.wait()
    assert session.widget.clicks.logic.shown.mask.sum() > before
    assert session.ui.propagateButton.text == "Propagate"


def rest(window):
    """Let the window's timer run for a while."""
    for _ in range(45):
        window.widget.tick()
    window.wait()


def test_a_session_that_rests_is_put_into_the_scene_once(session, scene):
    put_point(session, (6, 4, 5))
    rest(session)
    text = scene.GetFirstNodeByClass("vtkMRMLTextNode").GetMTime()
    rest(session)
    assert scene.GetFirstNodeByClass("vtkMRMLTextNode").GetMTime() == text


def test_a_session_goes_on_after_its_scene_was_saved_and_loaded(session, scene, tmp_path):
    put_point(session, (6, 4, 5))
    mask = session.widget.clicks.logic.shown.mask
    rest(session)
    saved_and_loaded(scene, tmp_path)
    assert not session.widget.clicks.logic.is_open
    session.click("resumeButton").wait()
    assert np.array_equal(session.widget.clicks.logic.shown.mask, mask)
    assert points(session).GetNumberOfControlPoints() == 1


def test_closing_the_window_ends_the_engine(ready):
    ready.shell.cleanup()
    assert ready.engines.is_closed


def test_the_window_can_be_drawn(ready, tmp_path):
    ready.shell.parent.resize(520, 900)
    picture = ready.shell.parent.grab()
    picture.save(str(tmp_path / "window.png"))
    assert picture.width() >= 520


def test_a_button_that_can_be_pressed_again_has_its_own_tip_again(installing):
    tip = installing.ui.removeButton.toolTip
    assert tip == "Nothing is installed."
    installing.click("installButton").wait()
    assert installing.ui.removeButton.toolTip == "Remove the private environment"


def test_a_session_cannot_be_ended_while_the_engine_is_busy_and_that_is_said(session, monkeypatch):
    import threading

    monkeypatch.setattr("EffSegLib.PromptLogic._STORING_S", 0.1)
    put_point(session, (6, 4, 5))
    ends = threading.Event()
    from EffSegLib.Work import Job

    session.worker.do(Job(lambda job: ends.wait(20), lambda _: None, lambda _: None))
    session.click("endButton")
    assert "the engine is busy" in session.ui.clickMessage.text
    assert session.widget.clicks.logic.is_open
    ends.set()
    session.wait().click("endButton")
    assert not session.widget.clicks.logic.is_open
