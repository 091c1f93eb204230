"""The panel *Automatic segmentation* on a server: the same labels, and words for what is in the way."""

import threading

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")
pytest.importorskip("uvicorn", reason="needs the extra [server]")

from napari_effseg.server import connect
from napari_effseg.server.engines import LocalEngine
from napari_effseg.viewer import layers
from napari_effseg.viewer.engine_choice import EngineSetting, Where
from napari_effseg.viewer.engines import Engines
from napari_effseg.viewer.segmenting import AutomaticSegmentation
from napari_effseg.viewer.state import Stage
from napari_effseg.volume import Volume
from tests.server.gate import Gate, silent_address

from .panels import add, finish, settle
from .servers import KEY, QUIET, Lab, impatient

pytestmark = QUIET


def patiently(choice):
    return connect(choice.url, choice.key, timeout=300)


@pytest.fixture
def lab():
    made = Lab().start()
    yield made
    made.engine.hold.set()
    made.stop()


@pytest.fixture
def setting():
    return EngineSetting()


@pytest.fixture
def panel(viewer_model, inference, cards, desk, setting):
    made = AutomaticSegmentation(viewer_model, inference, setting, impatient())
    yield made
    gone = []
    made.close(lambda: gone.append(True))
    desk.until(lambda: gone, "the end of the panel")


@pytest.fixture
def on_lab(panel, desk, viewer_model, ct, setting, lab):
    """The panel with an image and a server."""
    add(viewer_model, ct)
    lab.choose(setting)
    settle(desk, panel)
    return panel


def option(panel, name):
    return next(option for option in panel.store.now.options if option.card.name == name)


def test_the_labels_of_a_server_are_those_of_this_computer(panel, desk, viewer_model, ct, setting):
    add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    lab = Lab(LocalEngine("cpu")).start()
    lab.choose(setting)
    settle(desk, panel)
    panel.choose_model("quick")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    lab.stop()
    here, there = (viewer_model.layers[name] for name in ("scan segmentation", "scan segmentation [1]"))
    assert here.data.any()
    assert np.array_equal(here.data, there.data)
    assert "of 127.0.0.1" in panel.store.now.summary
    corner = np.array(here.data.shape) - 1
    assert here.data_to_world(corner) == there.data_to_world(corner)
    one, two = (layers.labels_of_layer(layer) for layer in (here, there))
    assert (one.names, one.colours, one.codes) == (two.names, two.colours, two.codes)
    assert here.metadata["effseg_report"].keys() == there.metadata["effseg_report"].keys()


def test_models_of_the_server_are_listed_with_what_it_tells(on_lab):
    now = on_lab.store.now
    assert (now.model, now.is_here) == ("bright", False)
    bright = option(on_lab, "bright")
    assert bright.reason == ""
    assert bright.told.accuracy == "not measured"
    assert [label.name for label in bright.card.labels] == ["bright"]
    assert bright.card.weights.licence == "CC0-1.0"
    assert option(on_lab, "clicks").reason == "It answers clicks."


def test_a_model_that_does_not_fit_says_why(on_lab, desk, viewer_model):
    on_lab.choose_image(viewer_model.add_image(np.zeros((9, 8), np.float32)))
    settle(desk, on_lab)
    assert option(on_lab, "bright").reason == "It takes volumes."


def test_the_plan_says_what_is_sent_and_where(on_lab, lab):
    assert lab.url.removeprefix("http://") in on_lab.store.now.plan.line
    assert "MB" in on_lab.store.now.plan.line


def test_a_result_has_labels_doubt_and_warnings(on_lab, desk, viewer_model):
    on_lab.run()
    finish(desk, on_lab)
    desk.until(lambda: "scan doubt" in viewer_model.layers, "doubt")
    assert "of 127.0.0.1" in on_lab.store.now.summary
    assert on_lab.store.now.warnings == ("A fake.",)
    assert viewer_model.layers["scan doubt"].data.any()


def test_only_the_region_gets_labels(on_lab, desk, viewer_model):
    image = on_lab.store.now.image
    shapes = viewer_model.add_shapes(ndim=3, affine=image.affine, scale=image.scale)
    shapes.add_rectangles(np.array([(9, 4, 4), (9, 4, 20), (9, 20, 20), (9, 20, 4)]))
    on_lab.choose_region_layer(shapes)
    on_lab.set_slices(8, 12)
    settle(desk, on_lab)
    on_lab.run()
    finish(desk, on_lab)
    data = viewer_model.layers["scan segmentation"].data
    assert data[8:13].any()
    assert not data[:8].any()
    assert not data[13:].any()


def test_progress_is_the_servers_and_cancel_stops_its_job(on_lab, desk, viewer_model, lab):
    lab.engine.hold.clear()
    on_lab.run()
    desk.until(lambda: on_lab.store.now.message.startswith("Window"), "progress")
    on_lab.cancel()
    finish(desk, on_lab)
    assert on_lab.store.now.problem == "Cancelled; nothing was changed."
    assert len(viewer_model.layers) == 1


