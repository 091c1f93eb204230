"""nnU-Net model folders give here what nnU-Net's own predictor gives (`_make_nnunet_fixture` asked it)."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.engine import attempt, results, segment_with
from napari_effseg.engine.frame import Frame
from napari_effseg.engine.whole_image import content_box
from napari_effseg.errors import CardError, WeightsError
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.draft import AddOptions
from napari_effseg.zoo.foreign.nnunet import read_nnunet

FOLDERS = Path(__file__).parent / "nnunet_folders"
NAMES = sorted(path.name for path in FOLDERS.iterdir())
TIE = 2e-3  # of two probabilities: nnU-Net keeps its logits in half precision


def case_of(name):
    volumes = [eff.load(path) for path in sorted((FOLDERS / name).glob("case_*.nii.gz"))]
    return eff.Volume(np.stack([volume.data for volume in volumes]).squeeze(), volumes[0].affine)


def expected_of(name):
    with np.load(FOLDERS / name / "expected.npz") as found:
        return found["labels"], found["probabilities"].astype(np.float32)


def probabilities_of(volume, card, monkeypatch):
    """Labels, and the probabilities that they were made of, on the stored grid."""
    seen = []

    class Spy(results.ScoreReader):
        def after(self, values):
            seen.append(values.half().float())
            return super().after(values)

    monkeypatch.setattr(attempt, "ScoreReader", Spy)
    labels = eff.segment(volume, card, device="cpu").labels.data
    scores = torch.cat(seen, dim=1)
    softmax = card.output.activation == "softmax"
    part = (scores.softmax(0) if softmax else scores.sigmoid()).numpy()
    frame = Frame.of(volume.grid, card, None, content_box(volume.each_channel(), card))
    whole = np.zeros((len(part), *volume.shape), np.float32)
    whole[0] = softmax  # what is cropped away is background
    for channel, values in zip(whole, part, strict=True):
        frame.turn.apply(channel)[
            tuple(slice(low, high) for low, high in zip(*frame.labelled, strict=True))
        ] = values
    return labels, whole


@pytest.fixture
def added(tmp_path):
    def add(model, **options):
        return add_model(FOLDERS / model, AddOptions(**options), folder=tmp_path / "models").card

    return add


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_those_of_nnunets_own_predictor(name, added, monkeypatch):
    card = added(name)
    labels, probabilities = expected_of(name)
    ours, whole = probabilities_of(case_of(name), card, monkeypatch)
    assert np.abs(whole[:, ::2, ::2] - probabilities).max() < 1e-3
    ordered = np.sort(whole, axis=0)
    sure = ordered[-1] - ordered[-2] > TIE
    if card.output.activation == "regions":
        sure = np.abs(whole - 0.5).min(axis=0) > TIE
    assert np.array_equal(ours[sure], labels[sure])
    assert np.mean(sure) > 0.95
    assert len(np.unique(labels)) > 1


def test_the_folds_are_in_one_file_and_are_averaged(added):
    both, first = added("slabs_3d_fullres"), added("slabs_3d_fullres", name="first", folds=("0",))
    assert (both.weights.members, first.weights.members) == (2, 1)
    network, x = zoo.load_network(both), torch.randn(1, 1, 2, 16, 16)
    with torch.inference_mode():
        mean = (network[0](x) + network[1](x)) / 2
        torch.testing.assert_close(network(x), mean)
        torch.testing.assert_close(zoo.load_network(first)(x), network[0](x))


def test_a_named_orientation_serves_other_storages(added):
    card = added("brains_3d_fullres", orientation="RAS")
    volume = case_of("brains_3d_fullres")
    at_home = eff.segment(volume, card, device="cpu").labels
    from napari_effseg.volume import reorient

    for axcodes in ("LPS", "SAR", "PIL"):
        turned = eff.segment(reorient(volume, axcodes), card, device="cpu").labels
        assert np.array_equal(reorient(turned, "".join(at_home.axcodes)).data, at_home.data)


class Values(torch.nn.Module):
    """Each voxel's own normalised values, as scores."""

    def forward(self, x):
        return x


def test_a_region_is_measured_with_the_whole_image(added):
    card, volume = added("brains_3d_fullres"), case_of("brains_3d_fullres")
    card = dataclasses.replace(card, input=dataclasses.replace(card.input, spacing=None))
    low, high = (8, 8, 8), (20, 20, 20)
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    whole = segment_with(Values(), volume, card, device="cpu").labels.data[inside]
    part = segment_with(Values(), volume, card, device="cpu", roi=(low, high)).labels.data
    assert len(np.unique(whole)) == 3
    assert np.array_equal(part[inside], whole)
    part[inside] = 0
    assert not part.any()


def test_an_empty_image_is_background(added):
    volume = eff.Volume(np.zeros((2, 12, 14, 10), np.float32), np.diag([1.0, 2.0, 1.5, 1.0]))
    assert not eff.segment(volume, added("brains_3d_fullres"), device="cpu").labels.data.any()


def test_the_card_says_what_the_plans_say(added):
    card = added("slabs_3d_fullres")
    assert card.input.modality == ("CT",)
    assert card.input.intensity.rule == "fixed_zscore"
    assert [label.name for label in card.labels] == ["outer ball", "inner ball"]
    assert card.window.mirror == (0, 1, 2)
    assert card.window.units == (2, 8, 8)
    regions = added("brains_3d_fullres").output
    assert regions.activation == "regions"
    assert [(region.channel, region.label) for region in regions.regions] == [(0, 1), (1, 2)]


