"""What we know of a checkpoint: network, weights, training data, input, labels, limits, measured accuracy.

A card is one small TOML file beside its weights. These classes are its sections, in the order of the file;
`_card_file` reads and writes them, `_rules` says which values are allowed.

Axes. ``input.orientation`` names the array axes that the network was trained on, as nibabel's axcodes
("RAS": the first axis grows to the patient's right, ...). Every size in a card goes along these axes:
``field_of_view`` always has three, ``window.size`` and ``input.spacing`` have as many as ``dimensions``.
A 2D card with a ``plane`` takes slices of that plane, its two axes in the order of ``orientation``;
a 2D card without one is for pictures, which are never turned (a volume is then taken slice by slice
across its last axis).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .location import LocatedBox, LocateSpec

__all__ = [
    "Accuracy",
    "Card",
    "ChannelRole",
    "CodeSpec",
    "ConstructorValue",
    "FieldOfView",
    "InputSpec",
    "Instances",
    "IntensityRule",
    "LabelSpec",
    "OutputSpec",
    "Performance",
    "Postprocess",
    "Region",
    "TrainingData",
    "WeightsFile",
    "WindowSpec",
]

ConstructorValue = bool | int | float | str | tuple[object, ...] | dict[str, object]
"""An argument of a network's constructor, as a TOML or JSON file can hold it: scalars, and lists (which
become tuples) and tables of such values, as deep as it takes."""


@dataclass(frozen=True)
class WeightsFile:
    """The file of weights: what it must be, and under which licence."""

    file: str
    """Plain name of a safetensors file, without any folder."""
    sha256: str
    """64 lower-case hexadecimal digits; checked before any tensor is used."""
    licence: str
    size_bytes: int
    precision: Literal["float32", "float16", "bfloat16"]
    """How the weights are stored, but for numbers too large for it; they are used from float32 upwards."""
    parameters: int
    """Trainable numbers of the network."""
    url: str | None = None
    """Where the file may be fetched on request, https only; None when it travels with the package."""
    members: int = 1
    """Networks of one kind in the file, whose logits are averaged. Of several, the keys begin with the number
    of the network: ``0.``, ``1.``, ..."""


@dataclass(frozen=True)
class TrainingData:
    """What the weights learned from."""

    dataset: str
    licence: str
    citation: str
    split: str
    """How cases were divided, in words, with what may not be concluded from it."""
    config: str
    """The training configuration in the repository, or how the weights came about."""
    redistributable: bool = True
    """Whether weights trained on these data may be part of a release."""
    finetuned_from: str = ""
    """Name and SHA-256 of the weights that training began with; empty where it began with random ones."""


@dataclass(frozen=True)
class ChannelRole:
    """One input channel: the role that a user names (``--channel ROLE=FILE``)."""

    role: str
    description: str
    intensity: IntensityRule | None = None
    """A rule of its own, in place of the card's."""


@dataclass(frozen=True)
class IntensityRule:
    """How intensities are made comparable before the network sees them.

    ======================  =================================================================
    rule                    does
    ======================  =================================================================
    ``zscore``              (x - mean) / std of the case
    ``clip_zscore``         clips to ``percentiles`` of the case, then ``zscore``
    ``fixed_zscore``        clips to ``lower`` .. ``upper``, then (x - ``mean``) / ``std``: CT
    ``scale``               clips to ``lower`` .. ``upper`` and scales that to ``target``
    ``rescale``             scales the lowest .. highest value of the case to ``target``
    ``none``                nothing
    ======================  =================================================================
    """

    rule: Literal["zscore", "clip_zscore", "fixed_zscore", "scale", "rescale", "none"]
    lower: float | None = None
    upper: float | None = None
    percentiles: tuple[float, float] | None = None
    mean: float | None = None
    std: float | None = None
    per_channel: bool = True
    """Whether the statistics of a case are taken for each channel or for all together."""
    target: tuple[float, float] = (0.0, 1.0)
    """What ``scale`` and ``rescale`` scale to."""
    clip: bool = True
    """Whether ``scale`` clips."""
    where: Literal["everywhere", "nonzero", "inside"] = "everywhere"
    """Which voxels are measured and changed; the others stay. "nonzero": those that are not 0. "inside":
    those where a channel is not 0, and the holes between them."""


