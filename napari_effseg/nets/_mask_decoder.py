"""Mask decoders: HRMedSeg's ECM decoder and SAM's own, from prompts and an image embedding to logits.

References
----------
Kirillov et al., Segment Anything, arXiv:2304.02643 (``decoder="sam"``: state dicts of segment-anything's
``mask_decoder`` load strictly); Xu et al., HRMedSeg, arXiv:2504.06205 (``decoder="ecm"``: three mask tokens,
no score; all masks come from the first token, as in the released code).
"""

from __future__ import annotations

import itertools
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import LayerNorm2d
from ._sam_prompts import PromptEncoder, Prompts
from ._two_way import TwoWayTransformer

__all__ = ["MaskDecoder", "Masks", "answer_prompts"]

Masks: TypeAlias = bool | Literal["all"]
"""Several answers or one; "all": the one, and then the several."""
_MASKS = {"ecm": 3, "sam": 4}  # SAM's first is the single answer, the others the alternatives


class MaskDecoder(nn.Module):
    """Decode prompts on an image embedding.

    Parameters
    ----------
    kind : {"ecm", "sam"}
    width : int
        Channels of the embedding, W.
    transformer : TwoWayTransformer
    """

    def __init__(self, kind: Literal["ecm", "sam"], width: int, transformer: TwoWayTransformer) -> None:
        super().__init__()
        self._kind = kind
        masks = _MASKS[kind]
        self.transformer = transformer
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            _Perceptron(width, width, width // 8) for _ in range(masks)
        )
        if kind == "sam":
            self.iou_prediction_head = _Perceptron(width, width, masks)

    def forward(
        self, embedding: Tensor, positions: Tensor, sparse: Tensor, dense: Tensor, multimask: Masks
    ) -> tuple[Tensor, Tensor | None]:
        """Decode P prompts.

        Parameters
        ----------
        embedding : Tensor, shape (P or 1, W, g, g)
        positions : Tensor, shape (1, W, g, g)
        sparse : Tensor, shape (P, n, W)
        dense : Tensor, shape (P or 1, W, g, g)
        multimask : bool or "all"
            Several answers (3) or one; "all": the one, and then the several.

        Returns
        -------
        logits : Tensor, shape (P, 1, 3 or 4, 4 g, 4 g)
        scores : Tensor, shape (P, 1, 3 or 4), or None
            Predicted overlap with the truth; None where the decoder does not predict it.
        """
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
        image = (embedding + dense).expand(len(sparse), -1, -1, -1)
        tokens, image = self.transformer(image, positions, tokens)
        fine = self.output_upscaling(image).flatten(2)  # (P, W / 8, 16 g g)
        wanted = self._wanted(multimask)
        # SAM gives each mask a token of its own; the ECM decoder reads them all out of the score's.
        sources = [tokens[:, 1 + n] if self._kind == "sam" else tokens[:, 0] for n in wanted]
        weights = torch.stack(
            [self.output_hypernetworks_mlps[n](source) for n, source in zip(wanted, sources, strict=True)], 1
        )  # (P, masks, W / 8)
        side = 4 * image.shape[2]
        logits = (weights @ fine).unflatten(2, (side, side))
        if self._kind == "ecm":
            return logits, None
        return logits, self.iou_prediction_head(tokens[:, 0])[:, wanted.start : wanted.stop]

    def _wanted(self, multimask: Masks) -> range:
        if not multimask:
            return range(1)
        if multimask == "all":
            return range(len(self.output_hypernetworks_mlps))
        return range(1, 4) if self._kind == "sam" else range(3)


def answer_prompts(
    prompt_encoder: PromptEncoder, decoder: MaskDecoder, embedding: Tensor, prompts: Prompts, multimask: Masks
) -> tuple[Tensor, Tensor | None]:
    """Answer P prompts on one embedding, or one prompt on each of P embeddings.

    Returns
    -------
    logits : Tensor, shape (P, 1, 3 or 4, 4 g, 4 g)
    scores : Tensor, shape (P, 1, 3 or 4), or None

    Raises
    ------
    ValueError
        If the numbers of prompts, or of embeddings and prompts, do not go together.
    """
    sparse, dense = prompt_encoder(*prompts)
    if len(sparse) == 1:
        sparse = sparse.expand(len(embedding), -1, -1)
    if len(embedding) not in (1, len(sparse)):
        raise ValueError(
            f"{len(embedding)} embeddings and {len(sparse)} prompts were given; expected as many"
        )
    answered: tuple[Tensor, Tensor | None] = decoder(
        embedding, prompt_encoder.grid_positions(), sparse, dense, multimask
    )
    return answered


class _Perceptron(nn.Module):
    """Three linear layers with ReLU between."""

    def __init__(self, channels_in: int, hidden: int, channels_out: int) -> None:
        super().__init__()
        widths = (channels_in, hidden, hidden, channels_out)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out
