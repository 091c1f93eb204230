"""What foreign files may not do, and what of them is not supported: refused in words, nothing stored."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile

import pytest
import torch

from napari_effseg import zoo
from napari_effseg.errors import CardError, UnknownModel, WeightsError
from napari_effseg.zoo.foreign.add import add_model, remove_model
from napari_effseg.zoo.foreign.bundle_config import Config
from napari_effseg.zoo.foreign.bundle_regions import read_region_rule
from napari_effseg.zoo.foreign.draft import AddOptions

from . import bundles
from .bundles import BEFORE, result, step


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The user's folder of models, empty."""
    folder = tmp_path / "my models"
    monkeypatch.setenv("EFFSEG_MODELS", str(folder))
    return folder


def transforms(*steps):
    return {"_target_": "Compose", "transforms": list(steps)}


def refused(tmp_path, models, message, changes=None, kind=CardError, name="spleen"):
    with pytest.raises(kind, match=message):
        add_model(bundles.write_bundle(tmp_path, name, changes))
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step("CropForeground")], r"transforms\[0\] \(CropForegroundd\): CropForeground is not supported"),
        ([step("Spacing", pixdim=[1, 1, 1], mode=3)], "mode 3 is not supported"),
        ([step("Spacing", pixdim="$numpy.ones(3)")], r"\$numpy\.ones\(3\) is not run"),
        ([BEFORE["spleen"][4], BEFORE["spleen"][3]], "after intensities have been changed"),
        ([step("Orientation", axcodes="RXS")], "orientation: expected one each"),
        ([{"_target_": "scripts.mine.Step"}], "Step is not supported"),
    ],
)
def test_a_step_before_that_has_no_rule_is_named(steps, message, tmp_path, models):
    refused(tmp_path, models, message, {"preprocessing": transforms(*steps)})


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([result("AsDiscrete", threshold=0.3)], "threshold 0.3"),
        ([result("Activations", other="$lambda x: x")], "not run|neither or both|not supported"),
        ([result("Activations", sigmoid=True), result("Lambda", func="$os.system")], "a function of its own"),
        ([result("VoteEnsemble")], "VoteEnsemble is not supported"),
    ],
)
def test_a_step_after_that_has_no_rule_is_named(steps, message, tmp_path, models):
    refused(tmp_path, models, message, {"postprocessing": transforms(*steps)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_def": {"_target_": "os.system", "command": "ls"}}, "os.system is not supported"),
        ({"network_def": {"_target_": "mine.UNet"}}, "mine.UNet is not supported"),
        ({"network_def": "$monai.networks.nets.UNet()"}, "is not run"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "SimpleInferer is not supported"),
        ({"network_def": {**bundles.NETWORKS["spleen"], "strides": "@nowhere"}}, "there is no 'nowhere'"),
        ({"network_def": {**bundles.NETWORKS["spleen"], "size": 3}}, "unexpected keyword argument 'size'"),
    ],
)
def test_a_part_that_is_not_supported_is_named(changes, message, tmp_path, models):
    refused(tmp_path, models, message, changes)


