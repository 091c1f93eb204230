"""Small tables in a dock."""

from __future__ import annotations

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget

__all__ = ["fit_rows", "small_table"]

_SHOWN_ROWS = 5


def small_table(name: str, heads: tuple[str, ...], *wide: int) -> QTableWidget:
    """Table of lines that are read, not edited; these columns take the room that is left."""
    table = QTableWidget(0, len(heads))
    table.setAccessibleName(name)
    table.setHorizontalHeaderLabels(list(heads))
    table.verticalHeader().hide()
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)  # Tab leaves the table
    table.setWordWrap(False)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(24)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    for column in wide:
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
    return table


def fit_rows(table: QTableWidget, rows: int) -> None:
    """Make a table as high as a few rows."""
    height = table.verticalHeader().defaultSectionSize()
    shown = min(max(rows, 2), _SHOWN_ROWS)
    table.setFixedHeight(shown * height + table.horizontalHeader().sizeHint().height() + 4)
