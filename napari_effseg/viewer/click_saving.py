"""Where a click session is kept by itself, when, and whether there is one to go on with; no Qt."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs

from ..errors import EffsegError
from ..protocols import Session
from ..session_file import read_session
from ..session_state import SessionState
from ..session_time_file import read_time_session
from ..volume import Volume
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Cadence", "Keeper", "Keeping", "Offer", "keeping_of", "offer_among"]

SUFFIX = ".effseg"
AUTOSAVED = f".autosave{SUFFIX}"
EVERY = 3
"""Actions after which a session is saved by itself."""
_ENDINGS = (".nii.gz", ".seg.nrrd", ".ome.zarr", ".zarr.zip", ".ome.tif", ".ome.tiff")


@dataclass(frozen=True)
class Keeping:
    """Where sessions of an image are kept.

    Attributes
    ----------
    folder : Path
    stem : str
    """

    folder: Path
    stem: str

    @property
    def autosaved(self) -> Path:
        """File that is written by itself."""
        return self.folder / f"{self.stem}{AUTOSAVED}"

    @property
    def by_hand(self) -> Path:
        """File that is proposed to who saves by hand."""
        return self.folder / f"{self.stem}{SUFFIX}"

    @property
    def candidates(self) -> tuple[Path, ...]:
        """Files to look for when the image is opened again."""
        return self.autosaved, self.by_hand


@dataclass(frozen=True)
class Offer:
    """A session that one can go on with.

    Attributes
    ----------
    path : Path
    when : datetime
    objects, actions : int
        Finished objects, and all that was done.
    """

    path: Path
    when: datetime
    objects: int
    actions: int

    @property
    def words(self) -> str:
        """What it is, in a sentence."""
        objects = "1 finished object" if self.objects == 1 else f"{self.objects} finished objects"
        steps = "1 step" if self.actions == 1 else f"{self.actions} steps"
        return f"You worked on this image on {self.when:%d %B %Y at %H:%M}: {objects}, {steps}."


class Cadence:
    """Says when it is time to save: after every few actions, and at once after what took long."""

    def __init__(self) -> None:
        self._since = 0

    @property
    def is_due(self) -> bool:
        """Whether to save now."""
        return self._since >= EVERY

    @property
    def is_dirty(self) -> bool:
        """Whether anything was done since the last time."""
        return self._since > 0

    def did(self, much: bool = False) -> None:
        """Count an action."""
        self._since += EVERY if much else 1

    def saved(self) -> None:
        """Begin to count anew."""
        self._since = 0


def keeping_of(image: Image, frame: int | None, volume: Volume) -> Keeping:
    """Where sessions of an image are kept: beside its file, or with the user's data.

    Reads a part of the voxels of an image without a file; not for the thread of the window.

    Parameters
    ----------
    image : Image layer
    frame : int or None
        Time point.
    volume : Volume
        The same image.
    """
    paths = _files_of(image)
    source = source_of(image)
    parts = [source.channel if source else "", "" if frame is None else f"t{frame}"]
    tail = "".join(f"-{''.join(c if c.isalnum() else '-' for c in part)}" for part in parts if part)
    if not paths:
        return Keeping(_own_folder(), f"{_hash_of(volume)}{tail}")
    folder, stem = paths[0].parent, _stem(paths[0])
    if len(paths) > 1:  # the slices of a series: beside their folder
        folder, stem = folder.parent, f"{folder.name}{_series_tail(image)}"
    elif paths[0].is_dir() and _series_tail(image):
        stem += _series_tail(image)
    if os.access(folder, os.W_OK):
        return Keeping(folder, f"{stem}{tail}")
    there = hashlib.sha256(str(paths[0]).encode()).hexdigest()[:12]
    return Keeping(_own_folder(), f"{stem}{tail}-{there}")


def offer_among(paths: Sequence[Path], volumes: Sequence[Volume]) -> Offer | None:
    """Return the newest session of an image, or of its time points, among files of any image."""
    found = []
    for path in paths:
        with contextlib.suppress(EffsegError, OSError):
            frames, actions = _read(path, len(volumes) > 1)
            is_ours = len(frames) == len(volumes) and all(map(_is_of, frames, volumes))
            if is_ours and any(frame.history.actions for frame in frames):
                when = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
                objects = {one.commit.label for frame in frames for one in frame.objects}
                found.append(Offer(path, when, len(objects), actions))
    return max(found, key=lambda offer: offer.when, default=None)


def _read(path: Path, over_time: bool) -> tuple[tuple[SessionState, ...], int]:
    """Sessions of a file, one a time point, and how much was done in them that is not undone."""
    if over_time:
        found = read_time_session(path)
        return found.frames, len(found.done)
    state = read_session(path)
    return (state,), len(state.history.applied)


def _is_of(state: SessionState, volume: Volume) -> bool:
    return state.shape == volume.shape and np.allclose(state.affine, volume.affine, atol=1e-4)


class Keeper:
    """Saves a session; used in the inference thread alone.

    An earlier session of the image, which nobody went on with, keeps its content under another name.

    Parameters
    ----------
    keeping : Keeping
    resumed : Path or None
        File that the session went on from.
    """

    def __init__(self, keeping: Keeping, resumed: Path | None) -> None:
        self.keeping = keeping
        self._is_ours = resumed == keeping.autosaved

    def autosave(self, session: Session) -> datetime:
        """Save where it is looked for when the image is opened again, and say when that was."""
        if not self._is_ours:
            _put_aside(self.keeping.autosaved)
            self._is_ours = True
        return self.save(session, self.keeping.autosaved)

    def save(self, session: Session, path: Path) -> datetime:
        """Save anywhere, and say when that was."""
        session.save(path)
        return datetime.now().astimezone()


def _put_aside(path: Path) -> None:
    """Give a file another name that no file has."""
    if not path.exists():
        return
    stem = path.name.removesuffix(AUTOSAVED)
    names = (f"{stem}.earlier{'' if n == 1 else f'-{n}'}{SUFFIX}" for n in count(1))
    os.replace(path, next(there for name in names if not (there := path.with_name(name)).exists()))


def _files_of(image: Image) -> tuple[Path, ...]:
    source = source_of(image)
    if source is not None and source.origin is not None:
        paths: tuple[Path, ...] = source.origin.paths
    else:
        path = image.source.path
        paths = (Path(path),) if isinstance(path, str) else ()
    return paths if paths and all(path.exists() for path in paths[:1]) else ()


def _series_tail(image: Image) -> str:
    source = source_of(image)
    series = source.origin.series if source is not None and source.origin is not None else None
    return f"-{hashlib.sha256(series.encode()).hexdigest()[:8]}" if series else ""


def _stem(path: Path) -> str:
    name = path.name
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), path.suffix)
    return name[: -len(ending)] if ending and name != ending else name


def _own_folder() -> Path:
    """Return ``EFFSEG_SESSIONS``, else a folder of the user's data."""
    named = os.environ.get("EFFSEG_SESSIONS", "").strip()
    data = platformdirs.user_data_path("napari-effseg", appauthor=False)
    folder = Path(named).expanduser() if named else data / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash_of(volume: Volume) -> str:
    """Name for an image without a file: a hash of where it lies and of some of its voxels."""
    found = hashlib.sha256(np.round(volume.affine, 4).tobytes())
    data = np.asarray(volume.data)
    found.update(f"{data.dtype} {data.shape}".encode())
    found.update(np.ascontiguousarray(data.reshape(-1)[:: max(1, data.size // 1_000_000)]).tobytes())
    return found.hexdigest()[:16]
