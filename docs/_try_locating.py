"""Try how the hippocampi are found in whole heads, and draw what was found.

    python docs/_try_locating.py                        the MNI template, and changed copies of it
    python docs/_try_locating.py HEAD [HEAD ...]        any images
    python docs/_try_locating.py ... --picture FILE     a coronal slice of each, with outlines
    python docs/_try_locating.py ... --model MODEL

Prints a row of a table for each: similarity, mL and pieces of each side, doubt, seconds; or why it was
refused. Needs the extras [train] and, without images, [demo].
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

import napari_effseg as eff
from napari_effseg.volume import Grid, reorient, resample_array

SIDES = {"left": (11, 12), "right": (21, 22)}
HEADING = (
    "| image | similarity | left: mL, pieces, doubt | right: mL, pieces, doubt | s |\n|---|---|---|---|---|"
)
SEED = 0


@dataclass(frozen=True)
class Try:
    """An image, and what came of it."""

    name: str
    volume: eff.Volume
    result: eff.Result | None
    refusal: str
    seconds: float

    @property
    def row(self) -> str:
        """Row of the table."""
        if self.result is None:
            return f"| {self.name} | refused: {self.refusal} | | | {self.seconds:.0f} |"
        located = self.result.report.located
        similarity = f"{located.similarity:.2f}" if located is not None else "small: not looked for"
        sides = " | ".join(self._side(*ids) for ids in SIDES.values())
        return f"| {self.name} | {similarity} | {sides} | {self.seconds:.0f} |"

    def _side(self, *ids: int) -> str:
        assert self.result is not None
        found = np.isin(self.result.labels.data, ids)
        if not found.any():
            return "left out"
        pieces = ndimage.label(found, np.ones((3, 3, 3)))[1]
        millilitres = found.sum() * np.prod(self.volume.spacing) / 1000
        return f"{millilitres:.1f}, {pieces}, {self.result.doubt[found].mean():.2f}"


def attempt(name: str, volume: eff.Volume, model: str) -> Try:
    """Segment an image."""
    began = time.perf_counter()
    result, refusal = None, ""
    try:
        result = eff.segment(volume, model=model, device="cpu")
    except eff.EffsegError as err:
        refusal = str(err)
    return Try(name, volume, result, refusal, time.perf_counter() - began)


def template() -> eff.Volume:
    """Load the MNI ICBM 152 template without its skull, 1 mm, symmetric."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    return eff.Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def held(
    head: eff.Volume, turn_degrees: tuple[float, float, float] = (0, 0, 0), size: float = 1.0
) -> eff.Volume:
    """Turn a head about x, y and z through its middle, and size it; the image's own grid stays."""
    middle = head.grid.corners_ras.mean(axis=0)
    move = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(turn_degrees)):
        one, other = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[[one, one, other, other], [one, other, one, other]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        move[:3, :3] = turn @ move[:3, :3]
    move[:3, :3] *= size
    move[:3, 3] = middle - move[:3, :3] @ middle
    lies = Grid(head.grid.shape, move @ head.affine)
    return eff.Volume(resample_array(head.data, lies, head.grid), head.affine)


def warped(head: eff.Volume, most_mm: float) -> eff.Volume:
    """Move each part of a head a little, smoothly."""
    generator = np.random.default_rng(SEED)
    places = np.indices(head.shape, dtype=np.float32)
    for axis in range(3):
        moves = ndimage.gaussian_filter(generator.normal(size=head.shape), 15)
        places[axis] += most_mm * moves / np.abs(moves).max() / head.spacing[axis]
    return eff.Volume(ndimage.map_coordinates(head.data, places, order=1), head.affine)


def in_voxels_of(head: eff.Volume, spacing: tuple[float, float, float]) -> eff.Volume:
    """Average over longer voxels."""
    steps = np.asarray(spacing) / head.spacing
    affine = head.affine @ np.diag([*steps, 1.0])
    i, j, k = (int(side / step) for side, step in zip(head.shape, steps, strict=True))
    return eff.Volume(resample_array(head.data, head.grid, Grid((i, j, k), affine)), affine)


def recoloured(head: eff.Volume, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> eff.Volume:
    """Change the values, given from 0 to 1."""
    return eff.Volume(change(head.data / head.data.max()), head.affine)


def copies() -> Iterator[tuple[str, eff.Volume]]:
    """Yield the template, and changed copies of it."""
    head = template()
    noise = np.random.default_rng(SEED).normal(0, 0.1, head.shape).astype(np.float32)
    yield "the template", head
    yield "nodding, 30°", held(head, (30, 0, 0))
    yield "tilted by 30°", held(head, (0, 30, 0))
    yield "turned by 30°", held(head, (0, 0, 30))
    yield "20° about each axis", held(head, (20, -20, 20))
    yield "small, 0.8", held(head, size=0.8)
    yield "warped, up to 10 mm", warped(head, 10)
    yield "noise of 10 %", recoloured(head, lambda values: values + noise)
    yield "darker, squared", recoloured(head, lambda values: values**2)
    yield "cut at z = 40 mm", eff.Volume(head.data[:, :, :112], head.affine)
    yield "slices of 5 mm", in_voxels_of(head, (1.0, 1.0, 5.0))
    yield "voxels of 3 mm", in_voxels_of(head, (3.0, 3.0, 3.0))
    yield "contrast inverted", recoloured(head, lambda values: np.where(values > 0.05, 1.1 - values, 0))
    yield "upside down", held(head, (180, 0, 0))
    yield "left half", eff.Volume(head.data[: head.shape[0] // 2], head.affine)


def files(paths: list[Path]) -> Iterator[tuple[str, eff.Volume]]:
    """Yield images of files."""
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield path.name.split(".")[0], eff.load(path)


def draw(tries: list[Try], picture: Path) -> None:
    """Draw a coronal slice of each, the patient's left on the right."""
    columns = min(5, len(tries))
    rows = -(-len(tries) // columns)
    side = 2.4 if len(tries) > 4 else 6.0  # inches
    figure = Figure(figsize=(side * columns, side * rows), layout="constrained", facecolor="black")
    for axes, one in zip(figure.subplots(rows, columns, squeeze=False).ravel(), tries, strict=False):
        _slice(axes, one)
    for axes in figure.axes:
        axes.axis("off")
    figure.savefig(picture, dpi=66)


def _slice(axes: Axes, one: Try) -> None:
    upright = reorient(one.volume, "LAS")
    across = upright.shape[1] // 2
    labels = None
    if one.result is not None:
        labels = reorient(one.result.labels, "LAS")
        across = int(np.argmax((labels.data > 0).sum((0, 2))))
    extent = (0.0, upright.shape[0] * upright.spacing[0], 0.0, upright.shape[2] * upright.spacing[2])
    shown = upright.data[:, across].T
    low, high = np.nanpercentile(upright.data, (1, 99.5))
    axes.imshow(shown, cmap="gray", origin="lower", extent=extent, vmin=low, vmax=high)
    for label, colour in labels.colours.items() if labels is not None else ():
        mask = (labels.data[:, across] == label).T if labels is not None else None
        if mask is not None and mask.any():
            axes.contour(mask, levels=[0.5], colors=[np.array(colour) / 255], extent=extent, linewidths=1)
    said = "" if one.result is not None else "\nrefused"
    axes.set_title(one.name + said, fontsize=9, color="white")


def main() -> None:
    """Try, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--model", default="hippocampus-slim-unetr")
    given = parser.parse_args()
    tries = []
    print(HEADING)  # noqa: T201 - a script that people read
    for name, volume in files(given.images) if given.images else copies():
        tries.append(attempt(name, volume, given.model))
        print(tries[-1].row, flush=True)  # noqa: T201 - as above
    if given.picture is not None:
        draw(tries, given.picture)


if __name__ == "__main__":
    main()
