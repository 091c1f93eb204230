"""Make the extension complete: copy the rooms of napari-effseg that need no torch into EffSegLib.

    python slicer_extension/vendor.py FOLDER          # the whole extension, ready to be added to Slicer
    python slicer_extension/vendor.py --zip FILE.zip  # the same as one file
    python slicer_extension/vendor.py --rooms FOLDER  # the rooms alone; CMake asks for these

The whole extension is also the content of the repository that the extension index builds.

It needs no package, and runs in any Python from 3.10 on, Slicer's included. Modules are found by following
imports from the rooms that `EffSegLib/rooms.py` names. Packages of which single modules are asked for get an
empty ``__init__``, so that nothing else comes along.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "napari_effseg"
MODULES = ("EffSeg", "SegmentEditorEffSeg")
LIBRARY = Path("EffSeg") / "EffSegLib"
SAMPLE = Path("EffSeg") / "Resources" / "Data"
WHOLE = (f"{PACKAGE}.volume",)
"""Packages that are copied with their own ``__init__``."""
ALLOWED = frozenset({"numpy", "scipy", *sys.stdlib_module_names})
"""What Slicer ships, and may therefore be imported."""
_THIN = '"""Part of napari-effseg, copied from its package; see vendor.py."""\n'
_LEFT_OUT = ("__pycache__", "*.pyc")
_BESIDE = ("CMakeLists.txt", "README.md", "Screenshots/window.png")


class VendorError(Exception):
    """A room cannot be copied; the message says which and why."""


def asked_for(rooms: Path) -> tuple[str, ...]:
    """Return the modules that `EffSegLib/rooms.py` uses."""
    for node in ast.parse(rooms.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "_ROOMS" for one in node.targets):
            return tuple(f"{PACKAGE}.{name}" for name in ast.literal_eval(node.value))
    raise VendorError(f"{rooms} names no rooms")


def modules_for(source: Path, wanted: tuple[str, ...]) -> dict[str, Path | None]:
    """Return the modules to copy and their files, all that they import included; None: an empty package.

    Raises
    ------
    VendorError
        If one is missing, or imports something that Slicer does not ship.
    """
    found: dict[str, Path | None] = {}
    open_ = list(wanted)
    while open_:
        name = open_.pop()
        if name in found:
            continue
        path = _file_of(source, name)
        if path is None:
            raise VendorError(f"there is no module {name} in {source}")
        if path.name == "__init__.py" and name not in WHOLE:
            found[name] = None
            continue
        found[name] = path
        for imported in _imports(name, path, source):
            _check(imported, name)
            if imported.partition(".")[0] == PACKAGE:
                open_.append(imported)
    for name in list(found):
        parent = name.rpartition(".")[0]
        while parent:
            found.setdefault(parent, None)
            parent = parent.rpartition(".")[0]
    return dict(sorted(found.items()))


def copy_rooms(source: Path, target: Path, rooms: Path) -> None:
    """Copy the rooms into a folder, which then holds the package."""
    for name, path in modules_for(source, asked_for(rooms)).items():
        place = target.joinpath(*name.split("."))
        is_package = path is None or path.name == "__init__.py"
        file = place / "__init__.py" if is_package else place.with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_THIN if path is None else path.read_text(encoding="utf-8"), encoding="utf-8")
    shutil.copy(source / "LICENSE", target / PACKAGE / "LICENSE")


def copy_sample(source: Path, target: Path) -> None:
    """Copy the sample case and its licence into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("hippocampus.nii.gz", "LICENSE.md"):
        shutil.copy(source / PACKAGE / "samples" / name, target / name)


def copy_extension(source: Path, target: Path) -> None:
    """Copy the whole extension into a folder: all that a repository of its own, and Slicer's build, need."""
    for module in MODULES:
        left_out = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(HERE / module, target / module, ignore=left_out, dirs_exist_ok=True)
    copy_rooms(source, target / LIBRARY, HERE / LIBRARY / "rooms.py")
    copy_sample(source, target / SAMPLE)
    shutil.copy(source / "LICENSE", target / "LICENSE")
    for name in _BESIDE:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / name, target / name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--zip", type=Path)
    parser.add_argument("--rooms", type=Path)
    parser.add_argument("--source", type=Path, default=HERE.parent, help="a checkout of napari-effseg")
    given = parser.parse_args(arguments)
    try:
        _make(given)
    except (VendorError, OSError) as error:
        sys.stderr.write(f"vendor.py: {error}\n")
        return 2
    return 0


def _make(given: argparse.Namespace) -> None:
    if given.rooms is not None:
        copy_rooms(given.source, given.rooms, HERE / LIBRARY / "rooms.py")
        copy_sample(given.source, given.rooms / "Data")
    if given.folder is not None:
        copy_extension(given.source, given.folder)
    if given.zip is not None:
        with tempfile.TemporaryDirectory() as folder:
            copy_extension(given.source, Path(folder) / "EffSeg")
            shutil.make_archive(str(given.zip.with_suffix("")), "zip", folder)
    if not (given.rooms or given.folder or given.zip):
        raise VendorError("name a folder, or --zip FILE.zip")


def _file_of(source: Path, name: str) -> Path | None:
    place = source.joinpath(*name.split("."))
    return next((one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file()), None)


def _imports(name: str, path: Path, source: Path) -> Iterator[str]:
    """Return what a module imports, here or there; what only checkers of types see is left out."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            inner = [f"{base}.{alias.name}" for alias in node.names]
            modules = [one for one in inner if base.startswith(PACKAGE) and _file_of(source, one)]
            yield from modules
            if base != PACKAGE and len(modules) < len(inner):
                yield base


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from _statements(other)
            continue
        yield node
        yield from _statements(node)


def _check(imported: str, by: str) -> None:
    top = imported.partition(".")[0]
    if top != PACKAGE and top not in ALLOWED:
        raise VendorError(f"{by} imports {imported}, which Slicer does not ship")


if __name__ == "__main__":
    sys.exit(main())
