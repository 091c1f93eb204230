"""Sentences of the panel *Fine-tune a model*."""

from __future__ import annotations

from ..zoo.brief import duration_words
from .finetune_process import Said
from .finetune_state import ScoreRow
from .words import sentence

__all__ = ["plan_lines", "score_rows", "stopped_words", "summary_words", "trouble_of"]


def plan_lines(plan: Said) -> tuple[tuple[str, str], ...]:
    """Name and value of what a finetuning will take: time, memory, what is frozen, which case measures."""
    held = ", ".join(plan["held_back"])
    steps = f"{plan['steps']} step{'s' * (plan['steps'] != 1)}"
    free = f"{plan['memory_bytes'] / 1e9:.1f} GB of {plan['free_bytes'] / 1e9:.1f} GB"
    return (
        ("Time", f"about {duration_words(plan['seconds'])}: at most {steps} of {_short(plan)}"),
        ("Memory", f"{free}, on {plan['device']}"),
        ("Learns", plan["learning"].removeprefix("learning: ")),
        ("Measures", f"on {held}; learns from {len(plan['training'])}"),
        ("Licence", f"{plan['licence']}, that of {plan['base']}: pass the new model on under it"),
        ("Files", f"{plan['folder']} (with copies of the cases)"),
    )


def score_rows(done: Said) -> tuple[ScoreRow, ...]:
    """Dice of each structure before and after, and their mean."""
    before, after = done["before"], done["after"]
    rows = [
        ScoreRow(name, dice, None if after is None else after["labels"][name])
        for name, dice in before["labels"].items()
    ]
    return (*rows, ScoreRow("mean", before["mean"], None if after is None else after["mean"]))


def summary_words(done: Said, name: str) -> str:
    """Say how it went."""
    took = f"{done['steps']} steps in {duration_words(done['seconds'])}"
    if done["card"] is None:
        return (
            f"After {took} the new weights are not better on the held-back cases, so none were kept. More or "
            "other cases help most; more minutes may."
        )
    return f"Done after {took}: {name} is in the list of models."


def stopped_words(message: str, folder: str) -> str:
    """Say what a stop has left."""
    return f"{sentence(message)} What was learned so far is kept in {folder}."


def trouble_of(failed: Said) -> tuple[str, str]:
    """Say what went wrong, and what a report of it should hold."""
    message, details = str(failed["message"]), str(failed["details"])
    if failed["kind"] == "refused":
        return sentence(message), ""
    if failed["kind"] == "died":
        return (
            f"The finetuning ended without a word ({message}), as when the system is short of memory. Freeze "
            "the encoder, or close other programs. The last checkpoint is kept.",
            details,
        )
    return f"This is a fault in EffSeg ({message}). Please report it with its details.", details


def _short(plan: Said) -> str:
    step = plan["step_seconds"]
    return f"{step:.1f} s" if step >= 0.1 else f"{1000 * step:.0f} ms"
