"""Sentences of the panels: durations, memory, errors; in the words of somebody who reads images."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

from ..errors import Cancelled, EffsegError
from ..zoo.brief import duration_words
from .state import DeviceOption, PlanWords

if TYPE_CHECKING:
    from ..engine import DeviceInfo, Plan
    from ..zoo.card import Card

__all__ = ["about_model", "device_options", "plan_words", "sentence", "trouble"]

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
    """Say what a model is for and under which licence; and, longer, its limits and how good it is.

    Returns
    -------
    short, long : str
    """
    if card is None:
        return "", "Which network labels the image"
    dice = next((one for one in card.accuracy if one.metric == "dice" and one.label == "mean"), None)
    good = f" Mean Dice {dice.mean:.2f} on {dice.cases} {dice.split} cases." if dice else ""
    short = (
        f"{sentence(card.title)} {sentence(card.intended_use)} Not a medical device.{good} "
        f"Licence of the weights: {card.weights.licence}."
    )
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    return short, f"{card.name}: {card.summary}\n{limits}"
