"""The network that nnU-Net's plans and trainer mean, as one of ours; nothing is imported by its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._layouts import infer_constructor
from ..card import ConstructorValue
from ._tables import Table
from .nnunet_plans import Configuration

if TYPE_CHECKING:
    import torch

__all__ = ["NetworkPlan", "network_of"]

_ARCHITECTURES = {
    "PlainConvUNet": ("plain", "n_conv_per_stage"),
    "ResidualEncoderUNet": ("residual", "n_blocks_per_stage"),
}
_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch"}
_ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu"}
_UMAMBA = {"nnUNetTrainerUMambaBot": "bottleneck", "nnUNetTrainerUMambaEnc": "encoder"}
_UMAMBA_ENDINGS = ("NoAMP",)
_LIGHTM = "nnUNetTrainerLightMUNet"
_LIGHTM_LEVELS = 4


@dataclass(frozen=True)
class NetworkPlan:
    """One of our networks with its arguments.

    Attributes
    ----------
    name : str
        A name of `nets.names()`.
    constructor : dict
    multiples : tuple of int
        What each side of a window must be a multiple of.
    """

    name: str
    constructor: dict[str, ConstructorValue]
    multiples: tuple[int, ...]

    def own_names(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a state dict without the names that hold a tensor a second time, where ours has none."""
        from ...nets.nnunet import is_second_name

        if self.name != "nnunet":
            return dict(state)
        return {key: value for key, value in state.items() if not is_second_name(key)}


def network_of(
    configuration: Configuration, trainer: str, channels: int, heads: int, state: Mapping[str, torch.Tensor]
) -> NetworkPlan:
    """Find the network among ours.

    Parameters
    ----------
    configuration : Configuration
    trainer : str
        Name of the trainer's class; those of U-Mamba and LightM-UNet have networks of their own.
    channels, heads : int
        Input and output channels.
    state : mapping of str to Tensor
        A fold's; its shapes tell the arguments that plans do not have.

    Raises
    ------
    CardError
        If it is none of ours, or has parts that ours lack.
    """
    plain = trainer
    for ending in _UMAMBA_ENDINGS:
        plain = plain.removesuffix(ending)
    if plain in _UMAMBA:
        return _umamba(configuration, _UMAMBA[plain], channels, heads)
    if trainer == _LIGHTM:
        return _lightm(configuration, state)
    if "architecture" in configuration.table.values:
        return _planned(configuration, channels, heads)
    return _planned_of_old(configuration, channels, heads)


def _planned(configuration: Configuration, channels: int, heads: int) -> NetworkPlan:
    """Read plans of nnU-Net 2.3 and later, which name the network's class and its arguments."""
    table = configuration.table.table("architecture")
    kind = table.text("network_class_name").rpartition(".")[2]
    if kind not in _ARCHITECTURES:
        raise table.error(
            "network_class_name", f"{kind} is not supported; these are: {', '.join(_ARCHITECTURES)}"
        )
    variant, counts = _ARCHITECTURES[kind]
    arguments = table.table("arch_kwargs")
    _refuse_parts(arguments)
    norm = arguments.values.get("norm_op_kwargs")
    settings = norm if isinstance(norm, Mapping) else {}
    constructor: dict[str, ConstructorValue] = {
        **_common(configuration, arguments, variant, channels, heads),
        "n_conv_per_stage": arguments.wholes(counts),
        "n_conv_per_stage_decoder": arguments.wholes("n_conv_per_stage_decoder"),
        "conv_bias": bool(arguments.values.get("conv_bias", False)),
        "norm": _named(arguments, "norm_op", _NORMS),
        "norm_eps": Table(settings, arguments.place("norm_op_kwargs")).number("eps", 1e-5),
        "norm_affine": bool(settings.get("affine", "Batch" in arguments.text("norm_op"))),
        "activation": _named(arguments, "nonlin", _ACTIVATIONS),
    }
    return NetworkPlan("nnunet", constructor, _multiples(constructor))


def _refuse_parts(arguments: Table) -> None:
    """Refuse arguments that change the network and that ours does not have; dropout changes no result."""
    for key, harmless in (
        ("nonlin_first", (None, False)),
        ("block", (None, "BasicBlockD")),
        ("bottleneck_channels", (None,)),
        ("stem_channels", (None,)),
    ):
        value = arguments.values.get(key)
        value = value.rpartition(".")[2] if isinstance(value, str) else value
        if value not in harmless:
            raise arguments.error(key, f"{value} is not supported")
    slope = arguments.values.get("nonlin_kwargs")
    if isinstance(slope, Mapping) and set(slope) - {"inplace"}:
        raise arguments.error("nonlin_kwargs", f"only inplace is supported, got {dict(slope)}")


