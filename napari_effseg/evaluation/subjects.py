"""What is measured: our cards' networks and the papers' configurations, and others' networks beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from .. import nets
from .._extras import require
from ..zoo import Card

__all__ = ["Subject", "card_subject", "paper_subjects", "peers_of", "round_up"]

_MULTIPLE = 32
"""Sides that all peers take (five halvings)."""
_SMALLEST_SIDE = 4  # voxels, of nnU-Net's deepest features
_PAPER_VOLUME = (96, 96, 96)
_MONAI = ("DynUNet", "SegResNet", "SwinUNETR", "UNETR")


@dataclass(frozen=True)
class Subject:
    """One network on one input, in plain values that another process can be given.

    Attributes
    ----------
    name : str
    network : str
        One of `nets.names()`, or a class of MONAI with "monai." before it.
    constructor : dict
        Its arguments.
    input_shape : tuple of int
        (B, C, *S).
    part : str
        Name of the module that is measured; empty for the whole network.
    steps : bool
        Whether a training step is worth its time: where a paper claims something of it, and beside that.
    """

    name: str
    network: str
    constructor: dict[str, Any] = field(hash=False)
    input_shape: tuple[int, ...]
    part: str = ""
    steps: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether the network is not one of those that this package is made of."""
        return self.network.startswith("monai.") or self.network in ("sam", "segmamba", "u-mamba", "unet")

    def build(self) -> nn.Module:
        """Build the network with fresh weights.

        Raises
        ------
        MissingExtra
            If it is MONAI's, and that is not installed.
        """
        package, _, name = self.network.rpartition(".")
        if not package:
            network = nets.create(name, **self.constructor)
        elif name in _MONAI:
            network = getattr(self.load_package(), name)(**self.constructor)
        else:
            raise ValueError(f"{self.network} is no network that can be measured")
        part: nn.Module = network.get_submodule(self.part)
        return part

    def load_package(self) -> Any:
        """Import the package that the network comes from, and return it."""
        if not self.network.startswith("monai."):
            return nets
        return require("monai.networks.nets", "train", "the comparison with peers")


def card_subject(card: Card) -> Subject:
    """Return a card's network on one window."""
    shape = (1, len(card.input.channels), *card.window.size)
    return Subject(card.name, card.network, dict(card.constructor), shape)


def peers_of(card: Card) -> tuple[Subject, ...]:
    """Return nnU-Net's network for one window of a card, its sides rounded up to what it takes."""
    size = round_up(card.window.size)
    classes = len(card.labels) + (card.output.activation == "softmax")
    return _convolutional_peers(size, len(card.input.channels), classes)[:1]


def paper_subjects(slow: bool = False) -> tuple[Subject, ...]:
    """Return the networks at sizes of their papers: volumes of 96 voxels a side, pictures of 512 and 1024.

    Parameters
    ----------
    slow : bool
        Also those that take minutes and of which no claim depends: SAM ViT-B's encoder, Swin UNETR's steps.
    """
    return (*_volumes(slow), *_small_pictures(), *_large_pictures(slow))


def round_up(size: Sequence[int]) -> tuple[int, ...]:
    """Return the next sizes that every peer takes."""
    return tuple(math.ceil(side / _MULTIPLE) * _MULTIPLE for side in size)


def _volumes(slow: bool) -> tuple[Subject, ...]:
    """One channel, three classes."""
    shape = (1, 1, *_PAPER_VOLUME)
    tokens = math.prod(side // 32 for side in _PAPER_VOLUME)
    chans = {"in_chans": 1, "out_chans": 3}
    channels = {"in_channels": 1, "out_channels": 3}
    ours = (
        Subject("Slim UNETR", "slim-unetr", {**channels, "embedding_dim": tokens}, shape, steps=True),
        Subject("SegResMamba", "segresmamba", {**chans, "slim": True}, shape, steps=True),
        Subject("SegResMamba, Mamba off", "segresmamba", {**chans, "slim": True, "use_mamba": False}, shape),
        Subject("LightM-UNet", "lightm-unet", {"spatial_dims": 3, **channels}, shape, steps=True),
        Subject(
            "U-Net of equal GFLOPs", "unet", {"spatial_dims": 3, **channels, **_EQUAL}, shape, steps=True
        ),
        Subject("SegMamba", "segmamba", chans, shape, steps=True),
    )
    swin = {**channels, "feature_size": 48}
    unetr = {**channels, "img_size": _PAPER_VOLUME}
    nnunet, segresnet = _convolutional_peers(_PAPER_VOLUME, 1, 3)
    return (
        *ours,
        Subject("Swin UNETR (MONAI)", "monai.SwinUNETR", swin, shape, steps=slow),
        Subject("UNETR (MONAI)", "monai.UNETR", unetr, shape, steps=True),
        replace(segresnet, steps=True),
        nnunet,
    )


_EQUAL: dict[str, Any] = {"features": (8, 16, 32, 64)}
"""Of a plain U-Net of about as many operations as LightM-UNet's defaults: 23.9 to 22.0 GFLOPs at 96 voxels
a side, of which 9.7 are scans."""


def _small_pictures() -> tuple[Subject, ...]:
    """Three channels, one class, 512 pixels a side."""
    shape = (1, 3, 512, 512)
    plain = {"spatial_dims": 2, "in_channels": 3, "out_channels": 1}
    return (
        Subject("HRMedSeg", "hrmedseg", {"img_size": 512}, shape),
        Subject("LightM-UNet 2D", "lightm-unet", plain, shape),
        Subject("U-Net 2D", "unet", plain, shape),
    )


def _large_pictures(slow: bool) -> tuple[Subject, ...]:
    """1024 pixels a side; of the SAM family, which takes no other, the encoders: there their time goes."""
    shape, part = (1, 3, 1024, 1024), "image_encoder"
    found = (
        Subject("HRMedSeg", "hrmedseg", {"img_size": 1024}, shape, steps=True),
        Subject("MobileSAM's encoder", "sam", {"encoder": "tiny-vit"}, shape, part),
    )
    return (
        (*found, Subject("SAM ViT-B's encoder", "sam", {"encoder": "vit-b"}, shape, part)) if slow else found
    )


def _convolutional_peers(size: Sequence[int], channels: int, classes: int) -> tuple[Subject, ...]:
    shape = (1, channels, *size)
    common = {"spatial_dims": len(size), "in_channels": channels, "out_channels": classes}
    planned = {**common, **_nnunet_plan(min(size))}
    return (
        Subject("nnU-Net (MONAI DynUNet)", "monai.DynUNet", planned, shape),
        Subject("SegResNet (MONAI)", "monai.SegResNet", {**common, "init_filters": 16}, shape),
    )


def _nnunet_plan(side: int) -> dict[str, Any]:
    """As nnU-Net plans: halved until four voxels are left, at most five times; at most 320 features."""
    halvings = min(5, int(math.log2(side / _SMALLEST_SIDE)))
    return {
        "kernel_size": [3] * (halvings + 1),
        "strides": [1] + [2] * halvings,
        "upsample_kernel_size": [2] * halvings,
        "filters": [min(32 * 2**stage, 320) for stage in range(halvings + 1)],
    }
