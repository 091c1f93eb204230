"""`effseg models`: the cards; models of other programs in, and ours out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ._console import Console, speaks, table
from ._options import FILE, as_json, device_option

if TYPE_CHECKING:
    from ..engine import Needs
    from ..zoo import Card

__all__ = ["card_as_json", "models"]


@click.group(
    invoke_without_command=True,
    epilog="Example: effseg models --organ hippocampus --modality MR; effseg models --long; "
    "effseg models add spleen_ct_segmentation.zip; "
    "effseg models export hippocampus-lightm-unet -o bundle",
)
@click.option(
    "--organ",
    default="",
    metavar="TEXT",
    help="Only models of this structure: a word of its name, title or SNOMED meaning, or a part of the body.",
)
@click.option("--modality", default="", metavar="CODE", help="Only models for such images: MR, CT, ...")
@click.option("--task", default="", metavar="TASK", help="Only models that do this, such as automatic.")
@click.option("--long", "in_full", is_flag=True, help="Everything that matters to a user, limits included.")
@click.option("--json", "as_document", is_flag=True, help="Everything the cards say, as JSON (docs/json.md).")
@device_option
@click.pass_context
@speaks
def models(
    context: click.Context,
    organ: str,
    modality: str,
    task: str,
    in_full: bool,
    as_document: bool,
    device: str,
    console: Console,
) -> None:
    """List the models: accuracy, time and memory on this machine, licence, structures, task, network.

    Models that were added are found, and cards in the folders that the variable EFFSEG_CARDS names.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_of_the_list(context)
        return
    from ..zoo.registry import read_registry
    from ..zoo.selecting import Wish, select

    registry = read_registry()
    found = select(registry.cards.values(), Wish(organ, modality, task))
    from ..engine import needs_of, resolve_device

    where = resolve_device(device)
    needs = {card.name: needs_of(card, where) for card in found}
    if as_document:
        listed = [{**card_as_json(card), "here": asdict(needs[card.name])} for card in found]
        document = {"models": listed, "problems": list(registry.problems)}
        console.data(as_json(document).rstrip())
    elif in_full:
        console.data("\n\n".join(_describe(card, needs[card.name]) for card in found) or "no models")
    else:
        console.data(_list(found, needs) if found else "no models")
        console.note(f"time and memory: on this machine ({where.description}), for the image in brackets")
    for problem in registry.problems:
        console.warn(problem)


@models.command(
    epilog="Examples: effseg models add spleen_ct_segmentation.zip; "
    "effseg models add Dataset003_Liver/nnUNetTrainer__nnUNetPlans__3d_fullres --orientation RAS; "
    "effseg models add sam_vit_b_01ec64.pth --name sam-vit-b --licence Apache-2.0; "
    "effseg models add runs/mine/card.toml"
)
@click.argument("source")
@click.option("--name", help="What the model is called here; default: its own name.")
@click.option("--sha256", metavar="HEX", help="SHA-256 of the zip file; needed for an address.")
@click.option("--licence", "--license", help="Licence of the weights, where the files do not say it.")
@click.option("--modality", multiple=True, metavar="CODE", help="CT, MR, ...; may be repeated.")
@click.option(
    "--orientation",
    metavar="AXCODES",
    help="How all training images lay, such as RAS; default: images are taken as the model's program does.",
)
@click.option("--fold", "folds", multiple=True, help="Folds of an nnU-Net model; default: all, averaged.")
@click.option(
    "--checkpoint",
    default="checkpoint_final.pth",
    show_default=True,
    help="File in each fold of an nnU-Net model.",
)
@speaks
def add(
    source: str,
    name: str | None,
    sha256: str | None,
    licence: str | None,
    modality: tuple[str, ...],
    orientation: str | None,
    folds: tuple[str, ...],
    checkpoint: str,
    console: Console,
) -> None:
    """Add a model: a MONAI bundle or an nnU-Net v2 model folder, a zip file of one, or its https address.

    A checkpoint of SAM, MobileSAM, MedSAM or HRMedSegSAM (.pth) becomes a model for effseg prompt.
    It is read once and stored as safetensors and a card; no code in it is run. What is not supported is
    named. A card of our own (.toml, such as finetuning writes it) is copied with its weights.
    """
    if source.endswith(".toml"):
        from ..zoo.own_models import keep_card

        kept = keep_card(source)
        console.result(f"added {kept.name}: {kept.path}")
        return
    from ..zoo.foreign.add import add_model
    from ..zoo.foreign.draft import AddOptions

    options = AddOptions(
        name=name,
        licence=licence,
        modality=tuple(code.upper() for code in modality),
        orientation=orientation.upper() if orientation else None,
        folds=folds,
        checkpoint=checkpoint,
    )
    with console.progress() as progress:
        made = add_model(source, options, sha256=sha256, progress=progress)
    for note in made.notes:
        console.warn(note)
    console.result(f"added {made.card.name}: {made.card.path}")


