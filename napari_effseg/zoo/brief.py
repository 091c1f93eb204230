"""Facts of cards in a few words, the same at every door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .card import Accuracy, Card

__all__ = [
    "accuracy_number",
    "accuracy_words",
    "duration_words",
    "headline",
    "images_words",
    "listed",
    "memory_words",
]

_SHOWN_NAMES = 8
_METRICS = {
    "dice": "Dice",
    "dice_clicks_3": "Dice after 3 clicks",
    "dice_volume_corrections_3": "Dice of whole objects after a click and 3 corrections",
    "nsd": "NSD",
    "hd95_mm": "HD95",
    "iou": "IoU",
}
_UNITS = {"hd95_mm": " mm"}


def accuracy_words(card: Card) -> str:
    """Say how good a card was measured to be: its first mean over all labels, Dice where there is one.

    Examples
    --------
    >>> from napari_effseg.zoo import find_card
    >>> accuracy_words(find_card("hippocampus-lightm-unet"))
    'Dice 0.884 on 20 test cases'
    """
    row = headline(card)
    if row is None:
        return "not measured"
    return f"{_value_words(row, _METRICS)} on {row.cases} {row.split} case{'s' * (row.cases != 1)}"


def accuracy_number(card: Card) -> str:
    """Return the same number for a narrow column: the metric is named where it is not Dice; "-" for none."""
    row = headline(card)
    return "-" if row is None else _value_words(row, {**_METRICS, "dice": ""}).strip()


def headline(card: Card) -> Accuracy | None:
    """Return the row that says in one number how good a card is: a mean over all labels, of Dice if known."""
    means = [row for row in card.accuracy if row.label == "mean"]
    return next((row for row in means if row.metric == "dice"), means[0] if means else None)


def images_words(card: Card) -> str:
    """Say which images a card takes, such as "3D MR"."""
    return f"{card.dimensions}D {' or '.join(card.input.modality)}"


def listed(names: Iterable[str], shown: int = _SHOWN_NAMES) -> str:
    """List names; of many, the first few and how many more there are.

    Examples
    --------
    >>> listed(["liver", "spleen", "aorta"], shown=2)
    'liver, spleen and 1 more'
    """
    known = list(names)
    if len(known) <= shown:
        return ", ".join(known)
    return f"{', '.join(known[:shown])} and {len(known) - shown} more"


def duration_words(seconds: float) -> str:
    """Say a duration in seconds, minutes or hours, whichever is read most easily.

    Examples
    --------
    >>> [duration_words(seconds) for seconds in (0.2, 75, 500, 9000)]
    ['1 s', '75 s', '8 min', '2.5 h']
    """
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def memory_words(process_bytes: float, device_bytes: float = 0.0) -> str:
    """Say how much memory the process holds at its peak, and a device that is not the CPU."""
    on_device = f" and {device_bytes / 1e9:.1f} GB on the device" if device_bytes else ""
    return f"{process_bytes / 1e9:.1f} GB{on_device}"


def _value_words(row: Accuracy, metrics: Mapping[str, str]) -> str:
    return f"{metrics.get(row.metric, row.metric)} {row.mean:.3f}{_UNITS.get(row.metric, '')}"
