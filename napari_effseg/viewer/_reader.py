"""Files -> layers, for napari's File menu, drag and drop, and ``viewer.open``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import EffsegError, ImageReadError
from ..io import SeriesInfo, list_series, load, load_labels, stem_of
from ..io.recognise import DICOM, format_name, holds_labels
from .source import Origin
from .to_layer import LayerTriple, image_layers, labels_layer

__all__ = ["get_reader"]

Reader = Callable[[str | list[str]], list[LayerTriple]]
_SEGMENTATION = "SEG"  # DICOM's modality of label maps


def get_reader(path: str | list[str]) -> Reader | None:
    """Return the reader of these files, or None if they are not ours."""
    paths = _paths(path)
    return read if paths and all(format_name(one) for one in paths) else None


def read(path: str | list[str]) -> list[LayerTriple]:
    """Read files as layers, and tell the user what was odd about them.

    A DICOM folder gives a layer for each series, the first of them visible. Several other files are the
    channels of one case, on the grid of the first. Files known to hold labels become layers of labels.

    Raises
    ------
    ImageReadError, VolumeError
        As `napari_effseg.load`.
    """
    paths = _paths(path)
    if all(format_name(one) == DICOM for one in paths):
        return _read_dicom(paths)
    if len(paths) == 1 and holds_labels(paths[0]):
        return _labels(paths[0], stem_of(paths[0]))
    return _image(paths, stem_of(paths[0]), Origin((paths[0],)))


def _image(paths: list[Path], name: str, origin: Origin) -> list[LayerTriple]:
    """Layers of every channel, or every time point; of the first time point's channels if there are both."""
    where: Any = paths[0] if len(paths) == 1 else paths
    volume = load(where, series=origin.series, channel="all")
    is_time = volume.data.ndim == 4 and _is_time(where, origin)
    _say(volume.warnings, name)
    return image_layers(volume, name, origin=origin, lead="time" if is_time else "channel")


def _is_time(where: Any, origin: Origin) -> bool:
    """Whether the first of four axes is time: then one point of it can be chosen."""
    return load(where, series=origin.series, frame=0, channel="all").data.ndim == 3


def _labels(path: Path, name: str) -> list[LayerTriple]:
    labels = load_labels(path)
    _say(labels.warnings, name)
    return [labels_layer(labels, name=name)]


def _read_dicom(paths: list[Path]) -> list[LayerTriple]:
    """Layers of all series that can be shown; what cannot be shown is told, or raised if nothing is left."""
    found = list_series(paths[0] if len(paths) == 1 else paths)
    layers: list[LayerTriple] = []
    problems = [info.why_not for info in found if info.why_not and info.modality != _SEGMENTATION]
    for info in found:
        try:
            shown = _series(info, info.description or info.modality or paths[0].name)
        except EffsegError as err:  # only the pixels told; the other series can still be shown
            problems.append(str(err))
            continue
        if layers and info.modality != _SEGMENTATION:
            for _, keywords, _kind in shown:
                keywords["visible"] = False
        layers += shown
    if not layers:
        raise ImageReadError("; ".join(problems) or f"{paths[0]}: holds no DICOM image")
    _say(problems, paths[0].name)
    return layers


def _series(info: SeriesInfo, name: str) -> list[LayerTriple]:
    """Layers of one series; none if its header says already that it cannot be shown."""
    if info.modality == _SEGMENTATION:
        return [triple for file in info.files for triple in _labels(file, name)]
    return [] if info.why_not else _image(list(info.files), name, Origin(info.files, info.uid))


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(one) for one in path]


def _say(warnings: Sequence[str], name: str) -> None:
    from napari.utils.notifications import show_warning

    for warning in warnings:
        show_warning(f"{name}: {warning}")