def test_a_server_that_dies_in_a_run_is_a_sentence(on_lab, desk, viewer_model, lab):
    lab.engine.hold.clear()
    on_lab.run()
    desk.until(lambda: on_lab.store.now.stage is Stage.RUNNING and lab.engine.began.is_set())
    lab.stop()
    finish(desk, on_lab)
    assert "this computer" in on_lab.store.now.problem
    assert on_lab.store.now.details == ""
    assert len(viewer_model.layers) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"key": "a wrong key of some length"}, "does not know this key"), ({"url": "127.0.0.1:9"}, "listens")],
)
def test_what_is_in_the_way_is_said_and_can_be_mended(
    panel, desk, viewer_model, ct, setting, lab, fields, words
):
    add(viewer_model, ct)
    settle(desk, panel)
    lab.choose(setting, **fields)
    desk.until(lambda: panel.store.now.engine_problem, "the reason")
    assert words in panel.store.now.why_not_run
    assert "this computer" in panel.store.now.why_not_run
    assert not panel.store.now.options
    setting.choose(url=lab.url, key=KEY)
    settle(desk, panel)
    assert panel.store.now.model == "bright"


def test_a_full_server_says_so(panel, desk, viewer_model, ct, setting):
    full = Lab(most_volumes=0).start()
    add(viewer_model, ct)
    full.choose(setting)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    full.stop()
    assert "images of yours are here already" in panel.store.now.problem


def test_back_on_this_computer_everything_is_as_before(on_lab, desk, setting, lab):
    setting.choose(where=Where.HERE)
    settle(desk, on_lab)
    assert (on_lab.store.now.model, on_lab.store.now.is_here) == ("quick", True)
    assert on_lab.store.now.plan.line.startswith("About ")


def test_several_models_run_on_a_server_one_after_the_other(panel, desk, viewer_model, ct, setting):
    from tests.server.engines import MODELS, FakeEngine

    class Two(FakeEngine):
        def models(self):
            return MODELS

    add(viewer_model, ct)
    lab = Lab(Two()).start()
    lab.choose(setting)
    settle(desk, panel)
    panel.queue_model("clicks", True)  # which fails, and loses nothing
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    lab.stop()
    assert "1 of 2 models" in panel.store.now.summary
    assert any("clicks gave no labels" in warning for warning in panel.store.now.warnings)


def test_closing_frees_what_the_server_held(viewer_model, inference, cards, desk, ct, setting, lab):
    add(viewer_model, ct)
    lab.choose(setting)
    panel = AutomaticSegmentation(viewer_model, inference, setting, impatient())
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    assert lab.held == 1
    gone = []
    panel.close(lambda: gone.append(True))
    desk.until(lambda: gone)
    assert lab.held == 0


def test_the_window_never_waits_for_the_server(on_lab, desk, monkeypatch):
    from napari_effseg.server.transport import Transport

    threads, call = set(), Transport.call

    def watched(transport, *given, **named):
        threads.add(threading.current_thread().name)
        return call(transport, *given, **named)

    monkeypatch.setattr(Transport, "call", watched)
    on_lab.run()
    finish(desk, on_lab)
    assert "effseg-inference" in threads
    assert threads <= {"effseg-inference", "effseg-heartbeat"}


def test_an_address_where_nobody_answers_is_left_at_once_for_this_computer(
    viewer_model, inference, cards, desk, ct, setting
):
    """Connecting would take longer than the desk waits."""
    begun = threading.Event()
    engines = Engines(lambda choice: begun.set() or patiently(choice))
    panel = AutomaticSegmentation(viewer_model, inference, setting, engines)
    add(viewer_model, ct)
    settle(desk, panel)
    with silent_address() as url:
        setting.choose(where=Where.SERVER, url=url, key=KEY)
        desk.until(begun.is_set, "the first try")
        setting.choose(where=Where.HERE)
        settle(desk, panel)
    assert option(panel, "quick").reason == ""
    panel.close()


def test_an_image_that_is_on_its_way_can_be_called_back(viewer_model, inference, cards, desk, setting, lab):
    large = np.random.default_rng(0).random((200, 200, 100)).astype(np.float32)
    panel = AutomaticSegmentation(viewer_model, inference, setting, Engines(patiently))
    with Gate(lab.url) as gate:
        add(viewer_model, Volume(large, np.eye(4), modality="CT"))
        setting.choose(where=Where.SERVER, url=gate.url, key=KEY)
        settle(desk, panel)
        gate.shut_after(2**20)
        panel.run()
        desk.until(lambda: "of 16.0 MB" in panel.store.now.message, "a part of the image")
        panel.cancel()
        finish(desk, panel)
        gate.open()
    assert panel.store.now.problem == "Cancelled; nothing was changed."
    assert lab.engine.seen == []
    panel.close()
