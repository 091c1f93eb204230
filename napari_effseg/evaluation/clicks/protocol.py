"""The protocol: what a simulated user does with a session, and how good the masks become.

Everything goes the public way: prompts are added to a session, and its mask is read.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ...errors import PromptError
from ...metrics import dice
from ...prompts import Box, Point
from ...protocols import Session
from ...types import BoolArray, Spacing
from .objects import Solid, Target
from .user import correcting_click, flat_box

__all__ = ["BOX_CLICKS", "CORRECTIONS", "Asked", "ask_for_solid", "ask_for_target"]

BOX_CLICKS = 5
"""After a box."""
CORRECTIONS = 3
"""Of an object that was carried through a volume."""


@dataclass(frozen=True)
class Asked:
    """How an object of a slice became better.

    Attributes
    ----------
    clicks : tuple of float
        Dice after 1, 2, ... clicks.
    box : tuple of float
        Dice after a box, and 1, 2, ... clicks more.
    seconds : tuple of float
        That each answer took, in the order of both.
    """

    clicks: tuple[float, ...]
    box: tuple[float, ...]
    seconds: tuple[float, ...]


def ask_for_target(session: Session, target: Target, spacing: Spacing, clicks: int) -> Asked:
    """Ask for an object in a slice, by clicks, and again by a box and clicks; the session is then empty.

    Parameters
    ----------
    session : Session
        Without prompts.
    target : Target
    spacing : (float, float, float)
        Of the image, in mm.
    clicks : int
        So many, the first one included.
    """
    user = _User(session, target, spacing)
    by_clicks = user.go_on(clicks)
    user.start_again()
    box = Box(*flat_box(target.truth, target.axis, target.index))
    by_box = [user.give(box), *user.go_on(BOX_CLICKS)]
    user.start_again()
    return Asked(tuple(by_clicks), tuple(by_box), tuple(user.seconds))


def ask_for_solid(session: Session, solid: Solid, axis: int, spacing: Spacing) -> tuple[float, ...]:
    """Ask for an object of a volume: one click in its fullest slice, carried on, then corrections.

    Each correction is a click in the slice with most wrong voxels, after which the object is carried on
    again. The session is empty afterwards.

    Parameters
    ----------
    session : Session
        Without prompts.
    solid : Solid
    axis : int
        Array axis across the slices.
    spacing : (float, float, float)
        Of the image, in mm.

    Returns
    -------
    tuple of float
        Dice in the volume after the first click was carried on, and after each correction.
    """
    others = tuple(other for other in range(3) if other != axis)
    pixels = [spacing[other] for other in others]
    found: list[float] = []
    for _ in range(1 + CORRECTIONS):
        mask = np.asarray(session.mask)
        wrong = solid.voxels & ~mask if not found else solid.voxels ^ mask
        index = int(wrong.sum(axis=others).argmax())
        click = correcting_click(np.take(solid.voxels, index, axis), np.take(mask, index, axis), pixels)
        if click is not None:
            row, column = click.index
            place = np.insert([row, column], axis, index).tolist()
            session.add(Point((place[0], place[1], place[2]), positive=click.positive, axis=axis))
            with suppress(PromptError):  # nothing may be left to carry on; what there is will be scored
                session.propagate(axis)
        found.append(dice(solid.voxels, np.asarray(session.mask)))
    _empty(session)
    return tuple(found)


class _User:
    """Somebody who wants one object of a slice."""

    def __init__(self, session: Session, target: Target, spacing: Spacing) -> None:
        self._session, self._target = session, target
        self._pixels = [spacing[other] for other in range(3) if other != target.axis]
        self.seconds: list[float] = []

    def give(self, prompt: Point | Box) -> float:
        """Give a prompt, and return the Dice of the answer."""
        started = time.perf_counter()
        self._session.add(prompt, shown=self._target.axis)
        mask = self._mask()
        self.seconds.append(time.perf_counter() - started)
        return dice(self._target.truth, mask)

    def go_on(self, clicks: int) -> list[float]:
        """Correct so many times; where nothing is wrong any more, the answer stays."""
        found: list[float] = []
        for _ in range(clicks):
            click = correcting_click(self._target.truth, self._mask(), self._pixels)
            if click is None:
                found.append(1.0)
                continue
            row, column = click.index
            i, j, k = np.insert([row, column], self._target.axis, self._target.index).tolist()
            found.append(self.give(Point((i, j, k), positive=click.positive, axis=self._target.axis)))
        return found

    def start_again(self) -> None:
        """Take everything back."""
        _empty(self._session)

    def _mask(self) -> BoolArray:
        mask: BoolArray = np.take(self._session.mask, self._target.index, self._target.axis)
        return mask


def _empty(session: Session) -> None:
    while session.undo():
        pass
