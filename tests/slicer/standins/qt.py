"""Stand-in for Slicer's PythonQt module `qt`, over PySide6; tests only.

In PythonQt, properties are plain attributes (``w.text``, ``w.enabled = False``), setters stay methods
(``w.setText("x")``), ``w.connect("signal(args)", f)`` connects, ``w.className()`` names the class. PySide6
has none of these. What is not there in Slicer fails here too: unknown signals, a property that is called.
"""

import contextlib
import functools
import inspect
import typing

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

QObject, Qt = QtCore.QObject, QtCore.Qt
_CLASSES = {}
_ALIAS = {"name": "objectName"}  # PythonQt shows objectName as name, too
_OURS = {"vtkMRMLNode*": "QVariant"}  # PySide6 has no such type in its signals


class _PythonQtLike:
    def __getattribute__(self, key):
        if key in ("connect", "className"):  # those of QObject would win over those of a mixin
            return functools.partial(getattr(_PythonQtLike, f"_{key}"), self)
        if not key.startswith("_") and key != "metaObject":
            prop = _ALIAS.get(key, key)
            with contextlib.suppress(RuntimeError):  # __init__ of the C++ side has not run yet
                if QObject.metaObject(self).indexOfProperty(prop) >= 0:
                    return QObject.property(self, prop)
        return super().__getattribute__(key)

    def __setattr__(self, key, value):
        prop = _ALIAS.get(key, key)
        if not key.startswith("_") and QObject.metaObject(self).indexOfProperty(prop) >= 0:
            QObject.setProperty(self, prop, value)
        else:
            super().__setattr__(key, value)

    def _className(self):
        return type(self).__name__

    def _connect(self, signal, slot):
        base, arguments = signal.rstrip(")").split("(", 1)
        arguments = _OURS.get(arguments, arguments)
        name = QtCore.QMetaObject.normalizedSignature(f"{base}({arguments})")
        name = name if isinstance(name, str) else bytes(name).decode()
        if QObject.metaObject(self).indexOfSignal(name) < 0:
            raise AttributeError(f"{type(self).__name__} has no signal {name}")
        bound = object.__getattribute__(self, base)
        with contextlib.suppress(KeyError, IndexError):
            bound = bound[arguments] if arguments else bound
        count = arguments.count(",") + 1 if arguments else 0
        return bound.connect(lambda *given: slot(*given[:count]) if _accepts(slot, count) else slot())


def _accepts(function, count):
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def wrap(cls):
    """Class of PySide6 that behaves as in PythonQt."""
    if cls not in _CLASSES:
        _CLASSES[cls] = type(cls.__name__, (_PythonQtLike, cls), {})
    return _CLASSES[cls]


def __getattr__(key):  # a flat namespace, as in PythonQt
    for module in (QtWidgets, QtGui, QtCore, QtUiTools):
        if hasattr(module, key):
            found = getattr(module, key)
            is_ours = isinstance(found, type) and issubclass(found, QtWidgets.QWidget | QtCore.QTimer)
            return wrap(found) if is_ours else found
    raise AttributeError(key)


class QUiLoader(QtUiTools.QUiLoader):
    """Makes only widgets that Slicer has."""

    custom: typing.ClassVar = {}  # class by name; filled by ctk and slicer_gui

    def createWidget(self, class_name, parent=None, name=""):
        cls = self.custom.get(class_name)
        if cls is None:
            base = getattr(QtWidgets, class_name, None)
            if base is None:
                raise RuntimeError(f"there is no stand-in for widgets of the class {class_name}")
            cls = wrap(base)
        widget = cls(parent)
        QObject.setObjectName(widget, name)
        return widget
