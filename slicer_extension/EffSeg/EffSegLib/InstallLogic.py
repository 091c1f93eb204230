"""The engine's private environment: what would be installed, how big it is, and then the installation.

Nothing of Slicer is touched: the environment is a folder of its own, made by a Python that is not Slicer's,
and pip runs in that folder's Python, with the environment that Slicer was started with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from .Commands import CommandFailed, run
from .Environment import is_slicers
from .rooms import CancelCheck, EffsegError, Progress

__all__ = ["InstallError", "InstallLogic", "InstallPlan", "Package", "PythonFound", "Wanted", "find_pythons"]

OLDEST, NEWEST = (3, 10), (3, 13)
REQUIREMENT = "napari-effseg[server]"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_DONE = "installed.json"
_LOG = "install.log"
_NAMES = ("python3.13", "python3.12", "python3.11", "python3.10", "python3", "python")
_ASK = "import sys; print(*sys.version_info[:2], sys.executable)"
_LOOKING_UP_S = 10.0
_USUAL_PACKAGES = 60


class InstallError(EffsegError):
    """The engine could not be installed; nothing was left behind."""


@dataclass(frozen=True)
class PythonFound:
    """A Python on this machine that can make an environment."""

    path: Path
    version: tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """What to install, and from where.

    Attributes
    ----------
    python : Path
        That makes the environment.
    wheels : Path or None
        A folder of wheels, for a machine without a network.
    requirement : str
    needs_cuda : bool
        False takes the smaller build of PyTorch, without NVIDIA's libraries.
    """

    python: Path
    wheels: Path | None = None
    requirement: str = REQUIREMENT
    needs_cuda: bool = True


@dataclass(frozen=True)
class Package:
    """A package that would be fetched; size in bytes, None where it is not known."""

    name: str
    version: str
    size: int | None


@dataclass(frozen=True)
class InstallPlan:
    """What a dry run found."""

    wanted: Wanted
    folder: Path
    packages: tuple[Package, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch, as far as they are known."""
        return sum(package.size or 0 for package in self.packages)

    def words(self) -> str:
        """Say it, for a question to the user."""
        largest = sorted(self.packages, key=lambda one: -(one.size or 0))[:3]
        names = ", ".join(f"{one.name} {one.version}" for one in largest)
        unknown = sum(package.size is None for package in self.packages)
        more = f" and {unknown} of unknown size" if unknown else ""
        return (
            f"{len(self.packages)} packages, {self.size / 1e6:,.0f} MB to fetch{more}; the largest are "
            f"{names}. They go into {self.folder}, a folder of their own. Slicer's packages stay as they are."
        )


def find_pythons(environment: Mapping[str, str], homes: tuple[Path, ...] = ()) -> tuple[PythonFound, ...]:
    """Return the Pythons on the search path that can make an environment, the best first; never Slicer's.

    Parameters
    ----------
    environment : mapping
        See `engine_environment`.
    homes : tuple of Path
        Folders of Slicer.
    """
    found: dict[Path, PythonFound] = {}
    for command in _commands(environment.get("PATH", "")):
        if is_slicers(Path(command[0]), homes):
            continue
        try:
            major, minor, path = run([*command, "-I", "-c", _ASK], environment).split(maxsplit=2)
        except (CommandFailed, ValueError):  # a stub that only opens a shop
            continue
        one = PythonFound(Path(path), (int(major), int(minor)))
        if OLDEST <= one.version <= NEWEST and not is_slicers(one.path, homes):
            found.setdefault(one.path.resolve(), one)
    return tuple(found.values())


def _commands(path: str) -> Iterator[tuple[str, ...]]:
    """Return what may start a Python: by its name, or by the launcher of Windows."""
    launcher = shutil.which("py", path=path)
    if launcher is not None:
        yield from ((launcher, f"-3.{minor}") for minor in range(NEWEST[1], OLDEST[1] - 1, -1))
    for name in _NAMES:
        at = shutil.which(name, path=path)
        if at is not None:
            yield (at,)


