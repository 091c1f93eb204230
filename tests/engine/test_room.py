"""What the room shows, and what it must not load."""

import subprocess
import sys

import napari_effseg.engine as engine

FORBIDDEN = (
    "napari",
    "qtpy",
    "slicer",
    "nibabel",
    "SimpleITK",
    "nrrd",
    "tifffile",
    "napari_effseg.io",
    "monai",
)


def test_public_names_exist_and_are_sorted():
    assert list(engine.__all__) == sorted(engine.__all__)
    assert all(hasattr(engine, name) for name in engine.__all__)


def test_the_engine_loads_no_gui_and_no_file_format():
    code = f"import sys, napari_effseg.engine; sys.exit(', '.join(set({FORBIDDEN}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
