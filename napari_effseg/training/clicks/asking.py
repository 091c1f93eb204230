"""How networks are asked in training: those that see prompts as maps, and those of SAM's layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...engine.session.sam_prompts import MEAN, STD, box_of, points_of
from ...nets.click_unet import ClickUNet
from ...nets.hrmedseg import HRMedSeg
from ...nets.sam import SAM

if TYPE_CHECKING:
    from .rounds import Rounds

__all__ = ["Promptable", "ask", "embed", "embeds", "side_of"]

_Points = tuple[Tensor, Tensor]
Promptable = ClickUNet | HRMedSeg | SAM
"""Networks that answer clicks."""


def side_of(network: nn.Module) -> int | None:
    """Return the only side of images that a network takes; None if it takes any."""
    return None if isinstance(network, ClickUNet) else int(network.config.img_size)  # type: ignore[union-attr, arg-type]


def ask(
    network: nn.Module, rounds: Rounds, which: Sequence[int], embedding: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Let a network answer all prompts of some examples.

    Parameters
    ----------
    network : Promptable
    rounds : Rounds
        Of images of the network's size.
    which : sequence of int
        Examples.
    embedding : Tensor, shape (len(which), W, g, g), or None
        Of their images, by a network of SAM's layout; None: it is computed.

    Returns
    -------
    logits : Tensor, shape (len(which), H, S, S)
        The first mask answers from the second prompt on.
    scores : Tensor, shape (len(which), H)
        The intersection over union that each is thought to have.
    """
    if isinstance(network, ClickUNet):
        return _by_maps(network, rounds, which)
    assert isinstance(network, HRMedSeg | SAM)
    return _by_tokens(network, rounds, which, embedding)


def embeds(network: nn.Module) -> TypeGuard[HRMedSeg | SAM]:
    """Whether a network embeds an image once, and answers prompts on the embedding."""
    return isinstance(network, HRMedSeg | SAM)


def embed(network: HRMedSeg | SAM, rounds: Rounds, which: Sequence[int]) -> Tensor:
    """Embed the images of some examples: (len(which), W, g, g)."""
    device = next(network.parameters()).device
    images = (rounds.images[which] - MEAN) / STD * rounds.inside[which]
    return network.encode(images.to(device))


def _by_maps(network: ClickUNet, rounds: Rounds, which: Sequence[int]) -> tuple[Tensor, Tensor]:
    inputs = torch.stack([rounds.seen(n) for n in which]).to(next(network.parameters()).device)
    begun = torch.tensor([rounds.is_first_click(n) for n in which])
    if network.further is None or begun.all():
        logits, scores = network.ranked(_in_order(inputs))
    elif not begun.any():
        logits, scores = network.ranked(_in_order(inputs), further=True)
    else:
        both = [
            network.ranked(_in_order(inputs[~begun]), further=True),
            network.ranked(_in_order(inputs[begun])),
        ]
        order = torch.cat([(~begun).nonzero(), begun.nonzero()]).flatten().argsort()
        logits, scores = (torch.cat(parts)[order] for parts in zip(*both, strict=True))
    return logits, scores.sigmoid()


def _in_order(inputs: Tensor) -> Tensor:
    """Lay images out as convolutions like them."""
    return inputs.contiguous(memory_format=torch.channels_last)


def _by_tokens(
    network: HRMedSeg | SAM, rounds: Rounds, which: Sequence[int], embedding: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Embed the images once, and decode those together that have the same kinds of prompts."""
    if embedding is None:
        embedding = embed(network, rounds, which)
    kinds: dict[tuple[bool, bool], list[int]] = {}
    for place, n in enumerate(which):
        kind = (box_of(rounds.asked[n], (1, 1)) is not None, n in rounds.answered)
        kinds.setdefault(kind, []).append(place)
    places, logits, scores = [], [], []
    for (has_box, has_mask), group in kinds.items():
        examples = [which[place] for place in group]
        prompts = _Prompts(rounds, examples, embedding.device, has_box, has_mask)
        masks, known = _decoded(network, embedding[group], prompts)
        logits.append(masks)
        scores.append(known)
        places += group
    order = torch.tensor(places).argsort()
    size = rounds.images.shape[-1]
    full = F.interpolate(torch.cat(logits)[order], (size, size), mode="bilinear", align_corners=False)
    return full, torch.cat(scores)[order]


class _Prompts:
    """Prompts of some examples that have the same kinds of them, as tensors."""

    def __init__(
        self, rounds: Rounds, examples: Sequence[int], device: torch.device, has_box: bool, has_mask: bool
    ) -> None:
        asked = [rounds.asked[n] for n in examples]
        self.points = _padded([points_of(prompts, (1, 1)) for prompts in asked], device)
        boxes = [box_of(prompts, (1, 1)) for prompts in asked] if has_box else []
        self.boxes = torch.stack([box for box in boxes if box is not None]).to(device) if has_box else None
        self.masks = None
        if has_mask:
            side = rounds.images.shape[-1] // 4
            before = torch.logit(rounds.maps[examples, :1], eps=1e-4)
            self.masks = F.interpolate(before, (side, side), mode="bilinear", antialias=True).to(device)


def _padded(
    points: Sequence[tuple[Tensor, Tensor] | None], device: torch.device
) -> tuple[Tensor, Tensor] | None:
    """Give all examples the same number of points; those added are ignored."""
    most = max(0 if found is None else len(found[1]) for found in points)
    if most == 0:
        return None
    places, labels = torch.zeros(len(points), most, 2), torch.full((len(points), most), -1)
    for number, found in enumerate(points):
        if found is not None:
            places[number, : len(found[1])], labels[number, : len(found[1])] = found
    return places.to(device), labels.to(device)


def _decoded(network: HRMedSeg | SAM, embedding: Tensor, prompts: _Prompts) -> tuple[Tensor, Tensor]:
    """Decode one answer, and the alternatives that SAM's decoder has beside it."""
    ranks = isinstance(network, SAM) or network.config.decoder == "sam"
    logits, scores = network.decode(
        embedding,
        prompts.points,
        prompts.boxes,
        prompts.masks,
        multimask="all" if ranks else False,
        scores=True,
    )
    assert isinstance(logits, Tensor)
    return logits, logits.new_zeros(logits.shape[:2]) if scores is None else scores
