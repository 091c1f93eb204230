"""Nothing of a header is repeated by accident.

pydicom repeats odd values in its warnings and log records, and among the values of a header are names and
dates of patients. So every look into a data set happens inside `hushed`, and messages of pydicom never become
part of ours.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator

__all__ = ["hushed", "library_errors"]

_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_PYDICOM_LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils")


_here = threading.local()


class _NotWhileHushed(logging.Filter):
    """Drops records of a thread that is inside `hushed`; other threads' records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(_here, "hushed", False)


for _name in _PYDICOM_LOGGERS:
    logging.getLogger(_name).addFilter(_NotWhileHushed())


def library_errors() -> tuple[type[Exception], ...]:
    """Return what pydicom and the codecs raise on damaged files, for an ``except`` clause.

    A function, because pydicom's own derive from no built-in one and importing it takes long.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_ERRORS, BytesLengthException, InvalidDicomError)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep pydicom's warnings and log records, which may repeat values of the header, from everybody."""
    before = getattr(_here, "hushed", False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _here.hushed = True
        try:
            yield
        finally:
            _here.hushed = before
