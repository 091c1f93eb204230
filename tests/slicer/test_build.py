"""The CMake files against a stand-in for Slicer's build tree: lists, metadata, and what is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import EXTENSION, HERE

CMAKE = shutil.which("cmake")
pytestmark = [
    pytest.mark.skipif(CMAKE is None, reason="needs cmake"),
    pytest.mark.xdist_group("slicer build"),
]


def cmake(*arguments):
    done = subprocess.run([CMAKE, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def configure(source, build):
    standin = HERE / "standins" / "cmake"
    return cmake("-S", source, "-B", build, f"-DSlicer_DIR={standin}", "-DBUILD_TESTING=ON", "-Wno-dev")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What is installed."""
    folder = tmp_path_factory.mktemp("built")
    code, words = configure(EXTENSION, folder / "build")
    assert code == 0, words
    code, words = cmake("--install", folder / "build", "--prefix", folder / "installed")
    assert code == 0, words
    return folder / "installed" / "lib" / "qt-scripted-modules"


def test_all_that_is_listed_is_installed(installed):
    for name in (
        "EffSeg.py",
        "SegmentEditorEffSeg.py",
        "Resources/UI/EffSeg.ui",
        "Resources/Icons/EffSeg.png",
    ):
        assert (installed / name).is_file()
    written = {path.name for path in (EXTENSION / "EffSeg" / "EffSegLib").glob("*.py")}
    assert {path.name for path in (installed / "EffSegLib").glob("*.py")} == written


def test_the_rooms_and_the_sample_come_along(installed):
    assert (installed / "EffSegLib" / "napari_effseg" / "server" / "client.py").is_file()
    assert (installed / "Resources" / "Data" / "hippocampus.nii.gz").is_file()


def test_the_complete_extension_installs_the_same_without_its_package(installed, tmp_path):
    subprocess.run([sys.executable, EXTENSION / "vendor.py", tmp_path / "SlicerEffSeg"], check=True)
    code, words = configure(tmp_path / "SlicerEffSeg", tmp_path / "build")
    assert code == 0, words
    code, words = cmake("--install", tmp_path / "build", "--prefix", tmp_path / "installed")
    assert code == 0, words
    again = tmp_path / "installed" / "lib" / "qt-scripted-modules"
    assert contents(again) == contents(installed)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_effect_lies_where_its_module_looks_for_it(installed):
    assert (installed / "SegmentEditorEffSegLib" / "SegmentEditorEffect.py").is_file()
    assert (installed / "SegmentEditorEffSegLib" / "SegmentEditorEffect.png").is_file()


def test_the_stand_in_would_see_a_file_that_is_not_listed(tmp_path):
    shutil.copytree(EXTENSION.parent / "slicer_extension", tmp_path / "slicer_extension")
    (tmp_path / "slicer_extension" / "EffSeg" / "EffSegLib" / "Forgotten.py").write_text("")
    code, words = configure(tmp_path / "slicer_extension", tmp_path / "build")
    assert code != 0
    assert "Forgotten.py" in words


@pytest.mark.parametrize(
    ("path", "side"),
    [
        ("EffSeg/Resources/Icons/EffSeg.png", 128),
        ("SegmentEditorEffSeg/SegmentEditorEffSegLib/SegmentEditorEffect.png", 64),
    ],
)
def test_icons_are_what_the_script_draws(path, side):
    import runpy

    drawn = runpy.run_path(str(EXTENSION / "draw_icons.py"))["icon"](side, with_ground=side == 128)
    kept = Image.open(Path(EXTENSION, path))
    assert kept.mode == "RGBA"
    assert np.abs(np.asarray(kept).astype(int) - np.asarray(drawn)).max() <= 2
