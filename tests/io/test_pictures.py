from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from PIL import Image

import napari_effseg as eff

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, size=(5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, size=(5, 7, 3), dtype=np.uint8)
NO_SIZE = "the pixel size is not known: 1 mm is taken"


def in_our_axes(pixels: np.ndarray) -> np.ndarray:
    """(row, column[, colour]) -> (I, J, 1) or (C, I, J, 1)."""
    return np.moveaxis(pixels, -1, 0).swapaxes(1, 2)[..., None] if pixels.ndim == 3 else pixels.T[..., None]


def test_columns_are_i_and_rows_are_j(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    volume = eff.load(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.data, in_our_axes(GREY))
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -1, 1, 1]))
    assert volume.warnings == (NO_SIZE,)


def test_colours_are_three_channels(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    np.testing.assert_array_equal(eff.load(tmp_path / "a.png").data, in_our_axes(COLOUR))
    np.testing.assert_array_equal(eff.load(tmp_path / "a.png", channel=2).data, in_our_axes(COLOUR)[2])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_with_a_warning(tmp_path, mode):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    volume = eff.load(tmp_path / "a.png")
    assert volume.channels == (3 if mode == "RGBA" else 1)
    assert "the alpha channel was dropped" in volume.warnings


def test_sixteen_bits_are_kept(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "grey.png")
    (tmp_path / "colour.png").write_bytes(imagecodecs.png_encode(COLOUR.astype(np.uint16) * 257))
    np.testing.assert_array_equal(eff.load(tmp_path / "grey.png").data, in_our_axes(deep))
    np.testing.assert_array_equal(
        eff.load(tmp_path / "colour.png").data, in_our_axes(COLOUR.astype(np.uint16) * 257)
    )


def test_one_bit_is_zero_and_one(tmp_path):
    Image.fromarray(GREY > 100).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        eff.load(tmp_path / "a.png").data, in_our_axes((GREY > 100).astype(np.uint8))
    )


def palette_picture(path):
    picture = Image.fromarray(GREY % 3)
    picture.putpalette([0, 0, 0, 255, 9, 0, 0, 0, 255])
    picture.save(path)
    return path


def test_a_palette_is_expanded_in_an_image(tmp_path):
    volume = eff.load(palette_picture(tmp_path / "a.png"))
    assert volume.data.shape == (3, 7, 5, 1)
    wanted = np.array([[0, 0, 0], [255, 9, 0], [0, 0, 255]], np.uint8)[GREY % 3]
    np.testing.assert_array_equal(volume.data, in_our_axes(wanted))


def test_the_numbers_of_a_palette_are_the_labels_of_a_segmentation(tmp_path):
    labels = eff.load_labels(palette_picture(tmp_path / "a.png"))
    np.testing.assert_array_equal(labels.data, in_our_axes(GREY % 3))
    assert labels.colours == {1: (255, 9, 0), 2: (0, 0, 255)}


def test_a_table_beside_a_picture_names_its_labels(tmp_path):
    palette_picture(tmp_path / "a.png")
    (tmp_path / "a.tsv").write_text("index\tname\tcolor\n1\tvessel\t#010203\n")
    labels = eff.load_labels(tmp_path / "a.png")
    assert labels.names == {1: "vessel"}
    assert labels.colours == {1: (1, 2, 3), 2: (0, 0, 255)}


def test_colours_are_no_labels(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(eff.ImageReadError, match="3 channels"):
        eff.load_labels(tmp_path / "a.png")


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_a_camera_turn_is_said_and_not_carried_out(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif)
    volume = eff.load(tmp_path / "a.jpg")
    assert volume.data.shape == (3, 7, 5, 1)
    assert f"EXIF orientation {turn}" in volume.warnings[0]


def test_print_colours_become_rgb_with_a_warning(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    volume = eff.load(tmp_path / "a.jpg")
    assert volume.channels == 3
    assert "CMYK" in volume.warnings[0]


def test_a_jpeg_named_png_is_read(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=100)
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert eff.load(tmp_path / "a.png").shape == (7, 5, 1)
