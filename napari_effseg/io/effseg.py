"""``.effseg`` files, beside the other formats; `session_file` says what is in them."""

from ..session_file import read_session, write_session

__all__ = ["read_session", "write_session"]
