"""Cards as Markdown for the documentation: one page a card, and one table of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .card import Card, Instances, IntensityRule, LabelSpec

__all__ = ["card_page", "cards_table"]

_RULES = {
    "zscore": "mean 0 and deviation 1 of the case",
    "clip_zscore": "clipped to percentiles {low:g} and {high:g}, then mean 0 and deviation 1 of the case",
    "fixed_zscore": "clipped to {lower:g} to {upper:g}, less {mean:g}, divided by {std:g}",
    "scale": "clipped to {lower:g} to {upper:g}, scaled to 0 to 1",
    "rescale": "the case's lowest to highest value, scaled to 0 to 1",
    "none": "as they are",
}
_ACTIVATIONS = {
    "softmax": "one label a voxel (softmax)",
    "sigmoid": "a yes or no for each label (sigmoid)",
    "regions": "overlapping regions, laid over each other in order (sigmoid)",
}
_APPLIED = {
    "region": "An image larger than this needs a drawn region (`--roi`).",
    "template": "In a larger image the structure is found by registration, or else a region is asked for.",
    "anywhere": "The window may slide over an image of any size.",
}


def cards_table(cards: Iterable[Card], *, links: bool = True) -> str:
    """Return a Markdown table of cards, one line each.

    Parameters
    ----------
    cards : iterable of Card
    links : bool
        Whether names link to the pages ``models/<name>.md``.
    """
    rows = [
        (
            f"[{card.name}](models/{card.name}.md)" if links else card.name,
            f"{card.dimensions}D {', '.join(card.input.modality)}",
            ", ".join(label.name for label in card.labels),
            _millions(card.weights.parameters),
            _headline(card),
            card.weights.licence,
        )
        for card in cards
    ]
    return _table(("Model", "Images", "Labels", "Parameters", "Mean Dice", "Licence of weights"), rows)


def card_page(card: Card, picture: str = "", caption: str = "") -> str:
    """Return a card as a page in Markdown, ending in a newline.

    Parameters
    ----------
    card : Card
    picture : str
        Path of a picture of a real case, from the page; "" for none.
    caption : str
        What it shows.
    """
    sections = [
        f"# {card.title}\n\n{card.summary}",
        f"![{caption}]({picture})\n\n*{caption}*" if picture else "",
        _command(card),
        f"## Intended use\n\n{card.intended_use}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in card.limits) if card.limits else "",
        _labels(card.labels),
        _input(card),
        _field_of_view(card),
        _location(card),
        _output(card),
        _accuracy(card),
        _performance(card),
        _network(card),
        _training(card),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _command(card: Card) -> str:
    if card.task == "promptable" and card.dimensions == 3:
        return (
            "```bash\neffseg prompt IMAGE --point I,J,K --propagate -o mask.nii.gz  # takes it by itself\n```"
        )
    if card.task == "promptable":
        return f"```bash\neffseg prompt IMAGE -m {card.name} --point I,J,K -o mask.nii.gz\n```"
    return f"```bash\neffseg segment IMAGE -m {card.name}\n```"


def _labels(labels: Sequence[LabelSpec]) -> str:
    return "## Labels\n\n" + _label_table(labels)


def _label_table(labels: Sequence[LabelSpec]) -> str:
    rows = [
        (
            str(label.id),
            label.name,
            _swatch(label.colour),
            f"{label.code.value} {label.code.meaning} ({label.code.scheme})",
            label.laterality or "",
            f"{label.volume_ml[0]:g} to {label.volume_ml[1]:g}" if label.volume_ml else "",
        )
        for label in labels
    ]
    return _table(("Id", "Name", "Colour", "Code", "Side", "Plausible volume (mL)"), rows)


def _swatch(colour: tuple[int, int, int]) -> str:
    code = "#{:02x}{:02x}{:02x}".format(*colour)
    return f'<span style="color:{code}">&#9632;</span> {code}'


def _input(card: Card) -> str:
    given = card.input
    spacing = f"resampled to {_sizes(given.spacing)} mm" if given.spacing else "as in the image"
    plane = f", in {given.plane} slices" if given.plane else ""
    lines = [f"## Input\n\n- Modality: {', '.join(given.modality)}"]
    lines += [f"- Channel `{channel.role}`: {channel.description}" for channel in given.channels]
    turned = " (other images are turned, and the result turned back)"
    if sorted(given.orientation) == ["I", "J", "K"]:
        turned = " (the image's own axes, in this order, whatever they mean)"
    lines += [
        f"- Orientation: {given.orientation}{plane}{turned}",
        f"- Spacing: {spacing}",
        f"- Intensities: {_intensities(given.intensity)}",
    ]
    return "\n".join(lines)


def _intensities(rule: IntensityRule) -> str:
    low, high = rule.percentiles or (0.0, 0.0)
    text = _RULES[rule.rule].format(
        low=low, high=high, lower=rule.lower, upper=rule.upper, mean=rule.mean, std=rule.std
    )
    together = rule.rule in ("zscore", "clip_zscore") and not rule.per_channel
    return f"{text}, all channels together" if together else text


def _field_of_view(card: Card) -> str:
    view = card.field_of_view
    note = f" {view.note}" if view.note else ""
    return (
        f"## Where it may be applied\n\nTrained on images of {_sizes(view.minimum_mm)} mm to "
        f"{_sizes(view.maximum_mm)} mm (along {card.input.orientation}). {_APPLIED[view.locate]}{note}"
    )


def _location(card: Card) -> str:
    """Return where the structure is looked for in a larger image, and what its labels are then."""
    if card.locate is None:
        return ""
    boxes = [
        (box.side or "", ", ".join(f"{x:g}" for x in box.centre_mm), _sizes(box.size_mm))
        for box in card.locate.boxes
    ]
    labels = card.located_labels
    named = f"\n\nThe labels of such a run:\n\n{_label_table(labels)}" if labels != card.labels else ""
    return (
        f"## How it is found in a larger image\n\nThe template `{card.locate.template}` is registered to the "
        "image (affine), and the network is given a box around each place, turned with the head.\n\n"
        + _table(("Side", "Centre in the template (RAS, mm)", "Size (mm)"), boxes)
        + named
    )


def _output(card: Card) -> str:
    after = card.postprocess
    steps = []
    if after.connect_all:
        steps.append("only the largest connected piece of all labels together is kept")
    if after.keep_largest:
        names = ", ".join(card.label_names[label] for label in after.keep_largest)
        steps.append(f"only the largest piece is kept of: {names}")
    if after.minimum_mm3:
        steps.append(f"pieces below {after.minimum_mm3:g} mm³ are removed")
    if after.fill_holes:
        steps.append("holes are filled")
    if after.instances:
        steps.append(_objects(after.instances, card))
    window = card.window
    lines = [
        f"## Output\n\n- {_sentence(_ACTIVATIONS[card.output.activation])}",
        f"- Windows of {_sizes(window.size)} voxels that overlap by {window.overlap:.0%}",
    ]
    return "\n".join([*lines, *(f"- Afterwards {step}" for step in steps)])


def _objects(rules: Instances, card: Card) -> str:
    name = card.label_names[rules.label]
    ways = []
    if rules.waist:
        ways.append(f"split where they are narrower than {rules.waist:.0%} of the narrower part")
    if rules.border is not None:
        ways.append(f"grown back into {card.label_names[rules.border]!r}")
    least = f", those below {rules.smallest} voxels left out" if rules.smallest > 1 else ""
    done = ", ".join([*ways, "numbered"])
    return f"the pieces of {name!r} are {done}{least}: {name} 1, {name} 2, ..."


def _accuracy(card: Card) -> str:
    if not card.accuracy:
        return "## Accuracy\n\nNot measured."
    rows = [
        (
            f"{row.dataset}, {row.split} ({row.cases} cases)",
            row.metric,
            row.label,
            f"{row.mean:.3g} ± {row.std:.2g}",
        )
        for row in card.accuracy
    ]
    commands = "\n".join(dict.fromkeys(row.command for row in card.accuracy))
    return (
        "## Accuracy\n\nMean ± standard deviation over cases.\n\n"
        + _table(("Data", "Metric", "Label", "Value"), rows)
        + f"\n\nMeasured with:\n\n```bash\n{commands}\n```"
    )


def _performance(card: Card) -> str:
    if not card.performance:
        return ""
    rows = [
        (run.device, run.case, f"{run.seconds:.3g}", f"{run.peak_memory_mb:.0f}") for run in card.performance
    ]
    return "## Time and memory\n\n" + _table(("Device", "Case", "Seconds", "Peak memory (MB)"), rows)


def _network(card: Card) -> str:
    weights = card.weights
    arguments = ", ".join(f"{key}={value!r}" for key, value in card.constructor.items())
    lines = [f"## Network and weights\n\n- `{card.network}`({arguments}): {weights.parameters:,} parameters"]
    if card.paper:
        lines.append(f"- Paper: {card.paper}")
    lines += [
        f"- Weights: `{weights.file}`, {weights.size_bytes / 1e6:.1f} MB in {weights.precision}, "
        f"licence {weights.licence}",
        f"- SHA-256: `{weights.sha256}`",
    ]
    if weights.url:
        lines.append(f"- Fetched on request from <{weights.url}>")
    return "\n".join([*lines, f"- Licence of the card: {card.licence}"])


def _training(card: Card) -> str:
    data = card.training
    share = "may" if data.redistributable else "may not"
    citation = f"\n- Citation: {data.citation}" if data.citation else ""
    base = f"\n- Finetuned from: {data.finetuned_from}" if data.finetuned_from else ""
    return (
        f"## Training\n\n- Data: {data.dataset}, licence {data.licence} "
        f"(weights trained on it {share} be part of a release){citation}{base}\n"
        f"- Split: {data.split}\n- Configuration: {data.config}"
    )


def _headline(card: Card) -> str:
    """Return the mean Dice over all labels, or a dash if none is on the card."""
    values = [row.mean for row in card.accuracy if row.metric == "dice" and row.label == "mean"]
    return f"{values[0]:.3f}" if values else "-"


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} M"


def _sizes(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
