"""`effseg models`: the list and its filters; `add`, `remove` and `export`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.zoo.foreign import bundles
from tests.zoo.synthetic import synthetic_card

from .test_json_docs import NAMED


@pytest.fixture(autouse=True)
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path / "models"))


def test_a_bundle_is_added_listed_used_and_removed(effseg: Command, tmp_path: Path, scan: Path) -> None:
    bundle = bundles.write_bundle(tmp_path, "spleen")
    assert "added spleen-segmentation" in effseg("models", "add", str(bundle)).out
    names = [entry["name"] for entry in json.loads(effseg("models", "--json").out)["models"]]
    assert "spleen-segmentation" in names
    output = tmp_path / "out.nii.gz"
    effseg("segment", str(scan), "-m", "spleen-segmentation", "-o", str(output), "--device", "cpu")
    assert output.is_file()
    effseg("models", "remove", "spleen-segmentation")
    assert "spleen-segmentation" not in effseg("models").out


def test_what_is_not_supported_is_one_line(effseg: Command, tmp_path: Path) -> None:
    bundle = bundles.write_bundle(tmp_path, "spleen", {"inferer": {"_target_": "SimpleInferer"}})
    run = effseg("models", "add", str(bundle))
    assert run.code == 2
    assert "SimpleInferer is not supported" in run.err
    assert "Traceback" not in run.err


@pytest.mark.usefixtures("models")
def test_a_model_is_exported_as_a_bundle(effseg: Command, tmp_path: Path) -> None:
    effseg("models", "export", "synthetic", "-o", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle" / "configs" / "metadata.json").is_file()
    again = effseg("models", "export", "synthetic", "-o", str(tmp_path / "bundle"))
    assert again.code == 2
    assert "exists already" in again.err


@pytest.mark.usefixtures("models")
def test_the_list_tells_what_models_are_compared_by(effseg: Command) -> None:
    ran = effseg("models", "--organ", "hippocampus")
    head, line, structures, more, *_ = ran.out.splitlines()
    assert head.split("  ")[0] == "model"
    for fact in ("hippocampus-lightm-unet", "Dice 0.884 on 20 test cases", "about ", " GB", "CC-BY-SA 4.0"):
        assert fact in line
    assert structures.strip() == "anterior hippocampus, posterior hippocampus"
    for fact in ("automatic", "3D MR", "lightm-unet", "M parameters", "estimated from CPU, 2 threads"):
        assert fact in more
    assert "on this machine (CPU" in ran.err
    assert "synthetic" not in ran.out


@pytest.mark.usefixtures("models")
def test_models_are_filtered_by_what_people_say(effseg: Command) -> None:
    assert "two-sequences" in effseg("models", "--modality", "MRI", "--organ", "kidneys").out
    document = json.loads(effseg("models", "--organ", "liver", "--json").out)
    assert [entry["name"] for entry in document["models"]] == ["synthetic", "two-sequences"]
    here = document["models"][0]["here"]
    assert here["known_by"] == "estimated"
    assert set(here) <= NAMED


@pytest.mark.usefixtures("models")
def test_the_long_list_has_the_limits(effseg: Command) -> None:
    ran = effseg("models", "--long", "--organ", "liver")
    assert "It has learned nothing." in ran.out
    assert "channels: t1, flair" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--organ", "hipocampus"], "Did you mean hippocampus"),
        (["--modality", "XX"], "no model takes images of 'XX'."),
        (["--task", "manual"], "Known: automatic"),
        (["--device", "cuba"], "cuba"),
        (["--organ", "liver", "remove", "x"], "--organ belongs to the list of models, not to remove"),
    ],
)
def test_what_is_not_there_is_one_line(effseg: Command, arguments: list[str], said: str) -> None:
    ran = effseg("models", *arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err


@pytest.mark.usefixtures("models")
def test_a_card_of_our_own_is_added_and_then_found_everywhere(
    effseg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = synthetic_card(tmp_path / "run", name="mine")
    assert "added mine" in effseg("models", "add", card.path).out
    assert "mine" in effseg("models", "--organ", "liver").out
    again = effseg("models", "add", card.path)
    assert (again.code, len(again.err.splitlines())) == (2, 1)
    assert "the name mine is taken" in again.err
