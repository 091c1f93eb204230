"""A client's right to hold things on a server, kept alive from a thread of its own; no torch."""

from __future__ import annotations

import threading
from contextlib import suppress

from ..errors import EffsegError, ServerError
from .transport import Gone, Transport

__all__ = ["KeptLease"]


class KeptLease:
    """The right to hold things on the server, kept alive from a thread of its own.

    Parameters
    ----------
    transport : Transport
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._name = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def name(self) -> str:
        """Return the lease, which begins when it is first needed."""
        with self._lock:
            if self._ended.is_set():
                raise ServerError("this client was closed")
            if not self._name:
                about = self._transport.call("POST", "/v1/leases").json
                self._name = str(about["lease"])
                beating = threading.Thread(
                    target=self._beat,
                    args=(self._name, float(about["seconds"]) / 3),
                    name="effseg-heartbeat",
                    daemon=True,
                )
                beating.start()
            return self._name

    def lost(self, name: str) -> None:
        """Note that the server does not know a lease any more."""
        with self._lock:
            if self._name == name:
                self._name = ""

    def close(self) -> None:
        """Give everything back."""
        self._ended.set()
        name, self._name = self._name, ""
        if name:
            with suppress(Gone, EffsegError):
                self._transport.call("DELETE", f"/v1/leases/{name}", patience=0.0)

    def _beat(self, name: str, seconds: float) -> None:
        while not self._ended.wait(seconds) and self._name == name:
            try:
                self._transport.call("POST", f"/v1/leases/{name}/beat", patience=0.0)
            except Gone:
                self.lost(name)
            except EffsegError:
                continue  # the next request says what is wrong
