"""What there is to choose from: the series in a folder or among files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import EffsegError
from ...types import PathLike, SpatialShape
from ._frames import Content
from ._grid import gather_places, placed, slices_of
from ._scan import Scan, scan
from ._stacks import Stack, main_stacks, split_into_stacks
from ._times import split_times

__all__ = ["SeriesInfo", "by_series", "list_series", "series_in", "stacks_of", "words_of"]

_MOST_LISTED = 12


@dataclass(frozen=True)
class SeriesInfo:
    """A series, or one stack of a series that holds several, as a user chooses it.

    Parameters
    ----------
    uid : str
        What to give as ``series=``: the Series Instance UID, with ``#1``, ``#2``, ... behind it where one
        series holds several stacks that cannot be one volume.
    description, modality : str
        As the header has them, "" where it does not.
    images : int
        Number of images; 0 for what is none.
    shape : (I, J, K) or None
        Voxels of one volume, where that is clear from the headers.
    why_not : str
        A sentence where it cannot be loaded, else "".
    files : tuple of Path
        Where it is stored: ``load(info.files, series=info.uid)`` looks at no other file.
    """

    uid: str
    description: str
    modality: str
    images: int
    shape: SpatialShape | None
    why_not: str
    files: tuple[Path, ...]

    @property
    def words(self) -> str:
        """Description, modality and number of images, on one line."""
        images = f"{self.images} image" + ("s" if self.images != 1 else "")
        return ", ".join(part for part in (self.description, self.modality, images) if part)


def list_series(path: PathLike | Sequence[PathLike]) -> tuple[SeriesInfo, ...]:
    """List what a folder, or some files, hold in DICOM series; no pixels are read.

    Parameters
    ----------
    path : path-like or sequence of them
        A folder, looked at with its sub-folders, or files.

    Returns
    -------
    tuple of SeriesInfo
        In the order in which they are found; what is no image comes last, with the reason in `why_not`.

    Raises
    ------
    ImageReadError
        If a path is missing, or a file that was named is no DICOM file.
    """
    single = isinstance(path, (str, os.PathLike))
    return series_in(scan(Path(path) if single else [Path(one) for one in path]))  # type: ignore[arg-type, union-attr]


def series_in(found: Scan) -> tuple[SeriesInfo, ...]:
    """List the series among files whose headers were read, as `list_series` does."""
    infos = [info for group in by_series(found.contents) for info in _infos(group)]
    return tuple(sorted(infos, key=lambda info: bool(info.why_not)))


def by_series(contents: Iterable[Content]) -> list[list[Content]]:
    """Group by UID; images apart from what else goes by the same UID."""
    groups: dict[tuple[str, bool], list[Content]] = {}
    for content in contents:
        groups.setdefault((content.series_uid, content.is_image), []).append(content)
    return list(groups.values())


def _infos(group: Sequence[Content]) -> list[SeriesInfo]:
    reasons = [f"{content.path}: {content.why_not}" for content in group if content.why_not]
    if reasons:
        images = sum(max(1, len(content.frames)) for content in group) if group[0].is_image else 0
        return [_info(group, "", images, None, reasons[0])]
    stacks = main_stacks(stacks_of(group))
    if len(stacks) == 1:
        return [_info(group, "", len(stacks[0].frames), *_shape(stacks[0]))]
    infos = []
    for number, stack in enumerate(stacks, 1):
        info = _info(group, f"#{number}", len(stack.frames), *_shape(stack))
        words = f"{info.description}: {stack.words}" if info.description else stack.words
        infos.append(replace(info, description=words))
    return infos


def _info(
    group: Sequence[Content], suffix: str, images: int, shape: SpatialShape | None, why_not: str
) -> SeriesInfo:
    first = group[0]
    files = tuple(content.path for content in group)
    return SeriesInfo(
        first.series_uid + suffix, first.description, first.modality, images, shape, why_not, files
    )


def stacks_of(group: Iterable[Content]) -> tuple[Stack, ...]:
    """Every stack among the files of a series, the largest first."""
    return split_into_stacks(frame for content in group for frame in content.frames)


def _shape(stack: Stack) -> tuple[SpatialShape | None, str]:
    """Shape of one volume of a stack, as far as the headers say, or why there is none."""
    try:
        places = gather_places(placed(stack)[0].frames)
        times = split_times(places)
        if times is None:
            return None, ""  # whether they are copies is for the pixels to say
        return slices_of(times.frames[0]).grid.shape, ""
    except EffsegError as err:
        return None, str(err)


def words_of(groups: Sequence[Sequence[Content]]) -> str:
    """One line with what can be chosen."""
    infos = [info for group in groups for info in _infos(group)]
    shown = "; ".join(f"{info.uid or 'no UID'} ({info.words})" for info in infos[:_MOST_LISTED])
    return shown + (f"; and {len(infos) - _MOST_LISTED} more" if len(infos) > _MOST_LISTED else "")
