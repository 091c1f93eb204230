from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

import napari_effseg as eff

from .test_pictures import COLOUR, GREY, NO_SIZE, in_our_axes

STACK = np.arange(4 * 5 * 7, dtype=np.uint16).reshape(4, 5, 7)


def write(path, pixels, **options):
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_picture_of_any_compression(tmp_path, compression, dtype):
    pixels = GREY.astype(dtype)
    volume = eff.load(write(tmp_path / "a.tif", pixels, compression=compression))
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data, in_our_axes(pixels))
    assert volume.warnings == (NO_SIZE,)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_are_channels(tmp_path, planar):
    pixels = COLOUR if planar == "contig" else np.moveaxis(COLOUR, -1, 0)
    path = write(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(eff.load(path).data, in_our_axes(COLOUR))


def test_alpha_is_dropped_with_a_warning(tmp_path):
    pixels = np.dstack([COLOUR, GREY])
    path = write(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    volume = eff.load(path)
    np.testing.assert_array_equal(volume.data, in_our_axes(COLOUR))
    assert "the alpha channel was dropped" in volume.warnings


def test_imagej_gives_micrometres(tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"unit": "um", "spacing": 2.0, "axes": "ZYX"}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(1 / 0.5, 1 / 0.25), metadata=metadata)
    volume = eff.load(path)
    np.testing.assert_allclose(volume.affine, np.diag([-0.0005, -0.00025, 0.002, 1]))
    np.testing.assert_array_equal(volume.data, STACK.transpose(2, 1, 0))
    assert volume.warnings == ()


@pytest.mark.parametrize("unit", ["pixel", "", "furlong"])
def test_an_imagej_unit_that_is_no_length_is_not_believed(tmp_path, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, resolution=(3, 3), metadata={"unit": unit, "axes": "ZYX"})
    assert NO_SIZE in eff.load(path).warnings


def test_ome_gives_sizes_in_its_own_units(tmp_path):
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 3.0}
    path = write(tmp_path / "a.ome.tif", np.stack([STACK, STACK + 1]), metadata={"axes": "CZYX", **sizes})
    volume = eff.load(path)
    assert volume.data.shape == (2, 7, 5, 4)
    np.testing.assert_allclose(volume.affine, np.diag([-0.0005, -0.25, 0.003, 1]))


def test_a_printers_resolution_is_not_believed(tmp_path):
    path = write(tmp_path / "a.tif", GREY, resolution=(300, 300), resolutionunit="INCH")
    assert eff.load(path).warnings == (NO_SIZE,)


def test_time_points_are_chosen_or_all_kept(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TYX"})
    np.testing.assert_array_equal(eff.load(path, frame=2).data, in_our_axes(STACK[2]))
    assert eff.load(path, channel="all").data.shape == (4, 7, 5, 1)


def test_pages_without_a_name_are_slices_with_a_warning(tmp_path):
    volume = eff.load(write(tmp_path / "a.tif", STACK, metadata=None))
    assert volume.data.shape == (7, 5, 4)
    assert "taken for slices" in volume.warnings[0]


def test_white_is_zero_is_turned_round_in_images_only(tmp_path):
    path = write(tmp_path / "a.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(eff.load(path).data, in_our_axes(255 - GREY))
    np.testing.assert_array_equal(eff.load_labels(path).data, in_our_axes(GREY))


def test_a_palette_is_expanded_in_images_only(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[0, 1] = 65535
    path = write(tmp_path / "a.tif", GREY % 2, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(eff.load(path).data[0], in_our_axes(GREY % 2 * np.uint8(255)))
    np.testing.assert_array_equal(eff.load_labels(path).data, in_our_axes(GREY % 2))


def test_pages_that_bite_their_tail_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", GREY)
    block = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", block, 4)[0]
    entries = struct.unpack_from("<H", block, first)[0]
    struct.pack_into("<I", block, first + 2 + 12 * entries, first)
    path.write_bytes(block)
    with pytest.raises(eff.ImageReadError, match="damaged"):
        eff.load(path)


def test_a_size_that_the_file_cannot_hold_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", GREY)
    block = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        places = [tiff.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    for place in places:
        struct.pack_into("<I", block, place, 60_000)
    path.write_bytes(block)
    with pytest.raises(eff.ImageReadError, match="60000 x 60000 pixels"):
        eff.load(path)


def test_big_tiff_is_read(tmp_path):
    np.testing.assert_array_equal(
        eff.load(write(tmp_path / "a.tif", GREY, bigtiff=True)).data, in_our_axes(GREY)
    )
