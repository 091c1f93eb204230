"""The lower half of the dock *Fine-tune a model*: what it takes, the button, how far it is, what came out."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QProgressBar,
    QPushButton,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .dice_curve import DiceCurve
from .finetune_state import FinetuneStage, FinetuneState, ScoreRow
from .model_rows import FactLines
from .reading_rows import enable
from .segmentation_rows import say, wrapped
from .tables import fit_rows, small_table

__all__ = ["ProgressRows"]


class ProgressRows(QWidget):
    """What it will take, the button, how far it is, and what came out."""

    press_wanted = Signal()
    go_on_wanted = Signal()
    details_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.why_not = wrapped("Why it cannot begin")
        self.plan = FactLines()
        self.notes = wrapped("What to know before")
        self.button = QPushButton()
        self.button.setMinimumHeight(32)
        self.button.clicked.connect(self.press_wanted)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress")
        self.curve = DiceCurve()
        self.status = wrapped("Status")
        self.go_on = QPushButton("Go on")
        self.go_on.clicked.connect(self.go_on_wanted)
        self.scores = small_table("Scores", ("Structure", "Before", "After"), 0)
        self.scores.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.warnings = wrapped("Warnings")
        self.details = QPushButton("Copy details for a report")
        self.details.clicked.connect(self.details_wanted)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.plan,
            self.notes,
            self.why_not,
            self.button,
            self.progress,
            self.curve,
            self.status,
            self.go_on,
            self.scores,
            self.warnings,
            self.details,
        ):
            column.addWidget(widget)

    def show_state(self, state: FinetuneState, colours: dict[str, str]) -> None:
        """Show plan, progress and outcome."""
        is_idle = state.stage is FinetuneStage.IDLE
        is_ready = state.stage is FinetuneStage.READY
        self.plan.show_facts(state.plan if is_ready else ())  # read by then, and the room is needed
        say(self.notes, "\n".join(f"⚠ {note}" for note in state.notes) if is_ready else "")
        self.notes.setStyleSheet(f"color: {colours['warning']}")
        say(self.why_not, state.why_not_prepare if is_idle else "")
        self._show_button(state)
        self.progress.setVisible(state.is_busy)
        self.progress.setValue(round(1000 * state.fraction))
        self.curve.show_points(state.points, state.before)
        trouble = state.problem if not state.is_busy else ""
        say(self.status, "\n".join(filter(None, (trouble, state.summary, state.message))))
        self.status.setStyleSheet(f"color: {colours['error']}" if trouble else "")
        self.go_on.setVisible(state.can_go_on and not state.is_busy)
        enable(self.go_on, "Go on where the run was stopped", "")
        self._show_scores(state.scores)
        say(self.warnings, "\n".join(f"⚠ {text}" for text in state.warnings))
        self.warnings.setStyleSheet(f"color: {colours['warning']}")
        self.details.setVisible(bool(state.details) and not state.is_busy)

    def _show_button(self, state: FinetuneState) -> None:
        words = {
            FinetuneStage.IDLE: "Meas&ure what it takes",
            FinetuneStage.PREPARING: "Cancel",
            FinetuneStage.READY: "Fine-t&une",
            FinetuneStage.RUNNING: "Stop",
            FinetuneStage.STOPPING: "Stop at once",
        }
        tips = {
            FinetuneStage.IDLE: "Read the cases and measure what a step takes; nothing is learned yet",
            FinetuneStage.PREPARING: "Stop; nothing was learned yet (Esc)",
            FinetuneStage.READY: "Begin; it runs beside the window, and can be stopped at any time",
            FinetuneStage.RUNNING: "Stop after this step; what was learned is kept (Esc)",
            FinetuneStage.STOPPING: "Do not wait for the step; the last checkpoint is kept",
        }
        self.button.setText(words[state.stage])
        enable(
            self.button, tips[state.stage], state.why_not_prepare if state.stage is FinetuneStage.IDLE else ""
        )

    def _show_scores(self, rows: tuple[ScoreRow, ...]) -> None:
        self.scores.setVisible(bool(rows))
        self.scores.setRowCount(len(rows))
        for at, row in enumerate(rows):
            after = "-" if row.after is None else f"{row.after:.3f}"
            for column, text in enumerate((row.name, f"{row.before:.3f}", after)):
                cell = QTableWidgetItem(text)
                if column:
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.scores.setItem(at, column, cell)
        self.scores.setToolTip("Mean Dice over the held-back cases, which were not learned from")
        fit_rows(self.scores, len(rows))