def test_torchscript_is_refused_in_words(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen")
    (bundle / "models" / "model.pt").rename(bundle / "models" / "model.ts")
    with pytest.raises(WeightsError, match=r"TorchScript .* is a program"):
        add_model(bundle)


def test_a_checkpoint_that_asks_for_code_is_refused(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen")
    (bundle / "models" / "model.pt").write_bytes(pickle.dumps({"model": os.getcwd}))
    with pytest.raises(WeightsError, match="could run code"):
        add_model(bundle)


def test_weights_of_another_network_are_refused(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen")
    torch.save({"model": bundles.network_of("body").state_dict()}, bundle / "models" / "model.pt")
    with pytest.raises(WeightsError, match="does not fit the network"):
        add_model(bundle)
    assert not list(models.glob("*"))


def test_an_added_model_is_found_by_its_name_and_can_be_removed(tmp_path, models):
    made = add_model(bundles.write_bundle(tmp_path, "spleen"), AddOptions(name="mine", licence="CC0-1.0"))
    assert zoo.find_card("mine") == made.card
    assert (made.card.weights.licence, made.card.licence) == ("CC0-1.0", "CC0-1.0")
    with pytest.raises(CardError, match="the name mine is taken"):
        add_model(bundles.write_bundle(tmp_path / "again", "spleen"), AddOptions(name="mine"))
    remove_model("mine")
    assert not list(models.iterdir())
    with pytest.raises(UnknownModel, match="no model called 'mine' was added"):
        remove_model("mine")
    with pytest.raises(UnknownModel):
        remove_model("../mine")


def zipped(bundle, path, extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file():
                archive.write(file, f"{bundle.name}/{file.relative_to(bundle).as_posix()}")
        for name, content in extra:
            archive.writestr(name, content)
    return path


def test_a_zip_file_is_as_good_as_its_folder(tmp_path, models):
    bundle = bundles.write_bundle(tmp_path, "spleen")
    packed = zipped(bundle, tmp_path / "bundle.zip")
    first, second = add_model(packed).card, add_model(bundle, AddOptions(name="folder")).card
    assert (first.constructor, first.input, first.window) == (second.constructor, second.input, second.window)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:evil.txt", "..\\evil"])
def test_a_zip_file_that_leaves_its_folder_is_refused(name, tmp_path, models):
    packed = zipped(bundles.write_bundle(tmp_path, "spleen"), tmp_path / "evil.zip", [(name, "x")])
    with pytest.raises(WeightsError, match="would lie outside the folder"):
        add_model(packed)


def test_a_zip_file_that_grows_beyond_measure_is_refused(tmp_path, models):
    packed = zipped(
        bundles.write_bundle(tmp_path, "spleen"), tmp_path / "bomb.zip", [("a", bytes(300 << 20))]
    )
    with pytest.raises(WeightsError, match="would unpack to"):
        add_model(packed)


class Answer(io.BytesIO):
    status = 200


def test_an_address_needs_a_checksum_and_is_held_to_it(tmp_path, models):
    content = zipped(bundles.write_bundle(tmp_path, "spleen"), tmp_path / "bundle.zip").read_bytes()
    address = "https://example.org/bundle.zip"

    def opener(url, start):
        return Answer(content)

    with pytest.raises(WeightsError, match="needs the SHA-256"):
        add_model(address, opener=opener)
    with pytest.raises(WeightsError, match="its SHA-256 is"):
        add_model(address, sha256="0" * 64, opener=opener)
    with pytest.raises(WeightsError, match="expected an address that begins with https"):
        add_model("http://example.org/bundle.zip", sha256="0" * 64, opener=opener)
    digest = hashlib.sha256(content).hexdigest()
    assert add_model(address, sha256=digest, opener=opener).card.name == "spleen-segmentation"


def test_anything_else_is_refused(tmp_path, models):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CardError, match="neither a MONAI bundle"):
        add_model(tmp_path / "folder")
    with pytest.raises(WeightsError, match="expected a folder, a zip file, or an address"):
        add_model(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@a", 3),
        ("@b#0", 1.5),
        ("@c::d", "x"),
        ("$@bundle + '/models/' + @c#d", "./models/x"),
        ("$[1, 2] if @yes else [3]", [1, 2]),
        ("$-1.5", -1.5),
        ("$len(@b)", 2),
        ("$not @yes", False),
    ],
)
def test_plain_expressions_are_read(value, expected):
    table = {"a": 3, "b": [1.5, 2], "c": {"d": "x"}, "yes": True, "bundle": "."}
    assert Config(table, "file").read_all(value, "place") == expected


@pytest.mark.parametrize(
    "value",
    ["$__import__('os').system('ls')", "$@a.__class__", "$[x for x in (1,)]", "$1 +", "@loop", "%file"],
)
def test_other_expressions_are_not_run(value):
    with pytest.raises(CardError, match="file: place: "):
        Config({"a": 1, "loop": "@loop"}, "file").read_all(value, "place")


def test_the_choice_between_regions_is_read_and_not_run():
    rule = read_region_rule(bundles.CHOICE)
    assert [(region.channel, region.label) for region in rule] == [(1, 2), (0, 1), (2, 4)]
    for other in ("$lambda x: x", "$lambda x: torch.where(x > 0, 1, 0)", "$print(1)", "$lambda x: (", "$0"):
        assert read_region_rule(other) is None


def test_a_bundle_in_yaml_is_read(tmp_path, models):
    yaml = pytest.importorskip("yaml")
    bundle = bundles.write_bundle(tmp_path, "spleen")
    config = bundle / "configs" / "inference.json"
    (bundle / "configs" / "inference.yaml").write_text(yaml.safe_dump(json.loads(config.read_text())))
    config.unlink()
    assert add_model(bundle).card.network == "monai:UNet"
