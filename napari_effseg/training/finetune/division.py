"""Which cases are learned from and which are held back, by which rule, and how to name them again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...io.dataset import CaseFiles, Dataset, hold_back, read_dataset
from ...types import PathLike

__all__ = ["HELD_BACK", "Division", "divide"]

HELD_BACK = 0.2
"""Share of the cases that is held back where the data set has no validation list."""
_PLAIN_WORD = re.compile(r"[\w.=-]+")


@dataclass(frozen=True)
class Division:
    """A data set in two parts; its test list, if it has one, is in neither.

    Attributes
    ----------
    dataset : Dataset
        With the splits "training" and "validation".
    fraction : float or None
        Share that was held back by the rule of `hold_back`; None: the data set's own validation list.
    """

    dataset: Dataset
    fraction: float | None

    @property
    def training(self) -> tuple[CaseFiles, ...]:
        """Cases to learn from."""
        return self.dataset.split("training")

    @property
    def held_back(self) -> tuple[CaseFiles, ...]:
        """Cases to measure on."""
        return self.dataset.split("validation")

    @property
    def rule(self) -> str:
        """How the held-back cases were chosen, in words."""
        if self.fraction is None:
            return "the data set's own validation list"
        return f"a share of {self.fraction:g} in the order of the SHA-256 of the names"

    def evaluate_command(self, card: str, names: Mapping[int, str]) -> str:
        """Command that measures a card on the held-back cases, without this machine's folders."""
        folder = _quoted(self.dataset.folder.resolve().name)
        words = ["effseg evaluate", card, folder, "--split validation"]
        if self.fraction is not None:
            words.append(f"--held-back {self.fraction:g}")
        if names != self.dataset.labels:
            words += [f"--label {_quoted(f'{number}={name}')}" for number, name in names.items()]
        return " ".join(words)


def divide(folder: PathLike, fraction: float | None) -> Division:
    """Read a data set, and hold cases back if it has no validation list.

    Raises
    ------
    ImageReadError
        As `read_dataset`, and if there is nothing to train on.
    ConfigError
        As `hold_back`.
    """
    dataset = read_dataset(folder)
    dataset.split("training")
    if fraction is None and dataset.splits.get("validation"):
        return Division(dataset, None)
    share = HELD_BACK if fraction is None else fraction
    return Division(hold_back(dataset, share), share)


def _quoted(word: str) -> str:
    return word if _PLAIN_WORD.fullmatch(word) else f'"{word}"'
