"""How long a finetuning is: so many steps, or as many as fit into some minutes on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["VALIDATIONS", "Costs", "Schedule"]

VALIDATIONS = 10
"""In a run that takes all its steps."""
SCORINGS = 4
"""Passes over the held-back cases beside validations: the base, the start, the end, doubt."""
_MOST_VALIDATING = 0.3
"""Share of the minutes that goes into validations at most, where the held-back cases are large."""


@dataclass(frozen=True)
class Costs:
    """Estimated seconds of a step with its patches, and of one pass over the held-back cases."""

    step: float
    one_pass: float


@dataclass(frozen=True)
class Schedule:
    """How long a run is, and how often it looks how good it is.

    Attributes
    ----------
    steps, validate_every : int
    minutes : float
        After which its steps end too; 0 for never.
    """

    steps: int
    validate_every: int
    minutes: float = 0.0

    @classmethod
    def of_steps(cls, steps: int, validations: int = VALIDATIONS, minutes: float = 0.0) -> Schedule:
        """Spread validations evenly over some steps.

        Examples
        --------
        >>> Schedule.of_steps(300)
        Schedule(steps=300, validate_every=30, minutes=0.0)
        """
        return cls(steps, max(1, steps // validations), minutes)

    @classmethod
    def of_minutes(cls, minutes: float, costs: Costs) -> Schedule:
        """Fit steps and validations into some minutes, the scores before and after included.

        Examples
        --------
        >>> Schedule.of_minutes(5, Costs(step=1.0, one_pass=3.0))
        Schedule(steps=258, validate_every=25, minutes=4.8)
        """
        left = max(60 * minutes - SCORINGS * costs.one_pass, 30 * minutes)
        most = int(_MOST_VALIDATING * left / costs.one_pass) if costs.one_pass > 0 else VALIDATIONS
        validations = min(max(most, 1), VALIDATIONS)
        steps = max(int((left - validations * costs.one_pass) / costs.step), validations, 1)
        return cls.of_steps(steps, validations, round(left / 60, 2))

    @classmethod
    def kept(cls, run: Mapping[str, Any]) -> Schedule | None:
        """Read the schedule of a run from the section ``run`` of its configuration; None if it has none."""
        try:
            return cls(int(run["steps"]), int(run["validate_every"]), float(run.get("minutes", 0.0)))
        except (KeyError, TypeError, ValueError):
            return None

    def seconds(self, costs: Costs) -> float:
        """Estimate how long all of it takes."""
        passes = SCORINGS + -(-self.steps // self.validate_every)
        return self.steps * costs.step + passes * costs.one_pass
