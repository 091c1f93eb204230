"""Volume in, LabelMap out. No paths, file formats, threads or windows: progress and cancel are callables."""

from .calibration import fit_temperature
from .choose import Roi, fits
from .device import DeviceInfo, resolve_device
from .plan import Plan, PlanOptions, resolve
from .preprocess import Prepared, prepare
from .report import Report, Result
from .segmenter import plan_segmentation, segment, segment_with

__all__ = [
    "DeviceInfo",
    "Plan",
    "PlanOptions",
    "Prepared",
    "Report",
    "Result",
    "Roi",
    "fit_temperature",
    "fits",
    "plan_segmentation",
    "prepare",
    "resolve",
    "resolve_device",
    "segment",
    "segment_with",
]
