"""Named intensity windows for CT, shared by cards, viewer and Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError, nearest_names

__all__ = ["WINDOWS", "IntensityWindow", "find_window", "looks_like_hounsfield"]

_HU_AIR, _HU_BONE = -500.0, 200.0  # a scan of a patient reaches from air to bone or contrast


@dataclass(frozen=True)
class IntensityWindow:
    """The range of intensities that is shown or kept.

    Parameters
    ----------
    level : float
        Middle of the range (CT: Hounsfield units).
    width : float
        From its lower to its upper end, above 0.

    Raises
    ------
    VolumeError
        If the width is not above 0.
    """

    level: float
    width: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise VolumeError(f"a window of width {self.width} was given; expected a width above 0")

    @property
    def lower(self) -> float:
        """Lower end of the range."""
        return self.level - self.width / 2

    @property
    def upper(self) -> float:
        """Upper end of the range."""
        return self.level + self.width / 2

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Scale intensities so that the range becomes 0 to 1, cut off at both ends, float32."""
        scaled = (np.asarray(array, dtype=np.float32) - np.float32(self.lower)) / np.float32(self.width)
        return np.clip(scaled, 0, 1, out=scaled)


# Level and width in HU as radiology departments commonly set them; vendors differ by some tens of units.
WINDOWS = {
    "abdomen": IntensityWindow(level=50, width=400),
    "angiography": IntensityWindow(level=300, width=600),
    "bone": IntensityWindow(level=400, width=1800),
    "brain": IntensityWindow(level=40, width=80),
    "liver": IntensityWindow(level=60, width=160),
    "lung": IntensityWindow(level=-600, width=1500),
    "mediastinum": IntensityWindow(level=50, width=350),
    "soft tissue": IntensityWindow(level=40, width=400),
    "spine": IntensityWindow(level=50, width=250),
    "stroke": IntensityWindow(level=40, width=40),
}
"""Named windows in Hounsfield units."""


def find_window(name: str) -> IntensityWindow:
    """Return the window of this name.

    Raises
    ------
    VolumeError
        If there is none; the message suggests the nearest names.
    """
    if name not in WINDOWS:
        raise VolumeError(f"there is no intensity window {name!r}.{nearest_names(name, WINDOWS)}")
    return WINDOWS[name]


def looks_like_hounsfield(low: float, high: float) -> bool:
    """Whether an image whose values span this range can be CT in Hounsfield units.

    Examples
    --------
    >>> looks_like_hounsfield(-1024, 1900), looks_like_hounsfield(0, 255)
    (True, False)
    """
    return low <= _HU_AIR and high >= _HU_BONE
