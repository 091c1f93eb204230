"""A finetuning in a process of its own, for windows: they stay alive, and a crash here takes nothing with it.

``python -m napari_effseg.training.finetune.worker`` is steered by lines of JSON.

Lines in (standard input), where the end of the input means stop:

==========================================================================  ==============================
line                                                                        does
==========================================================================  ==============================
``{"do": "prepare", "model": ..., "dataset": ..., "options": {...}}``       what `prepare_finetuning` does
``{"do": "run"}``                                                           what `Finetuning.run` does
``{"do": "stop"}``                                                          stops after the current step
==========================================================================  ==============================

Lines out (standard output): ``said`` is "progress" (`fraction`, `message`), "planned" (the fields of the
plan), "points" (all validations so far, and `before`), "done" (what came out) or "failed" (`kind` is
"cancelled", "refused" or "fault", with `message` and `details`). After "done" or "failed" the process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import psutil

from ...errors import Cancelled, EffsegError
from ..state import HistoryPoint
from .held_back import Scores
from .options import FinetuneOptions
from .plan import FinetunePlan
from .prepare import prepare_finetuning
from .run import FinetuneResult, Finetuning

__all__ = ["Wire", "main", "serve"]

_NICENESS = 5  # of Unix: whoever works in a window comes first


class Wire:
    """Lines of JSON in and out.

    Parameters
    ----------
    source : iterable of str
        Lines of commands, such as a text stream.
    sink : text stream
    """

    def __init__(self, source: Iterable[str], sink: IO[str]) -> None:
        self._sink = sink
        self._stop = threading.Event()
        self._commands: queue.Queue[Mapping[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, args=(source,), name="effseg-commands", daemon=True).start()

    def say(self, said: str, **fields: Any) -> None:
        """Write a line; if nobody reads any more, that is a stop."""
        try:
            self._sink.write(json.dumps({"said": said, **fields}) + "\n")
            self._sink.flush()
        except (OSError, ValueError):
            self._stop.set()

    def wait_for(self, command: str) -> Mapping[str, Any]:
        """Wait for a command.

        Raises
        ------
        Cancelled
            If it is "stop", or the input has ended.
        """
        line = self._commands.get()
        if line.get("do") != command:
            raise Cancelled("stopped before it began")
        return line

    def is_stopped(self) -> bool:
        """Answer the question "shall I stop?"."""
        return self._stop.is_set()

    def _listen(self, source: Iterable[str]) -> None:
        with contextlib.suppress(OSError, ValueError):  # an input that breaks off has ended
            for line in source:
                command = json.loads(line)
                if command.get("do") == "stop":
                    break
                self._commands.put(command)
        self._stop.set()
        self._commands.put({"do": "stop"})


def serve(wire: Wire) -> None:
    """Prepare and run what the wire asks for, and say how it goes."""
    try:
        job = _prepare(wire)
        wire.say("planned", **_plan_fields(job.plan, job.folder))
        wire.wait_for("run")
        wire.say("done", **_result_fields(job.run(_progress(wire), wire.is_stopped, _seen(wire))))
    except Cancelled as err:
        wire.say("failed", kind="cancelled", message=str(err), details="")
    except (EffsegError, MemoryError) as err:
        wire.say("failed", kind="refused", message=str(err), details="")
    except Exception as err:  # noqa: BLE001  the edge of the process: whatever it is, the window is told
        wire.say(
            "failed", kind="fault", message=f"{type(err).__name__}: {err}", details=traceback.format_exc()
        )


def _prepare(wire: Wire) -> Finetuning:
    asked = wire.wait_for("prepare")
    options = dict(asked["options"])
    options["names"] = {int(number): name for number, name in options.get("names", {}).items()}
    if options.get("output") is not None:
        options["output"] = Path(options["output"])
    return prepare_finetuning(
        asked["model"], asked["dataset"], FinetuneOptions(**options), _progress(wire), wire.is_stopped
    )


def _progress(wire: Wire) -> Callable[[float, str], None]:
    return lambda fraction, message: wire.say("progress", fraction=fraction, message=message)


def _seen(wire: Wire) -> Callable[[Sequence[HistoryPoint], Mapping[str, float]], None]:
    def seen(points: Sequence[HistoryPoint], before: Mapping[str, float]) -> None:
        wire.say("points", points=[asdict(point) for point in points], before=dict(before))

    return seen


def _plan_fields(plan: FinetunePlan, folder: Path) -> dict[str, Any]:
    return {
        "base": plan.base,
        "name": plan.name,
        "folder": str(folder),
        "training": list(plan.training),
        "held_back": list(plan.held_back),
        "rule": plan.rule,
        "steps": plan.steps,
        "minutes": plan.minutes,
        "step_seconds": plan.step_seconds,
        "seconds": plan.seconds,
        "memory_bytes": plan.memory_bytes,
        "free_bytes": plan.free_bytes,
        "learning": plan.describe_learning(),
        "device": plan.device.description,
        "licence": plan.licence,
        "notes": [*plan.notes, *plan.doubts()],
    }


def _result_fields(result: FinetuneResult) -> dict[str, Any]:
    return {
        "folder": str(result.folder),
        "card": None if result.card is None else str(result.card.path),
        "before": _score_fields(result.before),
        "after": _score_fields(result.after),
        "steps": result.steps,
        "seconds": result.seconds,
        "warnings": list(result.warnings),
    }


def _score_fields(scores: Scores | None) -> dict[str, Any] | None:
    return None if scores is None else {"mean": scores.mean, "labels": scores.by_label}


def _own_standard_output() -> IO[str]:
    """Return a stream to the standard output that nobody else writes to; prints go to the standard error."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sink


def _give_way() -> None:
    """Let other programs come first, where the system allows it."""
    with contextlib.suppress(OSError, psutil.Error):
        process = psutil.Process()
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(_NICENESS)


def main() -> None:
    """Serve the standard input and output."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C in the window's terminal: the window tells us to stop
    _give_way()
    serve(Wire(sys.stdin, _own_standard_output()))


if __name__ == "__main__":
    main()
