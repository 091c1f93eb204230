"""Every exception that napari-effseg raises.

All derive from `EffsegError`; where a built-in exception fits, they derive from that too, so that
``except KeyError`` still catches an unknown model::

    EffsegError
    +-- ImageReadError (ValueError)      a file that cannot be read as an image
    +-- VolumeError (ValueError)         an array, affine or geometry that has no right answer
    |   +-- AffineError                  an affine that is singular, not finite or not 4 x 4
    +-- PromptError (ValueError)         a prompt that does not fit the image or the others
    +-- WeightsError (RuntimeError)      weights that are missing, damaged, tampered with or misfitting
    +-- CardError (ValueError)           a model card that breaks a rule
    +-- UnknownModel (KeyError)          a name that no card, network or label has
    +-- ExportError (OSError)            a result that could not be written, or came back different
    +-- ConfigError (ValueError)         a configuration or environment variable that breaks a rule
    +-- DeviceError (ValueError)         a device that is unknown or not there
    +-- MissingExtra (ImportError)       an optional package that an extra installs
    +-- OutOfMemory (MemoryError)        not enough memory after every fallback
    +-- ServerError (ConnectionError)    a server that cannot do what was asked, or cannot be reached
    |   +-- WrongAddress                 nobody is there, or somebody else than an effseg server
    |   +-- ServerRefused                the machine is there, but nothing listens at that port
    |   +-- WrongKey                     the server does not know the key
    |   +-- UntrustedServer              no safe connection: certificate, or TLS at one end only
    |   +-- VersionMismatch              the server speaks another version of the protocol
    |   +-- ServerBusy                   too many requests, images or sessions at once
    |   +-- ServerLost                   the connection broke and did not come back
    +-- Cancelled (Exception)            the caller asked to stop

`ExportWarning` (UserWarning) says that a result was written, but something was completed or shortened.

Messages are in the user's words: what was given, what was expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AffineError",
    "Cancelled",
    "CardError",
    "ConfigError",
    "DeviceError",
    "EffsegError",
    "ExportError",
    "ExportWarning",
    "ImageReadError",
    "MissingExtra",
    "OutOfMemory",
    "PromptError",
    "ServerBusy",
    "ServerError",
    "ServerLost",
    "ServerRefused",
    "UnknownModel",
    "UntrustedServer",
    "VersionMismatch",
    "VolumeError",
    "WeightsError",
    "WrongAddress",
    "WrongKey",
    "nearest_names",
]


class EffsegError(Exception):
    """Base of every exception of this package."""


class ImageReadError(EffsegError, ValueError):
    """A file is missing, empty, truncated, or not an image that we can read."""


class VolumeError(EffsegError, ValueError):
    """An array or its geometry has no right answer for what was asked."""


class AffineError(VolumeError):
    """An affine is not a finite, invertible 4 x 4 matrix with a last row of 0 0 0 1."""


class PromptError(EffsegError, ValueError):
    """A prompt lies outside the image, is empty, or contradicts the others."""


class WeightsError(EffsegError, RuntimeError):
    """Weights are missing, damaged, tampered with, or do not fit their network."""


class CardError(EffsegError, ValueError):
    """A model card breaks a rule; the message names the file and the field."""


class UnknownModel(EffsegError, KeyError):
    """No card, network or label has this name; the message suggests the nearest."""

    def __str__(self) -> str:
        """Return the message itself; `KeyError` would show its repr."""
        return str(self.args[0]) if self.args else ""


class ExportError(EffsegError, OSError):
    """A result could not be written, or read back different from what was written."""


class ExportWarning(UserWarning):
    """A result was written, but something had to be completed, derived or shortened."""


class ConfigError(EffsegError, ValueError):
    """A configuration file or environment variable breaks a rule; the message names the field."""


class DeviceError(EffsegError, ValueError):
    """A device has an unknown name or is not there; another is never taken in its place."""


class MissingExtra(EffsegError, ImportError):
    """An optional package is missing; the message names the extra that installs it."""


class OutOfMemory(EffsegError, MemoryError):
    """Not enough memory, after smaller windows, half precision and the CPU were tried."""


class ServerError(EffsegError, ConnectionError):
    """A server cannot do what was asked, or cannot be reached; the message says what to do."""


class WrongAddress(ServerError):
    """Nobody is at the address, or what answers there is no effseg server."""


class ServerRefused(ServerError):
    """The machine is there, but nothing listens at that port."""


class WrongKey(ServerError):
    """The server does not know the key."""


class UntrustedServer(ServerError):
    """No safe connection: the certificate is not trusted, or only one end speaks TLS."""


class VersionMismatch(ServerError):
    """Client and server speak different versions of the protocol."""


class ServerBusy(ServerError):
    """More requests, images or sessions at once than the server allows."""


class ServerLost(ServerError):
    """The connection broke and did not come back; prompts and masks are still here."""


class Cancelled(EffsegError):
    """The caller asked to stop; nothing was written."""


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return " Did you mean ...?" for the known names nearest to `name`, or "".

    Examples
    --------
    >>> nearest_names("hipocampus", ["hippocampus", "spleen"])
    ' Did you mean hippocampus?'
    """
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), folded, n=limit, cutoff=0.5)
    return f" Did you mean {' or '.join(folded[match] for match in close)}?" if close else ""
