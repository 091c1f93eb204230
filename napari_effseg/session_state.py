"""All that is needed to go on with a click session tomorrow, or on another machine; no torch.

The masks are kept beside the history: they are shown as they were, even where another machine, or a newer
model, would answer the same prompts a little differently.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError
from .history import Commit, History
from .types import Affine, BoolArray, SpatialShape
from .volume import Volume

__all__ = ["ObjectVoxels", "SessionState", "image_sha256", "packed", "unpacked"]


@dataclass(frozen=True, eq=False)
class ObjectVoxels:
    """The voxels of an object that was finished.

    Attributes
    ----------
    commit : Commit
        The action that finished it: one of the history's.
    bits : ndarray of uint8
        Of the whole image; see `packed`.
    """

    commit: Commit
    bits: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SessionState:
    """A session that is not open.

    Attributes
    ----------
    image_sha256 : str
        Of the image's voxels and affine.
    shape : (I, J, K)
    affine : ndarray, shape (4, 4)
    model : str
        Name of the card.
    weights_sha256 : str
    history : History
    objects : tuple of ObjectVoxels
        In the order in which they were finished.
    mask_bits : ndarray of uint8
        The object at hand.
    """

    image_sha256: str
    shape: SpatialShape
    affine: Affine
    model: str
    weights_sha256: str
    history: History
    objects: tuple[ObjectVoxels, ...]
    mask_bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        commits = [action for action in self.history.applied if isinstance(action, Commit)]
        if len(commits) != len(self.objects) or any(
            one.commit is not commit for one, commit in zip(self.objects, commits, strict=True)
        ):
            raise PromptError("the finished objects of the session are not those of its history")
        expected = (int(np.prod(self.shape)) + 7) // 8
        for bits in (self.mask_bits, *(one.bits for one in self.objects)):
            if bits.dtype != np.uint8 or bits.shape != (expected,):
                raise PromptError(f"a mask of the session has {bits.size} bytes; expected {expected}")


def packed(mask: BoolArray) -> NDArray[np.uint8]:
    """Eight voxels a byte."""
    return np.packbits(mask)


def unpacked(bits: NDArray[np.uint8], shape: SpatialShape) -> BoolArray:
    """Return the mask of `packed` bits."""
    mask: BoolArray = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).view(bool)
    return mask


def image_sha256(volume: Volume) -> str:
    """Hash of the voxels of an image and of where they lie: whether a session is of it."""
    found = hashlib.sha256(np.ascontiguousarray(volume.affine, np.float64).tobytes())
    data = np.asarray(volume.data)
    found.update(f"{data.dtype} {data.shape}".encode())
    found.update(np.ascontiguousarray(data).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
