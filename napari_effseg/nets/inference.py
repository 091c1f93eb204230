"""A loaded network as a faster one for inference: the same numbers, to rounding.

`inference_form` exchanges layers for those of `_quick` and of the networks' own quick blocks. It is for x86
CPUs, where it was measured; elsewhere, and wherever a layer is not known to be safe, networks stay as they
are. ``EFFSEG_FORM=eager`` in the environment leaves every network as it is.
"""

from __future__ import annotations

import logging
import os
import platform
from functools import cache
from typing import Any

import torch
from torch import nn

from ..errors import ConfigError
from ._quick import quick_chain

__all__ = ["inference_form"]

_log = logging.getLogger(__name__)

_OURS = __name__.partition(".")[0] + "."


def inference_form(network: nn.Module) -> nn.Module:
    """Exchange a network's layers for quicker ones that give the same results.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. It is taken over: use only what is returned from here on. What comes back belongs
        to its device and dtype, and has no state dict worth keeping.

    Returns
    -------
    nn.Module
        The network itself, if it is ours, in float32, on an x86 CPU and nothing forbids it; other networks,
        and layers that have no quick form, stay as they are.
    """
    if not _may_change(network):
        return network
    with torch.no_grad():
        return _form(network)


def _may_change(network: nn.Module) -> bool:
    """Whether the machine and the network's place and type are those that quick layers are for."""
    wanted = os.environ.get("EFFSEG_FORM", "")
    if wanted not in ("", "eager"):
        raise ConfigError(f"EFFSEG_FORM is {wanted!r}; expected eager, or nothing")
    tensors = [*network.parameters(), *network.buffers()]
    return (
        not wanted
        and not network.training
        and any(network.children())  # one layer alone would only hand its layout on to those who add up
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and all(x.device.type == "cpu" for x in tensors)
        and all(x.dtype == torch.float32 for x in tensors if x.is_floating_point())
        and _kernels_work()
    )


@cache
def _kernels_work() -> bool:
    """Whether numba can be imported and compiles the norms; a problem is logged, once a process."""
    try:
        from ._quick_norm import normalise

        normalise(torch.ones(1, 2, 2, 2), 1, None, None, 1.0)
    except Exception as err:  # noqa: BLE001  # numba lets through whatever goes wrong inside it
        _log.warning("Networks run in their plain forms, which are slower: %s: %s", type(err).__name__, err)
        return False
    return True


def _form(module: nn.Module) -> nn.Module:
    """Quick form of one module, or the module with quick forms inside."""
    if not _is_known(module):
        return module
    form = getattr(module, "inference_form", None)
    quick: nn.Module | None = None if form is None else form()
    if quick is not None:
        return quick
    if not list(module.children()):
        return quick_chain([module])[0]
    children = dict(module.named_children())
    if type(module) is nn.Sequential:
        children = dict(zip(children, quick_chain(list(module)), strict=True))
    for name, child in children.items():
        setattr(module, name, _form(child))
    return module


def _is_known(module: nn.Module) -> bool:
    """Whether a module uses those inside it by calling them, as all of ours do, and torch's containers."""
    kind: Any = type(module)
    return kind.__module__.startswith((_OURS, "torch.nn."))
