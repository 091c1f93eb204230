"""One case in whatever process: load, segment, save. Nothing is raised: what went wrong is in the result."""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import shutil
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import Cancelled, EffsegError, ExportError, ExportWarning, OutOfMemory
from ..types import CancelCheck
from .cases import Case
from .places import HIDDEN, Places, places_of
from .results import CaseResult, LabelVolume, Status

if TYPE_CHECKING:
    from ..engine import Result
    from ..volume import Volume

__all__ = ["Task", "describe_worker", "do_case"]

_USERS_ERRNOS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
)
"""Refusals of the operating system that the user can mend: rights, space, paths."""


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of a case; picklable.

    Attributes
    ----------
    case : Case
    output : Path
        Folder of results, absolute; there on every machine that works.
    run : str
        Name of this run's folder of growing files.
    suffix : str
    overlay : bool
    device : str
    attempt : int
        From 1.
    """

    case: Case
    output: Path
    run: str
    suffix: str = ".nii.gz"
    overlay: bool = False
    device: str = "auto"
    attempt: int = 1

    @property
    def places(self) -> Places:
        """Where its results lie."""
        return places_of(self.case, self.suffix, self.overlay)


def do_case(task: Task, cancel: CancelCheck | None = None) -> CaseResult:
    """Segment a case and put all its files in place, or none.

    The network stays loaded in the process for the next case. Whatever goes wrong becomes the result's
    status, and one sentence.

    Parameters
    ----------
    task : Task
    cancel : callable, optional
        ``cancel()`` -> True to stop.
    """
    began = time.perf_counter()
    try:
        result = _done(task, cancel)
    except Exception as err:  # noqa: BLE001  one bad case must not end the others
        result = failure(task, err)
    return replace(result, seconds=round(time.perf_counter() - began, 3))


def failure(task: Task, error: BaseException) -> CaseResult:
    """Say what an exception means for a case."""
    status, words = _meaning(error, task.output)
    details = "".join(traceback.format_exception(error)) if status is Status.FAULT else ""
    return replace(_empty(task, status), words=" ".join(words.split()), details=details)


def describe_worker() -> str:
    """Machine and process, for people who look for a log."""
    return f"{platform.node()}:{os.getpid()}"


def _empty(task: Task, status: Status) -> CaseResult:
    card = task.case.card
    return CaseResult(task.case.name, status, model=card.name, worker=describe_worker(), attempt=task.attempt)


def _meaning(error: BaseException, output: Path) -> tuple[Status, str]:
    if isinstance(error, Cancelled):
        return Status.CANCELLED, "stopped before it was done"
    if isinstance(error, OutOfMemory):
        return Status.NO_MEMORY, str(error)
    if isinstance(error, EffsegError):
        return Status.BAD_INPUT, str(error)
    if isinstance(error, OSError) and error.errno in _USERS_ERRNOS:
        return Status.BAD_INPUT, f"{error.filename or output}: {error.strerror}"  # a full disk names no file
    if isinstance(error, MemoryError) or _is_memory_error(error):
        return Status.NO_MEMORY, "not enough memory for this image; use fewer workers, or crop it"
    return Status.FAULT, f"a fault in effseg: {type(error).__name__}: {error}"


def _is_memory_error(error: BaseException) -> bool:
    from ..engine.ladder import is_memory_error

    return is_memory_error(error)


def _done(task: Task, cancel: CancelCheck | None) -> CaseResult:
    from ..engine import segment

    case = task.case
    if case.problem:
        return replace(_empty(task, Status.BAD_INPUT), words=case.problem)
    _require_folder(task)
    volume = _load(case)
    found = segment(volume, case.card, task.device, list(case.roi) or None, None, cancel)
    measured = _measured(found)
    with _growing(task) as folder:
        said = _write(task, volume, found, measured, folder)
        outputs = _place(task, folder)
    return replace(
        _empty(task, Status.DONE),
        volumes=measured,
        objects=None if found.report.objects is None else found.report.objects.count,
        warnings=(*found.report.warnings, *said),
        outputs=outputs,
    )


def _require_folder(task: Task) -> None:
    """Refuse a folder of results that this machine does not share: its files would be lost."""
    if not (task.output / HIDDEN / task.run).is_dir():
        raise ExportError(
            f"{platform.node()} does not see the folder of results {task.output}; every machine that works "
            "needs images and results under the same paths"
        )


def _load(case: Case) -> Volume:
    from ..io import load

    is_one = len(case.files) == 1  # which may hold all channels
    channel: Literal["all"] | None = "all" if is_one and len(case.card.input.channels) > 1 else None
    files = case.files[0] if is_one else list(case.files)
    volume = load(files, frame=case.frame, series=case.series, channel=channel, level=case.level)
    return replace(volume, channel_names=case.roles) if case.roles else volume


def _measured(found: Result) -> tuple[LabelVolume, ...]:
    if found.report.objects is not None:
        return ()  # thousands of nuclei have no volumes that anybody reads
    labels = found.labels
    sizes = labels.volumes_ml()
    return tuple(
        LabelVolume(label, labels.names.get(label, ""), round(sizes.get(label, 0.0), 6))
        for label in sorted({*labels.names, *sizes})
    )


@contextmanager
def _growing(task: Task) -> Iterator[Path]:
    """Give a folder for the files of one case, which is taken away at the end."""
    folder = task.output / HIDDEN / task.run / secrets.token_hex(8)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(
    task: Task, volume: Volume, found: Result, measured: tuple[LabelVolume, ...], folder: Path
) -> tuple[str, ...]:
    """Write every file under its final name in the hidden folder; returns what had to be completed."""
    from ..io import save
    from ..overlay import overlay_picture

    case, places = task.case, task.places
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExportWarning)
        save(
            found.labels,
            folder / Path(places.labels).name,
            reference=case.files[0],
            series=case.series,
            frame=case.frame,
            level=case.level,
        )
    said = tuple(str(one.message) for one in caught if issubclass(one.category, ExportWarning))
    text = _report_text(task, found, measured, said)
    (folder / Path(places.report).name).write_text(text, encoding="utf-8")
    if places.overlay is not None:
        overlay_picture(volume, found.labels).save(folder / Path(places.overlay).name)
    return said


def _report_text(task: Task, found: Result, measured: tuple[LabelVolume, ...], said: tuple[str, ...]) -> str:
    """Lay out what was done, with the keys that `effseg segment --report` writes."""
    case, document = task.case, found.report.to_json()
    whole: dict[str, Any] = {
        "inputs": [str(path) for path in case.files],
        "roles": list(case.roles),
        "output": str(task.output / task.places.labels),
        "roi": [[list(corner) for corner in box] for box in case.roi],
        "labels": [{"label": one.label, "name": one.name, "volume_ml": one.volume_ml} for one in measured],
        **document,
        "warnings": [*document["warnings"], *said],
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def _place(task: Task, folder: Path) -> tuple[str, ...]:
    """Rename all files into place, the label map last; returns their names, the label map first."""
    from ..io.atomic import Replacement, place_files

    target = (task.output / task.places.labels).parent
    if not target.resolve().is_relative_to(task.output.resolve()):
        raise ExportError(f"{target} leads out of the folder of results by a link")
    target.mkdir(parents=True, exist_ok=True)
    last = Path(task.places.labels).name
    staged = sorted(folder.iterdir(), key=lambda path: (path.name == last, path.name))
    place_files([Replacement(target / path.name, path) for path in staged])
    parent = target.relative_to(task.output)
    return tuple((parent / path.name).as_posix() for path in reversed(staged))
