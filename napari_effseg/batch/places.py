"""Where the results of a case lie in the folder of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, ExportError
from ..io import format_for_writing
from .bids import derivative_name
from .cases import Case

__all__ = ["BIDS_SUFFIXES", "HIDDEN", "Places", "check_suffix", "places_of"]

HIDDEN = ".effseg-batch"
"""Folder in that of results where files grow until they are whole."""
BIDS_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Places:
    """Paths relative to the folder of results, with "/".

    Attributes
    ----------
    labels, report : str
    overlay : str or None
        None where no picture is wanted.
    """

    labels: str
    report: str
    overlay: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, the labels first."""
        return tuple(name for name in (self.labels, self.report, self.overlay) if name is not None)


def places_of(case: Case, suffix: str, overlay: bool) -> Places:
    """Name the results of a case: ``<case>_seg<suffix>`` as `effseg segment` does, or as BIDS does.

    A ``.seg.nrrd`` says in its ending that it is a segmentation.
    """
    if case.is_bids:
        stem = derivative_name(case.name, case.card.name)
        return Places(f"{stem}{suffix}", f"{stem}.json", f"{stem}.png" if overlay else None)
    ending = suffix if suffix.startswith(".seg") else f"_seg{suffix}"
    picture = f"{case.name}_overlay.png" if overlay else None
    return Places(f"{case.name}{ending}", f"{case.name}_report.json", picture)


def check_suffix(suffix: str, is_bids: bool) -> str:
    """Return an ending that label maps are written with.

    Raises
    ------
    ExportError
        If nothing is written with it.
    ConfigError
        If BIDS does not know it.
    """
    ending = suffix if suffix.startswith(".") else f".{suffix}"
    if is_bids and ending not in BIDS_SUFFIXES:
        raise ConfigError(f"BIDS stores segmentations as {' or '.join(BIDS_SUFFIXES)}; {suffix} was given")
    if Path(f"a{ending}").suffix == "":
        raise ExportError(f"{suffix!r} is no ending of files; expected one such as .nii.gz")
    format_for_writing(Path(f"a{ending}"))
    return ending
