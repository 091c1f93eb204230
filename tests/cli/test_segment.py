"""`effseg segment`: the label map lies where the image lies, and every file appears, or none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import Volume, load, load_labels, save, zoo
from napari_effseg.zoo import weights_path
from tests.zoo.synthetic import synthetic_card

from .conftest import AFFINE, Command
from .test_json_docs import NAMED, keys_of

pytestmark = pytest.mark.usefixtures("models")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".mha"])
def test_the_label_map_lies_on_the_images_grid(effseg: Command, scan: Path, ending: str) -> None:
    output = scan.with_name(f"out{ending}")
    ran = effseg("segment", scan, "-m", "synthetic", "-o", output)
    labels = load_labels(output)
    assert ran.code == 0
    assert labels.shape == (20, 14, 10)
    assert np.allclose(labels.affine, AFFINE, atol=1e-4)
    assert labels.names == {1: "left kidney", 2: "liver"}


def test_without_an_output_it_goes_beside_the_image_and_is_kept(effseg: Command, scan: Path) -> None:
    first = effseg("segment", scan, "-m", "synthetic")
    assert first.code == 0
    assert names(scan.parent) == ["scan 1.nii.gz", "scan 1_seg.nii.gz", "scan 1_seg.tsv"]
    second = effseg("segment", scan, "-m", "synthetic")
    assert second.code == 2
    assert "exists already" in second.err


def test_a_named_output_replaces_an_older_one(effseg: Command, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    output.write_text("old")
    assert effseg("segment", scan, "-m", "synthetic", "-o", output).code == 0
    assert load_labels(output).shape == (20, 14, 10)


def test_the_plan_is_said_before_and_the_volumes_after(effseg: Command, scan: Path) -> None:
    ran = effseg("segment", scan, "-m", "synthetic")
    assert "window" in ran.err.splitlines()[0]
    assert "left kidney" in ran.out
    assert "scan 1_seg.nii.gz" in ran.out


def test_quiet_says_warnings_alone(effseg: Command, scan: Path) -> None:
    ran = effseg("segment", scan, "-m", "synthetic", "-q")
    assert ran.out == ""
    assert all(line.startswith("warning: ") for line in ran.err.splitlines())


def test_doubt_report_and_overlay_are_written_on_request(effseg: Command, scan: Path) -> None:
    folder = scan.parent / "more"
    folder.mkdir()
    doubt, report, overlay = folder / "doubt.nii.gz", folder / "report.json", folder / "picture.png"
    parts = ("--save-doubt", doubt, "--report", report, "--overlay", overlay)
    assert effseg("segment", scan, "-m", "synthetic", *parts).code == 0
    assert names(folder) == ["doubt.nii.gz", "picture.png", "report.json"]
    assert 0 <= load(doubt).data.min() <= load(doubt).data.max() <= 1
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["model"] == "synthetic"
    assert [label["name"] for label in document["labels"]] == ["left kidney", "liver"]
    assert document["inputs"] == [str(scan)]


def test_outside_the_regions_nothing_is_labelled(effseg: Command, scan: Path) -> None:
    output = scan.with_name("out.nrrd")
    boxes = ("--roi", "0,0,0:6,14,10", "--roi", "12,2,1:20,8,9")
    assert effseg("segment", scan, "-m", "synthetic", "-o", output, *boxes).code == 0
    labels = load_labels(output).data
    assert labels[:6].any()
    assert not labels[6:12].any()
    assert not labels[12:, 8:].any()


def test_channels_go_to_their_roles_whatever_their_order(effseg: Command, scan: Path, tmp_path: Path) -> None:
    flair = save(Volume(load(scan).data[::-1] ** 2, AFFINE), tmp_path / "other.nii.gz")
    outputs = [tmp_path / f"{number}.nrrd" for number in range(3)]
    given = (
        [scan, flair],
        ["--channel", f"flair={flair}", "--channel", f"T1={scan}"],
        [scan, "--channel", f"flair={flair}"],
    )
    for output, arguments in zip(outputs, given, strict=True):
        assert effseg("segment", *arguments, "-m", "two-sequences", "-o", output).code == 0
    first, *others = (load_labels(output).data for output in outputs)
    assert all(np.array_equal(first, other) for other in others)


def test_channels_on_another_grid_are_resampled_to_the_first_and_said_so(
    effseg: Command, scan: Path, tmp_path: Path
) -> None:
    coarse = save(Volume(load(scan).data[::2], AFFINE @ np.diag([2, 1, 1, 1])), tmp_path / "coarse.nii.gz")
    ran = effseg("segment", scan, coarse, "-m", "two-sequences", "-o", tmp_path / "o.nrrd")
    assert ran.code == 0
    assert "resampled to that of scan 1.nii.gz" in ran.err
    assert load_labels(tmp_path / "o.nrrd").shape == (20, 14, 10)


def test_the_roles_choose_the_model_that_has_them(effseg: Command, scan: Path) -> None:
    ran = effseg(
        "segment", "--channel", f"flair={scan}", "--channel", f"t1={scan}", "-o", scan.with_name("o.nrrd")
    )
    assert ran.code == 0
    assert "two-sequences" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.nii.gz", "-m", "synthetic"], "missing.nii.gz"),
        (["{scan}", "-m", "syntetic"], "Did you mean synthetic"),
        (["{scan}", "-m", "synthetic", "-o", "{scan}"], "the input itself"),
        (["{scan}", "-m", "synthetic", "-o", "{folder}/missing/out.nii.gz"], "does not exist"),
        (["{scan}", "-m", "synthetic", "-o", "{folder}/out.xyz"], ".seg.nrrd"),
        (["{scan}", "-m", "synthetic", "-o", "{folder}/out"], ".nii.gz"),
        (["{scan}", "-m", "synthetic", "--save-doubt", "{folder}/doubt.jpg"], ".nii.gz"),
        (["{scan}", "-m", "synthetic", "--save-doubt", "{folder}/doubt.seg.nrrd"], "holds labels"),
        (["{scan}", "-m", "synthetic", "--overlay", "{folder}/picture.gif"], "end in .png"),
        (["{scan}", "-m", "synthetic", "--report", "{folder}/a", "--overlay", "{folder}/a"], "end in .png"),
        (
            ["{scan}", "-m", "synthetic", "-o", "{folder}/a.nrrd", "--save-doubt", "{folder}/a.nrrd"],
            "two outputs",
        ),
        (["{scan}", "-m", "synthetic", "--roi", "1,2,3"], "I0,J0,K0:I1,J1,K1"),
        (["{scan}", "-m", "synthetic", "--roi", "0,0,0:99,5,5"], "99"),
        (["{scan}", "-m", "synthetic", "--roi", "5,0,0:5,5,5"], "5"),
        (["{scan}", "-m", "synthetic", "--device", "cuba"], "cuba"),
        (["{scan}", "-m", "synthetic", "--devise", "cpu"], "--device"),
        (["{scan}", "-m", "synthetic", "--frame", "first"], "first"),
        (["{scan}", "-m", "synthetic", "--series", "1.2.3"], "series"),
        (["{scan}", "{scan}", "-m", "synthetic"], "takes 1: t1"),
        (["{scan}", "-m", "two-sequences"], "t1, flair"),
        (["{scan}", "--channel", "flare={scan}", "-m", "two-sequences"], "Did you mean flair"),
        (["--channel", "flair={scan}", "-m", "two-sequences"], "takes 2: t1, flair"),
        (["--channel", "flair={scan}", "-m", "synthetic"], "no channel 'flair'"),
        (["--channel", "pet={scan}"], "no model has"),
        (["--channel", "flair"], "ROLE=FILE"),
        (["--channel", "t1={scan}", "--channel", "T1={scan}"], "twice"),
        (["-m", "synthetic"], "no image was given"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_nothing(
    effseg: Command, scan: Path, arguments: list[str], said: str
) -> None:
    before = names(scan.parent)
    ran = effseg("segment", *(part.format(scan=scan, folder=scan.parent) for part in arguments))
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1, ran.err
    assert said in ran.err
    assert names(scan.parent) == before


def test_a_table_that_is_not_ours_is_never_replaced(effseg: Command, scan: Path) -> None:
    table = scan.with_name("scan 1_seg.tsv")
    table.write_text("patient\tdiagnosis\n1\tfine\n", encoding="utf-8")
    ran = effseg("segment", scan, "-m", "synthetic")
    assert ran.code == 2
    assert table.read_text(encoding="utf-8").startswith("patient")


def test_damaged_weights_are_said_and_leave_nothing(effseg: Command, scan: Path, tmp_path: Path) -> None:
    weights = weights_path(synthetic_card(tmp_path, seed=5))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ran = effseg("segment", scan, "-m", tmp_path / "synthetic.toml", "-o", tmp_path / "out.nrrd")
    assert ran.code == 2
    assert "SHA-256" in ran.err
    assert not (tmp_path / "out.nrrd").exists()


# --- several models ---


@pytest.fixture
def other_model(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second model of one channel, called "other"."""
    folder = tmp_path / "more cards"
    synthetic_card(folder, name="other", seed=3, input=zoo.find_card("synthetic").input)
    monkeypatch.setenv("EFFSEG_CARDS", os.pathsep.join(map(str, (models, folder))))
    return folder


