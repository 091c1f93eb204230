"""An engine at the other end of a connection; standard library and numpy only."""

from __future__ import annotations

from types import TracebackType

from ..protocols import ModelInfo, Region, Segmented, Session
from ..types import CancelCheck, PathLike, Progress
from ..volume import Volume

__all__ = ["Client", "connect"]


def connect(url: str, key: str, *, timeout: float = 10.0, certificate: PathLike | None = None) -> Client:
    """Connect to an effseg server.

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
    """
    raise NotImplementedError


class Client:
    """A `protocols.Segmenter` on a server; made by `connect`."""

    def models(self) -> tuple[ModelInfo, ...]:
        """See `protocols.Segmenter.models`."""
        raise NotImplementedError

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
        raise NotImplementedError

    def open_session(self, volume: Volume, model: str = "auto") -> Session:
        """See `protocols.Segmenter.open_session`."""
        raise NotImplementedError

    def resume(self, path: PathLike, volume: Volume) -> Session:
        """See `protocols.Segmenter.resume`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `protocols.Segmenter.close`."""
        raise NotImplementedError

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