@models.command(epilog="Example: effseg models remove liver-3d-fullres")
@click.argument("name")
@speaks
def remove(name: str, console: Console) -> None:
    """Remove a model that was added, card and weights."""
    from ..zoo.foreign.add import remove_model

    console.result(f"removed {remove_model(name)}")


@models.command(epilog="Example: effseg models export hippocampus-lightm-unet -o hippocampus_bundle")
@click.argument("name")
@click.option("-o", "--output", type=FILE, required=True, help="Folder to write; it must not exist.")
@speaks
def export(name: str, output: Path, console: Console) -> None:
    """Write a model as a MONAI bundle, which MONAI's tools load and run where this package is installed."""
    from ..zoo.foreign.export import export_bundle

    made = export_bundle(name, output)
    for note in made.notes:
        console.warn(note)
    console.result(f"wrote {made.path}")


def card_as_json(card: Card) -> dict[str, Any]:
    """Return a card as plain values, with the file it was read from."""
    document = asdict(card)
    document["path"] = None if card.path is None else str(card.path)
    return document


def _refuse_options_of_the_list(context: click.Context) -> None:
    for option in context.command.params:
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[-1]} belongs to the list of models, not to {context.invoked_subcommand}"
            )


def _list(cards: Sequence[Card], needs: Mapping[str, Needs]) -> str:
    """Lay out what cards are compared by in columns, and the rest in lines below each."""
    from ..zoo.brief import accuracy_words, duration_words, memory_words

    rows = [("model", "accuracy", "time", "memory", "licence of weights")]
    rows += [
        (
            card.name,
            accuracy_words(card),
            f"about {duration_words(needs[card.name].seconds)}",
            memory_words(needs[card.name].memory_bytes, needs[card.name].device_memory_bytes),
            card.weights.licence,
        )
        for card in cards
    ]
    head, *lines = table(rows).splitlines()
    blocks = [f"{line}\n{_more(card, needs[card.name])}" for line, card in zip(lines, cards, strict=True)]
    return "\n".join([head, *blocks])


def _more(card: Card, needs: Needs) -> str:
    from ..zoo.brief import images_words, listed

    return (
        f"  {listed(label.name for label in card.labels)}\n"
        f"  {card.task}, {images_words(card)}; {_network(card)}; time {needs.known_by} ({needs.case})"
    )


def _describe(card: Card, needs: Needs) -> str:
    from ..zoo.brief import duration_words, memory_words

    roles = ", ".join(channel.role for channel in card.input.channels)
    here = (
        f"about {duration_words(needs.seconds)} and "
        f"{memory_words(needs.memory_bytes, needs.device_memory_bytes)} on {needs.device}, time "
        f"{needs.known_by} ({needs.case})"
    )
    rows = [
        ("network", f"{_network(card)}, {card.dimensions}D"),
        ("task", f"{card.task}: {card.summary}"),
        ("image", f"{' or '.join(card.input.modality)}; channels: {roles}"),
        ("structures", ", ".join(f"{label.id} {label.name}" for label in card.labels)),
        (
            "licence",
            f"weights {card.weights.licence}; trained on {card.training.dataset} ({card.training.licence})",
        ),
        ("accuracy", "; ".join(_accuracy(card)) or "not measured"),
        ("here", here),
        ("measured", "; ".join(_performance(card)) or "not measured"),
        ("limits", " ".join(card.limits)),
    ]
    return f"{card.name}\n" + "\n".join(f"  {line}" for line in table(rows).splitlines())


def _network(card: Card) -> str:
    return f"{card.network}, {card.weights.parameters / 1e6:.2f} M parameters"


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
