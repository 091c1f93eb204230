"""Click sessions on the server: each action once, and what it changed as boxes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..history import Commit, History
from ..session_file import write_state
from ..session_json import box_of, prompt_of
from ..session_state import SessionState, unpacked
from ..time_session import Moment
from ..types import BoolArray, Colour, IndexBox
from ..volume import LabelMap
from .faults import Refusal
from .held import HeldVolume
from .payloads import Patch, labels_message, patches_message
from .wire import Malformed, Message, encode, whole
from .work import Task, Workshop

__all__ = ["Answer", "HostedSession", "Stateful", "encoded"]

_LONG_ACTIONS = frozenset({"propagate"})
"""Actions between whose steps others may have their clicks answered."""
_LONGEST_PATH = 20_000
_WIDEST = 256.0
_LONGEST_NAME = 256
_DAMAGE = (KeyError, TypeError, ValueError, IndexError, OverflowError)
"""What reading a prompt that is none may raise."""

Answer = tuple[dict[str, Any], list[NDArray[Any]]]


class Stateful(Moment, Protocol):
    """A session that can tell its whole state; those of the engine can."""

    history: History

    def state(self, model: str, weights_sha256: str) -> SessionState:
        """See `engine.session.local.LocalSession.state`."""
        ...


class HostedSession:
    """A session of a client.

    Attributes
    ----------
    task : Task or None
        The last action.
    through : Task or None
        What carries objects through time, from or to this session.

    Parameters
    ----------
    session : Stateful
    held : HeldVolume
        Its image.
    model, weights_sha256 : str
    """

    def __init__(self, session: Stateful, held: HeldVolume, model: str, weights_sha256: str) -> None:
        self.session, self.held, self.shape = session, held, held.volume.shape
        self.model, self.weights_sha256 = model, weights_sha256
        self.number = 0
        self.task: Task | None = None
        self.through: Task | None = None
        self.alone = asyncio.Lock()
        self._shown: BoolArray = session.mask.copy()
        self._boxes: list[IndexBox] = []
        session.listen(self._boxes.extend)

    def about(self) -> dict[str, Any]:
        """Say what the client must know of it."""
        return {
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "last_id": self.session.history.last_id,
            "number": self.number,
        }

    def check_number(self, number: int) -> bool:
        """Say whether an action is new.

        Raises
        ------
        Refusal
            If it is neither the last one nor the next.
        """
        if number not in (self.number, self.number + 1) or number < 1:
            raise Refusal(
                409, "OutOfStep", f"action {number} was sent; {self.number} was the last that was done"
            )
        return number == self.number + 1

    def begin(self, number: int, message: Message, user: str, workshop: Workshop) -> None:
        """Queue the next action."""
        is_long = str(message.header.get("do")) in _LONG_ACTIONS
        self.task = workshop.put(Task(user, lambda task: self.act(message, task), is_long))
        self.number = number

    def act(self, message: Message, task: Task) -> Answer:
        """Do an action, on the thread that computes, and return what changed.

        Raises
        ------
        Malformed
            If it is none.
        EffsegError
            As the session; nothing has changed.
        """
        what = message.header
        doing = _ACTIONS.get(str(what.get("do")))
        if doing is None:
            raise Malformed(f"{str(what.get('do'))[:40]!r} is no action; expected {', '.join(_ACTIONS)}")
        self._boxes.clear()
        value = doing(self, what, message, task)
        header, arrays = patches_message(self._changed())
        history = self.session.history
        done = history.undoable
        commit = asdict(done) if what["do"] == "commit" and isinstance(done, Commit) else None
        return {"value": value, "last_id": history.last_id, "commit": commit, **header}, arrays

    def preview(self, message: Message) -> Answer:
        """Return what a prompt would make of the mask."""
        prompt = self._prompt(message.header, message)
        found = self.session.preview(prompt, shown=_axis(message.header.get("shown")))
        return patches_message([Patch(box, inside) for box, inside in found])

    def slice_info(self, axis: int, index: int) -> dict[str, Any]:
        """Return what the prompts of a slice may mean, and which of it is shown."""
        scores = self.session.hypotheses(axis, index)
        return {"scores": list(scores), "chosen": self.session.chosen(axis, index)}

    def file(self) -> bytes:
        """Return the session as an ``.effseg`` file."""
        stream = io.BytesIO()
        write_state(self.session.state(self.model, self.weights_sha256), stream)
        return stream.getvalue()

    def labels(self) -> Answer:
        """Return all finished objects."""
        found: LabelMap = self.session.labels
        return labels_message(found)

    def close(self) -> None:
        """Stop what runs."""
        if self.task is not None:
            self.task.cancel()

    def _changed(self) -> list[Patch]:
        """Compare the boxes that were named with what the client has, and keep what differs."""
        found, mask = [], self.session.mask
        for box in dict.fromkeys(self._boxes):
            there = tuple(slice(low, high) for low, high in zip(*box, strict=True))
            tight = _tight(mask[there] != self._shown[there], box)
            if tight is None:
                continue
            inside = mask[tuple(slice(low, high) for low, high in zip(*tight, strict=True))]
            self._shown[there] = mask[there]
            found.append(Patch(tight, inside))
        self._boxes.clear()
        return found

    def _prompt(self, entry: Mapping[str, Any], message: Message) -> Any:
        about = entry.get("prompt")
        if not isinstance(about, Mapping):
            raise Malformed('expected an entry "prompt"')
        _check_size(about, message)
        try:
            return prompt_of(about, message, self.shape)
        except PromptError:
            raise
        except Malformed:
            raise
        except _DAMAGE as err:
            raise Malformed(f"the prompt is none ({type(err).__name__}: {str(err)[:200]})") from err

    def _add(self, entry: Mapping[str, Any], message: Message, task: Task) -> int:
        return self.session.add(self._prompt(entry, message), shown=_axis(entry.get("shown")))

    def _remove(self, entry: Mapping[str, Any], message: Message, task: Task) -> None:
        self.session.remove(whole(entry.get("id"), 0, 2**53, "id"))

    def _edit(self, entry: Mapping[str, Any], message: Message, task: Task) -> None:
        self.session.edit(whole(entry.get("id"), 0, 2**53, "id"), self._prompt(entry, message))

    def _stroke(self, entry: Mapping[str, Any], message: Message, task: Task) -> int:
        try:
            box = box_of(entry["box"], self.shape)
        except _DAMAGE as err:
            raise PromptError(f"a stroke in a box that is none inside the image was given ({err})") from err
        sides = [high - low for low, high in zip(*box, strict=True)]
        voxels = int(np.prod(sides))
        bits = message.read(entry.get("inside", 0), np.uint8, (voxels + 7) // 8)
        if bits.size != (voxels + 7) // 8:
            raise Malformed(f"a stroke of {bits.size} bytes was given for {voxels} voxels")
        inside = np.unpackbits(bits, count=voxels).reshape(sides).view(bool)
        return self.session.paint(box, inside, positive=bool(entry.get("positive", True)))

    def _bring(self, entry: Mapping[str, Any], message: Message, task: Task) -> None:
        voxels = int(np.prod(self.shape))
        bits = message.read(entry.get("inside", 0), np.uint8, (voxels + 7) // 8)
        if bits.size != (voxels + 7) // 8:
            raise Malformed(f"a mask of {bits.size} bytes was given for {voxels} voxels")
        self.session.bring(unpacked(bits, self.shape))

    def _choose(self, entry: Mapping[str, Any], message: Message, task: Task) -> None:
        axis = whole(entry.get("axis"), 0, 2, "axis")
        index = whole(entry.get("index"), 0, 2**31, "index")
        self.session.choose(axis, index, whole(entry.get("hypothesis"), -1, 2**31, "hypothesis"))

    def _propagate(self, entry: Mapping[str, Any], message: Message, task: Task) -> None:
        axis = whole(entry.get("axis", 2), -(2**31), 2**31, "axis")
        self.session.propagate(axis, progress=task.progress, cancel=task.is_cancelled)

    def _commit(self, entry: Mapping[str, Any], message: Message, task: Task) -> int:
        label, name = entry.get("label"), entry.get("name", "")
        if not isinstance(name, str) or len(name) > _LONGEST_NAME or not (name.isprintable() or not name):
            raise PromptError(f"a name of an object is text on one line, at most {_LONGEST_NAME} letters")
        number = None if label is None else whole(label, -(2**53), 2**53, "label")
        return self.session.commit(number, name, _colour(entry.get("colour")))

    def _undo(self, entry: Mapping[str, Any], message: Message, task: Task) -> str:
        return self.session.undo()

    def _redo(self, entry: Mapping[str, Any], message: Message, task: Task) -> str:
        return self.session.redo()


_ACTIONS: dict[str, Callable[[HostedSession, Mapping[str, Any], Message, Task], Any]] = {
    "add": HostedSession._add,
    "remove": HostedSession._remove,
    "edit": HostedSession._edit,
    "stroke": HostedSession._stroke,
    "bring": HostedSession._bring,
    "choose": HostedSession._choose,
    "propagate": HostedSession._propagate,
    "commit": HostedSession._commit,
    "undo": HostedSession._undo,
    "redo": HostedSession._redo,
}


def encoded(answer: Answer, compress: bool = True) -> list[bytes | memoryview]:
    """Lay out an answer."""
    header, arrays = answer
    return encode(header, arrays, compress=compress)


def _tight(differs: BoolArray, box: IndexBox) -> IndexBox | None:
    """Smallest box that holds what differs."""
    low, high = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(differs.any(axis=others))
        if not found.size:
            return None
        low.append(box[0][axis] + int(found[0]))
        high.append(box[0][axis] + int(found[-1]) + 1)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _check_size(prompt: Mapping[str, Any], message: Message) -> None:
    """Refuse lines that would take minutes to draw."""
    for array in message.arrays:
        if array.dtype == np.float64 and array.size > 3 * _LONGEST_PATH:
            raise Malformed(f"a line of {array.shape} was given; at most {_LONGEST_PATH} places")
    radius = prompt.get("radius", 0)
    if not isinstance(radius, int | float) or isinstance(radius, bool) or radius > _WIDEST:
        raise PromptError(f"a scribble of radius {str(radius)[:40]} was given; expected 0 to {_WIDEST:g}")


def _axis(value: object) -> int | None:
    return None if value is None else whole(value, 0, 2, "shown")


def _colour(value: object) -> Colour | None:
    if value is None:
        return None
    parts: Iterable[object] = value if isinstance(value, list) and len(value) == 3 else [None]
    red, green, blue = ([whole(part, 0, 255, "colour") for part in parts] + [0, 0])[:3]
    return red, green, blue
