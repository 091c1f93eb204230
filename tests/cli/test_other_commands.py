"""`sample`, `evaluate`, `convert`, `bench`, `train` and `doctor`: their files, tables, JSON and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import LabelMap, Volume, load, save, zoo
from tests.session.test_sessions import promptable
from tests.zoo.synthetic import synthetic_card

from .conftest import AFFINE, Command
from .test_json_docs import NAMED, keys_of


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One labelled case of the synthetic card's structures."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(1)
    save(Volume(random.normal(size=(12, 10, 8)).astype(np.float32), AFFINE), folder / "image.nii.gz")
    labels = random.integers(0, 3, (12, 10, 8)).astype(np.uint8)
    save(LabelMap(labels, AFFINE), folder / "label.nii.gz")
    cases = [{"image": "image.nii.gz", "label": "label.nii.gz"}]
    document = {"name": "noise", "labels": {"1": "left kidney", "2": "liver"}, "test": cases}
    (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_sample_lists_what_there_is(effseg: Command) -> None:
    ran = effseg("sample")
    assert ran.code == 0
    assert "hippocampus-2" in ran.out
    assert "[demo]" in ran.out


def test_sample_writes_a_case_with_its_licence_said(effseg: Command, tmp_path: Path) -> None:
    image, reference = tmp_path / "case.nii.gz", tmp_path / "truth.nii.gz"
    ran = effseg("sample", "hippocampus", image, "--reference", reference)
    assert ran.code == 0
    assert load(image).shape == load(reference).shape == (32, 53, 38)
    assert "CC-BY-SA 4.0" in ran.err


def test_sample_without_a_file_writes_here_and_replaces_nothing(
    effseg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert effseg("sample", "hippocampus-2").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["hippocampus-2.nii.gz"]
    assert effseg("sample", "hippocampus-2").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hippo"], "Did you mean hippocampus"),
        (["hippocampus", "case.png"], ".nii.gz"),
        (["hippocampus", "missing/case.nii.gz"], "does not exist"),
    ],
)
def test_sample_refuses_in_one_line(effseg: Command, arguments: list[str], said: str) -> None:
    ran = effseg("sample", *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


@pytest.mark.usefixtures("models")
def test_evaluate_prints_a_table_and_writes_every_score(
    effseg: Command, dataset: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.json"
    ran = effseg("evaluate", "synthetic", dataset, "--json", scores, "--transform", "reorient")
    assert ran.code == 0
    assert "liver" in ran.out
    document = json.loads(scores.read_text(encoding="utf-8"))
    assert set(keys_of(document)) <= NAMED
    assert document["transform"] == "reorient"
    assert document["summary"]["cases"] == 1
    assert {label["name"] for label in document["cases"][0]["labels"]} == {"left kidney", "liver"}


@pytest.mark.usefixtures("models")
def test_evaluate_tells_what_each_corruption_costs(effseg: Command, dataset: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    ran = effseg("evaluate", "synthetic", dataset, "--json", scores, "--corrupt")
    assert ran.code == 0
    document = json.loads(scores.read_text(encoding="utf-8"))
    assert set(keys_of(document)) <= NAMED
    names = [found["corruption"] for found in document["evaluations"]]
    assert names[0] == "none"
    assert all(name in ran.out for name in names[1:])
    assert {found["summary"]["cases"] for found in document["evaluations"]} == {1}


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["synthetic", "nowhere"], "dataset.json"),
        (["synthetic", "{data}", "--split", "tset"], "Did you mean test"),
        (["synthetic", "{data}", "--transform", "mirorr"], "Did you mean mirror"),
        (["synthetic", "{data}", "--json", "{data}/missing/a.json"], "does not exist"),
        (["synthetic", "{data}", "--tolerance", "-1"], "tolerance"),
        (["synthetik", "{data}"], "Did you mean synthetic"),
    ],
)
def test_evaluate_refuses_in_one_line(
    effseg: Command, dataset: Path, arguments: list[str], said: str
) -> None:
    ran = effseg("evaluate", *(part.format(data=dataset) for part in arguments))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


@pytest.mark.usefixtures("models")
def test_evaluate_takes_several_sets(effseg: Command, dataset: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    ran = effseg("evaluate", "synthetic", dataset, dataset, "--json", scores)
    assert ran.code == 0
    assert ran.out.count("synthetic on noise") == 2
    assert len(json.loads(scores.read_text(encoding="utf-8"))["evaluations"]) == 2


def test_evaluate_asks_by_clicks(effseg: Command, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    scores, card = tmp_path / "scores.json", promptable(tmp_path)
    ran = effseg("evaluate", card, dataset, "--group", f"seen={dataset}", "--baseline", "grow-cut",
                 "--objects", 1, "--clicks", 5, "--whole", "--json", scores)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "prompt-unet" in ran.out
    assert "mean, seen" in ran.out
    document = json.loads(scores.read_text(encoding="utf-8"))
    assert set(keys_of(document)) <= NAMED
    assert [one["model"] for one in document["evaluations"]] == ["prompt-unet", "grow-cut"]
    for one in document["evaluations"]:
        first, second = one["sets"]
        assert first["summary"] == second["summary"]
        assert all(len(asked["dice_clicks"]) == 5 for asked in first["objects"])
        assert len(first["solids"][0]["dice"]) == 4


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flood-fill"], "no data set"),
        (["flood-fill", "{data}", "--corrupt"], "--corrupt is for models that segment"),
        (["flood-fill", "{data}", "--label", "1=liver"], "--label is for models that segment"),
        (["flood-fill", "{data}", "--group", "{data}"], "NAME=DATASET"),
        (["flood-fill", "{data}", "--split", "tset"], "Did you mean test"),
        (["synthetic", "{data}", "--clicks", "7"], "--clicks is for models that answer clicks"),
        (["synthetic", "{data}", "--baseline", "grow-cut"], "--baseline is for models that answer clicks"),
        (["synthetic", "--group", "seen={data}"], "--group is for models that answer clicks"),
    ],
)
def test_options_of_the_other_kind_are_refused(
    effseg: Command, dataset: Path, arguments: list[str], said: str
) -> None:
    ran = effseg("evaluate", *(part.format(data=dataset) for part in arguments))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


def test_convert_writes_what_a_card_can_name(effseg: Command, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    card = synthetic_card(tmp_path)
    state = {f"module.{key}": value for key, value in zoo.load_network(card).state_dict().items()}
    torch.save({"network_weights": state}, tmp_path / "checkpoint.pth")
    output = tmp_path / "out.safetensors"
    ran = effseg("convert", tmp_path / "checkpoint.pth", "-m", card.path, "-o", output)
    assert ran.code == 0
    assert zoo.file_sha256(output)[:12] in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["checkpoint.pth", "-m", "lightm-unet", "-o", "out.pt"], ".safetensors"),
        (["missing.pth", "-m", "lightm-unet", "-o", "{folder}/out.safetensors"], "missing.pth"),
        (["missing.pth", "-m", "lightm-unett", "-o", "{folder}/out.safetensors"], "Did you mean lightm-unet"),
        (["missing.pth", "-o", "{folder}/out.safetensors"], "--model"),
    ],
)
def test_convert_refuses_in_one_line(
    effseg: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    ran = effseg("convert", *(part.format(folder=tmp_path) for part in arguments))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("models")
def test_bench_measures_and_writes_numbers(effseg: Command, tmp_path: Path) -> None:
    numbers = tmp_path / "bench.json"
    ran = effseg("bench", "synthetic", "--no-scan", "--device", "cpu", "--json", numbers)
    assert ran.code == 0
    assert "synthetic" in ran.out
    (row,) = json.loads(numbers.read_text(encoding="utf-8"))["networks"]
    assert row["parameters"] > 0
    assert row["scan_operations"] > 0
    assert row["seconds"] > 0


@pytest.mark.usefixtures("models")
def test_a_picture_without_a_measured_dice_is_refused_before_anything_is_measured(
    effseg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_effseg.evaluation.bench", lambda *_: pytest.fail("measured"))
    ran = effseg("bench", "synthetic", "--picture", tmp_path / "it.png")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "nothing to draw" in ran.err
    assert not (tmp_path / "it.png").exists()


def test_slow_peers_without_peers_are_refused(effseg: Command) -> None:
    ran = effseg("bench", "synthetic", "--slow")
    assert ran.code == 2
    assert "--peers" in ran.err


def test_train_says_what_is_missing(effseg: Command) -> None:
    ran = effseg("train", "missing.toml")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "missing.toml" in ran.err


@pytest.mark.usefixtures("models")
def test_doctor_finds_sound_weights(effseg: Command) -> None:
    ran = effseg("doctor", "--json")
    document = json.loads(ran.out)
    found = {entry["card"]: entry for entry in document["weights"]}
    assert found["synthetic"]["problem"] is None
    assert document["versions"]["torch"]
    assert "cpu" in document["scan"]
    assert "scan" in effseg("doctor").out


def test_doctor_ends_with_1_when_a_checksum_is_wrong(
    effseg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = zoo.weights_path(synthetic_card(tmp_path))
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("EFFSEG_CARDS", str(tmp_path))
    ran = effseg("doctor")
    assert ran.code == 1
    assert "weights of synthetic" in ran.err
