"""Stands in for the thread of a window: functions wait until it looks at them."""

import threading
import time

SECONDS = 60


class Desk:
    def __init__(self):
        self.waiting, self._arrived = [], threading.Condition()

    def __call__(self, function):
        with self._arrived:
            self.waiting.append(function)
            self._arrived.notify_all()

    def wait(self):
        """Wait until something lies here, and leave it."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.waiting, SECONDS), "nothing arrived"

    def look(self):
        """Do the oldest function, waiting for it if need be."""
        self.wait()
        self.waiting.pop(0)()

    def until(self, condition, what="what was waited for"):
        """Do what arrives until `condition()` holds."""
        end = time.monotonic() + SECONDS
        while not condition():
            with self._arrived:
                self._arrived.wait_for(lambda: self.waiting, 0.05)
                function = self.waiting.pop(0) if self.waiting else None
            if function is not None:
                function()
            assert time.monotonic() < end, f"{what} did not happen"
