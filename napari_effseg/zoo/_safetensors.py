"""Read and write safetensors files: bounded, without pickle, the same bytes for the same tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError
from ._atomic import write_atomically

if TYPE_CHECKING:
    import torch

# A network of ten thousand tensors has a header of about one megabyte.
_LARGEST_HEADER = 16 << 20
# One key holds all we say of a file: the library writes several in an order that changes from run to run.
_METADATA_KEY = "effseg"


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a safetensors file.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    check_container(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as err:
        raise WeightsError(f"{path}: damaged safetensors file: {err}") from err


def read_metadata(path: Path) -> dict[str, object]:
    """Return what `write_tensors` was told of the file (network, constructor, ...); empty for foreign files.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    check_container(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_METADATA_KEY, "{}")
        table = json.loads(text)
    except (SafetensorError, OSError, ValueError) as err:
        raise WeightsError(f"{path}: damaged safetensors file: {err}") from err
    return table if isinstance(table, dict) else {}


def write_tensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, object] | None = None
) -> None:
    """Write tensors as safetensors, as a whole or not at all.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    path : Path
    metadata : mapping, optional
        What JSON can hold; read back by `read_metadata`.

    Raises
    ------
    ExportError
        If the folder or disk refuses.
    """
    from safetensors.torch import save

    text = json.dumps(dict(metadata or {}), sort_keys=True, allow_nan=False)
    # Copies, because tensors that share memory or are views cannot be written.
    copies = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
    content = save(copies, metadata={_METADATA_KEY: text})
    write_atomically(path, lambda file: file.write(content))


def check_container(path: Path) -> None:
    """Check, from its first bytes alone, that a file may be safetensors.

    Raises
    ------
    WeightsError
        If the file cannot be read, is a pickle or another archive, or states a header larger than itself.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as err:
        raise WeightsError(f"{path}: cannot be read: {err.strerror or err}") from err
    foreign = foreign_format(start)
    if foreign:
        raise WeightsError(
            f"{path}: {foreign}, not safetensors; "
            "turn a checkpoint that you trust into safetensors with: effseg convert"
        )
    header = int.from_bytes(start[:8], "little")
    if len(start) < 10 or not 2 <= header <= min(size - 8, _LARGEST_HEADER):
        raise WeightsError(f"{path}: truncated, or not a safetensors file ({size} bytes)")


def foreign_format(start: bytes) -> str | None:
    """Return what a file that starts like this is, if it is a PyTorch checkpoint or a pickle."""
    if start.startswith(b"PK\x03\x04"):
        return "a zip archive, as PyTorch checkpoints (.pt, .pth) are"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{":
        return "a pickle, which can run code when it is opened"
    return None
