"""What messages hold: volumes, label maps, changed boxes, models; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import LabelInfo, ModelInfo
from ..types import BoolArray, IndexBox, SpatialShape
from ..volume import Algorithm, Code, LabelMap, Volume
from .wire import Malformed, Message, list_of, whole

__all__ = [
    "Patch",
    "box_of",
    "labels_message",
    "labels_of",
    "model_json",
    "model_of",
    "patches_message",
    "patches_of",
    "texts_of",
    "volume_message",
    "volume_of",
]


def volume_message(volume: Volume) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and arrays of a volume; what its file was called, or had to say, stays here.

    Raises
    ------
    VolumeError
        If its voxels are of a type that does not travel.
    """
    about = {
        "affine": np.asarray(volume.affine).tolist(),
        "channel_names": list(volume.channel_names),
        "modality": volume.modality,
        "window": None if volume.window is None else list(volume.window),
    }
    return {"volume": about}, [np.asarray(volume.data)]


def volume_of(message: Message) -> Volume:
    """Read a volume back.

    Raises
    ------
    Malformed
        If the message holds none.
    VolumeError
        If its array or its affine is none of an image.
    """
    about = message.header.get("volume")
    if not isinstance(about, Mapping) or len(message.arrays) != 1:
        raise Malformed('expected an entry "volume" and one array')
    names, modality, window = (about.get(key) for key in ("channel_names", "modality", "window"))
    try:
        affine = np.asarray(about.get("affine"), np.float64)
    except (TypeError, ValueError, OverflowError) as err:
        raise Malformed("the affine is no table of 4 x 4 numbers") from err
    return Volume(
        message.arrays[0],
        affine,
        channel_names=tuple(texts_of(names or [], "channel_names")),
        modality=texts_of([modality], "modality")[0] if modality is not None else None,
        window=None if window is None else _pair(window),
    )


@dataclass(frozen=True, eq=False)
class Patch:
    """What a box of the mask became."""

    box: IndexBox
    inside: BoolArray


def patches_message(patches: Sequence[Patch]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and array of changed boxes: eight voxels a byte, each box beginning with a new byte."""
    bits = [np.packbits(patch.inside) for patch in patches]
    whole = np.concatenate(bits) if bits else np.zeros(0, np.uint8)
    return {"boxes": [patch.box for patch in patches]}, [whole]


def patches_of(message: Message, shape: SpatialShape) -> tuple[Patch, ...]:
    """Read changed boxes of an image back.

    Raises
    ------
    Malformed
        If a box leaves the image, or the array does not fill the boxes.
    """
    bits, at, found = message.read(0, np.uint8, 2**40), 0, []
    for given in list_of(message.header.get("boxes")):
        box = box_of(given, shape)
        sides = [high - low for low, high in zip(*box, strict=True)]
        voxels = math.prod(sides)
        mine = bits[at : at + (voxels + 7) // 8]
        at += (voxels + 7) // 8
        if at > bits.size:
            raise Malformed("the boxes are larger than the array that fills them")
        found.append(Patch(box, np.unpackbits(mine, count=voxels).reshape(sides).view(bool)))
    if at != bits.size:
        raise Malformed("the boxes are smaller than the array that fills them")
    return tuple(found)


def labels_message(labels: LabelMap) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and array of a label map."""
    about = {
        "affine": np.asarray(labels.affine).tolist(),
        "names": _keyed(labels.names),
        "colours": _keyed(labels.colours),
        "codes": _keyed({label: asdict(code) for label, code in labels.codes.items()}),
        "made_by": None if labels.made_by is None else asdict(labels.made_by),
        "warnings": list(labels.warnings),
    }
    return {"labels": about}, [labels.data]


def labels_of(message: Message) -> LabelMap:
    """Read a label map back, from a server that is trusted.

    Raises
    ------
    Malformed
        If the message holds none.
    """
    try:
        about = message.header["labels"]
        made_by = about["made_by"]
        return LabelMap(
            message.arrays[0],
            np.asarray(about["affine"], np.float64),
            {int(label): name for label, name in about["names"].items()},
            {int(label): tuple(colour) for label, colour in about["colours"].items()},
            {int(label): Code(**code) for label, code in about["codes"].items()},
            made_by=None if made_by is None else Algorithm(**made_by),
            warnings=tuple(about["warnings"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as err:
        raise Malformed(f"the answer holds no labels ({err})") from err


def model_json(model: ModelInfo) -> dict[str, Any]:
    """Return a model as plain values."""
    return asdict(model)


def model_of(entry: Mapping[str, Any]) -> ModelInfo:
    """Read a model back, from a server that is trusted.

    Raises
    ------
    Malformed
        If it is none.
    """
    try:
        labels = tuple(_label_of(label) for label in entry["labels"])
        channels = tuple((str(role), str(description)) for role, description in entry["channels"])
        spacing = entry.get("spacing")  # older servers do not tell
        texts = {name: str(entry[name]) for name in ("name", "title", "summary", "licence", "accuracy")}
        return ModelInfo(
            **texts,
            task="automatic" if entry["task"] == "automatic" else "promptable",
            dimensions=int(entry["dimensions"]),
            modality=tuple(entry["modality"]),
            channels=channels,
            labels=labels,
            recommended=bool(entry["recommended"]),
            limits=tuple(entry["limits"]),
            spacing=None if spacing is None else tuple(float(step) for step in spacing),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise Malformed(f"the answer lists a model that is none ({err})") from err


def _label_of(entry: Mapping[str, Any]) -> LabelInfo:
    red, green, blue = entry["colour"]
    code = None if entry["code"] is None else Code(**entry["code"])
    return LabelInfo(int(entry["id"]), str(entry["name"]), (red, green, blue), code)


def _keyed(table: Mapping[int, Any]) -> dict[str, Any]:
    return {str(label): value for label, value in table.items()}


def texts_of(values: object, name: str) -> list[str]:
    """Check that a value is a list of short texts."""
    found = list_of(values)
    if len(found) > 256 or not all(isinstance(one, str) and len(one) <= 256 for one in found):
        raise Malformed(f"{name}: expected short texts")
    return found


def _pair(value: object) -> tuple[float, float]:
    if not (
        isinstance(value, list)
        and len(value) == 2
        and all(
            isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e300 for one in value
        )
    ):
        raise Malformed("the window is no pair of numbers")
    return float(value[0]), float(value[1])


def box_of(given: object, shape: SpatialShape) -> IndexBox:
    """Check that a value is a half-open box inside an image of a shape."""
    corners = [list_of(corner) for corner in list_of(given)]
    if [len(corner) for corner in corners] != [3, 3]:
        raise Malformed("a box has two corners of three numbers")
    low = [whole(value, 0, side - 1, "a corner") for value, side in zip(corners[0], shape, strict=True)]
    high = [
        whole(value, a + 1, side, "a corner") for value, a, side in zip(corners[1], low, shape, strict=True)
    ]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
