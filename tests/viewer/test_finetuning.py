"""The panel *Fine-tune a model* without its widgets: cases, names, plan, run, going on, the new model."""

import json
import sys

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.io.dataset import read_dataset
from napari_effseg.viewer import layers
from napari_effseg.viewer.finetune_process import FinetuneProcess
from napari_effseg.viewer.finetune_state import FinetuneStage
from napari_effseg.viewer.finetuning import ModelFinetuning
from napari_effseg.viewer.labelled_cases import file_names, pair_layers
from napari_effseg.volume import same_grid
from tests.training.balls import ball, ball_card

from .finetune_cases import Played, add_ball, ball_model  # noqa: F401  a fixture

pytestmark = pytest.mark.usefixtures("ball_model")
DONE = {
    "folder": "somewhere",
    "card": None,
    "before": {"mean": 0.1, "labels": {"ball": 0.1}},
    "after": {"mean": 0.9, "labels": {"ball": 0.9}},
    "steps": 120,
    "seconds": 60.0,
    "warnings": ["look twice"],
}


@pytest.fixture
def played():
    """Processes that were started."""
    return []


@pytest.fixture
def panel(viewer_model, inference, tmp_path, played):
    def start(deliver, told):
        played.append(Played(deliver, told))
        return played[-1]

    made = ModelFinetuning(viewer_model, inference, tmp_path / "runs", start)
    yield made
    made.close()


def settle(desk, panel):
    desk.until(lambda: panel.store.now.models and not panel.store.now.is_looking, "models and structures")


@pytest.fixture
def ready(panel, desk, viewer_model):
    """The panel with three cases, a name for every label, and the model "balls"."""
    for number in range(3):
        add_ball(viewer_model, number)
    panel.picker.add_all()
    settle(desk, panel)
    panel.choose_model("balls")
    settle(desk, panel)
    return panel


def prepared(desk, panel, played):
    panel.prepare()
    desk.until(lambda: played and played[-1].asked, "the process")
    return played[-1]


# --- cases ---


def test_without_cases_it_says_what_to_do(panel, desk, viewer_model):
    desk.until(lambda: panel.store.now.models, "models")
    assert panel.store.now.why_not_add == "Open an image first."
    assert panel.store.now.why_not_prepare.startswith("Add 2 cases")
    add_ball(viewer_model, 0)
    panel.picker.add_case()
    assert panel.store.now.why_not_prepare.startswith("Add a case")


def test_the_labels_of_the_selected_image_are_taken_with_it(panel, viewer_model):
    first, labels = add_ball(viewer_model, 0)
    second, others = add_ball(viewer_model, 1)
    viewer_model.layers.selection.active = first
    assert (panel.store.now.image, panel.store.now.layer) == (first, labels)
    viewer_model.layers.selection.active = others
    assert (panel.store.now.image, panel.store.now.layer) == (second, others)


def test_every_image_with_labels_is_added_once(ready, viewer_model):
    assert [case.image.name for case in ready.store.now.cases] == ["ball_0", "ball_1", "ball_2"]
    assert "in the list already" in ready.store.now.why_not_add
    ready.picker.add_all()
    assert len(ready.store.now.cases) == 3
    assert "No other image" in ready.store.now.problem
    ready.picker.remove_case(1)
    assert [case.image.name for case in ready.store.now.cases] == ["ball_0", "ball_2"]
    viewer_model.layers.remove("ball_0 labels")
    assert [case.image.name for case in ready.store.now.cases] == ["ball_2"]


def test_labels_go_to_the_image_whose_name_they_bear(viewer_model):
    names = ("scan", "scan 1", "scan 10", "other", "another")
    images, labels = [], []
    for name in names:
        image, made = add_ball(viewer_model, 0)
        image.name, made.name = name, f"{name} truth"
        images.append(image)
        labels.append(made)
    labels[3].name, labels[4].name = "nobody's", "nobody's either"
    pairs = {image.name: made.name for image, made in pair_layers(images, labels[::-1])}
    assert pairs == {"scan": "scan truth", "scan 1": "scan 1 truth", "scan 10": "scan 10 truth"}
    pairs = {image.name: made.name for image, made in pair_layers(images[:4], labels[:4])}
    assert pairs["other"] == "nobody's"  # the only ones that are left


def test_labels_elsewhere_are_refused_in_words(panel, viewer_model):
    image, labels = add_ball(viewer_model, 0)
    labels.translate = (0, 0, 9)
    panel.picker.choose_image(image)
    panel.picker.choose_layer(labels)
    panel.picker.add_case()
    assert "does not lie on the voxels of “ball_0”" in panel.store.now.problem
    assert panel.store.now.cases == ()


