"""OME-Zarr images (OME-NGFF 0.4 and 0.5, Zarr 2 and 3), in a folder or a zip file; nothing is fetched.

Metadata are read here, with bounds, and the voxels by the zarr package, when they are needed.
"""

from ._read import Level, levels, read, read_grid, read_labels

__all__ = ["Level", "levels", "read", "read_grid", "read_labels"]
