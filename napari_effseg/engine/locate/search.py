"""Find likely poses of a template in an image from nothing: a lattice of starts, then hill climbing.

No randomness: the same image gives the same poses. Heads are looked for upright within about 30 degrees,
as the affine says which way is up; an image whose affine is wrong by a quarter turn is not found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...volume import Grid
from .coarse import CoarseImage
from .pose import Pose
from .score import PoseScore
from .template import Template

__all__ = ["Candidate", "likely_poses"]

Candidate = tuple[float, Pose]
"""Score and pose."""

_USUAL_SIZE = math.log(0.9)  # the MNI template is larger than most heads
_LARGEST_CHANGE = 0.25  # of a logarithm of size, about the usual one
_SPREAD = 0.15  # of the mean logarithm of size: a brain is not as large as the scalp around it
_LARGEST_TURN = 0.8  # radians
_NODS = tuple(np.deg2rad((-20.0, 0.0, 20.0)))  # about x: how a chin is held differs most
_STARTS_APART_MM = 14.0
_MOST_STARTS = 400  # in space; of a large image they lie further apart
_STICKS_OUT = 0.4  # of the template's half width may lie outside the image
_CLIMBED = 8  # of the starts
_WORTH = 0.8
"""Poses below this part of the best score are not looked at further."""
_ROUNDS, _STEPS_A_ROUND = 4, 4
_LIKE = np.array([6.0] * 3 + [0.15] * 3 + [0.08] * 3)
"""Poses that differ by less than this in every number lead to one place."""


def likely_poses(
    template: Template, image: CoarseImage, most: int, after_start: Callable[[float], None]
) -> list[Candidate]:
    """Return distinct poses with high scores, the best first.

    Parameters
    ----------
    template : Template
    image : CoarseImage
    most : int
        How many to return at most.
    after_start : callable
        ``after_start(fraction)`` is called often; it may raise to stop.
    """
    score = PoseScore(template, image)
    places, apart = _lattice(template, image.grid)
    starts = []
    for number, place in enumerate(places):
        starts += [_scored(score, np.array([*place, nod, 0.0, 0.0, *[_USUAL_SIZE] * 3])) for nod in _NODS]
        after_start(0.5 * number / len(places))
    found = []
    chosen = _apart(starts, np.array([1.2 * apart] * 3 + [0.2] * 3 + [np.inf] * 3), _CLIMBED)
    for number, start in enumerate(chosen):
        found.append(_climbed(score, start, apart / 2))
        after_start(0.5 + 0.5 * (number + 1) / len(chosen))
    best = max(value for value, _ in found)
    return _apart([one for one in found if one[0] >= _WORTH * best], _LIKE, most)


def _scored(score: PoseScore, pose: Pose) -> Candidate:
    """Score a pose, less where heads of this size are rare."""
    unusual = (float(pose[6:9].mean()) - _USUAL_SIZE) / _SPREAD
    return score(pose) * math.exp(-0.5 * unusual**2), pose


def _lattice(template: Template, grid: Grid) -> tuple[list[tuple[float, ...]], float]:
    """Places for the template's centre, world RAS mm, and how far apart they are, mm."""
    corners = grid.corners_ras
    half = np.ptp(np.argwhere(template.brain), axis=0) * template.grid.spacing / 2
    middle = (corners.min(0) + corners.max(0)) / 2
    low = np.minimum(corners.min(0) + (1 - _STICKS_OUT) * half, middle)
    high = np.maximum(corners.max(0) - (1 - _STICKS_OUT) * half, middle)
    apart = _STARTS_APART_MM
    while math.prod(counts := [math.ceil(side / apart) + 1 for side in high - low]) > _MOST_STARTS:
        apart *= 1.1
    axes = [
        np.linspace(a, b, n) if n > 1 else [(a + b) / 2] for a, b, n in zip(low, high, counts, strict=True)
    ]
    return list(itertools.product(*axes)), apart


def _apart(candidates: list[Candidate], like: NDArray[np.float64], most: int) -> list[Candidate]:
    """Return the best of the candidates, without those that are like a better one."""
    kept: list[Candidate] = []
    for value, pose in sorted(candidates, key=lambda one: -one[0]):
        if all((np.abs(pose - other) > like).any() for _, other in kept):
            kept.append((value, pose))
        if len(kept) == most:
            break
    return kept


def _climbed(score: PoseScore, start: Candidate, step_mm: float) -> Candidate:
    """Move one number of the pose at a time as long as that helps, then with half the steps."""
    best = start
    steps = np.array([step_mm] * 3 + [np.deg2rad(10.0)] * 3 + [0.08] * 3)
    for _ in range(_ROUNDS):
        for _ in range(_STEPS_A_ROUND):
            before = best[0]
            for axis in range(len(steps)):
                best = max((best, *_moves(score, best[1], axis, steps[axis])), key=lambda one: one[0])
            if best[0] == before:
                break
        steps = steps / 2
    return best


def _moves(score: PoseScore, pose: Pose, axis: int, step: float) -> Iterator[Candidate]:
    for sign in (1, -1):
        moved = pose.copy()
        moved[axis] += sign * step
        if (np.abs(moved[3:6]) <= _LARGEST_TURN).all() and (
            np.abs(moved[6:9] - _USUAL_SIZE) <= _LARGEST_CHANGE
        ).all():
            yield _scored(score, moved)
