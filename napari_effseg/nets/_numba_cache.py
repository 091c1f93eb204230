"""Compile kernels on first use, and keep the result on disk.

Numba looks only at the file of a kernel itself to tell whether its copy on disk is current. The kernels here
are spread over several files, so the hash of all of them must be part of the key: each kernel has `SOURCE` in
its closure.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

from ._simd import LANES

__all__ = ["SOURCE", "forced", "inlined", "kernel"]

_log = logging.getLogger(__name__)
_SOURCES = ("_simd*.py", "_denormals.py", "_scan_cpu_*.py", "_quick_*.py")


def _fingerprint() -> int:
    """Hash what the compiled code depends on: the kernels' sources and the width of their vectors."""
    digest = hashlib.sha256(str(LANES).encode())
    for pattern in _SOURCES:
        for path in sorted(Path(__file__).parent.glob(pattern)):
            digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


SOURCE = _fingerprint()


inlined = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorator of the functions that kernels are made of; Python cannot call them, which saves compile time."""
forced = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""As `inlined`, but not left to the compiler: of the steps of a loop, whose values stay in registers."""


def kernel(function: Callable[..., None]) -> Any:
    """Return `function` as a kernel that is compiled on its first call and releases the GIL.

    The compiled code is kept where numba keeps it: ``NUMBA_CACHE_DIR`` if set, beside the source, or in the
    user's cache folder. Where none of them can be written, each process compiles anew, and a warning says so.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError as err:  # "cannot cache function ...: no locator available"
        _log.warning(
            "The compiled scan cannot be kept on disk, so every start compiles it anew; "
            "set NUMBA_CACHE_DIR to a folder that can be written (%s)", err,
        )  # fmt: skip
        return njit(nogil=True, error_model="numpy")(function)