def _named(arguments: Table, key: str, known: Mapping[str, str]) -> str:
    """Return our name of a layer whose class is given by its dotted name."""
    given = arguments.text(key).rpartition(".")[2]
    found = known.get(given.rstrip("123d") if given.endswith("d") else given)
    if found is None:
        raise arguments.error(key, f"{given} is not supported; these are: {', '.join(known)}")
    return found


def _common(
    configuration: Configuration, arguments: Table, variant: str, channels: int, heads: int
) -> dict[str, ConstructorValue]:
    return {
        "variant": variant,
        "spatial_dims": len(configuration.patch),
        "input_channels": channels,
        "num_classes": heads,
        "features_per_stage": arguments.wholes("features_per_stage"),
        "kernel_sizes": _by_axis(arguments, "kernel_sizes", len(configuration.patch)),
        "strides": _by_axis(arguments, "strides", len(configuration.patch)),
    }


def _by_axis(arguments: Table, key: str, dims: int) -> tuple[object, ...]:
    found = arguments.values.get(key)
    if not isinstance(found, list):
        raise arguments.error(key, "expected a list, one entry for each level")
    levels = Table({str(index): entry for index, entry in enumerate(found)}, arguments.place(key))
    given = tuple(
        levels.wholes(name) if isinstance(entry, list) else levels.whole(name)
        for name, entry in levels.values.items()
    )
    if not given or any(isinstance(entry, tuple) and len(entry) != dims for entry in given):
        raise arguments.error(key, f"expected a number or {dims} numbers for each level, got {found}")
    return given


def _old_arguments(configuration: Configuration) -> Table:
    """Return plans of nnU-Net before 2.3, which describe a U-Net, in the words of later ones."""
    table = configuration.table
    kernels = table.values.get("conv_kernel_sizes")
    if not isinstance(kernels, list):
        raise table.error("conv_kernel_sizes", "expected a list, one entry for each level")
    base, most = table.whole("UNet_base_num_features"), table.whole("unet_max_num_features")
    values: dict[str, object] = {
        "features_per_stage": [min(base * 2**level, most) for level in range(len(kernels))],
        "kernel_sizes": kernels,
        "strides": table.values.get("pool_op_kernel_sizes"),
    }
    return Table(values, table.source, table.field)


def _planned_of_old(configuration: Configuration, channels: int, heads: int) -> NetworkPlan:
    table = configuration.table
    kind = table.text("UNet_class_name")
    if kind not in _ARCHITECTURES:
        raise table.error(
            "UNet_class_name", f"{kind} is not supported; these are: {', '.join(_ARCHITECTURES)}"
        )
    constructor: dict[str, ConstructorValue] = {
        **_common(configuration, _old_arguments(configuration), _ARCHITECTURES[kind][0], channels, heads),
        "n_conv_per_stage": table.wholes("n_conv_per_stage_encoder"),
        "n_conv_per_stage_decoder": table.wholes("n_conv_per_stage_decoder"),
    }
    return NetworkPlan("nnunet", constructor, _multiples(constructor))


def _umamba(configuration: Configuration, variant: str, channels: int, heads: int) -> NetworkPlan:
    table = configuration.table
    constructor: dict[str, ConstructorValue] = {
        **_common(configuration, _old_arguments(configuration), variant, channels, heads),
        "n_conv_per_stage": table.wholes("n_conv_per_stage_encoder"),
        "n_conv_per_stage_decoder": table.wholes("n_conv_per_stage_decoder"),
    }
    if variant == "encoder":
        constructor["input_size"] = configuration.patch
    return NetworkPlan("u-mamba", constructor, _multiples(constructor))


def _lightm(configuration: Configuration, state: Mapping[str, torch.Tensor]) -> NetworkPlan:
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    constructor = infer_constructor("lightm-unet", shapes)
    if constructor is None:
        raise configuration.table.error("trainer", f"{_LIGHTM}, but the checkpoint is no LightM-UNet")
    levels = constructor["blocks_down"]
    depth = len(levels) if isinstance(levels, tuple) else _LIGHTM_LEVELS
    return NetworkPlan("lightm-unet", constructor, (2 ** (depth - 1),) * len(configuration.patch))


def _multiples(constructor: Mapping[str, object]) -> tuple[int, ...]:
    strides, dims = constructor["strides"], constructor["spatial_dims"]
    assert isinstance(strides, tuple)
    assert isinstance(dims, int)
    levels = [(level,) * dims if isinstance(level, int) else level for level in strides]
    return tuple(math.prod(axis) for axis in zip(*levels, strict=True))
