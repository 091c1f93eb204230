"""Import an optional package, or say which extra installs it."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingExtra

__all__ = ["require"]


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or raise `MissingExtra` naming the extra that installs it.

    Parameters
    ----------
    module : str
        Dotted module name, such as ``"monai.losses"``.
    extra : str
        Name of the extra in ``pyproject.toml``, such as ``"train"``.
    purpose : str
        What needs it, in the user's words, such as ``"effseg train"``.

    Raises
    ------
    MissingExtra
        If the module, or something that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise MissingExtra(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed; "
            f'install it with: pip install "napari-effseg[{extra}]"'
        ) from err