@pytest.fixture
def copied(tmp_path):
    """A copy of a model folder whose plans and data set may be changed."""

    def copy(change_plans=None, change_dataset=None):
        folder = tmp_path / "copy"
        shutil.copytree(FOLDERS / "slabs_3d_fullres", folder)
        for file, change in (("plans.json", change_plans), ("dataset.json", change_dataset)):
            table = json.loads((folder / file).read_text())
            if change is not None:
                change(table)
            (folder / file).write_text(json.dumps(table))
        return folder

    return copy


def fullres(plans):
    return plans["configurations"]["3d_fullres"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: fullres(p).update(previous_stage="3d_lowres"), "second stage of a cascade"),
        (lambda p: fullres(p).update(preprocessor_name="Mine"), "preprocessor_name: Mine is not supported"),
        (lambda p: fullres(p).update(resampling_fn_data="mine"), "resampling_fn_data: mine"),
        (lambda p: fullres(p).update(normalization_schemes=["Mine"]), r"normalization_schemes\[0\]: Mine"),
        (lambda p: p.update(image_reader_writer="Mine"), "image_reader_writer: Mine"),
        (lambda p: p.update(label_manager="Mine"), "label_manager: Mine"),
        (
            lambda p: fullres(p)["architecture"].update(network_class_name="my.Net"),
            "network_class_name: Net is not supported",
        ),
        (
            lambda p: fullres(p)["architecture"]["arch_kwargs"].update(nonlin_first=True),
            "nonlin_first: True is not supported",
        ),
    ],
)
def test_what_is_not_supported_is_named(change, message, copied):
    with pytest.raises(CardError, match=message):
        read_nnunet(copied(change), AddOptions())


def test_an_ignored_label_is_no_label(copied):
    folder = copied(change_dataset=lambda table: table["labels"].update(ignore=3))
    assert len(read_nnunet(folder, AddOptions()).card.labels) == 2


def test_weights_of_another_network_are_refused(copied, tmp_path):
    folder = copied(lambda p: fullres(p)["architecture"]["arch_kwargs"].update(n_conv_per_stage=[3, 3, 3, 3]))
    with pytest.raises(WeightsError, match="does not fit the network"):
        add_model(folder, folder=tmp_path / "models")
    assert not list((tmp_path / "models").glob("*")) if (tmp_path / "models").exists() else True


def test_a_missing_fold_is_named(added):
    with pytest.raises(CardError, match=r"no checkpoint_final\.pth in fold_7; there is: fold_0, fold_1"):
        added("slabs_3d_fullres", folds=("7",))


def test_a_checkpoint_that_holds_code_is_refused(copied, tmp_path):
    class Code:
        def __reduce__(self):
            return (print, ("run",))

    folder = copied()
    torch.save({"network_weights": Code()}, folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsError, match="could run code"):
        add_model(folder, folder=tmp_path / "models")


def in_old_words(plans):
    """Plans as nnU-Net wrote them before 2.3, and as U-Mamba and LightM-UNet have them."""
    configuration = fullres(plans)
    arguments = configuration.pop("architecture")["arch_kwargs"]
    configuration.update(
        UNet_class_name="PlainConvUNet",
        UNet_base_num_features=arguments["features_per_stage"][0],
        unet_max_num_features=max(arguments["features_per_stage"]),
        conv_kernel_sizes=arguments["kernel_sizes"],
        pool_op_kernel_sizes=arguments["strides"],
        n_conv_per_stage_encoder=arguments["n_conv_per_stage"],
        n_conv_per_stage_decoder=arguments["n_conv_per_stage_decoder"],
    )


def test_plans_of_older_versions_mean_the_same_network(copied, added):
    old = read_nnunet(copied(in_old_words), AddOptions()).card
    new = added("slabs_3d_fullres")
    assert {**new.constructor, **old.constructor} == new.constructor
    assert old.window == new.window


def retrained(folder, trainer, network):
    """Put another network, of another trainer, into the only fold."""
    shutil.rmtree(folder / "fold_1")
    path = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    checkpoint.update(trainer_name=trainer, network_weights=network.state_dict())
    torch.save(checkpoint, path)


@pytest.mark.parametrize("variant", ["bottleneck", "encoder"])
def test_u_mamba_is_known_by_its_trainer(variant, copied, added, tmp_path):
    constructor = {**added("slabs_3d_fullres").constructor}
    for key in ("conv_bias", "norm", "norm_eps", "norm_affine", "activation", "variant"):
        del constructor[key]
    if variant == "encoder":
        constructor["input_size"] = (14, 48, 48)
    network = eff.nets.create("u-mamba", variant=variant, **constructor)
    folder = copied(in_old_words)
    retrained(
        folder,
        {"bottleneck": "nnUNetTrainerUMambaBot", "encoder": "nnUNetTrainerUMambaEnc"}[variant],
        network,
    )
    card = add_model(folder, AddOptions(name="umamba"), folder=tmp_path / "models").card
    assert (card.network, card.constructor["variant"]) == ("u-mamba", variant)


def test_lightm_unet_is_known_by_its_trainer(copied, tmp_path):
    network = eff.nets.create("lightm-unet", spatial_dims=3, out_channels=3, init_filters=8)
    folder = copied(lambda plans: fullres(plans).update(patch_size=[16, 48, 48]))
    retrained(folder, "nnUNetTrainerLightMUNet", network)
    card = add_model(folder, AddOptions(name="lightm"), folder=tmp_path / "models").card
    assert card.network == "lightm-unet"
