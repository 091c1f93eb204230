"""A scene of the slicer-core wheel with the logics that Slicer has; no Qt, no display; tests only."""

import tempfile
from types import SimpleNamespace

import slicer

_LOGICS = (  # colours, units and terminology before segmentations
    "vtkSlicerColorLogic",
    "vtkSlicerUnitsLogic",
    "vtkSlicerTerminologiesModuleLogic",
    "vtkSlicerVolumesLogic",
    "vtkSlicerTransformLogic",
    "vtkSlicerTablesLogic",
    "vtkSlicerTextsLogic",
    "vtkSlicerModelsLogic",
    "vtkSlicerMarkupsLogic",
    "vtkSlicerSegmentationsModuleLogic",
    "vtkSlicerSubjectHierarchyModuleLogic",
    "vtkSlicerSequencesLogic",
)
_MODULES = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
}


def make_scene():
    """Make the scene, and the logics by the names of their classes."""
    scene = slicer.vtkMRMLScene()
    scene.kept = _data_io(scene)  # reading an .mrb asks for the cache of remote files
    app = slicer.vtkMRMLApplicationLogic()
    logics = {name: getattr(slicer, name)() for name in _LOGICS}
    for logic in logics.values():
        logic.SetMRMLApplicationLogic(app)
    for name, key in _MODULES.items():
        app.SetModuleLogic(name, logics[key])
    app.SetMRMLScene(scene)
    for logic in logics.values():
        logic.SetMRMLScene(scene)
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(**{name.lower(): _module(logics[key]) for name, key in _MODULES.items()})
    return scene, {**logics, "app": app}


def _module(logic):
    return SimpleNamespace(logic=lambda: logic)


def _data_io(scene):
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="slicer-cache-"))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    return cache, manager
