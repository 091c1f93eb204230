"""The baselines in their best settings, as bodies of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...engine.session.body import Hypothesis, PlanePrompt, SliceImage
from ...engine.session.following import asked_again
from ...engine.session.local import LocalSession
from ...errors import UnknownModel, nearest_names
from ...volume import Volume
from .marks import MarkSettings, marks_of
from .methods import FloodFill, GrowCut, Method, RandomWalker

__all__ = ["BASELINES", "BaselineBody", "baseline_body", "open_baseline"]

BASELINES: Mapping[str, Method] = MappingProxyType(
    {
        "random-walker": RandomWalker(MarkSettings(side=96, radius=4.0, core=0.5, reach=0.4), beta=3000.0),
        "grow-cut": GrowCut(MarkSettings(side=96, radius=3.0, core=0.5, reach=0.25), step=0.001),
        "flood-fill": FloodFill(MarkSettings(side=96, radius=4.0, core=0.65, reach=0.15), tolerance=0.1),
    }
)
"""Each in the setting that ``docs/_choose_baselines.py`` found best on acdc_cardiac, la2018_left_atrium and
covid_cxr_anatomy: three cases of each, two objects of a case. The means that it chose by were 0.781, 0.766
and 0.718."""
_SHARP = 8.0
"""Makes logits of what lies between -1/2 and 1/2."""


class BaselineBody:
    """Answers by a method without learning; see `SliceBody`.

    Each answer is made from all prompts anew: the previous one is not looked at.

    Parameters
    ----------
    method : Method
    """

    def __init__(self, method: Method) -> None:
        self._method = method

    def answer(
        self,
        image: SliceImage,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
    ) -> tuple[Hypothesis, ...]:
        """See `SliceBody.answer`."""
        marks = marks_of(image.pixels, prompts, locked, self._method.marks)
        if not marks.inside.any() or (marks.inside | marks.outside).all():
            belonging = np.where(marks.inside, 0.5, -0.5).astype(np.float32)
        else:
            belonging = np.nan_to_num(self._method.belonging(marks), nan=-0.5).clip(-0.5, 0.5)
        logits = torch.full(image.pixels.shape[1:], -_SHARP / 2)
        part = logits[marks.window]
        small = torch.from_numpy(_SHARP * belonging)[None, None]
        part[...] = F.interpolate(small, part.shape, mode="bilinear", align_corners=False)[0, 0]
        return (Hypothesis(logits, 1.0),)

    def carry(self, image: SliceImage, before: Tensor, last: SliceImage, locked: Tensor | None) -> Hypothesis:
        """See `SliceBody.carry`."""
        return asked_again(self, image, before, locked)


def baseline_body(name: str) -> BaselineBody:
    """Return a baseline by its name.

    Raises
    ------
    UnknownModel
        If there is none of this name.
    """
    if name not in BASELINES:
        raise UnknownModel(f"no baseline {name!r}.{nearest_names(name, BASELINES)}")
    return BaselineBody(BASELINES[name])


def open_baseline(name: str, volume: Volume) -> LocalSession:
    """Open a session that a baseline answers."""
    return LocalSession(volume, baseline_body(name))
