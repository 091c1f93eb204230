"""Make the pictures of the documentation anew: ``python docs/_make_pictures.py`` (needs the extra [train]).

Everything shown is what the commands and the package give for real cases that may be passed on; nothing is
retouched. ``python docs/_make_pictures.py models`` makes those of the pages of the models alone; models whose
cases do not travel in the package want the folder of data sets that EFFSEG_DATA names.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

import napari_effseg as eff
from napari_effseg.cli import main
from napari_effseg.engine.simulate import next_click
from napari_effseg.io.dataset import read_dataset
from napari_effseg.overlay import overlay_picture
from napari_effseg.samples import find_sample, write_sample
from napari_effseg.zoo import Card, built_in_cards, find_card

IMAGES = Path(__file__).parent / "images"
SAMPLES = {"hippocampus": "hippocampus"}
"""Structure, with which the names of cards begin, and the sample case that shows it."""
DATASETS = {
    "left-ventricle": "sunnybrook_lv2d",
    "nuclei": "dsb2018_nuclei",
    "retinal-vessels": "fives_vessels",
}
"""Structure and data set, where no sample case shows it; the first test case is taken."""
MOST_BYTES = 150_000
_BACKGROUND, _INK, _LINE = (18, 18, 20), (235, 235, 235), 24


@dataclass(frozen=True)
class Case:
    """A real case with its reference, and what must be said of it."""

    image: Path
    reference: Path
    about: str


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


def models(folder: Path) -> None:
    """Draw for each model what it gives for a real case, beside the reference."""
    for card in built_in_cards():
        case = case_of(card, folder)
        if case is None:
            print(f"{card.name}: no case that may be passed on is here; no picture")  # noqa: T201  a script
            continue
        volume, truth = eff.load(case.image), eff.load_labels(case.reference)
        if card.task == "promptable" and card.dimensions == 3:
            picture, caption = carried(volume, truth, card, case.about)
            save_small(picture, IMAGES / f"model_{card.name}.png", caption)
            continue
        if card.task == "promptable":
            picture, caption = clicked(volume, truth, card, case.about)
            save_small(picture, IMAGES / f"model_{card.name}.png", caption)
            continue
        found = eff.segment(volume, card).labels
        truth = eff.LabelMap(truth.data, truth.affine, found.names, found.colours)
        picture = side_by_side(
            {"model": overlay_picture(volume, found, truth), "reference": overlay_picture(volume, truth)}
        )
        caption = f"Labels of {card.name} and the reference, {case.about}"
        save_small(picture, IMAGES / f"model_{card.name}.png", caption)


def clicked(volume: eff.Volume, truth: eff.LabelMap, card: Card, about: str) -> tuple[Image.Image, str]:
    """Outline each structure by three clicks of a simulated user, in the sagittal slice that shows most."""
    i = int(np.argmax((truth.data > 0).sum((1, 2))))
    names = truth.names or find_card("hippocampus-slim-unetr").label_names
    with eff.open_session(volume, card, "cpu") as session:
        for label, name in names.items():
            for _ in range(3):
                click = next_click(truth.data[i] == label, session.mask[i] if session.prompts else None)
                if click is not None:
                    session.add(eff.Point((i, *click.index), positive=click.positive), shown=0)
            session.commit(label, name)
        found = session.labels
    one = eff.LabelMap(np.zeros_like(truth.data), truth.affine, found.names, found.colours)
    one.data[i] = truth.data[i]
    pictures = {
        "three clicks each": overlay_picture(volume, found, one),
        "reference": overlay_picture(volume, one),
    }
    caption = f"Labels of {card.name}, three simulated clicks on each structure, and the reference, {about}"
    return side_by_side(pictures), caption


def carried(volume: eff.Volume, truth: eff.LabelMap, card: Card, about: str) -> tuple[Image.Image, str]:
    """Outline each structure in its fullest slice across the first axis by three clicks, and carry it on."""
    names = truth.names or find_card("hippocampus-slim-unetr").label_names
    with eff.open_session(volume, device="cpu") as session:
        for label, name in names.items():
            i = int(np.argmax((truth.data == label).sum((1, 2))))
            for _ in range(3):
                click = next_click(truth.data[i] == label, session.mask[i] if session.prompts else None)
                if click is not None:
                    session.add(eff.Point((i, *click.index), positive=click.positive), shown=0)
            session.propagate(0)
            session.commit(label, name)
        found = session.labels
    reference = eff.LabelMap(truth.data, truth.affine, found.names, found.colours)
    pictures = {
        "carried": overlay_picture(volume, found, reference),
        "reference": overlay_picture(volume, reference),
    }
    return side_by_side(
        pictures
    ), f"Three clicks in one slice of each structure, carried on by {card.name}, {about}"


def case_of(card: Card, folder: Path) -> Case | None:
    """Return a case for a card that was not trained on, and may be passed on; None if none is here."""
    if card.task == "promptable":
        return sample_case("hippocampus", folder)
    structure = next((name for name in (*SAMPLES, *DATASETS) if card.name.startswith(name)), None)
    if structure in SAMPLES:
        return sample_case(SAMPLES[structure], folder)
    data = os.environ.get("EFFSEG_DATA", "")
    if structure is None or not data:
        return None
    dataset = read_dataset(Path(data) / DATASETS[structure])
    if not dataset.redistributable:
        return None
    case = dataset.split("test")[0]
    assert case.label is not None
    about = f"on {case.name} of {dataset.name} ({dataset.licence}; {dataset.citation})"
    return Case(case.images[0], case.label, about)


def sample_case(name: str, folder: Path) -> Case:
    """Write a sample case to a folder."""
    sample = find_sample(name)
    image, reference = folder / "image.nii.gz", folder / "reference.nii.gz"
    write_sample(sample, image, reference)
    return Case(image, reference, f"on the sample case {sample.name} ({sample.licence})")


def side_by_side(pictures: dict[str, Image.Image]) -> Image.Image:
    """Put pictures below each other if they are wide, else beside each other, with their names above."""
    font = ImageFont.load_default(size=14)
    wide = max(picture.width for picture in pictures.values()) > 500
    places, x, y = [], 0, 0
    for picture in pictures.values():
        places.append((x, y))
        x, y = (0, y + picture.height + _LINE) if wide else (x + picture.width, 0)
    width = max(x + picture.width for (x, _), picture in zip(places, pictures.values(), strict=True))
    height = max(
        y + _LINE + picture.height for (_, y), picture in zip(places, pictures.values(), strict=True)
    )
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    for (x, y), (name, picture) in zip(places, pictures.items(), strict=True):
        ImageDraw.Draw(sheet).text((x + 12, y + 6), name, _INK, font)
        sheet.paste(picture, (x, y + _LINE))
    return sheet


def save_small(picture: Image.Image, path: Path, caption: str) -> None:
    """Save a picture with its caption, with as many colours as its size allows."""
    info = PngInfo()
    info.add_itxt("Description", caption)
    for colours in (256, 128, 64, 32):
        picture.quantize(colours).save(path, optimize=True, pnginfo=info)
        if path.stat().st_size < MOST_BYTES:
            return
    raise AssertionError(f"{path} is larger than {MOST_BYTES} bytes")


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
        for make in (models,) if sys.argv[1:] == ["models"] else (tour, located, models):
            make(Path(temporary))
