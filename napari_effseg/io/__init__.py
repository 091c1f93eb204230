"""Files <-> Volume and LabelMap: `load`, `load_labels`, `save`; one module a format."""

from ._formats import format_for_writing, stem_of
from .dicom import SeriesInfo, list_series
from .reading import are_slices, load, load_grid, load_labels
from .writing import save

__all__ = [
    "SeriesInfo",
    "are_slices",
    "format_for_writing",
    "list_series",
    "load",
    "load_grid",
    "load_labels",
    "save",
    "stem_of",
]
