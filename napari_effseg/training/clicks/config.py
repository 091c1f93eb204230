"""The table ``[clicks]`` of a training configuration: what is drawn, and how prompts are simulated."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClickConfig", "DistillConfig"]

_CHANCES = (
    "whole",
    "cut",
    "squared",
    "synthetic",
    "superpixels",
    "composed",
    "pseudo_weight",
    "box",
    "lasso",
    "given",
    "scribble",
    "locked",
    "carried",
)


@dataclass(frozen=True)
class ClickConfig:
    """Options of click training.

    Attributes
    ----------
    choice_folders : tuple of str
        Data sets that are never trained on; on their training lists the weights are chosen. Named as
        ``data.folder``.
    test_folders : tuple of str
        Data sets whose test lists are trained on, for they are not scored.
    whole_volumes : int
        Of a data set of volumes, so many are used at most.
    size : int
        Side of the frame that the network sees, in pixels.
    image_side : int
        Images are kept with at most this many pixels on their longer side.
    slices : int
        Of each plane of a volume.
    whole : float
        Chance that the whole image is shown; else a part around the object.
    widest : float
        Greatest side of that part, as a multiple of the object's longer side.
    cut : float
        Chance that the part lies within the object, or cuts it.
    squared : float
        Chance that an image is stretched to a square first, as `HRMedSeg` is shown slices in use; images that
        weights are chosen by always are, unless it is 0.
    synthetic, superpixels, composed : float
        Chances of a synthetic image, of a superpixel of a real one, and of what lies around a piece of a real
        one (`composed_object`), which is asked for by a box or several clicks.
    pseudo_weight : float
        Weight of these in the loss.
    rounds : int
        Most prompts that are simulated one after the other before the step.
    box, lasso : float
        Chances that the first prompt is a box, or a lasso.
    given : float
        Chance that the first prompt corrects an answer that is there already, such as one that was carried to
        a slice: the object bent, shifted, thinner or thicker.
    scribble : float
        Chance that a click becomes a scribble.
    locked : float
        Chance that other objects of the image are finished already.
    others : int
        So many other objects of each image, superpixels among them, are asked for by a click or a box
        each, and some answers corrected by a click; for networks that embed an image once.
    carried : float
        Chance that an object is asked for by what it looks like in the slice before, without a prompt.
    first : str
        Promptable model that answers first clicks, by its name, or its card's file relative to the
        configuration file; the network being trained answers all that follows, and boxes. Empty: it answers
        first clicks, too.
    stored_statistics : bool
        Whether batch normalisation takes its stored mean and spread in training, as it does in use; for
        weights that have learned them before.
    """

    choice_folders: tuple[str, ...] = ()
    test_folders: tuple[str, ...] = ()
    whole_volumes: int = 60
    size: int = 128
    image_side: int = 512
    slices: int = 3
    whole: float = 0.35
    widest: float = 5.0
    cut: float = 0.0
    squared: float = 0.0
    synthetic: float = 0.12
    superpixels: float = 0.06
    composed: float = 0.0
    pseudo_weight: float = 0.5
    rounds: int = 6
    box: float = 0.22
    lasso: float = 0.05
    given: float = 0.0
    scribble: float = 0.15
    locked: float = 0.15
    others: int = 0
    carried: float = 0.25
    first: str = ""
    stored_statistics: bool = False

    def rules(self) -> dict[str, bool]:
        """Say of each rule on the values whether it holds."""
        chances = {f"clicks.{name} must be in [0, 1]": 0 <= getattr(self, name) <= 1 for name in _CHANCES}
        counts = ("whole_volumes", "image_side", "slices", "rounds")
        return chances | {
            "clicks.synthetic, clicks.superpixels and clicks.composed must not be over 1 together": (
                self.synthetic + self.superpixels + self.composed <= 1
            ),
            "clicks.box, clicks.lasso and clicks.given must not be over 1 together": (
                self.box + self.lasso + self.given <= 1
            ),
            f"clicks.{', clicks.'.join(counts)} must be at least 1": min(
                getattr(self, name) for name in counts
            )
            >= 1,
            "clicks.size must be at least 16": self.size >= 16,
            "clicks.widest must be over 1.15 and at most 100": 1.15 < self.widest <= 100,
            "clicks.others must not be negative": self.others >= 0,
        }


@dataclass(frozen=True)
class DistillConfig:
    """Options of distillation: a network learns from another one.

    Attributes
    ----------
    teacher : str
        A promptable model: its name, or its card's file, relative to the configuration file.
    learns : str
        "masks": the teacher's answers to the same prompts, beside the objects themselves; "features": the
        embedding of the teacher's image encoder, which must have SAM's layout.
    weight : float
        Share of the teacher's answers in the loss.
    """

    teacher: str
    learns: str = "masks"
    weight: float = 0.5
