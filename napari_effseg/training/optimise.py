"""The optimiser, and how its learning rate rises and falls."""

from __future__ import annotations

import math

import torch
from torch import nn

from .config import OptimiserConfig

__all__ = ["build_optimiser", "learning_rate"]

_METHODS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
_BETA1 = 0.9


def build_optimiser(net: nn.Module, options: OptimiserConfig) -> torch.optim.Optimizer:
    """Build the optimiser of the parameters that are not frozen."""
    return _METHODS[options.method](
        [parameter for parameter in net.parameters() if parameter.requires_grad],
        lr=options.learning_rate,
        betas=(_BETA1, options.beta2),
        weight_decay=options.weight_decay,
    )


def learning_rate(step: int, steps: int, config: OptimiserConfig, elapsed: float = 0.0) -> float:
    """Learning rate of a step: linear warm-up, then the decay that the schedule names.

    Parameters
    ----------
    step, steps : int
        Steps done, and of the whole run.
    config : OptimiserConfig
    elapsed : float
        Fraction of the run's minutes that is over, in [0, 1]; 0 where it has no such end. Whichever of steps
        and minutes is further on counts.

    Examples
    --------
    >>> config = OptimiserConfig(learning_rate=1.0, warmup_steps=10, decay_power=1.0)
    >>> [learning_rate(step, 110, config) for step in (0, 9, 10, 60)]
    [0.1, 1.0, 1.0, 0.5]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * _fraction(min(max(done, elapsed), 1.0), config)


def _fraction(done: float, config: OptimiserConfig) -> float:
    """Fraction of the full rate that is left when a fraction of the decay is over."""
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if config.schedule == "exponential":
        return float(config.decay_end**done)
    return float((1 - done) ** config.decay_power)
