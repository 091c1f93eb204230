"""Which values a card may have, beyond their types; each rule names the field that breaks it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from ._checks import check_sides, match, not_empty, positive, unique
from ._instance_rules import check_instances
from ._location_rules import check_location
from ._manner_rules import check_manner, is_stored_order
from ._schema import Where
from ._snomed import is_sctid
from .card import Card, IntensityRule, LabelSpec, WeightsFile

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ROLE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
# A plain name: no folder, no drive, no leading dot, so that a card can only name a file beside it.
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODALITY = re.compile(r"[A-Z]{2,16}")
_NEEDED_BY_RULE = {
    "zscore": (),
    "clip_zscore": ("percentiles",),
    "fixed_zscore": ("lower", "upper", "mean", "std"),
    "scale": ("lower", "upper"),
    "rescale": (),
    "none": (),
}
_AXIS_LETTERS = ("RL", "AP", "SI")
_LARGEST_WINDOW = 1 << 31  # voxels; beyond any memory, and the sizes of arrays would overflow
_CHANNEL_ARGUMENTS = ("in_channels", "in_chans", "input_channels")
_OUTPUT_ARGUMENTS = ("out_channels", "out_chans", "num_classes")


def check_card(card: Card, source: str | None = None) -> None:
    """Check every rule of a card.

    Parameters
    ----------
    card : Card
    source : str, optional
        What messages call the card; the file it was read from, else its name.

    Raises
    ------
    CardError
        At the first rule that is broken, naming source and field.
    """
    where = Where(source or str(card.path or f"card {card.name}"))
    _check_texts(card, where)
    _check_weights(card.weights, where.at("weights"))
    _check_input(card, where.at("input"))
    _check_intensities(card, where.at("input"))
    check_manner(card, where)
    _check_field_of_view(card, where.at("field_of_view"))
    _check_window(card, where.at("window"))
    _check_labels(card, where)
    check_location(card, where)
    _check_output(card, where.at("output"))
    _check_postprocess(card, where.at("postprocess"))
    _check_measurements(card, where)


def _check_texts(card: Card, where: Where) -> None:
    match(_NAME, card.name, where.at("name"), "lower-case words joined by hyphens, such as spleen-slim-unetr")
    for key in ("title", "summary", "intended_use", "network", "licence"):
        not_empty(getattr(card, key), where.at(key))
    for key in ("dataset", "licence", "split", "config"):
        not_empty(getattr(card.training, key), where.at("training").at(key))
    for index, limit in enumerate(card.limits):
        not_empty(limit, where.at("limits").at(index))


def _check_weights(weights: WeightsFile, where: Where) -> None:
    match(_FILE, weights.file, where.at("file"), "the plain name of a .safetensors file, without a folder")
    match(_SHA256, weights.sha256, where.at("sha256"), "64 lower-case hexadecimal digits")
    not_empty(weights.licence, where.at("licence"))
    positive(weights.size_bytes, where.at("size_bytes"))
    positive(weights.parameters, where.at("parameters"))
    positive(weights.members, where.at("members"))
    if weights.url is not None and not weights.url.startswith("https://"):
        raise where.at("url").error(f"expected an address that begins with https://, got {weights.url!r}")


def _check_input(card: Card, where: Where) -> None:
    given = card.input
    if not given.modality:
        raise where.at("modality").error('expected at least one DICOM modality code, such as "MR"')
    for index, modality in enumerate(given.modality):
        match(_MODALITY, modality, where.at("modality").at(index), 'a DICOM modality code, such as "MR"')
    _check_channels(card, where)
    if not _are_axcodes(given.orientation) and not is_stored_order(given.orientation):
        raise where.at("orientation").error(
            "expected one each of R or L, A or P, S or I, such as RAS, or an order of the stored axes I, J "
            f"and K, got {given.orientation!r}"
        )
    if given.spacing is not None:
        check_sides(given.spacing, card.dimensions, where.at("spacing"))
    if card.dimensions == 3 and given.plane is not None:
        raise where.at("plane").error("only a card with dimensions = 2 has a plane")


def _check_channels(card: Card, where: Where) -> None:
    channels = card.input.channels
    if not channels:
        raise where.at("channels").error("expected at least one channel")
    for index, channel in enumerate(channels):
        match(_ROLE, channel.role, where.at("channels").at(index).at("role"), "a short word, such as t1ce")
    unique([channel.role for channel in channels], where.at("channels"), "role")
    asked = _argument(card, _CHANNEL_ARGUMENTS)
    if asked is not None and asked != len(channels):
        raise where.at("channels").error(
            f"{len(channels)} listed, but the network's constructor takes {asked}"
        )


def _check_intensities(card: Card, where: Where) -> None:
    _check_intensity(card.input.intensity, where.at("intensity"))
    for index, rule in enumerate(card.input.then):
        _check_intensity(rule, where.at("then").at(index))
    for index, channel in enumerate(card.input.channels):
        if channel.intensity is not None:
            _check_intensity(channel.intensity, where.at("channels").at(index).at("intensity"))


def _check_intensity(rule: IntensityRule, where: Where) -> None:
    needed = _NEEDED_BY_RULE[rule.rule]
    for key in ("lower", "upper", "percentiles", "mean", "std"):
        if (getattr(rule, key) is not None) != (key in needed):
            verb = "needs" if key in needed else "takes no"
            raise where.at(key).error(f'the rule "{rule.rule}" {verb} {key}')
    if rule.lower is not None and rule.upper is not None and not rule.lower < rule.upper:
        raise where.at("upper").error(f"expected more than lower = {rule.lower}, got {rule.upper}")
    if rule.percentiles is not None and not 0 <= rule.percentiles[0] < rule.percentiles[1] <= 100:
        raise where.at("percentiles").error(f"expected 0 <= low < high <= 100, got {rule.percentiles}")
    if rule.std is not None:
        positive(rule.std, where.at("std"))


def _check_field_of_view(card: Card, where: Where) -> None:
    view = card.field_of_view
    for low, high in zip(view.minimum_mm, view.maximum_mm, strict=True):
        if not 0 <= low < high:
            raise where.at("maximum_mm").error(
                f"expected 0 <= minimum < maximum on every axis, got {view.minimum_mm} and {view.maximum_mm}"
            )


def _check_window(card: Card, where: Where) -> None:
    window = card.window
    positive(window.multiple_of, where.at("multiple_of"))
    check_sides(window.size, card.dimensions, where.at("size"))
    if window.multiples:
        check_sides(window.multiples, card.dimensions, where.at("multiples"))
    if math.prod(window.size) > _LARGEST_WINDOW:
        raise where.at("size").error(f"expected at most {_LARGEST_WINDOW} voxels, got {window.size}")
    if any(side % unit for side, unit in zip(window.size, window.units, strict=True)):
        wanted = window.multiples or window.multiple_of
        raise where.at("size").error(f"expected multiples of {wanted}, got {window.size}")
    if len(set(window.mirror)) != len(window.mirror) or not set(window.mirror) <= set(range(card.dimensions)):
        raise where.at("mirror").error(f"expected axes of the window, each once, got {window.mirror}")
    if not 0 <= window.overlap < 1:
        raise where.at("overlap").error(f"expected a fraction, at least 0 and below 1, got {window.overlap}")


def _check_labels(card: Card, where: Where) -> None:
    labels, place = card.labels, where.at("labels")
    if not labels:
        raise place.error("expected at least one label")
    for index, label in enumerate(labels):
        _check_label(label, place.at(index))
        # Of regions, the card says which channel becomes which label; else channels are labels.
        if card.output.activation != "regions" and label.id != index + 1:
            raise (
                place.at(index)
                .at("id")
                .error(f"labels are numbered 1, 2, ... in order: expected {index + 1}, got {label.id}")
            )
    if card.output.activation == "regions":
        unique([label.id for label in labels], place, "id")
    unique([label.name for label in labels], place, "name")


def _check_label(label: LabelSpec, where: Where) -> None:
    positive(label.id, where.at("id"))
    not_empty(label.name, where.at("name"))
    if not all(0 <= value <= 255 for value in label.colour):
        raise where.at("colour").error(f"expected red, green and blue from 0 to 255, got {label.colour}")
    not_empty(label.code.scheme, where.at("code.scheme"))
    not_empty(label.code.value, where.at("code.value"))
    not_empty(label.code.meaning, where.at("code.meaning"))
    if label.code.scheme == "SCT" and not is_sctid(label.code.value):
        raise where.at("code.value").error(
            f"{label.code.value!r} is not a SNOMED CT identifier (check digit)"
        )
    if label.volume_ml is not None and not 0 <= label.volume_ml[0] < label.volume_ml[1]:
        raise where.at("volume_ml").error(f"expected 0 <= low < high, got {label.volume_ml}")


def _check_output(card: Card, where: Where) -> None:
    positive(card.output.doubt_temperature, where.at("doubt_temperature"))
    outputs = _argument(card, _OUTPUT_ARGUMENTS)
    if card.output.activation == "regions":
        _check_regions(card, outputs, where.at("regions"))
        return
    if card.output.regions:
        raise where.at("regions").error(
            f'only the activation "regions" has them, not "{card.output.activation}"'
        )
    expected = len(card.labels) + (card.output.activation == "softmax")
    if outputs is not None and outputs != expected:
        raise where.at("activation").error(
            f"{card.output.activation} with {len(card.labels)} labels needs {expected} output channels, "
            f"but the network's constructor makes {outputs}"
        )


def _check_regions(card: Card, outputs: int | None, where: Where) -> None:
    regions = card.output.regions
    for index, region in enumerate(regions):
        if region.label not in card.label_names:
            raise where.at(index).at("label").error(f"no label has the id {region.label}")
        if region.channel < 0 or (outputs is not None and region.channel >= outputs):
            raise where.at(index).at("channel").error(f"the network has no output channel {region.channel}")
    unique([region.channel for region in regions], where, "channel")
    missing = set(card.label_names) - {region.label for region in regions}
    if missing:
        raise where.error(f"no region becomes label {min(missing)}")


def _check_postprocess(card: Card, where: Where) -> None:
    for index, label in enumerate(card.postprocess.keep_largest):
        if label not in card.label_names:
            raise where.at("keep_largest").at(index).error(f"no label has the id {label}")
    if card.postprocess.minimum_mm3 < 0:
        raise where.at("minimum_mm3").error(f"expected 0 or more, got {card.postprocess.minimum_mm3}")
    check_instances(card, where.at("instances"))


def _check_measurements(card: Card, where: Where) -> None:
    names = {*card.label_names.values(), "mean"}
    for index, measured in enumerate(card.accuracy):
        place = where.at("accuracy").at(index)
        for key in ("dataset", "split", "metric", "command"):
            not_empty(getattr(measured, key), place.at(key))
        positive(measured.cases, place.at("cases"))
        if measured.label not in names:
            raise place.at("label").error(f'expected a label\'s name or "mean", got {measured.label!r}')
        if measured.mean < 0 or measured.std < 0:
            raise place.error("expected a mean and a standard deviation of 0 or more")
    for index, run in enumerate(card.performance):
        place = where.at("performance").at(index)
        not_empty(run.device, place.at("device"))
        positive(run.seconds, place.at("seconds"))
        positive(run.peak_memory_mb, place.at("peak_memory_mb"))


def _argument(card: Card, names: Iterable[str]) -> int | None:
    """Return the whole number that the constructor has under one of `names`, if it has one."""
    for name in names:
        value = card.constructor.get(name)
        if isinstance(value, int):
            return value
    return None


def _are_axcodes(text: str) -> bool:
    return len(text) == 3 and all(sum(letter in text for letter in pair) == 1 for pair in _AXIS_LETTERS)
