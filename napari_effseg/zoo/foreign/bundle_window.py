"""How a bundle's inferer goes over an image -> the windows of a card."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..card import WindowSpec
from ._tables import Table
from .bundle_config import Config
from .monai_networks import MONAI_PREFIX
from .own_bundle import OWN_INFERER

__all__ = ["window_of"]

_INFERER_ARGUMENTS = (
    "roi_size",
    "overlap",
    "mode",
    "sigma_scale",
    "padding_mode",
    "cval",
    "spatial_dim",
    "across",
)


def window_of(config: Config, network: str, constructor: Mapping[str, object]) -> tuple[WindowSpec, int]:
    """Return how the image is worked through, and the axis across slices for a network of slices.

    Parameters
    ----------
    config : Config
    network : str
        As cards name it.
    constructor : mapping
        Its arguments, whose strides tell what sides of windows must be multiples of.

    Raises
    ------
    CardError
        If there is no inferer, or none that goes over images in windows as ours does.
    """
    part = config.part("inferer")
    target = part.get("_target_") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or not isinstance(target, str):
        raise config.error("inferer", "expected an inferer with a _target_")
    name = "own" if target == OWN_INFERER else target.rpartition(".")[2]
    if name not in ("SlidingWindowInferer", "SliceInferer", "own"):
        raise config.error("inferer._target_", f"{target} is not supported, only SlidingWindowInferer")
    inferer = Table(
        {key: config.read_all(part[key], f"inferer.{key}") for key in _INFERER_ARGUMENTS if key in part},
        config.source,
        "inferer",
    )
    size = inferer.wholes("roi_size")
    dims = _dimensions(network, constructor, size)
    if len(size) != dims or min(size) < 1:
        raise inferer.error("roi_size", f"expected {dims} sides, got {size}")
    if name == "own":
        return _own_window(inferer, size)
    weights, padding = inferer.text("mode", "constant"), inferer.text("padding_mode", "constant")
    if weights not in ("constant", "gaussian") or padding not in ("constant", "replicate"):
        raise inferer.error("mode", f"{weights} windows with {padding} padding are not supported")
    for key, expected in (("sigma_scale", 0.125), ("cval", 0.0)):
        if inferer.values.get(key, expected) != expected:
            raise inferer.error(key, f"only {expected} is supported")
    units = _units(config, network, constructor, size)
    window = WindowSpec(
        size=size,
        overlap=_overlap(inferer, 0.25),
        multiple_of=max(units),
        multiples=units if len(set(units)) > 1 else (),
        places="stepped",
        weights="gaussian_monai" if weights == "gaussian" else "constant",
        padding="replicate" if padding == "replicate" else "zeros",
    )
    if name == "SlidingWindowInferer":
        return window, 2
    across = inferer.whole("spatial_dim") if "spatial_dim" in inferer.values else 0
    if across not in (0, 1, 2):
        raise inferer.error("spatial_dim", f"expected 0, 1 or 2, got {across}")
    return window, across


def _own_window(inferer: Table, size: tuple[int, ...]) -> tuple[WindowSpec, int]:
    """Return the engine's own way, with windows of no other size, and the axis across slices."""
    window = WindowSpec(size=size, overlap=_overlap(inferer, 0.5), multiple_of=max(size), multiples=size)
    across = inferer.whole("across") if "across" in inferer.values else 2
    if across not in (0, 1, 2):
        raise inferer.error("across", f"expected 0, 1 or 2, got {across}")
    return window, across


def _overlap(inferer: Table, usual: float) -> float:
    """Return the overlap of windows, which MONAI also takes by axis."""
    given = inferer.values.get("overlap", usual)
    if not isinstance(given, list):
        return inferer.number("overlap", usual)
    each = set(inferer.numbers("overlap"))
    if len(each) != 1:
        raise inferer.error("overlap", f"expected the same for every axis, got {given}")
    return each.pop()


def _dimensions(network: str, constructor: Mapping[str, object], size: tuple[int, ...]) -> int:
    """Return the spatial axes of a network; of one of ours that does not say it, those of its windows."""
    fallback = 3 if network.startswith(MONAI_PREFIX) else len(size)
    dims = constructor.get("spatial_dims", fallback)
    return dims if isinstance(dims, int) else fallback


def _units(
    config: Config, network: str, constructor: Mapping[str, object], size: tuple[int, ...]
) -> tuple[int, ...]:
    """Return what each side of a window must be a multiple of; the window itself where that is not known."""
    network = network.removeprefix(MONAI_PREFIX)
    if network in ("UNet", "AttentionUnet", "DynUNet"):
        units = _strides(config, constructor.get("strides", ()), len(size)) or size
    elif network == "SegResNet":
        blocks = constructor.get("blocks_down", (1, 2, 2, 4))
        units = (2 ** (len(blocks) - 1),) * len(size) if isinstance(blocks, tuple) else size
    elif network in ("BasicUNet", "VNet"):
        units = (16,) * len(size)
    elif network == "SwinUNETR":
        units = (32,) * len(size)
    else:
        units = size
    return units if all(side % unit == 0 for side, unit in zip(size, units, strict=True)) else size


def _strides(config: Config, given: object, dims: int) -> tuple[int, ...]:
    """Return the product of a network's strides along each axis; nothing if there are none."""
    levels = given if isinstance(given, tuple) else (given,)
    by_axis = [level if isinstance(level, tuple) else (level,) * dims for level in levels]
    whole = all(type(stride) is int and stride > 0 for level in by_axis for stride in level)
    if not whole or any(len(level) != dims for level in by_axis):
        raise config.error(
            "network_def.strides", f"expected a list of numbers from 1, or of {dims} each, got {given!r}"
        )
    return tuple(math.prod(axis) for axis in zip(*by_axis, strict=True))
