"""Which structures the user's cases hold, what they are called, and which of them a card knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import Cancelled, ConfigError, nearest_names
from ...io import load_labels
from ...io.dataset import CaseFiles, Dataset, plain_name
from ...types import CancelCheck, Colour, Progress
from ...volume import Code
from ...zoo.card import Card

__all__ = ["FoundLabels", "LabelMatch", "find_labels", "match_labels", "name_labels"]


@dataclass(frozen=True)
class FoundLabels:
    """What the label maps of some cases hold.

    Attributes
    ----------
    numbers : dict of CaseFiles to set of int
        The labels that occur in each case, background left out.
    names, colours, codes : dict keyed by label
        As the files tell them (a table beside them, the fields of a ``.seg.nrrd``).
    """

    numbers: Mapping[CaseFiles, frozenset[int]]
    names: Mapping[int, str]
    colours: Mapping[int, Colour]
    codes: Mapping[int, Code]

    def occurring(self, cases: Sequence[CaseFiles]) -> set[int]:
        """Labels that at least one of these cases holds."""
        return set().union(*(self.numbers[case] for case in cases))


@dataclass(frozen=True)
class LabelMatch:
    """The labels of the card to be.

    Attributes
    ----------
    names : dict of int to str
        Name of each new label 1, 2, ...: those that the base knows first, in its order and by its name.
    numbers : dict of int to int
        The data set's number -> the new label.
    kept : dict of int to int
        New label -> the base's label, for structures that the base knows.
    dropped : tuple of str
        Structures of the base that the data set does not have.
    """

    names: Mapping[int, str]
    numbers: Mapping[int, int]
    kept: Mapping[int, int]
    dropped: tuple[str, ...]

    @property
    def new(self) -> tuple[str, ...]:
        """Structures that the base does not know."""
        return tuple(name for label, name in self.names.items() if label not in self.kept)

    def describe(self, base: str) -> tuple[str, ...]:
        """Say in sentences what is not the same as before; nothing, if all is."""
        said = []
        if self.new and self.kept:
            said.append(f"learned from nothing, as {base} does not know it: {', '.join(self.new)}")
        elif self.new:
            said.append(
                f"{base} knows none of these; its output layer is made anew for {', '.join(self.new)}"
            )
        if self.dropped:
            said.append(f"the new model will not know: {', '.join(self.dropped)}")
        return tuple(said)


def find_labels(
    cases: Sequence[CaseFiles], progress: Progress | None = None, cancel: CancelCheck | None = None
) -> FoundLabels:
    """Look into the label map of each case.

    Raises
    ------
    ConfigError
        If a case has no label map, or files call one number by different names.
    ImageReadError
        If a label map cannot be read.
    """
    numbers: dict[CaseFiles, frozenset[int]] = {}
    names: dict[int, tuple[str, str]] = {}  # with the case that says so
    colours: dict[int, Colour] = {}
    codes: dict[int, Code] = {}
    for done, case in enumerate(cases):
        if cancel is not None and cancel():
            raise Cancelled("stopped while the label maps were being read")
        if progress is not None:
            progress(done / len(cases), f"looking at the labels of {case.name}")
        if case.label is None:
            raise ConfigError(f"the case {case.name} has no label map; expected one for every case")
        labels = load_labels(case.label)
        numbers[case] = frozenset(labels.counts())
        for number, name in labels.names.items():
            other, where = names.setdefault(number, (name, case.name))
            if plain_name(other) != plain_name(name):
                raise ConfigError(
                    f"label {number} is called {other!r} in {where} and {name!r} in {case.name}; "
                    "use one number for one structure"
                )
        colours |= labels.colours
        codes |= labels.codes
    return FoundLabels(numbers, {number: name for number, (name, _) in names.items()}, colours, codes)


def name_labels(
    dataset: Dataset, found: FoundLabels, given: Mapping[int, str], card: Card
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Name the structures: as given, as ``dataset.json`` says, as the files say, else by the card's numbers.

    Returns
    -------
    names : dict of int to str
        The data set's number -> its name.
    warnings : tuple of str

    Raises
    ------
    ConfigError
        If a label that occurs has no name, two have one name, or no case to train on holds a named one.
    """
    training = dataset.split("training")
    occurring = found.occurring([*training, *dataset.split("validation")])
    told = {number: name for number, name in found.names.items() if number in occurring}
    names, warnings = {**told, **dataset.labels, **given}, list[str]()
    if not names:
        names = {number: name for number, name in card.label_names.items() if number in occurring}
        listed = ", ".join(f"{number} {name}" for number, name in names.items()) or "none"
        warnings.append(f"nothing names the labels; they were taken for those of {card.name}: {listed}")
    if unnamed := sorted(occurring - set(names)):
        known = ", ".join(f"{number} {name}" for number, name in card.label_names.items())
        raise ConfigError(
            f"the label maps hold {_listed(unnamed)}, which nothing names; {card.name} knows {known}. "
            f"Name it (--label {unnamed[0]}=NAME), or in dataset.json"
        )
    _check_names(names)
    if unseen := sorted(set(names) - found.occurring(training)):
        raise ConfigError(
            f"no case to train on holds {names[unseen[0]]!r} (label {unseen[0]}); add a case that does, or "
            "take it out of the list of labels"
        )
    return dict(sorted(names.items())), tuple(warnings)


def match_labels(names: Mapping[int, str], card: Card, new_labels: bool = False) -> LabelMatch:
    """Find the structures among those of a card, by name; others are new.

    Parameters
    ----------
    names : mapping of int to str
        The data set's.
    card : Card
    new_labels : bool
        Whether a name that is near one of the card's, but not the same, is another structure.

    Raises
    ------
    ConfigError
        If such a name is there and `new_labels` is False: it may be a slip of the pen.
    """
    known = {plain_name(label.name): label.id for label in card.labels}
    same = {known[plain_name(name)]: number for number, name in names.items() if plain_name(name) in known}
    others = [number for number in names if number not in same.values()]
    for number in others:
        near = nearest_names(names[number], card.label_names.values())
        if near and not new_labels:
            raise ConfigError(
                f"label {number} is called {names[number]!r}, which {card.name} does not know.{near} "
                f"Rename it (--label {number}=NAME), or say that it is another structure (--new-labels)"
            )
    order = [*(same[label] for label in sorted(same)), *others]
    return LabelMatch(
        names={
            **{new: card.label_names[label] for new, label in enumerate(sorted(same), 1)},
            **{new: names[number].strip() for new, number in enumerate(others, len(same) + 1)},
        },
        numbers={number: new for new, number in enumerate(order, 1)},
        kept=dict(enumerate(sorted(same), 1)),
        dropped=tuple(name for label, name in card.label_names.items() if label not in same),
    )


def _check_names(names: Mapping[int, str]) -> None:
    seen: dict[str, int] = {}
    for number, name in names.items():
        if not name.strip() or not name.isprintable():
            raise ConfigError(f"label {number} is called {name!r}; expected text on one line")
        other = seen.setdefault(plain_name(name), number)
        if other != number:
            raise ConfigError(
                f"labels {other} and {number} are both called {name!r}; expected different names"
            )


def _listed(numbers: Sequence[int]) -> str:
    return f"the label{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
