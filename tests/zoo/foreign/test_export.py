"""Exported bundles are loaded by MONAI's own tools, and give the labels that we give."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.errors import CardError, ExportError
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.draft import AddOptions
from napari_effseg.zoo.foreign.export import export_bundle
from napari_effseg.zoo.foreign.own_bundle import CARD_FILE
from tests.zoo.synthetic import synthetic_card

from . import bundles
from .test_bundles import by_monai, image_of

ZSCORE = zoo.IntensityRule("zscore")
CT = zoo.IntensityRule("fixed_zscore", lower=-100.0, upper=300.0, mean=50.0, std=90.0)


def card_of(folder, activation="softmax", rule=ZSCORE, **changes):
    draft = synthetic_card(folder / "draft", activation=activation)
    given = zoo.InputSpec(("MR",), draft.input.channels, "LPS", rule, draft.input.spacing)
    constructor = {**draft.constructor, "out_channels": 3 if activation == "softmax" else 2}
    changes = {"input": given, "constructor": constructor, **changes}
    return synthetic_card(folder / "card", activation=activation, seed=3, **changes)


@pytest.fixture
def image(tmp_path):
    return image_of("spleen", tmp_path)


@pytest.mark.filterwarnings("ignore")  # of MONAI about its own readers
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "regions"])
@pytest.mark.parametrize("rule", [ZSCORE, CT], ids=["zscore", "fixed"])
def test_monai_gives_our_labels(activation, rule, tmp_path, image):
    card = card_of(tmp_path, activation, rule)
    bundle = export_bundle(card, tmp_path / "bundle").path
    theirs = by_monai(bundle, image)
    ours = eff.segment(eff.load(image), card, device="cpu").labels.data
    assert len(np.unique(ours)) > 1
    assert np.mean(ours != theirs) < 2e-4  # ties, of which rounding decides


@pytest.mark.filterwarnings("ignore")
def test_monais_own_loader_gives_the_network(tmp_path):
    from monai.bundle import load

    card = card_of(tmp_path)
    export_bundle(card, tmp_path / "bundle")
    network = load("bundle", bundle_dir=str(tmp_path), workflow_type="inference")
    ours = zoo.load_network(card).state_dict()
    assert all(torch.equal(network.state_dict()[key], value) for key, value in ours.items())


def test_an_added_bundle_is_exported_as_one(tmp_path):
    card = add_model(bundles.write_bundle(tmp_path, "body"), folder=tmp_path / "models").card
    again = add_model(export_bundle(card, tmp_path / "bundle").path, folder=tmp_path / "others").card
    for part in ("network", "constructor", "input", "window", "output", "dimensions"):
        assert getattr(again, part) == getattr(card, part)
    assert [label.name for label in again.labels] == [label.name for label in card.labels]


def test_the_metadata_has_what_bundles_need(tmp_path):
    metadata = json.loads(
        (export_bundle(card_of(tmp_path), tmp_path / "b").path / "configs" / "metadata.json").read_text()
    )
    needed = {
        "version",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "task",
        "description",
        "authors",
    }
    assert needed | {"copyright", "network_data_format"} <= set(metadata)
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] == "left kidney"


def test_an_older_folder_is_untouched(tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(ExportError, match="exists already"):
        export_bundle(card_of(tmp_path), tmp_path / "bundle")
    assert not list((tmp_path / "bundle").iterdir())


def test_what_may_differ_is_said(tmp_path):
    draft = synthetic_card(tmp_path / "draft")
    given = zoo.InputSpec(("CT",), draft.input.channels, "RAS", CT, (1.0, 1.0, 2.0))
    notes = export_bundle(synthetic_card(tmp_path / "card", input=given), tmp_path / "bundle").notes
    assert any("interpolated by MONAI's transforms" in note for note in notes)


def test_a_model_that_waits_for_prompts_is_refused(tmp_path):
    card = dataclasses.replace(card_of(tmp_path), task="promptable")
    with pytest.raises(CardError, match="waits for prompts"):
        export_bundle(card, tmp_path / "bundle")


# --- slices and pictures ---


CLIPPED = zoo.IntensityRule("clip_zscore", percentiles=(2.0, 95.0))


def slices_card(folder, rule=ZSCORE, **changes):
    draft = synthetic_card(folder / "draft", dimensions=2)
    given = zoo.InputSpec(("MR",), draft.input.channels, "LPS", rule, plane="axial")
    return synthetic_card(folder / "card", dimensions=2, seed=3, **{"input": given, **changes})


def picture_card(folder, channels=3, activation="softmax", rule=CLIPPED, **changes):
    draft = synthetic_card(folder / "draft", dimensions=2)
    roles = tuple(zoo.ChannelRole(role, role) for role in ("red", "green", "blue")[:channels])
    constructor = {**draft.constructor, "in_channels": channels}
    constructor["out_channels"] = 3 if activation == "softmax" else 2
    changes = {
        "input": zoo.InputSpec(("OT",), roles, "LPS", rule),
        "constructor": constructor,
        "window": zoo.WindowSpec((24, 32), overlap=0.5, multiple_of=2),
        "output": zoo.OutputSpec(activation),
        **changes,
    }
    return synthetic_card(folder / "card", dimensions=2, seed=3, **changes)


@pytest.fixture
def pictures(tmp_path):
    """Paths of a grey and a coloured picture, wider than high."""
    rng = np.random.default_rng(5)
    paths = {}
    for name, shape in (("grey", (33, 58)), ("rgb", (33, 58, 3))):
        paths[name] = tmp_path / f"{name}.png"
        Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8)).save(paths[name])
    return paths


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rule", [ZSCORE, CLIPPED, CT], ids=["zscore", "clipped", "fixed"])
def test_monai_gives_our_labels_of_slices(rule, tmp_path, image):
    card = slices_card(tmp_path, rule)
    theirs = by_monai(export_bundle(card, tmp_path / "bundle").path, image)
    ours = eff.segment(eff.load(image), card, device="cpu").labels.data
    assert len(np.unique(ours)) > 1
    assert np.mean(ours != theirs) < 2e-4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["grey", "rgb"])
@pytest.mark.parametrize("channels", [1, 3])
def test_monai_gives_our_labels_of_pictures(kind, channels, tmp_path, pictures):
    card = picture_card(tmp_path, channels)
    theirs = by_monai(export_bundle(card, tmp_path / "bundle").path, pictures[kind])
    ours = eff.segment(eff.load(pictures[kind]), card, device="cpu").labels.data[..., 0]
    assert len(np.unique(ours)) > 1
    assert np.mean(ours != theirs) < 1e-3


@pytest.mark.skipif(
    not all(map(find_spec, ("ignite", "fire"))), reason="MONAI's command needs pytorch-ignite and fire"
)
def test_monais_own_command_writes_labels_of_pictures(tmp_path, pictures):
    card = picture_card(tmp_path, activation="sigmoid")
    bundle = export_bundle(card, tmp_path / "bundle").path
    (tmp_path / "images").mkdir()
    picture = pictures["rgb"].rename(tmp_path / "images" / "rgb.png")
    command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", str(bundle)]
    command += ["--config_file", str(bundle / "configs" / "inference.json")]
    command += ["--dataset_dir", str(picture.parent), "--output_dir", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True)
    (written,) = (tmp_path / "out").rglob("*.png")
    ours = eff.segment(eff.load(picture), card, device="cpu").labels
    assert np.mean(ours.data[..., 0] != np.asarray(Image.open(written)).T) < 1e-3


def test_what_a_bundle_of_objects_cannot_hold_is_said(tmp_path):
    rules = zoo.Postprocess(fill_holes=True, instances=zoo.Instances(1, border=2))
    made = export_bundle(picture_card(tmp_path, postprocess=rules), tmp_path / "bundle")
    assert any("objects are numbered here alone" in note for note in made.notes)
    assert any("takes pictures" in note for note in made.notes)
    assert "FillHoles" not in (made.path / "configs" / "inference.json").read_text()


def test_pictures_that_are_resampled_are_refused(tmp_path):
    card = picture_card(tmp_path)
    scaled = dataclasses.replace(card, input=dataclasses.replace(card.input, spacing=(0.5, 0.5)))
    with pytest.raises(CardError, match="no size in MONAI"):
        export_bundle(scaled, tmp_path / "bundle")


# --- back again ---


def added(bundle, folder, **options):
    return add_model(bundle, AddOptions(name="again", **options), folder=folder)


def objects_card(folder):
    rules = zoo.Postprocess(fill_holes=True, instances=zoo.Instances(1, border=2, smallest=3))
    return picture_card(folder, postprocess=rules)


KINDS = {"volumes": card_of, "slices": slices_card, "pictures": picture_card, "objects": objects_card}
MEASURED = zoo.Accuracy("set", "test", 3, "dice", "mean", 0.9, 0.1, "effseg")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_model_comes_back_with_the_same_labels(kind, tmp_path, image, pictures):
    card = KINDS[kind](tmp_path)
    bundle = export_bundle(card, tmp_path / "bundle").path
    again = added(bundle, tmp_path / "models").card
    given = eff.load(image if kind in ("volumes", "slices") else pictures["rgb"])
    one, other = (eff.segment(given, model, device="cpu").labels for model in (card, again))
    assert np.array_equal(one.data, other.data)
    assert (one.names, one.colours, one.codes) == (other.names, other.colours, other.codes)


def test_its_card_comes_back_but_for_name_and_file(tmp_path):
    card = dataclasses.replace(card_of(tmp_path), accuracy=(MEASURED,))
    again = added(export_bundle(card, tmp_path / "bundle").path, tmp_path / "models").card
    assert again == dataclasses.replace(card, name="again", weights=again.weights)
    assert again.weights.licence == card.weights.licence


def test_other_weights_lose_the_measured_accuracy(tmp_path):
    card = dataclasses.replace(card_of(tmp_path), accuracy=(MEASURED,))
    bundle = export_bundle(card, tmp_path / "bundle").path
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    torch.save({key: value + 0.01 for key, value in state.items()}, bundle / "models" / "model.pt")
    made = added(bundle, tmp_path / "models")
    assert made.card.accuracy == ()
    assert any("not those that were exported" in note for note in made.notes)


def test_a_card_that_contradicts_the_configuration_is_refused(tmp_path):
    bundle = export_bundle(card_of(tmp_path), tmp_path / "bundle").path
    path = bundle / "configs" / "inference.json"
    path.write_text(path.read_text().replace('"init_filters": 8', '"init_filters": 16'))
    with pytest.raises(CardError, match="another network"):
        added(bundle, tmp_path / "models")


def test_a_network_of_ours_that_nobody_knows_is_refused(tmp_path):
    bundle = export_bundle(card_of(tmp_path), tmp_path / "bundle").path
    (bundle / CARD_FILE).unlink()
    path = bundle / "configs" / "inference.json"
    path.write_text(path.read_text().replace('"lightm-unet"', '"os.system"'))
    with pytest.raises(CardError, match="is not supported"):
        added(bundle, tmp_path / "models")


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "regions"])
@pytest.mark.parametrize("rule", [ZSCORE, CLIPPED, CT], ids=["zscore", "clipped", "fixed"])
def test_without_its_card_a_bundle_is_read_from_its_configuration(activation, rule, tmp_path, image):
    card = card_of(tmp_path, activation, rule, postprocess=zoo.Postprocess(connect_all=True))
    bundle = export_bundle(card, tmp_path / "bundle").path
    (bundle / CARD_FILE).unlink()
    again = added(bundle, tmp_path / "models").card
    assert (again.network, again.input.manner) == (card.network, "monai")
    one, other = (eff.segment(eff.load(image), model, device="cpu").labels.data for model in (card, again))
    assert np.mean(one != other) < 2e-4
