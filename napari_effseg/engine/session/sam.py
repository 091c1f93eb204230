"""Networks of SAM's layout as bodies: each slice is embedded once, and prompted often.

HRMedSegSAM is trained on pictures resized to a square; SAM and MobileSAM on pictures whose longer side fills
the square, the rest being empty.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...nets.hrmedseg import HRMedSeg, Masks
from ...nets.sam import SAM
from .body import Hypothesis, PlanePrompt, SliceImage
from .following import asked_again
from .sam_prompts import MEAN, STD, box_of, points_of

__all__ = ["EmbeddingCache", "SamBody"]


_QUICK_SECONDS = 1.0
"""Nobody waits longer for a slice that was looked at ahead."""


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


def _alternatives(network: HRMedSeg | SAM) -> Masks:
    """Which masks a first click is answered by: SAM by three alternatives, HRMedSegSAM by these and its one.

    SAM's one answer hardly learned from single clicks; that of HRMedSegSAM does in `effseg distill`.
    """
    if isinstance(network, SAM):
        return True
    return "all" if network.config.decoder == "sam" else False


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
        self._alternatives = _alternatives(network)
        self._seconds = math.inf  # that the last slice took to be embedded

    @torch.inference_mode()
    def prepare(self, image: SliceImage) -> Tensor:
        """Embed a slice, or find its embedding."""
        found = self._cache.get(image.key)
        if found is None:
            began = time.perf_counter()
            given = self._square((image.pixels - MEAN) / STD)
            found = self._network.encode(given[None].to(self._device))
            self._cache.put(image.key, found)
            self._seconds = time.perf_counter() - began
        return found

    def look_ahead(self, image: SliceImage) -> None:
        """See `Embeds.look_ahead`."""
        if self._seconds <= _QUICK_SECONDS:
            self.prepare(image)

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
        alternatives = self._alternatives if len(prompts) == 1 and prompts[0].region is None else False
        scales = self._scales(sides)
        points, box = points_of(prompts, scales), box_of(prompts, scales)
        logits, scores = self._network.decode(
            embedding,
            points=None
            if points is None
            else (points[0][None].to(self._device), points[1][None].to(self._device)),
            boxes=None if box is None else box[None].to(self._device),
            masks=None if previous is None else self._mask(previous),
            multimask=alternatives,
            scores=True,
        )
        assert isinstance(logits, Tensor)
        back = self._back(logits[0].float().cpu(), sides)
        known = torch.ones(len(back)) if scores is None else scores[0].float().cpu()
        order = known.argsort(descending=True).tolist()
        return tuple(Hypothesis(back[which], float(known[which].clamp(0, 1))) for which in order)

    def carry(self, image: SliceImage, before: Tensor, last: SliceImage, locked: Tensor | None) -> Hypothesis:
        """See `SliceBody.carry`."""
        return asked_again(self, image, before, locked)

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

    def _mask(self, previous: Tensor) -> Tensor:
        """Logits as the network takes them, a quarter of its size."""
        small = self._square(previous[None] + 32, self._side // 4) - 32  # what lies outside is off the object
        return small[None].to(self._device)
