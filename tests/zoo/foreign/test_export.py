"""Exported bundles are loaded by MONAI's own tools, and give the labels that we give."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.errors import CardError, ExportError
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.export import export_bundle
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


def test_slices_are_refused(tmp_path):
    with pytest.raises(CardError, match="works on slices"):
        export_bundle(synthetic_card(tmp_path, dimensions=2), tmp_path / "bundle")
