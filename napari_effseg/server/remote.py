"""A click session whose network runs on a server; no torch."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError, PromptError, ServerError, ServerLost
from ..history import (
    Action,
    Add,
    Bring,
    Choose,
    Commit,
    Edit,
    Propagate,
    Remove,
    Stroke,
    current_prompts,
    in_words,
)
from ..prompt_voxels import check_prompt
from ..prompts import Mask, Prompt
from ..protocols import Listener, SessionObject
from ..session_file import write_session, write_state
from ..session_json import of_prompt
from ..session_state import SessionState, packed
from ..types import BoolArray, CancelCheck, Colour, IndexBox, PathLike, Progress, SpatialShape
from ..volume import LabelMap, Volume
from .mirror import Mirror
from .payloads import patches_of
from .stopping import CutOff, answering_to, at_most
from .transport import Answer, Gone
from .wire import Message, encode

__all__ = ["Connection", "RemoteSession"]

_PATIENT, _ATTENTIVE, _AT_FIRST = 20, 0.25, 0.05
"""Seconds for which the server may keep a request: of who does not watch, of who does, of whose first one."""
_BEGINNINGS = 4
_PARTING_SECONDS = 2.0
_Found = TypeVar("_Found")


class Connection(Protocol):
    """What a session needs of its client."""

    @property
    def compresses(self) -> bool:
        """Whether arrays are worth packing."""
        ...

    def call(self, method: str, path: str, **request: Any) -> Answer:
        """Make a request under the client's lease."""
        ...

    def send(self, volume: Volume, sha256: str) -> str:
        """Bring an image to the server, if it is not there, and return its name."""
        ...

    def forget(self, session: RemoteSession) -> None:
        """Drop a session that was closed."""
        ...


