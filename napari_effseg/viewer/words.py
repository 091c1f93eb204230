"""Sentences of the panels: durations, memory, errors; in the words of somebody who reads images."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Cancelled, EffsegError
from ..zoo.brief import accuracy_number, accuracy_words, duration_words, headline, listed, memory_words
from .state import DeviceOption, ModelOption, PlanWords

if TYPE_CHECKING:
    from ..engine import DeviceInfo, Plan
    from ..zoo.card import Card
    from .measure import LabelRow
    from .queueing import Queued

__all__ = [
    "Outcome",
    "about_model",
    "accuracy_in_short",
    "accuracy_of",
    "device_options",
    "facts_of",
    "outcome_words",
    "queue_words",
    "sentence",
    "trouble",
]

_NUMBER = re.compile(r"\b\d+\.\d+\b")
_OPTIONS = re.compile(r"\s*\(--[^)]*\)")  # "(--roi I0,J0,K0:I1,J1,K1)"


def sentence(text: str) -> str:
    """Begin with a capital, end with a full stop, and leave out what is meant for the command line.

    Examples
    --------
    >>> sentence("draw a region (--roi I0,J0,K0:I1,J1,K1)")
    'Draw a region.'
    """
    text = _OPTIONS.sub("", text).strip()
    if not text:
        return ""
    end = "" if text[-1] in ".!?…" else "."
    return text[0].upper() + text[1:] + end


def trouble(error: Exception) -> tuple[str, str]:
    """Say what went wrong, in a sentence; and, for a fault of ours, what a report of it should hold."""
    if isinstance(error, Cancelled):
        return "Cancelled; nothing was changed.", ""
    if isinstance(error, EffsegError):
        return sentence(str(error)), ""
    if isinstance(error, MemoryError):
        return "There is not enough memory; close other images or draw a smaller region.", ""
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return (
        f"This is a fault in EffSeg, not of your image ({what}). Please report it with its details.",
        details,
    )


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes
    ----------
    summary : str
        Without the end of its sentence.
    warnings : tuple of str
        What to know before trusting the result.
    details : str
        What a report of a fault should hold, "" if there was none.
    """

    summary: str
    warnings: tuple[str, ...]
    details: str


def outcome_words(queued: Queued, rows: Sequence[LabelRow], asked: int) -> Outcome:
    """Say how a run of so many models went, some of which may have failed or been cancelled."""
    combined = queued.combined
    found = f"{sum(row.voxels > 0 for row in rows)} of {len(rows)} structures found"
    done = f"Done in {combined.seconds:.1f} s on {combined.device}"
    if queued.left_out:
        done = f"Cancelled at {queued.left_out[0]}; what had finished before is kept"
    models = f"{len(combined.reports)} of {asked} models, " if asked > 1 else ""
    troubles = [(one.model, *trouble(one.error)) for one in queued.failures]
    failed = [f"{model} gave no labels. {problem}" for model, problem, _ in troubles]
    return Outcome(
        f"{done}: {models}{found}",
        (*failed, *(sentence(warning) for warning in combined.warnings)),
        "\n".join(filter(None, (details for _, _, details in troubles))),
    )


def queue_words(plans: Sequence[Plan]) -> PlanWords:
    """Say what several runs cost one after the other; of one, what it costs."""
    if len(plans) == 1:
        return plan_words(plans[0])
    seconds = sum(plan.seconds for plan in plans)
    memory = memory_words(
        max(plan.peak_memory_bytes for plan in plans), max(plan.device_memory_bytes for plan in plans)
    )
    line = f"{len(plans)} models one after the other: about {duration_words(seconds)}, at most {memory}"
    notes = [f"{plan.model}: {note}" for plan in plans for note in plan.notes]
    return PlanWords(
        line, "\n".join(plan.describe() for plan in plans), tuple(sentence(note) for note in notes)
    )


def plan_words(plan: Plan) -> PlanWords:
    """Say what a run would cost: about how long, how much memory, and where."""
    memory = f"{plan.peak_memory_bytes / 1e9:.1f} GB of memory"
    if plan.device_memory_bytes:
        memory = f"{plan.device_memory_bytes / 1e9:.1f} GB on the device, {memory}"
    where = plan.device.description if plan.step.device == plan.device.name else plan.step.device
    line = f"About {duration_words(plan.seconds)}, {memory}, on {where}"
    return PlanWords(line, plan.describe(), tuple(sentence(note) for note in plan.notes))


def device_options(devices: tuple[DeviceInfo, ...]) -> tuple[DeviceOption, ...]:
    """Devices to choose from; the first is what "auto" means."""
    automatic = DeviceOption("auto", f"Automatic: {devices[0].description}")
    return (automatic, *(DeviceOption(device.name, device.description) for device in devices))


def about_model(card: Card | None) -> tuple[str, str]:
    """Say what a model is for; and, longer, its limits.

    Returns
    -------
    short, long : str
    """
    if card is None:
        return "", "Which network labels the image"
    use = sentence(card.intended_use or card.summary)
    short = f"{sentence(card.title)} {use} Not a medical device."
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    return short, f"{card.name}: {card.summary}\n{limits}"


def accuracy_of(option: ModelOption) -> str:
    """Say how good a model was measured to be, as its card or its server says it."""
    return accuracy_words(option.card) if option.told is None else option.told.accuracy or "not measured"


def accuracy_in_short(option: ModelOption) -> tuple[str, float | None]:
    """Return the same for a narrow column, and the number to sort by.

    Examples
    --------
    >>> _in_short("Dice 0.884 on 20 test cases")
    ('0.884', 0.884)
    """
    if option.told is not None:
        return _in_short(option.told.accuracy)
    row = headline(option.card)
    return accuracy_number(option.card), None if row is None else row.mean


def _in_short(words: str) -> tuple[str, float | None]:
    number = _NUMBER.search(words)
    if number is None:
        return "-", None
    return words[: number.end()].removeprefix("Dice ").strip(), float(number.group())


def facts_of(option: ModelOption) -> tuple[tuple[str, str], ...]:
    """Name and value of what tells a model from others: labels, accuracy, time and memory here, licence."""
    card, cost = option.card, option.cost
    here: tuple[tuple[str, str], ...] = ()
    if cost is not None:
        here = (
            ("Time here", f"about {duration_words(cost.seconds)} ({cost.known_by})"),
            ("Memory", memory_words(cost.memory_bytes)),
        )
    return (
        ("Labels", listed(label.name for label in card.labels)),
        ("Accuracy", accuracy_of(option)),
        *here,
        ("Licence", card.weights.licence),
    )