def test_a_layer_to_paint_on_lies_on_the_image_and_knows_the_structures(panel, desk, viewer_model):
    image, labels = add_ball(viewer_model, 1)  # stored the other way round
    viewer_model.layers.remove(labels)
    settle(desk, panel)
    panel.choose_model("balls")
    panel.picker.choose_image(image)
    panel.picker.new_labels()
    made = viewer_model.layers["ball_1 labels"]
    corner = np.array(image.data.shape) - 1
    assert made.data_to_world(corner) == image.data_to_world(corner)
    assert layers.labels_of_layer(made).names == {1: "ball"}
    made.paint((5, 5, 5), 1)
    panel.picker.add_case()
    settle(desk, panel)
    assert [(one.number, one.name, one.about) for one in panel.store.now.structures] == [(1, "ball", "known")]


def test_labels_without_a_name_get_the_models_or_ask(panel, desk, viewer_model):
    for number in range(2):
        _, labels = add_ball(viewer_model, number, named=False)
    panel.picker.add_all()
    settle(desk, panel)
    panel.choose_model("balls")
    settle(desk, panel)
    assert panel.store.now.structures[0].name == "ball"
    labels.data[labels.data == 1] = 4
    labels.refresh()
    panel.picker.look()
    settle(desk, panel)
    assert panel.store.now.why_not_prepare == "Say what label 4 is."
    panel.picker.name_structure(4, "bal")
    settle(desk, panel)
    assert panel.store.now.structures[1].about == "new. Did you mean ball?"
    panel.picker.name_structure(4, "cube")
    settle(desk, panel)
    assert (panel.store.now.structures[1].about, panel.store.now.why_not_prepare) == ("new", "")


def test_layers_that_call_one_number_differently_are_named(ready, desk, viewer_model):
    labels = viewer_model.layers["ball_2 labels"]
    labels.features = {"index": [0, 1], "name": ["background", "cube"]}
    settle(desk, ready)
    assert "is called 'ball' in one layer and 'cube'" in ready.store.now.why_not_prepare


def test_models_that_cannot_be_finetuned_say_why(ready, ball_model, tmp_path):  # noqa: F811
    models = {one.card.name: one for one in ready.store.now.models}
    assert models["balls"].reason == ""
    assert models["balls"].name == "balls-finetuned"
    assert ready.store.now.name == "balls-finetuned"


# --- what is written ---


def test_the_cases_that_are_written_are_those_of_the_layers(ready, desk, played, tmp_path):
    ready.picker.hold_back(2, True)
    settle(desk, ready)
    process = prepared(desk, ready, played)
    model, dataset, options = process.asked
    assert model == "balls"
    assert options["output"] == str(tmp_path / "runs" / "balls-finetuned")
    assert options["minutes"] == 10.0
    found = read_dataset(dataset)
    assert [case.name for case in found.split("validation")] == ["ball_2"]
    for case in found.split("training"):
        wanted, mask = ball(int(case.name[-1]))
        image, labels = eff.load(case.images[0]), eff.load_labels(case.label)
        assert same_grid(image.grid, wanted.grid)
        assert np.array_equal(image.data, wanted.data)
        assert np.array_equal(labels.data, mask)
    assert json.loads((dataset / "dataset.json").read_text())["labels"] == {"1": "ball"}


def test_names_of_files_are_plain_and_each_is_its_own(ready, viewer_model):
    viewer_model.layers["ball_0"].name = "../a b/ç"
    viewer_model.layers["ball_1"].name = "A b ç"
    viewer_model.layers["ball_2"].name = "???"
    assert file_names(ready.store.now.cases) == ["a_b_ç", "A_b_ç_2", "case"]


def test_a_second_run_of_the_same_name_has_a_folder_of_its_own(ready, desk, played, tmp_path):
    prepared(desk, ready, played)
    ready.set_minutes(5)
    ready.runner.stop()
    played.clear()
    process = prepared(desk, ready, played)
    assert process.asked[2]["output"] == str(tmp_path / "runs" / "balls-finetuned-2")


# --- plan, run, stop ---


def test_the_plan_says_time_memory_what_learns_and_the_licence(ready, desk, played):
    prepared(desk, ready, played).plan()
    lines = dict(ready.store.now.plan)
    assert ready.store.now.stage is FinetuneStage.READY
    assert lines["Time"] == "about 10 min: at most 120 steps of 0.2 s"
    assert lines["Memory"] == "1.0 GB of 8.0 GB, on CPU, 2 threads"
    assert lines["Learns"] == "12,179 of the 12,179 values of balls"
    assert lines["Measures"] == "on ball_2; learns from 2"
    assert lines["Licence"].startswith("CC0-1.0, that of balls")
    assert ready.store.now.notes == ("One held-back case can tell a large change from none.",)


@pytest.mark.parametrize(
    "change",
    [
        lambda panel: panel.set_minutes(3),
        lambda panel: panel.set_freeze("encoder"),
        lambda panel: panel.set_name("mine"),
        lambda panel: panel.picker.hold_back(0, True),
        lambda panel: panel.picker.remove_case(0),
        lambda panel: panel.picker.name_structure(1, "cube"),
    ],
)
def test_a_plan_of_other_choices_is_forgotten(ready, desk, played, change):
    process = prepared(desk, ready, played)
    process.plan()
    change(ready)
    assert ready.store.now.stage is FinetuneStage.IDLE
    assert ready.store.now.plan == ()
    assert process.is_closed


