"""Stand-ins for the widgets of CTK that the module uses; tests only."""

import qt
from PySide6 import QtCore, QtWidgets


class ctkCollapsibleButton(qt.wrap(QtWidgets.QGroupBox)):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False

    text = QtCore.Property(
        str, lambda s: QtWidgets.QGroupBox.title(s), lambda s, v: QtWidgets.QGroupBox.setTitle(s, v)
    )
    collapsed = QtCore.Property(bool, lambda s: s._collapsed, lambda s, v: setattr(s, "_collapsed", v))


class ctkPathLineEdit(qt.wrap(QtWidgets.QWidget)):
    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit()
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._edit)
        self._edit.textChanged.connect(object.__getattribute__(self, "currentPathChanged"))

    def setCurrentPath(self, path):
        self._edit.setText(path)

    currentPath = QtCore.Property(str, lambda s: s._edit.text(), lambda s, v: s._edit.setText(v))


qt.QUiLoader.custom.update(ctkCollapsibleButton=ctkCollapsibleButton, ctkPathLineEdit=ctkPathLineEdit)
