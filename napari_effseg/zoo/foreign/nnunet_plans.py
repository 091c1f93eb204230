"""nnU-Net's ``plans.json``: one configuration with what it inherits, and its intensity rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import nearest_names
from ..card import IntensityRule
from ._tables import Table

__all__ = ["Configuration", "configuration_of", "intensity_rules"]

_RESAMPLING = "resample_data_or_seg_to_shape"
_NO_RESAMPLING = "no_resampling_data_or_seg_to_shape"
_DATA = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
_SCORES = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}


@dataclass(frozen=True)
class Configuration:
    """One configuration of the plans, what it inherits filled in.

    Attributes
    ----------
    name : str
        Such as "3d_fullres".
    table : Table
    patch : tuple of int
        Voxels of a window.
    spacing : tuple of float, or None
        Millimetres a voxel, one for each side of the patch; None: images are not resampled.
    """

    name: str
    table: Table
    patch: tuple[int, ...]
    spacing: tuple[float, ...] | None


def configuration_of(plans: Table, name: str) -> Configuration:
    """Read a configuration, refusing what is done otherwise here.

    Raises
    ------
    CardError
        If there is none of this name, it is the second stage of a cascade, or it has its own preprocessor,
        resampling or label rules.
    """
    table = _inherited(plans.table("configurations"), name, ())
    if table.values.get("previous_stage"):
        raise table.error(
            "previous_stage",
            f"{name} is the second stage of a cascade, which needs the result of "
            f"{table.values['previous_stage']}; cascades are not supported, add 3d_fullres or 3d_lowres",
        )
    manager = plans.text("label_manager", "LabelManager")
    if manager != "LabelManager":
        raise plans.error("label_manager", f"{manager} is not supported, only LabelManager")
    preprocessor = table.text("preprocessor_name", "DefaultPreprocessor")
    if preprocessor != "DefaultPreprocessor":
        raise table.error("preprocessor_name", f"{preprocessor} is not supported, only DefaultPreprocessor")
    resamples = _check_resampling(table)
    patch, spacing = table.wholes("patch_size"), table.numbers("spacing")
    if len(patch) not in (2, 3) or len(spacing) != len(patch):
        raise table.error("patch_size", f"expected two or three sides and as many spacings, got {patch}")
    return Configuration(name, table, patch, spacing if resamples else None)


def _inherited(configurations: Table, name: str, seen: tuple[str, ...]) -> Table:
    if name not in configurations.values or name in seen:
        near = nearest_names(name, configurations.values)
        raise configurations.error(name, f"no such configuration.{near}")
    table = configurations.table(name)
    parent = table.values.get("inherits_from")
    if not isinstance(parent, str):
        return table
    base = _inherited(configurations, parent, (*seen, name))
    return Table({**base.values, **table.values}, table.source, table.field)


def _check_resampling(table: Table) -> bool:
    """Return whether images are resampled, refusing all but nnU-Net's default way."""
    found = []
    for kind, expected in (("data", _DATA), ("probabilities", _SCORES)):
        key = f"resampling_fn_{kind}"
        function = table.text(key, _RESAMPLING)
        if function not in (_RESAMPLING, _NO_RESAMPLING):
            raise table.error(key, f"{function} is not supported, only {_RESAMPLING}")
        found.append(function == _RESAMPLING)
        given = table.values.get(f"{key}_kwargs", expected)
        if found[-1] and isinstance(given, Mapping) and {**expected, **given} != expected:
            raise table.error(f"{key}_kwargs", f"only {expected} is supported, got {dict(given)}")
    if found[0] != found[1]:
        raise table.error("resampling_fn_data", "images are resampled one way and results another")
    return found[0]


def intensity_rules(plans: Table, configuration: Configuration, channels: int) -> tuple[IntensityRule, ...]:
    """Return the intensity rule of each channel.

    Raises
    ------
    CardError
        If there are not as many schemes as channels, or one is not nnU-Net's own.
    """
    table = configuration.table
    schemes, masked = table.values.get("normalization_schemes"), table.values.get("use_mask_for_norm")
    if not isinstance(schemes, list) or len(schemes) != channels:
        raise table.error("normalization_schemes", f"expected {channels}, one for each channel")
    if not isinstance(masked, list) or len(masked) != channels:
        raise table.error("use_mask_for_norm", f"expected {channels}, one for each channel")
    return tuple(
        _rule(str(scheme), bool(masked[index]), plans, table, index) for index, scheme in enumerate(schemes)
    )


def _rule(scheme: str, masked: bool, plans: Table, table: Table, index: int) -> IntensityRule:
    if scheme == "ZScoreNormalization":
        return IntensityRule("zscore", where="inside" if masked else "everywhere")
    if scheme == "CTNormalization":
        key = "foreground_intensity_properties_per_channel"
        key = key if key in plans.values else "foreground_intensity_properties_by_modality"
        found = plans.table(key).table(str(index))
        return IntensityRule(
            "fixed_zscore",
            lower=found.number("percentile_00_5"),
            upper=found.number("percentile_99_5"),
            mean=found.number("mean"),
            std=found.number("std"),
        )
    if scheme == "RescaleTo01Normalization":
        return IntensityRule("rescale")
    if scheme == "RGBTo01Normalization":
        return IntensityRule("scale", lower=0.0, upper=255.0, clip=False)
    if scheme == "NoNormalization":
        return IntensityRule("none")
    raise table.error(f"normalization_schemes[{index}]", f"{scheme} is not supported")