def test_it_runs_shows_its_curve_and_what_came_out(ready, desk, played):
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    assert process.heard == ["run"]
    process.say("progress", fraction=0.5, message="step 60 of 120")
    assert ready.store.now.message == "Step 60 of 120"
    process.say("points", points=[{"step": 12, "mean_dice": 0.5}], before={"ball": 0.1})
    assert (ready.store.now.points, ready.store.now.before) == (((12, 0.5),), 0.1)
    process.say("done", **{**DONE, "after": None})
    assert ready.store.now.stage is FinetuneStage.IDLE
    assert "not better on the held-back cases" in ready.store.now.summary
    assert [(row.name, row.before, row.after) for row in ready.store.now.scores] == [
        ("ball", 0.1, None),
        ("mean", 0.1, None),
    ]
    assert ready.store.now.warnings == ("Look twice.",)


def test_a_stop_keeps_the_checkpoint_and_it_can_go_on(ready, desk, played):
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    ready.runner.stop()
    assert process.heard == ["run", "stop"]
    ready.runner.stop()
    assert process.heard[-1] == "end"
    process.say(
        "failed", kind="cancelled", message="stopped after 7 steps; it can go on (--resume)", details=""
    )
    now = ready.store.now
    assert now.summary.startswith("Stopped after 7 steps; it can go on. What was learned so far is kept")
    assert now.can_go_on
    played.clear()
    ready.runner.go_on()
    again = played[-1]
    assert again.asked[2]["resume"]
    again.plan()
    assert again.heard == ["run"]  # nobody is asked twice


def test_a_cancel_before_the_first_step_leaves_nothing_to_go_on_with(ready, desk, played):
    process = prepared(desk, ready, played)
    ready.runner.stop()
    assert process.is_closed
    assert ready.store.now.stage is FinetuneStage.IDLE
    assert not ready.store.now.can_go_on


@pytest.mark.parametrize(
    ("kind", "said", "details"),
    [
        ("refused", "No case holds it", ""),
        ("fault", "This is a fault in EffSeg", "Traceback"),
        ("died", "ended without a word (exit code -9)", "Killed"),
    ],
)
def test_trouble_is_a_sentence(ready, desk, played, kind, said, details):
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    message = {"refused": "no case holds it", "fault": "ZeroDivisionError: no", "died": "exit code -9"}[kind]
    process.say("failed", kind=kind, message=message, details=details)
    assert said in ready.store.now.problem
    assert ready.store.now.details == details
    assert ready.store.now.can_go_on == (kind != "refused")


def test_closing_the_panel_stops_the_run(ready, desk, played):
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    ready.close()
    assert process.is_closed


# --- the process ---


def test_the_new_model_is_in_the_list_and_shown_beside_its_base(ready, desk, played, viewer_model, tmp_path):
    added = []
    ready.model_added.connect(added.append)
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    made = ball_card(tmp_path / "run", name="balls-finetuned", seed=5)
    process.say("done", **{**DONE, "card": str(made.path)})
    desk.until(lambda: "ball_2 after" in viewer_model.layers, "before and after")
    assert ready.store.now.problem == ""
    assert added == ["balls-finetuned"]
    for word, model in (("before", "balls"), ("after", "balls-finetuned")):
        found = layers.labels_of_layer(viewer_model.layers[f"ball_2 {word}"])
        assert np.array_equal(found.data, eff.segment(ball(2)[0], model).labels.data)
    assert "balls-finetuned is in the list of models." in ready.store.now.summary
    assert "“ball_2 before” and “ball_2 after”" in ready.store.now.summary
    desk.until(lambda: ready.store.now.name == "balls-finetuned-2", "a name for the next one")


def test_a_new_model_whose_name_was_taken_meanwhile_is_said(ready, desk, played, tmp_path, ball_model):  # noqa: F811
    process = prepared(desk, ready, played)
    process.plan()
    ready.runner.run()
    process.say("done", **{**DONE, "card": str(ball_model.path)})
    desk.until(lambda: ready.store.now.problem, "the problem")
    assert "but not in the list. The name balls is taken" in ready.store.now.problem


def test_a_process_that_dies_is_told(desk):
    said = []
    command = [sys.executable, "-c", "import sys; sys.stderr.write('out of memory'); sys.exit(9)"]
    FinetuneProcess(desk, said.append, command)
    desk.until(lambda: said, "the end")
    assert said[-1]["kind"] == "died"
    assert (said[-1]["message"], said[-1]["details"]) == ("exit code 9", "out of memory")


def test_a_closed_process_ends_by_itself_and_says_no_more(desk):
    said = []
    process = FinetuneProcess(desk, said.append, [sys.executable, "-c", "import sys; sys.stdin.read()"])
    process.close()
    desk.until(lambda: process.has_ended, "the end of the process")
    assert said == []
