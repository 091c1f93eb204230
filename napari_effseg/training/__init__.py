"""Training: a configuration in, a run folder with weights and their card out."""

from .config import AugmentConfig, DataConfig, OptimiserConfig, RunConfig, TrainConfig, read_config
from .finetune import FinetuneOptions, FinetuneResult, prepare_finetuning
from .run import run_training

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "FinetuneOptions",
    "FinetuneResult",
    "OptimiserConfig",
    "RunConfig",
    "TrainConfig",
    "prepare_finetuning",
    "read_config",
    "run_training",
]
