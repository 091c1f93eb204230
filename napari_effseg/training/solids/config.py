"""The table ``[solids]`` of a training configuration: objects of volumes, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SolidConfig"]


@dataclass(frozen=True)
class SolidConfig:
    """Options of the training on objects of volumes.

    Attributes
    ----------
    choice_folders : tuple of str
        Data sets that are never trained on; on all their lists the weights are chosen. Named as
        ``data.folder``.
    test_folders : tuple of str
        Data sets whose test lists are trained on, for they are not scored.
    left_out : tuple of str
        Names of cases of these that are not trained on: to look at.
    size : int
        Side of the block that the network sees, in voxels.
    unlabelled_files : tuple of str
        Volumes without labels, for pseudo-objects.
    unlabelled_licences, unlabelled_citations : tuple of str
        Of each of them, for the card.
    synthetic, pseudo : float
        Chances of a synthetic volume, and of a pseudo-object of a real one.
    pseudo_weight : float
        Weight of both in the loss.
    most_slices : int
        Of the object, so many slices are known at most.
    locked : float
        Chance that other objects of the volume are finished already.
    """

    choice_folders: tuple[str, ...] = ()
    test_folders: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    size: int = 48
    unlabelled_files: tuple[str, ...] = ()
    unlabelled_licences: tuple[str, ...] = ()
    unlabelled_citations: tuple[str, ...] = ()
    synthetic: float = 0.3
    pseudo: float = 0.25
    pseudo_weight: float = 0.5
    most_slices: int = 4
    locked: float = 0.15

    def rules(self) -> dict[str, bool]:
        """Say of each rule on the values whether it holds."""
        names = ("synthetic", "pseudo", "pseudo_weight", "locked")
        chances = {f"solids.{name} must be in [0, 1]": 0 <= getattr(self, name) <= 1 for name in names}
        told = (self.unlabelled_files, self.unlabelled_licences, self.unlabelled_citations)
        return chances | {
            "solids.synthetic and solids.pseudo must not be over 1 together": self.synthetic + self.pseudo
            <= 1,
            "solids.size must be at least 8": self.size >= 8,
            "solids.most_slices must be at least 1": self.most_slices >= 1,
            "solids needs a licence and a citation of each of its unlabelled_files": len(set(map(len, told)))
            == 1,
        }
