"""DICOM series: found by UID, sorted by position, decoded one slice at a time.

Positions and directions are DICOM's LPS until the affine is built, in one place (`_grid`). The way of a
folder: `_scan` reads headers, `_frames` makes a record of each frame, `_listing` and `_series` choose,
`_stacks` and `_times` split what one series may mix, `_grid` lays the slices out, `_plan` decides and
`_pixels` decodes.
"""

from ._listing import SeriesInfo, list_series
from ._scan import are_series_each
from ._volume import read, read_grid

__all__ = ["SeriesInfo", "are_series_each", "list_series", "read", "read_grid"]
