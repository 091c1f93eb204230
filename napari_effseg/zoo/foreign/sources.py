"""Where foreign models come from: a folder, a zip file, or an address with a checksum."""

from __future__ import annotations

import contextlib
import hmac
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...errors import Cancelled, WeightsError
from ...types import CancelCheck, Progress
from ..fetch import Opener, check_address, open_at
from ..weights import file_sha256

__all__ = ["Download", "model_folder"]

_BLOCK = 1 << 20
_LARGEST_BYTES = 16 << 30
_MOST_ENTRIES = 20_000
_LARGEST_RATIO = 200  # of a packed text; weights hardly shrink
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Download:
    """How an address is fetched.

    Parameters
    ----------
    sha256 : str or None
        What the file must be; needed for an address.
    progress, cancel : callables or None
    opener : callable or None
        Opens an address at a byte.
    """

    def __init__(
        self,
        sha256: str | None = None,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
        opener: Opener | None = None,
    ) -> None:
        self.sha256, self.progress, self.cancel = sha256, progress, cancel
        self.opener = opener or open_at

    def to(self, address: str, target: Path) -> None:
        """Fetch a file, never more than the limit, and check it before anybody reads it.

        Raises
        ------
        WeightsError
            If it is no https address, has no checksum, does not arrive, or is another file.
        Cancelled
            If `cancel` said so.
        """
        check_address(address)
        if self.sha256 is None:
            raise WeightsError(
                f"{address}: needs the SHA-256 of the file (--sha256), which its authors publish"
            )
        try:
            with contextlib.closing(self.opener(address, 0)) as response, target.open("wb") as file:
                while block := response.read(_BLOCK):
                    if file.tell() + len(block) > _LARGEST_BYTES:
                        raise WeightsError(f"{address}: more than {_LARGEST_BYTES} bytes")
                    file.write(block)
                    self._report(file.tell(), address)
        except OSError as err:
            raise WeightsError(f"{address}: {err}") from err
        check_sha256(target, self.sha256, address)

    def _report(self, done: int, address: str) -> None:
        if self.cancel is not None and self.cancel():
            raise Cancelled("fetching the model was cancelled")
        if self.progress is not None:
            self.progress(0.0, f"fetching {address}: {done / 1e6:.0f} MB")


@contextlib.contextmanager
def model_folder(source: str, download: Download) -> Iterator[Path]:
    """Give the folder of a model; what was fetched or unpacked vanishes at the end.

    Parameters
    ----------
    source : str
        A folder, a zip file, or an https address of a zip file.
    download : Download
        With the checksum, which a zip file may have too.

    Raises
    ------
    WeightsError
        If it is none of these, or not the file of the checksum.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        with tempfile.TemporaryDirectory(prefix="effseg-") as work:
            packed = Path(work) / "model.zip"
            download.to(source, packed)
            yield _unpack(packed, Path(work) / "model")
        return
    path = Path(source).expanduser()
    if path.is_dir():
        yield path
    elif path.is_file() and zipfile.is_zipfile(path):
        if download.sha256 is not None:
            check_sha256(path, download.sha256, str(path))
        with tempfile.TemporaryDirectory(prefix="effseg-") as work:
            yield _unpack(path, Path(work) / "model")
    else:
        raise WeightsError(f"{source}: expected a folder, a zip file, or an address beginning with https://")


def check_sha256(path: Path, expected: str, name: str) -> None:
    """Refuse a file whose SHA-256 is another."""
    if not _SHA256.fullmatch(expected):
        raise WeightsError(f"{expected!r} is no SHA-256; expected 64 hexadecimal digits")
    actual = file_sha256(path)
    if not hmac.compare_digest(actual, expected.lower()):
        raise WeightsError(f"{name}: its SHA-256 is {actual}, expected {expected.lower()}")


def _unpack(packed: Path, target: Path) -> Path:
    """Unpack a zip file: files alone, inside the folder, of no more bytes than they say."""
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, packed)
            for entry in entries:
                place = target.joinpath(*PurePosixPath(entry.filename).parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as inside, place.open("wb") as out:
                    shutil.copyfileobj(inside, out, _BLOCK)
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError) as err:
        raise WeightsError(f"{packed}: damaged archive: {err}") from err
    inner = [path for path in target.iterdir() if path.name != "__MACOSX"] if target.is_dir() else []
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else target


def _check_entries(entries: list[zipfile.ZipInfo], packed: Path) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise WeightsError(f"{packed}: {len(entries)} files; expected at most {_MOST_ENTRIES}")
    total = sum(entry.file_size for entry in entries)
    if total > min(_LARGEST_BYTES, _LARGEST_RATIO * max(packed.stat().st_size, _BLOCK)):
        raise WeightsError(f"{packed}: would unpack to {total} bytes")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        foreign = "\\" in entry.filename or ":" in entry.filename
        if path.is_absolute() or ".." in path.parts or foreign or stat.S_ISLNK(entry.external_attr >> 16):
            raise WeightsError(f"{packed}: {entry.filename!r} would lie outside the folder")
