"""SAM's prompt encoder: points, boxes and masks become tokens and a dense embedding.

Glossary: W width of the embedding, g its grid's side, P prompts for one image.

References
----------
Kirillov et al., Segment Anything, arXiv:2304.02643; layout of facebookresearch/segment-anything
``modeling/prompt_encoder.py``, whose state dicts load strictly.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from ._blocks import LayerNorm2d

__all__ = ["PromptEncoder", "Prompts"]

Points = tuple[Tensor, Tensor]
"""Pixels (x, y) of the network's input, (P, n, 2), and labels (P, n): 1 object, 0 background, -1 ignored."""


class PromptEncoder(nn.Module):
    """Encode prompts on an image of `img_size` pixels a side.

    Parameters
    ----------
    width : int
        W, an even number.
    grid : int
        Side of the image embedding.
    img_size : int
        Side of the network's input, in pixels.
    mask_channels : int
        Channels inside the mask branch, a multiple of 4.
    """

    def __init__(self, width: int, grid: int, img_size: int, mask_channels: int) -> None:
        super().__init__()
        self._grid, self._img_size = grid, img_size
        self.pe_layer = _FourierPositions(width // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, 2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, 2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, width, 1),
        )
        self.no_mask_embed = nn.Embedding(1, width)

    def forward(
        self, points: Points | None = None, boxes: Tensor | None = None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode P prompts.

        Parameters
        ----------
        points : (Tensor, Tensor) or None
            See `Points`.
        boxes : Tensor, shape (P, 4), or None
            x0, y0, x1, y1 in pixels of the network's input.
        masks : Tensor, shape (P or 1, 1, 4 g, 4 g), or None
            Logits.

        Returns
        -------
        sparse : Tensor, shape (P, tokens, W)
            Points, a padding point if no box is given, then the boxes' corners.
        dense : Tensor, shape (P or 1, W, g, g)

        Raises
        ------
        ValueError
            If the numbers of points and boxes differ.
        """
        weight = self.no_mask_embed.weight
        count = points[0].shape[0] if points is not None else boxes.shape[0] if boxes is not None else None
        if points is not None and boxes is not None and len(boxes) != len(points[0]):
            raise ValueError(
                f"{len(points[0])} sets of points and {len(boxes)} boxes were given; expected as many"
            )
        if count is None:
            count = 1 if masks is None else masks.shape[0]
        tokens = [weight.new_zeros(count, 0, weight.shape[1])]
        if points is not None:
            tokens.append(self._encode_points(*points, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._encode_boxes(boxes))
        if masks is None:
            dense = weight[:, :, None, None].expand(1, -1, self._grid, self._grid)
        else:
            dense = self.mask_downscaling(masks.to(weight.dtype))
        return torch.cat(tokens, dim=1), dense

    def grid_positions(self) -> Tensor:
        """Position of every place of the image embedding: (1, W, g, g)."""
        weight = self.no_mask_embed.weight
        steps = (torch.arange(self._grid, device=weight.device, dtype=torch.float32) + 0.5) / self._grid
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=2)).permute(2, 0, 1)[None].to(weight.dtype)

    def _encode_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        points = points.float() + 0.5  # from corners of pixels to their centres
        if pad:
            points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), -1)], dim=1)
        kinds = labels[..., None]
        codes = self._positions(points)
        codes = torch.where(kinds == -1, self.not_a_point_embed.weight, codes)
        for kind in (0, 1):
            codes = torch.where(kinds == kind, codes + self._embedding(kind), codes)
        return codes

    def _encode_boxes(self, boxes: Tensor) -> Tensor:
        corners = boxes.float().reshape(-1, 2, 2) + 0.5
        return self._positions(corners) + torch.cat([self._embedding(2), self._embedding(3)])

    def _embedding(self, kind: int) -> Tensor:
        """Embedding of background (0), object (1), and a box's first and second corner (2, 3): (1, W)."""
        return cast("nn.Embedding", self.point_embeddings[kind]).weight

    def _positions(self, pixels: Tensor) -> Tensor:
        return self.pe_layer(pixels / self._img_size).to(self.no_mask_embed.weight.dtype)


Prompts = tuple[Points | None, Tensor | None, Tensor | None]
"""Points, boxes and masks, as `PromptEncoder` takes them."""


class _FourierPositions(nn.Module):
    """Random Fourier features of positions in [0, 1]^2, always computed in float32."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def forward(self, positions: Tensor) -> Tensor:
        """(..., 2) as x, y in [0, 1] -> (..., 2 * features), float32."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix.float())
        return torch.cat([angles.sin(), angles.cos()], dim=-1)
