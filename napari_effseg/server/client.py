"""An engine at the other end of a connection; standard library and numpy only."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, overload

import numpy as np

from ..errors import Cancelled, EffsegError, PromptError, ServerError, VersionMismatch, WrongAddress
from ..protocols import ModelInfo, Region, Segmented, Segmenter, Session
from ..session_file import read_session
from ..session_state import SessionState, image_sha256
from ..session_time_file import TimeState, read_time_session, write_time_session
from ..time_session import Done, TimeSession, check_one_grid
from ..types import BoolArray, CancelCheck, PathLike, Progress
from ..volume import Volume
from .answers import masks, segmented
from .faults import raised_from
from .heartbeat import KeptLease
from .payloads import model_of, volume_message
from .remote import RemoteSession
from .stopping import answering_to, at_most, pause, watched
from .transport import Answer, Gone, Transport
from .wire import PROTOCOL, Malformed, encode

__all__ = ["Client", "connect"]

_KEPT_IMAGES = 2
"""Images that stay on the server after they were used, for the next use."""
_PATIENT, _ATTENTIVE = 20, 0.25
_BEGINNINGS = 4
_PARTING_SECONDS = 2.0
"""So long a server is waited for that is only told what it may forget; it forgets by itself, later."""


def connect(url: str, key: str, *, timeout: float = 10.0, certificate: PathLike | None = None) -> Client:
    """Connect to an effseg server; `answering_to` says who may stop that, and all else that is asked of it.

    Parameters
    ----------
    url : str
        Such as "http://127.0.0.1:8765" or "https://gpu.hospital:8765".
    key : str
        What ``effseg serve --show-key`` shows, or one of the server's keys file.
    timeout : float
        Seconds to wait for a sign of life.
    certificate : path, optional
        PEM file of a certificate to trust besides those of the system: the server's own, or of who signed it.

    Raises
    ------
    WrongAddress, ServerRefused, WrongKey, UntrustedServer, VersionMismatch
        What is in the way.

    Examples
    --------
    >>> import napari_effseg as eff
    >>> with eff.connect("http://127.0.0.1:8765", key) as engine:  # doctest: +SKIP
    ...     result = engine.segment(eff.load("scan.nii.gz"), "hippocampus-lightm-unet")
    """
    transport = Transport(url, key, timeout, certificate)
    try:
        _check_protocol(transport.call("GET", "/health", with_key=False), url)
        transport.is_known = True
        about = transport.call("GET", "/v1/capabilities").json
    except BaseException:
        transport.close()
        raise
    return Client(transport, about)


class Client:
    """A `protocols.Segmenter` on a server; made by `connect`.

    Parameters
    ----------
    transport : Transport
    about : mapping
        What the server said of itself.
    """

    def __init__(self, transport: Transport, about: Mapping[str, Any]) -> None:
        self._transport = transport
        self.device = str(about.get("device", ""))
        self._lease = KeptLease(transport)
        self._images: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._sessions: weakref.WeakSet[RemoteSession] = weakref.WeakSet()
        self._lock = threading.RLock()

    @property
    def compresses(self) -> bool:
        """Whether arrays are packed on their way."""
        return not self._transport.is_local

    def models(self) -> tuple[ModelInfo, ...]:
        """See `protocols.Segmenter.models`."""
        listed = self._transport.call("GET", "/v1/capabilities").json["models"]
        try:
            return tuple(model_of(entry) for entry in listed)
        except Malformed as err:
            raise ServerError(str(err)) from err

    def segment(
        self,
        volume: Volume,
        model: str | None = None,
        *,
        roi: Region | None = None,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> Segmented:
        """See `protocols.Segmenter.segment`."""
        sha256, boxes = image_sha256(volume), _boxes_of(roi)
        for _ in range(_BEGINNINGS):
            try:
                with answering_to(cancel):
                    about = {"volume": self.send(volume, sha256, progress), "model": model, "roi": boxes}
                    return segmented(self._run(about, progress, cancel), volume)
            except Gone:
                continue
        raise ServerError("the server loses the image again and again; try later")

    @overload
    def open_session(self, volume: Volume, model: str = "auto") -> RemoteSession: ...

    @overload
    def open_session(self, volume: Sequence[Volume], model: str = "auto") -> TimeSession: ...

    def open_session(
        self, volume: Volume | Sequence[Volume], model: str = "auto"
    ) -> RemoteSession | TimeSession:
        """See `protocols.Segmenter.open_session`; of several images one place over time.

        Raises
        ------
        VolumeError
            If several images do not share a grid.
        """
        if isinstance(volume, Volume):
            return self._opened(volume, model)
        return self._over_time(volume, model, [None] * len(volume))

    @overload
    def resume(self, path: PathLike, volume: Volume, model: str = "auto") -> RemoteSession: ...

    @overload
    def resume(self, path: PathLike, volume: Sequence[Volume], model: str = "auto") -> TimeSession: ...

    def resume(
        self, path: PathLike, volume: Volume | Sequence[Volume], model: str = "auto"
    ) -> RemoteSession | TimeSession:
        """See `protocols.Segmenter.resume`; of several images as `open_session`."""
        if isinstance(volume, Volume):
            return self._opened(volume, model, read_session(path))
        state = read_time_session(path)
        if len(state.frames) != len(volume):
            raise PromptError(
                f"the session is of {len(state.frames)} time points; {len(volume)} images were given"
            )
        return self._over_time(volume, model, state.frames, state.done, state.undone)

    def _opened(self, volume: Volume, model: str, state: SessionState | None = None) -> RemoteSession:
        session = RemoteSession(self, volume, model, state)
        self._sessions.add(session)
        return session

    def _over_time(
        self,
        volumes: Sequence[Volume],
        model: str,
        states: Sequence[SessionState | None],
        done: Done = (),
        undone: Done = (),
    ) -> TimeSession:
        """Open a session for each time point, or none."""
        check_one_grid(volumes)
        with ExitStack() as opened:
            sessions = [
                opened.enter_context(self._opened(volume, model, state))
                for volume, state in zip(volumes, states, strict=True)
            ]
            opened.pop_all()
        through = partial(self._through_time, sessions)
        return TimeSession(sessions, volumes, through, done, undone, _saving(sessions))

    def _through_time(
        self, sessions: Sequence[RemoteSession], progress: Progress | None, cancel: CancelCheck | None
    ) -> Mapping[int, BoolArray]:
        """Have an object carried from the time points that show it to the others."""
        left, shape = _BEGINNINGS, sessions[0].shape
        with answering_to(cancel):
            while left:
                try:
                    about = {"sessions": [session.name_there() for session in sessions]}
                    return masks(self._run(about, progress, cancel), shape)
                except Gone as err:
                    left -= err.kind != "Waiting"
                    pause(_ATTENTIVE)
        raise ServerError("the server loses the session again and again; save it, and try later")

    def close(self) -> None:
        """See `protocols.Segmenter.close`."""
        with at_most(_PARTING_SECONDS):
            for session in list(self._sessions):
                session.close()
            self._lease.close()
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, method: str, path: str, **request: Any) -> Answer:
        """Make a request under the lease; for sessions.

        Raises
        ------
        Gone
            If the server does not hold what was named.
        EffsegError
            As the server says.
        """
        name = self._lease.name()
        try:
            return self._transport.call(method, path, lease=name, **request)
        except Gone as err:
            if err.kind == "NoLease":
                self._lease.lost(name)
            if err.kind == "NoVolume":
                with self._lock:
                    self._images.clear()
            raise

    def send(self, volume: Volume, sha256: str, progress: Progress | None = None) -> str:
        """Bring an image to the server, if it is not there, and return its name; for sessions.

        Parameters
        ----------
        volume : Volume
        sha256 : str
        progress : callable, optional
            Told how much of it has left.

        Raises
        ------
        Gone, EffsegError
            As `call`.
        """
        with self._lock:
            key = self._lease.name(), sha256
            if (name := self._images.pop(key, None)) is None:
                self._make_room()
                name = secrets.token_hex(16)
                header, arrays = volume_message(volume)
                about = {**header, "sha256": sha256}
                pieces = watched(lambda: encode(about, arrays, compress=self.compresses))
                sending = None if progress is None else _in_megabytes(pieces, progress)
                self.call("PUT", f"/v1/volumes/{name}", pieces=pieces, sending=sending)
            self._images[key] = name
            return name

    def _make_room(self) -> None:
        """Forget the images that were not used for longest."""
        while len(self._images) >= _KEPT_IMAGES:
            _, old = self._images.popitem(last=False)
            with suppress(Gone):
                self.call("DELETE", f"/v1/volumes/{old}")

    def forget(self, session: RemoteSession) -> None:
        """Drop a session that was closed; for sessions."""
        self._sessions.discard(session)

    def _run(
        self,
        about: Mapping[str, Any],
        progress: Progress | None,
        cancel: CancelCheck | None,
    ) -> Answer:
        """Have a job done, and return its result; the server forgets it, however it ends."""
        path = f"/v1/jobs/{secrets.token_hex(16)}"
        try:
            state = self.call("PUT", path, body=about).json
            while state["state"] in ("queued", "running"):
                if progress is not None:
                    progress(float(state["fraction"]), str(state["message"]))
                if cancel is not None and cancel():
                    raise Cancelled("stopped on request; nothing was written")
                wait = _PATIENT if cancel is None else _ATTENTIVE
                state = self.call("GET", f"{path}?after={state['revision']}&wait={wait}").json
            if state["state"] != "done":
                raise raised_from(state["error"], 500)
            if progress is not None:
                progress(float(state["fraction"]), str(state["message"]))
            packing = "" if self.compresses else "?compress=false"
            return self.call("GET", f"{path}/result{packing}")
        finally:
            with suppress(Gone, EffsegError), at_most(_PARTING_SECONDS):
                self.call("DELETE", path, patience=0.0)


def _in_megabytes(pieces: Sequence[bytes | memoryview], progress: Progress) -> Callable[[int], None]:
    """Return what says how much of a message has left."""
    whole = sum(len(piece) for piece in pieces) / 1e6
    return lambda sent: progress(0.0, f"Sending the image: {sent / 1e6:.1f} of {whole:.1f} MB")


def _is_segmenter(client: Client) -> Segmenter:
    """Hold the client to the protocol, which mypy checks here."""
    return client


def _is_session(session: RemoteSession) -> Session:
    return session


def _check_protocol(answer: Answer, url: str) -> None:
    about = answer.json
    if not isinstance(about, Mapping) or about.get("server") != "effseg":
        raise WrongAddress(f"{url}: what answers there is no effseg server")
    spoken = [str(one) for one in about.get("protocols", [])]
    if not any(one.split(".")[0] == str(PROTOCOL[0]) for one in spoken):
        raise VersionMismatch(
            f"{url}: the server (effseg {about.get('version')}) speaks protocol {', '.join(spoken)}; this "
            f"client speaks {PROTOCOL[0]}.{PROTOCOL[1]}. Update the older of the two"
        )


def _boxes_of(roi: Region | None) -> list[Any] | None:
    """Lay out regions as a list of boxes; what is no region the server's engine refuses in words."""
    if roi is None:
        return None
    boxes = np.asarray(roi)
    found: Sequence[Any] = boxes.tolist()
    return [found] if boxes.ndim == 2 else list(found)


def _saving(sessions: Sequence[RemoteSession]) -> Callable[[Done, Done, PathLike], None]:
    """Return what saves a session over time; it needs no server."""

    def write(done: Done, undone: Done, path: PathLike) -> None:
        frames = tuple(session.state() for session in sessions)
        write_time_session(TimeState(frames, done, undone), path)

    return write
