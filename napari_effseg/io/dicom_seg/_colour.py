"""Colours of segments: sRGB <-> DICOM's CIELab, three unsigned 16-bit numbers.

References
----------
DICOM PS3.3, C.10.7.1.1, "Encoding of CIELab Values". As the programs that write segmentations do (dcmqi,
highdicom, PixelMed), the white point is sRGB's own, D65.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...types import Colour

__all__ = ["lab_from_rgb", "rgb_from_lab"]

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1.0, 1.08883])
_BEND = 6 / 29  # of the CIELab curve: a cube root above, a line below
_LOWEST = np.array([0.0, -128.0, -128.0])  # of L*, a*, b*
_RANGE = np.array([100.0, 255.0, 255.0])
_STEPS = 65535


def lab_from_rgb(colour: Colour) -> tuple[int, int, int]:
    """CIELab numbers of a colour, each 0 to 65535.

    Examples
    --------
    >>> lab_from_rgb((255, 255, 255))
    (65535, 32897, 32893)
    """
    shares = np.asarray(colour) / 255
    linear = np.where(shares > 0.04045, ((shares + 0.055) / 1.055) ** 2.4, shares / 12.92)
    x, y, z = _curve(_TO_XYZ @ linear / _WHITE)
    lab = np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    scaled = np.rint((lab - _LOWEST) / _RANGE * _STEPS)
    lightness, a, b = np.clip(scaled, 0, _STEPS).astype(int).tolist()
    return lightness, a, b


def rgb_from_lab(numbers: Sequence[float]) -> Colour:
    """Nearest colour of a screen to three CIELab numbers; the inverse of `lab_from_rgb`."""
    lightness, a, b = np.clip(np.asarray(numbers, float), 0, _STEPS) / _STEPS * _RANGE + _LOWEST
    y = (lightness + 16) / 116
    xyz = _uncurve(np.array([y + a / 500, y, y - b / 200])) * _WHITE
    linear = np.clip(np.linalg.solve(_TO_XYZ, xyz), 0, 1)
    shares = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    red, green, blue = np.rint(shares * 255).astype(int).tolist()
    return red, green, blue


def _curve(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(ratios > _BEND**3, np.cbrt(ratios), ratios / (3 * _BEND**2) + 4 / 29)


def _uncurve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > _BEND, values**3, (values - 4 / 29) * 3 * _BEND**2)
