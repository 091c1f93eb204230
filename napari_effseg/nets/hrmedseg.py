"""HRMedSeg and HRMedSegSAM: a linear-attention encoder, and SAM-like prompts and masks on top.

Glossary: W width of the image embedding (``embed_dim``), g = img_size / 16 its side, P prompts for one image.

References
----------
Xu et al., HRMedSeg: Unlocking High-Resolution Medical Image Segmentation via Memory-Efficient Attention
Modeling, arXiv:2504.06205. Follows the released code (xq141839/HRMedSeg, ``model.py``), where one class is
both networks: without prompts HRMedSeg, with them HRMedSegSAM. State dicts of the released code load
strictly, whatever image size their rotary tables were made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import LayerNorm2d
from ._lgvit import PATCH, LGViT
from ._mask_decoder import MaskDecoder, Masks, answer_prompts
from ._sam_prompts import Points, PromptEncoder, Prompts
from ._two_way import TwoWayTransformer

__all__ = ["HRMedSeg", "HRMedSegConfig", "Masks"]

_MLP_DIM = {"ecm": 256, "sam": 2048}


@dataclass(frozen=True)
class HRMedSegConfig:
    """Constructor arguments of `HRMedSeg`, with the released values.

    Attributes
    ----------
    dim : int
        Channels of the encoder's tokens, a multiple of 24.
    img_size : int
        Side of the square image in pixels, a multiple of 16.
    embed_dim : int
        Width of the embedding, the prompts and the decoder.
    mask_in_chans : int
        Channels of the mask prompt's branch, a multiple of 4.
    depth : int
        Layers of the decoder's two-way transformer.
    decoder_heads : int
    decoder_mlp_dim : int or None
        Channels of its perceptrons; None: 256 for "ecm", 2048 for "sam".
    multiscale : bool
        Pool the image at several scales in the decoder, as the paper says and the released code does not.
    decoder : {"ecm", "sam"}
        HRMedSeg's decoder, or SAM's own.
    """

    dim: int = 96
    img_size: int = 1024
    embed_dim: int = 256
    mask_in_chans: int = 16
    depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int | None = None
    multiscale: bool = False
    decoder: Literal["ecm", "sam"] = "ecm"

    def __post_init__(self) -> None:
        if self.dim < 24 or self.dim % 24:
            raise ValueError(f"dim is {self.dim}; expected a multiple of 24")
        if self.img_size < PATCH or self.img_size % PATCH:
            raise ValueError(f"img_size is {self.img_size}; expected a multiple of {PATCH}")
        if self.decoder not in _MLP_DIM:
            raise ValueError(f"decoder is {self.decoder!r}; expected 'ecm' or 'sam'")
        if self.embed_dim < 8 or self.embed_dim % 8 or (self.embed_dim // 2) % self.decoder_heads:
            raise ValueError(
                f"embed_dim is {self.embed_dim}; expected a multiple of 8 and of twice the "
                f"{self.decoder_heads} heads"
            )
        if self.mask_in_chans < 4 or self.mask_in_chans % 4:
            raise ValueError(f"mask_in_chans is {self.mask_in_chans}; expected a multiple of 4")

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this; it is the only size the network takes."""
        return self.img_size


