"""Methods without learning that answer the same prompts, to compare promptable networks with.

They are bodies of sessions: prompts, planes and propagation are those of every other model. Their settings
were chosen by ``docs/_choose_baselines.py`` on sets that no network is trained on either.
"""

from .bodies import BASELINES, BaselineBody, baseline_body, open_baseline

__all__ = ["BASELINES", "BaselineBody", "baseline_body", "open_baseline"]
