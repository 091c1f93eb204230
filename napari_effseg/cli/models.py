"""`effseg models`: the cards."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ._console import Console, speaks, table
from ._options import as_json

if TYPE_CHECKING:
    from ..zoo import Card

__all__ = ["card_as_json", "models"]


@click.command(epilog="Example: effseg models --json")
@click.option("--json", "as_document", is_flag=True, help="Everything the cards say, as JSON (docs/json.md).")
@speaks
def models(as_document: bool, console: Console) -> None:
    """List the models: name, network, task, modality, structures, licence, accuracy, time and memory.

    Cards of your own are found in the folders that the variable EFFSEG_CARDS names.
    """
    from ..zoo.registry import read_registry

    registry = read_registry()
    found = list(registry.cards.values())
    if as_document:
        document = {"models": [card_as_json(card) for card in found], "problems": list(registry.problems)}
        console.data(as_json(document).rstrip())
    else:
        console.data("\n\n".join(_describe(card) for card in found) or "no models")
    for problem in registry.problems:
        console.warn(problem)


def card_as_json(card: Card) -> dict[str, Any]:
    """Return a card as plain values, with the file it was read from."""
    document = asdict(card)
    document["path"] = None if card.path is None else str(card.path)
    return document


def _describe(card: Card) -> str:
    roles = ", ".join(channel.role for channel in card.input.channels)
    rows = [
        ("network", f"{card.network}, {card.weights.parameters / 1e6:.2f} M parameters, {card.dimensions}D"),
        ("task", f"{card.task}: {card.summary}"),
        ("image", f"{' or '.join(card.input.modality)}; channels: {roles}"),
        ("structures", ", ".join(f"{label.id} {label.name}" for label in card.labels)),
        (
            "licence",
            f"weights {card.weights.licence}; trained on {card.training.dataset} ({card.training.licence})",
        ),
        ("accuracy", "; ".join(_accuracy(card)) or "not measured"),
        ("time, memory", "; ".join(_performance(card)) or "not measured"),
        ("limits", "; ".join(card.limits)),
    ]
    return f"{card.name}\n" + "\n".join(f"  {line}" for line in table(rows).splitlines())


def _accuracy(card: Card) -> list[str]:
    return [
        f"{entry.metric} {entry.label} {entry.mean:.3f} +- {entry.std:.3f} ({entry.dataset} {entry.split}, "
        f"{entry.cases} cases)"
        for entry in card.accuracy
        if entry.label == "mean"
    ]


def _performance(card: Card) -> list[str]:
    return [
        f"{entry.seconds:.1f} s and {entry.peak_memory_mb:.0f} MB on {entry.device} ({entry.case})"
        for entry in card.performance
    ]
