"""Files that lie about what they hold: one sentence each, before any large allocation."""

from __future__ import annotations

import bz2
import gzip
import re
import struct
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.io import _stream
from napari_effseg.volume import Volume

from .conftest import oblique

SMALL = 40_000_000  # bytes; far below what the lying headers claim
HUGE = "30000 x 30000 x 30000"


def _nifti_bytes(shape, dtype=np.int16, data=b"") -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header["dim"][: len(shape) + 1] = (len(shape), *shape)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    header.set_sform(np.eye(4), 1)
    return header.binaryblock + b"\0" * 4 + data


def _nrrd_bytes(sizes, encoding, data=b"") -> bytes:
    fields = f"type: short\ndimension: 3\nsizes: {sizes}\nencoding: {encoding}\nendian: little"
    return f"NRRD0004\n{fields}\n\n".encode() + data


def _mha_bytes(sizes, data=b"", compressed=False) -> bytes:
    head = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = {compressed}\n"
    rest = f"DimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    return (head + rest).encode() + data


def _png_bytes(width, height) -> bytes:
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def _npy_bytes(shape) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


ZEROS = bytes(3_000_000)
LIES = {
    "short.nii": _nifti_bytes((30_000, 30_000, 30_000)),
    "huge.nii.gz": gzip.compress(_nifti_bytes((30_000, 30_000, 30_000), data=ZEROS)),
    "large.nii.gz": gzip.compress(_nifti_bytes((500, 500, 400), data=ZEROS)),
    "short.nrrd": _nrrd_bytes("500 500 400", "raw", b"\0" * 50),
    "huge.nrrd": _nrrd_bytes("30000 30000 30000", "raw", b"\0" * 50),
    "large.nrrd": _nrrd_bytes("500 500 400", "gzip", gzip.compress(ZEROS)),
    "bz.nrrd": _nrrd_bytes("500 500 400", "bzip2", bz2.compress(ZEROS)),
    "text.nrrd": _nrrd_bytes("500 500 400", "ascii", b"1 2 3"),
    "short.mha": _mha_bytes("500 500 400", b"\0" * 50),
    "huge.mha": _mha_bytes("30000 30000 30000", b"\0" * 50),
    "large.mha": _mha_bytes("500 500 400", zlib.compress(ZEROS), compressed=True),
    "large.png": _png_bytes(12_000, 9_000),
    "huge.png": _png_bytes(300_000, 300_000),
    "huge.npy": _npy_bytes("(30000, 30000, 30000)"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_claims_more_than_there_is_costs_no_memory(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(LIES[name])
    with pytest.raises(eff.ImageReadError):  # imports what the format needs
        eff.load(path)
    tracemalloc.start()
    with pytest.raises(eff.ImageReadError, match=re.escape(name)):
        eff.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < SMALL


@pytest.mark.parametrize("name", ["bomb.nii.gz", "bomb.nrrd"])
def test_bytes_beyond_the_voxels_are_not_unpacked_without_end(tmp_path, name, monkeypatch):
    monkeypatch.setattr(_stream, "_DRAIN_LIMIT", 1 << 22)
    bomb = gzip.compress((_nifti_bytes((4, 5, 6)) if "nii" in name else b"") + bytes(60_000_000))
    (tmp_path / name).write_bytes(bomb if "nii" in name else _nrrd_bytes("4 5 6", "gzip", bomb))
    eff.load(tmp_path / name)
    tracemalloc.start()
    volume = eff.load(tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert volume.shape == (4, 5, 6)
    assert peak < SMALL


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ".npy", ".npz", ".png", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_file_cut_anywhere_is_refused(tmp_path, ending, share):
    whole = _whole_file(tmp_path, ending)
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(eff.ImageReadError, match="cut"):
        eff.load(path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_a_flipped_bit_in_compressed_data_is_noticed(tmp_path, ending):
    damaged = bytearray(_whole_file(tmp_path, ending))
    damaged[-30] ^= 0x10
    (tmp_path / f"flipped{ending}").write_bytes(damaged)
    with pytest.raises(eff.ImageReadError, match=r"damaged|cut off"):
        eff.load(tmp_path / f"flipped{ending}")


def _whole_file(folder, ending) -> bytes:
    values = np.random.default_rng(0).integers(0, 255, size=(20, 20, 20), dtype=np.uint8)
    path = folder / f"whole{ending}"
    if ending == ".npy":
        np.save(path, values)
    elif ending == ".npz":
        np.savez(path, values)
    elif ending == ".png":
        from PIL import Image

        Image.fromarray(values[..., 0]).save(path)
    elif ending == ".tif":
        import tifffile

        tifffile.imwrite(path, values[..., 0], photometric="minisblack")
    else:
        eff.save(Volume(values.astype(np.int16), oblique()), path)
    return path.read_bytes()


ENDINGS = [
    ".nii",
    ".nii.gz",
    ".nrrd",
    ".seg.nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".tif",
    ".png",
    ".jpg",
    ".npy",
    ".npz",
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("read", [eff.load, eff.load_labels])
def test_text_with_an_image_ending_is_refused(tmp_path, ending, read):
    path = tmp_path / f"letter{ending}"
    path.write_text("Dear colleague, please find the image attached.\n" * 40)
    with pytest.raises(eff.ImageReadError, match=r"whatever its name says") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_missing_and_empty_files_are_told_apart(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    with pytest.raises(eff.ImageReadError, match="no such file"):
        eff.load(path)
    path.touch()
    with pytest.raises(eff.ImageReadError, match="empty"):
        eff.load(path)


@pytest.mark.parametrize("ending", ["", ".nii.gz"])
def test_a_folder_is_refused_in_one_sentence(tmp_path, ending):
    folder = tmp_path / f"series{ending}"
    folder.mkdir()
    with pytest.raises(eff.ImageReadError, match="is a folder"):
        eff.load(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.dcm", "is not a DICOM file, whatever its name says"),
        ("a.nifti", r"Did you mean \.nii\?"),
        ("a.niigz", r"Did you mean \.nii\.gz\?"),
        ("a.nrd", r"Did you mean \.nrrd\?"),
        ("a.pdf", r"ends in \.pdf, which cannot be read; expected one of \.nii\.gz"),
        ("a", "has no ending"),
        ("a.hdr", "pair"),
        ("a.zarr", "OME-Zarr is a folder or a zip file"),
    ],
)
def test_an_unknown_ending_says_what_is_known(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(eff.ImageReadError, match=words):
        eff.load(tmp_path / name)


def test_an_analyze_header_is_told_from_nifti(tmp_path):
    block = bytearray(_nifti_bytes((4, 5, 6), data=bytes(240)))
    block[344:348] = b"\0" * 4
    (tmp_path / "a.nii").write_bytes(block)
    with pytest.raises(eff.ImageReadError, match="Analyze"):
        eff.load(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("at", "packed"),
    [
        (40, struct.pack("<h", 9)),  # number of axes
        (42, struct.pack("<h", -3)),  # first side
        (42, struct.pack("<h", 0)),
        (70, struct.pack("<h", 4242)),  # type of voxels
        (70, struct.pack("<h", 32)),  # complex
        (108, struct.pack("<f", float("nan"))),  # where the voxels start
        (108, struct.pack("<f", 12.0)),
        (280, struct.pack("<f", float("inf"))),  # sform
    ],
)
def test_a_damaged_nifti_header_is_refused(tmp_path, at, packed):
    block = bytearray(_nifti_bytes((4, 5, 6), data=bytes(240)))
    block[at : at + len(packed)] = packed
    (tmp_path / "a.nii").write_bytes(block)
    with pytest.raises((eff.ImageReadError, eff.AffineError), match=r"a\.nii: "):
        eff.load(tmp_path / "a.nii")


@pytest.mark.parametrize("field", ["type", "dimension", "sizes", "encoding"])
def test_an_nrrd_header_without_a_needed_field_is_refused(tmp_path, field):
    lines = _nrrd_bytes("4 5 6", "raw").decode().splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith(field))
    (tmp_path / "a.nrrd").write_bytes(kept.encode() + bytes(240))
    with pytest.raises(eff.ImageReadError, match="header"):
        eff.load(tmp_path / "a.nrrd")


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", np.array([{"a": 1}], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(eff.ImageReadError):
            eff.load(tmp_path / name)


def test_no_file_at_all_is_refused():
    with pytest.raises(eff.ImageReadError, match="at least one"):
        eff.load([])


def test_a_series_is_not_asked_of_other_formats(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    with pytest.raises(eff.ImageReadError, match="chooses from DICOM, but this is NumPy"):
        eff.load(tmp_path / "a.npy", series="1.2.3")
