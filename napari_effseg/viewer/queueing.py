"""Models that run one after the other into one result; neither a failure nor a cancel loses what is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Cancelled, EffsegError
from ..types import CancelCheck, IndexBox, Progress
from ..volume import Volume
from ..zoo.card import Card

if TYPE_CHECKING:
    from ..engine import Combined, Result
    from .automatic import Automatic

__all__ = ["Failure", "Queued", "Task", "run_queue"]


@dataclass(frozen=True, eq=False)
class Task:
    """One model of a queue.

    Attributes
    ----------
    card : Card
    volume : callable
        Gives the image as this model takes it; called when its turn comes.
    """

    card: Card
    volume: Callable[[], Volume]


@dataclass(frozen=True, eq=False)
class Failure:
    """A model that gave nothing, and why."""

    model: str
    error: Exception


@dataclass(frozen=True, eq=False)
class Queued:
    """What a queue gave.

    Attributes
    ----------
    combined : Combined
        Of the models that finished.
    volume : Volume
        The image as the first of them took it.
    failures : tuple of Failure
        Models that failed.
    left_out : tuple of str
        Models that a cancel kept from finishing.
    """

    combined: Combined
    volume: Volume
    failures: tuple[Failure, ...]
    left_out: tuple[str, ...]


def run_queue(
    tasks: Sequence[Task],
    engine: Automatic,
    device: str,
    boxes: Sequence[IndexBox],
    later_wins: bool,
    progress: Progress,
    cancel: CancelCheck,
) -> Queued:
    """Run models one after the other, and make one result of those that finish.

    Parameters
    ----------
    tasks : sequence of Task
    engine : Automatic
        Runs them.
    device : str
    boxes : sequence of IndexBox
        Regions to label; none for the whole image.
    later_wins : bool
        Whether later models replace labels of earlier ones.
    progress, cancel : callable

    Raises
    ------
    Cancelled
        If `cancel` said so before the first of them was done.
    Exception
        Why the only model failed, or the first of several that all did.
    """
    from ..engine import combine, part_of

    done: list[tuple[Result, Volume]] = []
    failures: list[Failure] = []
    left_out: tuple[str, ...] = ()
    for at, task in enumerate(tasks):
        said = part_of(progress, at, len(tasks), task.card.name)
        try:
            volume = task.volume()
            done.append((engine.segment(volume, task.card, device, boxes, said, cancel), volume))
        except Cancelled:
            if not done:
                raise
            left_out = tuple(other.card.name for other in tasks[at:])
            break
        except Exception as err:  # noqa: BLE001  whatever it is, it must not lose what the others gave
            failures.append(Failure(task.card.name, err))
    if not done:
        raise _reason_of_all(failures)
    combined = combine([result for result, _ in done], later_wins)
    return Queued(combined, done[0][1], tuple(failures), left_out)


def _reason_of_all(failures: Sequence[Failure]) -> Exception:
    """Return one error for all: a fault of ours as it is, with its details; else the reason of each model."""
    faults = [one.error for one in failures if not isinstance(one.error, EffsegError)]
    if len(failures) == 1 or faults:
        return faults[0] if faults else failures[0].error
    return EffsegError("; ".join(f"{one.model}: {one.error}" for one in failures))
