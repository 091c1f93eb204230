"""Training: a configuration in, a run folder with weights and their card out."""

from .config import AugmentConfig, DataConfig, OptimiserConfig, RunConfig, TrainConfig, read_config
from .run import run_training

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "OptimiserConfig",
    "RunConfig",
    "TrainConfig",
    "read_config",
    "run_training",
]
