"""Bodies of requests, read within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from fastapi import Request

from .faults import Refusal
from .reader import MessageReader
from .settings import Settings
from .wire import Limits, Malformed, Message, TooLarge, strict_json

__all__ = ["Room", "read_json", "read_message"]

_MOST_JSON = 2**20


class Room(Protocol):
    """Memory for what a message announces."""

    def book(self, size: int) -> None:
        """Take it, or refuse."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


async def read_message(request: Request, limits: Limits, seconds: float, room: Room | None = None) -> Message:
    """Read a body as a message, a piece at a time.

    Parameters
    ----------
    request : Request
    limits : Limits
    seconds : float
        So long it may stay silent.
    room : Room, optional
        Asked before an array is allocated.

    Raises
    ------
    Malformed
        If it is none.
    Refusal
        If there is no room for it, or it does not come.
    """
    length = _length(request)
    reader = MessageReader(limits, length)
    try:
        async for chunk in _chunks(request, seconds):
            for at in range(0, len(chunk), 2**18):
                knew = reader.claimed is not None
                reader.feed(chunk[at : at + 2**18])
                if room is not None and not knew and reader.claimed is not None:
                    room.book(reader.claimed)
        return reader.finish()
    finally:
        if room is not None:
            room.release()


async def read_json(request: Request, settings: Settings) -> Mapping[str, Any]:
    """Read a body as a JSON object.

    Raises
    ------
    Malformed
        If it is none.
    """
    content = bytearray()
    async for chunk in _chunks(request, settings.body_seconds):
        content += chunk
        if len(content) > _MOST_JSON:
            raise TooLarge(f"JSON of more than {_MOST_JSON} bytes")
    found = strict_json(bytes(content))
    if not isinstance(found, dict):
        raise Malformed("expected a JSON object")
    return found


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    return int(text) if text is not None and text.isdigit() and len(text) < 20 else None


async def _chunks(request: Request, seconds: float) -> AsyncIterator[bytes]:
    stream = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(stream.__anext__(), seconds)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as err:
            raise Refusal(408, "TooSlow", f"no byte came for {seconds:g} s") from err
        if chunk:
            yield chunk
