"""The engine over HTTP: `connect` to a server, and the server itself.

Importing this room, `wire` or `client` loads neither torch nor anything but the standard library and numpy.
"""

from .client import Client, connect
from .stopping import answering_to

__all__ = ["Client", "answering_to", "connect"]
