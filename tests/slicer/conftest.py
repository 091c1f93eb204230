"""A real MRML scene from the slicer-core wheel; the module and its stand-ins can be imported from here on."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
EXTENSION = HERE.parents[1] / "slicer_extension"
REASON = "needs 3D Slicer's libraries: pip install 'napari-effseg[slicer-test]' (slicer-core)"

sys.path[:0] = [
    str(folder) for folder in (HERE / "standins", EXTENSION / "EffSeg", EXTENSION / "SegmentEditorEffSeg")
]


class _SkippedItem(pytest.Item):
    def runtest(self):
        pytest.skip(REASON)


class _SkippedModule(pytest.Module):
    def collect(self):
        return [_SkippedItem.from_parent(self, name="slicer-core")]


def pytest_pycollect_makemodule(module_path, parent):
    """Skip what cannot even be imported, and say why."""
    if find_spec("slicer") is None:
        return _SkippedModule.from_parent(parent, path=module_path)
    return None


@pytest.fixture(scope="session")
def _application():
    import vtk
    from headless_slicer import make_scene

    vtk.vtkObject.GlobalWarningDisplayOff()  # of colour and terminology files that the wheel lacks
    return make_scene()


@pytest.fixture
def logics(_application):
    """Slicer's own logics, by the names of their classes."""
    return _application[1]


@pytest.fixture
def scene(_application):
    """An empty scene."""
    scene, _ = _application
    scene.Clear(1)
    yield scene
    scene.Clear(1)
