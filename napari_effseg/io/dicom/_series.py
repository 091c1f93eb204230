"""The series in a folder or among files: what there is, and which is meant."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import EffsegError, ImageReadError, nearest_names
from ...types import PathLike, SpatialShape
from ._files import files_in, looks_like_dicom, read_header
from ._frames import TAGS, Content, content_of
from ._grid import gather_places, placed, slices_of
from ._kinds import UNKNOWN_KIND
from ._silence import hushed
from ._stacks import Stack, main_stacks, split_into_stacks
from ._times import split_times
from ._values import text

__all__ = ["Chosen", "Scan", "SeriesInfo", "are_series_each", "choose", "list_series", "scan", "series_in"]

_MOST_LISTED = 12
_MOST_NAMED = 3


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


@dataclass(frozen=True)
class Scan:
    """What the files of a folder hold.

    Parameters
    ----------
    where : Path
        For messages.
    contents : tuple of Content
    damaged : tuple of str
        Sentences about files that are DICOM but cannot be read.
    """

    where: Path
    contents: tuple[Content, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Chosen:
    """The stack that will be the volume.

    Parameters
    ----------
    where : Path
        For messages.
    stack : Stack
    modality : str
    warnings : tuple of str
    """

    where: Path
    stack: Stack
    modality: str
    warnings: tuple[str, ...]


def scan(path: Path | Sequence[Path]) -> Scan:
    """Read the headers of a file, of several, or of all files in a folder and below.

    A file that is named must be DICOM; in a folder, what is not DICOM is passed over.

    Raises
    ------
    ImageReadError
        If a path is missing, or a file that was named is no DICOM file.
    """
    if isinstance(path, Path) and (path.is_dir() or path.name.upper() == "DICOMDIR"):
        folder = path if path.is_dir() else path.parent
        return _scan(folder, (file for file in files_in(folder) if looks_like_dicom(file)), named=False)
    paths = [path] if isinstance(path, Path) else list(path)
    return _scan(paths[0] if len(paths) == 1 else paths[0].parent, paths, named=True)


def _scan(where: Path, paths: Iterable[Path], *, named: bool) -> Scan:
    contents, damaged = [], []
    for path in paths:
        try:
            content = content_of(read_header(path, TAGS))
        except ImageReadError as err:
            if named:
                raise
            damaged.append(str(err))
            continue
        if named or not _is_remnant(content):
            contents.append(content)
        else:
            damaged.append(f"{path}: {content.why_not}")
    return Scan(where, tuple(contents), tuple(damaged))


def _is_remnant(content: Content) -> bool:
    """Whether a file may be what is left of a slice, cut off before it says to which series it belongs."""
    return content.why_not == UNKNOWN_KIND or (
        content.is_image and not content.series_uid and not content.frames
    )


def are_series_each(paths: Iterable[Path]) -> bool:
    """Whether every one of these files belongs to another series.

    Raises
    ------
    ImageReadError
        If one is no DICOM file.
    """
    seen: set[str] = set()
    for path in paths:
        header = read_header(path, ("SeriesInstanceUID",))
        with hushed():
            uid = text(header.dataset, "SeriesInstanceUID")
        if uid in seen:
            return False
        seen.add(uid)
    return True


# --- listing ---


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
    infos = [info for group in _by_series(found.contents) for info in _infos(group)]
    return tuple(sorted(infos, key=lambda info: bool(info.why_not)))


def _by_series(contents: Iterable[Content]) -> list[list[Content]]:
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
    stacks = main_stacks(_stacks(group))
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


def _stacks(group: Iterable[Content]) -> tuple[Stack, ...]:
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


# --- choosing ---


def choose(found: Scan, series: str | None) -> Chosen:
    """Find the stack that is meant.

    Parameters
    ----------
    found : Scan
    series : str or None
        UID, as `SeriesInfo.uid` has it; None where there is one series only.

    Raises
    ------
    ImageReadError
        If there is no image, several series and no choice, no such series, or one of its files cannot be
        read.
    """
    images = [group for group in _by_series(found.contents) if group[0].is_image]
    if not images:
        raise _no_image(found)
    if series is None and len(images) > 1:
        raise ImageReadError(
            f"{found.where}: holds {len(images)} series and none was chosen; "
            f"give one of these as series= (--series): {_listed(images)}"
        )
    uid, _, number = (series or images[0][0].series_uid).partition("#")
    group = next((group for group in images if group[0].series_uid == uid), None)
    other = next((content for content in found.contents if content.series_uid == uid), None)
    if group is None and other is not None:
        raise ImageReadError(f"{other.path}: {other.why_not}")
    if group is None:
        known = [group[0].series_uid for group in images]
        near = nearest_names(uid, known) if len(known) > 1 else ""
        raise ImageReadError(f"{found.where}: holds no series {uid}.{near} It has: {_listed(images)}")
    return _chosen(found, group, number)


def _chosen(found: Scan, group: Sequence[Content], number: str) -> Chosen:
    for content in group:
        if content.why_not:
            raise ImageReadError(f"{content.path}: {content.why_not}")
    everything = _stacks(group)
    stacks = main_stacks(everything)
    if number and not (number.isdecimal() and 1 <= int(number) <= len(stacks)):
        raise ImageReadError(f"{found.where}: the series has no stack #{number}; it has: {_listed([group])}")
    if not number and len(stacks) > 1:
        raise ImageReadError(
            f"{found.where}: the series holds {len(stacks)} stacks of other size or direction, and none "
            f"was chosen; give one of these as series= (--series): {_listed([group])}"
        )
    stack = stacks[int(number) - 1 if number else 0]
    warnings = list(_left_out(everything, stacks))
    if found.damaged:
        more = f" and {len(found.damaged) - _MOST_NAMED} more" if len(found.damaged) > _MOST_NAMED else ""
        named = "; ".join(found.damaged[:_MOST_NAMED])
        files = "file was" if len(found.damaged) == 1 else "files were"
        warnings.append(f"{len(found.damaged)} DICOM {files} left out: {named}{more}")
    return Chosen(found.where, stack, group[0].modality, tuple(warnings))


def _left_out(everything: Sequence[Stack], stacks: Sequence[Stack]) -> tuple[str, ...]:
    others = [stack for stack in everything if not any(stack is kept for kept in stacks)]
    if not others:
        return ()
    words = "; ".join(stack.words for stack in others[:_MOST_NAMED])
    count = sum(len(stack.frames) for stack in others)
    return (f"{count} images of the series do not belong to the volume and were left out: {words}",)


def _listed(groups: Sequence[Sequence[Content]]) -> str:
    """One line with what can be chosen."""
    infos = [info for group in groups for info in _infos(group)]
    shown = "; ".join(f"{info.uid or 'no UID'} ({info.words})" for info in infos[:_MOST_LISTED])
    return shown + (f"; and {len(infos) - _MOST_LISTED} more" if len(infos) > _MOST_LISTED else "")


def _no_image(found: Scan) -> ImageReadError:
    if len(found.contents) == 1:
        content = found.contents[0]
        return ImageReadError(f"{content.path}: {content.why_not}")
    if not found.contents and found.damaged:
        return ImageReadError(found.damaged[0])
    if not found.contents:
        return ImageReadError(
            f"{found.where}: is a folder without DICOM files; expected a DICOM series, or an image file"
        )
    reasons = Counter(content.why_not for content in found.contents)
    words = "; ".join(f"{number} that {reason}" for reason, number in reasons.most_common(_MOST_NAMED))
    return ImageReadError(f"{found.where}: holds DICOM files, but no image: {words}")
