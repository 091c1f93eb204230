"""The extension as it is handed out: complete, light, and with nothing that Slicer does not ship."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import EXTENSION

sys.path.insert(0, str(EXTENSION))
import vendor

HEAVY = (
    "torch",
    "monai",
    "napari",
    "napari_effseg",
    "nibabel",
    "SimpleITK",
    "pydicom",
    "nrrd",
    "PIL",
    "requests",
)


def ran(program, folder, *more):
    """What a fresh interpreter prints that has numpy, scipy and the folder alone."""
    packages = Path(sys.modules["numpy"].__file__).parents[1]
    blocked = f"""
import importlib.abc, sys
class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(name + " is not in Slicer")
sys.meta_path.insert(0, Wall())
sys.path[:0] = {[str(folder), *map(str, more)]!r}
sys.path.append({str(packages)!r})
"""
    command = [sys.executable, "-I", "-S", "-B", "-c", blocked + program]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    """The extension, complete."""
    folder = tmp_path_factory.mktemp("extension") / "EffSeg"
    assert vendor.main([str(folder)]) == 0
    return folder


def test_the_copied_rooms_work_with_numpy_alone(extension):
    program = """
from napari_effseg import prompts, protocols, volume
from napari_effseg.server.client import connect
from napari_effseg.errors import ServerError
import numpy as np
print(volume.Volume(np.zeros((3, 4, 5)), np.eye(4)).shape, prompts.Point((1, 2, 3)).index)
try:
    connect("http://127.0.0.1:9", "k" * 32, timeout=2)
except ServerError as error:
    print(type(error).__name__)
print("scipy" in sys.modules)
"""
    program = program.replace("from napari_effseg", "from rooms.napari_effseg")
    rooms = extension.parent / "alone" / "rooms"
    assert vendor.main(["--rooms", str(rooms)]) == 0
    (rooms / "__init__.py").write_text("")
    assert ran(program, rooms.parent).splitlines() == ["(3, 4, 5) (1, 2, 3)", "ServerRefused", "False"]


def test_the_module_loads_nothing_heavy(extension):
    """With stand-ins for what Slicer itself brings."""
    program = """
import types
slicer = types.ModuleType("slicer"); slicer.__path__ = []
slicer.app = types.SimpleNamespace(connect=lambda *a: None)
shell = types.ModuleType("slicer.ScriptedLoadableModule")
for name in ("", "Widget", "Logic", "Test"):
    base = type(name or "Module", (), {"__init__": lambda self, parent=None: None})
    setattr(shell, "ScriptedLoadableModule" + name, base)
words = types.ModuleType("slicer.i18n"); words.tr = lambda text: text
sys.modules.update({"slicer": slicer, "slicer.ScriptedLoadableModule": shell, "slicer.i18n": words})
before = set(sys.modules)
import EffSeg
EffSeg.EffSeg(types.SimpleNamespace())
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - sys.stdlib_module_names))
"""
    assert ran(program, extension / "EffSeg") == "['EffSeg']"


@pytest.mark.parametrize(
    "module", sorted(path.stem for path in (EXTENSION / "EffSeg" / "EffSegLib").glob("*.py"))
)
def test_a_module_of_the_library_imports_only_what_slicer_ships(module):
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "slicer", "vtk", "qt", "ctk"}
    tree = ast.parse((EXTENSION / "EffSeg" / "EffSegLib" / f"{module}.py").read_text(encoding="utf-8"))
    for node in vendor._statements(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        assert {name.partition(".")[0] for name in names} <= allowed


def test_the_library_of_the_copy_uses_the_copy(extension):
    """Where the package itself is not to be had, as in Slicer; over Slicer's real libraries."""
    program = """
import importlib.util
from EffSegLib import rooms
print(rooms.Point.__module__, importlib.util.find_spec("EffSegLib.napari_effseg") is not None)
from EffSegLib import Desk, EngineProcess, Marks, Nodes, PromptLogic, SegmentationLogic, Segments, Sequences
print("torch" in sys.modules)
"""
    found = ran(program, extension / "EffSeg").splitlines()
    assert found[-2:] == ["EffSegLib.napari_effseg.prompts True", "False"]


def test_the_copy_holds_sample_and_licences(extension):
    assert (extension / "EffSeg" / "Resources" / "Data" / "hippocampus.nii.gz").is_file()
    assert "CC-BY-SA" in (extension / "EffSeg" / "Resources" / "Data" / "LICENSE.md").read_text(
        encoding="utf-8"
    )
    assert "Apache" in (extension / "LICENSE").read_text(encoding="utf-8")


def test_the_sample_is_the_one_whose_checksum_is_registered(extension):
    import hashlib

    data = (extension / "EffSeg" / "Resources" / "Data" / "hippocampus.nii.gz").read_bytes()
    assert hashlib.sha256(data).hexdigest() in (extension / "EffSeg" / "EffSeg.py").read_text(
        encoding="utf-8"
    )


def test_a_zip_holds_the_same(extension, tmp_path):
    assert vendor.main(["--zip", str(tmp_path / "EffSeg.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "EffSeg.zip") as file:
        zipped = {name for name in file.namelist() if not name.endswith("/")}
    assert zipped == {
        path.relative_to(extension.parent).as_posix() for path in extension.rglob("*") if path.is_file()
    }


def test_a_room_that_imports_torch_is_refused(tmp_path):
    package = tmp_path / "napari_effseg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "prompts.py").write_text("def f():\n    import torch\n")
    with pytest.raises(vendor.VendorError, match="prompts imports torch"):
        vendor.modules_for(tmp_path, ("napari_effseg.prompts",))


def test_a_room_that_is_missing_is_told(tmp_path):
    with pytest.raises(vendor.VendorError, match="no module"):
        vendor.modules_for(tmp_path, ("napari_effseg.prompts",))


def test_without_a_target_it_says_what_to_give(capsys):
    assert vendor.main([]) == 2
    assert "name a folder" in capsys.readouterr().err


LICENCES = ("LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt")
"""Names that the index looks for."""


def test_the_entry_of_the_index_is_as_its_schema_asks():
    entry = json.loads((EXTENSION / "EffSeg.json").read_text(encoding="utf-8"))
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert set(entry) <= {"$schema", "build_dependencies", "category", "scm_revision", "scm_url", "tier"}
    assert entry["category"] == "Segmentation"
    assert entry["build_dependencies"] == []


def test_the_complete_extension_passes_the_checks_of_the_index(extension):
    """As `check_description_files.py` of the index does them, but for whether addresses answer."""
    entry = json.loads((EXTENSION / "EffSeg.json").read_text(encoding="utf-8"))
    text = (extension / "CMakeLists.txt").read_text(encoding="utf-8")
    assert entry["scm_url"].startswith("https://")
    assert "slicer" in entry["scm_url"].rpartition("/")[2].lower()
    assert re.findall(r"project\s*\(\s*([^\s)]+)", text)[0] == "EffSeg"
    assert any((extension / name).is_file() for name in LICENCES)
    base = entry["scm_url"].removesuffix(".git").replace("github.com", "raw.githubusercontent.com")
    for what in ("ICONURL", "SCREENSHOTURLS"):
        (url,) = re.findall(rf'set\s*\(EXTENSION_{what}\s*"([^"]+)"\s*\)', text)
        assert (extension / url.removeprefix(f"{base}/{entry['scm_revision']}/")).is_file()
