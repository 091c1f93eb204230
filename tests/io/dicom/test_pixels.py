"""Stored numbers to values: types, bits, colours, rescaling, and every compression."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmwrite, uid
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import UID

import napari_effseg as eff

from ..conftest import oblique
from .synthetic import assert_same_place, decimals, image, numbered, place, set_tags, slices, write

AFFINE = oblique()


def _load(folder, dataset, **choice):
    return eff.load(write(folder, [dataset]), **choice)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_the_stored_type_is_kept(tmp_path, dtype):
    kind = np.iinfo(dtype)
    pixels = np.array([[kind.min, kind.max, 0], [1, 2, 3]], dtype=dtype)
    volume = _load(tmp_path, image(pixels, modality="OT"))
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data[:, :, 0], pixels.T)


def test_bits_beyond_those_stored_are_ignored(tmp_path):
    values = np.array([[-2048, 2047], [5, -1]], dtype=np.int16)
    overlaid = ((values.view(np.uint16) & 0x0FFF) | 0x7000).astype(np.uint16)  # an old overlay above 12 bits
    dataset = image(overlaid.view(np.int16), modality="OT", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(_load(tmp_path, dataset).data[:, :, 0], values.T)


def test_single_bits_are_unpacked(tmp_path):
    pixels = (np.arange(48).reshape(6, 8) % 3 == 0).astype(np.uint8)
    dataset = image(pixels, modality="OT", BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    np.testing.assert_array_equal(_load(tmp_path, dataset).data[:, :, 0], pixels.T)


def test_slope_and_intercept_apply_and_make_float32(tmp_path):
    data = numbered()
    folder = write(tmp_path, slices(data, AFFINE, modality="CT", RescaleSlope="2", RescaleIntercept="-1024"))
    volume = eff.load(folder)
    assert (volume.data.dtype, volume.modality) == (np.float32, "CT")
    assert_same_place(volume, data * np.float32(2) - 1024, AFFINE)


def test_slope_one_and_intercept_zero_change_nothing(tmp_path):
    folder = write(tmp_path, slices(numbered(), AFFINE, RescaleSlope="1", RescaleIntercept="0"))
    assert eff.load(folder).data.dtype == np.int16


def test_each_slice_has_its_own_slope(tmp_path):
    data, datasets = numbered(), slices(numbered(), AFFINE, modality="PT")
    for k, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept = decimals(0.5 * (k + 1))[0], "0"
    volume = eff.load(write(tmp_path, datasets))
    assert_same_place(volume, data * np.float32(0.5) * np.arange(1, 7, dtype=np.float32), AFFINE)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "rescale slope is 0"),
        ({"RescaleSlope": "1.5", "RescaleIntercept": ""}, None),
    ],
)
def test_odd_rescaling_is_named(tmp_path, tags, words):
    volume = eff.load(write(tmp_path, slices(numbered(), AFFINE, **tags)))
    assert [words in warning for warning in volume.warnings] == ([True] if words else [])
    assert volume.data.max() == numbered().max() * (1 if words else 1.5)


def test_the_window_of_the_middle_slice_is_kept(tmp_path):
    datasets = slices(numbered(), AFFINE)
    for k, dataset in enumerate(datasets):
        dataset.WindowCenter, dataset.WindowWidth = [str(k), "7"], ["400", "8"]
    assert eff.load(write(tmp_path, datasets)).window == (3.0, 400.0)


def test_a_window_without_width_is_none(tmp_path):
    datasets = slices(numbered(), AFFINE, WindowCenter="3", WindowWidth="0")
    assert eff.load(write(tmp_path, datasets)).window is None


# --- MONOCHROME1 ---


@pytest.mark.parametrize(
    ("dtype", "stored", "inverse"),
    [(np.uint16, 12, lambda v: 4095 - v), (np.uint8, 8, lambda v: 255 - v), (np.int16, 16, lambda v: -1 - v)],
)
def test_a_radiograph_that_is_stored_dark_for_bright_is_turned_round(tmp_path, dtype, stored, inverse):
    pixels = numbered((6, 7), dtype)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": stored, "HighBit": stored - 1}
    dataset = image(
        pixels, modality="DX", PixelSpacing=["1", "1"], WindowCenter="10", WindowWidth="4", **tags
    )
    volume = _load(tmp_path, dataset)
    np.testing.assert_array_equal(volume.data[:, :, 0], inverse(pixels.T.astype(int)))
    assert (volume.data.dtype, volume.window) == (dtype, (inverse(10.0), 4.0))
    assert "MONOCHROME1" in volume.warnings[0]


@pytest.mark.parametrize("tags", [{"modality": "CT"}, {"modality": "DX", "RescaleSlope": "2"}])
def test_values_that_are_measured_are_not_turned_round(tmp_path, tags):
    data = numbered()
    volume = eff.load(write(tmp_path, slices(data, AFFINE, PhotometricInterpretation="MONOCHROME1", **tags)))
    assert volume.data.max() == data.max() * (2 if "RescaleSlope" in tags else 1)
    assert "the values are kept" in volume.warnings[-1]


# --- colours ---


def _colours():
    return np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_channels(tmp_path, planar):
    pixels = _colours()
    dataset = image(pixels, modality="OT", PlanarConfiguration=planar)
    if planar:
        dataset.PixelData = np.moveaxis(pixels, 2, 0).tobytes()
    volume = _load(tmp_path, dataset)
    np.testing.assert_array_equal(volume.data[..., 0], pixels.T)
    np.testing.assert_array_equal(_load(tmp_path, dataset, channel=1).data, volume.data[1])
    with pytest.raises(eff.ImageReadError, match="channel 3 was asked for"):
        _load(tmp_path, dataset, channel=3)


def test_luminance_and_chrominance_become_colours(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[...] = (76, 85, 255)  # red, as ITU-R BT.601 has it
    volume = _load(tmp_path, image(pixels, modality="OT", PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(volume.data[:, 0, 0, 0].astype(int), (254, 0, 0), atol=1)


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257)])
def test_a_palette_is_expanded_to_eight_bits(tmp_path, bits, scale):
    colours = _colours()[:, 0]
    tags = {}
    for name, values in zip(("Red", "Green", "Blue"), colours.T, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [6, 0, bits]
        table = (values.astype(np.uint32) * scale).astype(f"u{bits // 8}")
        tags[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    pixels = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    dataset = image(pixels, modality="US", PhotometricInterpretation="PALETTE COLOR", **tags)
    volume = _load(tmp_path, dataset)
    np.testing.assert_array_equal(volume.data[..., 0], colours[pixels].T)


def test_a_palette_in_segments_is_expanded_though_it_has_a_uid(tmp_path):
    rising = np.array([0, 1, 0, 1, 255, 65280], np.uint16)  # one entry of 0, then 255 on a line to 0xFF00
    tags = {"PaletteColorLookupTableUID": "1.2.3"}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"Segmented{name}PaletteColorLookupTableData"] = rising.tobytes()
    pixels = np.array([[0, 128, 255]], np.uint8)
    dataset = image(pixels, modality="US", PhotometricInterpretation="PALETTE COLOR", **tags)
    np.testing.assert_array_equal(_load(tmp_path, dataset).data[0, :, 0, 0], [0, 128, 255])


def test_a_stack_of_colour_slices_has_four_axes(tmp_path):
    pixels = [_colours() + k for k in range(3)]
    datasets = [place(image(one, modality="OT"), AFFINE, k) for k, one in enumerate(pixels)]
    volume = eff.load(write(tmp_path, datasets))
    np.testing.assert_array_equal(volume.data, np.stack(pixels, axis=-1).transpose(2, 1, 0, 3))


# --- floats ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels_are_kept(tmp_path, dtype):
    pixels = np.linspace(-1, 1, 24).reshape(4, 6).astype(dtype)
    dataset = image(numbered((4, 6)), modality="OT")
    set_tags(dataset, PixelData=None, PixelRepresentation=None, BitsStored=None, HighBit=None)
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    keyword = "FloatPixelData" if dtype == np.float32 else "DoubleFloatPixelData"
    setattr(dataset, keyword, pixels.tobytes())
    volume = _load(tmp_path, dataset)
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data[:, :, 0], pixels.T)


# --- transfer syntaxes ---


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_uncompressed_pixels_are_read_in_every_syntax(tmp_path, syntax):
    data = numbered()
    assert_same_place(eff.load(write(tmp_path, slices(data, AFFINE, syntax=syntax))), data, AFFINE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_big_endian_pixels_are_turned(tmp_path, dtype):
    data = numbered((5, 7, 3), dtype)
    (tmp_path / "scan").mkdir()
    for k, dataset in enumerate(slices(data, AFFINE, syntax=uid.ExplicitVRBigEndian)):
        swapped = data[:, :, k].T.astype(np.dtype(dtype).newbyteorder(">")).tobytes()
        dataset.PixelData = swapped + b"\0" * (len(swapped) % 2)
        dcmwrite(
            tmp_path / "scan" / str(k), dataset, implicit_vr=False, little_endian=False, force_encoding=True
        )
    assert_same_place(eff.load(tmp_path / "scan"), data, AFFINE)


def test_a_file_without_preamble_and_meta_information_is_read(tmp_path):
    data = numbered()
    (tmp_path / "scan").mkdir()
    for k, dataset in enumerate(slices(data, AFFINE)):
        del dataset.file_meta, dataset.preamble
        dataset.save_as(tmp_path / "scan" / f"{k}.dcm", implicit_vr=True, little_endian=True)
    assert_same_place(eff.load(tmp_path / "scan"), data, AFFINE)


def _lossless_jpeg(pixels):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1)


ENCODERS = {
    uid.JPEGLosslessSV1: _lossless_jpeg,
    uid.JPEGLossless: _lossless_jpeg,
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(
        pixels, codecformat="j2k", reversible=True
    ),
    uid.JPEG2000: lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="jp2", reversible=True),
    uid.HTJ2KLossless: lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True),
}


def _compressed(dataset, frames, syntax: UID, *, extended=False):
    encoded = [ENCODERS[syntax](frame) for frame in frames]
    dataset.file_meta.TransferSyntaxUID = syntax
    if extended:
        dataset.PixelData, *offsets = encapsulate_extended(encoded)
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets
    else:
        dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressed_slices_come_back_as_they_were(tmp_path, syntax, dtype):
    data = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 24, 3)).astype(dtype)
    datasets = [
        _compressed(dataset, [np.ascontiguousarray(data[:, :, k].T)], syntax)
        for k, dataset in enumerate(slices(data, AFFINE))
    ]
    volume = eff.load(write(tmp_path, datasets))
    assert volume.data.dtype == dtype
    assert_same_place(volume, data, AFFINE)


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.JPEGLosslessSV1])
def test_negative_numbers_survive_codecs_that_know_none(tmp_path, syntax):
    values = np.random.default_rng(0).integers(-2000, 2000, (16, 18)).astype(np.int16)
    dataset = place(image(values, BitsStored=12, HighBit=11), AFFINE, 0)
    unsigned = (values.view(np.uint16) & 0x0FFF).astype(np.uint16)
    if syntax == uid.JPEG2000Lossless:
        encoded = imagecodecs.jpeg2k_encode(unsigned, codecformat="j2k", reversible=True, bitspersample=12)
    elif syntax == uid.JPEGLSLossless:
        encoded = imagecodecs.jpegls_encode(values.view(np.uint16))
    else:
        encoded = imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=1)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encoded])
    dataset["PixelData"].is_undefined_length = True
    np.testing.assert_array_equal(_load(tmp_path, dataset).data[:, :, 0], values.T)


def test_run_lengths_are_decoded(tmp_path):
    data = numbered() // 7
    datasets = slices(data, AFFINE)
    for dataset in datasets:
        dataset.compress(uid.RLELossless)
    assert_same_place(eff.load(write(tmp_path, datasets)), data, AFFINE)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("frame", [0, 2, 3])
def test_one_frame_of_a_compressed_film_is_found(tmp_path, extended, frame):
    film = np.random.default_rng(0).integers(0, 255, (4, 10, 12), dtype=np.uint8)
    dataset = _compressed(image(film, modality="US"), film, uid.JPEG2000Lossless, extended=extended)
    volume = _load(tmp_path, dataset, frame=frame)
    np.testing.assert_array_equal(volume.data[:, :, 0], film[frame].T)
    assert _load(tmp_path, dataset, channel="all").data.shape == (4, 12, 10, 1)


@pytest.mark.parametrize(("meaning", "is_ybr"), [("YBR_FULL_422", True), ("RGB", False)])
def test_the_header_says_what_the_colours_of_a_jpeg_mean(tmp_path, meaning, is_ybr):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[...] = (200, 30, 40)
    encoded = imagecodecs.jpeg8_encode(pixels, level=100, outcolorspace="ycbcr" if is_ybr else "rgb")
    dataset = image(pixels, modality="US", PhotometricInterpretation=meaning)
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.PixelData = encapsulate([encoded])
    dataset["PixelData"].is_undefined_length = True
    found = _load(tmp_path, dataset).data[:, 0, 0, 0].astype(int)
    np.testing.assert_allclose(found, (200, 30, 40), atol=3)
