"""Read the state dict out of a foreign checkpoint, without running any code that is in it."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import WeightsError
from ._safetensors import foreign_format, read_tensors

if TYPE_CHECKING:
    import torch

# Where trainers put the state dict; nnU-Net says network_weights.
_WRAPPERS = ("network_weights", "state_dict", "model_state_dict", "model")
# What DataParallel and torch.compile put before every key.
_PREFIXES = ("module.", "_orig_mod.")
_DEEPEST_WRAPPING = 3
_NUMPY_KINDS = "?bhilqBHILQefd"  # booleans, integers, floats
_ASKED = re.compile(r"GLOBAL ([\w.]+)")


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the state dict of a ``.pt``, ``.pth`` or ``.safetensors`` checkpoint, as `read_checkpoint`."""
    return read_checkpoint(path)[0]


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], Mapping[str, object]]:
    """Read a ``.pt``, ``.pth`` or ``.safetensors`` checkpoint: its state dict, and what else it holds.

    The state dict is unwrapped and without prefixes.

    Pickled checkpoints are read with ``weights_only=True``; numpy's scalar types, in which nnU-Net keeps its
    log, are allowed beside torch's own, and nothing else.

    Raises
    ------
    WeightsError
        If the file cannot be read, holds anything but tensors and plain values, claims more than it
        contains, or has no state dict.
    """
    try:
        with path.open("rb") as file:
            start = file.read(16)
        size = path.stat().st_size
    except OSError as err:
        raise WeightsError(f"{path}: cannot be read: {err.strerror or err}") from err
    content: object = _unpickle(path) if foreign_format(start) else read_tensors(path)
    state = _without_prefixes(_unwrap(content, path))
    for key, tensor in state.items():
        _check_tensor(tensor, size, f"{path}: {key}")
    return state, content if isinstance(content, Mapping) else {}


def _check_tensor(tensor: torch.Tensor, file_size: int, name: str) -> None:
    """Refuse what is no plain array, or claims more than the file holds."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
        raise WeightsError(
            f"{name} is not a plain array of real numbers (sparse, quantised, complex or empty)"
        )
    # A few bytes can claim a tensor of any size, as a view that repeats them.
    if tensor.numel() * tensor.element_size() > file_size:
        raise WeightsError(f"{name} claims {tuple(tensor.shape)} values, more than the file holds")


def _unpickle(path: Path) -> object:
    import torch

    is_archive = _check_archive(path)
    try:
        # Mapped, a tensor that claims more than its record holds can only meet the end of the file.
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")  # about unusual pickle protocols, which are then refused
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as err:
        raise WeightsError(
            f"{path}: refused, because loading it could run code: {_what_was_asked(err)}; "
            "expected tensors, numpy scalars and plain values"
        ) from err
    except Exception as err:  # a damaged pickle can raise anything
        raise WeightsError(f"{path}: damaged, or not a PyTorch checkpoint ({_first_sentence(err)})") from err


def _check_archive(path: Path) -> bool:
    """Return whether the file is a zip archive, refusing those that PyTorch does not write for weights."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as err:
        raise WeightsError(f"{path}: damaged archive: {err}") from err
    if any("/code/" in entry.filename for entry in entries):
        raise WeightsError(f"{path}: TorchScript, which is a program; expected a checkpoint of weights")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise WeightsError(f"{path}: a compressed archive, which no PyTorch checkpoint is")
    return True


def _numpy_scalars() -> list[Any]:
    """Return the constructors by which numpy's scalars are pickled, under their old and new names."""
    scalar = cast("Any", np.float64(0).__reduce__()[0])
    kinds = [type(np.dtype(kind)) for kind in _NUMPY_KINDS]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *dict.fromkeys(kinds),
    ]


def _unwrap(content: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in what a trainer saved."""
    import torch

    for _ in range(_DEEPEST_WRAPPING):
        if not isinstance(content, Mapping):
            break
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return {str(key): value for key, value in content.items()}
        inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    keys = f" (it has {', '.join(map(str, list(content)[:5]))})" if isinstance(content, Mapping) else ""
    raise WeightsError(
        f"{path}: no state dict found{keys}; expected tensors by name, alone or under {', '.join(_WRAPPERS)}"
    )


def _without_prefixes(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take away what wrappers put before every key."""
    for prefix in _PREFIXES * 2:  # compile and DataParallel wrap in either order
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _what_was_asked(err: BaseException) -> str:
    """Return which forbidden name a pickle asked for, as far as torch's message tells."""
    name = _ASKED.search(str(err))
    return f"it asks for {name[1]}" if name else "it is a pickle of another kind"


def _first_sentence(err: BaseException) -> str:
    lines = str(err).splitlines() or [type(err).__name__]
    return lines[0].partition(". ")[0][:160]
