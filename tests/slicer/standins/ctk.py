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


class ctkSliderWidget(qt.wrap(QtWidgets.QWidget)):
    valueChanged = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        lay = QtWidgets.QHBoxLayout(self)
        lay.setContentsMargins(0, 0, 0, 0)
        self._sl = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._sp = QtWidgets.QDoubleSpinBox()
        lay.addWidget(self._sl)
        lay.addWidget(self._sp)
        self._sp.valueChanged.connect(self.valueChanged)
        self._sp.valueChanged.connect(lambda v: self._sl.setValue(int(v)))
        self._sl.valueChanged.connect(lambda v: self._sp.setValue(v) if int(self._sp.value()) != v else None)

    def setValue(self, v):
        self._sp.setValue(v)

    value = QtCore.Property(float, lambda s: s._sp.value(), lambda s, v: s._sp.setValue(v))
    minimum = QtCore.Property(
        float, lambda s: s._sp.minimum(), lambda s, v: (s._sp.setMinimum(v), s._sl.setMinimum(int(v)))
    )
    maximum = QtCore.Property(
        float, lambda s: s._sp.maximum(), lambda s, v: (s._sp.setMaximum(v), s._sl.setMaximum(int(v)))
    )
    singleStep = QtCore.Property(float, lambda s: s._sp.singleStep(), lambda s, v: s._sp.setSingleStep(v))


qt.QUiLoader.custom.update(ctkCollapsibleButton=ctkCollapsibleButton, ctkSliderWidget=ctkSliderWidget)
