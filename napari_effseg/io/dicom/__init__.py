"""DICOM series: found by UID, sorted by position, decoded one slice at a time.

Positions and directions are DICOM's LPS until the affine is built, in one place (`_grid`). The way of a
folder: `_files` finds headers, `_frames` makes a record of each frame, `_series` chooses, `_stacks` and
`_times` split what one series may mix, `_grid` lays the slices out, `_plan` decides, `_pixels` decodes.
"""

from ._files import looks_like_dicom
from ._series import SeriesInfo, list_series
from ._volume import read, read_grid, read_labels

__all__ = ["SeriesInfo", "list_series", "looks_like_dicom", "read", "read_grid", "read_labels"]
