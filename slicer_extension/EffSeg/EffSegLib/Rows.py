"""Small helpers for widgets of Slicer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["enable", "fill", "quiet", "show_progress"]


_OWN_TIP = "effsegTip"


@contextmanager
def quiet(*widgets: Any) -> Iterator[None]:
    """Change widgets without anybody being told."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, was in zip(widgets, before, strict=True):
            widget.blockSignals(was)


def fill(box: Any, items: Sequence[tuple[str, str, str]], chosen: str) -> None:
    """Fill a combo box.

    Parameters
    ----------
    box : QComboBox
    items : sequence of (text, data, reason)
        With a reason, the item cannot be chosen, and the reason is its tool tip.
    chosen : str
        Data of the item to choose; none if it is not there.
    """
    with quiet(box):
        box.clear()
        for text, data, _ in items:
            box.addItem(text, data)
        for at, (_, _, reason) in enumerate(items):
            if reason:
                item = box.model().item(at)
                item.setEnabled(False)
                item.setToolTip(reason)
        box.setCurrentIndex(box.findData(chosen))


def enable(widget: Any, why_not: str = "", tip: str = "") -> None:
    """Enable a widget, with its own tool tip or another; or disable it and say why."""
    own = widget.property(_OWN_TIP)
    if own is None:
        own = widget.toolTip
        widget.setProperty(_OWN_TIP, own)
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or tip or own)


def show_progress(bar: Any, label: Any, fraction: float, message: str) -> None:
    """Show how far something is."""
    bar.setVisible(True)
    bar.setValue(round(100 * fraction))
    label.setText(message)
