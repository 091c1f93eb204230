"""Test stand-in for Slicer's PythonQt `qt` module, over PySide6 (tests only).

PythonQt: Qt properties are plain attributes (w.text, w.enabled = False), setters stay methods
(w.setText("x")), and obj.connect("signal(args)", f) works. PySide6 has neither; this adds both.
"""

import functools

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

QObject, QTimer, QFile, QSettings, Qt = (
    QtCore.QObject,
    QtCore.QTimer,
    QtCore.QFile,
    QtCore.QSettings,
    QtCore.Qt,
)
_CLASSES = {}
_ALIAS = {"name": "objectName"}  # PythonQt exposes objectName also as .name


class _PythonQtLike:
    def __getattribute__(self, key):
        if key == "connect":  # QObject.connect would win over a method of the mixin
            return functools.partial(_PythonQtLike._connect, self)
        if not key.startswith("_") and key != "metaObject":
            prop = _ALIAS.get(key, key)
            try:
                if QObject.metaObject(self).indexOfProperty(prop) >= 0:
                    return QObject.property(self, prop)
            except RuntimeError:
                pass  # __init__ of the C++ side not run yet
        return super().__getattribute__(key)

    def __setattr__(self, key, value):
        prop = _ALIAS.get(key, key)
        if not key.startswith("_") and QObject.metaObject(self).indexOfProperty(prop) >= 0:
            QObject.setProperty(self, prop, value)
        else:
            super().__setattr__(key, value)

    def _connect(self, signal, slot):
        name = QtCore.QMetaObject.normalizedSignature(signal)
        name = name if isinstance(name, str) else bytes(name).decode()
        if QObject.metaObject(self).indexOfSignal(name) < 0:
            raise AttributeError(f"{type(self).__name__} has no signal {name}")
        base, args = name[:-1].split("(", 1)
        bound = object.__getattribute__(self, base)
        try:
            bound = bound[args] if args else bound
        except (KeyError, IndexError):
            pass
        n = args.count(",") + 1 if args else 0
        return bound.connect(lambda *a: slot(*a[:n]) if _accepts(slot, n) else slot())


def _accepts(fn, n):
    import inspect

    try:
        inspect.signature(fn).bind(*range(n))
        return True
    except (TypeError, ValueError):
        return False


def wrap(cls):
    if cls not in _CLASSES:
        _CLASSES[cls] = type(cls.__name__, (_PythonQtLike, cls), {})
    return _CLASSES[cls]


def __getattr__(key):  # flat namespace like PythonQt
    for mod in (QtWidgets, QtGui, QtCore, QtUiTools):
        if hasattr(mod, key):
            obj = getattr(mod, key)
            if isinstance(obj, type) and issubclass(obj, QtWidgets.QWidget):
                return wrap(obj)
            return obj
    raise AttributeError(key)


class QUiLoader(QtUiTools.QUiLoader):
    custom = {}  # class name -> factory, filled by ctk / slicer_gui

    def createWidget(self, class_name, parent=None, name=""):
        cls = self.custom.get(class_name)
        if cls is None:
            base = getattr(QtWidgets, class_name, None)
            if base is None:
                raise RuntimeError(f"no stand-in for widget class {class_name}")
            cls = wrap(base)
        w = cls(parent)
        QObject.setObjectName(w, name)
        return w
