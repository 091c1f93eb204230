"""Draw the icons: a slice of an organ, a click on it, and the region that answers.

    python slicer_extension/draw_icons.py

Needs numpy and Pillow, which napari-effseg brings. The pictures are committed; this is how they came about.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
SIDE, FINER = 128, 4
_GROUND, _ORGAN, _REGION, _CLICK = (28, 38, 52), (96, 116, 138), (45, 200, 170), (255, 255, 255)


def icon(side: int = SIDE, with_ground: bool = True) -> Image.Image:
    """Return the icon, with or without a dark ground."""
    fine = side * FINER
    y, x = np.mgrid[:fine, :fine] / fine * 2 - 1
    picture = np.zeros((fine, fine, 4), np.uint8)
    if with_ground:
        _paint(picture, _rounded(x, y, 0.94, 0.28), _GROUND)
    _paint(picture, _blob(x, y, 0.74, 0.0, 0.0), _ORGAN)
    _paint(picture, _blob(x, y, 0.46, 0.12, -0.1), _REGION)
    _paint(picture, np.hypot(x - 0.14, y + 0.08) < 0.12, _CLICK)
    return Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)


def _blob(
    x: NDArray[np.float64], y: NDArray[np.float64], size: float, right: float, down: float
) -> NDArray[np.bool_]:
    angle = np.arctan2(y - down, x - right)
    reach = size * (1 + 0.16 * np.cos(2 * angle + 0.9) + 0.07 * np.cos(3 * angle))
    inside: NDArray[np.bool_] = np.hypot(x - right, y - down) < reach
    return inside


def _rounded(x: NDArray[np.float64], y: NDArray[np.float64], half: float, corner: float) -> NDArray[np.bool_]:
    over = np.maximum(np.abs(np.stack([x, y])) - (half - corner), 0)
    inside: NDArray[np.bool_] = np.hypot(*over) < corner
    return inside


def _paint(picture: NDArray[np.uint8], where: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    picture[where] = (*colour, 255)


if __name__ == "__main__":
    (HERE / "EffSeg" / "Resources" / "Icons").mkdir(parents=True, exist_ok=True)
    icon().save(HERE / "EffSeg" / "Resources" / "Icons" / "EffSeg.png", optimize=True)
    effect = HERE / "SegmentEditorEffSeg" / "SegmentEditorEffSegLib" / "SegmentEditorEffect.png"
    icon(64, with_ground=False).save(effect, optimize=True)
