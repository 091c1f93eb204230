"""`effseg models add`, `remove` and `export`, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.zoo.foreign import bundles


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
