"""Several models into one result: their order, what stays, what a failure and a cancel leave."""

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.viewer import layers
from napari_effseg.viewer.segmenting import AutomaticSegmentation
from napari_effseg.volume import merge_labels
from napari_effseg.zoo import built_in_cards
from napari_effseg.zoo.measured import measured_here
from napari_effseg.zoo.selecting import Wish
from tests.zoo.synthetic import draft_card, synthetic_card

from .panels import add, finish, settle


@pytest.fixture
def panel(viewer_model, inference, cards):
    synthetic_card(cards, name="second", title="Kidney and liver, again", seed=5)
    synthetic_card(cards, name="slices", title="Slices", dimensions=2)
    made = AutomaticSegmentation(viewer_model, inference)
    yield made
    made.close()


@pytest.fixture
def ready(panel, desk, viewer_model, ct):
    """The panel with a CT volume, and two models chosen."""
    add(viewer_model, ct)
    settle(desk, panel)
    panel.choose_model("quick")
    panel.queue_model("second", True)
    settle(desk, panel)
    return panel


def labels_in(viewer_model):
    return layers.labels_of_layer(viewer_model.layers["scan segmentation"])


def test_models_are_told_apart_by_what_they_take_here(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    options = {option.card.name: option for option in panel.store.now.options}
    assert options["quick"].cost.known_by == "estimated"
    assert options["quick"].cost.seconds > 0
    assert options["hippocampus-lightm-unet"].cost is None
    assert [option.card.name for option in panel.store.now.shown][:2] == ["quick", "second"]


def test_the_list_is_narrowed_down_and_what_is_chosen_stays(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    panel.choose_model("quick")
    panel.look_for(Wish(organ="brain"))
    now = panel.store.now
    assert {option.card.name for option in now.shown} == {
        card.name for card in built_in_cards() if "hippocampus" in card.name
    }
    assert now.chosen == ("quick",)
    panel.look_for(Wish(organ="brian"))
    assert "no model segments 'brian'" in panel.store.now.why_none_shown


def test_models_run_in_the_order_in_which_they_were_chosen(ready):
    assert ready.store.now.chosen == ("quick", "second")
    ready.queue_model("quick", False)
    ready.queue_model("quick", True)
    assert ready.store.now.chosen == ("second", "quick")
    ready.choose_model("quick")
    assert ready.store.now.chosen == ("quick",)
    ready.queue_model("quick", False)
    assert "choose one" in ready.store.now.why_not_run


def test_the_plan_is_that_of_all(ready):
    plan = ready.store.now.plan
    assert plan.line.startswith("2 models one after the other: about ")
    assert len(plan.details.splitlines()) == 2


def test_two_models_give_one_layer_with_the_labels_of_both(ready, desk, viewer_model, ct):
    ready.run()
    finish(desk, ready)
    wanted = merge_labels([eff.segment(ct, name).labels for name in ("quick", "second")], ["quick", "second"])
    found = labels_in(viewer_model)
    assert np.array_equal(found.data, wanted.labels.data)
    assert found.names == wanted.labels.names
    assert found.codes == wanted.labels.codes
    assert [layer.name for layer in viewer_model.layers if layer.name.endswith("segmentation")] == [
        "scan segmentation"
    ]
    report = viewer_model.layers["scan segmentation"].metadata["effseg_report"]
    assert [one["model"] for one in report["models"]] == ["quick", "second"]
    assert "2 of 2 models, " in ready.store.now.summary


def test_later_models_win_when_told(ready, desk, viewer_model, ct):
    ready.let_later_win(True)
    ready.run()
    finish(desk, ready)
    second = eff.segment(ct, "second").labels.data
    assert np.array_equal(labels_in(viewer_model).data[second > 0], second[second > 0] + 2)


def test_a_model_that_fails_loses_no_other(ready, desk, viewer_model, ct, cards):
    synthetic_card(cards, name="tampered", title="Tampered", seed=9)
    (cards / "tampered.safetensors").write_bytes(b"tampered")
    viewer_model.layers.selection.active = None
    ready._check_models()
    settle(desk, ready)
    ready.choose_model("tampered")
    ready.queue_model("quick", True)
    settle(desk, ready)
    ready.run()
    finish(desk, ready)
    assert np.array_equal(labels_in(viewer_model).data, eff.segment(ct, "quick").labels.data)
    assert "1 of 2 models, " in ready.store.now.summary
    assert ready.store.now.warnings[0].startswith("tampered gave no labels. ")
    assert ready.store.now.problem == ""


def test_models_that_all_fail_are_each_named(ready, desk, viewer_model, monkeypatch):
    def broken(volume, card, *_):
        raise eff.VolumeError(f"no {card.name}")

    monkeypatch.setattr("napari_effseg.engine.segment", broken)
    ready.run()
    finish(desk, ready)
    assert ready.store.now.problem == "Quick: no quick; second: no second."
    assert len(viewer_model.layers) == 1


def test_a_fault_of_ours_in_one_model_has_its_details(ready, desk, viewer_model, monkeypatch):
    from napari_effseg import engine

    segment = engine.segment

    def half(volume, card, *rest):
        if card.name == "second":
            raise ZeroDivisionError("no")
        return segment(volume, card, *rest)

    monkeypatch.setattr("napari_effseg.engine.segment", half)
    ready.run()
    finish(desk, ready)
    assert "fault in EffSeg" in ready.store.now.warnings[0]
    assert "Traceback" in ready.store.now.details
    assert labels_in(viewer_model).data.any()


def test_a_cancel_keeps_what_has_finished_and_nothing_half_done(ready, desk, viewer_model, ct, monkeypatch):
    said, say = [], ready._runner._progress

    def progress(fraction, message):
        say(fraction, message)
        if message.startswith("2 of 2, second: ") and not said:
            said.append(message)
            ready.cancel()

    monkeypatch.setattr(ready._runner, "_progress", progress)
    monkeypatch.setattr("napari_effseg.engine.segment", _slow_second())
    ready.run()
    finish(desk, ready)
    assert "Cancelled at second; what had finished before is kept" in ready.store.now.summary
    assert np.array_equal(labels_in(viewer_model).data, eff.segment(ct, "quick").labels.data)


def _slow_second():
    """The engine, but the second model waits to be cancelled."""
    import time

    from napari_effseg import engine

    segment = engine.segment

    def run(volume, card, device, roi, progress, cancel):
        if card.name == "second":
            while not cancel():
                progress(0.1, "window 1 of 9")
                time.sleep(0.01)
        return segment(volume, card, device, roi, progress, cancel)

    return run


def test_a_queue_cancelled_in_its_first_model_changes_nothing(ready, desk, viewer_model):
    ready.run()
    ready.cancel()
    finish(desk, ready)
    assert ready.store.now.problem == "Cancelled; nothing was changed."
    assert len(viewer_model.layers) == 1


def test_a_model_that_no_longer_fits_leaves_the_queue_and_comes_back(ready, desk, viewer_model, ct):
    flat = viewer_model.add_image(np.zeros((20, 30), np.uint8), name="picture")
    ready.choose_image(flat)
    settle(desk, ready)
    assert ready.store.now.chosen != ("quick", "second")
    viewer_model.layers.remove(flat)
    settle(desk, ready)
    assert ready.store.now.chosen == ("quick", "second")


def test_models_of_several_levels_share_the_finest_that_one_needs(panel, desk, viewer_model, cards):
    import dataclasses

    coarse = dataclasses.replace(draft_card().input, spacing=(2.0, 2.0, 2.0))
    synthetic_card(cards, name="coarse", title="Coarse", input=coarse)
    fine = np.random.default_rng(0).normal(0, 300, (32, 32, 32)).astype(np.float32)
    viewer_model.add_image([fine, fine[::2, ::2, ::2]], multiscale=True, name="scan")
    settle(desk, panel)
    panel.choose_model("coarse")
    assert "level 1 of 2" in panel.store.now.note
    panel.queue_model("quick", True)
    assert "level 0 of 2" in panel.store.now.note
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    assert viewer_model.layers["scan segmentation"].data.shape == (32, 32, 32)


def test_the_second_run_of_a_network_is_remembered(panel, desk, viewer_model, ct, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))
    add(viewer_model, ct)
    settle(desk, panel)
    panel.choose_model("quick")
    card = panel.store.now.card
    for count in (0, 1):  # the first has to load it
        panel.run()
        finish(desk, panel)
        assert len(measured_here(card)) == count
