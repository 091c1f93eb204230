"""Make the pictures of the documentation anew: ``python docs/_make_pictures.py`` (needs the extra [train]).

Everything shown is what the commands and the package give for the sample cases; nothing is retouched.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import napari_effseg as eff
from napari_effseg.cli import main
from napari_effseg.overlay import overlay_picture

IMAGES = Path(__file__).parent / "images"


def tour(folder: Path) -> None:
    """Run the tour's commands and keep their pictures."""
    case = folder / "case.nii.gz"
    assert main(["sample", "hippocampus", str(case), "--quiet"]) == 0
    picture = IMAGES / "tour_overlay.png"
    assert main(["segment", str(case), "-o", str(folder / "seg.nii.gz"), "--overlay", str(picture)]) == 0
    volume = eff.load(case)
    result = eff.segment(volume)
    draw_doubt(volume, result.labels, result.doubt).savefig(IMAGES / "tour_doubt.png", dpi=110)
    whole = eff.load_labels(folder / "seg.nii.gz")
    turned = eff.Volume(np.moveaxis(volume.data, 2, 0), volume.affine[:, [2, 0, 1, 3]])
    again = eff.segment(turned)
    assert np.array_equal(np.moveaxis(again.labels.data, 0, 2), whole.data)
    assert overlay_picture(turned, again.labels).tobytes() == overlay_picture(volume, whole).tobytes()


def located(folder: Path) -> None:
    """Find both hippocampi in the MNI template, and draw them (needs the extra [demo] too)."""
    head, picture = folder / "head.nii.gz", IMAGES / "locate_overlay.png"
    assert main(["sample", "mni152", str(head), "--quiet"]) == 0
    assert main(["segment", str(head), "-o", str(folder / "head_seg.nii.gz"), "--overlay", str(picture)]) == 0


def draw_doubt(volume: eff.Volume, labels: eff.LabelMap, doubt: np.ndarray) -> Figure:
    """Draw the fullest sagittal slice with the labels' outline, and its doubt."""
    i = int(np.argmax((labels.data > 0).sum((1, 2))))
    extent = (0, volume.shape[1] * volume.spacing[1], 0, volume.shape[2] * volume.spacing[2])
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, title in ((left, "image and outline"), (right, "doubt")):
        axes.imshow(volume.data[i].T, cmap="gray", origin="lower", extent=extent)
        axes.set(title=title, xlabel="mm, to the front", ylabel="mm, to the head")
    for label, colour in labels.colours.items():
        mask = (labels.data[i] == label).T
        left.contour(mask, levels=[0.5], colors=[np.array(colour) / 255], extent=extent)
    shown = right.imshow(
        np.ma.masked_less(doubt[i].T, 0.05), cmap="magma", origin="lower", extent=extent, vmin=0, vmax=1
    )
    figure.colorbar(shown, ax=right, label="0 certain, 1 undecided")
    return figure


if __name__ == "__main__":
    matplotlib.use("agg")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        tour(Path(temporary))
        located(Path(temporary))
