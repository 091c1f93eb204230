"""Images that are held for clients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..volume import Volume

__all__ = ["HeldVolume"]


@dataclass(frozen=True, eq=False)
class HeldVolume:
    """An image of a client."""

    volume: Volume
    sha256: str

    @property
    def nbytes(self) -> int:
        """Bytes of its voxels."""
        return int(np.asarray(self.volume.data).nbytes)
