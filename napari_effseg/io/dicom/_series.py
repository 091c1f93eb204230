"""Which series is meant, and which stack of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ImageReadError, nearest_names
from ._frames import Content
from ._listing import by_series, stacks_of, words_of
from ._scan import Scan
from ._stacks import Stack, main_stacks

__all__ = ["Chosen", "choose"]

_MOST_NAMED = 3


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
    images = [group for group in by_series(found.contents) if group[0].is_image]
    if not images:
        raise _no_image(found)
    if series is None and len(images) > 1:
        raise ImageReadError(
            f"{found.where}: holds {len(images)} series and none was chosen; "
            f"give one of these as series= (--series): {words_of(images)}"
        )
    uid, _, number = (series or images[0][0].series_uid).partition("#")
    group = next((group for group in images if group[0].series_uid == uid), None)
    other = next((content for content in found.contents if content.series_uid == uid), None)
    if group is None and other is not None:
        raise ImageReadError(f"{other.path}: {other.why_not}")
    if group is None:
        known = [group[0].series_uid for group in images]
        near = nearest_names(uid, known) if len(known) > 1 else ""
        raise ImageReadError(f"{found.where}: holds no series {uid}.{near} It has: {words_of(images)}")
    return _chosen(found, group, number)


def _chosen(found: Scan, group: Sequence[Content], number: str) -> Chosen:
    for content in group:
        if content.why_not:
            raise ImageReadError(f"{content.path}: {content.why_not}")
    everything = stacks_of(group)
    stacks = main_stacks(everything)
    if number and not (number.isdecimal() and 1 <= int(number) <= len(stacks)):
        raise ImageReadError(f"{found.where}: the series has no stack #{number}; it has: {words_of([group])}")
    if not number and len(stacks) > 1:
        raise ImageReadError(
            f"{found.where}: the series holds {len(stacks)} stacks of other size or direction, and none "
            f"was chosen; give one of these as series= (--series): {words_of([group])}"
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
    words = "; ".join(
        f"each of {number} files {reason}" if number > 1 else f"1 file {reason}"
        for reason, number in reasons.most_common(_MOST_NAMED)
    )
    return ImageReadError(f"{found.where}: holds DICOM files, but no image: {words}")
