"""Clicks as control points of two markups nodes: what the user does to them, and what undo does.

The session is the truth. A point that the user places becomes a prompt; a prompt that undo brings back
becomes a point again. Points whose prompts are still on their way to the engine are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from .Marks import new_points, point_at, ras_of
from .rooms import EffsegError, Point, Prompt

__all__ = ["Mark", "PointMarks"]

POSITIVE_ROLE, NEGATIVE_ROLE = "EffSeg.Positive", "EffSeg.Negative"
_COLOURS = {True: (0.2, 0.8, 0.3), False: (0.9, 0.25, 0.2)}
_NAMES = {True: "EffSeg object", False: "EffSeg not object"}


@dataclass(eq=False)
class Mark:
    """A control point, and the prompt that it stands for.

    Attributes
    ----------
    point : Point
    prompt_id : int or None
        None until the engine has answered.
    """

    point: Point
    prompt_id: int | None = None


class PointMarks:
    """The nodes of positive and negative clicks.

    Parameters
    ----------
    volume_node : vtkMRMLVolumeNode
    axis : callable
        Returns the axis across the plane that is clicked in.
    added, edited, removed : callable
        Called with a `Mark` when the user placed, moved or deleted a point.
    said : callable
        Called with a sentence when a point cannot be a prompt.
    nodes : dict, optional
        Nodes of an earlier session, by their sign.
    """

    def __init__(
        self,
        volume_node: Any,
        axis: Callable[[], int],
        added: Callable[[Mark], None],
        edited: Callable[[Mark], None],
        removed: Callable[[Mark], None],
        said: Callable[[str], None],
        nodes: Mapping[bool, Any] | None = None,
    ) -> None:
        self._volume, self._axis, self._said = volume_node, axis, said
        self._added, self._edited, self._removed = added, edited, removed
        self._marks: dict[bool, dict[str, Mark]] = {True: {}, False: {}}
        self._is_drawing = False
        self._dragged: set[bool] = set()
        self.nodes = {sign: (nodes or {}).get(sign) or self._new(sign) for sign in (True, False)}
        self._observers = [pair for sign in (True, False) for pair in self._observe(sign)]

    def _new(self, sign: bool) -> Any:
        return new_points(self._volume, _NAMES[sign], _COLOURS[sign])

    def _observe(self, sign: bool) -> list[tuple[Any, int]]:
        node = self.nodes[sign]
        events = slicer.vtkMRMLMarkupsNode
        look = (events.PointPositionDefinedEvent, events.PointModifiedEvent, events.PointRemovedEvent)
        pairs = [(node, node.AddObserver(event, lambda *_: self._look(sign))) for event in look]
        pairs.append((node, node.AddObserver(events.PointStartInteractionEvent, lambda *_: self._grab(sign))))
        pairs.append((node, node.AddObserver(events.PointEndInteractionEvent, lambda *_: self._drop(sign))))
        return pairs

    def close(self) -> None:
        """Look no longer; the nodes stay."""
        for node, observer in self._observers:
            node.RemoveObserver(observer)
        self._observers = []

    def forget(self, mark: Mark) -> None:
        """Take away the point of a prompt that the engine refused."""
        for sign, marks in self._marks.items():
            for place, one in list(marks.items()):
                if one is mark:
                    del marks[place]
                    self._erase(sign, place)

    def show(self, prompts: Mapping[int, Prompt]) -> None:
        """Bring the points to what the session has."""
        points = {number: prompt for number, prompt in prompts.items() if isinstance(prompt, Point)}
        for sign, marks in self._marks.items():
            mine = {number: point for number, point in points.items() if point.positive is sign}
            for place, mark in list(marks.items()):
                if mark.prompt_id is not None and mark.prompt_id not in mine:
                    del marks[place]
                    self._erase(sign, place)
            shown = {mark.prompt_id: (place, mark) for place, mark in marks.items()}
            for number, point in mine.items():
                if number not in shown:
                    self._draw(sign, number, point)
                elif shown[number][1].point != point:
                    self._move(sign, *shown[number], point)

    # --- what the user does ---

    def _grab(self, sign: bool) -> None:
        self._dragged.add(sign)

    def _drop(self, sign: bool) -> None:
        self._dragged.discard(sign)
        self._look(sign)

    def _look(self, sign: bool) -> None:
        """Compare the node's points with what was known of them."""
        if self._is_drawing or sign in self._dragged:
            return
        marks, places = self._marks[sign], self._places(sign)
        for place in [place for place in marks if place not in places]:
            self._removed(marks.pop(place))
        for place, ras in places.items():
            known = marks.get(place)
            axis = self._axis() if known is None else known.point.axis
            try:
                point = point_at(ras, self._volume, sign, axis)
            except EffsegError as error:
                self._refuse(sign, place, known, str(error))
                continue
            if known is None:
                marks[place] = Mark(point)
                self._added(marks[place])
            elif known.point != point:
                known.point = point
                self._edited(known)

    def _refuse(self, sign: bool, place: str, known: Mark | None, why: str) -> None:
        self._said(why)
        if known is None:
            self._erase(sign, place)
        else:
            self._move(sign, place, known, known.point)

    def _places(self, sign: bool) -> dict[str, np.ndarray]:
        """Return where the points lie in the world, by their ids; not those that are being placed."""
        node, found = self.nodes[sign], {}
        for at in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(at) == node.PositionDefined:
                ras = np.zeros(3)
                node.GetNthControlPointPositionWorld(at, ras)
                found[node.GetNthControlPointID(at)] = ras
        return found

    # --- what the session says ---

    def _draw(self, sign: bool, number: int, point: Point) -> None:
        with _Drawing(self):
            node = self.nodes[sign]
            at = node.AddControlPointWorld(*ras_of(point, self._volume))
            self._marks[sign][node.GetNthControlPointID(at)] = Mark(point, number)

    def _move(self, sign: bool, place: str, mark: Mark, point: Point) -> None:
        with _Drawing(self):
            node = self.nodes[sign]
            node.SetNthControlPointPositionWorld(
                node.GetNthControlPointIndexByID(place), *ras_of(point, self._volume)
            )
            mark.point = point

    def _erase(self, sign: bool, place: str) -> None:
        with _Drawing(self):
            node = self.nodes[sign]
            at = node.GetNthControlPointIndexByID(place)
            if at >= 0:
                node.RemoveNthControlPoint(at)

    def clear(self) -> None:
        """Take all points away; nothing becomes of it."""
        with _Drawing(self):
            for sign, node in self.nodes.items():
                node.RemoveAllControlPoints()
                self._marks[sign].clear()


class _Drawing:
    """While it lasts, changes of the nodes are ours, not the user's."""

    def __init__(self, marks: PointMarks) -> None:
        self._owner = marks

    def __enter__(self) -> None:
        self._owner._is_drawing = True

    def __exit__(self, *_: object) -> None:
        self._owner._is_drawing = False
