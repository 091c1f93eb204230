"""The run folder: the configuration a run began with, its log, its history and curves."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigError
from ..types import Progress
from ..zoo.card import Card
from .curves import draw_curves
from .state import HistoryPoint, TrainingState

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Seen", "drawing", "kept_config", "log_to", "open_run_folder", "refuse_other_run"]

_CONFIG = "config.toml"


def open_run_folder(folder: Path, config: bytes, resume: bool, origin: str) -> Path:
    """Make the run folder and keep the configuration in it.

    Parameters
    ----------
    folder : Path
    config : bytes
        Text of the configuration, UTF-8.
    resume : bool
        Whether a run in the folder may go on.
    origin : str
        What messages call the configuration: its file, or "these options".

    Raises
    ------
    ConfigError
        If the folder holds a run and `resume` is False, or a run of another configuration.
    """
    refuse_other_run(folder, resume)
    kept = folder / _CONFIG
    if kept.is_file() and kept.read_bytes() != config:
        raise ConfigError(
            f"{kept} differs from {origin}{_first_difference(kept.read_bytes(), config)}; "
            "a run goes on with what it began with"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        kept.write_bytes(config)
    return folder


def kept_config(folder: Path) -> dict[str, Any]:
    """Return the tables of the configuration that a run folder keeps; none where there is no run, or no TOML.

    Whether it is that of the run to go on with, `open_run_folder` checks.
    """
    try:
        return tomllib.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def refuse_other_run(folder: Path, resume: bool) -> None:
    """Refuse a folder that holds a run which is not to go on.

    Raises
    ------
    ConfigError
        If there is one.
    """
    if (folder / _CONFIG).is_file() and not resume:
        raise ConfigError(
            f"{folder} already holds a run; name another folder (--output), or go on with it (--resume)"
        )


class Run(Protocol):
    """What is drawn of a run."""

    folder: Path
    card: Card
    state: TrainingState


Seen = Callable[[Sequence[HistoryPoint], Mapping[str, float]], None]
"""Is told of all validations so far, and of the Dice of each label before the first step."""


def drawing(
    trainer: Run,
    progress: Progress | None,
    before: Mapping[str, float] | None = None,
    seen: Seen | None = None,
) -> Progress:
    """Report progress, and draw the curves again after each validation.

    Parameters
    ----------
    trainer : Run
    progress : callable or None
    before : mapping of str to float, optional
        Dice of each label before the first step, drawn as a level.
    seen : callable, optional
        Is told after each validation too.
    """
    drawn = 0

    def report(fraction: float, message: str) -> None:
        nonlocal drawn
        if len(trainer.state.history) > drawn:
            drawn = len(trainer.state.history)
            _write_history(trainer, before or {})
            if seen is not None:
                seen(tuple(trainer.state.history), before or {})
        if progress is not None:
            progress(fraction, message)

    return report


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write this package's log to a file as well, while the context is open."""
    logger = logging.getLogger("napari_effseg")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, level or logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _write_history(trainer: Run, before: Mapping[str, float]) -> None:
    points = [dataclasses.asdict(point) for point in trainer.state.history]
    (trainer.folder / "history.json").write_text(json.dumps(points, indent=1), encoding="utf-8")
    draw_curves(trainer.state.history, trainer.folder / "curves.png", trainer.card.title, before)


def _first_difference(kept: bytes, given: bytes) -> str:
    """Name the first line in which two configurations differ."""
    lines = itertools.zip_longest(*(text.decode("utf-8", "replace").splitlines() for text in (kept, given)))
    for there, here in lines:
        if there != here:
            return f" ({there or 'nothing'!r} there, {here or 'nothing'!r} given)"
    return ""
