"""Everything before the first step: which cases, which structures, from which weights, at what cost."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ...engine.device import DeviceInfo, resolve_device
from ...engine.frame import window_shape
from ...engine.plausibility import check_field_of_view
from ...errors import ConfigError, VolumeError
from ...types import CancelCheck, PathLike, Progress
from ...zoo import built_in_cards, find_card, load_network
from ...zoo.card import Card
from ..augment import Augmenter, axcodes_of
from ..data import PatchSampler, TrainingCase, load_cases
from ..folder import kept_config, refuse_other_run
from ..losses import activation_of, segmentation_loss
from .card import check_base, draft_of, with_view_of
from .division import Division, divide
from .estimate import StepCost, measure_step, window_seconds
from .held_back import share_of
from .labels import LabelMatch, find_labels, match_labels, name_labels
from .options import FinetuneOptions, train_config
from .plan import FinetunePlan
from .run import Finetuning, Material
from .schedule import Costs, Schedule
from .transfer import freeze, start_network

__all__ = ["prepare_finetuning"]

_BYTES = 4  # of a float32


@dataclass(frozen=True)
class _Structures:
    """What the data set calls its labels, and what they are to the base and to the card to be."""

    names: dict[int, str]
    match: LabelMatch
    draft: Card
    notes: tuple[str, ...]


def prepare_finetuning(
    model: str | PathLike | Card,
    dataset: PathLike,
    options: FinetuneOptions | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> Finetuning:
    """Read model and cases, match their structures, and measure what a step costs. Nothing is written.

    Parameters
    ----------
    model : str, path or Card
        A card's name, the path of a card, or a card.
    dataset : path
        A folder that `read_dataset` reads. Its test list is not looked at.
    options : FinetuneOptions, optional
    progress, cancel : callable, optional

    Returns
    -------
    Finetuning
        With its plan, and `run`.

    Raises
    ------
    ConfigError
        If the model cannot be finetuned, the cases or their labels do not fit, or the folder holds a run.
    ImageReadError, VolumeError, UnknownModel, WeightsError, DeviceError, OutOfMemory, Cancelled
        As `read_dataset`, `load`, `segment`, `find_card` and `load_network` say.
    """
    options = options or FinetuneOptions()
    base = find_card(model)
    check_base(base)
    name = _free_name(options.name or f"{base.name}-finetuned")
    folder = options.output or Path("runs") / name
    refuse_other_run(folder, options.resume)
    resolve_device(options.device)  # a wrong one is said before the cases are read
    division = divide(dataset, options.held_back)
    structures = _structures(division, base, name, options, share_of(progress, 0.0, 0.3), cancel)
    material = _material(base, division, structures, options, share_of(progress, 0.3, 0.9), cancel)
    if progress is not None:
        progress(0.9, "measuring what a step costs")
    step, costs = _costs(material, resolve_device(options.device))
    schedule = _schedule(options, folder, costs)
    config = train_config(options, schedule, material.draft, division)
    material = replace(material, config=config)
    plan = _plan(material, structures, options, step, costs)
    return Finetuning(material, plan, folder, options)


def _schedule(options: FinetuneOptions, folder: Path, costs: Costs) -> Schedule:
    """Return how long the run is; one that goes on is as long as it was meant to be."""
    if options.minutes is None:
        return Schedule.of_steps(options.steps)
    kept = Schedule.kept(kept_config(folder).get("run", {})) if options.resume else None
    return kept or Schedule.of_minutes(options.minutes, costs)


def _free_name(name: str) -> str:
    if name in {card.name for card in built_in_cards()}:
        raise ConfigError(f"{name} is a built-in model; give the new one another name (--name)")
    return name


def _structures(
    division: Division,
    base: Card,
    name: str,
    options: FinetuneOptions,
    progress: Progress,
    cancel: CancelCheck | None,
) -> _Structures:
    found = find_labels([*division.training, *division.held_back], progress, cancel)
    names, warnings = name_labels(division.dataset, found, options.names, base)
    match = match_labels(names, base, options.new_labels)
    notes = (*division.dataset.warnings, *warnings, *match.describe(base.name))
    return _Structures(names, match, draft_of(base, match, found, name), notes)


def _material(
    base: Card,
    division: Division,
    structures: _Structures,
    options: FinetuneOptions,
    progress: Progress,
    cancel: CancelCheck | None,
) -> Material:
    """Load cases and weights."""
    draft, match = structures.draft, structures.match
    provisional = Schedule.of_steps(options.steps)  # until it is known what a step costs
    augmenter = Augmenter(train_config(options, provisional, draft, division).augment, axcodes_of(draft))
    files = [*division.training, *division.held_back]
    cases = load_cases(files, draft, progress, cancel, match.numbers)
    draft = _placed(draft, match, cases)
    config = train_config(options, provisional, draft, division)
    base_network = load_network(base)
    network = start_network(base_network, draft, match.kept, options.seed)
    freeze(network, base.network, options.freeze)
    size = window_shape(draft, config.data.patch or None)
    learned, held = cases[: len(division.training)], cases[len(division.training) :]
    return Material(
        base=base,
        draft=draft,
        division=division,
        names=structures.names,
        match=match,
        config=config,
        base_network=base_network,
        network=network,
        sampler=PatchSampler(learned, size, config.data, augmenter, config.run.seed),
        held_back=held,
    )


def _placed(draft: Card, match: LabelMatch, cases: Sequence[TrainingCase]) -> Card:
    """Check that the model may go where the cases are, or learn where it may go if all is new to it."""
    if not match.kept:
        return with_view_of(draft, [case.volume.grid for case in cases])
    for case in cases:
        try:
            check_field_of_view(case.volume.grid, draft, what=f"image of {case.name}")
        except VolumeError as err:
            raise VolumeError(f"{err}; to finetune, crop images and label maps around the structure") from err
    return draft


def _plan(
    material: Material, structures: _Structures, options: FinetuneOptions, step: StepCost, costs: Costs
) -> FinetunePlan:
    config, division, network = material.config, material.division, material.network
    schedule = Schedule(config.run.steps, config.run.validate_every, config.run.minutes)
    device = resolve_device(options.device)  # again: compiled kernels now are part of what the process holds
    return FinetunePlan(
        base=material.base.name,
        name=material.draft.name,
        dataset=division.dataset.name,
        training=tuple(case.name for case in division.training),
        held_back=tuple(case.name for case in division.held_back),
        rule=division.rule,
        steps=config.run.steps,
        batch_size=config.run.batch_size,
        patch=config.data.patch,
        freeze=options.freeze,
        learning=_count(network, learning=True),
        values=_count(network, learning=False),
        device=device,
        minutes=config.run.minutes,
        step_seconds=costs.step,
        seconds=schedule.seconds(costs),
        memory_bytes=_memory(material, step, device),
        licence=material.base.weights.licence,
        notes=structures.notes,
    )


def _count(network: nn.Module, learning: bool) -> int:
    return sum(value.numel() for value in network.parameters() if value.requires_grad or not learning)


def _costs(material: Material, device: DeviceInfo) -> tuple[StepCost, Costs]:
    """Measure a step, and estimate from it what a step with its patches and a pass over the cases take."""
    config, draft = material.config, material.draft
    loss_of = segmentation_loss(config.optimiser, activation_of(draft))
    step = measure_step(material.network, loss_of, draft, config.data.patch, device)
    material.sampler.batch(0, 1)  # warm
    began = time.perf_counter()
    material.sampler.batch(0, 1)
    a_step = config.run.batch_size * (step.seconds + time.perf_counter() - began)
    one_pass = sum(window_seconds(_shape(case), draft, step) for case in material.held_back)
    return step, Costs(a_step, one_pass)


def _memory(material: Material, cost: StepCost, device: DeviceInfo) -> int:
    """Estimated peak of the process, or of the device: a step, or the logits of the largest image."""
    classes = len(material.draft.labels) + 1
    largest = max(math.prod(_shape(case)) for case in material.held_back)
    step = material.config.run.batch_size * cost.bytes
    if device.kind == "cpu":
        return int(device.process_bytes + max(step, 2 * _BYTES * classes * largest))
    return step + _BYTES * _count(material.network, learning=False)


def _shape(case: TrainingCase) -> tuple[int, int, int]:
    i, j, k = case.image.shape[1:]
    return i, j, k
