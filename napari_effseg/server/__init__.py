"""The engine over HTTP: `connect` to a server, and the server itself.

Importing this room, `wire` or `client` loads neither torch nor anything but the standard library and numpy.
"""

from .client import Client, connect

__all__ = ["Client", "connect"]
