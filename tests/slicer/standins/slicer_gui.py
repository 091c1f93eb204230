"""Stand-ins for qMRML widgets, slicer.app and slicer.ScriptedLoadableModule; tests only.

They stand on the real scene and the real slicer.util of the slicer-core wheel.
"""

import os
import sys
import tempfile
import types
import unittest

import ctk  # noqa: F401 - fills the loader
import qt
import slicer
from PySide6 import QtCore, QtWidgets

_FLAGS = (
    "noneEnabled",
    "addEnabled",
    "removeEnabled",
    "renameEnabled",
    "editEnabled",
    "showHidden",
    "showChildNodeTypes",
    "selectNodeUponCreation",
)


def _flag(name):
    return QtCore.Property(
        bool, lambda s: s._flags.get(name, False), lambda s, value: s._flags.__setitem__(name, value)
    )


class qMRMLWidget(qt.wrap(QtWidgets.QWidget)):
    def setMRMLScene(self, scene):
        """What the connections of the .ui do in Slicer."""
        for widget in self.findChildren(QtWidgets.QWidget):
            if isinstance(widget, qMRMLNodeComboBox):
                widget.setMRMLScene(scene)


class qMRMLNodeComboBox(qt.wrap(QtWidgets.QComboBox)):
    """Follows the nodes of a real scene."""

    currentNodeChanged = QtCore.Signal("QVariant")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types, self._scene, self._flags, self._observers = [], None, {}, []
        tell = object.__getattribute__(self, "currentNodeChanged")
        changed = QtWidgets.QComboBox.currentIndexChanged.__get__(self)
        changed.connect(lambda _: QtCore.SignalInstance.emit(tell, self.currentNode()))

    nodeTypes = QtCore.Property("QStringList", lambda s: s._types, lambda s, v: setattr(s, "_types", list(v)))
    for _name in _FLAGS:
        locals()[_name] = _flag(_name)

    def setMRMLScene(self, scene):
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._scene, self._observers = scene, []
        if scene is not None:
            events = (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
            self._observers = [scene.AddObserver(event, lambda *_: self._refresh()) for event in events]
            self._refresh()

    def _nodes(self):
        found = []
        for kind in self._types:
            nodes = self._scene.GetNodesByClass(kind)
            nodes.UnRegister(None)
            found += [nodes.GetItemAsObject(at) for at in range(nodes.GetNumberOfItems())]
        whole = self._flags.get("showChildNodeTypes", True)
        return [
            node
            for node in found
            if not node.GetHideFromEditors() and (whole or node.GetClassName() in self._types)
        ]

    def _refresh(self):
        kept, before = self.currentNodeID, self.currentNode()
        was = self.blockSignals(True)
        self.clear()
        if self._flags.get("noneEnabled"):
            self.addItem("None", "")
        for node in self._nodes():
            self.addItem(node.GetName(), node.GetID())
        self.setCurrentIndex(max(self.findData(kept or ""), 0) if self.count else -1)
        self.blockSignals(was)
        if self.currentNode() is not before:
            QtCore.SignalInstance.emit(
                object.__getattribute__(self, "currentNodeChanged"), self.currentNode()
            )

    @property
    def currentNodeID(self):
        return QtWidgets.QComboBox.currentData(self) or ""

    def currentNode(self):
        chosen = self.currentNodeID
        return self._scene.GetNodeByID(chosen) if self._scene and chosen else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node else "")

    def setCurrentNodeID(self, node_id):
        self.setCurrentIndex(self.findData(node_id or ""))


qt.QUiLoader.custom.update(qMRMLWidget=qMRMLWidget, qMRMLNodeComboBox=qMRMLNodeComboBox)


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__[: -len("Widget")]
        self.parent = parent or qMRMLWidget()
        if self.parent.layout() is None:
            self.parent.setLayout(QtWidgets.QVBoxLayout())
        self.layout = self.parent.layout()

    def resourcePath(self, name):
        return os.path.join(os.path.dirname(sys.modules[type(self).__module__].__file__), "Resources", name)

    def setup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__[: -len("Logic")]

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if not node:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def runTest(self):
        pass


class Application:
    """What the module uses of slicer.app."""

    def __init__(self, logic, folder):
        self._logic, self.slots = logic, {}
        self.slicerUserSettingsFilePath = os.path.join(folder, "Slicer.ini")
        self.slicerHome = ""

    def connect(self, signal, slot):
        self.slots[signal] = slot

    def applicationLogic(self):
        return self._logic

    def startupEnvironment(self):
        environment = QtCore.QProcessEnvironment.systemEnvironment()
        return environment


def install(logics, folder=None):
    """Put everything where modules look for it."""
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    for cls in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, cls.__name__, cls)
    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text, *_: text
    translation.translate = lambda context, text, *_: text
    sys.modules["slicer.ScriptedLoadableModule"], sys.modules["slicer.i18n"] = module, translation
    slicer.ScriptedLoadableModule, slicer.i18n = module, translation
    slicer.qMRMLWidget, slicer.qMRMLNodeComboBox = qMRMLWidget, qMRMLNodeComboBox
    slicer.app = Application(logics["app"], folder or tempfile.mkdtemp(prefix="slicer-user-"))
