"""Puts qMRML stand-ins, slicer.app and slicer.ScriptedLoadableModule beside the slicer-core wheel. Tests only."""

import os
import sys
import types

import qt
import slicer
from headless_slicer import make_scene
from PySide6 import QtCore, QtWidgets


class qMRMLWidget(qt.wrap(QtWidgets.QWidget)):
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene):
        self._scene = scene
        for w in self.findChildren(QtWidgets.QWidget):
            if isinstance(w, qMRMLNodeComboBox):
                w.setMRMLScene(scene)


class qMRMLNodeComboBox(qt.wrap(QtWidgets.QComboBox)):
    """A combo box over the REAL vtkMRMLScene: follows node-added and node-removed events."""

    currentNodeChanged = QtCore.Signal("QVariant")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types, self._scene, self._flags = [], None, {}
        QtWidgets.QComboBox.currentIndexChanged.__get__(self).connect(
            lambda i: QtCore.SignalInstance.emit(
                object.__getattribute__(self, "currentNodeChanged"), self.currentNode()
            )
        )

    nodeTypes = QtCore.Property("QStringList", lambda s: s._types, lambda s, v: setattr(s, "_types", list(v)))
    for _n in (
        "noneEnabled",
        "addEnabled",
        "removeEnabled",
        "renameEnabled",
        "editEnabled",
        "showHidden",
        "showChildNodeTypes",
        "selectNodeUponCreation",
    ):
        exec(
            f"{_n} = QtCore.Property(bool, lambda s: s._flags.get('{_n}', False), lambda s, v: s._flags.__setitem__('{_n}', v))"
        )

    def setMRMLScene(self, scene):
        self._scene = scene
        for ev in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            scene.AddObserver(ev, lambda *_: self._refresh())
        self._refresh()

    def _nodes(self):
        out = []
        for t in self._types:
            c = self._scene.GetNodesByClass(t)
            c.UnRegister(None)
            out += [c.GetItemAsObject(i) for i in range(c.GetNumberOfItems())]
        return [n for n in out if not n.GetHideFromEditors()]

    def _refresh(self):
        keep = self.currentNodeID
        self.blockSignals(True)
        self.clear()
        if self._flags.get("noneEnabled"):
            self.addItem("None", None)
        for n in self._nodes():
            self.addItem(n.GetName(), n.GetID())
        i = self.findData(keep) if keep else -1
        self.blockSignals(False)
        self.setCurrentIndex(max(i, 0) if self.count else -1)

    @property
    def currentNodeID(self):
        return QtWidgets.QComboBox.currentData(self)

    def currentNode(self):
        i = self.currentNodeID
        return self._scene.GetNodeByID(i) if self._scene and i else None

    def setCurrentNode(self, node):
        self.setCurrentIndex(self.findData(node.GetID()) if node else -1)


qt.QUiLoader.custom.update(qMRMLWidget=qMRMLWidget, qMRMLNodeComboBox=qMRMLNodeComboBox)


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__[: -len("Widget")]
        self.developerMode = False
        self.parent = parent or qMRMLWidget()
        if self.parent.layout() is None:
            self.parent.setLayout(QtWidgets.QVBoxLayout())
        self.layout = self.parent.layout()

    def resourcePath(self, name):
        return os.path.join(os.path.dirname(sys.modules[type(self).__module__].__file__), "Resources", name)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def enter(self):
        pass

    def exit(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__[: -len("Logic")]

    def getParameterNode(self):
        n = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if not n:
            n = slicer.vtkMRMLScriptedModuleNode()
            n.SetSingletonTag(self.moduleName)
            n.SetModuleName(self.moduleName)
            n = slicer.mrmlScene.AddNode(n)
        return n


class ScriptedLoadableModuleTest(__import__("unittest").TestCase):
    def runTest(self):
        pass

    def delayDisplay(self, *a, **k):
        pass


def install():
    scene, logics = make_scene()
    m = types.ModuleType("slicer.ScriptedLoadableModule")
    for c in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(m, c.__name__, c)
    m.__all__ = [k for k in vars(m) if k.startswith("Scripted")]
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda s, *a: s
    i18n.translate = lambda ctx, s, *a: s
    sys.modules["slicer.ScriptedLoadableModule"], sys.modules["slicer.i18n"] = m, i18n
    slicer.ScriptedLoadableModule, slicer.i18n = m, i18n
    slicer.qMRMLWidget, slicer.qMRMLNodeComboBox = qMRMLWidget, qMRMLNodeComboBox
    slicer.app = types.SimpleNamespace(
        processEvents=QtWidgets.QApplication.processEvents, applicationLogic=lambda: logics["app"]
    )
    return scene, logics
