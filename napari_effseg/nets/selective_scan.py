"""The selective scan of Mamba: one signature, the fastest path that the device allows.

Paths, best first:

``numba-cpu``
    Compiled on first use (and kept on disk), vectorised, threaded; CPU tensors.
``mamba-ssm-cuda``
    The authors' fused kernel; CUDA tensors up to float32, where the package mamba-ssm is installed.
``chunked-torch``
    Plain torch operations; any device.
``triton-cuda``
    Triton kernels; float32 CUDA tensors, only on request: nobody has seen them run on a GPU yet.
``reference``
    The formula as a loop; only on request.

``EFFSEG_SCAN=reference``, ``chunked``, ``numba`` or ``triton`` in the environment forces one.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from functools import cache
from typing import Literal, overload

import torch
from torch import Tensor

from ..errors import ConfigError, nearest_names
from ._scan_chunked import chunked_scan
from ._scan_cuda import LARGEST_STATE, cuda_kernel_installed, cuda_scan
from ._scan_reference import reference_scan
from ._scan_types import ScanInputs, checked_inputs

__all__ = [
    "RunningScan",
    "ScanInputs",
    "checked_inputs",
    "run_path",
    "scan_path",
    "scan_report",
    "selective_scan",
]

_log = logging.getLogger(__name__)

_NUMBA, _CUDA, _CHUNKED, _REFERENCE = "numba-cpu", "mamba-ssm-cuda", "chunked-torch", "reference"
_TRITON = "triton-cuda"
_FORCED = {"reference": _REFERENCE, "chunked": _CHUNKED, "numba": _NUMBA, "triton": _TRITON}


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: Literal[False] = False,
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    *,
    return_last_state: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run a selective state-space recurrence along a sequence.

    With dt = delta + delta_bias, through a softplus on request, for every batch element, channel d, state n::

        h[t] = exp(dt[t] A[d, n]) h[t-1] + dt[t] B[n, t] u[t],    h[-1] = 0
        y[t] = (sum over n of C[n, t] h[t] + D[d] u[t]) * silu(z[t])

    Batch, channels D, length L, states N and groups G as below. Differentiable once in every tensor.

    Parameters
    ----------
    u, delta : Tensor, shape (batch, D, L)
        Sequence and raw step sizes.
    A : Tensor, shape (D, N)
        Decay of each state, negative.
    B, C : Tensor, shape (batch, N, L) or (batch, G, N, L)
        Input and output mixing, shared by all channels, or by each of G contiguous groups of D / G channels.
    D : Tensor, shape (D,), optional
        Direct feed-through.
    z : Tensor, shape (batch, D, L), optional
        Gate.
    delta_bias : Tensor, shape (D,), optional
        Added to `delta`.
    delta_softplus : bool
        Whether the step sizes pass through a softplus, linear above 20.
    return_last_state : bool
        Whether to return h[L-1] as well.

    Returns
    -------
    y : Tensor, shape (batch, D, L)
        Of u's dtype; computed in float64 if any tensor is float64, otherwise in float32.
    last_state : Tensor, shape (batch, D, N)
        Only on request; float32 or float64, not differentiated.

    Raises
    ------
    ValueError
        If a shape, dtype or device does not fit; the message names the argument.

    Notes
    -----
    On the CPU no float32 or float64 tensor is copied, whatever its strides. Fast are those whose channels or
    time steps are neighbours in memory: (batch, D, L) itself, or a transposed view of (batch, L, D).

    References
    ----------
    Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv:2312.00752,
    algorithm 2 and section 3.3; the values are those of mamba-ssm's ``selective_scan_ref``.
    """
    inputs = checked_inputs(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    path = scan_path(inputs.u.device, inputs.u.dtype, inputs.A.shape[1])
    y, last_state = run_path(path, inputs)
    y = y.to(u.dtype)
    return (y, last_state) if return_last_state else y


class RunningScan:
    """A sequence scanned piece by piece, without gradients: each piece goes on from the state of the last.

    Only where the CPU's kernels run: see `can_run`.
    """

    def __init__(self) -> None:
        self._carry: Tensor | None = None

    @staticmethod
    def can_run(x: Tensor) -> bool:
        """Whether tensors like this one can be scanned in pieces: on the CPU, no gradients wanted."""
        return not torch.is_grad_enabled() and scan_path(x.device, x.dtype) == _NUMBA

    def __call__(self, inputs: ScanInputs) -> Tensor:
        """Scan the next piece: y (B, D, L)."""
        from ._scan_cpu import cpu_scan_on

        y, self._carry = cpu_scan_on(inputs, self._carry)
        return y


def scan_path(device: torch.device | str, dtype: torch.dtype, states: int = 16) -> str:
    """Name the path that `selective_scan` takes.

    Parameters
    ----------
    device : torch.device or str
        Where the tensors are.
    dtype : torch.dtype
        The widest of the tensors' dtypes.
    states : int
        States a channel.

    Returns
    -------
    str
        "numba-cpu", "mamba-ssm-cuda", "chunked-torch", "triton-cuda" or "reference".

    Raises
    ------
    ValueError
        If ``EFFSEG_SCAN`` asks for a path that does not exist, or not on this device.
    """
    return _path(torch.device(device).type, dtype, states, torch.is_grad_enabled())


def scan_report() -> dict[str, str]:
    """Say which path each device of this machine takes, and what stands in the way of a faster one.

    Returns
    -------
    dict
        Device type ("cpu", and "cuda" or "mps" where there is one) to a short sentence that starts with
        the path's name.
    """
    report = {}
    for kind in _devices():
        path = _path(kind, torch.float32, 16, gradients=False)
        report[kind] = f"{path} ({_reason(kind, path)})"
    return report


def run_path(path: str, inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Run one path on checked inputs, whatever the environment says; to compare paths with each other.

    Parameters
    ----------
    path : str
        One of `scan_path`'s names, fit for the inputs' device.
    inputs : ScanInputs
        From `checked_inputs`.

    Returns
    -------
    y : Tensor, shape (B, D, L)
    last_state : Tensor, shape (B, D, N)
        Both of the dtype of the inputs.
    """
    if path == _NUMBA:
        from ._scan_cpu import cpu_scan  # numba is imported, and compiles, on first use

        return cpu_scan(inputs)
    if path == _CUDA:
        return cuda_scan(inputs)
    if path == _TRITON:
        from ._scan_triton import triton_scan  # Triton is imported on first use

        with torch.autocast(inputs.u.device.type, enabled=False):
            return triton_scan(inputs)
    with torch.autocast(inputs.u.device.type, enabled=False):
        return reference_scan(inputs) if path == _REFERENCE else chunked_scan(inputs)


def _path(kind: str, dtype: torch.dtype, states: int, gradients: bool) -> str:
    """Choose a path for a device type; the CPU kernels are compiled here, those for gradients on request."""
    forced = os.environ.get("EFFSEG_SCAN", "")
    if forced:
        return _forced_path(forced, kind, dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    if kind == "cpu" and _numba_problem(wide, gradients) is None:
        return _NUMBA
    if kind == "cuda" and wide == torch.float32 and states <= LARGEST_STATE and cuda_kernel_installed():
        return _CUDA
    return _CHUNKED


def _forced_path(name: str, kind: str, dtype: torch.dtype) -> str:
    if name not in _FORCED:
        known = ", ".join(sorted(_FORCED))
        raise ConfigError(
            f"EFFSEG_SCAN is {name!r}; expected one of {known}, or nothing.{nearest_names(name, _FORCED)}"
        )
    if name == "numba" and kind != "cpu":
        raise ConfigError(f"EFFSEG_SCAN=numba is for tensors on the CPU, but these are on {kind!r}; unset it")
    if name == "triton":
        _check_triton(kind, dtype)
    return _FORCED[name]


def _check_triton(kind: str, dtype: torch.dtype) -> None:
    """Refuse what the Triton kernels cannot do; its interpreter takes tensors on the CPU."""
    if importlib.util.find_spec("triton") is None:
        raise ConfigError("EFFSEG_SCAN=triton needs the package triton, which is not installed; unset it")
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if dtype == torch.float64 or (kind != "cuda" and not interpreted):
        raise ConfigError(
            f"EFFSEG_SCAN=triton is for float32 tensors on CUDA, but these are {dtype} on {kind!r}; unset it"
        )


@cache
def _numba_problem(dtype: torch.dtype, gradients: bool) -> str | None:
    """Compile the CPU kernels of a dtype, those for gradients on request, and say what went wrong.

    None if they work. A problem is logged, once a process, because the other paths are much slower.
    """
    try:
        from ._scan_cpu import compile_kernels
    except ImportError as err:
        problem = f"numba cannot be imported: {err}"
    else:
        try:
            compile_kernels(dtype, gradients)
        except Exception as err:  # noqa: BLE001  # numba lets through whatever goes wrong inside it
            problem = f"numba cannot compile the kernels: {type(err).__name__}: {err}"
        else:
            return None
    _log.warning("The selective scan runs in plain torch, many times slower: %s", problem)
    return problem


def _devices() -> list[str]:
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _reason(kind: str, path: str) -> str:
    if os.environ.get("EFFSEG_SCAN"):
        return f"forced by EFFSEG_SCAN={os.environ['EFFSEG_SCAN']}"
    if kind == "cpu":
        return _numba_problem(torch.float32, False) or f"{torch.get_num_threads()} threads"
    if kind == "cuda" and path != _CUDA:
        return 'mamba-ssm is not installed; pip install "napari-effseg[cuda]" brings its faster kernel'
    return "fused kernel" if path == _CUDA else "plain torch operations"
