"""Several folders of cases that one network learns from."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError, ImageReadError
from ..io.dataset import CaseFiles, Dataset, plain_name

__all__ = ["cases_of", "refuse_other_numbers"]


def cases_of(datasets: Sequence[Dataset], split: str, limit: int | None = None) -> list[CaseFiles]:
    """Return the cases of one split of all data sets, one after the other.

    Parameters
    ----------
    datasets : sequence of Dataset
        At least one.
    split : str
        "training", "validation" or "test"; data sets without it are left out.
    limit : int, optional
        Only so many of the first cases of each data set.

    Raises
    ------
    ImageReadError
        If none of them has a case in it.
    """
    if len(datasets) == 1:
        return list(datasets[0].split(split)[:limit])
    cases = [case for dataset in datasets for case in dataset.splits.get(split, ())[:limit]]
    if not cases:
        folders = ", ".join(str(dataset.folder) for dataset in datasets)
        raise ImageReadError(f"none of {folders} has a case in the split {split!r}")
    return cases


def refuse_other_numbers(datasets: Sequence[Dataset]) -> None:
    """Refuse data sets in which a structure of one name has several numbers.

    Raises
    ------
    ConfigError
        At the first such structure.
    """
    known: dict[str, tuple[int, Dataset]] = {}
    for dataset in datasets:
        for number, name in dataset.labels.items():
            first, where = known.setdefault(plain_name(name), (number, dataset))
            if first != number:
                raise ConfigError(
                    f"{name} is label {first} in {where.folder} and {number} in {dataset.folder}; "
                    "expected one number for a structure in all folders"
                )