@dataclass(frozen=True)
class InputSpec:
    """What the network expects to be given."""

    modality: tuple[str, ...]
    """DICOM modality codes such as "MR" or "CT"."""
    channels: tuple[ChannelRole, ...]
    orientation: str
    """Axcodes of the array axes, such as "RAS"; or an order of the axes as they are stored, such as "KJI"."""
    intensity: IntensityRule
    spacing: tuple[float, ...] | None = None
    """Millimetres a voxel, one for each dimension; None: whatever the image has."""
    plane: Literal["axial", "coronal", "sagittal"] | None = None
    """The plane of a 2D card's slices; None for pictures and for 3D cards."""
    manner: Literal["own", "nnunet", "monai"] = "own"
    """Whose way of bringing images to the spacing, and results back, the network was trained with.

    ==========  ===========================================================================================
    manner      does
    ==========  ===========================================================================================
    ``own``     intensities, then cubic convolution; logits come back linearly; statistics of a 2D card are
                those of each slice
    ``nnunet``  crops to what is not 0; intensities, then splines of third order, between thick slices the
                nearest; logits come back linearly, between thick slices from the nearest
    ``monai``   linear interpolation on a grid that shares the first voxel's centre, then intensities
    ==========  ===========================================================================================
    """
    then: tuple[IntensityRule, ...] = ()
    """Further rules, one after the other."""


@dataclass(frozen=True)
class FieldOfView:
    """How much anatomy the network was trained on, and where it may be applied."""

    minimum_mm: tuple[float, float, float]
    """Smallest sizes of training images, along the axes of ``input.orientation``."""
    maximum_mm: tuple[float, float, float]
    """Largest sizes to which the network may be applied at once."""
    locate: Literal["region", "template", "anywhere"]
    """"region": a larger image needs a drawn region; "template": the structure is found in it by
    registration, as the section ``[locate]`` says; "anywhere": the window may slide over any image."""
    note: str = ""


@dataclass(frozen=True)
class WindowSpec:
    """The tile in which a larger image is worked through."""

    size: tuple[int, ...]
    """Voxels, one for each dimension; multiples of ``multiple_of``."""
    overlap: float
    """Fraction of a side that neighbours share, in [0, 1)."""
    multiple_of: int
    """Every side that the network is given must be a multiple of this."""
    multiples: tuple[int, ...] = ()
    """The same for each dimension, where they differ; empty: ``multiple_of`` for all."""
    places: Literal["even", "stepped"] = "even"
    """"even": windows are spread evenly, as nnU-Net does it; "stepped": equal steps, the last one shorter,
    as MONAI does it."""
    weights: Literal["gaussian", "gaussian_nnunet", "gaussian_monai", "constant"] = "gaussian"
    """How much each voxel of a window counts where windows overlap; the Gaussians differ far from the centre,
    and nnU-Net's lies on a voxel."""
    padding: Literal["zeros", "replicate"] = "zeros"
    """What stands beyond the edge of an image that is smaller than a window."""
    mirror: tuple[int, ...] = ()
    """Axes of the window along which it is mirrored, in every combination; the logits are averaged."""

    @property
    def units(self) -> tuple[int, ...]:
        """What each side must be a multiple of."""
        return self.multiples or (self.multiple_of,) * len(self.size)


@dataclass(frozen=True)
class Region:
    """A sigmoid output channel that becomes a label; later regions overwrite earlier ones."""

    channel: int
    label: int


@dataclass(frozen=True)
class OutputSpec:
    """How logits become labels.

    ``softmax``: channel 0 is the background, channel n the label n.
    ``sigmoid``: channel n is the label n + 1, each on its own.
    ``regions``: overlapping sigmoid channels, laid over each other in the order of ``regions``.
    """

    activation: Literal["softmax", "sigmoid", "regions"]
    regions: tuple[Region, ...] = ()
    doubt_temperature: float = 1.0
    """Logits are divided by this before doubt is computed, so that doubt is calibrated."""
    bring_back: Literal["logits", "probabilities", "labels"] = "logits"
    """What is brought from the network's grid to the image's; labels by the nearest voxel."""


