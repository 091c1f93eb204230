"""Ctrl-C: at once while reading, when asked while computing, not at all while files are put in place."""

from __future__ import annotations

import signal

import pytest

from napari_effseg.cli._interrupt import Interrupt


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_stops_at_once_while_reading() -> None:
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
        press_ctrl_c()
    assert interrupt.requested


def test_it_waits_for_the_step_while_computing_then_stops() -> None:
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt), interrupt.between_steps():  # noqa: PT012
        assert not interrupt.cancel()
        press_ctrl_c()
        assert interrupt.cancel()


def test_pressed_twice_it_stops_at_once() -> None:
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt), interrupt.between_steps():  # noqa: PT012
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("the second signal should have raised")


def test_it_does_nothing_while_files_are_put_in_place() -> None:
    with Interrupt() as interrupt:
        interrupt.hold()
        press_ctrl_c()
        assert interrupt.requested


def test_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
