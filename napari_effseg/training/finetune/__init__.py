"""Finetuning: a card's weights and a few labelled cases in, a card that is better on such cases out.

Two steps, so that a door can say the plan in between: `prepare_finetuning` reads the cases and measures what
a step costs; `Finetuning.run` does the work by the loop of any training.
"""

from .options import FinetuneOptions
from .plan import FinetunePlan
from .prepare import prepare_finetuning
from .run import FinetuneResult, Finetuning
from .transfer import FREEZES

__all__ = ["FREEZES", "FinetuneOptions", "FinetunePlan", "FinetuneResult", "Finetuning", "prepare_finetuning"]
