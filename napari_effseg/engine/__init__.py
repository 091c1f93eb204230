"""Volume in, LabelMap out. No paths, file formats, threads or windows: progress and cancel are callables."""

from .calibration import fit_temperature
from .choose import Roi, best_of, fits, misfit
from .device import DeviceInfo, available_devices, resolve_device
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
    "available_devices",
    "best_of",
    "fit_temperature",
    "fits",
    "misfit",
    "plan_segmentation",
    "prepare",
    "resolve",
    "resolve_device",
    "segment",
    "segment_with",
]
