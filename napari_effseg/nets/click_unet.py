"""ClickUNet: image, prompts and the previous mask in, several ranked masks out (early fusion).

Glossary: H hypotheses (masks that the prompts may mean).

References
----------
Early fusion of clicks and the previous mask: Sofiiuk et al., Reviving Iterative Training with Mask Guidance
(RITM), arXiv:2102.06583. Prompt maps and automatic zoom in medical images: Wong et al., ScribblePrompt,
arXiv:2312.07381; Isensee et al., nnInteractive, arXiv:2503.08373. Several hypotheses, the best of them
trained, with a predicted score: Kirillov et al., Segment Anything, arXiv:2304.02643.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ClickUNet", "ClickUNetConfig"]


@dataclass(frozen=True)
class ClickUNetConfig:
    """Constructor arguments of `ClickUNet`.

    Attributes
    ----------
    image_channels, maps : int
        Channels of the image, and those of prompts and of the previous mask, which follow it.
    hypotheses : int
        H, masks that are offered.
    features : tuple of int
        Channels of each level, the finest first; each level halves the sides.
    score_features : int
        Channels from which each mask is scored.
    further : bool
        Whether a second network of the same kind answers all but first clicks: it sees the object at one
        size, with an answer that is about right, where the first one looks for anything of any size.
    """

    image_channels: int = 3
    maps: int = 10
    hypotheses: int = 4
    features: tuple[int, ...] = (24, 48, 96, 160, 160)
    score_features: int = 8
    further: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        if len(self.features) < 2 or min(self.features) < 1:
            raise ValueError(f"features is {self.features}; expected at least two numbers of channels")
        if min(self.image_channels, self.maps, self.hypotheses, self.score_features) < 1:
            raise ValueError("image_channels, maps, hypotheses and score_features must be at least 1")

    @property
    def multiple_of(self) -> int:
        """Every side must be a multiple of this."""
        return 2 ** (len(self.features) - 1)


class ClickUNet(nn.Module):
    """U-Net of an image and maps of prompts: (B, C, I, J) -> (B, H, I, J); a score for each mask by `ranked`.

    Parameters
    ----------
    config : ClickUNetConfig

    Examples
    --------
    >>> import torch
    >>> net = ClickUNet(ClickUNetConfig(features=(8, 16))).eval()
    >>> logits, scores = net.ranked(torch.zeros(2, 13, 32, 48))
    >>> logits.shape, scores.shape
    (torch.Size([2, 4, 32, 48]), torch.Size([2, 4]))
    """

    def __init__(self, config: ClickUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.features
        before = (config.image_channels + config.maps, *widths)
        self.down = nn.ModuleList(
            _stage(before[level], widths[level], stride=1 if level == 0 else 2)
            for level in range(len(widths))
        )
        pairs = list(itertools.pairwise(widths))
        self.widen = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, 2, bias=False) for high, low in pairs)
        self.up = nn.ModuleList(_stage(2 * high, high, stride=1) for high, _ in pairs)
        self.head = nn.Conv2d(widths[0], config.hypotheses + config.score_features, 1)
        hidden = 4 * config.score_features
        self.score = nn.Sequential(
            nn.Linear(4 * config.score_features + 3, hidden), nn.LeakyReLU(0.01), nn.Linear(hidden, 1)
        )
        self.further = ClickUNet(replace(config, further=False)) if config.further else None

    def forward(self, x: Tensor) -> Tensor:
        """Answer the first click on each image, without scores; see `ranked`.

        Returns
        -------
        Tensor, shape (B, H, I, J)
            Logits.
        """
        return self._answer(x)[0]

    def ranked(self, x: Tensor, most: int | None = None, *, further: bool = False) -> tuple[Tensor, Tensor]:
        """Answer the prompts of each image.

        Parameters
        ----------
        x : Tensor, shape (B, image_channels + maps, I, J)
        most : int or None
            Only the first so many masks, for H.
        further : bool
            Whether more was given than a click.

        Returns
        -------
        logits : Tensor, shape (B, H, I, J)
        scores : Tensor, shape (B, H)
            Logits of the intersection over union that each mask is thought to have.

        Raises
        ------
        ValueError
            If a side is no multiple of ``config.multiple_of``.
        """
        if further and self.further is not None:
            return self.further.ranked(x, most)
        logits, features = self._answer(x)
        logits = logits[:, :most]
        return logits, self._scores(logits.detach(), features)

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the masks, and the features by which they are scored."""
        if any(side % self.config.multiple_of for side in x.shape[2:]):
            raise ValueError(
                f"sides are {tuple(x.shape[2:])}; expected multiples of {self.config.multiple_of}"
            )
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([skips[level], self.widen[level](x)], dim=1))
        logits, features = self.head(x).split([self.config.hypotheses, self.config.score_features], dim=1)
        return logits, features

    def _scores(self, logits: Tensor, features: Tensor) -> Tensor:
        """Score each mask: by the mean features in it, on both sides of its edge, and everywhere.

        Its size, how much of it is neither in nor out, and how much lies at the image's border count, too.
        """
        inside = logits.sigmoid()
        wide, narrow = _highest_near(inside), -_highest_near(-inside)
        everything = torch.ones_like(inside)
        flat = features.flatten(2).transpose(1, 2)
        weights = [part.flatten(2) for part in (inside, wide - inside, inside - narrow, everything)]
        means = [part @ flat / (part.sum(dim=2, keepdim=True) + 1) for part in weights]
        area = inside.mean(dim=(2, 3))
        doubt = (inside * (1 - inside)).mean(dim=(2, 3)) / (area + 1e-3)
        edge = inside[..., [0, -1], :].mean(dim=(2, 3)) + inside[..., [0, -1]].mean(dim=(2, 3))
        shape = torch.stack([area, doubt, edge], dim=2)
        scores: Tensor = self.score(torch.cat([*means, shape], dim=2)).squeeze(2)
        return scores


def _highest_near(image: Tensor) -> Tensor:
    """Highest value at most two pixels away along each axis."""
    return F.max_pool2d(F.max_pool2d(image, (5, 1), 1, (2, 0)), (1, 5), 1, (0, 2))


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """Two convolutions of 3 x 3, each normed and rectified; the first may halve the sides."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.01, inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.01, inplace=True),
    )
