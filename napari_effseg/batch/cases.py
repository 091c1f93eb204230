"""What is a case: an image of a folder, a DICOM series, nnU-Net's channels, BIDS, or a line of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ..errors import CardError, ConfigError, ImageReadError
from ..types import IndexBox
from ..zoo import Card, find_card

__all__ = ["Case", "Found", "Wanted", "check_name", "find_cases", "require_card", "roles_of", "some"]

_SHOWN = 3
_FORBIDDEN = set('<>:"|?*\\')  # Windows allows none of them in a name


@dataclass(frozen=True)
class Case:
    """The files of one case and what is to be done with them.

    Attributes
    ----------
    name : str
        Unique among the cases; "/" separates folders. Results are named after it.
    files : tuple of Path
        One image, or one a channel; the first gives the grid.
    card : Card
        The model that segments it.
    roles : tuple of str
        Of the channels, where there are several files.
    roi : tuple of boxes
        Regions to label, half-open, in stored indices; empty for the whole image.
    frame, series, level
        As `load` takes them.
    is_bids : bool
        Whether results are named and laid out as a BIDS derivative.
    problem : str
        A sentence on why it cannot be segmented, where that is known before anything is read.
    """

    name: str
    files: tuple[Path, ...]
    card: Card
    roles: tuple[str, ...] = ()
    roi: tuple[IndexBox, ...] = ()
    frame: int | None = None
    series: str | None = None
    level: int | None = None
    is_bids: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which images are wanted, and what is done with all of them alike.

    Attributes
    ----------
    model : str, path or None
        For every case; a table may name one on each line instead.
    pattern : str or None
        Of file names, such as ``*_T1w.nii.gz``; with a "/" of paths below the folder.
    bids_suffix : str or None
        Of BIDS images, such as ``T1w``.
    roi : tuple of boxes
    frame : int or None
    """

    model: str | Path | None = None
    pattern: str | None = None
    bids_suffix: str | None = None
    roi: tuple[IndexBox, ...] = ()
    frame: int | None = None


@dataclass(frozen=True)
class Found:
    """Cases by rising name (a table's in its own order), and sentences on what was left out."""

    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_bids(self) -> bool:
        """Whether results make a BIDS derivative."""
        return any(case.is_bids for case in self.cases)


def find_cases(source: Path, wanted: Wanted, output: Path) -> Found:
    """Find the cases of a folder or a table; no voxel is read.

    Parameters
    ----------
    source : Path
        A folder, or a ``.csv`` or ``.tsv`` file.
    wanted : Wanted
    output : Path
        The folder of results, which is not looked into.

    Raises
    ------
    ConfigError
        If there is no case, two have one name, or a table or an option breaks a rule.
    ImageReadError
        If there is no such folder or file.
    UnknownModel, CardError
        If there is no such model, or it answers clicks.
    """
    if source.is_dir():
        found = _in_folder(source, wanted, output)
    elif source.is_file() and source.suffix.lower() in (".csv", ".tsv"):
        from .table import cases_of_table

        found = cases_of_table(source, wanted)
    else:
        missing = "is no folder and no table (.csv or .tsv)" if source.exists() else "does not exist"
        raise ImageReadError(f"{source} {missing}; give a folder of images or a table of cases")
    _refuse_one_name(found.cases)
    given = (
        replace(case, roi=case.roi or wanted.roi, frame=_first(case.frame, wanted.frame))
        for case in found.cases
    )
    return Found(tuple(given), found.notes)


def _in_folder(source: Path, wanted: Wanted, output: Path) -> Found:
    from .bids import bids_cases, looks_like_bids
    from .folder import folder_cases

    if wanted.model is None:
        raise ConfigError("no model was named; name one for all cases with -m, or one a line in a table")
    if _same(source, output):
        raise ConfigError(f"{output} is the folder of the images itself; give another one for the results")
    card = require_card(wanted.model)
    if looks_like_bids(source):
        return bids_cases(source, wanted, card)
    if wanted.bids_suffix is not None:
        raise ConfigError(
            f"{source} is no BIDS data set: it has no folders sub-*/ with images; leave out the suffix"
        )
    return folder_cases(source, wanted, card, output)


def require_card(model: str | Path) -> Card:
    """Return the card of an automatic model, wherever a worker may look for it.

    Raises
    ------
    UnknownModel, CardError
        If there is none, or it answers clicks.
    """
    card = find_card(model)
    if card.task != "automatic":
        raise CardError(f"{card.name} answers clicks and segments nothing by itself; name another model")
    return card if card.path is None else replace(card, path=card.path.absolute())


def roles_of(card: Card) -> list[str]:
    """Return the roles of a card's channels, as files are named by them."""
    return [channel.role.lower() for channel in card.input.channels]


def check_name(name: str) -> str:
    """Return the name of a case if a path below the folder of results can be made of it.

    Raises
    ------
    ConfigError
        If it is empty, absolute, leads out of the folder, or cannot be a file's name everywhere.
    """
    path = PurePosixPath(name)
    parts = name.split("/")
    odd = any(mark in _FORBIDDEN or not mark.isprintable() for mark in name)
    if odd or path.is_absolute() or any(part.strip(" .") != part or not part for part in parts):
        raise ConfigError(
            f"{name!r} cannot name a case; expected letters, digits, - and _, with / between folders"
        )
    return name


def some(names: Iterable[object]) -> str:
    """Return the first few of many, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _refuse_one_name(cases: Sequence[Case]) -> None:
    """Refuse two cases whose results would be one file, on Windows and macOS too."""
    if not cases:
        raise ConfigError("there is no case: nothing that was found is an image that can be read")
    counts = Counter(case.name.casefold() for case in cases)
    twice = [case for case in cases if counts[case.name.casefold()] > 1]
    if twice:
        raise ConfigError(
            f"several cases have one name: {some(f'{case.name} ({case.files[0].name})' for case in twice)}; "
            "choose some with --pattern, or name them in a table"
        )


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
