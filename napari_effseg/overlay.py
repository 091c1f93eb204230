"""A picture of a result: the image in three planes with the structures drawn over it, and a legend.

Planes are shown as radiologists hang them: the patient's right is on the left of axial and coronal planes,
anterior is on the left of sagittal ones, and millimetres are equal in both directions.
A 2D picture is shown once, as it is stored, without the words of anatomy.
"""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import VolumeError
from .types import Colour, FloatArray, IntArray
from .volume import LabelMap, Volume, Voxels, reorient, same_grid, view_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["label_colour", "overlay_picture"]

_PANEL_PIXELS = 320  # longest side of one plane
_MARGIN, _LINE = 12, 20  # pixels around panels, and from one line of the legend to the next
_FONT_PIXELS = 14
_MOST_LINES = 20  # of the legend
_MOST_OBJECTS = 8  # of one kind, that are named one by one
_NUMBER = re.compile(r"\s*\d+$")
_FILL = 0.35  # opacity of a structure; its outline is opaque
_PERCENTILES = (1.0, 99.0)  # of the shown slices' intensities, black and white
_BACKGROUND, _INK = (18, 18, 20), (235, 235, 235)
_GOLDEN_RATIO = 0.618033988749895


@dataclass(frozen=True)
class _Plane:
    """One way to cut: array axes of the RAS image, and the letter at the left edge of the picture."""

    title: str
    across: int
    columns: int
    rows: int
    left: str


_PLANES = (
    _Plane("axial", across=2, columns=0, rows=1, left="R"),
    _Plane("coronal", across=1, columns=0, rows=2, left="R"),
    _Plane("sagittal", across=0, columns=1, rows=2, left="A"),
)


