"""A model and a data set in, tables out."""

from .accuracy import CaseResult, Evaluation, EvaluationOptions, Spread, evaluate, evaluate_corrupted
from .comparison import BenchReport, BenchRow, TrainingStep, bench
from .picture import dice_scores, draw_dice_against_time
from .scan_bench import ScanRow, bench_scan
from .transforms import Guise, make_guise, transform_names

__all__ = [
    "BenchReport",
    "BenchRow",
    "CaseResult",
    "Evaluation",
    "EvaluationOptions",
    "Guise",
    "ScanRow",
    "Spread",
    "TrainingStep",
    "bench",
    "bench_scan",
    "dice_scores",
    "draw_dice_against_time",
    "evaluate",
    "evaluate_corrupted",
    "make_guise",
    "transform_names",
]
