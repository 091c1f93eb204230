"""The training configuration: one TOML file, checked before anything is read or computed.

The file has a ``[card]`` table in the layout of a model card (without what training fills in: weights,
accuracy, performance) and one table each for `DataConfig`, `AugmentConfig`, `OptimiserConfig` and
`RunConfig`; that of a promptable model has one for `ClickConfig` or, if it is of volumes, for `SolidConfig`
in place of `AugmentConfig`, and may have one for `DistillConfig`. Unknown fields are refused with the nearest
known names.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, nearest_names
from .clicks.config import ClickConfig, DistillConfig
from .solids.config import SolidConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["AugmentConfig", "DataConfig", "OptimiserConfig", "RunConfig", "TrainConfig", "read_config"]

_Section = TypeVar("_Section")
SCHEDULES = ("polynomial", "cosine", "exponential")


@dataclass(frozen=True)
class DataConfig:
    """Where the cases are, and which part of each the network sees.

    Attributes
    ----------
    folder : str
        Folder with a ``dataset.json`` in the style of the Medical Segmentation Decathlon, relative to
        the configuration file; ``${EFFSEG_DATA}`` stands for the environment variable.
    more_folders : tuple of str
        Further such folders, whose splits are added to those of the first; a structure has the same number
        in all of them.
    patch : tuple of int
        Patch size in voxels; empty for the card's window. A patch smaller than the window makes steps
        cheaper where the network takes any size.
    foreground_fraction : float
        Fraction of the patches that are centred near a labelled voxel, where a case is larger than a patch.
    shift_voxels : int
        Patches smaller or larger than the case are shifted by up to this many voxels, so that the
        structure is not always in the middle.
    limit_cases : int
        Use only the first cases of each split of each folder; 0 for all. For rehearsals.
    """

    folder: str
    more_folders: tuple[str, ...] = ()
    patch: tuple[int, ...] = ()
    foreground_fraction: float = 0.7
    shift_voxels: int = 4
    limit_cases: int = 0


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training patches; 0 or an empty list switches one off.

    Attributes
    ----------
    mirror : tuple of str
        Anatomical mirroring with the affine unchanged, a left structure becoming a right one: pairs of
        letters, "LR", "AP" or "SI". Array flips with the affine following need no entry: the card's
        orientation undoes them before the network sees anything.
    quarter_turns : bool
        Turns of slices and pictures by multiples of 90 degrees, where their sides allow it: for what has no
        up and down.
    probability : float
        Chance of each of the following, in [0, 1].
    rotate_degrees, scale, translate_voxels : float
        Largest rotation about each axis, relative change of size, and shift.
    elastic_voxels : float
        Largest displacement of a smooth random deformation.
    noise, blur_voxels, contrast, gamma, bias_field : float
        Standard deviation of noise (in standard deviations of the image), of blur, relative change of
        contrast, largest exponent of gamma (its inverse the smallest), strength of a smooth bias field.
    low_resolution : float
        Smallest zoom of a simulated coarse acquisition, in (0, 1); 0 switches it off.
    """

    mirror: tuple[str, ...] = ("LR",)
    quarter_turns: bool = False
    probability: float = 0.25
    rotate_degrees: float = 15.0
    scale: float = 0.15
    translate_voxels: float = 0.0
    elastic_voxels: float = 0.0
    noise: float = 0.15
    blur_voxels: float = 0.7
    contrast: float = 0.25
    gamma: float = 1.5
    bias_field: float = 0.2
    low_resolution: float = 0.5