@dataclass(frozen=True)
class CodeSpec:
    """A coded meaning, such as SNOMED CT: ("SCT", "5366008", "Hippocampus")."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class LabelSpec:
    """One structure of the label map."""

    id: int
    name: str
    colour: tuple[int, int, int]
    """Red, green, blue, each 0-255."""
    code: CodeSpec
    laterality: Literal["left", "right"] | None = None
    volume_ml: tuple[float, float] | None = None
    """Plausible volume in mL (low, high); outside it the report warns."""


@dataclass(frozen=True)
class Instances:
    """How a label map becomes numbered objects, such as nuclei, at the end.

    Components of `label` are parted at their waists: where the way from the middle of one object to that of
    the next is narrow. With a border label the network tells objects apart itself: these are then cores,
    which grow back into the border around them, and a border without a core is an object of its own. Slices
    of a 2D card are worked on one by one.
    """

    label: int = 1
    """The label whose objects are numbered."""
    border: int | None = None
    """Label of the rims of objects."""
    border_voxels: float = 2.0
    """How wide the rims are that the network learned, in voxels of its grid."""
    smallest: int = 1
    """Objects of fewer voxels of the image are left out."""
    waist: float = 0.85
    """Objects are parted where the passage between them is narrower than this fraction of the narrower one;
    0: nowhere."""
    smoothing: float = 1.0
    """Standard deviation in voxels by which widths are smoothed first."""


@dataclass(frozen=True)
class Postprocess:
    """What is tidied in the label map."""

    keep_largest: tuple[int, ...] = ()
    """Labels of which only the largest component stays."""
    fill_holes: bool = False
    """Holes of a label are filled; of an object, where there are `instances`."""
    minimum_mm3: float = 0.0
    """Components smaller than this are removed; objects, where there are `instances`."""
    connect_all: bool = False
    """Keep only the largest component of all foreground together."""
    instances: Instances | None = None
    """How objects are numbered; None: labels stay structures."""


@dataclass(frozen=True)
class Accuracy:
    """A measured number, and the command that measures it again."""

    dataset: str
    split: str
    cases: int
    metric: str
    """"dice" (0 .. 1), "hd95_mm", "nsd", "ap50" (0 .. 1, of numbered objects), ..."""
    label: str
    """Name of a label, or "mean" for the mean over all labels."""
    mean: float
    std: float
    command: str


@dataclass(frozen=True)
class Performance:
    """Time and memory of one case on one device."""

    device: str
    case: str
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """A checkpoint: what it is, what it may be used for, and how to apply it.

    Examples
    --------
    >>> from napari_effseg.zoo import find_card
    >>> card = find_card("hippocampus-lightm-unet")  # doctest: +SKIP
    >>> card.label_names  # doctest: +SKIP
    {1: 'anterior hippocampus', 2: 'posterior hippocampus'}
    """

    name: str
    title: str
    summary: str
    intended_use: str
    limits: tuple[str, ...]
    task: Literal["automatic", "promptable"]
    dimensions: Literal[2, 3]
    network: str
    licence: str
    """Licence of the card and the network's code; data and weights name their own."""
    paper: str = ""
    constructor: dict[str, ConstructorValue] = field(hash=False)
    """Keyword arguments of ``nets.create(network, ...)``."""
    weights: WeightsFile
    training: TrainingData
    input: InputSpec
    field_of_view: FieldOfView
    locate: LocateSpec | None = None
    """How the structure is found in a larger image, where ``field_of_view.locate`` is "template"."""
    window: WindowSpec
    output: OutputSpec
    labels: tuple[LabelSpec, ...]
    postprocess: Postprocess = Postprocess()
    accuracy: tuple[Accuracy, ...] = ()
    performance: tuple[Performance, ...] = ()
    path: Path | None = field(default=None, compare=False)
    """The file it was read from; not part of the file."""

    @property
    def label_names(self) -> dict[int, str]:
        """Name of each label id."""
        return {label.id: label.name for label in self.labels}

    @property
    def label_colours(self) -> dict[int, tuple[int, int, int]]:
        """Red, green, blue (0-255) of each label id."""
        return {label.id: label.colour for label in self.labels}

    @property
    def located_labels(self) -> tuple[LabelSpec, ...]:
        """Labels of a run that finds the structure by itself: those of each box, or the card's own."""
        boxes = self.locate.boxes if self.locate is not None else ()
        sided = [_in_box(label, at, box) for box in boxes for at, label in enumerate(self.labels) if box.ids]
        return tuple(sided) or self.labels


def _in_box(label: LabelSpec, at: int, box: LocatedBox) -> LabelSpec:
    return replace(
        label,
        id=box.ids[at],
        name=f"{box.side} {label.name}",
        colour=box.colours[at] if box.colours else label.colour,
        laterality=box.side,
    )
