"""What a network of blocks learns in a step, and how its weights are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sampler import SolidExample

__all__ = ["SolidLesson"]


class SolidLesson:
    """Objects of volumes, found from slices that are known."""

    def loss(
        self, network: nn.Module, examples: Sequence[SolidExample], random: np.random.Generator
    ) -> Tensor:
        """Soft Dice and cross entropy; the network is left in training mode."""
        network.train()
        device = next(network.parameters()).device
        logits = network(torch.stack([example.seen for example in examples]).to(device))[:, 0]
        truth = torch.stack([example.target for example in examples]).float().to(device)
        weights = torch.tensor([example.weight for example in examples], device=device)
        probabilities = logits.sigmoid()
        shared = (probabilities * truth).sum(dim=(1, 2, 3))
        total = probabilities.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3))
        dice = 1 - (2 * shared + 1) / (total + 1)
        entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
        return ((dice + entropy) * weights).sum() / weights.sum()

    @torch.inference_mode()
    def scores(self, network: nn.Module, sets: Mapping[str, Sequence[SolidExample]]) -> dict[str, float]:
        """Mean Dice of each set."""
        network.eval()
        device = next(network.parameters()).device
        found = {}
        for name, examples in sets.items():
            dice = []
            for example in examples:
                mask = network(example.seen[None].to(device))[0, 0].cpu() > 0
                both = float((mask & example.target).sum())
                dice.append(2 * both / max(float(mask.sum() + example.target.sum()), 1.0))
            found[name] = float(np.mean(dice))
        return found