@dataclass(frozen=True)
class OptimiserConfig:
    """Optimiser with warm-up and decay, the loss, and an averaged copy of the weights.

    Attributes
    ----------
    method : str
        "adamw", or "adam", whose weight decay is part of the gradient.
    learning_rate, weight_decay, clip_norm : float
    beta2 : float
        Decay of the second moment.
    warmup_steps : int
    schedule : str
        How the learning rate falls over all steps, or minutes, after the warm-up: "polynomial" with the
        exponent `decay_power`; "cosine"; "exponential" to the fraction `decay_end`.
    decay_power, decay_end : float
    average_decay : float
        Decay of the exponential moving average of the weights, which is what is validated and kept; 0 for
        none.
    loss : str
        "dice_ce": soft Dice of the labels and cross entropy; "dice_focal": soft Dice and focal loss.
    dice_weight : float
        Weight of soft Dice in the loss; the other loss has one minus it.
    dice_squared : bool
        Whether the sums in the denominator of soft Dice are those of squares.
    """

    method: str = "adamw"

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    beta2: float = 0.999
    clip_norm: float = 12.0
    warmup_steps: int = 100
    schedule: str = "polynomial"
    decay_power: float = 0.9
    decay_end: float = 0.02
    average_decay: float = 0.998
    loss: str = "dice_ce"
    dice_weight: float = 0.5
    dice_squared: bool = False


