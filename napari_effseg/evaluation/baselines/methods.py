"""Random walker, grow-cut and flood fill: seeds in, how much each pixel belongs to the object out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ..._extras import require
from ...nets.geodesic import Contrast
from ...types import BoolArray
from .marks import Marks, MarkSettings

__all__ = ["FloodFill", "GrowCut", "Method", "RandomWalker"]

_EXTRA = "baselines"


class Method(Protocol):
    """A method with its settings."""

    @property
    def marks(self) -> MarkSettings:
        """How it takes prompts."""
        ...

    def belonging(self, marks: Marks) -> NDArray[np.float32]:
        """Return how much each pixel belongs to the object, shape (R, C): above 0 on it.

        There are seeds of the object, of the background, and pixels that are neither.
        """
        ...


@dataclass(frozen=True)
class RandomWalker:
    """scikit-image's random walker.

    Attributes
    ----------
    marks : MarkSettings
    beta : float
        How hard it is to walk over an edge.

    References
    ----------
    Grady, Random Walks for Image Segmentation, IEEE TPAMI 28(11), 2006.
    """

    marks: MarkSettings
    beta: float

    def belonging(self, marks: Marks) -> NDArray[np.float32]:
        """See `Method.belonging`: the probability that a walker meets the object first, less a half."""
        segmentation: Any = require("skimage.segmentation", _EXTRA, "the baseline random-walker")
        seeds = np.where(marks.inside, 1, np.where(marks.outside, 2, 0))
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of solvers that are not installed, and of contrast that is not there
            found = segmentation.random_walker(
                marks.pixels, seeds, self.beta, mode="cg_j", tol=1e-3, return_full_prob=True, channel_axis=-1
            )
        return np.asarray(found[0], np.float32) - 0.5


@dataclass(frozen=True)
class GrowCut:
    """Grow-cut, run to its end by shortest paths.

    In the cellular automaton a pixel is conquered by its neighbour with the strength of that neighbour times
    ``1 - difference / largest difference``. Where nothing changes any more, each pixel belongs to the seed
    from which the product of these factors along the best path is largest: the shortest path for the sum of
    their negative logarithms. A small cost of each step stands
    for the time that the automaton takes: where there is no contrast the nearer seed wins.

    Attributes
    ----------
    marks : MarkSettings
    step : float
        Cost of a step, beside that of the contrast.

    References
    ----------
    Vezhnevets and Konouchine, GrowCut: Interactive Multi-Label N-D Image Segmentation by Cellular Automata,
    Graphicon 2005. As shortest paths: Zhu et al., An Effective Interactive Medical Image Segmentation Method
    using Fast GrowCut, MICCAI workshop on interactive medical image computing 2014.
    """

    marks: MarkSettings
    step: float

    def belonging(self, marks: Marks) -> NDArray[np.float32]:
        """See `Method.belonging`: how much farther the background's seeds are than the object's."""
        contrast = Contrast.of(torch.from_numpy(marks.pixels).permute(2, 0, 1).contiguous(), self.step)
        to_inside, to_outside = (
            contrast.length(torch.from_numpy(seeds)) for seeds in (marks.inside, marks.outside)
        )
        farther: NDArray[np.float32] = (to_outside - to_inside).numpy()
        return farther


@dataclass(frozen=True)
class FloodFill:
    """scikit-image's flood fill from every click, within a tolerance; holes are filled.

    Clicks outside of the object flood, too; a pixel that both reach belongs to the nearer click.

    Attributes
    ----------
    marks : MarkSettings
    tolerance : float
        Largest difference to the brightness at the click, of a range of 1.
    """

    marks: MarkSettings
    tolerance: float

    def belonging(self, marks: Marks) -> NDArray[np.float32]:
        """See `Method.belonging`: a half or minus a half."""
        grey = marks.pixels.mean(axis=2)
        clicks = marks.clicks if len(marks.clicks) else _middle(marks.inside)
        flooded = self._flooded(grey, clicks) & marks.allowed
        if len(marks.not_clicks):
            nearer = _distance(clicks, grey.shape) < _distance(marks.not_clicks, grey.shape)
            flooded &= nearer | ~self._flooded(grey, marks.not_clicks)
        filled = ndimage.binary_fill_holes(flooded | marks.inside) & ~_drawn(marks.not_clicks, grey.shape)
        return np.where(filled, 0.5, -0.5).astype(np.float32)

    def _flooded(self, grey: NDArray[np.float32], clicks: NDArray[np.int_]) -> BoolArray:
        segmentation: Any = require("skimage.segmentation", _EXTRA, "the baseline flood-fill")
        flooded = np.zeros(grey.shape, bool)
        for row, column in clicks.tolist():
            if not flooded[row, column]:
                flooded |= segmentation.flood(grey, (row, column), tolerance=self.tolerance)
        return flooded


def _middle(inside: BoolArray) -> NDArray[np.int_]:
    """Deepest place of the object's seeds, for a box without clicks."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return np.asarray([np.unravel_index(int(depth.argmax()), depth.shape)])


def _distance(places: NDArray[np.int_], shape: tuple[int, ...]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~_drawn(places, shape))
    return distance


def _drawn(places: NDArray[np.int_], shape: tuple[int, ...]) -> BoolArray:
    drawn = np.zeros(shape, bool)
    drawn[places[:, 0], places[:, 1]] = True
    return drawn
