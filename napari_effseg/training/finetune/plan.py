"""What is said before a finetuning: cases, structures, time, memory."""

from __future__ import annotations

from dataclasses import dataclass

from ...engine.device import DeviceInfo
from ...zoo.brief import duration_words
from .transfer import Freeze

__all__ = ["FinetunePlan"]

_MUCH_WAITING = 3600.0  # seconds


@dataclass(frozen=True)
class FinetunePlan:
    """A finetuning that has not begun.

    Attributes
    ----------
    base, name : str
        Names of the cards.
    dataset : str
    training, held_back : tuple of str
        Names of the cases.
    rule : str
        How the held-back cases were chosen.
    steps, batch_size : int
    patch : tuple of int
        Voxels.
    freeze : {"none", "encoder", "all-but-head"}
    learning, values : int
        Numbers that will be learned, and all of the network's.
    device : DeviceInfo
    minutes : float
        Time after which it ends too; 0 for none.
    step_seconds : float
        Estimate for one step.
    seconds : float
        Estimate for all steps, validations, and the scores before and after.
    memory_bytes : int
        Estimated peak of the process, with what it holds already; on CUDA and MPS, that of the device.
    licence : str
        Of the weights to be.
    notes : tuple of str
        What else to know.
    """

    base: str
    name: str
    dataset: str
    training: tuple[str, ...]
    held_back: tuple[str, ...]
    rule: str
    steps: int
    batch_size: int
    patch: tuple[int, ...]
    freeze: Freeze
    learning: int
    values: int
    device: DeviceInfo
    minutes: float
    step_seconds: float
    seconds: float
    memory_bytes: int
    licence: str
    notes: tuple[str, ...]

    @property
    def free_bytes(self) -> int:
        """Memory that the estimate is to be compared with: what the process has, and may still take."""
        on_host = self.device.kind == "cpu"
        return self.device.host_free_bytes + self.device.process_bytes if on_host else self.device.free_bytes

    def describe(self) -> tuple[str, ...]:
        """Say the plan in a few lines, the first of which is what it will cost."""
        patch = " x ".join(str(side) for side in self.patch)
        patches = "a patch" if self.batch_size == 1 else f"{self.batch_size} patches"
        time = f" or {self.minutes:.1f} minutes" if self.minutes else ""
        return (
            f"{self.name}: at most {self.steps} steps{time} of {patches} of {patch} voxels on "
            f"{self.device.name} ({self.device.description}), about {duration_words(self.seconds)} and "
            f"{self.memory_bytes / 1e9:.1f} GB of {self.free_bytes / 1e9:.1f} GB",
            self.describe_learning(),
            f"{len(self.training)} cases of {self.dataset} to learn from; {len(self.held_back)} held back, "
            f"{self.rule}: {', '.join(self.held_back)}",
            f"licence of the new weights, inherited from {self.base}: {self.licence}",
            *self.notes,
            *self.doubts(),
        )

    def describe_learning(self) -> str:
        """Say what learns and what is frozen."""
        return (
            f"learning: {self.learning:,} of the {self.values:,} values of {self.base}{_frozen(self.freeze)}"
        )

    def doubts(self) -> tuple[str, ...]:
        """Say what may make somebody plan it otherwise."""
        doubts = []
        if self.memory_bytes > self.free_bytes:
            less = (
                ""
                if self.freeze != "none"
                else "; with the encoder frozen (--freeze encoder) it needs much less"
            )
            doubts.append(f"this may need more memory than is free{less}")
        if self.seconds > _MUCH_WAITING and self.freeze == "none":
            doubts.append(
                "with the encoder frozen (--freeze encoder) steps are several times faster, with less to gain"
            )
        if len(self.held_back) < 3:
            cases = f"{len(self.held_back)} held-back case{'s' * (len(self.held_back) > 1)}"
            doubts.append(f"{cases} can tell a large change from none, but not a small one")
        return tuple(doubts)


def _frozen(freeze: Freeze) -> str:
    return {"none": "", "encoder": ", its encoder frozen", "all-but-head": ", all but its head frozen"}[
        freeze
    ]
