"""What importing loads, each looked at in a fresh interpreter."""

import subprocess
import sys

import pytest

import napari_effseg as eff

GUI = {"napari", "qtpy", "slicer", "PySide6", "PyQt6", "PyQt5"}
HEAVY = {"torch", "numba", "monai", "SimpleITK", "nibabel"}


def _loaded_by(statement):
    code = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_package_itself_loads_nothing_heavy():
    assert not _loaded_by("import napari_effseg") & (GUI | HEAVY)


@pytest.mark.parametrize("room", ["volume", "metrics", "io"])
def test_geometry_files_and_metrics_need_no_torch(room):
    assert not _loaded_by(f"import napari_effseg.{room}") & (GUI | {"torch", "numba", "monai"})


@pytest.mark.parametrize("room", ["engine", "training", "evaluation", "cli"])
def test_no_room_but_the_doors_loads_a_gui(room):
    assert not _loaded_by(f"import napari_effseg.{room}") & GUI


def test_networks_compile_nothing_when_they_are_imported():
    assert "numba" not in _loaded_by("import napari_effseg.nets")


def test_every_public_name_is_there_and_sorted():
    assert eff.__all__ == sorted(eff.__all__)
    for name in eff.__all__:
        assert getattr(eff, name) is not None
    assert set(eff.__all__) <= set(dir(eff))


def test_public_classes_say_where_they_are_public():
    """Errors and data classes can be told by name in a traceback."""
    for name in eff.__all__:
        thing = getattr(eff, name)
        if isinstance(thing, type):
            assert thing.__name__ == name
            assert thing.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sgment'"):
        _ = eff.sgment


@pytest.mark.parametrize("module", ["segmenting", "inference", "layers", "label_table", "_reader", "_writer"])
def test_what_the_window_shows_is_decided_without_qt(module):
    pytest.importorskip("psygnal", reason="needs the extra [napari]")
    assert not _loaded_by(f"import napari_effseg.viewer.{module}") & (GUI - {"napari"})


def test_the_manifest_is_found_without_importing_anything_of_ours():
    pytest.importorskip("npe2", reason="needs the extra [napari]")
    assert not _loaded_by(
        "from npe2 import PluginManifest; PluginManifest.from_distribution('napari-effseg')"
    ) & (HEAVY | {"qtpy", "PySide6"})
