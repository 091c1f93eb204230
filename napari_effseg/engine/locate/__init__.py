"""Find where in a large image a network may look: register a template, and carry the card's boxes over.

Nothing is labelled anywhere else. Where template and image do not match, the image is refused and a region is
asked for: a head that was not found is better than labels all over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import VolumeError
from ...types import Affine, IndexBox
from ...volume import Grid, Voxels
from ...zoo.card import Card
from ..watch import Watch
from .answer import ask_for_region, coarse_for, left_out
from .coarse import CoarseImage, coarse_copy
from .places import Place, bounding_box, expected_places, place_boxes
from .pose import pose_affine
from .register import register
from .search import likely_poses
from .similarity import Similarity, similarity_of
from .template import Template, load_template

__all__ = ["LOCATING_SECONDS", "Located", "Place", "expected_places", "locate"]

LOCATING_SECONDS = 3.0
"""About what it takes on one thread; the image's size hardly matters."""

_LEAST_SIMILARITY = 0.3
"""Measured: T1-weighted heads, whole or without skull, 0.47 to 0.65; T2 and FLAIR 0.32 to 0.48; what is no
head, or one that was not found, up to 0.22."""
_LEAST_CONTRAST = 0.2
"""Measured: T1-weighted heads 0.52 to 0.79, one FLAIR 0.41; T2, proton density, functional MR and CT -0.69 to
0.04."""
_LEAST_INSIDE = 0.5  # of the template's brain: less of a head is too little to know where in it one is
_SIZES = 0.65, 1.35  # of heads, against the template
_MOST_STRETCHED = 1.5  # largest against smallest of the three sizes of one head
_BOX_INSIDE = 0.95  # of a box, for the network to be given it
_CANDIDATES, _ITERATIONS = 3, 60
_BEGIN, _SEARCHED, _END = 0.01, 0.2, 0.4  # fractions of the run


@dataclass(frozen=True, eq=False)
class Located:
    """What was found, and where.

    Attributes
    ----------
    template : str
    to_image : (4, 4)
        Template RAS mm -> image RAS mm.
    similarity : float
        Mean squared local correlation of template and image in the brain, in [0, 1].
    places : tuple of Place
        Those of the card's boxes that lie in the image.
    boxes : tuple of IndexBox
        Half-open boxes of stored indices around them.
    """

    template: str
    to_image: Affine
    similarity: float
    places: tuple[Place, ...]
    boxes: tuple[IndexBox, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values that the json module takes."""
        return {
            "template": self.template,
            "similarity": round(self.similarity, 4),
            "transform": self.to_image.round(6).tolist(),
            "places": [
                {"side": place.side, "box": [list(corner) for corner in box]}
                for place, box in zip(self.places, self.boxes, strict=True)
            ],
        }


def locate(channel: Voxels, grid: Grid, card: Card, watch: Watch) -> Located:
    """Find a card's structure in an image that is larger than its field of view.

    Parameters
    ----------
    channel : array, shape (I, J, K)
        Read once, a block at a time.
    grid : Grid
        Of the channel.
    card : Card
        With a section ``[locate]``.
    watch : Watch
        Told how far it is, and of what was left out; asked whether to stop.

    Raises
    ------
    VolumeError
        If the template was not found in the image, or none of the boxes lies in it.
    Cancelled
        If the watch says so.
    """
    if card.locate is None:
        raise ValueError(f"the card {card.name} does not say how its structure is found")
    template = load_template(card.locate.template)
    watch.say("looking at the image as a whole", _BEGIN)
    image = coarse_copy(channel, grid, watch.check)
    to_image, similarity = _best_match(template, image, watch)
    _refuse_mismatch(to_image, similarity, card)
    _refuse_other_contrast(similarity, card)
    watch.warn(*coarse_for(grid, card))
    places = _inside(place_boxes(card, to_image), grid, card, watch)
    boxes = tuple(bounding_box(place.network, grid) for place in places)
    return Located(card.locate.template, to_image, similarity.brain, places, boxes)


def _best_match(template: Template, image: CoarseImage, watch: Watch) -> tuple[Affine, Similarity]:
    """Search and register; of several candidates, the one that is most alike in detail."""
    said = "finding the head"
    reach = _SEARCHED - _BEGIN
    poses = likely_poses(template, image, _CANDIDATES, lambda share: watch.say(said, _BEGIN + reach * share))
    matches = []
    for number, (_, pose) in enumerate(poses):
        watch.say("registering the template", _SEARCHED + (_END - _SEARCHED) * number / len(poses))
        to_image = register(
            template, image, pose_affine(pose, template.centre), _ITERATIONS, lambda: not watch.is_cancelled
        )
        watch.check()
        matches.append((to_image, similarity_of(template, image, to_image)))
    return max(matches, key=lambda match: match[1].brain * (match[1].inside >= _LEAST_INSIDE))


def _refuse_mismatch(to_image: Affine, similarity: Similarity, card: Card) -> None:
    """Raise unless the image shows what the template shows.

    Raises
    ------
    VolumeError
        With what was measured, and what to do.
    """
    sizes = np.linalg.svd(to_image[:3, :3])[1]
    reason = None
    if similarity.inside < _LEAST_INSIDE:
        reason = f"only {similarity.inside:.0%} of the brain would lie in the image"
    elif similarity.brain < _LEAST_SIMILARITY:
        reason = f"the best match is too poor (similarity {similarity.brain:.2f}, {_LEAST_SIMILARITY} needed)"
    elif (
        sizes.max() / sizes.min() > _MOST_STRETCHED
        or not _SIZES[0] <= sizes.min() <= sizes.max() <= _SIZES[1]
    ):
        reason = f"it would have to be sized by {', '.join(f'{size:.2f}' for size in sizes)}"
    elif np.linalg.det(to_image[:3, :3]) <= 0:
        reason = "it would have to be mirrored"
    if reason is not None:
        raise VolumeError(
            f"{card.name} finds its structure by registering a template of the head, and found no place for "
            f"it in this image: {reason}. {ask_for_region(card)}"
        )


def _refuse_other_contrast(similarity: Similarity, card: Card) -> None:
    """Raise if the card needs the template's contrast, and the image has another.

    Raises
    ------
    VolumeError
        With what was measured, and what to do.
    """
    wanted = card.locate is not None and card.locate.contrast == "template"
    if wanted and similarity.contrast < _LEAST_CONTRAST:
        raise VolumeError(
            f"{card.name} was made for {card.input.channels[0].description}, and in this image bright and "
            f"dark lie otherwise (correlation {similarity.contrast:.2f} inside the brain, {_LEAST_CONTRAST} "
            "needed): it looks like another weighting, or like no MR of a head, and labels would mean "
            "nothing. Give the image that the model was made for, or finetune the model on images like this"
        )


def _inside(places: tuple[Place, ...], grid: Grid, card: Card, watch: Watch) -> tuple[Place, ...]:
    """Return the places that lie in the image; say which do not."""
    kept = tuple(place for place in places if place.inside(grid) >= _BOX_INSIDE)
    if not kept:
        raise VolumeError(
            f"the structures of {card.name} lie outside this image or at its edge. {ask_for_region(card)}"
        )
    for place in places:
        if place not in kept:
            watch.warn(left_out(place, "it lies outside the image or at its edge"))
    return kept
