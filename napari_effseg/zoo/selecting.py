"""Which cards somebody looks for, by organ, modality and task: words in, cards out; every door asks here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import UnknownModel, nearest_names
from .card import Card, LabelSpec

__all__ = ["Wish", "known_modalities", "known_organs", "known_tasks", "matches", "select", "why_none"]

_WORD = re.compile(r"[^\W_]+")
_MODALITIES = {
    "mri": {"MR"},
    "x-ray": {"CR", "DX", "XR"},
    "xray": {"CR", "DX", "XR"},
    "ultrasound": {"US"},
    "pet": {"PT"},
    "fundus": {"OP"},
    "microscopy": {"GM", "SM"},
    "histology": {"SM"},
    "dermoscopy": {"XC", "DMS"},
}
"""What people call the modalities that DICOM has codes for."""
_PARTS = {
    "brain": ("hippocampus", "amygdala", "thalamus", "cerebellum", "intracranial", "glioma"),
    "head": ("brain", "hippocampus", "intracranial", "eye"),
    "heart": ("left ventricle", "right ventricle", "myocardium", "atrium", "ventricular"),
    "eye": ("retina", "retinal", "fovea", "optic"),
    "chest": ("lung", "heart", "left ventricle", "rib"),
    "abdomen": ("liver", "spleen", "kidney", "pancreas", "stomach"),
    "cell": ("nuclei", "nucleus", "leukocyte", "cytoplasm"),
}
"""Parts of the body that cards do not name, and words of what lies in them."""


@dataclass(frozen=True)
class Wish:
    """What somebody looks for; an empty text asks for nothing.

    Attributes
    ----------
    organ : str
        Words of a structure: its name, its SNOMED meaning or code, the name or title of its card; or a part
        of the body, such as "brain".
    modality : str
        DICOM's code ("MR", "CT") or what people say ("MRI", "ultrasound").
    task : str
        As the card says it, such as "automatic".
    """

    organ: str = ""
    modality: str = ""
    task: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.organ.strip() or self.modality.strip() or self.task.strip())


def matches(card: Card, wish: Wish) -> bool:
    """Whether a card is one of those that are looked for.

    Examples
    --------
    >>> from napari_effseg.zoo import find_card
    >>> card = find_card("hippocampus-lightm-unet")
    >>> [matches(card, Wish(organ=text)) for text in ("hippo", "brain", "liver")]
    [True, True, False]
    """
    return all(test(card, text) for test, text in _asked(wish))


def select(cards: Iterable[Card], wish: Wish) -> tuple[Card, ...]:
    """Return the cards that are looked for, in their order.

    Raises
    ------
    UnknownModel
        If there is none; the message names what there is, and what is nearest.
    """
    known = tuple(cards)
    found = tuple(card for card in known if matches(card, wish))
    if not found and not wish.is_empty:
        raise UnknownModel(why_none(known, wish))
    return found


def why_none(cards: Sequence[Card], wish: Wish) -> str:
    """Say why no card is what is looked for: an unknown word, or words that no card has together."""
    for words, test, text, known in (
        ("no model segments", _has_organ, wish.organ, known_organs(cards)),
        ("no model takes images of", _has_modality, wish.modality, known_modalities(cards)),
        ("no model does", _has_task, wish.task, known_tasks(cards)),
    ):
        if text.strip() and not any(test(card, text) for card in cards):
            near = nearest_names(text.strip(), _suggestions(known))
            return f"{words} {text.strip()!r}.{near} Known: {', '.join(known) or 'none'}"
    alone = [
        f"{text.strip()}: {', '.join(card.name for card in cards if test(card, text))}"
        for test, text in _asked(wish)
    ]
    return f"no model is all of this together; by themselves: {'; '.join(alone)}"


def known_organs(cards: Iterable[Card]) -> tuple[str, ...]:
    """Names of the structures that cards segment, each once, sorted."""
    return tuple(sorted({label.name for card in cards for label in card.labels}, key=str.casefold))


def known_modalities(cards: Iterable[Card]) -> tuple[str, ...]:
    """Codes of the modalities that cards take, each once, sorted."""
    return tuple(sorted({code for card in cards for code in card.input.modality}))


def known_tasks(cards: Iterable[Card]) -> tuple[str, ...]:
    """Tasks of cards, each once, sorted."""
    return tuple(sorted({card.task for card in cards}))


def _asked(wish: Wish) -> Iterator[tuple[Callable[[Card, str], bool], str]]:
    tests = ((_has_organ, wish.organ), (_has_modality, wish.modality), (_has_task, wish.task))
    return ((test, text) for test, text in tests if text.strip())


def _has_organ(card: Card, text: str) -> bool:
    wanted = _words(text)
    texts = [_words(f"{card.name} {card.title}"), *(_words_of(label) for label in _labels(card))]
    if any(_says(known, wanted) for known in texts):
        return True
    inside = [part for name, parts in _PARTS.items() if _says([name], wanted) for part in parts]
    return any(_says(known, _words(part)) for known in texts for part in inside)


def _has_modality(card: Card, text: str) -> bool:
    wanted = text.strip().upper()
    return bool(_MODALITIES.get(wanted.lower(), {wanted}) & {code.upper() for code in card.input.modality})


def _has_task(card: Card, text: str) -> bool:
    return text.strip().casefold() == card.task.casefold()


def _labels(card: Card) -> Iterable[LabelSpec]:
    return (*card.labels, *card.located_labels)


def _words_of(label: LabelSpec) -> list[str]:
    return _words(f"{label.name} {label.laterality or ''} {label.code.meaning} {label.code.value}")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _says(known: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether each wanted word begins one of the known; "kidneys" is taken for "kidney"."""
    return bool(wanted) and all(
        any(word.startswith((want, _singular(want))) for word in known) for want in wanted
    )


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def _suggestions(names: Iterable[str]) -> Mapping[str, None]:
    """Return the names, and each longer word of them, for who types one word."""
    return dict.fromkeys(text for name in names for text in (name, *(w for w in name.split() if len(w) > 3)))
