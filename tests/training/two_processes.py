"""What each of two processes runs under torchrun: `effseg train`, with a look at gradients and weights.

``torchrun --standalone --nproc-per-node 2 two_processes.py CONFIG RUN_FOLDER FOLDER``
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch

from napari_effseg.cli import main
from napari_effseg.training.config import OptimiserConfig
from napari_effseg.training.loop import Trainer
from napari_effseg.training.losses import segmentation_loss
from napari_effseg.training.ranks import ALONE, Ranks, ranks_of_environment


def gradients(net: torch.nn.Module, ranks: Ranks = ALONE) -> dict[str, torch.Tensor]:
    """Gradients of a fixed batch of four patches, of which this process sees its share."""
    random = torch.Generator().manual_seed(5)
    images = torch.randn(4, 1, 16, 16, 16, generator=random)
    targets = torch.rand(4, 1, 16, 16, 16, generator=random) > torch.tensor([0.1, 0.5, 0.9, 0.99]).view(
        4, 1, 1, 1, 1
    )
    share = slice(ranks.number * ranks.share(4), (ranks.number + 1) * ranks.share(4))
    own = copy.deepcopy(net).train()
    together = ranks.wrapped(own)  # kept: its backward pass asks for it
    logits = together(images[share])
    ranks.joint_loss(segmentation_loss(OptimiserConfig()), logits, targets[share].to(torch.uint8)).backward()
    return {name: value.grad for name, value in own.named_parameters() if value.grad is not None}


def look(folder: Path) -> None:
    """Keep what a trainer begins and ends with."""
    ranks, train = ranks_of_environment(), Trainer.run

    def run(self: Trainer, *arguments: object) -> None:
        torch.save(gradients(self.net, ranks), folder / f"gradients-{ranks.number}.pt")
        torch.save(self.net.state_dict(), folder / f"before-{ranks.number}.pt")
        train(self, *arguments)
        torch.save(self.net.state_dict(), folder / f"after-{ranks.number}.pt")

    Trainer.run = run


if __name__ == "__main__":
    config, run_folder, looked_at = sys.argv[1:]
    look(Path(looked_at))
    sys.exit(main(["train", config, "-o", run_folder, "--device", "cpu"]))
