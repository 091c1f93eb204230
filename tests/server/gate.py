"""Networks that are silent: nobody answers, or nothing comes through any more."""

import socket
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def silent_address():
    """Yield an address where nobody answers: whoever listens there takes no more callers."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            for one in crowd:
                one.close()


class Gate:
    """Listens on an address of its own, and passes on what comes.

    `shut` stops that; `shut_after` once so many bytes went to the server. `is_shut` says whether it did.
    """

    def __init__(self, url):
        parts = urlsplit(url)
        self._target, self._left = (parts.hostname, parts.port), None
        self._open, self._sockets = threading.Event(), []
        self._open.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def shut(self):
        self._open.clear()

    def shut_after(self, count):
        self._left = count

    def open(self):
        self._left = None
        self._open.set()

    def is_shut(self):
        return not self._open.is_set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open()
        for one in (self._listening, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for pair in [(near, far, True), (far, near, False)]:
                    self._threads.append(threading.Thread(target=self._pass_on, args=pair))
                    self._threads[-1].start()

    def _pass_on(self, source, target, is_request):
        with suppress(OSError):
            while content := source.recv(2**16):
                if is_request and self._left is not None:
                    self._left -= len(content)
                    if self._left < 0:
                        self.shut()
                self._open.wait()
                target.sendall(content)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
