"""The files that `effseg segment` writes: labels, doubt, report, picture; and its table of volumes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ExportWarning
from ._case import CaseInput
from ._console import table
from ._options import as_json
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..engine import Combined
    from ..types import IndexBox
    from ..volume import LabelMap, Volume

__all__ = ["Outputs", "check_outputs", "default_output", "volumes_table", "write_outputs"]


@dataclass(frozen=True)
class Outputs:
    """Where each part of the result goes."""

    labels: Path
    doubt: Path | None
    report: Path | None
    overlay: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is asked for, the labels first."""
        return tuple(
            path for path in (self.labels, self.doubt, self.report, self.overlay) if path is not None
        )


def default_output(case: CaseInput) -> Path:
    """Return the label map beside an image, named after it."""
    from ..io import stem_of

    stem = stem_of(case.name)
    if not stem:
        raise click.UsageError(f"{case.name} has no name to call the result after; give an output with -o")
    return case.name.with_name(f"{stem}_seg.nii.gz")


def check_outputs(wanted: Outputs, case: CaseInput, may_replace: bool) -> None:
    """Refuse outputs that cannot be written, before anything is computed."""
    from ..io import LABELS_ONLY, ending_of, format_for_writing
    from ..io.label_table import is_label_table, table_path

    for image in filter(None, (wanted.labels, wanted.doubt)):
        format_for_writing(image)
    if wanted.doubt is not None and ending_of(wanted.doubt) in LABELS_ONLY:
        raise click.UsageError(
            f"{wanted.doubt}: a {ending_of(wanted.doubt)} holds labels; write the doubt to .nrrd or .nii.gz"
        )
    names = table_path(wanted.labels)
    if names.exists() and not is_label_table(names):
        raise click.UsageError(f"{names} exists and is no table of label names; give another output with -o")
    if wanted.overlay is not None and wanted.overlay.suffix.lower() != ".png":
        raise click.UsageError(f"the overlay {wanted.overlay} should end in .png")
    for output in wanted.files:
        check_output(output, case.files, may_replace=may_replace or output != wanted.labels)


def write_outputs(
    result: Combined,
    volume: Volume,
    case: CaseInput,
    roi: tuple[IndexBox, ...],
    wanted: Outputs,
    staged: StagedFiles,
) -> tuple[str, ...]:
    """Write every output under its hidden name; returns what had to be completed for the label map."""
    from ..io import save
    from ..overlay import overlay_picture
    from ..volume import Volume

    def save_on_input(thing: LabelMap | Volume, output: Path) -> None:
        save(
            thing,
            staged.place_for(output),
            reference=case.reference,
            series=case.series,
            frame=case.frame,
            level=case.level,
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExportWarning)
        save_on_input(result.labels, wanted.labels)
    said = tuple(str(one.message) for one in caught if issubclass(one.category, ExportWarning))
    if wanted.doubt is not None:
        save_on_input(Volume(result.doubt, volume.affine), wanted.doubt)
    if wanted.report is not None:
        document = _report(result, case, roi, wanted, said)
        staged.place_for(wanted.report).write_text(as_json(document), encoding="utf-8")
    if wanted.overlay is not None:
        overlay_picture(volume, result.labels).save(staged.place_for(wanted.overlay))
    return said


def _report(
    result: Combined, case: CaseInput, roi: tuple[IndexBox, ...], wanted: Outputs, said: tuple[str, ...]
) -> dict[str, Any]:
    document = result.to_json()
    return {
        "inputs": [str(path) for path in case.files],
        "roles": list(case.roles),
        "output": str(wanted.labels),
        "roi": [[list(corner) for corner in box] for box in roi],
        "labels": [
            {"label": label, "name": result.labels.names.get(label, ""), "volume_ml": millilitres}
            for label, millilitres in result.labels.volumes_ml().items()
        ],
        **document,
        "warnings": [*document["warnings"], *said],
    }


def volumes_table(result: Combined) -> str:
    """Lay out the volume of each structure."""
    objects = result.reports[0].objects
    if objects is not None and len(result.reports) == 1:
        heads = ("objects", "structure", "mean voxels")
        return table([heads, (str(objects.count), objects.name, f"{objects.mean_voxels:.1f}")], right=[0, 2])
    rows = [("label", "structure", "mL")]
    rows += [
        (str(label), result.labels.names.get(label, ""), f"{millilitres:.2f}")
        for label, millilitres in result.labels.volumes_ml().items()
    ]
    return table(rows, right=[0, 2])
