"""Decode compressed frames with imagecodecs, as a plugin of pydicom's decoders.

imagecodecs is in the base for TIFF, has wheels for every platform, and decodes all that DICOM names: JPEG
(8 and 12 bits, lossless), JPEG-LS, JPEG 2000 and HTJ2K. pydicom does the rest: fragments, RLE, colours and
signs.
The decoders here are instances of our own, so that pydicom's, which others in this process may use, stay as
they are.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import Decoder, DecodeRunner

__all__ = ["decode_frame", "decoder_for", "is_available", "missing_codec"]

_JPEG, _JPEG_LS, _JPEG_2000 = "JPEG", "JPEG-LS", "JPEG 2000"
_UNDONE_BY_CODEC = ("YBR_RCT", "YBR_ICT")  # colour transforms inside JPEG 2000
_RLE = "1.2.840.10008.1.2.5"
_FAMILY = {
    **{f"1.2.840.10008.1.2.4.{number}": _JPEG for number in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{number}": _JPEG_LS for number in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{number}": _JPEG_2000 for number in (90, 91, 201, 202, 203)},
}
_CODEC = {_JPEG: "JPEG8", _JPEG_LS: "JPEGLS", _JPEG_2000: "JPEG2K"}  # imagecodecs' names
DECODER_DEPENDENCIES = dict.fromkeys(_FAMILY, ("imagecodecs",))  # pydicom's protocol asks for it
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # JPEG's markers with the size; F7: JPEG-LS
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_START_OF_SCAN = 0xDA
_J2K_SIZE = b"\xff\x4f\xff\x51"


@functools.cache
def decoder_for(syntax: str) -> Decoder:
    """Return the decoder of a transfer syntax.

    Parameters
    ----------
    syntax : str
        One that `_kinds.why_not_readable` lets pass.
    """
    from pydicom.pixels.decoders.base import Decoder
    from pydicom.uid import UID

    decoder = Decoder(UID(syntax))
    if syntax == _RLE:
        decoder.add_plugin("pydicom", ("pydicom.pixels.decoders.rle", "_decode_frame"))
    elif syntax in _FAMILY:
        decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))
    return decoder


def missing_codec(syntax: str) -> str:
    """Say that this build of imagecodecs lacks the decoder, as the rest of a sentence; "" where it has it."""
    import imagecodecs

    family = _FAMILY.get(syntax)
    if family is None or getattr(imagecodecs, _CODEC[family]).available:
        return ""
    return (
        f"is compressed as {family}, which this build of imagecodecs cannot decode; "
        "install another with: pip install --force-reinstall imagecodecs"
    )


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a transfer syntax; pydicom asks."""
    return uid in _FAMILY


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """Decode one frame; pydicom calls it.

    Parameters
    ----------
    src : bytes
        The compressed picture.
    runner : DecodeRunner
        What the header says; told what the picture turned out to be.

    Returns
    -------
    bytearray
        Rows of pixels, the samples of a pixel side by side, in the machine's byte order.

    Raises
    ------
    ValueError
        If the picture is damaged or has another size than the header says.
    """
    family = _FAMILY[str(runner.transfer_syntax)]
    wanted = (runner.rows, runner.columns)
    if _coded_size(src, family) != wanted:  # the codec would allocate for whatever it is told
        raise ValueError("the picture has another size than the header says")
    pixels = _decoded(src, family, runner.samples_per_pixel)
    samples = runner.samples_per_pixel
    if pixels.shape != (wanted if samples == 1 else (*wanted, samples)):
        raise ValueError("the picture has another number of samples than the header says")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if samples > 1:
        runner.set_option("planar_configuration", 0)
        if runner.photometric_interpretation in _UNDONE_BY_CODEC:
            runner.set_option("photometric_interpretation", "RGB")
    return bytearray(pixels.tobytes())  # pydicom corrects signs in place


def _decoded(src: bytes, family: str, samples: int) -> NDArray[Any]:
    import imagecodecs

    # the header, not the codec's guess, says what the colours of a JPEG mean: they are taken as they are
    as_it_is = "YCBCR" if samples > 1 else None

    if family == _JPEG_2000:
        return np.asarray(imagecodecs.jpeg2k_decode(src))
    if family == _JPEG_LS:
        return np.asarray(imagecodecs.jpegls_decode(src))
    return np.asarray(imagecodecs.jpeg8_decode(src, colorspace=as_it_is, outcolorspace=as_it_is))


def _coded_size(src: bytes, family: str) -> tuple[int, int] | None:
    """(rows, columns) that the compressed picture itself names, None where it does not."""
    if family == _JPEG_2000:
        return _j2k_size(src)
    at = 2
    while at + 9 <= len(src) and src[at] == 0xFF:
        marker = src[at + 1]
        if marker in _START_OF_FRAME:
            rows, columns = struct.unpack(">HH", src[at + 5 : at + 9])
            return rows, columns
        if marker == _START_OF_SCAN:
            return None
        at += 1 if marker == 0xFF else 2
        if marker != 0xFF and marker not in _ALONE:
            at += int.from_bytes(src[at : at + 2], "big")
    return None


def _j2k_size(src: bytes) -> tuple[int, int] | None:
    """Size of a JPEG 2000 codestream, which may lie in a JP2 file."""
    at = src.find(_J2K_SIZE)
    if at < 0 or len(src) < at + 24:
        return None
    across, down, left, top = struct.unpack(">4I", src[at + 8 : at + 24])
    return down - top, across - left
