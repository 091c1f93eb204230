"""Many cases through the engine: found, worked through by a pool of workers, kept in a ledger, summed up.

One bad case is reported and the rest is done; what is done is not done again. Importing this loads no torch.
"""

from .cases import Case, Found, Wanted, find_cases
from .pools import InProcessPool, Pool
from .results import CaseResult, LabelVolume, Status
from .run import BatchOptions, BatchResult, Outcome, run_batch

__all__ = [
    "BatchOptions",
    "BatchResult",
    "Case",
    "CaseResult",
    "Found",
    "InProcessPool",
    "LabelVolume",
    "Outcome",
    "Pool",
    "Status",
    "Wanted",
    "find_cases",
    "run_batch",
]