def overlay_picture(volume: Volume, labels: LabelMap, slices_of: LabelMap | None = None) -> Image:
    """Draw the slices that hold most of the structures, with the structures' outlines and a legend.

    Parameters
    ----------
    volume : Volume
        The image; three channels are shown as red, green, blue, else the first channel is.
    labels : LabelMap
        Its label map, on the same grid.
    slices_of : LabelMap, optional
        Another label map on the grid, whose fullest slices are shown instead, such as to compare the two.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    VolumeError
        If the two are not on one grid.
    """
    from PIL import Image, ImageDraw

    shown = labels if slices_of is None else slices_of
    if not (same_grid(volume.grid, labels.grid) and same_grid(volume.grid, shown.grid)):
        raise VolumeError(
            f"the image has {volume.shape} voxels and the label map {labels.shape}, or they lie at different "
            "places; an overlay needs both on one grid"
        )
    image, found = reorient(volume, ("R", "A", "S")), reorient(labels, ("R", "A", "S"))
    at = reorient(shown, ("R", "A", "S"))
    planes = [p for p in _PLANES if image.shape[p.columns] > 1 and image.shape[p.rows] > 1] or [_PLANES[0]]
    is_picture = _is_picture(volume)
    panels = [_panel(image, found, plane, _fullest_slice(at.data, plane.across)) for plane in planes]
    if not is_picture:
        for panel, plane in zip(panels, planes, strict=True):
            _write_words(panel, plane)
    legend = _legend(labels, is_picture)
    width = sum(panel.width for panel in panels) + _MARGIN * (len(panels) + 1)
    height = max(panel.height for panel in panels) + 2 * _MARGIN + _LINE * (len(legend) + 1)
    canvas = Image.new("RGB", (max(width, _PANEL_PIXELS), height), _BACKGROUND)
    left, bottom = _MARGIN, _MARGIN + max(panel.height for panel in panels)
    for panel in panels:
        canvas.paste(panel, (left, _MARGIN))
        left += panel.width + _MARGIN
    _write_legend(ImageDraw.Draw(canvas), legend, top=bottom + _LINE // 2)
    return canvas


def label_colour(labels: LabelMap, label: int) -> Colour:
    """Return the colour of a label: its own, else one far from those of its neighbours."""
    if label in labels.colours:
        return labels.colours[label]
    red, green, blue = colorsys.hsv_to_rgb((label * _GOLDEN_RATIO) % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _panel(image: Volume, labels: LabelMap, plane: _Plane, index: int) -> Image:
    from PIL import Image

    grey = _as_displayed(image.data, plane, index)
    ids = _as_displayed(labels.data, plane, index)
    size = _panel_size(image, plane)
    picture = Image.fromarray(_eight_bit(grey)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(picture, np.float32)
    # Labels are blown up by nearest neighbour, so that the picture shows voxels as they are.
    drawn = np.asarray(Image.fromarray(ids.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
    return Image.fromarray(_blend(pixels, drawn, labels))


def _write_words(panel: Image, plane: _Plane) -> None:
    """Write a plane's name, and the side of the patient that is on the left."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(panel)
    draw.text((4, panel.height // 2 - _FONT_PIXELS // 2), plane.left, fill=_INK, font=_font())
    draw.text((4, 2), plane.title, fill=_INK, font=_font())


def _as_displayed(data: Voxels, plane: _Plane, index: int) -> NDArray[np.generic]:
    """Cut (..., I, J, K) in RAS and turn it to rows from the top, columns from the left, channels last."""
    axes = data.ndim - 3
    where = (slice(None),) * (axes + plane.across) + (index,)
    cut = np.asarray(view_of(data)[where])  # columns before rows
    turned = np.flip(np.swapaxes(cut, -1, -2), axis=(-1, -2))
    return np.moveaxis(turned, 0, -1) if axes else turned


def _fullest_slice(data: IntArray, axis: int) -> int:
    # slab by slab: counting along axes makes a copy of what it is given
    counts = np.zeros(data.shape[axis], np.int64)
    slowest = int(np.argmax(np.abs(data.strides)))
    for place, slab in enumerate(np.moveaxis(data, slowest, 0)):
        if slowest == axis:
            counts[place] = np.count_nonzero(slab)
        elif slab.any():
            counts += np.count_nonzero(slab, axis=_other_axis(slowest, axis))
    return int(np.argmax(counts)) if counts.any() else data.shape[axis] // 2


def _other_axis(slowest: int, axis: int) -> int:
    """Axis of a slab, which lacks the slowest axis, that is not `axis`."""
    rest = [other for other in range(3) if other != slowest]
    return 1 - rest.index(axis)


def _panel_size(image: Volume, plane: _Plane) -> tuple[int, int]:
    width = image.shape[plane.columns] * image.spacing[plane.columns]
    height = image.shape[plane.rows] * image.spacing[plane.rows]
    scale = _PANEL_PIXELS / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _eight_bit(cut: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Window a slice (H, W) or (H, W, C) to 8-bit RGB (H, W, 3)."""
    shown = np.asarray(cut, np.float32)
    if shown.ndim == 3 and shown.shape[-1] != 3:
        shown = shown[..., 0]
    shown = np.nan_to_num(shown, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(shown, _PERCENTILES)
    scaled = np.clip((shown - low) / max(float(high - low), 1e-12), 0.0, 1.0)
    grey = np.round(255 * scaled).astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=-1)


def _blend(pixels: FloatArray, drawn: IntArray, labels: LabelMap) -> NDArray[np.uint8]:
    """Lay the structures (H, W) over the grey picture (H, W, 3)."""
    blended = pixels.copy()
    for label in np.unique(drawn[drawn > 0]):
        mask = drawn == label
        colour = np.asarray(label_colour(labels, int(label)), np.float32)
        blended[mask] += _FILL * (colour - blended[mask])
        blended[mask & ~_inside(mask)] = colour
    return np.round(np.clip(blended, 0, 255)).astype(np.uint8)


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose neighbours two pixels away are in the mask, too: outlines get two pixels."""
    padded = np.pad(mask, 2)
    return padded[4:, 2:-2] & padded[:-4, 2:-2] & padded[2:-2, 4:] & padded[2:-2, :-4]


def _is_picture(image: Volume) -> bool:
    """Whether an image is one slice whose place in the patient nobody knows, as pictures are."""
    return image.shape[2] == 1 and not image.affine[:3, 3].any()


def _legend(labels: LabelMap, is_picture: bool) -> list[tuple[Colour, str]]:
    sizes = sorted(labels.volumes_ml().items())
    kinds = {_NUMBER.sub("", labels.names.get(label, "")) for label, _ in sizes}
    if len(sizes) > _MOST_OBJECTS and len(kinds) == 1:
        middle = _size_in_words(float(np.median([size for _, size in sizes])), labels, is_picture)
        return [(_BACKGROUND, f"{len(sizes)} x {kinds.pop() or 'label'}, median {middle}")]
    lines = [
        (
            label_colour(labels, label),
            f"{labels.names.get(label, f'label {label}')}  {_size_in_words(size, labels, is_picture)}",
        )
        for label, size in sizes[:_MOST_LINES]
    ]
    more = len(sizes) - len(lines)
    return [*lines, (_BACKGROUND, f"and {more} more")] if more else lines


def _size_in_words(millilitres: float, labels: LabelMap, is_picture: bool) -> str:
    if not is_picture:
        return f"{millilitres:.2f} mL"
    pixels = 1000 * millilitres / labels.grid.voxel_mm3
    area = labels.spacing[0] * labels.spacing[1]
    return f"{pixels:.0f} pixels" if area == 1 else f"{pixels * area:.4g} mm\N{SUPERSCRIPT TWO}"


def _write_legend(draw: ImageDraw, legend: list[tuple[Colour, str]], top: int) -> None:
    for number, (colour, text) in enumerate(legend):
        y = top + number * _LINE
        draw.rectangle((_MARGIN, y + 3, _MARGIN + 12, y + 15), fill=colour)
        draw.text((_MARGIN + 20, y), text, fill=_INK, font=_font())


def _font() -> FreeTypeFont | ImageFont:
    from PIL.ImageFont import load_default

    return load_default(_FONT_PIXELS)
