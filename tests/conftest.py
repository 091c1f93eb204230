"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no timing", deadline=None)
settings.load_profile("no timing")

REPOSITORY = Path(__file__).resolve().parents[1]

WINDOWS = {"qapp", "make_napari_viewer", "window"}
"""Fixtures of tests that show windows."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared real data; the test is skipped, with the reason, where there is none."""
    folder = Path(os.environ.get("EFFSEG_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the shared data sets: no folder {folder} (set EFFSEG_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the built-in models alone, whatever the user of this machine has added."""
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path_factory.getbasetemp() / "no-models"))


@pytest.fixture(autouse=True, scope="session")
def _cache_of_shared_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what fixtures of whole modules remember away from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFSEG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def _cache_of_the_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember times, and keep fetched weights, where neither the user's own nor another test's are."""
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the whole of the tests."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Call bytes "bytes" and a number: their own text is unreadable, and may change between processes."""
    return "bytes" if isinstance(val, bytes | bytearray) else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless they are asked for; keep the tests of windows in one process.

    Two of them would take the focus from each other.
    """
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    for item in items:
        if not WINDOWS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("window"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where pytest-xdist has not seen the groups."""
    if session.config.getoption("loadgroup", False):
        apart = [
            item
            for item in session.items
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if apart:
            raise pytest.UsageError("this pytest ignores the groups of pytest-xdist; see constraints.txt")
