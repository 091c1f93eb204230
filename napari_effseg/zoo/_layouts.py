"""What the keys and shapes of a checkpoint tell of its network: constructor arguments, or an unusable layout.

A network whose arguments all show in its state dict gets a function here; the others need ``--config``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from .card import ConstructorValue

Shapes = Mapping[str, tuple[int, ...]]
Constructor = dict[str, ConstructorValue]


def infer_constructor(network: str, shapes: Shapes) -> Constructor | None:
    """Return the constructor arguments that give these keys and shapes, or None if they do not tell.

    Parameters
    ----------
    network : str
        A name of `nets.names()`.
    shapes : mapping of str to shape
        The state dict's keys and shapes.
    """
    infer = _INFER.get(network)
    return infer(shapes) if infer else None


def refused_layout(network: str, shapes: Shapes) -> str | None:
    """Return why a checkpoint of this network cannot be used, if its keys show a layout that we refuse."""
    if network == "lightm-unet" and "convInit.conv.weight" in shapes:
        return (
            "it has the layout of LightM-UNet's first upload (17 March 2024: dense convolutions, "
            "5.4 M parameters in 2D), which the authors withdrew as a mistake; "
            "use a checkpoint of the code of 29 March 2024 or later"
        )
    return None


def _infer_lightm_unet(shapes: Shapes) -> Constructor | None:
    depthwise = shapes.get("convInit.0.conv.weight", ())  # (in, 1, 3, 3[, 3])
    mixing = shapes.get("convInit.1.conv.weight", ())  # (f, in, 1, 1[, 1])
    head = shapes.get("conv_final.2.1.conv.weight", ())  # (out, f, 1, 1[, 1])
    if not len(depthwise) == len(mixing) == len(head) >= 4:
        return None
    return {
        "spatial_dims": len(depthwise) - 2,
        "init_filters": mixing[0],
        "in_channels": mixing[1],
        "out_channels": head[0],
        # Entry 0 of a level is the way down; its blocks are counted from 1.
        "blocks_down": _blocks(shapes, r"down_layers\.(\d+)\.[1-9]\d*\.norm1\.weight"),
        "blocks_up": _blocks(shapes, r"up_layers\.(\d+)\.\d+\.norm1\.weight"),
    }


def _blocks(keys: Collection[str], pattern: str) -> tuple[int, ...]:
    """Return how many keys match at each level; the level is the pattern's group."""
    levels = [int(found[1]) for found in map(re.compile(pattern).fullmatch, keys) if found]
    # No checkpoint has a gap, so that there are at most as many levels as keys.
    return tuple(levels.count(level) for level in range(len(set(levels))))


_INFER: dict[str, Callable[[Shapes], Constructor | None]] = {"lightm-unet": _infer_lightm_unet}
