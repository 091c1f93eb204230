"""What a bundle does to images and results, as rules of a card; a step that has none is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..card import IntensityRule, Postprocess, Region
from ._tables import finite
from .bundle_config import Config
from .bundle_regions import read_region_rule

__all__ = ["KEY", "After", "Before", "Step", "read_after", "read_before", "steps_of"]

KEY = "@image_key"
"""How a configuration names its image."""
LIKELIEST = "$lambda x: torch.where(x.amax(0, keepdim=True) > 0.5, x.argmax(0, keepdim=True) + 1, 0)"
"""How an exported bundle turns sigmoid channels into labels."""
_NO_MATTER = (
    "LoadImage",
    "EnsureChannelFirst",
    "EnsureType",
    "CastToType",
    "ToTensor",
    "ToNumpy",
    "ToDevice",
    "Identity",
    "SaveImage",
    "SelectItems",
    "DeleteItems",
)
_PLAIN_ARGUMENTS = ("keys", "allow_missing_keys", "_target_", "_desc_", "dtype", "lazy")


@dataclass(frozen=True)
class Step:
    """One transform of a bundle.

    Attributes
    ----------
    name : str
        Of the class, without its module and without the ``d`` of dictionaries.
    arguments : mapping
        As they stand in the file.
    config : Config
    place : str
        In the file, for messages.
    """

    name: str
    arguments: Mapping[str, object]
    config: Config
    place: str

    def value(self, key: str, default: object = None) -> object:
        """Return an argument, read."""
        if key not in self.arguments:
            return default
        return self.config.read_all(self.arguments[key], f"{self.place}.{key}")

    def number(self, key: str, default: float | None = None) -> float:
        """Return an argument that is a number."""
        found = self.value(key, default)
        number = finite(found)
        if number is None:
            raise self.config.error(f"{self.place}.{key}", f"expected a number, got {found!r}")
        return number

    def refuse_others(self, *known: str) -> None:
        """Refuse arguments beside those known here, unless they say nothing."""
        for key in self.arguments:
            if key not in (*_PLAIN_ARGUMENTS, *known) and self.value(key) not in (None, False):
                raise self.config.error(f"{self.place}.{key}", "this argument is not supported")

    def refuse(self, reason: str) -> None:
        """Refuse the whole step."""
        raise self.config.error(self.place, f"{self.name} {reason}")


@dataclass
class Before:
    """What happens to an image before the network sees it.

    Attributes
    ----------
    orientation : str or None
        None: as it is stored.
    spacing : tuple of float, or None
    rules : list of IntensityRule
        In their order.
    clipped : Step or None
        A step whose percentiles wait for the normalisation that must follow.
    """

    orientation: str | None = None
    spacing: tuple[float, ...] | None = None
    rules: list[IntensityRule] = field(default_factory=list)
    clipped: Step | None = None


@dataclass
class After:
    """What happens to the network's answer.

    Attributes
    ----------
    activation : "softmax", "sigmoid" or None
        None: nothing says.
    bring_back : {"logits", "probabilities", "labels"}
        What goes from the network's grid to the image's.
    regions : tuple of Region
        Which channel becomes which label, where the bundle says so.
    postprocess : Postprocess
    decided : bool
        Whether labels have been made.
    merged : bool
        Whether overlapping channels have become one map of labels, which no regions say.
    joined : tuple of int
        Labels of which the largest piece of all together is kept.
    one_label : str or None
        A step that is the same here for a single label alone.
    notes : list of str
        What is done otherwise here, in sentences.
    """

    activation: Literal["softmax", "sigmoid"] | None = None
    bring_back: Literal["logits", "probabilities", "labels"] | None = None
    regions: tuple[Region, ...] = ()
    postprocess: Postprocess = field(default_factory=Postprocess)
    decided: bool = False
    merged: bool = False
    joined: tuple[int, ...] = ()
    one_label: str | None = None
    notes: list[str] = field(default_factory=list)

    def check(self, config: Config, labels: Collection[int]) -> None:
        """Refuse what means something else for these labels here.

        Raises
        ------
        CardError
            Naming the step.
        """
        if self.one_label and len(labels) > 1:
            raise config.error(self.one_label, f"is supported with one label alone, not with {len(labels)}")
        if self.joined and set(self.joined) != set(labels):
            raise config.error(
                "postprocessing", f"the largest piece of {list(self.joined)} together, of other labels beside"
            )


def steps_of(config: Config, key: str) -> list[Step]:
    """Return the transforms of a part such as "preprocessing"."""
    part = config.part(key)
    listed = config.read(part.get("transforms"), key) if isinstance(part, Mapping) else part
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise config.error(key, "expected a list of transforms")
    steps = []
    for index, entry in enumerate(listed):
        place = f"{key}.transforms[{index}]"
        step = config.read(entry, place)
        target = step.get("_target_") if isinstance(step, Mapping) else None
        if not isinstance(step, Mapping) or not isinstance(target, str):
            raise config.error(place, "expected a transform with a _target_")
        if config.read(step.get("_disabled_", False), place) is True:
            continue
        name = target.rpartition(".")[2]
        for ending in ("Dict", "D", "d"):
            name = name.removesuffix(ending) if name.endswith(ending) else name
        steps.append(Step(name, step, config, f"{place} ({target})"))
    return steps


def read_before(steps: Sequence[Step]) -> Before:
    """Map the transforms of an image.

    Raises
    ------
    CardError
        Naming the first that has no rule here.
    """
    before = Before()
    for step in steps:
        if step.name in _NO_MATTER:
            continue
        act = _BEFORE.get(step.name)
        if before.clipped is not None and step.name != "NormalizeIntensity":
            before.clipped.refuse("is supported with NormalizeIntensity right after it")
        if act is None:
            step.refuse("is not supported")
        else:
            act(before, step)
    if before.clipped is not None:
        before.clipped.refuse("is supported with NormalizeIntensity right after it")
    return before


def _orientation(before: Before, step: Step) -> None:
    step.refuse_others("axcodes", "as_closest_canonical", "labels")
    axcodes = step.value("axcodes", "RAS")
    if before.spacing is not None:
        step.refuse("after Spacing is not supported")
    text = "".join(map(str, axcodes)) if isinstance(axcodes, list) else axcodes
    if not isinstance(text, str):
        raise step.config.error(f"{step.place}.axcodes", f"expected letters such as RAS, got {axcodes!r}")
    before.orientation = text


def _spacing(before: Before, step: Step) -> None:
    step.refuse_others("pixdim", "mode", "padding_mode", "align_corners", "ensure_same_shape")
    if before.spacing is not None:
        step.refuse("a second time is not supported")
    if before.rules:
        step.refuse("after intensities have been changed is not supported")
    if _first(step.value("mode", "bilinear")) not in ("bilinear", 1):
        step.refuse(f"with mode {step.value('mode')!r} is not supported, only bilinear")
    if _first(step.value("padding_mode", "border")) != "border":
        step.refuse("with another padding_mode than border is not supported")
    sizes = step.value("pixdim")
    numbers = [finite(size) for size in sizes] if isinstance(sizes, list) else []
    known = tuple(size for size in numbers if size is not None and size > 0)
    if not numbers or len(known) != len(numbers):
        raise step.config.error(f"{step.place}.pixdim", f"expected a list of millimetres, got {sizes!r}")
    before.spacing = known


def _first(value: object) -> object:
    """Return what goes for the image, where a list has one entry for each key."""
    return value[0] if isinstance(value, list) and value else value


def _scale_range(before: Before, step: Step) -> None:
    step.refuse_others("a_min", "a_max", "b_min", "b_max", "clip")
    target = (step.number("b_min", 0.0), step.number("b_max", 1.0))
    rule = IntensityRule(
        "scale",
        lower=step.number("a_min"),
        upper=step.number("a_max"),
        target=target,
        clip=step.value("clip", False) is True,
    )
    before.rules.append(rule)


def _scale(before: Before, step: Step) -> None:
    step.refuse_others("minv", "maxv", "channel_wise")
    target = (step.number("minv", 0.0), step.number("maxv", 1.0))
    each = step.value("channel_wise", False) is True
    before.rules.append(IntensityRule("rescale", target=target, per_channel=each))


def _clip(before: Before, step: Step) -> None:
    """Remember percentiles for the normalisation that follows, with which they are one rule."""
    step.refuse_others("lower", "upper", "channel_wise")
    each = step.value("channel_wise", False) is True
    limits = (step.number("lower"), step.number("upper"))
    before.rules.append(IntensityRule("clip_zscore", percentiles=limits, per_channel=each))
    before.clipped = step


def _normalize(before: Before, step: Step) -> None:
    step.refuse_others("subtrahend", "divisor", "nonzero", "channel_wise")
    if before.clipped is not None:
        each = step.value("channel_wise", False) is True
        if each != before.rules[-1].per_channel or step.value("nonzero") or step.value("divisor") is not None:
            step.refuse("after ClipIntensityPercentiles is supported with the same channel_wise alone")
        before.clipped = None
        return
    where: Literal["nonzero", "everywhere"] = (
        "nonzero" if step.value("nonzero", False) is True else "everywhere"
    )
    if step.value("subtrahend") is None and step.value("divisor") is None:
        each = step.value("channel_wise", False) is True
        before.rules.append(IntensityRule("zscore", per_channel=each, where=where))
        return
    mean, std = step.number("subtrahend"), step.number("divisor")
    before.rules.append(IntensityRule("scale", lower=mean, upper=mean + std, clip=False, where=where))


_BEFORE: dict[str, Callable[[Before, Step], None]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _scale_range,
    "ScaleIntensity": _scale,
    "NormalizeIntensity": _normalize,
    "ClipIntensityPercentiles": _clip,
}


def read_after(steps: Sequence[Step]) -> After:
    """Map the transforms of the network's answer.

    Raises
    ------
    CardError
        Naming the first that has no rule here.
    """
    after = After()
    for step in steps:
        if step.name in _NO_MATTER:
            continue
        act = _AFTER.get(step.name)
        if act is None:
            step.refuse("is not supported")
        else:
            act(after, step)
    return after


def _activation(after: After, step: Step) -> None:
    step.refuse_others("softmax", "sigmoid")
    soft, sigmoid = _first(step.value("softmax", False)), _first(step.value("sigmoid", False))
    if bool(soft) == bool(sigmoid):
        step.refuse("with neither or both of softmax and sigmoid is not supported")
    after.activation = "softmax" if soft else "sigmoid"


def _invert(after: After, step: Step) -> None:
    nearest = _first(step.value("nearest_interp", True)) is True
    if after.decided:
        if not nearest:
            after.notes.append(
                "the bundle interpolates between the numbers of labels, which gives values between them at "
                "boundaries; here each voxel gets the nearest label"
            )
        after.bring_back = "labels"
    elif nearest:
        step.refuse("of scores with nearest_interp is not supported")
    else:
        after.bring_back = "logits" if after.activation is None else "probabilities"


def _discrete(after: After, step: Step) -> None:
    step.refuse_others("argmax", "threshold", "rounding")
    threshold = _first(step.value("threshold"))
    if _first(step.value("argmax", False)) is True:
        if after.activation == "sigmoid":
            step.refuse("with argmax of sigmoid channels is not supported")
        after.activation = "softmax"
    elif after.activation != "sigmoid" or threshold != 0.5:
        step.refuse(f"with threshold {threshold!r} is supported after a sigmoid and with 0.5 alone")
    after.decided = True


def _check_tidied(after: After, step: Step) -> None:
    """Refuse to tidy scores; remember that overlapping channels are tidied, each by itself."""
    if not after.decided:
        step.refuse("of scores is not supported")
    if after.activation == "sigmoid" and not after.regions and not after.merged:
        after.one_label = step.place


def _largest(after: After, step: Step) -> None:
    step.refuse_others("applied_labels", "is_onehot", "independent", "connectivity", "num_components")
    labels = step.value("applied_labels")
    listed = labels if isinstance(labels, list) else [] if labels is None else [labels]
    kept = tuple(int(label) for label in listed if isinstance(label, int))
    if not kept:
        step.refuse("without applied_labels is not supported")
    if step.value("num_components", 1) != 1 or step.value("connectivity") not in (None, 3):
        step.refuse("is supported with one component that hangs together by faces, edges or corners")
    _check_tidied(after, step)
    done = after.postprocess
    if done.fill_holes:
        step.refuse("after FillHoles is not supported")
    if len(kept) > 1 and step.value("independent", True) is False:
        if done.keep_largest:
            step.refuse("of all labels after that of single ones is not supported")
        after.postprocess, after.joined = replace(done, connect_all=True), kept
    else:
        every = tuple(dict.fromkeys((*done.keep_largest, *kept)))
        after.postprocess = replace(done, keep_largest=every)


def _holes(after: After, step: Step) -> None:
    step.refuse_others("connectivity")
    if step.value("connectivity") != 1:
        step.refuse("is supported with connectivity 1 alone")
    _check_tidied(after, step)
    after.one_label = step.place  # MONAI fills with a label what of others lies inside it, too
    after.postprocess = replace(after.postprocess, fill_holes=True)


def _lambda(after: After, step: Step) -> None:
    text = step.arguments.get("func")
    if text == LIKELIEST and after.activation == "sigmoid":
        after.decided = after.merged = True
        return
    regions = read_region_rule(text) if isinstance(text, str) else None
    halves = isinstance(text, str) and "0.5" in text
    if regions is None or after.activation != "sigmoid" or after.decided == halves:
        step.refuse("runs a function of its own, which is not supported")
    else:
        after.regions, after.decided = regions, True


_AFTER: dict[str, Callable[[After, Step], None]] = {
    "Activations": _activation,
    "Invert": _invert,
    "AsDiscrete": _discrete,
    "KeepLargestConnectedComponent": _largest,
    "FillHoles": _holes,
    "Lambda": _lambda,
}
