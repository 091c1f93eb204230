"""Real servers on loopback, for the panels; their engines need no network."""

import pytest

from napari_effseg.server import connect
from napari_effseg.server.run import Place, Server
from napari_effseg.server.settings import Settings
from napari_effseg.viewer.engine_choice import Where
from napari_effseg.viewer.engines import Engines
from tests.server.engines import FakeEngine

QUIET = pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")
"""FastAPI silences it itself, but not while the thread that warms napari up sets the filters as well."""
KEY = "a key that is long enough"


class Lab:
    """A server of a lab: can be stopped, and started again at the same address."""

    def __init__(self, engine=None, **settings):
        self.engine = engine or FakeEngine()
        self._settings = Settings(keys={"anna": KEY}, requests_per_second=1e5, request_burst=1e5, **settings)
        self._server = None
        self._port = 0

    def start(self):
        self._server = Server(self._settings, self.engine, Place(port=self._port)).start()
        self._port = int(self.url.rpartition(":")[2])
        return self

    @property
    def url(self):
        return self._server.url

    @property
    def held(self):
        """How many clients hold something."""
        return len(self._server.service.leases._leases)

    @property
    def sessions(self):
        """How many sessions are open."""
        return sum(len(lease.sessions) for lease in self._server.service.leases._leases.values())

    def stop(self):
        if self._server is not None:
            self._server.stop()

    def choose(self, setting, **fields):
        """Enter address and key, as the user does."""
        setting.choose(**{"where": Where.SERVER, "url": self.url, "key": KEY, **fields})


def impatient():
    """Connections that do not wait long for a server that is gone."""
    return Engines(
        lambda choice: connect(choice.url, choice.key, timeout=0.3, certificate=choice.certificate or None)
    )
