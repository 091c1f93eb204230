"""Rows that both docks of segmentation share: where networks run. They are folded away at first."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .engine_choice import Where
from .engine_desk import EngineDesk
from .model_rows import Fold
from .reading_rows import NoteLabel, enable
from .segmentation_rows import combo, named

__all__ = ["EngineRows"]

_PLACES = (("On this computer", Where.HERE), ("On a server", Where.SERVER))
_TIPS = {
    "url": "As effseg serve prints it",
    "key": "As effseg serve shows it. It is kept until napari is closed, and never saved",
    "certificate": "A PEM file to trust, if the server has a certificate of its own",
}
_TEST_TIP = "Connect to the server, and say what is in the way"


class EngineRows(QWidget):
    """Shows an `EngineDesk`, and tells it what the user wants.

    Parameters
    ----------
    desk : EngineDesk
    """

    def __init__(self, desk: EngineDesk) -> None:
        super().__init__()
        self.desk = desk
        self._busy = ""
        self._colours: dict[str, str] = {}
        self._build()
        self.where.activated.connect(lambda at: desk.choose(where=_PLACES[at][1]))
        for name in _TIPS:
            getattr(self, name).editingFinished.connect(partial(self._take, name))
        self.browse.clicked.connect(self._choose_certificate)
        self.test.clicked.connect(desk.try_out)
        desk.changed.connect(self.show_choice)
        self.show_choice()

    def _build(self) -> None:
        self.where = combo("Where networks run")
        for text, where in _PLACES:
            self.where.addItem(text, where)
        self.url, self.key, self.certificate = QLineEdit(), QLineEdit(), QLineEdit()
        self.url.setPlaceholderText("https://gpu.hospital:8765")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.browse = QPushButton("…")
        self.browse.setAccessibleName("Choose the certificate's file")
        self.browse.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.test = QPushButton("Test connection")
        self.note = NoteLabel()
        self.note.setAccessibleName("About the engine")
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(8, 0, 0, 0)
        column.addWidget(self.where)
        column.addWidget(self._server_rows())
        column.addWidget(self.note)
        self.fold = Fold(below)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(3)
        outer.addWidget(self.fold)
        outer.addWidget(below)

    def _server_rows(self) -> QWidget:
        self.server = QWidget()
        grid = QGridLayout(self.server)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        file = QHBoxLayout()
        file.addWidget(self.certificate, stretch=1)
        file.addWidget(self.browse)
        for row, (text, field) in enumerate((("Address", self.url), ("Key", self.key))):
            field.setAccessibleName(f"{text} of the server")
            grid.addWidget(named(text, field), row, 0)
            grid.addWidget(field, row, 1)
        self.certificate.setAccessibleName("Certificate of the server")
        grid.addWidget(named("Certificate", self.certificate), 2, 0)
        grid.addLayout(file, 2, 1)
        grid.addWidget(self.test, 3, 1)
        return self.server

    # --- showing ---

    def show_busy(self, busy: str, colours: dict[str, str]) -> None:
        """Show why nothing can be chosen, "" if it can; in the colours of the theme."""
        if (busy, colours) != (self._busy, self._colours):
            self._busy, self._colours = busy, colours
            self.show_choice()

    def show_choice(self) -> None:
        """Show what is chosen, and how it is."""
        desk, wanted = self.desk, self.desk.wanted
        self.fold.setText(f"Networ&ks run on {desk.now.place}")
        self.fold.setToolTip("Choose whether networks run on this computer or on a server")
        self.fold.show_below()
        with QSignalBlocker(self.where):
            self.where.setCurrentIndex([where for _, where in _PLACES].index(wanted.where))
        enable(self.where, "Where networks run; the same for all panels", self._busy)
        self.server.setVisible(not wanted.is_here)
        for name in _TIPS:
            field = getattr(self, name)
            enable(field, _TIPS[name], self._busy)
            if field.text().strip() != getattr(wanted, name) and not field.isModified():
                field.setText(getattr(wanted, name))
        enable(self.browse, _TIPS["certificate"], self._busy)
        enable(self.test, _TEST_TIP, self._busy or desk.why_not_try)
        self.note.say(desk.note)
        colour = self._colours.get("error", "") if desk.is_problem else ""
        self.note.setStyleSheet(f"color: {colour}" if colour else "")

    # --- what the user wants ---

    def _take(self, name: str) -> None:
        field: QLineEdit = getattr(self, name)
        field.setModified(False)
        self.desk.choose(**{name: field.text().strip()})

    def _choose_certificate(self) -> None:
        kinds = "Certificates (*.pem *.crt *.cer);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Choose the server's certificate", "", kinds)
        if path:
            self.certificate.setText(path)
            self._take("certificate")
