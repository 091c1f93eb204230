"""What every path of the selective scan receives: checked tensors of one dtype on one device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ScanInputs", "checked_inputs"]


@dataclass(frozen=True)
class ScanInputs:
    """The arguments of one scan, of one floating dtype (float32 or float64) and one device.

    Attributes
    ----------
    u, delta : Tensor, shape (B, D, L)
        Sequence and raw step sizes.
    A : Tensor, shape (D, N)
        Decay of the states.
    B, C : Tensor, shape (B, G, N, L)
        Input and output mixing of each group of D / G channels.
    D, delta_bias : Tensor, shape (D,), or None
        Feed-through, and what is added to `delta`.
    z : Tensor, shape (B, D, L), or None
        Gate.
    delta_softplus : bool
        Whether the step sizes pass through a softplus.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    delta_softplus: bool


def checked_inputs(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> ScanInputs:
    """Check shapes, dtypes and devices, and bring all tensors to the dtype of the computation.

    Raises
    ------
    ValueError
        Naming the argument, what it is and what was expected.
    """
    given = {"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias}
    present = {name: x for name, x in given.items() if x is not None}
    _check_kinds(present)
    _check_shapes(present)
    wide = any(x.dtype == torch.float64 for x in present.values())
    dtype = torch.float64 if wide else torch.float32

    def cast(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.to(dtype)

    return ScanInputs(
        u.to(dtype),
        delta.to(dtype),
        A.to(dtype),
        _with_groups(B).to(dtype),
        _with_groups(C).to(dtype),
        cast(D),
        cast(z),
        cast(delta_bias),
        bool(delta_softplus),
    )


def _with_groups(mixing: Tensor) -> Tensor:
    """(B, N, L) -> (B, 1, N, L); four axes stay."""
    return mixing if mixing.ndim == 4 else mixing[:, None]


def _check_kinds(present: dict[str, Tensor]) -> None:
    device = present["u"].device
    for name, x in present.items():
        if not x.is_floating_point():
            raise ValueError(f"{name} is of dtype {x.dtype}; expected a real floating dtype")
        if x.device != device:
            raise ValueError(f"{name} is on {x.device} and u on {device}; expected one device for all")


def _check_shapes(present: dict[str, Tensor]) -> None:
    u, A, B = present["u"], present["A"], present["B"]
    if u.ndim != 3 or 0 in u.shape:
        raise ValueError(f"u has shape {tuple(u.shape)}; expected (batch, channels, length), none of them 0")
    batch, channels, length = u.shape
    if A.ndim != 2 or A.shape[0] != channels or A.shape[1] == 0:
        raise ValueError(
            f"A has shape {tuple(A.shape)}; expected ({channels}, states), one row a channel of u"
        )
    states = A.shape[1]
    if B.ndim == 4:
        groups = B.shape[1]
        if groups == 0 or channels % groups:
            raise ValueError(f"B has {groups} groups; expected a divisor of the {channels} channels of u")
        mixing: tuple[int, ...] = (batch, groups, states, length)
    else:
        mixing = (batch, states, length)
    expected: dict[str, tuple[int, ...]] = {
        "delta": (batch, channels, length),
        "B": mixing,
        "C": mixing,
        "D": (channels,),
        "z": (batch, channels, length),
        "delta_bias": (channels,),
    }
    for name, shape in expected.items():
        if name in present and tuple(present[name].shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(present[name].shape)}; expected {shape} to fit u {tuple(u.shape)} "
                f"and A {tuple(A.shape)}"
            )
