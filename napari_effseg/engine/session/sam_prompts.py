"""Prompts of a slice as networks of SAM's layout take them: points and a box in pixels of their input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .body import PlanePrompt

__all__ = ["MEAN", "STD", "box_of", "points_of"]

# ImageNet's, on values in [0, 1], as all of them are trained.
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
_MOST_POINTS = 12
"""Of a scribble, so many points are given at most, evenly along it."""


def points_of(prompts: Sequence[PlanePrompt], scales: tuple[float, float]) -> tuple[Tensor, Tensor] | None:
    """Points as (x, y) with labels; a negative region is a negative point at its middle.

    Parameters
    ----------
    prompts : sequence of PlanePrompt
    scales : (float, float)
        Pixels of the network's input for one of the slice, along rows and columns.

    Returns
    -------
    places : Tensor, shape (N, 2)
    labels : Tensor, shape (N,)
    """
    places, labels = [], []
    for prompt in prompts:
        found = prompt.places
        if found is None and prompt.region is not None and not prompt.positive:
            found = torch.nonzero(prompt.region > 0.5).double().mean(dim=0, keepdim=True).numpy()
        if found is not None and len(found):
            chosen = np.linspace(0, len(found) - 1, min(len(found), _MOST_POINTS)).round().astype(int)
            places.append(found[chosen])
            labels += [int(prompt.positive)] * len(chosen)
    if not places:
        return None
    every = (np.concatenate(places) + 0.5) * scales
    return torch.from_numpy(every[:, ::-1].astype(np.float32).copy()), torch.tensor(labels)


def box_of(prompts: Sequence[PlanePrompt], scales: tuple[float, float]) -> Tensor | None:
    """Return the last positive box, or that around the last lasso: SAM knows one.

    Returns
    -------
    Tensor, shape (4,), or None
        x0, y0, x1, y1.
    """
    regions = [prompt for prompt in prompts if prompt.positive and prompt.region is not None]
    if not regions:
        return None
    top, left, bottom, right = regions[-1].box or _around(regions[-1].region)
    rows, columns = scales
    return torch.tensor([left * columns, top * rows, (right - 1) * columns, (bottom - 1) * rows])


def _around(region: Tensor | None) -> tuple[float, float, float, float]:
    assert region is not None
    places = torch.nonzero(region > 0.5)
    (top, left), (bottom, right) = places.min(dim=0).values.tolist(), places.max(dim=0).values.tolist()
    return float(top), float(left), float(bottom + 1), float(right + 1)
