"""Foreign files with values that nobody expects: refused in words, by place; nothing is stored."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from napari_effseg.errors import CardError, WeightsError
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.bundle_config import Config

from . import bundles
from .bundles import BEFORE, INFERERS, NETWORKS, result, step
from .test_nnunet import FOLDERS

NAN, HUGE = float("nan"), -(10**400)


def windows(**changes):
    return {"inferer": {"_target_": "SlidingWindowInferer", **INFERERS["spleen"], **changes}}


def network(**changes):
    return {"network_def": {**NETWORKS["spleen"], **changes}}


def before(*steps):
    return {"preprocessing": {"_target_": "Compose", "transforms": list(steps)}}


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    yield folder
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (windows(roi_size=[10**9] * 3), "window.size: expected at most 2147483648 voxels"),
        (windows(overlap="half"), "inferer.overlap: expected a number, got 'half'"),
        (windows(overlap=[0.5, 0.5, 0.25]), "inferer.overlap: expected the same for every axis"),
        (
            windows(roi_size=[NAN, 16, 16]),
            r"inference\.json: inferer\.roi_size\.0: expected a number, got nan",
        ),
        (windows(roi_size=[float("inf"), 16, 16]), "roi_size.0: expected a number, got inf"),
        (network(strides=[[2, 2, 1], [2]]), "network_def.strides: expected a list"),
        (network(strides=[0, 2]), "network_def.strides: expected a list"),
        (network(channels=[-4, 8, 8]), "constructor: RuntimeError"),
        (before(step("Spacing", pixdim=[1, 1, float("inf")])), "pixdim: expected a list of millimetres"),
        (before(step("Orientation", axcodes=["R", 1, "S"])), "orientation: expected one each"),
        (before(step("ScaleIntensityRange", a_min=HUGE, a_max=5)), "a_min: expected a number"),
        (
            before(step("NormalizeIntensity", subtrahend=0, divisor=float("inf"))),
            "divisor: expected a number",
        ),
        (before(BEFORE["spleen"][3], BEFORE["spleen"][2]), "Orientation after Spacing is not supported"),
        (before(BEFORE["spleen"][3], BEFORE["spleen"][3]), "Spacing a second time is not supported"),
    ],
)
def test_an_odd_value_of_a_bundle_is_named(changes, message, tmp_path, models):
    with pytest.raises(CardError, match=message):
        add_model(bundles.write_bundle(tmp_path, "spleen", changes), folder=models)


@pytest.mark.parametrize(
    "table",
    [
        {"a": ["@a"]},
        {"a": ["@b"], "b": ["@a"]},
        {f"{'abcdefghi'[n]}": [f"@{'bcdefghij'[n]}"] * 10 for n in range(9)} | {"j": 1},
        {
            "a": "$@b + @b",
            **{f"{'bcdefgh'[n]}": f"$@{'cdefghi'[n]} + @{'cdefghi'[n]}" for n in range(7)},
            "i": "x" * 99,
        },
        {"a": "$" + "+".join(["1"] * 2000)},
    ],
)
def test_references_that_never_end_are_refused(table):
    with pytest.raises(CardError, match=r"^file: place.{,200}$"):
        Config(table, "file").read_all("@a", "place")


def test_an_anchor_that_holds_itself_is_refused(tmp_path, models):
    pytest.importorskip("yaml")
    bundle = bundles.write_bundle(tmp_path, "spleen")
    text = json.dumps(bundles.config_of("spleen"))
    (bundle / "configs" / "inference.json").unlink()
    text = text.replace('"channels": [4, 8, 8]', '"channels": &again [*again]')
    (bundle / "configs" / "inference.yaml").write_text(text)
    with pytest.raises(CardError, match="circle"):
        add_model(bundle, folder=models)


def test_a_network_beyond_measure_costs_no_memory(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen", network(channels=[1_000_000] * 3))
    with pytest.raises(WeightsError, match=r"expected \(1000000, 1, 3, 3, 3\)"):
        add_model(bundle, folder=models)


def test_weights_that_are_no_numbers_are_refused(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen")
    state = bundles.network_of("spleen").state_dict()
    next(iter(state.values())).fill_(NAN)
    torch.save(state, bundle / "models" / "model.pt")
    with pytest.raises(WeightsError, match="no numbers"):
        add_model(bundle, folder=models)


def test_the_only_weights_need_no_name(tmp_path):
    loader = {"load_path": "$os.path.join(@bundle_root, 'models', 'model.pt')"}
    bundle = bundles.write_bundle(tmp_path, "spleen", {"checkpointloader": loader})
    assert add_model(bundle, folder=tmp_path / "kept").card.weights.members == 1


def test_of_several_weights_none_is_guessed(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen", {"checkpointloader": {"load_path": "models/best.pt"}})
    shutil.copy(bundle / "models" / "model.pt", bundle / "models" / "other.pt")
    with pytest.raises(WeightsError, match=r"several weights, and none of them is best\.pt"):
        add_model(bundle, folder=models)


def test_one_overlap_for_each_axis_is_read(tmp_path):
    bundle = bundles.write_bundle(tmp_path, "spleen", windows(overlap=[0.5, 0.5, 0.5]))
    assert add_model(bundle, folder=tmp_path / "kept").card.window.overlap == 0.5


def arguments(plans):
    return plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("plans.json", lambda p: arguments(p).update(strides=[]), "strides: expected a number or 3 numbers"),
        (
            "plans.json",
            lambda p: arguments(p).update(strides=[1, [2, 2], 2, 2]),
            "strides: expected a number or 3",
        ),
        ("plans.json", lambda p: arguments(p).update(norm_op_kwargs={"eps": "x"}), "eps: expected a number"),
        (
            "plans.json",
            lambda p: p["configurations"]["3d_fullres"].update(patch_size=[NAN, 16, 16]),
            r"3d_fullres\.patch_size\.0: expected a number, got nan",
        ),
        ("dataset.json", lambda d: d.update(channel_names={"²": "CT", "0": "PT"}), "normalization_schemes"),
    ],
)
def test_an_odd_value_of_an_nnunet_folder_is_named(file, change, message, tmp_path, models):
    folder = tmp_path / "copy"
    shutil.copytree(FOLDERS / "slabs_3d_fullres", folder)
    table = json.loads((folder / file).read_text())
    change(table)
    (folder / file).write_text(json.dumps(table))
    with pytest.raises(CardError, match=message):
        add_model(folder, folder=models)


def test_mirroring_that_is_no_axis_is_refused(tmp_path, models):
    folder = tmp_path / "copy"
    shutil.copytree(FOLDERS / "slabs_2d", folder)
    file = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    torch.save({**checkpoint, "inference_allowed_mirroring_axes": ["a"]}, file)
    with pytest.raises(CardError, match=r"mirroring_axes\.0: expected a number, got 'a'"):
        add_model(folder, folder=models)


SOFTMAX, ARGMAX = result("Activations", softmax=True), result("AsDiscrete", argmax=True)
SIGMOID, HALF = result("Activations", sigmoid=True), result("AsDiscrete", threshold=0.5)
LARGEST = "KeepLargestConnectedComponent"


def after(*steps):
    return {"postprocessing": {"_target_": "Compose", "transforms": list(steps)}}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([SOFTMAX, result(LARGEST, applied_labels=[1]), ARGMAX], "of scores is not supported"),
        ([ARGMAX, result(LARGEST, applied_labels=[1], num_components=2)], "with one component"),
        ([ARGMAX, result(LARGEST, applied_labels=[1], connectivity=1)], "with one component"),
        ([ARGMAX, result("FillHoles", connectivity=1)], "with one label alone, not with 3"),
        ([SIGMOID, HALF, result(LARGEST, applied_labels=[1])], "with one label alone, not with 4"),
        (
            [ARGMAX, result(LARGEST, applied_labels=[1, 2], independent=False)],
            "together, of other labels beside",
        ),
    ],
)
def test_tidying_that_means_something_else_here_is_refused(steps, message, tmp_path, models):
    with pytest.raises(CardError, match=message):
        add_model(bundles.write_bundle(tmp_path, "body", after(*steps)), folder=models)


def test_each_step_that_keeps_the_largest_piece_counts(tmp_path):
    steps = after(ARGMAX, result(LARGEST, applied_labels=[1]), result(LARGEST, applied_labels=[3]))
    bundle = bundles.write_bundle(tmp_path, "body", steps)
    assert add_model(bundle, folder=tmp_path / "kept").card.postprocess.keep_largest == (1, 3)


def test_labels_that_a_bundle_interpolates_are_noted(tmp_path):
    bundle = bundles.write_bundle(tmp_path, "body", after(ARGMAX, bundles.invert(False)))
    assert any("nearest label" in note for note in add_model(bundle, folder=tmp_path / "kept").notes)


def test_channels_that_nobody_counted_are_those_of_the_network(tmp_path):
    bundle = bundles.write_bundle(tmp_path, "brain")
    table = bundles.metadata_of("brain")
    del table["network_data_format"]
    (bundle / "configs" / "metadata.json").write_text(json.dumps(table))
    roles = [channel.role for channel in add_model(bundle, folder=tmp_path / "kept").card.input.channels]
    assert roles == ["channel-0", "channel-1"]


def test_parameters_are_counted_without_statistics(tmp_path):
    card = add_model(bundles.write_bundle(tmp_path, "spleen"), folder=tmp_path / "kept").card
    counted = sum(parameter.numel() for parameter in bundles.network_of("spleen").parameters())
    assert card.weights.parameters == counted
    folds = add_model(FOLDERS / "slabs_3d_fullres", folder=tmp_path / "kept").card
    assert folds.weights.parameters % 2 == 0
