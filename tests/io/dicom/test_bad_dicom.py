"""Files that are damaged or lie: one sentence, no large allocation, nothing of the patient."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import random
import struct
import tracemalloc
import types
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate

import napari_effseg as eff
from napari_effseg.io import list_series, load_grid

from ..conftest import oblique
from .synthetic import SECRETS, enhanced, image, numbered, place, set_tags, slices, write

AFFINE = oblique()
SMALL = 5_000_000  # bytes; far below what the lying headers claim


@contextlib.contextmanager
def _in_little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


def _refused(path, words=None):
    with pytest.raises(eff.ImageReadError, match=words) as caught:
        eff.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def _file(folder, dataset):
    return write(folder, [dataset]) / "IM0000.dcm"


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Rows": 60_000, "Columns": 60_000}, "promises 60000 x 60000 pixels .* cut off"),
        ({"NumberOfFrames": 30_000}, "promises 30000 x 5 x 4 pixels"),
        ({"NumberOfFrames": 2_000_000_000}, "promises 2,000,000,000 frames"),
        ({"Rows": 0}, "no valid number of rows"),
        ({"Columns": None}, "no valid number of columns"),
        ({"BitsAllocated": 12}, "12"),
        ({"BitsStored": 30}, "pixels of 30 bits in 16"),
        ({"SamplesPerPixel": 7}, "7 numbers a pixel"),
        ({"PhotometricInterpretation": "CMYK"}, "CMYK"),
        ({"PixelData": None}, "no pixel data"),
        ({"PixelData": b""}, "holds 0 bytes"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic of slices"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "whole-slide"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path, tags, words):
    dataset = place(image(numbered((4, 5))), AFFINE, 0)
    set_tags(dataset, **tags)
    _refused(_file(tmp_path, dataset), words)


@pytest.mark.parametrize(
    "keyword", ["PhotometricInterpretation", "PixelRepresentation", "BitsStored", "SamplesPerPixel"]
)
def test_what_can_be_assumed_may_be_missing(tmp_path, keyword):
    dataset = place(image(numbered((4, 5), np.uint16)), AFFINE, 0)
    delattr(dataset, keyword)
    np.testing.assert_array_equal(eff.load(_file(tmp_path, dataset)).data[:, :, 0], numbered((4, 5)).T)


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("1.2.840.10008.1.2.4.102", "holds a video"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
        ("1.2.3.4", "transfer syntax of an unknown kind"),
        (uid.JPEG2000, "do not come in fragments"),
    ],
)
def test_a_transfer_syntax_that_is_not_read_is_named(tmp_path, syntax, words):
    path = _file(tmp_path, place(image(numbered((4, 5))), AFFINE, 0))
    path.write_bytes(_with_syntax(path.read_bytes(), syntax))
    _refused(path, words)


def _with_syntax(block, syntax):
    """Name another transfer syntax in the meta information."""
    at = block.find(b"\x02\x00\x10\x00UI") + 6
    named = syntax.encode() + b"\0" * (len(syntax) % 2)
    end = at + 2 + struct.unpack("<H", block[at : at + 2])[0]
    changed = block[:at] + struct.pack("<H", len(named)) + named + block[end:]
    group_length = struct.unpack("<I", block[140:144])[0] + len(changed) - len(block)
    return changed[:140] + struct.pack("<I", group_length) + changed[144:]


# --- lies cost no memory ---


def _compressed(pixels, encoded, syntax=uid.JPEG2000Lossless, **tags):
    dataset = place(image(pixels), AFFINE, 0)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encoded])
    dataset["PixelData"].is_undefined_length = True
    set_tags(dataset, **tags)
    return dataset


LIES = {
    "native": lambda: place(image(numbered((4, 5)), Rows=65_000, Columns=65_000), AFFINE, 0),
    "frames": lambda: image(numbered((40, 50)), NumberOfFrames=90_000, Rows=60_000, Columns=60_000),
    "compressed": lambda: _compressed(
        numbered((4, 5)),
        imagecodecs.jpeg2k_encode(numbered((4, 5)), codecformat="j2k"),
        Rows=65_000,
        Columns=65_000,
    ),
    "codestream": lambda: _compressed(
        numbered((4, 5)), imagecodecs.jpeg2k_encode(np.zeros((2000, 2000), np.uint16), codecformat="j2k")
    ),
    "jpeg": lambda: _compressed(
        numbered((4, 5)), imagecodecs.jpeg8_encode(np.zeros((2000, 2000), np.uint8)), uid.JPEGBaseline8Bit
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_claim_that_the_file_does_not_hold_costs_no_memory(tmp_path, name):
    path = _file(tmp_path, LIES[name]())
    with pytest.raises(eff.ImageReadError):  # imports what is needed
        eff.load(path)
    with _in_little_memory():
        _refused(path)


def test_a_deflated_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    dataset = image(numbered((4, 5)), syntax=uid.DeflatedExplicitVRLittleEndian)
    path = _file(tmp_path, dataset)
    start = path.read_bytes()
    meta_end = 132 + 12 + struct.unpack("<I", start[140:144])[0]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(bytes(30_000_000)) + packer.flush()
    path.write_bytes(start[:meta_end] + bomb)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1_000_000}))
    with _in_little_memory():
        _refused(path, "once it is inflated")


def test_an_element_that_claims_gigabytes_costs_none(tmp_path):
    path = _file(tmp_path, place(image(numbered((4, 5)), SeriesDescription="x" * 60), AFFINE, 0))
    block = path.read_bytes()
    at = block.find(b"\x08\x00\x3e\x10LO")
    path.write_bytes(block[:at] + b"\x08\x00\x3e\x10UT\0\0\xf0\xff\xff\xff" + block[at + 12 :])
    with _in_little_memory():
        _refused(path)


# --- compressed pictures that are cut or damaged ---


@pytest.mark.parametrize("share", [0.55, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.JPEGBaseline8Bit])
def test_a_compressed_file_that_is_cut_is_refused(tmp_path, syntax, share):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    encoder = {
        uid.JPEG2000Lossless: imagecodecs.jpeg2k_encode,
        uid.JPEGLSLossless: imagecodecs.jpegls_encode,
        uid.JPEGBaseline8Bit: imagecodecs.jpeg8_encode,
    }[syntax]
    path = _file(tmp_path, _compressed(pixels, encoder(pixels), syntax))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    _refused(path)


def test_a_codec_that_is_not_built_in_is_named(tmp_path, monkeypatch):
    pixels = np.zeros((8, 8), np.uint8)
    path = _file(tmp_path, _compressed(pixels, imagecodecs.jpegls_encode(pixels), uid.JPEGLSLossless))
    monkeypatch.setattr(imagecodecs, "JPEGLS", types.SimpleNamespace(available=False))
    _refused(path, "compressed as JPEG-LS, which this build of imagecodecs cannot decode; install another")


def test_a_film_with_fewer_frames_than_promised_is_refused(tmp_path):
    film = np.zeros((3, 8, 8), np.uint8)
    dataset = image(film, modality="US")
    dataset.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    dataset.PixelData = encapsulate([imagecodecs.jpeg2k_encode(film[0])] * 2)
    dataset["PixelData"].is_undefined_length = True
    path = _file(tmp_path, dataset)
    for choice in ({"frame": 2}, {"channel": "all"}):
        with pytest.raises(eff.ImageReadError, match=r"IM0000\.dcm: "):
            eff.load(path, **choice)


# --- mutations ---


@functools.cache
def _originals():
    """Bytes of files of every kind."""
    rough = np.random.default_rng(0).integers(0, 255, (9, 8), dtype=np.uint8)
    film = np.stack([rough, rough + 1])
    datasets = [
        place(image(numbered((4, 5))), AFFINE, 0),
        enhanced(numbered((5, 7, 3)), AFFINE),
        image(rough, modality="US", syntax=uid.ImplicitVRLittleEndian),
        image(film, modality="OT"),
        _compressed(rough, imagecodecs.jpeg2k_encode(rough)),
        _compressed(rough, imagecodecs.jpegls_encode(rough), uid.JPEGLSLossless),
        _compressed(rough, imagecodecs.jpeg8_encode(rough), uid.JPEGBaseline8Bit),
    ]
    buffers = [io.BytesIO() for _ in datasets]
    for dataset, buffer in zip(datasets, buffers, strict=True):
        dataset.save_as(buffer, enforce_file_format=True)
    return [buffer.getvalue() for buffer in buffers]


@pytest.mark.parametrize("number", range(7))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 12), cut=st.booleans())
def test_whatever_is_changed_it_loads_or_is_refused_in_words(tmp_path, number, seed, changes, cut):
    """Bytes are overwritten, so that lengths, tags, types and codestreams go wrong."""
    chance = random.Random(seed)
    path = tmp_path / "IM0000.dcm"
    block = bytearray(_originals()[number])
    for _ in range(changes):
        block[chance.randrange(132, len(block))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
    path.write_bytes(block[: chance.randrange(140, len(block))] if cut else block)
    for ask in (eff.load, list_series):
        try:
            ask(path)
        except eff.EffsegError as err:
            assert "\n" not in str(err)  # noqa: PT017 - most mutations load


# --- nothing of the patient ---


def _everything_said(folder, caplog, capfd):
    """Every text that loading and listing leave anywhere."""
    caplog.set_level(logging.DEBUG)
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for ask in (eff.load, load_grid, list_series):
            try:
                said.append(repr(ask(folder)))
            except eff.EffsegError as err:
                said += [str(err), repr(err.__cause__), repr(err.__context__)]
    said += [str(one.message) for one in caught]
    said += [record.getMessage() for record in caplog.records]
    return " ".join([*said, *capfd.readouterr()])


@pytest.mark.parametrize("damage", [None, "dates", "cut", "series"])
def test_nothing_of_the_patient_is_repeated(tmp_path, caplog, capfd, damage):
    datasets = slices(numbered(), AFFINE)
    if damage == "series":
        datasets[0].SeriesInstanceUID = "1.2.3"
    for dataset in datasets:
        dataset.private_block(0x0009, "ACME", create=True).add_new(1, "LO", SECRETS[3])
    folder = write(tmp_path / "scan", datasets)
    for path in folder.iterdir():
        block = path.read_bytes()
        if damage == "dates":  # values that pydicom finds odd enough to repeat
            block = block.replace(SECRETS[1].encode(), b"1957/4/1")
            block = block.replace(b"\x10\x00\x30\x00DA", b"\x10\x00\x30\x00UI")
        path.write_bytes(block[:-30] if damage == "cut" else block)
    said = _everything_said(folder, caplog, capfd)
    for secret in (*SECRETS, "1957"):
        assert secret not in said
