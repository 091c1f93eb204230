"""Pictures of the Slicer module for the docs, drawn without Slicer.

    QT_QPA_PLATFORM=offscreen python docs/_make_slicer_pictures.py

The window is the module's own .ui and code, over the tests' stand-ins for Slicer's widgets, over a real
scene of the slicer-core wheel and a real `effseg serve`. In Slicer it looks as Slicer's style has it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IMAGES = HERE / "images"
sys.path[:0] = [str(ROOT / "tests" / "slicer" / "standins"), str(ROOT / "slicer_extension" / "EffSeg")]
WIDTH = 560
CLICK = (18, 25, 12)


def main() -> None:
    """Draw all of them."""
    from PySide6 import QtWidgets

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    import slicer_gui
    import vtk
    from headless_slicer import make_scene

    vtk.vtkObject.GlobalWarningDisplayOff()
    scene, logics = make_scene()
    slicer_gui.install(logics, tempfile.mkdtemp())
    from EffSeg import EffSegWidget

    from napari_effseg import __version__

    shell = EffSegWidget()
    shell.setup()
    ui, widget = shell.ui, shell.widget
    volume = _sample(logics)
    widget.desk.engines._private = lambda: Path(sys.executable)
    widget.desk.install.version = lambda: __version__
    ui.basePythonBox.addItem("Python 3.12: /usr/bin/python3.12")
    ui.volumeSelector.setCurrentNode(volume)
    shell.enter()
    _wait(application, widget)
    ui.applyButton.click()
    _wait(application, widget)
    _grab(shell, ui, application, "automaticSection", "slicer_automatic.png")
    _slices(scene, volume, "slicer_result.png")
    ui.beginButton.click()
    _wait(application, widget)
    _click(widget, volume)
    _wait(application, widget)
    _grab(shell, ui, application, "clickSection", "slicer_clicks.png")
    _grab(shell, ui, application, "engineSection", "slicer_engine.png")
    _grab(shell, ui, application, "EffSeg", "slicer_window.png")
    shutil.copy(IMAGES / "slicer_window.png", ROOT / "slicer_extension" / "Screenshots" / "window.png")
    shell.cleanup()


def _sample(logics: dict[str, object]) -> object:
    from napari_effseg.samples import find_sample, write_sample

    path = Path(tempfile.mkdtemp()) / "hippocampus.nii.gz"
    write_sample(find_sample("hippocampus"), path)
    return logics["vtkSlicerVolumesLogic"].AddArchetypeVolume(str(path), "hippocampus")  # type: ignore[attr-defined]


def _click(widget: object, volume: object) -> None:
    from EffSegLib.Nodes import affine_of

    affine = affine_of(volume)
    node = widget.clicks.logic.points.nodes[True]  # type: ignore[attr-defined]
    node.AddControlPointWorld(*affine[:3, :3] @ CLICK + affine[:3, 3])


def _wait(application: object, widget: object) -> None:
    """Let the window's timer run until the engine has answered."""
    while widget.desk.worker.is_busy:  # type: ignore[attr-defined]
        application.processEvents()  # type: ignore[attr-defined]
        time.sleep(0.02)


def _grab(shell: object, ui: object, application: object, section: str, name: str) -> None:
    part = getattr(ui, section, None) or shell.parent  # type: ignore[attr-defined]
    shell.parent.resize(WIDTH, 1180)  # type: ignore[attr-defined]
    shell.parent.show()  # type: ignore[attr-defined]
    application.processEvents()  # type: ignore[attr-defined]
    part.grab().save(str(IMAGES / name))


def _slices(scene: object, volume: object, name: str) -> None:
    """Three slices of the volume with the segments, each voxel as Slicer has it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from EffSegLib import Nodes, Segments

    image = Nodes.volume_of(volume)
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")  # type: ignore[attr-defined]
    masks = [
        (Segments.mask_of(node, one, volume), node.GetSegmentation().GetSegment(one))
        for one in Segments.segment_ids(node)
    ]
    middle = np.rint(np.mean([np.argwhere(mask).mean(axis=0) for mask, _ in masks], axis=0)).astype(int)
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for axis, frame in enumerate(axes):
        frame.imshow(np.take(image.data, middle[axis], axis).T, cmap="gray", origin="lower")
        for mask, segment in masks:
            shown = np.take(mask, middle[axis], axis).T
            colour = np.zeros((*shown.shape, 4))
            colour[shown] = (*segment.GetColor(), 0.55)
            frame.imshow(colour, origin="lower")
        frame.set_title(f"slice {middle[axis]} along {'IJK'[axis]}")
        frame.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, color=segment.GetColor()) for _, segment in masks]
    figure.legend(handles, [segment.GetName() for _, segment in masks], loc="outside lower center", ncols=2)
    figure.savefig(IMAGES / name, dpi=110)


if __name__ == "__main__":
    main()
