"""Volume in, LabelMap out. No paths, file formats, threads or windows: progress and cancel are callables."""

from .calibration import fit_temperature
from .choose import Roi, best_of, choose_card, fits, misfit, regions_of
from .device import DeviceInfo, available_devices, resolve_device
from .needs import Needs, known_by, needs_of, observed
from .plan import Plan, PlanOptions, resolve
from .preprocess import Prepared, prepare
from .report import Report, Result
from .segmenter import plan_segmentation, segment, segment_with
from .several import Combined, combine, part_of, together

__all__ = [
    "Combined",
    "DeviceInfo",
    "Needs",
    "Plan",
    "PlanOptions",
    "Prepared",
    "Report",
    "Result",
    "Roi",
    "available_devices",
    "best_of",
    "choose_card",
    "combine",
    "fit_temperature",
    "fits",
    "known_by",
    "misfit",
    "needs_of",
    "observed",
    "part_of",
    "plan_segmentation",
    "prepare",
    "regions_of",
    "resolve",
    "resolve_device",
    "segment",
    "segment_with",
    "together",
]