@pytest.mark.usefixtures("other_model")
def test_several_models_label_one_map_and_the_first_is_left_as_it_is(effseg: Command, scan: Path) -> None:
    alone, both, report = (scan.with_name(name) for name in ("a.seg.nrrd", "b.seg.nrrd", "r.json"))
    region = ("--roi", "0,0,0:9,14,10")
    assert effseg("segment", scan, "-m", "synthetic", "-o", alone, *region).code == 0
    ran = effseg("segment", scan, "-m", "synthetic", "-m", "other", "-o", both, "--report", report, *region)
    assert ran.code == 0
    assert "2 models one after the other: about" in ran.err.splitlines()[0]
    first, merged = load_labels(alone), load_labels(both)
    assert np.array_equal(merged.data[first.data > 0], first.data[first.data > 0])
    assert list(merged.names.values()) == ["left kidney", "liver", "left kidney (other)", "liver (other)"]
    assert "liver (other)" in ran.out
    document = json.loads(report.read_text(encoding="utf-8"))
    assert set(keys_of(document)) <= NAMED
    assert document["model"] == "synthetic + other"
    assert [one["model"] for one in document["models"]] == ["synthetic", "other"]


@pytest.mark.usefixtures("other_model")
def test_later_models_replace_labels_when_told(effseg: Command, scan: Path) -> None:
    outputs = [scan.with_name(name) for name in ("a.nrrd", "b.nrrd")]
    assert effseg("segment", scan, "-m", "other", "-o", outputs[0]).code == 0
    ran = effseg("segment", scan, "-m", "synthetic", "-m", "other", "--later-wins", "-o", outputs[1])
    assert ran.code == 0
    alone, merged = (load_labels(output).data for output in outputs)
    assert np.array_equal(merged[alone > 0], alone[alone > 0] + 2)


