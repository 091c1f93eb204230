"""A model and a data set in, tables out."""

from .accuracy import CaseResult, Evaluation, EvaluationOptions, Spread, evaluate
from .comparison import BenchRow, bench
from .scan_bench import ScanRow, bench_scan
from .transforms import Guise, make_guise, transform_names

__all__ = [
    "BenchRow",
    "CaseResult",
    "Evaluation",
    "EvaluationOptions",
    "Guise",
    "ScanRow",
    "Spread",
    "bench",
    "bench_scan",
    "evaluate",
    "make_guise",
    "transform_names",
]
