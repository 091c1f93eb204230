"""Real cases to try things on: two travel in the package, one comes with an extra.

Licence and citation of each are part of its record, and `LICENSE.md` lies beside the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .._extras import require
from ..errors import UnknownModel, nearest_names

__all__ = ["SampleCase", "find_sample", "sample_cases", "write_sample"]

_HIPPOCAMPUS_CITATION = (
    "Antonelli M. et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022); "
    "Simpson A.L. et al., arXiv:1902.09063"
)


@dataclass(frozen=True)
class SampleCase:
    """An image to try things on.

    Attributes
    ----------
    name : str
        What ``effseg sample NAME`` asks for.
    title : str
        One line on what it shows.
    licence, citation : str
        Under which terms it may be used, and what to cite.
    image : str
        File in the package; "" for a case that an extra brings.
    reference : str
        File of the reference segmentation in the package; "" where there is none.
    extra : str
        The extra that installs it; "" for a case that travels in the package.
    """

    name: str
    title: str
    licence: str
    citation: str
    image: str = ""
    reference: str = ""
    extra: str = ""


_CASES = (
    SampleCase(
        name="hippocampus",
        title="T1-weighted MR around one hippocampus, 32 x 53 x 38 voxels at 1 mm (MSD hippocampus_123)",
        licence="CC-BY-SA 4.0",
        citation=_HIPPOCAMPUS_CITATION,
        image="hippocampus.nii.gz",
        reference="hippocampus_reference.nii.gz",
    ),
    SampleCase(
        name="hippocampus-2",
        title="T1-weighted MR around one hippocampus, 37 x 51 x 33 voxels at 1 mm (MSD hippocampus_316)",
        licence="CC-BY-SA 4.0",
        citation=_HIPPOCAMPUS_CITATION,
        image="hippocampus-2.nii.gz",
        reference="hippocampus-2_reference.nii.gz",
    ),
    SampleCase(
        name="mni152",
        title="T1-weighted template of a whole head, skull removed, 1 mm (ICBM 152 2009, through nilearn)",
        licence="MNI terms: use, copy and distribute freely with the copyright notice",
        citation="Fonov V. et al., Unbiased average age-appropriate atlases, NeuroImage 54(1) (2011)",
        extra="demo",
    ),
)


def sample_cases() -> tuple[SampleCase, ...]:
    """Return every sample case, whether its extra is installed or not."""
    return _CASES


def find_sample(name: str) -> SampleCase:
    """Return the sample case of this name.

    Raises
    ------
    UnknownModel
        If there is none; the message names the nearest.
    """
    known = {case.name: case for case in _CASES}
    if name not in known:
        raise UnknownModel(
            f"no sample case is called {name!r}.{nearest_names(name, known)} Known: {', '.join(known)}"
        )
    return known[name]


def write_sample(case: SampleCase, path: Path, reference: Path | None = None) -> None:
    """Write a case as compressed NIfTI, byte for byte as it travels in the package.

    Parameters
    ----------
    case : SampleCase
        One of `sample_cases()`.
    path : Path
        File to write, ending in ``.nii.gz``; its folder exists. An older file is replaced.
    reference : Path, optional
        Where to write the reference segmentation, if it is wanted.

    Raises
    ------
    MissingExtra
        If an extra brings this case and is not installed.
    UnknownModel
        If a reference is asked for and the case has none.
    """
    if reference is not None and not case.reference:
        raise UnknownModel(f"the sample case {case.name} has no reference segmentation")
    if case.extra:
        _write_template(case, path)
    else:
        path.write_bytes(_packaged(case.image))
    if reference is not None:
        reference.write_bytes(_packaged(case.reference))


def _packaged(file: str) -> bytes:
    return (resources.files(__name__) / file).read_bytes()


def _write_template(case: SampleCase, path: Path) -> None:
    datasets = require("nilearn.datasets", case.extra, f"the sample case {case.name}")
    datasets.load_mni152_template(resolution=1).to_filename(str(path))
