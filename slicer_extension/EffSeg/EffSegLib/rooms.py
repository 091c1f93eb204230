"""The rooms of napari-effseg that need no torch.

They are the copy that `vendor.py` put beside this file; in a checkout, where there is none, the package
that is installed.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

_ROOMS = {
    "errors": ("Cancelled", "EffsegError", "PromptError", "ServerError", "VolumeError"),
    "io.terminology": ("code_from_terminology", "code_to_terminology"),
    "prompt_files": ("scribbles_of",),
    "prompts": ("Box", "Lasso", "Mask", "Point", "Prompt", "Scribble"),
    "protocols": ("ModelInfo", "Segmented", "Segmenter", "Session"),
    "server.client": ("connect",),
    "server.stopping": ("answering_to",),
    "types": ("Affine", "BoolArray", "CancelCheck", "Colour", "IndexBox", "IntArray", "Progress"),
    "volume": (
        "Code",
        "Grid",
        "LabelMap",
        "Volume",
        "affine_spacing",
        "resample",
        "same_grid",
        "stack_channels",
        "transform_points",
    ),
}
"""What is used of each; `vendor.py` copies these rooms, and what they import."""

if TYPE_CHECKING:
    from napari_effseg.errors import Cancelled as Cancelled
    from napari_effseg.errors import EffsegError as EffsegError
    from napari_effseg.errors import PromptError as PromptError
    from napari_effseg.errors import ServerError as ServerError
    from napari_effseg.errors import VolumeError as VolumeError
    from napari_effseg.io.terminology import code_from_terminology as code_from_terminology
    from napari_effseg.io.terminology import code_to_terminology as code_to_terminology
    from napari_effseg.prompt_files import scribbles_of as scribbles_of
    from napari_effseg.prompts import Box as Box
    from napari_effseg.prompts import Lasso as Lasso
    from napari_effseg.prompts import Mask as Mask
    from napari_effseg.prompts import Point as Point
    from napari_effseg.prompts import Prompt as Prompt
    from napari_effseg.prompts import Scribble as Scribble
    from napari_effseg.protocols import ModelInfo as ModelInfo
    from napari_effseg.protocols import Segmented as Segmented
    from napari_effseg.protocols import Segmenter as Segmenter
    from napari_effseg.protocols import Session as Session
    from napari_effseg.server.client import connect as connect
    from napari_effseg.server.stopping import answering_to as answering_to
    from napari_effseg.types import Affine as Affine
    from napari_effseg.types import BoolArray as BoolArray
    from napari_effseg.types import CancelCheck as CancelCheck
    from napari_effseg.types import Colour as Colour
    from napari_effseg.types import IndexBox as IndexBox
    from napari_effseg.types import IntArray as IntArray
    from napari_effseg.types import Progress as Progress
    from napari_effseg.volume import Code as Code
    from napari_effseg.volume import Grid as Grid
    from napari_effseg.volume import LabelMap as LabelMap
    from napari_effseg.volume import Volume as Volume
    from napari_effseg.volume import affine_spacing as affine_spacing
    from napari_effseg.volume import resample as resample
    from napari_effseg.volume import same_grid as same_grid
    from napari_effseg.volume import stack_channels as stack_channels
    from napari_effseg.volume import transform_points as transform_points
else:
    _COPY = f"{__package__}.napari_effseg"
    _ROOT = _COPY if find_spec(_COPY) else "napari_effseg"
    for _room, _names in _ROOMS.items():
        _module = import_module(f"{_ROOT}.{_room}")
        globals().update({_name: getattr(_module, _name) for _name in _names})
