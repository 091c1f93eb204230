"""Promptable models measured by a simulated user, the same for every model and every session."""

from .objects import Solid, Target, solids_of, targets_of
from .protocol import Asked, ask_for_solid, ask_for_target
from .run import ALL, ClickEvaluation, ClickOptions, Subject, evaluate_clicks
from .scores import ENOUGH, ObjectClicks, SetClicks, SolidClicks, Summary, mean_of_sets

__all__ = [
    "ALL",
    "ENOUGH",
    "Asked",
    "ClickEvaluation",
    "ClickOptions",
    "ObjectClicks",
    "SetClicks",
    "Solid",
    "SolidClicks",
    "Subject",
    "Summary",
    "Target",
    "ask_for_solid",
    "ask_for_target",
    "evaluate_clicks",
    "mean_of_sets",
    "solids_of",
    "targets_of",
]
