"""From the stack that was chosen to slices on a grid: copies left out, one volume of several taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ImageReadError
from ...volume import same_grid
from .._arrange import Choice
from ._frames import Frame
from ._grid import Slices, gather_places, placed, slices_of
from ._series import Chosen
from ._times import Times, split_times

__all__ = ["Plan", "plan"]

SamePixels = Callable[[Frame, Frame], bool]

_MOST_NAMED = 3


@dataclass(frozen=True)
class Plan:
    """What will be read.

    Parameters
    ----------
    where : Path
        For messages.
    volumes : tuple of Slices
        One, or, for ``channel="all"`` of a series with several images at each place, one for each channel.
    names : tuple of str
        What each volume is.
    modality : str
    warnings : tuple of str
    """

    where: Path
    volumes: tuple[Slices, ...]
    names: tuple[str, ...]
    modality: str
    warnings: tuple[str, ...]


def plan(chosen: Chosen, choice: Choice, same_pixels: SamePixels) -> Plan:
    """Decide what goes where.

    Parameters
    ----------
    chosen : Chosen
    choice : Choice
        Which of several images at each place; with ``channel="all"`` all of them.
    same_pixels : callable
        Whether two frames hold the same pixels; asked only of those that lie at one place and may be copies.

    Raises
    ------
    ImageReadError
        If nothing tells the images at a place apart, or the chosen frame does not exist.
    """
    stack, unplaced = placed(chosen.stack)
    places, copies = _without_copies(gather_places(stack.frames), same_pixels)
    times = split_times(places)
    if times is None:
        places, more = _without_copies(places, same_pixels, anywhere=True)
        copies += more
        times = split_times(places)
    if times is None:
        raise _not_told_apart(chosen.where, places)
    numbers, said = _pick(times, choice, chosen.where, stack.frames[0].layout.channels)
    if len(numbers) > 1:
        numbers, left_out = _complete(times, numbers, len(places))
        said += left_out
    volumes = tuple(slices_of(times.frames[number]) for number in numbers)
    for volume in volumes[1:]:
        if not same_grid(volume.grid, volumes[0].grid):
            raise ImageReadError(
                f"{chosen.where}: its images at each place do not share a grid; choose one with frame="
            )
    if len(numbers) == 1 and len(times.frames[numbers[0]]) < len(places):
        said += (
            f"it has images at {len(times.frames[numbers[0]])} of the {len(places)} places of the series",
        )
    names = tuple(times.names[number] or f"frame {number}" for number in numbers)
    warnings = (*chosen.warnings, *_named_copies(copies), *unplaced, *said, *volumes[0].warnings)
    return Plan(chosen.where, volumes, names, chosen.modality, warnings)


# --- one of several ---


def _pick(times: Times, choice: Choice, where: Path, channels: int) -> tuple[list[int], tuple[str, ...]]:
    """Which of the images at each place, and what to say about it."""
    count = len(times.frames)
    if count == 1 or choice.frame is not None or channels > 1:
        number, word = choice.frame, "frame"
    elif choice.channel == "all":
        return list(range(count)), ()
    else:
        number, word = choice.channel, "channel"
    if number is None:
        if count == 1:
            return [0], ()
        first = f"frame 0, {times.names[0]}" if times.names[0] else "frame 0"
        return [0], (
            f"the series holds {count} images at each place ({times.words}): the first ({first}) was taken; "
            "frame= (--frame) chooses another",
        )
    if not 0 <= number < count:
        has = f"{count} ({word} 0 to {count - 1}: {times.words})" if count > 1 else "only one (0)"
        raise ImageReadError(f"{where}: {word} {number} was asked for; the series has {has}")
    return [number], ()


def _complete(times: Times, numbers: list[int], places: int) -> tuple[list[int], tuple[str, ...]]:
    """Leave out volumes that lack slices, as the last of a scan that was stopped; not if all do."""
    kept = [number for number in numbers if len(times.frames[number]) == places]
    if not kept or len(kept) == len(numbers):
        return numbers, ()
    short = len(numbers) - len(kept)
    return kept, (f"{short} of {len(numbers)} images at each place lack slices and were left out",)


# --- copies ---


def _without_copies(
    places: Sequence[Sequence[Frame]], same_pixels: SamePixels, *, anywhere: bool = False
) -> tuple[list[list[Frame]], list[Frame]]:
    """Leave out frames with the pixels of another at their place.

    Only what is likely a copy is compared: the same object once more; or, where some places have one image
    only, any other. ``anywhere`` compares all.
    """
    anywhere = anywhere or min(len(frames) for frames in places) == 1
    kept_places, copies = [], []
    for frames in places:
        kept: list[Frame] = []
        for frame in frames:
            alike = [other for other in kept if anywhere or _is_same_object(frame, other)]
            if any(same_pixels(frame, other) for other in alike):
                copies.append(frame)
            else:
                kept.append(frame)
        kept_places.append(kept)
    return kept_places, copies


def _is_same_object(frame: Frame, other: Frame) -> bool:
    return frame.instance_uid == other.instance_uid and frame.index == other.index


def _named_copies(copies: Sequence[Frame]) -> tuple[str, ...]:
    if not copies:
        return ()
    names = ", ".join(frame.path.name for frame in copies[:_MOST_NAMED])
    more = ", ..." if len(copies) > _MOST_NAMED else ""
    are = "image is" if len(copies) == 1 else "images are"
    return (f"{len(copies)} {are} there twice with the same pixels ({names}{more}): the copy was left out",)


def _not_told_apart(where: Path, places: Sequence[Sequence[Frame]]) -> ImageReadError:
    several = [frames for frames in places if len(frames) > 1]
    names = " and ".join(frame.path.name for frame in several[0][:2])
    return ImageReadError(
        f"{where}: {len(several)} of {len(places)} places have several images, and nothing in their "
        f"headers tells which belong together (such as {names}); give the files of one volume"
    )
