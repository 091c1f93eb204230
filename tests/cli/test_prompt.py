"""`effseg prompt`: prompts in their order, sessions that go on, one line for what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_effseg import LabelMap, Point, Volume, load, load_labels, open_session, save
from napari_effseg.io.effseg import read_session
from tests.session.test_sessions import promptable

from .conftest import AFFINE, Command
from .test_json_docs import NAMED, keys_of


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    return promptable(folder)


@pytest.fixture
def drawn(scan: Path) -> Path:
    """A scribble on the scan's grid: a line on the object, one outside of it."""
    labels = np.zeros((20, 14, 10), np.uint8)
    labels[4:9, 6, 5], labels[2, 2:9, 5] = 1, 2
    return save(LabelMap(labels, AFFINE), scan.with_name("drawn.nii.gz"))


def test_the_mask_is_that_of_a_session(effseg: Command, scan: Path, card: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.seg.nrrd"
    ran = effseg("prompt", scan, "-m", card, "-o", output, "--point", "5,6,4", "--not-point", "15,9,4",
                 "--name", "tumour", "--label", 7)  # fmt: skip
    assert ran.code == 0, ran.err
    with open_session(load(scan), card) as session:
        session.add(Point((5, 6, 4)))
        session.add(Point((15, 9, 4), positive=False))
        expected = session.mask.copy()
    labels = load_labels(output)
    assert labels.names == {7: "tumour"}
    assert ((labels.data == 7) == expected).all()


def test_prompts_are_given_in_the_order_of_the_command_line(
    effseg: Command, scan: Path, card: Path, drawn: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "case.effseg"
    common = ("prompt", scan, "-m", card, "-o", tmp_path / "o.nrrd", "--session", kept)
    ran = effseg(*common, "--not-point", "1,1,5", "--box=4,4,5:9,9,6", "--point", "6,6,5",
                 "--scribble", drawn, "--not-lasso=0,0,5:3,0,5:3.5,3,5", "--lasso", "4,4,5:9,4,5:9,9,5",
                 "--box", "1,1,1:3,3,2")  # fmt: skip
    assert ran.code == 0, ran.err
    prompts = [action.prompt for action in read_session(kept).history.applied]
    kinds = [(type(prompt).__name__, prompt.positive) for prompt in prompts]
    line = ("Scribble", True), ("Scribble", False)
    assert kinds == [
        ("Point", False),
        ("Box", True),
        ("Point", True),
        *line,
        ("Lasso", False),
        ("Lasso", True),
        ("Box", True),
    ]


def test_a_place_in_mm_is_the_voxel_it_lies_in(
    effseg: Command, scan: Path, card: Path, tmp_path: Path
) -> None:
    x, y, z = (AFFINE @ [5.2, 6.1, 3.8, 1])[:3]
    for name, point in (("mm", f"ras:{x},{y},{z}"), ("voxel", "5,6,4")):
        output = tmp_path / f"{name}.nrrd"
        assert effseg("prompt", scan, "-m", card, "-o", output, "--point", point).code == 0
    assert (load_labels(tmp_path / "mm.nrrd").data == load_labels(tmp_path / "voxel.nrrd").data).all()


def test_a_session_goes_on_and_keeps_finished_objects(
    effseg: Command, scan: Path, card: Path, tmp_path: Path
) -> None:
    output, kept = tmp_path / "out.nrrd", tmp_path / "case.effseg"
    common = ("prompt", scan, "-o", output, "--session", kept)
    assert effseg(*common, "-m", card, "--point", "5,6,4", "--name", "one", "--finish").code == 0
    first = load_labels(output).data == 1
    assert effseg(*common, "--point", "14,6,7", "--name", "two").code == 0
    assert effseg(*common, "--not-point", "2,2,7", "--name", "two", "--propagate").code == 0
    labels = load_labels(output)
    assert labels.names == {1: "one", 2: "two"}
    assert ((labels.data == 1) == first).all()
    assert len(read_session(kept).history.applied) == 5  # point, finish, two points, propagate


def test_pictures_take_two_numbers(effseg: Command, card: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 255, (24, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(picture)
    ran = effseg("prompt", picture, "-m", card, "-o", tmp_path / "out.nrrd", "--point", "5,9",
                 "--not-point", "ras:-20,-3", "--box", "2,3:20,22",
                 "--lasso", "2,3:20,3:11,22")  # fmt: skip
    assert ran.code == 0, ran.err
    mask = load_labels(tmp_path / "out.nrrd").data
    assert (mask[5, 9, 0], mask[20, 3, 0]) == (1, 0)
    ran = effseg("prompt", picture, "-m", card, "-o", tmp_path / "out.nrrd", "--point", "5,9", "--propagate")
    assert (ran.code, "several slices" in ran.err) == (2, True)


def test_masks_reports_and_pictures(
    effseg: Command, scan: Path, card: Path, drawn: Path, tmp_path: Path
) -> None:
    report, overlay = tmp_path / "report.json", tmp_path / "o.png"
    ran = effseg("prompt", scan, "-m", card, "-o", tmp_path / "o.nrrd", "--mask", drawn, "--axis", 0,
                 "--report", report, "--overlay", overlay)  # fmt: skip
    assert ran.code == 0, ran.err
    document = json.loads(report.read_text())
    assert set(keys_of(document)) <= NAMED
    assert document["prompts"] == [f"--mask {drawn}"]
    assert ((load_labels(tmp_path / "o.nrrd").data > 0) == (load_labels(drawn).data > 0)).all()
    assert overlay.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--point I,J,K"),
        (["--point", "5,6"], "two numbers"),
        (["--point", "a,b,c"], "ras:x,y,z"),
        (["--point", "1.5,2,3"], "ras:x,y,z"),
        (["--point", "5,6,4", "--not-point", "99,6,4"], "--not-point 99,6,4: Point reaches"),
        (["--point", "5,6,4", "--not-point", "5,6,4"], "--not-point 5,6,4: the point (5, 6, 4)"),
        (["--box", "5,5,5:5,8,8"], "--box 5,5,5:5,8,8: the box"),
        (["--box", "5,5,5"], "i0,j0,k0:i1,j1,k1"),
        (["--lasso", "5,5,5:6,6,5"], "three corners"),
        (["--lasso", "5,5,5:6,6:7,5,5"], "three corners"),
        (["--lasso", "5,5,5:6,9,6:9,5,7"], "--lasso 5,5,5:6,9,6:9,5,7: a lasso"),
        (["--scribble", "{folder}/other.nrrd"], "one grid"),
        (["--mask", "{folder}/missing.nrrd"], "missing.nrrd"),
        (["--point", "5,6,4", "--session", "{folder}/case.zip"], ".effseg"),
        (["--point", "5,6,4", "--session", "{folder}/bad.effseg"], "bad.effseg"),
        (["--point", "5,6,4", "-m", "hippocampus-lightm-unet"], "answers no clicks"),
        (["--point", "5,6,4", "-m", "prompt-unnet"], "prompt-unnet"),
        (["--point", "5,6,4", "--report", "{folder}/no/such.json"], "does not exist"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    effseg: Command, scan: Path, card: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    save(LabelMap(np.ones((4, 4, 4), np.uint8), np.eye(4)), tmp_path / "other.nrrd")
    (tmp_path / "bad.effseg").write_bytes(b"no session")
    output = tmp_path / "out.nrrd"
    output.write_text("older")
    before = sorted(path.name for path in tmp_path.iterdir())
    given = [part.format(folder=tmp_path) for part in arguments]
    model = [] if "-m" in given or "bad.effseg" in str(given) else ["-m", card]
    ran = effseg("prompt", scan, "-o", output, *given, *model)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err
    assert said in ran.err
    assert output.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_session_of_another_image_stays_as_it_was(
    effseg: Command, scan: Path, card: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "case.effseg"
    common = ("-m", card, "-o", tmp_path / "o.nrrd", "--session", kept, "--point", "5,6,4")
    assert effseg("prompt", scan, *common).code == 0
    content = kept.read_bytes()
    other = save(Volume(load(scan).data + 1, AFFINE), tmp_path / "other.nii.gz")
    ran = effseg("prompt", other, *common)
    assert (ran.code, "another image" in ran.err) == (2, True)
    assert kept.read_bytes() == content
