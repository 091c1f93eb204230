"""Keys of the panel *Click segmentation*; they work wherever the focus is in the window."""

from __future__ import annotations

from .click_state import Tool

__all__ = ["HELP", "KEYS", "TOOL_KEYS", "with_key"]

TOOL_KEYS = {
    Tool.POINT: "P",
    Tool.BOX: "B",
    Tool.SCRIBBLE: "S",
    Tool.LASSO: "L",
    Tool.ERASE: "E",
    Tool.BRUSH: "D",
    Tool.MOVE: "M",
}
KEYS = {
    "sign": "X",
    "here": "A",
    "other": "H",
    "carry": "G",
    "time": "T",
    "finish": "N",
    "undo": "Ctrl+Z",
    "redo": "Ctrl+Shift+Z",
    "delete": "Del",
    "cancel": "Esc",
    "help": "?",
}
HELP = (
    ("Left click, drag", "this is the object"),
    ("Right click, drag", "this is not the object"),
    ("Ctrl or Shift", "turns the sign, too"),
    ("Click on a mark", "selects the prompt"),
    ("P  B  S  L", "point, box, scribble, lasso"),
    ("E", "erase prompts"),
    ("D", "napari's brush or eraser"),
    ("M", "move the picture, select"),
    ("X", "object / not the object"),
    ("A", "a point where the mouse is"),
    ("H", "another mask it may mean"),
    ("G", "go through the slices"),
    ("T", "go through time"),
    ("N", "finish the object, next one"),
    ("Ctrl+Z", "undo a prompt or a stroke"),
    ("Ctrl+Shift+Z", "redo"),
    ("Del", "delete the selected prompt"),
    ("Esc", "cancel; put the tool away"),
)
"""Keys and what they do, for people."""


def with_key(text: str, key: str) -> str:
    """Text of a button, and its key.

    Examples
    --------
    >>> with_key("Point", "P")
    'Point (P)'
    """
    return f"{text} ({key})"