class HRMedSeg(nn.Module):
    """HRMedSeg: (B, 3, img_size, img_size) -> logits (B, 1, img_size, img_size); prompts through `decode`.

    Parameters
    ----------
    config : HRMedSegConfig

    Examples
    --------
    >>> import torch
    >>> net = HRMedSeg(HRMedSegConfig(dim=24, img_size=64)).eval()
    >>> embedding = net.encode(torch.zeros(1, 3, 64, 64))
    >>> net.decode(embedding, boxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]), multimask=True).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(self, config: HRMedSegConfig) -> None:
        super().__init__()
        self.config = config
        width, grid = config.embed_dim, config.img_size // PATCH
        mlp_dim = config.decoder_mlp_dim or _MLP_DIM[config.decoder]
        self.image_encoder = LGViT(config.dim, config.img_size)
        self.prompt_encoder = PromptEncoder(width, grid, config.img_size, config.mask_in_chans)
        transformer = TwoWayTransformer(config.depth, width, config.decoder_heads, mlp_dim, config.multiscale)
        self.mask_decoder = MaskDecoder(config.decoder, width, transformer)
        self.neck = nn.Sequential(
            nn.Conv2d(config.dim, width, 1, bias=False),
            LayerNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            LayerNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of pictures without prompts.

        Parameters
        ----------
        x : Tensor, shape (B, 3, img_size, img_size)

        Returns
        -------
        Tensor, shape (B, 1, img_size, img_size)
            Logits.

        Raises
        ------
        ValueError
            If the image has another size.
        """
        logits, _ = self._answer(self.encode(x), (None, None, None), multimask=False)
        side = self.config.img_size
        return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)

    def encode(self, x: Tensor) -> Tensor:
        """Embed pictures once, to be prompted often.

        Parameters
        ----------
        x : Tensor, shape (B, 3, img_size, img_size)

        Returns
        -------
        Tensor, shape (B, W, g, g)

        Raises
        ------
        ValueError
            If the image has another size.
        """
        side = self.config.img_size
        if x.ndim != 4 or x.shape[1:] != (3, side, side):
            raise ValueError(f"input of shape {tuple(x.shape)}; expected (B, 3, {side}, {side})")
        tokens: Tensor = self.image_encoder(x)
        grid = side // PATCH
        embedding: Tensor = self.neck(tokens.transpose(1, 2).unflatten(2, (grid, grid)))
        return embedding

    def decode(
        self,
        embedding: Tensor,
        points: Points | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: Masks = False,
        scores: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        """Answer P prompts on one embedding, or one prompt on each of P embeddings.

        Parameters
        ----------
        embedding : Tensor, shape (1 or P, W, g, g)
        points : (Tensor, Tensor) or None
            Pixels (x, y) of the network's input, shape (P, n, 2), and labels (P, n): 1 object, 0 background,
            -1 ignored.
        boxes : Tensor, shape (P, 4), or None
            x0, y0, x1, y1 in pixels of the network's input.
        masks : Tensor, shape (P or 1, 1, img_size / 4, img_size / 4), or None
            Logits, such as those of an earlier answer.
        multimask : bool or "all"
            Three alternatives instead of one answer; "all": that answer, and then the alternatives (of the
            decoder "ecm", whose first alternative is that answer: the three).
        scores : bool
            Also return the predicted overlap of each answer.

        Returns
        -------
        logits : Tensor, shape (P, 1, 3 or 4, img_size / 4, img_size / 4)
        scores : Tensor, shape (P, 1, 3 or 4), or None
            Only if asked for; None where the decoder does not predict it ("ecm").

        Raises
        ------
        ValueError
            If the numbers of prompts, or of embeddings and prompts, do not go together.
        """
        logits, predicted = self._answer(embedding, (points, boxes, masks), multimask)
        return (logits, predicted) if scores else logits

    def _answer(self, embedding: Tensor, prompts: Prompts, multimask: Masks) -> tuple[Tensor, Tensor | None]:
        return answer_prompts(self.prompt_encoder, self.mask_decoder, embedding, prompts, multimask)

    def load_parts(self, state: Mapping[str, Tensor], *parts: str) -> None:
        """Load some parts of a state dict strictly and leave the others as they are.

        Parameters
        ----------
        state : mapping of str to Tensor
            Such as a distilled encoder's ("image_encoder", "neck"), or SAM's ("prompt_encoder",
            "mask_decoder", for ``decoder="sam"``); what belongs to other parts is passed over.
        *parts : str
            Names of our modules.

        Raises
        ------
        RuntimeError
            If a key of these parts is missing or unexpected, or a shape differs.
        """
        for part in parts:
            prefix = f"{part}."
            own = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
            self.get_submodule(part).load_state_dict(own, strict=True)