class RemoteSession:
    """See `protocols.Session`; made by `Client.open_session` and `Client.resume`.

    Parameters
    ----------
    connection : Connection
    volume : Volume
    model : str
    state : SessionState, optional
        To go on from.
    """

    def __init__(
        self, connection: Connection, volume: Volume, model: str, state: SessionState | None = None
    ) -> None:
        self._connection, self._volume = connection, volume
        self._mirror = Mirror(volume) if state is None else Mirror.of(volume, state)
        if state is not None and state.image_sha256 != self._mirror.sha256:
            raise PromptError(
                f"the session is of another image ({state.shape} voxels, this one {volume.shape}); "
                "open the image that it was made on"
            )
        self._listeners: list[Listener] = []
        self._slices: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._lock = threading.RLock()
        self._is_closed = False
        self._path, self._number = "", 0
        self._model, self._weights = model, "" if state is None else state.weights_sha256
        self._open(state)

    @property
    def model(self) -> str:
        """Name of the model that answers."""
        return self._model

    @property
    def shape(self) -> SpatialShape:
        """Of the image."""
        return self._volume.shape

    @property
    def mask(self) -> BoolArray:
        """The object at hand; read only."""
        shown = self._mirror.mask.view()
        shown.setflags(write=False)
        return shown

    @property
    def labels(self) -> LabelMap:
        """All finished objects."""
        return self._mirror.labels

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """Finished objects in the order in which they were finished."""
        return self._mirror.objects

    @property
    def prompts(self) -> Mapping[int, Prompt]:
        """Prompts of the object at hand by their numbers, in order."""
        return current_prompts(self._mirror.history.applied)

    @property
    def undo_words(self) -> str:
        """What `undo` would take back."""
        return in_words(self._mirror.history.undoable)

    @property
    def redo_words(self) -> str:
        """What `redo` would bring back."""
        return in_words(self._mirror.history.redoable)

    def add(self, prompt: Prompt, *, shown: int | None = None) -> int:
        """See `protocols.Session.add`."""
        arrays: list[NDArray[Any]] = []
        shown = None if shown is None else int(shown)
        header = {"do": "add", "prompt": self._as_json(prompt, arrays), "shown": shown}
        number = self._do(header, arrays, lambda found: Add(int(found["value"]), prompt, shown))
        return int(number)

    def remove(self, prompt_id: int) -> None:
        """See `protocols.Session.remove`."""
        number = int(prompt_id)
        self._do({"do": "remove", "id": number}, (), lambda found: Remove(number))

    def edit(self, prompt_id: int, prompt: Prompt) -> None:
        """See `protocols.Session.edit`."""
        arrays: list[NDArray[Any]] = []
        number = int(prompt_id)
        header = {"do": "edit", "id": number, "prompt": self._as_json(prompt, arrays)}
        self._do(header, arrays, lambda found: Edit(number, prompt))

    def paint(self, box: IndexBox, inside: BoolArray, *, positive: bool = True) -> int:
        """See `protocols.Session.paint`."""
        sides = zip(*box, self._volume.shape, strict=True)
        if any(low < 0 or high > side for low, high, side in sides):
            raise PromptError(f"a stroke in {box} was given; the image has {self._volume.shape} voxels")
        kept = Stroke(0, box, inside, positive)
        corners = [[int(value) for value in corner] for corner in box]
        header = {"do": "stroke", "box": corners, "inside": 0, "positive": bool(positive)}
        number = self._do(
            header,
            [np.packbits(kept.inside)],
            lambda found: Stroke(int(found["value"]), box, kept.inside, positive),
        )
        return int(number)

    def bring(self, mask: BoolArray) -> None:
        """See `time_session.Moment.bring`."""
        action = Bring(((0, 0, 0), self._volume.shape), mask)
        self._do({"do": "bring", "inside": 0}, [packed(action.inside)], lambda found: action)

    def hypotheses(self, axis: int, index: int) -> tuple[float, ...]:
        """See `protocols.Session.hypotheses`."""
        return tuple(float(score) for score in self._slice(axis, index)["scores"])

    def choose(self, axis: int, index: int, hypothesis: int) -> None:
        """See `protocols.Session.choose`."""
        action = Choose(int(axis), int(index), int(hypothesis))
        header = {"do": "choose", "axis": action.axis, "index": action.index, "hypothesis": action.hypothesis}
        self._do(header, (), lambda found: action)

    def chosen(self, axis: int, index: int) -> int:
        """See `protocols.Session.chosen`."""
        return int(self._slice(axis, index)["chosen"])

    def preview(self, prompt: Prompt, *, shown: int | None = None) -> tuple[tuple[IndexBox, BoolArray], ...]:
        """See `protocols.Session.preview`."""
        arrays: list[NDArray[Any]] = []
        header = {"prompt": self._as_json(prompt, arrays), "shown": None if shown is None else int(shown)}
        message = self._asked("POST", "/preview", pieces=encode(header, arrays)).message
        return tuple((patch.box, patch.inside) for patch in self._patches(message))

    def propagate(
        self, axis: int = 2, *, progress: Progress | None = None, cancel: CancelCheck | None = None
    ) -> None:
        """See `protocols.Session.propagate`."""
        action = Propagate(int(axis))
        self._do({"do": "propagate", "axis": action.axis}, (), lambda found: action, progress, cancel)

    def commit(self, label: int | None = None, name: str = "", colour: Colour | None = None) -> int:
        """See `protocols.Session.commit`."""
        header = {
            "do": "commit",
            "label": None if label is None else int(label),
            "name": name,
            "colour": None if colour is None else [int(part) for part in colour],
        }
        return int(self._do(header, (), lambda found: _commit_of(found["commit"])))

    def undo(self) -> str:
        """See `protocols.Session.undo`."""
        return str(self._do({"do": "undo"}, (), None))

    def redo(self) -> str:
        """See `protocols.Session.redo`."""
        return str(self._do({"do": "redo"}, (), None))

    def save(self, path: PathLike) -> None:
        """See `protocols.Session.save`; needs no server."""
        write_session(self.state(), path)

    def state(self) -> SessionState:
        """Return all that is needed to go on later, or on another server."""
        return self._mirror.state(self._model, self._weights)

    def name_there(self) -> str:
        """Return the session's name on the server, where it is opened again if it was lost."""
        self._asked("GET", "")
        return self._path.rpartition("/")[2]

    def listen(self, listener: Listener) -> None:
        """See `protocols.Session.listen`."""
        self._listeners.append(listener)

    def close(self) -> None:
        """See `protocols.Session.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        self._listeners.clear()
        self._connection.forget(self)
        self._abandon()

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _do(
        self,
        header: Mapping[str, Any],
        arrays: Sequence[NDArray[Any]],
        action_of: Callable[[Mapping[str, Any]], Action] | None,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> Any:
        """Have an action done, follow it here, and tell who listens."""
        with self._lock:
            self._check_open()
            self._slices.clear()
            pieces = encode(header, arrays)
            with answering_to(cancel):
                message = self._patiently(lambda: self._act(pieces, progress, cancel))
            found = message.header
            patches, last_id = self._patches(message), int(found["last_id"])
            if action_of is not None:
                boxes = self._mirror.did(action_of(found), last_id, patches)
            elif header["do"] == "undo":
                boxes = self._mirror.undid(last_id, patches)
            else:
                boxes = self._mirror.redid(last_id, patches)
        if boxes:
            for listener in self._listeners:
                listener(boxes)
        return found["value"]

    def _act(
        self, pieces: Sequence[bytes | memoryview], progress: Progress | None, cancel: CancelCheck | None
    ) -> Message:
        """Send an action, and wait for its answer; what breaks on the way is not done twice."""
        number = self._number + 1
        path = f"{self._path}/actions/{number}"
        is_watched = progress is not None or cancel is not None
        wait, first = (_ATTENTIVE, _AT_FIRST) if is_watched else (_PATIENT, _PATIENT)
        try:
            answer = self._connection.call("PUT", f"{path}?wait={first}{self._packing}", pieces=pieces)
            while answer.status == 202:
                if progress is not None:
                    progress(float(answer.json["fraction"]), str(answer.json["message"]))
                if cancel is not None and cancel():
                    self._connection.call("DELETE", path)
                answer = self._connection.call("GET", f"{path}?wait={wait}{self._packing}")
        except Gone:
            raise
        except BaseException as err:
            self._keep_step(err)
            raise
        self._number = number
        assert answer.message is not None
        return answer.message

    def _keep_step(self, error: BaseException) -> None:
        """Find out which action the server did last; where that is not known, leave its session alone.

        What was asked for may then be done there, but is not here: the next action begins with a new session
        on the server, made of what is here.
        """
        if isinstance(error, EffsegError) and not isinstance(error, ServerLost | CutOff):
            with suppress(Gone, EffsegError):
                self._number = int(self._connection.call("GET", self._path).json["number"])
                return
        self._abandon()

    def _abandon(self) -> None:
        path, self._path = self._path, ""
        if path:
            self._drop(path)

    def _drop(self, path: str) -> None:
        """Tell the server to forget a session; where it does not hear that, it does so by itself, later."""
        with suppress(Gone, EffsegError), at_most(_PARTING_SECONDS):
            self._connection.call("DELETE", path, patience=0.0)

    def _open(self, state: SessionState | None) -> None:
        """Open the session on the server; where that loses what it was just given, do it again."""
        for _ in range(_BEGINNINGS):
            with suppress(Gone):
                return self._try_open(state)
        raise ServerError("the server loses the image again and again; try later")

    def _try_open(self, state: SessionState | None) -> None:
        path, arrays = f"/v1/sessions/{secrets.token_hex(16)}", []
        if state is not None:
            stream = io.BytesIO()
            write_state(state, stream)
            arrays.append(np.frombuffer(stream.getvalue(), np.uint8))
        volume = self._connection.send(self._volume, self._mirror.sha256)
        pieces = encode({"volume": volume, "model": self._model}, arrays)
        try:
            answer = self._connection.call("PUT", f"{path}?wait={_PATIENT}", pieces=pieces)
            while answer.status == 202:
                answer = self._connection.call("GET", f"{path}?wait={_PATIENT}")
        except CutOff:
            self._drop(path)
            raise
        about = answer.json
        self._path, self._number = path, int(about["number"])
        self._model, self._weights = str(about["model"]), str(about["weights_sha256"])

    def _asked(self, method: str, path: str, **request: Any) -> Answer:
        with self._lock:
            self._check_open()
            return self._patiently(lambda: self._connection.call(method, self._path + path, **request))

    def _patiently(self, work: Callable[[], _Found]) -> _Found:
        """Do something with the session; where the server has lost it, open it again as it is here first."""
        left = _BEGINNINGS
        while left:
            try:
                if not self._path:
                    self._open(self.state())
                return work()
            except Gone as err:
                if err.kind != "Waiting":
                    left -= 1
                    self._abandon()
        raise ServerError("the server loses the session again and again; save it, and try later")

    def _slice(self, axis: int, index: int) -> Mapping[str, Any]:
        key = int(axis), int(index)
        if key[0] not in (0, 1, 2) or key[1] < 0:
            return {"scores": [], "chosen": 0}
        with self._lock:
            if key not in self._slices:
                self._slices[key] = self._asked("GET", f"/slices/{key[0]}/{key[1]}").json
            return self._slices[key]

    def _as_json(self, prompt: Prompt, arrays: list[NDArray[Any]]) -> dict[str, Any]:
        if isinstance(prompt, Mask):
            check_prompt(prompt, self._volume.shape)  # its bits alone travel, not its shape
        return of_prompt(prompt, arrays)

    def _patches(self, message: Message | None) -> Any:
        assert message is not None
        return patches_of(message, self._volume.shape)

    @property
    def _packing(self) -> str:
        return "" if self._connection.compresses else "&compress=false"

    def _check_open(self) -> None:
        if self._is_closed:
            raise ServerError("this session was closed")


def _commit_of(entry: Mapping[str, Any]) -> Commit:
    red, green, blue = (int(part) for part in entry["colour"])
    return Commit(int(entry["label"]), str(entry["name"]), (red, green, blue))
