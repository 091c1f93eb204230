"""The bar shows on a terminal alone, after a second, and goes away; tables line up."""

from __future__ import annotations

import io
import sys
import time

import pytest

from napari_effseg.cli._console import Console, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, quiet: bool, seconds: float) -> str:
    """What is on the screen when half the work has taken so many seconds."""
    monkeypatch.setattr(sys, "stderr", screen)
    began = time.monotonic()
    with Console(quiet, verbose=False).progress() as bar:
        monkeypatch.setattr(time, "monotonic", lambda: began + seconds)
        bar(0.5, "window 5 of 10")
        return screen.getvalue()


def test_a_bar_shows_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), quiet=False, seconds=2.0)
    assert "window 5 of 10" in text
    assert " 50%" in text


def test_quick_work_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), quiet=False, seconds=0.5) == ""


def test_a_quiet_command_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), quiet=True, seconds=2.0) == ""


def test_a_pipe_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), quiet=False, seconds=2.0) == ""


def test_columns_line_up_and_numbers_to_the_right() -> None:
    text = table([("structure", "mL"), ("tail", "1.52"), ("anterior", "11.7")], right=[1])
    assert text.splitlines() == ["structure    mL", "tail       1.52", "anterior   11.7"]
