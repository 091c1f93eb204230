"""Segment Anything and MobileSAM: teachers, peers, and promptable networks whose public checkpoints load.

Glossary: W width of the image embedding, g = img_size / 16 its side, P prompts for one image.

References
----------
Kirillov et al., Segment Anything, arXiv:2304.02643; Zhang et al., Faster Segment Anything (MobileSAM),
arXiv:2306.14289. Plain torch; state dicts of the public checkpoints load strictly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ._mask_decoder import MaskDecoder, Masks, answer_prompts
from ._sam_prompts import Points, PromptEncoder, Prompts
from ._sam_vit import PATCH, SAMViT
from ._tiny_vit import TinyViT
from ._two_way import TwoWayTransformer

__all__ = ["SAM", "SAMConfig"]

_ENCODERS = {"vit-b": (768, 12, 12), "vit-l": (1024, 24, 16), "vit-h": (1280, 32, 16), "tiny-vit": (0, 0, 0)}
_WIDTH = 256
_MASK_CHANNELS = 16
_DECODER = (2, 8, 2048)  # depth, heads, channels of the perceptrons


@dataclass(frozen=True)
class SAMConfig:
    """Constructor arguments of `SAM`.

    Attributes
    ----------
    encoder : {"vit-b", "vit-l", "vit-h", "tiny-vit"}
        The last is MobileSAM's.
    img_size : int
        Side of the square image in pixels; public checkpoints are of 1024. A multiple of 16.
    encoder_dim, encoder_depth, encoder_heads : int or None
        Sizes of the plain vision transformer; None: those of `encoder`.
    """

    encoder: Literal["vit-b", "vit-l", "vit-h", "tiny-vit"] = "vit-b"
    img_size: int = 1024
    encoder_dim: int | None = None
    encoder_depth: int | None = None
    encoder_heads: int | None = None

    def __post_init__(self) -> None:
        if self.encoder not in _ENCODERS:
            raise ValueError(f"encoder is {self.encoder!r}; expected one of {', '.join(_ENCODERS)}")
        if self.img_size < PATCH or self.img_size % PATCH:
            raise ValueError(f"img_size is {self.img_size}; expected a multiple of {PATCH}")
        dim, _, heads = self.sizes
        if self.encoder != "tiny-vit" and dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels, blocks and heads of the plain vision transformer."""
        dim, depth, heads = _ENCODERS[self.encoder]
        return self.encoder_dim or dim, self.encoder_depth or depth, self.encoder_heads or heads

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this; it is the only size the network takes."""
        return self.img_size


class SAM(nn.Module):
    """Segment Anything: (B, 3, img_size, img_size) -> logits (B, 1, img_size, img_size); prompts by `decode`.

    Parameters
    ----------
    config : SAMConfig

    Notes
    -----
    Public checkpoints expect RGB values 0..255 less (123.675, 116.28, 103.53), over (58.395, 57.12, 57.375).
    """

    def __init__(self, config: SAMConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder: nn.Module
        if config.encoder == "tiny-vit":
            self.image_encoder = TinyViT(_WIDTH)
        else:
            self.image_encoder = SAMViT(*config.sizes, config.img_size, _WIDTH)
        self.prompt_encoder = PromptEncoder(_WIDTH, config.img_size // PATCH, config.img_size, _MASK_CHANNELS)
        depth, heads, mlp_dim = _DECODER
        self.mask_decoder = MaskDecoder(
            "sam", _WIDTH, TwoWayTransformer(depth, _WIDTH, heads, mlp_dim, multiscale=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of pictures without prompts; see `HRMedSeg.forward`."""
        logits, _ = self._answer(self.encode(x), (None, None, None), multimask=False)
        side = self.config.img_size
        return F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)

    def encode(self, x: Tensor) -> Tensor:
        """Embed pictures once, to be prompted often: (B, 3, img_size, img_size) -> (B, 256, g, g).

        Raises
        ------
        ValueError
            If the image has another size.
        """
        side = self.config.img_size
        if x.ndim != 4 or x.shape[1:] != (3, side, side):
            raise ValueError(f"input of shape {tuple(x.shape)}; expected (B, 3, {side}, {side})")
        embedding: Tensor = self.image_encoder(x)
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
        """Answer prompts; see `HRMedSeg.decode`."""
        logits, predicted = self._answer(embedding, (points, boxes, masks), multimask)
        return (logits, predicted) if scores else logits

    def _answer(self, embedding: Tensor, prompts: Prompts, multimask: Masks) -> tuple[Tensor, Tensor | None]:
        return answer_prompts(self.prompt_encoder, self.mask_decoder, embedding, prompts, multimask)
