"""The private environment, made by a real Python and a real pip from a folder of tiny wheels."""

import os
import shutil
import sys
import sysconfig
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from EffSegLib.Environment import engine_environment
from EffSegLib.InstallLogic import InstallError, InstallLogic, InstallPlan, Package, Wanted, find_pythons

from napari_effseg.errors import Cancelled

pytestmark = pytest.mark.xdist_group("slicer install")
ENVIRONMENT = engine_environment(os.environ)


def write_wheel(folder, name, version, needs=(), content="__version__ = {version!r}\n"):
    tag = name.replace("-", "_")
    info = f"{tag}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: server"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(folder / f"{tag}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{tag}/__init__.py", content.format(version=version))
        wheel.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "napari-effseg", "9.8.7", ["small-thing>=1 ; extra == 'server'"])
    write_wheel(folder, "small-thing", "1.2")
    return folder


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory, wheels):
    """What it made and found, and how far it said it was."""
    seen = []
    logic = InstallLogic(tmp_path_factory.mktemp("user") / "engine", ENVIRONMENT)
    wanted = Wanted(Path(sys.executable), wheels)
    return logic, logic.plan(wanted, lambda fraction, message: seen.append((fraction, message))), seen


@pytest.fixture
def planned(dry_run, tmp_path):
    """A copy of what the dry run made, to go on with."""
    logic, plan, _ = dry_run
    shutil.copytree(logic.folder, tmp_path / "user" / "engine", symlinks=True)
    return InstallLogic(tmp_path / "user" / "engine", ENVIRONMENT), plan


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in Path(folder).iterdir()}


def test_a_dry_run_says_what_and_how_big(dry_run, wheels):
    logic, plan, seen = dry_run
    assert logic.python() is None
    assert {(one.name, one.version) for one in plan.packages} == {
        ("napari-effseg", "9.8.7"),
        ("small-thing", "1.2"),
    }
    assert plan.size == sum(wheel.stat().st_size for wheel in wheels.glob("*.whl"))
    assert "2 packages" in plan.words()
    assert "Slicer's packages stay as they are" in plan.words()
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    assert "Looking at small_thing" in [message for _, message in seen]


def test_then_it_is_installed_with_log_and_progress_and_nothing_else_is_touched(planned):
    logic, plan = planned
    mine = files_of(sysconfig.get_paths()["purelib"])
    assert logic.python() is None
    seen = []
    logic.install(plan, lambda fraction, message: seen.append((fraction, message)))
    assert logic.python().is_file()
    assert logic.version() == "9.8.7"
    assert "small-thing" in logic.log_path.read_text(encoding="utf-8")
    assert seen[-1] == (1.0, "napari-effseg 9.8.7 is installed")
    assert files_of(sysconfig.get_paths()["purelib"]) == mine
    logic.remove()
    assert logic.python() is None
    assert not logic.folder.exists()


def test_a_cancelled_dry_run_leaves_nothing(tmp_path, wheels):
    logic = InstallLogic(tmp_path / "engine", ENVIRONMENT)
    with pytest.raises(Cancelled):
        logic.plan(Wanted(Path(sys.executable), wheels), cancel=lambda: True)
    assert not logic.folder.exists()


def test_a_cancelled_installation_leaves_nothing(planned):
    logic, plan = planned
    with pytest.raises(Cancelled):
        logic.install(plan, cancel=lambda: True)
    assert not logic.folder.exists()


def test_an_engine_that_does_not_start_is_not_installed(tmp_path, planned):
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "napari-effseg", "9.9", content="raise ImportError('no such processor')\n")
    logic, plan = planned
    with pytest.raises(InstallError, match="no such processor"):
        logic.install(replace(plan, wanted=Wanted(Path(sys.executable), folder)))
    assert logic.python() is None
    assert not logic.folder.exists()


def test_an_environment_that_was_not_finished_does_not_count(tmp_path):
    python = tmp_path / "engine" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.write_text("")
    assert InstallLogic(tmp_path / "engine", ENVIRONMENT).python() is None


def test_slicers_python_makes_no_environment(tmp_path, wheels):
    home = Path(sys.executable).parents[1]
    logic = InstallLogic(tmp_path / "engine", ENVIRONMENT, (home,))
    with pytest.raises(InstallError, match="Slicer's own Python"):
        logic.plan(Wanted(Path(sys.executable), wheels))


def test_nothing_is_installed_into_slicers_folders(tmp_path, wheels):
    logic = InstallLogic(tmp_path / "slicer" / "engine", ENVIRONMENT, (tmp_path / "slicer",))
    with pytest.raises(InstallError, match="belongs to Slicer"):
        logic.plan(Wanted(Path(sys.executable), wheels))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, wheels):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "thesis.txt").write_text("all of it")
    with pytest.raises(InstallError, match="holds something else"):
        InstallLogic(tmp_path / "engine", ENVIRONMENT).plan(Wanted(Path(sys.executable), wheels))
    assert (tmp_path / "engine" / "thesis.txt").exists()


def test_a_folder_without_wheels_is_told(tmp_path):
    with pytest.raises(InstallError, match="no wheel in"):
        InstallLogic(tmp_path / "engine", ENVIRONMENT).plan(Wanted(Path(sys.executable), tmp_path))


def test_a_size_that_is_not_known_is_said(tmp_path):
    plan = InstallPlan(
        Wanted(Path("python")), tmp_path, (Package("a", "1", 2_000_000), Package("b", "2", None))
    )
    assert "2 MB to fetch and 1 of unknown size" in plan.words()


def test_pythons_are_found_on_the_path_and_slicers_are_not():
    found = find_pythons({"PATH": str(Path(sys.executable).parent)})
    assert [one.version for one in found] == [sys.version_info[:2]]
    home = Path(sys.executable).parent
    assert find_pythons({"PATH": str(home)}, (home,)) == ()


@pytest.mark.parametrize("version", ["3 9", "3 99", "2 7"])
def test_pythons_that_are_too_old_or_too_new_are_not(tmp_path, version):
    if os.name == "nt":
        pytest.skip("the stand-in is a shell script")
    stub = tmp_path / "python3"
    stub.write_text(f"#!/bin/sh\necho {version} {stub}\n")
    stub.chmod(0o755)
    assert find_pythons({"PATH": str(tmp_path)}) == ()


def test_the_launcher_of_windows_is_asked_for_each_version(tmp_path):
    if os.name == "nt":
        pytest.skip("the stand-in is a shell script")
    stub = tmp_path / "py"
    stub.write_text(f'#!/bin/sh\n[ "$1" = "-3.12" ] && echo 3 12 {tmp_path}/python.exe\n')
    stub.chmod(0o755)
    (found,) = find_pythons({"PATH": str(tmp_path)})
    assert (found.path, found.version) == (tmp_path / "python.exe", (3, 12))
