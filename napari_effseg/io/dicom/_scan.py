"""Read the headers of a folder, or of some files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ImageReadError
from ._files import files_in, looks_like_dicom, read_header
from ._frames import TAGS, Content, content_of
from ._kinds import UNKNOWN_KIND
from ._silence import hushed
from ._values import text

__all__ = ["Scan", "are_series_each", "scan"]


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


def scan(path: Path | Sequence[Path]) -> Scan:
    """Read the headers of a file, of several, or of all files in a folder and below.

    A file that is named must be DICOM; in a folder, what is not DICOM is passed over.

    Raises
    ------
    ImageReadError
        If no path is given, one is missing, or a file that was named is no DICOM file.
    """
    if isinstance(path, Path) and (path.is_dir() or path.name.upper() == "DICOMDIR"):
        folder = path if path.is_dir() else path.parent
        return _scan(folder, (file for file in files_in(folder) if looks_like_dicom(file)), named=False)
    paths = [path] if isinstance(path, Path) else list(path)
    if not paths:
        raise ImageReadError("no file was given; expected at least one")
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
