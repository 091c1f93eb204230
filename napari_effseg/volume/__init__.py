"""Arrays with geometry. numpy only (scipy is imported where it is needed); knows no files."""

from .affine import (
    GRID_TOLERANCE_MM,
    Grid,
    affine_axcodes,
    affine_spacing,
    as_affine,
    as_axcodes,
    lps_to_ras,
    ras_to_lps,
    same_grid,
    transform_points,
)
from .blocks import RowReader, blocks_of
from .channels import stack_channels
from .crop import box_shape, clip_box, crop, inner_box, pad, uncrop
from .lazy import LazyArray, LazyView, Voxels, is_lazy, view_of
from .merge import MergedLabels, merge_labels
from .reorient import Reorientation, reorient
from .resample import grid_with_spacing, resample, resample_array
from .volume import Algorithm, Code, LabelMap, Volume
from .windowing import WINDOWS, IntensityWindow, find_window

__all__ = [
    "GRID_TOLERANCE_MM",
    "WINDOWS",
    "Algorithm",
    "Code",
    "Grid",
    "IntensityWindow",
    "LabelMap",
    "LazyArray",
    "LazyView",
    "MergedLabels",
    "Reorientation",
    "RowReader",
    "Volume",
    "Voxels",
    "affine_axcodes",
    "affine_spacing",
    "as_affine",
    "as_axcodes",
    "blocks_of",
    "box_shape",
    "clip_box",
    "crop",
    "find_window",
    "grid_with_spacing",
    "inner_box",
    "is_lazy",
    "lps_to_ras",
    "merge_labels",
    "pad",
    "ras_to_lps",
    "reorient",
    "resample",
    "resample_array",
    "same_grid",
    "stack_channels",
    "transform_points",
    "uncrop",
    "view_of",
]