@dataclass(frozen=True)
class RunConfig:
    """How long, how often, from which seed.

    Attributes
    ----------
    steps, batch_size : int
    minutes : float
        The run also ends after so many minutes of training, validation counted and pauses between sittings
        not; the learning rate has then fallen to zero. 0 for no such end. Only runs without it give the
        same weights on every machine.
    validate_every : int
        Steps between two validations on whole volumes.
    patience : int
        The run ends early after this many validations in a row without a better one; 0 for never.
    checkpoint_minutes : float
        A resumable checkpoint is written this often, and after each validation.
    seed : int
    mixed_precision : bool
        Half precision where it is safe, on CUDA only.
    initial_weights : str
        A safetensors file to start from, relative to the configuration file; empty for random weights.
    country : str
        ISO code of the country whose electricity mix the CO2 estimate uses.
    """

    steps: int = 4000
    batch_size: int = 2
    minutes: float = 0.0
    validate_every: int = 250
    patience: int = 0
    checkpoint_minutes: float = 5.0
    seed: int = 0
    mixed_precision: bool = True
    initial_weights: str = ""
    country: str = "DEU"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that `run_training` needs; see the module docstring for the file."""

    card: Mapping[str, Any]
    data: DataConfig
    clicks: ClickConfig | None = None
    solids: SolidConfig | None = None
    distill: DistillConfig | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    run: RunConfig = field(default_factory=RunConfig)
    path: Path = Path()

    def resolve(self, name: str) -> Path:
        """Path of a file that the configuration names, relative to the configuration file."""
        return (self.path.parent / _expand(name)).resolve()


def read_config(path: Path) -> TrainConfig:
    """Read and check a training configuration.

    Raises
    ------
    ConfigError
        If the file is missing or no TOML, or a field is unknown, of the wrong type or out of range.
    """
    if not path.is_file():
        raise ConfigError(f"no training configuration at {path}; expected a TOML file")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path} is not valid TOML: {err}") from err
    if "finetune" in document:
        raise ConfigError(f"{path} is of a finetuning; go on with it by effseg finetune ... --resume")
    known = ("card", "data", "clicks", "solids", "distill", "augment", "optimiser", "run")
    _refuse_unknown(document, known, str(path))
    for needed in ("card", "data"):
        if needed not in document:
            raise ConfigError(f"{path} has no [{needed}] table")
    config = TrainConfig(
        card=document["card"],
        data=_section(DataConfig, document, "data", path),
        clicks=_section(ClickConfig, document, "clicks", path) if "clicks" in document else None,
        solids=_section(SolidConfig, document, "solids", path) if "solids" in document else None,
        distill=_section(DistillConfig, document, "distill", path) if "distill" in document else None,
        augment=_section(AugmentConfig, document, "augment", path),
        optimiser=_section(OptimiserConfig, document, "optimiser", path),
        run=_section(RunConfig, document, "run", path),
        path=path.resolve(),
    )
    _check_ranges(config)
    return config


def _section(kind: type[_Section], document: Mapping[str, Any], name: str, path: Path) -> _Section:
    given = document.get(name, {})
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    _refuse_unknown(given, fields, f"{path} [{name}]")
    missing = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in given]
    if missing:
        raise ConfigError(f"{path} [{name}] lacks {', '.join(missing)}")
    return kind(
        **{
            key: _typed(value, str(fields[key].type), f"{path} [{name}] {key}")
            for key, value in given.items()
        }
    )


def _typed(value: Any, expected: str, where: str) -> Any:
    """Check a TOML value against an annotation, which is a string under postponed evaluation."""
    fits = {
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, (int, float)) and not isinstance(value, bool),
        "tuple[int, ...]": isinstance(value, list) and all(type(item) is int for item in value),
        "tuple[str, ...]": isinstance(value, list) and all(isinstance(item, str) for item in value),
    }[expected]
    if not fits:
        raise ConfigError(f"{where} is {value!r}; expected {expected}")
    return tuple(value) if isinstance(value, list) else value


def _refuse_unknown(given: Mapping[str, Any], known: Any, where: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{where} has an unknown field {name!r}.{nearest_names(name, known)}")


def _check_ranges(config: TrainConfig) -> None:
    augment, optimiser, run = config.augment, config.optimiser, config.run
    rules = {
        "data.foreground_fraction must be in [0, 1]": 0 <= config.data.foreground_fraction <= 1,
        "data.shift_voxels must not be negative": config.data.shift_voxels >= 0,
        "augment.mirror takes LR, AP and SI": set(augment.mirror) <= {"LR", "AP", "SI"},
        "augment.probability must be in [0, 1]": 0 <= augment.probability <= 1,
        "augment.gamma must be at least 1": augment.gamma >= 1,
        "augment.low_resolution must be in [0, 1)": 0 <= augment.low_resolution < 1,
        "optimiser.learning_rate must be positive": optimiser.learning_rate > 0,
        'optimiser.method must be "adamw" or "adam"': optimiser.method in ("adamw", "adam"),
        "optimiser.beta2 must be in [0, 1)": 0 <= optimiser.beta2 < 1,
        'optimiser.schedule must be "polynomial", "cosine" or "exponential"': optimiser.schedule in SCHEDULES,
        "optimiser.decay_end must be in (0, 1]": 0 < optimiser.decay_end <= 1,
        "optimiser.average_decay must be in [0, 1)": 0 <= optimiser.average_decay < 1,
        'optimiser.loss must be "dice_ce" or "dice_focal"': optimiser.loss in ("dice_ce", "dice_focal"),
        "optimiser.dice_weight must be in [0, 1]": 0 <= optimiser.dice_weight <= 1,
        "run.steps, run.batch_size and run.validate_every must be at least 1": min(
            run.steps, run.batch_size, run.validate_every
        )
        >= 1,
        'distill.learns must be "masks" or "features"': config.distill is None
        or config.distill.learns in ("masks", "features"),
        "distill.weight must be in [0, 1]": config.distill is None or 0 <= config.distill.weight <= 1,
        "distill needs a table [clicks]": config.distill is None or config.clicks is not None,
        "[clicks] and [solids] exclude each other": config.clicks is None or config.solids is None,
        "run.patience must not be negative": run.patience >= 0,
        "run.minutes must not be negative": run.minutes >= 0,
    }
    rules |= config.clicks.rules() if config.clicks is not None else {}
    rules |= config.solids.rules() if config.solids is not None else {}
    for rule, holds in rules.items():
        if not holds:
            raise ConfigError(f"{config.path}: {rule}")


def _expand(name: str) -> str:
    """Replace ``${EFFSEG_DATA}``, and nothing else, by the environment variable."""
    if "${EFFSEG_DATA}" not in name:
        return name
    folder = os.environ.get("EFFSEG_DATA")
    if not folder:
        raise ConfigError(f"{name} needs the environment variable EFFSEG_DATA: the folder of the data sets")
    return name.replace("${EFFSEG_DATA}", str(Path(folder).resolve()))
