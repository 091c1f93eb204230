"""Fetch weights that do not travel with the package: on request only, checked, resumed when it breaks off."""

from __future__ import annotations

import contextlib
import http
import http.client
import logging
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from ..errors import Cancelled, WeightsError
from ..types import CancelCheck, PathLike, Progress
from ._places import cache_file
from .card import Card
from .registry import find_card
from .weights import verify

__all__ = ["fetch_weights"]

_BLOCK = 1 << 20
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 30.0
_SERVER_FAULT = 500
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BREAKS = (
    http.client.HTTPException,
    urllib.error.URLError,
    ssl.SSLError,
    ConnectionError,
    TimeoutError,
)
_log = logging.getLogger(__name__)


class Response(Protocol):
    """What is needed of an answer to a request; `http.client.HTTPResponse` has it."""

    status: int

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, none at the end."""

    def close(self) -> None:
        """Give the connection back."""


Opener = Callable[[str, int], Response]
"""Called with an address and the first byte wanted; answers from there (206) or from the start (200)."""


def fetch_weights(
    model: str | PathLike | Card,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
    opener: Opener | None = None,
) -> Path:
    """Fetch a card's weights into the user's cache folder, where `weights_path` finds them.

    A connection that breaks off is resumed where it stopped, also after the program was killed.
    What arrives is kept only if its size and SHA-256 are the card's.

    Parameters
    ----------
    model : str, path or Card
    url : str, optional
        Another address of the same file; https (http for this machine itself only).
    progress, cancel : callables, optional
        See `napari_effseg.types`.
    opener : callable, optional
        Opens an address at a byte, for networks that need their own way.

    Returns
    -------
    Path
        The verified file, at once if it was there already.

    Raises
    ------
    WeightsError
        If there is no address, the connection fails for good, or the file is not the card's.
    Cancelled
        If `cancel` returned True. After any error nothing is left behind.
    """
    card = find_card(model)
    target = cache_file(card)
    if _is_there(target, card):
        return target
    address = url or card.weights.url
    if address is None:
        raise WeightsError(f"card {card.name} names no address from which its weights could be fetched")
    check_address(address)
    partial = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(address, partial, card, opener or open_at, progress, cancel)
        _check_arrived(partial, card, address)
        partial.replace(target)
    except OSError as err:
        raise WeightsError(f"{target}: cannot be written: {err.strerror or err}") from err
    finally:
        with contextlib.suppress(OSError):  # the first error is the one to report
            partial.unlink(missing_ok=True)
    return target


def check_address(url: str) -> None:
    """Check that an address is https, or http of this machine itself.

    Raises
    ------
    WeightsError
        If it is not.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise WeightsError(f"{url}: expected an address that begins with https://")


def _is_there(target: Path, card: Card) -> bool:
    """Return whether the cache has the file; one that has been damaged is fetched again."""
    if not target.is_file():
        return False
    try:
        verify(target, card.weights.sha256, card.weights.size_bytes)
    except WeightsError as err:
        _log.warning("fetching again: %s", err)
        return False
    return True


def _download(
    address: str,
    partial: Path,
    card: Card,
    opener: Opener,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> None:
    """Fill `partial` up to the card's size, resuming up to a number of times."""
    wanted = card.weights.size_bytes
    reason = "it ended early"
    with partial.open("ab") as file:
        for attempt in range(_ATTEMPTS):
            if file.tell() >= wanted:
                return
            _log.info("fetching %s from byte %d, attempt %d", address, file.tell(), attempt + 1)
            try:
                _receive(address, file, wanted, opener, progress, cancel)
            except _BREAKS as err:
                reason = str(err) or type(err).__name__
                if isinstance(err, urllib.error.HTTPError) and err.code < _SERVER_FAULT:
                    break  # not found, not allowed: asking again changes nothing
        if file.tell() < wanted:
            raise WeightsError(f"{address}: {file.tell()} of {wanted} bytes arrived: {reason}")


def _receive(
    address: str,
    file: IO[bytes],
    wanted: int,
    opener: Opener,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> None:
    """Append one answer to `file`, never more than one byte beyond `wanted`."""
    with contextlib.closing(opener(address, file.tell())) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            file.seek(0)
            file.truncate()
        while file.tell() <= wanted and (block := response.read(min(_BLOCK, wanted + 1 - file.tell()))):
            file.write(block)
            if cancel is not None and cancel():
                raise Cancelled("fetching weights was cancelled")
            if progress is not None:
                progress(min(file.tell() / wanted, 1.0), f"fetching {address}")


def _check_arrived(partial: Path, card: Card, address: str) -> None:
    try:
        verify(partial, card.weights.sha256, card.weights.size_bytes)
    except WeightsError as err:
        raise WeightsError(f"{address}: what was fetched is not the file of card {card.name}: {err}") from err


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to addresses that could have been asked for in the first place."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Check the new address before it is opened."""
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_at(url: str, start: int) -> Response:
    """Open an address at a byte; redirects are followed to safe addresses alone."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_SafeRedirects)
    response: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return response
