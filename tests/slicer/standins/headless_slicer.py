"""A headless Slicer scene on top of the `slicer-core` wheel (no Qt, no display)."""

import tempfile

import slicer


def make_scene():
    scene = slicer.vtkMRMLScene()
    # data I/O manager: needed by ReadFromMRB (it asks for the remote cache folder)
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="slicer-cache-"))
    io = slicer.vtkDataIOManager()
    io.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(io)
    scene._keep = (cache, io)
    app_logic = slicer.vtkMRMLApplicationLogic()
    logics = {}
    # order matters a little: colours, units, terminology, volumes before segmentations
    for name in (
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
        "vtkSlicerCropVolumeLogic",
        "vtkSlicerVolumeRenderingLogic",
    ):
        cls = getattr(slicer, name, None)
        if cls is None:
            continue
        lg = cls()
        lg.SetMRMLApplicationLogic(app_logic)
        logics[name] = lg
    for name, key in (
        ("Colors", "vtkSlicerColorLogic"),
        ("Units", "vtkSlicerUnitsLogic"),
        ("Terminologies", "vtkSlicerTerminologiesModuleLogic"),
        ("Volumes", "vtkSlicerVolumesLogic"),
        ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
        ("Markups", "vtkSlicerMarkupsLogic"),
        ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
    ):
        if key in logics:
            app_logic.SetModuleLogic(name, logics[key])
    app_logic.SetMRMLScene(scene)
    for lg in logics.values():
        lg.SetMRMLScene(scene)
    logics["app"] = app_logic
    slicer.mrmlScene = scene
    # what the real application provides and slicer.util expects
    from types import SimpleNamespace as NS

    mod = lambda key: NS(logic=lambda: logics[key])
    slicer.modules = NS(
        volumes=mod("vtkSlicerVolumesLogic"),
        segmentations=mod("vtkSlicerSegmentationsModuleLogic"),
        markups=mod("vtkSlicerMarkupsLogic"),
        terminologies=mod("vtkSlicerTerminologiesModuleLogic"),
        subjecthierarchy=mod("vtkSlicerSubjectHierarchyModuleLogic"),
        colors=mod("vtkSlicerColorLogic"),
    )
    return scene, logics
