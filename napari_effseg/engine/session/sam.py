"""Networks of SAM's layout as bodies: each slice is embedded once, and prompted often.

HRMedSegSAM is trained on pictures resized to a square; SAM and MobileSAM on pictures whose longer side fills
the square, the rest being empty.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...nets.hrmedseg import HRMedSeg
from ...nets.sam import SAM
from .body import Hypothesis, PlanePrompt, SliceImage

__all__ = ["EmbeddingCache", "SamBody"]

# ImageNet's, on values in [0, 1], as all of them are trained.
_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
_MOST_POINTS = 12
"""Of a scribble, so many points are given at most, evenly along it."""


class EmbeddingCache:
    """Embeddings of slices, the ones used last; safe between threads.

    Parameters
    ----------
    most_bytes : int
        Memory that they may take together.
    """

    def __init__(self, most_bytes: int = 256 * 2**20) -> None:
        self._kept: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()
        self._most, self._lock = most_bytes, threading.Lock()

    def get(self, key: tuple[object, ...]) -> Tensor | None:
        """Return the embedding of a slice, if it is kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: tuple[object, ...], embedding: Tensor) -> None:
        """Keep an embedding, and forget those that were used longest ago."""
        with self._lock:
            self._kept[key] = embedding
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self.bytes > self._most:
                self._kept.popitem(last=False)

    @property
    def bytes(self) -> int:
        """Memory that the embeddings take."""
        return sum(kept.nbytes for kept in self._kept.values())


class SamBody:
    """Answers with a network of SAM's layout.

    Parameters
    ----------
    network : HRMedSeg or SAM
        In evaluation mode.
    device : torch.device
    cache : EmbeddingCache
    """

    def __init__(self, network: HRMedSeg | SAM, device: torch.device, cache: EmbeddingCache) -> None:
        self._network, self._device, self._cache = network, device, cache
        self._side = network.config.img_size
        self._stretched = isinstance(network, HRMedSeg)
        self._several = not (isinstance(network, HRMedSeg) and network.config.decoder == "ecm")

    @torch.inference_mode()
    def prepare(self, image: SliceImage) -> Tensor:
        """Embed a slice, or find its embedding."""
        found = self._cache.get(image.key)
        if found is None:
            given = self._square((image.pixels - _MEAN) / _STD)
            found = self._network.encode(given[None].to(self._device))
            self._cache.put(image.key, found)
        return found

    @torch.inference_mode()
    def answer(
        self,
        image: SliceImage,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
    ) -> tuple[Hypothesis, ...]:
        """See `SliceBody.answer`; of finished neighbours these networks know nothing."""
        embedding = self.prepare(image)
        sides = (image.pixels.shape[1], image.pixels.shape[2])
        several = self._several and len(prompts) == 1 and prompts[0].region is None
        logits, scores = self._network.decode(
            embedding,
            points=self._points(prompts, sides),
            boxes=self._boxes(prompts, sides),
            masks=None if previous is None else self._mask(previous),
            multimask=several,
            scores=True,
        )
        assert isinstance(logits, Tensor)
        back = self._back(logits[0].float().cpu(), sides)
        known = torch.ones(len(back)) if scores is None else scores[0].float().cpu()
        order = known.argsort(descending=True).tolist()
        return tuple(Hypothesis(back[which], float(known[which].clamp(0, 1))) for which in order)

    def _scales(self, sides: tuple[int, int]) -> tuple[float, float]:
        """Pixels of the network for one of the slice, along rows and columns."""
        if self._stretched:
            return self._side / sides[0], self._side / sides[1]
        scale = self._side / max(sides)
        return scale, scale

    def _filled(self, sides: tuple[int, int], side: int) -> tuple[int, int]:
        """Part of a square that the slice fills."""
        rows, columns = self._scales(sides)
        share = side / self._side
        return max(1, round(sides[0] * rows * share)), max(1, round(sides[1] * columns * share))

    def _square(self, pixels: Tensor, side: int | None = None) -> Tensor:
        side = self._side if side is None else side
        filled = self._filled((pixels.shape[1], pixels.shape[2]), side)
        smaller = filled[0] < pixels.shape[1] or filled[1] < pixels.shape[2]
        resized = F.interpolate(
            pixels[None], filled, mode="bilinear", align_corners=False, antialias=smaller
        )[0]
        return F.pad(resized, (0, side - filled[1], 0, side - filled[0]))

    def _back(self, logits: Tensor, sides: tuple[int, int]) -> Tensor:
        rows, columns = self._filled(sides, logits.shape[-1])
        return F.interpolate(logits[None, :, :rows, :columns], sides, mode="bilinear", align_corners=False)[0]

    def _points(self, prompts: Sequence[PlanePrompt], sides: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
        """Points as (x, y) with labels; a negative region is a negative point at its middle."""
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
        rows, columns = self._scales(sides)
        every = (np.concatenate(places) + 0.5) * (rows, columns)
        xy = torch.from_numpy(every[:, ::-1].astype(np.float32).copy())
        return xy[None].to(self._device), torch.tensor(labels)[None].to(self._device)

    def _boxes(self, prompts: Sequence[PlanePrompt], sides: tuple[int, int]) -> Tensor | None:
        """Return the last positive box, or that around the last lasso: SAM knows one."""
        regions = [prompt for prompt in prompts if prompt.positive and prompt.region is not None]
        if not regions:
            return None
        top, left, bottom, right = regions[-1].box or _around(regions[-1].region)
        rows, columns = self._scales(sides)
        corners = [left * columns, top * rows, (right - 1) * columns, (bottom - 1) * rows]
        return torch.tensor([corners], dtype=torch.float32, device=self._device)

    def _mask(self, previous: Tensor) -> Tensor:
        """Logits as the network takes them, a quarter of its size."""
        small = self._square(previous[None] + 32, self._side // 4) - 32  # what lies outside is off the object
        return small[None].to(self._device)


def _around(region: Tensor | None) -> tuple[float, float, float, float]:
    assert region is not None
    places = torch.nonzero(region > 0.5)
    (top, left), (bottom, right) = places.min(dim=0).values.tolist(), places.max(dim=0).values.tolist()
    return float(top), float(left), float(bottom + 1), float(right + 1)
