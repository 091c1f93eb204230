"""What a server answered, read into what was asked for; no torch."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ServerError
from ..protocols import Segmented
from ..session_state import unpacked
from ..types import BoolArray, SpatialShape
from ..volume import Volume
from .payloads import labels_of
from .transport import Answer
from .wire import Malformed, whole

__all__ = ["masks", "segmented"]


def masks(answer: Answer, shape: SpatialShape) -> dict[int, BoolArray]:
    """Read masks of time points.

    Raises
    ------
    ServerError
        If there are none.
    """
    message = answer.message
    if message is None:
        raise ServerError("the server gave no result")
    try:
        frames = [whole(frame, 0, 2**31, "frames") for frame in message.header["frames"]]
        size = (math.prod(shape) + 7) // 8
        bits = message.read(0, np.uint8, size * len(frames)).reshape(len(frames), size) if frames else ()
    except (Malformed, KeyError, TypeError, ValueError) as err:
        raise ServerError(f"the server's result cannot be read ({err})") from err
    return {frame: unpacked(part, shape) for frame, part in zip(frames, bits, strict=True)}


def segmented(answer: Answer, volume: Volume) -> Segmented:
    """Read the result of a job on an image.

    Raises
    ------
    ServerError
        If it is none.
    """
    message = answer.message
    if message is None:
        raise ServerError("the server gave no result")
    try:
        labels = labels_of(message)
        doubt = message.read(1, np.float32, 2**40) if len(message.arrays) > 1 else None
    except Malformed as err:
        raise ServerError(f"the server's result cannot be read ({err})") from err
    report = dict(message.header.get("report") or {})
    report["warnings"] = list(dict.fromkeys([*volume.warnings, *report.get("warnings", [])]))
    return Segmented(labels, doubt, report)
