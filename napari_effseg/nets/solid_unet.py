"""SolidUNet: a block of a volume and what is known of an object in, the object out (early fusion).

References
----------
Prompts and known slices as channels of a three-dimensional network, with automatic zoom: Isensee et al.,
nnInteractive, arXiv:2503.08373.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from .unet import UNet, UNetConfig

__all__ = ["SolidUNet", "SolidUNetConfig"]


@dataclass(frozen=True)
class SolidUNetConfig:
    """Constructor arguments of `SolidUNet`.

    Attributes
    ----------
    image_channels, maps : int
        Channels of the image, and those of what is known, which follow it.
    features : tuple of int
        As of `UNetConfig`.
    """

    image_channels: int = 1
    maps: int = 7
    features: tuple[int, ...] = (12, 24, 48, 96)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        if min(self.image_channels, self.maps) < 1:
            raise ValueError("image_channels and maps must be at least 1")

    @property
    def multiple_of(self) -> int:
        """Every side must be a multiple of this."""
        return 2 ** (len(self.features) - 1)


class SolidUNet(nn.Module):
    """U-Net of a block and maps of what is known in it: (B, C, I, J, K) -> (B, 1, I, J, K).

    Parameters
    ----------
    config : SolidUNetConfig

    Examples
    --------
    >>> import torch
    >>> net = SolidUNet(SolidUNetConfig(features=(8, 16))).eval()
    >>> net(torch.zeros(1, 8, 16, 16, 16)).shape
    torch.Size([1, 1, 16, 16, 16])
    """

    def __init__(self, config: SolidUNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.image_channels + config.maps
        self.net = UNet(UNetConfig(3, channels, 1, config.features))

    def forward(self, x: Tensor) -> Tensor:
        """Find the object of each block.

        Parameters
        ----------
        x : Tensor, shape (B, image_channels + maps, I, J, K)

        Returns
        -------
        Tensor, shape (B, 1, I, J, K)
            Logits.

        Raises
        ------
        ValueError
            If a side is no multiple of ``config.multiple_of``.
        """
        logits: Tensor = self.net(x)
        return logits
