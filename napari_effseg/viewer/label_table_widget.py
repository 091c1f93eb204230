"""The table of labels: a line for each, which selects the label and goes to it; saving and copying."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor, QGuiApplication, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..errors import ExportError
from ..io import format_for_writing
from .label_table import LabelTable, LabelTableState
from .measure import LabelRow
from .reading_rows import enable
from .segmentation_rows import wrapped
from .source import source_of

__all__ = ["LabelTableWidget"]

_COLUMNS = ("", "Structure", "mL", "Mean")
_SWATCH, _NAME, _VOLUME, _MEAN = range(4)
_LABEL = Qt.ItemDataRole.UserRole
_NUMBER = Qt.ItemDataRole.UserRole + 1
_SHOWN_ROWS = 7
_LABEL_FILES = (
    "NIfTI (*.nii.gz)",
    "NRRD segmentation, for 3D Slicer (*.seg.nrrd)",
    "NRRD (*.nrrd)",
    "MetaImage (*.mha)",
)
_DICOM_FILES = "DICOM SEG (*.dcm)"


class _Cell(QTableWidgetItem):
    """A cell that is sorted by its number, where it has one."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, theirs = self.data(_NUMBER), other.data(_NUMBER)
        if mine is None or theirs is None:
            return bool(self.text().casefold() < other.text().casefold())
        return bool(mine < theirs)


class LabelTableWidget(QWidget):
    """Shows a `LabelTable` and hands on what the user wants of it.

    Parameters
    ----------
    table : LabelTable
    """

    def __init__(self, table: LabelTable) -> None:
        super().__init__()
        self._table = table
        self._build()
        self._rows: tuple[LabelRow, ...] = ()
        table.changed.connect(self._show)
        self._show(table.now)

    def close_model(self) -> None:
        """Listen to the table no longer."""
        self._table.changed.disconnect(self._show)

    def _build(self) -> None:
        self.title = QLabel()
        self.lines = QTableWidget(0, len(_COLUMNS))
        self.lines.setAccessibleName("Labels")
        self.lines.setHorizontalHeaderLabels(_COLUMNS)
        self.lines.verticalHeader().hide()
        self.lines.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.lines.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.lines.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.lines.setTabKeyNavigation(False)  # Tab leaves the table
        self.lines.setToolTip("Click a line, or press Enter on it, to select the label and go to its middle")
        header = self.lines.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(24)
        self.lines.cellClicked.connect(self._go_to_line)
        self.lines.cellActivated.connect(self._go_to_line)
        self.save_labels = QPushButton("&Save labels …")
        self.save_table = QPushButton("Save &table …")
        self.copy = QPushButton("C&opy table")
        self.save_labels.clicked.connect(self._ask_for_labels_file)
        self.save_table.clicked.connect(self._ask_for_table_file)
        self.copy.clicked.connect(self._copy)
        self.note = wrapped("What was saved")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        buttons = QHBoxLayout()
        for button in (self.save_labels, self.save_table, self.copy):
            buttons.addWidget(button)
        for widget in (self.title, self.lines):
            column.addWidget(widget)
        column.addLayout(buttons)
        column.addWidget(self.note)

    # --- showing ---

    def _show(self, state: LabelTableState) -> None:
        self.setVisible(state.layer is not None)
        if state.layer is None:
            return
        intensities = f", mean of “{state.image}”" if state.image else ""
        busy = " (measuring …)" if state.is_measuring else ""
        count = f"{len(state.rows)} labels" if len(state.rows) > _SHOWN_ROWS else "Labels"
        self.title.setText(f"{count} in “{state.layer.name}”{busy}")
        self.title.setToolTip(f"Volumes in mL{intensities}")
        if state.rows is not self._rows:
            self._rows = state.rows
            self._fill(state.rows)
        no_rows = "" if state.rows else "There are no labels yet."
        saving = "Wait until the file is written." if state.is_saving else ""
        enable(self.save_labels, "Write the labels with names, colours and codes", saving)
        enable(self.save_table, "Write the table as comma-separated values (.csv)", no_rows or saving)
        enable(self.copy, "Copy the table, for a spreadsheet", no_rows)
        self.note.setText(state.note)
        self.note.setVisible(bool(state.note))

    def _fill(self, rows: tuple[LabelRow, ...]) -> None:
        with QSignalBlocker(self.lines):
            self.lines.setSortingEnabled(False)
            self.lines.setRowCount(len(rows))
            for at, row in enumerate(rows):
                self._fill_line(at, row)
            self.lines.setSortingEnabled(True)
            self.lines.sortByColumn(_SWATCH, Qt.SortOrder.AscendingOrder)
        shown = min(max(len(rows), 2), _SHOWN_ROWS)
        height = self.lines.verticalHeader().defaultSectionSize()
        self.lines.setFixedHeight(shown * height + self.lines.horizontalHeader().sizeHint().height() + 4)

    def _fill_line(self, at: int, row: LabelRow) -> None:
        mean = "-" if row.mean is None else f"{row.mean:.4g}"
        texts = ("", row.name, f"{row.volume_ml:.2f}", mean)
        numbers = (row.label, None, row.volume_ml, row.mean if row.mean is not None else float("-inf"))
        for column, (text, number) in enumerate(zip(texts, numbers, strict=True)):
            cell = _Cell(text)
            cell.setData(_LABEL, row.label)
            if number is not None:
                cell.setData(_NUMBER, number)
            if column in (_VOLUME, _MEAN):
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if column == _NAME:
                cell.setToolTip(f"{row.name}: label {row.label}, {row.voxels:,} voxels")
            if column == _SWATCH and row.colour is not None:
                cell.setIcon(_swatch(row.colour))
            self.lines.setItem(at, column, cell)

    # --- what the user wants ---

    def _go_to_line(self, line: int, column: int) -> None:
        item = self.lines.item(line, _NAME)
        if item is not None:
            self._table.select(int(item.data(_LABEL)))

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._table.text())

    def _ask_for_labels_file(self) -> None:
        layer = self._table.now.layer
        if layer is None:
            return
        source = source_of(layer)
        from_dicom = source is not None and source.origin is not None and source.origin.series is not None
        kinds = (*_LABEL_FILES, *([_DICOM_FILES] if from_dicom else ()))
        path = self._ask("Save labels", f"{layer.name}.nii.gz", kinds)
        if path is not None:
            self._table.save_labels(path)

    def _ask_for_table_file(self) -> None:
        layer = self._table.now.layer
        path = self._ask("Save table", f"{layer.name if layer else 'labels'}.csv", ("Table (*.csv)",))
        if path is not None:
            self._table.save_table(path)

    def _ask(self, title: str, name: str, kinds: tuple[str, ...]) -> Path | None:
        chosen, kind = QFileDialog.getSaveFileName(self, title, name.replace(" ", "_"), ";;".join(kinds))
        return _with_ending(Path(chosen), kind) if chosen else None


def _with_ending(path: Path, kind: str) -> Path:
    """Add the ending of the kind that was chosen in the dialog, if the name has none that is written."""
    ending = kind.partition("(*")[2].rstrip(")")
    if not ending or path.name.lower().endswith(ending):
        return path
    try:
        format_for_writing(path)
    except ExportError:
        return path.with_name(path.name + ending)
    return path


def _swatch(colour: tuple[int, int, int]) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(*colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # else Qt tints it, and it is no longer the label's colour
    return icon