class InstallLogic:
    """Makes, describes and removes the private environment.

    Parameters
    ----------
    folder : path
        Where it is, or will be; holds nothing else.
    environment : mapping
        See `engine_environment`.
    homes : tuple of Path
        Folders of Slicer, into which nothing is installed.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], homes: tuple[Path, ...] = ()) -> None:
        self.folder, self._environment, self._homes = Path(folder), dict(environment), homes

    @property
    def log_path(self) -> Path:
        """The log of the last installation."""
        return self.folder.with_name(f"{self.folder.name}-{_LOG}")

    def python(self) -> Path | None:
        """Return the environment's Python; None while it is not installed, or not wholly."""
        python = _python_in(self.folder)
        return python if (self.folder / _DONE).is_file() and python.is_file() else None

    def version(self) -> str:
        """Return the version that is installed; empty for none."""
        if self.python() is None:
            return ""
        try:
            return str(json.loads((self.folder / _DONE).read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError):
            return ""

    def plan(
        self, wanted: Wanted, progress: Progress | None = None, cancel: CancelCheck | None = None
    ) -> InstallPlan:
        """Find out what would be installed; nothing is, but for an empty environment to ask pip in.

        Raises
        ------
        InstallError
            If the Python is Slicer's or cannot make environments, or pip finds no solution.
        Cancelled
        """
        self._check(wanted)
        self.remove()
        say = progress or _say_nothing
        try:
            say(0.1, "Making an empty environment")
            self._run([str(wanted.python), "-I", "-m", "venv", str(self.folder)], cancel)
            say(0.4, "Asking what would be installed")
            packages = self._dry_run(wanted, say, cancel)
        except BaseException as error:
            self.remove()
            if isinstance(error, CommandFailed):
                raise InstallError(f"the dry run failed:\n{error}") from error
            raise
        say(1.0, "Known")
        return InstallPlan(wanted, self.folder, packages)

    def install(
        self, plan: InstallPlan, progress: Progress | None = None, cancel: CancelCheck | None = None
    ) -> None:
        """Install what was planned.

        Raises
        ------
        InstallError
            If pip fails, or the engine does not start; the folder is removed, the log stays.
        Cancelled
            The folder is removed.
        """
        say = progress or _say_nothing
        meter = _Meter(len(plan.packages), say)
        try:
            with self.log_path.open("w", encoding="utf-8") as log:
                self._run(self._pip(plan.wanted), cancel, lambda line: _note(log.write, meter, line))
            say(0.97, "Looking whether the engine starts")
            version = self._run(
                [str(_python_in(self.folder)), "-I", "-c", "import napari_effseg as e; print(e.__version__)"],
                cancel,
            )
            (self.folder / _DONE).write_text(json.dumps({"version": version.strip()}), encoding="utf-8")
        except BaseException as error:
            self.remove()
            if isinstance(error, CommandFailed):
                raise InstallError(f"the installation failed; see {self.log_path}\n{error}") from error
            raise
        say(1.0, f"napari-effseg {version.strip()} is installed")

    def remove(self) -> None:
        """Remove the environment."""
        if self.folder.exists():
            (self.folder / _DONE).unlink(missing_ok=True)  # first, so that half of it never counts
            shutil.rmtree(self.folder)

    def _check(self, wanted: Wanted) -> None:
        if is_slicers(wanted.python, self._homes):
            raise InstallError("that is Slicer's own Python, which is left as it is; choose another one")
        if is_slicers(self.folder, self._homes):
            raise InstallError(f"{self.folder} belongs to Slicer; choose another folder")
        if self.folder.exists() and not _is_environment(self.folder):
            raise InstallError(f"{self.folder} holds something else; choose another folder")
        if wanted.wheels is not None and not any(wanted.wheels.glob("*.whl")):
            raise InstallError(f"there is no wheel in {wanted.wheels}")
        self.folder.parent.mkdir(parents=True, exist_ok=True)

    def _dry_run(self, wanted: Wanted, say: Progress, cancel: CancelCheck | None) -> tuple[Package, ...]:
        meter = _Meter(_USUAL_PACKAGES, lambda fraction, message: say(0.4 + 0.5 * fraction, message))
        with tempfile.TemporaryDirectory(prefix="effseg-") as folder:
            report = Path(folder) / "report.json"
            self._run([*self._pip(wanted), "--dry-run", "--report", str(report)], cancel, meter.hear)
            found = json.loads(report.read_text(encoding="utf-8"))
        return tuple(_package(one) for one in found["install"])

    def _pip(self, wanted: Wanted) -> list[str]:
        command = [str(_python_in(self.folder)), "-I", "-m", "pip", "install", wanted.requirement]
        command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        if wanted.wheels is not None:
            return [*command, "--no-index", "--find-links", str(wanted.wheels)]
        return command if wanted.needs_cuda else [*command, "--extra-index-url", CPU_INDEX]

    def _run(
        self,
        command: Sequence[str],
        cancel: CancelCheck | None,
        heard: Callable[[str], None] | None = None,
    ) -> str:
        return run(command, self._environment, heard, cancel)


class _Meter:
    """How far pip is: it names each package when it comes to it, when it fetches it, and all at the end."""

    def __init__(self, packages: int, say: Progress) -> None:
        self._packages, self._say, self._seen = max(packages, 1), say, 0

    def hear(self, line: str) -> None:
        words = line.strip()
        if words.startswith(("Collecting ", "Processing ")):
            self._seen += 1
            name = os.path.basename(words.split()[1])
            self._say(min(0.75 * self._seen / self._packages, 0.75), f"Looking at {_plain(name)}")
        elif words.startswith("Downloading "):
            name = os.path.basename(words.split()[1])
            self._say(min(0.75 * self._seen / self._packages, 0.75), f"Fetching {_plain(name)}")
        elif words.startswith("Installing collected packages"):
            self._say(0.8, "Unpacking")


def _plain(name: str) -> str:
    """Return a package's name without version and requirements."""
    return re.split(r"[-<>=!~\[;@ ]", name, maxsplit=1)[0]


def _note(write: Callable[[str], object], meter: _Meter, line: str) -> None:
    write(line + "\n")
    meter.hear(line)


def _package(found: Mapping[str, Mapping[str, object]]) -> Package:
    metadata = found["metadata"]
    return Package(str(metadata["name"]), str(metadata["version"]), _size(str(found["download_info"]["url"])))


def _size(url: str) -> int | None:
    """Return the bytes behind an address, without fetching them."""
    parts = urlparse(url)
    try:
        if parts.scheme == "file":
            return Path(urllib.request.url2pathname(unquote(parts.path))).stat().st_size
        if parts.scheme != "https":
            return None
        ask = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(ask, timeout=_LOOKING_UP_S) as answer:
            return int(answer.headers["Content-Length"])
    except (OSError, ValueError, TypeError):
        return None


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _is_environment(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "pyvenv.cfg").is_file() or not any(folder.iterdir()))


def _say_nothing(fraction: float, message: str) -> None:
    """Nobody is listening."""