@pytest.mark.usefixtures("other_model")
def test_models_of_other_channels_take_theirs_of_the_same_files(effseg: Command, scan: Path) -> None:
    given = ("--channel", f"t1={scan}", "--channel", f"flair={scan}", "-o", scan.with_name("o.nrrd"))
    assert effseg("segment", *given, "-m", "two-sequences", "-m", "other").code == 0
    assert len(load_labels(scan.with_name("o.nrrd")).names) == 4


def test_one_model_that_fails_leaves_nothing_and_is_named(
    effseg: Command, scan: Path, other_model: Path
) -> None:
    synthetic_card(other_model, name="broken", seed=77, input=zoo.find_card("synthetic").input)
    (other_model / "broken.safetensors").write_bytes(b"no weights")
    before = names(scan.parent)
    ran = effseg("segment", scan, "-m", "synthetic", "-m", "broken")
    assert ran.code == 2
    assert "broken: " in ran.err
    assert "Nothing was written; the other models run without it" in ran.err
    assert names(scan.parent) == before


@pytest.mark.usefixtures("other_model")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{scan}", "-m", "other", "-m", "other"], "given twice"),
        (["{scan}", "{scan}", "-m", "two-sequences", "-m", "other"], "say with --channel"),
        (["--channel", "flare={scan}", "-m", "two-sequences", "-m", "other"], "Did you mean flair"),
        (["--channel", "t1={scan}", "-m", "two-sequences", "-m", "other"], "takes 2: t1, flair"),
    ],
)
def test_several_models_are_refused_in_one_line(
    effseg: Command, scan: Path, arguments: list[str], said: str
) -> None:
    ran = effseg("segment", *(part.format(scan=scan) for part in arguments))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


def test_the_time_of_a_run_is_remembered_for_the_next_plan(
    effseg: Command, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))
    assert effseg("segment", scan, "-m", "synthetic").code == 0
    here = json.loads(effseg("models", "--organ", "liver", "--json").out)["models"][0]["here"]
    assert here["known_by"] == "measured here"
