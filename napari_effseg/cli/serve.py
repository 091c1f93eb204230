"""`effseg serve`: the engine for other programs and machines."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._console import Console, speaks
from ._interrupt import Interrupt
from ._options import FILE, device_option

if TYPE_CHECKING:
    from ..server.run import Server

__all__ = ["serve"]

_MEBIBYTE = 2**20
_LOOKS_EVERY = 0.2


@click.command(
    epilog="Example: effseg serve --show-key; effseg serve --host 0.0.0.0 --port 8765 --keys-file keys.txt "
    "--tls-cert server.pem --tls-key server.key --audit-log audit.jsonl"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any that is free."
)
@click.option("--show-key", is_flag=True, help="Print the key, too; else it is printed when it is made.")
@click.option(
    "--keys-file",
    "--keys",
    "keys_file",
    type=FILE,
    metavar="FILE",
    help="A key for each user, a line each: name key; in place of the one key.",
)
@click.option("--tls-cert", type=FILE, metavar="PEM", help="Certificate, for https.")
@click.option("--tls-key", type=FILE, metavar="PEM", help="Its private key.")
@click.option(
    "--insecure", is_flag=True, help="Listen on a network without TLS: anybody on it can listen in."
)
@click.option(
    "--most-mb",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    metavar="MB",
    help="Voxels of one image; a user may have twice as much on the server.",
)
@click.option(
    "--lease",
    type=click.FloatRange(1.0, 3600.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="So long a client that is silent is waited for; then what it holds is freed.",
)
@click.option("--audit-log", type=FILE, metavar="FILE", help="Append a line of JSON for every request.")
@click.option("--until-eof", is_flag=True, help="Stop when standard input is closed: with who started it.")
@device_option
@click.pass_obj
@speaks
def serve(
    interrupt: Interrupt,
    host: str,
    port: int,
    show_key: bool,
    keys_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    most_mb: int,
    lease: float,
    audit_log: Path | None,
    until_eof: bool,
    device: str,
    console: Console,
) -> None:
    """Serve the engine to other programs: napari and 3D Slicer here or elsewhere, and MONAI Label clients.

    Prints its address, and works until Ctrl-C. Without --keys-file there is one key: it is made and printed
    at the first start, kept for later ones, and shown again by --show-key; the environment variable
    EFFSEG_SERVER_KEY sets another. docs/server.md and docs/security.md say more.
    """
    from ..server.run import Place, Server, check_place

    place = Place(host, port, tls_cert, tls_key, insecure)
    check_place(place)
    keys, shown = _keys(keys_file, show_key)
    from ..server.engines import LocalEngine
    from ..server.settings import Settings

    size = most_mb * _MEBIBYTE
    settings = Settings(
        keys=keys, lease_seconds=lease, volume_bytes=size, user_bytes=2 * size, audit_file=audit_log
    )
    server = Server(settings, LocalEngine(device), place)
    try:
        with server:
            _announce(server, shown, keys_file, console)
            if not place.is_loopback and tls_cert is None:
                console.warn("there is no TLS: keys and images can be read on their way")
            _wait_for_the_end(server, interrupt, until_eof)
    except KeyboardInterrupt:  # the ordinary end
        interrupt.shield()
    console.note("stopped")


def _announce(server: Server, key: str, keys_file: Path | None, console: Console) -> None:
    """Say where it listens, and the key if it is to be shown."""
    console.data(f"listening at {server.url}")
    if key:
        console.data(f"key: {key}")
    elif keys_file is not None:
        console.note(f"the keys are those in {keys_file}")
    else:
        console.note("the key is not shown; --show-key shows the one of earlier starts")
    sys.stdout.flush()


def _keys(keys_file: Path | None, show_key: bool) -> tuple[dict[str, str], str]:
    """Return the keys of all users, and the one to be shown, if any."""
    from ..server.keys import read_keys
    from ..server.own_key import own_key

    if keys_file is not None:
        if show_key:
            raise click.UsageError("--show-key shows the one key; --keys-file has others")
        return read_keys(keys_file), ""
    key, is_new = own_key()
    return {"user": key}, key if show_key or is_new else ""


def _wait_for_the_end(server: Server, interrupt: Interrupt, until_eof: bool) -> None:
    """Wait for Ctrl-C, or for the end of standard input."""
    ended = threading.Event()
    if until_eof:
        threading.Thread(target=_read_on, args=(ended,), daemon=True).start()
    with interrupt.between_steps():
        while server.is_running and not interrupt.cancel() and not ended.is_set():
            time.sleep(_LOOKS_EVERY)


def _read_on(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        continue
    ended.set()
