"""Files <-> Volume and LabelMap: `load`, `load_labels`, `save`; one module a format."""

from ._formats import container_of, ending_of, format_for_writing, stem_of
from .dicom import SeriesInfo, list_series
from .reading import are_slices, load, load_grid, load_labels
from .writing import LABELS_ONLY, check_reference, save

__all__ = [
    "LABELS_ONLY",
    "SeriesInfo",
    "are_slices",
    "check_reference",
    "container_of",
    "ending_of",
    "format_for_writing",
    "list_series",
    "load",
    "load_grid",
    "load_labels",
    "save",
    "stem_of",
]
