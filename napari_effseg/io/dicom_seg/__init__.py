"""DICOM SEG: label maps as segments of a DICOM series, and back.

A SEG says by itself where its frames lie, so it is read without the series; written, it must say to which
study and series it belongs, and every frame lies where a slice of that series does. Axes are those of the
series, i = column, j = row, k = slice, whatever the order of the label map.
"""

from ._lay_out import check_series, lay_out
from ._read import read_labels
from ._write import write

__all__ = ["check_series", "lay_out", "read_labels", "write"]
