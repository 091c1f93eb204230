"""A model and a data set in, tables out."""

from .accuracy import CaseResult, Evaluation, EvaluationOptions, Spread, evaluate
from .comparison import BenchRow, bench
from .transforms import Guise, make_guise, transform_names

__all__ = [
    "BenchRow",
    "CaseResult",
    "Evaluation",
    "EvaluationOptions",
    "Guise",
    "Spread",
    "bench",
    "evaluate",
    "make_guise",
    "transform_names",
]
