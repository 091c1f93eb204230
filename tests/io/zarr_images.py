"""Write small OME-Zarr images, as programs do and as nobody should."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr

KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
ZARR_3 = int(zarr.__version__.split(".")[0]) >= 3
VERSIONS = ("0.4", "0.5") if ZARR_3 else ("0.4",)


def axes_of(names: str, unit: str | None = "millimeter", **orientation: str) -> list[dict[str, Any]]:
    """Axes such as "tczyx"; ``x="left-to-right"`` gives one an orientation."""
    axes = []
    for name in names:
        axis: dict[str, Any] = {"name": name, "type": KINDS[name]}
        if unit is not None and axis["type"] == "space":
            axis["unit"] = unit
        if name in orientation:
            axis["orientation"] = {"type": "anatomical", "value": orientation[name]}
        axes.append(axis)
    return axes


def dataset(path: str, scale: Any = None, translation: Any = None) -> dict[str, Any]:
    steps = [] if scale is None else [{"type": "scale", "scale": list(scale)}]
    if translation is not None:
        steps.append({"type": "translation", "translation": list(translation)})
    return {"path": path, "coordinateTransformations": steps}


def write_array(
    path: Path, values: np.ndarray, chunks: Any = None, version: str = "0.4", **more: Any
) -> None:
    options = {"zarr_format": 2 if version == "0.4" else 3} if ZARR_3 else {}
    array = zarr.open_array(
        str(path),
        mode="w",
        shape=values.shape,
        chunks=chunks or tuple(max(1, side // 2) for side in values.shape),
        dtype=values.dtype,
        **options,
        **more,
    )
    array[...] = values


def write_group(path: Path, attributes: dict[str, Any], version: str = "0.4") -> None:
    """OME metadata of a group, at the place that the version gives them."""
    path.mkdir(parents=True, exist_ok=True)
    if version == "0.4":
        (path / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
        (path / ".zattrs").write_text(json.dumps(attributes))
        return
    ome = {"version": version, **attributes}
    node = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(node))


def write_image(
    path: Path,
    levels: list[np.ndarray],
    axes: list[dict[str, Any]],
    scales: Any = None,
    *,
    version: str = "0.4",
    more: dict[str, Any] | None = None,
    **image: Any,
) -> Path:
    """An image of these levels and their `scales`; `image` goes into its multiscales, `more` beside them."""
    scales = scales or [[float(2**n)] * levels[0].ndim for n in range(len(levels))]
    for n, values in enumerate(levels):
        write_array(path / str(n), values, version=version)
    entry = {"axes": axes, "datasets": [dataset(str(n), scale) for n, scale in enumerate(scales)], **image}
    if version == "0.4":
        entry["version"] = "0.4"
    write_group(path, {"multiscales": [entry], **(more or {})}, version)
    return path


def zipped(folder: Path, name: str, inside: str = "") -> Path:
    """The same image in a zip file, at its root or in a folder."""
    target = folder.parent / name
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(inside, file.relative_to(folder)).as_posix())
    return target


def edit(path: Path, change: Any) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
