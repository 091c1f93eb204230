"""What the user has chosen: a plain record, kept in the scene, and bound to the widgets of the .ui.

Node choices are node references, so they survive a scene that is saved and loaded. The key of a server is
not among them: it is never written to a scene or a setting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

__all__ = ["PRIVATE", "PYTHON", "SERVER", "Binding", "Parameters", "read_parameters", "write_parameters"]

PRIVATE, PYTHON, SERVER = "private", "python", "server"
"""Where the engine runs: its own environment, a Python of the user's, a server."""

_VALUES = "EffSeg.Parameters"
_CHANNEL = "EffSeg.Channel."


def _value(default: Any, widget: str) -> Any:
    return field(default=default, metadata={"widget": widget})


def _node(role: str, widget: str) -> Any:
    return field(default="", metadata={"role": role, "widget": widget})


@dataclass(frozen=True)
class Parameters:
    """What the window shows.

    Attributes
    ----------
    volume, region, segmentation : str
        Ids of nodes; empty for none, and for a new segmentation.
    channels : tuple of (role, node id)
        Further images of a model that takes several.
    model, click_model : str
        Names of cards; empty for the recommended one.
    engine : "private", "python" or "server"
    python, url, certificate : str
        The user's own Python, the server's address, and a certificate to trust.
    all_times : bool
        Every time point of a sequence, not only the one that is shown.
    statistics : bool
        Make a table of volumes and intensities.
    plane : str
        "", "axial", "coronal" or "sagittal": the plane that prompts are meant in; empty for the one
        that was clicked in.
    """

    volume: str = _node("EffSeg.Volume", "volumeSelector")
    region: str = _node("EffSeg.Region", "regionSelector")
    segmentation: str = _node("EffSeg.Segmentation", "segmentationSelector")
    channels: tuple[tuple[str, str], ...] = ()
    model: str = _value("", "modelBox")
    click_model: str = _value("", "clickModelBox")
    engine: str = _value(PRIVATE, "engineBox")
    python: str = _value("", "pythonEdit")
    url: str = _value("", "urlEdit")
    certificate: str = _value("", "certificateEdit")
    all_times: bool = _value(False, "allTimesBox")
    statistics: bool = _value(True, "statisticsBox")
    plane: str = _value("", "planeBox")


def read_parameters(node: Any) -> Parameters:
    """Read what a parameter node holds; what it does not hold, or holds of another kind, is the default."""
    default = Parameters()
    found: dict[str, Any] = {}
    kept = _loaded(node.GetParameter(_VALUES))
    for one in fields(Parameters):
        role = one.metadata.get("role")
        if role:
            found[one.name] = node.GetNodeReferenceID(role) or ""
        elif "widget" in one.metadata and type(kept.get(one.name)) is type(getattr(default, one.name)):
            found[one.name] = kept[one.name]
    roles = kept.get("channels")
    names = [str(role) for role in roles] if isinstance(roles, list) else []
    found["channels"] = tuple((name, node.GetNodeReferenceID(_CHANNEL + name) or "") for name in names)
    return replace(default, **found)


def write_parameters(node: Any, parameters: Parameters) -> None:
    """Write everything into a parameter node."""
    kept: dict[str, Any] = {"channels": [role for role, _ in parameters.channels]}
    was_modifying = node.StartModify()
    for one in fields(Parameters):
        value = getattr(parameters, one.name)
        role = one.metadata.get("role")
        if role:
            node.SetNodeReferenceID(role, value or None)
        elif "widget" in one.metadata:
            kept[one.name] = value
    for name, node_id in parameters.channels:
        node.SetNodeReferenceID(_CHANNEL + name, node_id or None)
    node.SetParameter(_VALUES, json.dumps(kept, sort_keys=True))
    node.EndModify(was_modifying)


def _loaded(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Binding:
    """Widgets of the .ui that show `Parameters`, each named by its field.

    Parameters
    ----------
    ui : object
        Widgets by name, as `slicer.util.childWidgetVariables` returns them.
    change : callable
        ``change(field=value)``, called when the user changed one.
    """

    def __init__(self, ui: Any, change: Callable[..., None]) -> None:
        self._change, self._is_showing = change, False
        self._widgets = {
            one.name: getattr(ui, one.metadata["widget"])
            for one in fields(Parameters)
            if "widget" in one.metadata
        }
        for name, widget in self._widgets.items():
            widget.connect(_SIGNALS[_kind(widget)], lambda *_, name=name: self._take(name))

    def show(self, parameters: Parameters) -> None:
        """Show parameters; nobody is told."""
        self._is_showing = True
        try:
            for name, widget in self._widgets.items():
                if name not in _FILLED_BY_PANELS:
                    _show(widget, getattr(parameters, name))
        finally:
            self._is_showing = False

    def _take(self, name: str) -> None:
        if not self._is_showing:
            self._change(**{name: _shown(self._widgets[name])})


_FILLED_BY_PANELS = ("model", "click_model")
_SIGNALS = {
    "node": "currentNodeChanged(vtkMRMLNode*)",
    "choice": "currentIndexChanged(int)",
    "check": "toggled(bool)",
    "path": "currentPathChanged(QString)",
    "text": "textChanged(QString)",
}
_KINDS = {
    "qMRMLNodeComboBox": "node",
    "QComboBox": "choice",
    "QCheckBox": "check",
    "ctkPathLineEdit": "path",
    "QLineEdit": "text",
}


def _kind(widget: Any) -> str:
    return _KINDS[widget.className()]


def _shown(widget: Any) -> Any:
    kind = _kind(widget)
    if kind == "node":
        return widget.currentNodeID or ""
    if kind == "choice":
        return widget.currentData or ""
    if kind == "check":
        return widget.checked
    return (widget.currentPath if kind == "path" else widget.text).strip()


def _show(widget: Any, value: Any) -> None:
    kind = _kind(widget)
    if kind == "node":
        widget.setCurrentNodeID(value)
    elif kind == "choice":
        widget.setCurrentIndex(widget.findData(value))
    elif kind == "check":
        widget.setChecked(value)
    elif _shown(widget) != value:  # or the cursor would jump to the end
        (widget.setCurrentPath if kind == "path" else widget.setText)(value)
