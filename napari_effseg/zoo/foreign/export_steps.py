"""A card's rules as transforms of MONAI."""

from __future__ import annotations

from typing import Any

from ...errors import CardError
from .._manner_rules import is_stored_order
from ..card import Card, IntensityRule
from .bundle_steps import KEY, LIKELIEST
from .own_bundle import OWN_INFERER

__all__ = ["inferer_of", "is_of_pictures", "parts_of_steps", "steps_after", "steps_before"]

EACH_SLICE = "@each_slice"
LUMINANCE_SHARES = (0.299, 0.587, 0.114)
"""Of red, green and blue, as the engine has them; ITU-R BT.601."""
_WINDOW_WEIGHTS = {"gaussian_monai": "gaussian", "constant": "constant"}


def is_of_pictures(card: Card) -> bool:
    """Whether a card is for pictures, which have no patient's axes."""
    return card.dimensions == 2 and card.input.plane is None and not is_stored_order(card.input.orientation)


def parts_of_steps(card: Card) -> dict[str, Any]:
    """Return what the steps refer to: how each slice is made comparable, where slices are measured alone."""
    if not _is_measured_by_slice(card):
        return {}
    steps = [plain for rule in _rules(card) for plain in _intensity(rule, card)]
    return {EACH_SLICE.removeprefix("@"): {"_target_": "Compose", "transforms": steps}}


def steps_before(card: Card) -> list[dict[str, Any]]:
    """Return what happens to an image before the network sees it."""
    steps = [_load(card), _step("EnsureChannelFirst"), _step("EnsureType")]
    if is_of_pictures(card):
        steps.append(_step("Lambda", func=_as_channels(len(card.input.channels))))
    elif not is_stored_order(card.input.orientation):
        steps.append(_step("Orientation", axcodes=card.input.orientation, labels=None))
    if card.input.spacing is not None:
        steps.append(_step("Spacing", pixdim=_three_spacings(card), mode="bilinear"))
    if _is_measured_by_slice(card):
        return [*steps, _step("Lambda", func=_by_slice(1 + _across(card)))]
    return [*steps, *(_of_image(plain) for rule in _rules(card) for plain in _intensity(rule, card))]


def _load(card: Card) -> dict[str, Any]:
    return _step("LoadImage", reader="PILReader") if is_of_pictures(card) else _step("LoadImage")


def _as_channels(count: int) -> str:
    """Colours of a picture as the engine takes them: grey repeated, transparency dropped, or luminance."""
    if count == 3:
        return "$lambda x: x[:3] if x.shape[0] > 2 else x[:1].repeat(3, 1, 1)"
    shares = f"torch.tensor({list(LUMINANCE_SHARES)}).view(3, 1, 1)"
    return f"$lambda x: (x[:3] * {shares}).sum(0, True) if x.shape[0] > 2 else x[:1]"


def _is_measured_by_slice(card: Card) -> bool:
    own = card.dimensions == 2 and card.input.manner == "own" and not is_of_pictures(card)
    return own and card.input.intensity.rule in ("zscore", "clip_zscore")


def _by_slice(axis: int) -> str:
    slices = f"torch.stack([{EACH_SLICE}(one) for one in x.unbind({axis})], {axis})"
    return f"$lambda x: monai.utils.convert_to_dst_type({slices}, x)[0]"


def _rules(card: Card) -> tuple[IntensityRule, ...]:
    return (card.input.intensity, *card.input.then)


def _across(card: Card) -> int:
    """Axis across the slices of a 2D card, in the order in which the bundle has them."""
    orientation = card.input.orientation
    if is_stored_order(orientation):
        return "IJK".index(orientation[0])
    planes = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}
    letters = planes[card.input.plane or "axial"]
    return next(axis for axis, letter in enumerate(orientation) if letter in letters)


def _three_spacings(card: Card) -> list[float]:
    """Spacing of each axis; 0 across slices, which MONAI takes for the image's own."""
    sizes = list(card.input.spacing or ())
    if card.dimensions == 2:
        sizes.insert(_across(card), 0.0)
    return sizes


def _of_image(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a transform of arrays as one of the case's image."""
    arguments = {key: value for key, value in plain.items() if key != "_target_"}
    return _step(plain["_target_"], **arguments)


def _intensity(rule: IntensityRule, card: Card) -> list[dict[str, Any]]:
    nonzero = rule.where == "nonzero"
    normalise = _plain("NormalizeIntensity", nonzero=nonzero, channel_wise=rule.per_channel)
    if rule.rule == "none":
        return []
    if rule.rule == "zscore":
        return [normalise]
    if rule.rule == "clip_zscore" and rule.percentiles is not None:
        low, high = rule.percentiles
        clip = _plain("ClipIntensityPercentiles", lower=low, upper=high, channel_wise=rule.per_channel)
        return [clip, normalise]
    if rule.rule == "rescale":
        low, high = rule.target
        return [_plain("ScaleIntensity", minv=low, maxv=high, channel_wise=rule.per_channel)]
    if rule.lower is None or rule.upper is None:
        raise CardError(f"{card.name}: the intensity rule {rule.rule} has no limits")
    low, high = rule.target
    if rule.rule == "fixed_zscore" and rule.mean is not None and rule.std is not None:
        low, high = (rule.lower - rule.mean) / rule.std, (rule.upper - rule.mean) / rule.std
    return [
        _plain(
            "ScaleIntensityRange",
            a_min=rule.lower,
            a_max=rule.upper,
            b_min=low,
            b_max=high,
            clip=rule.clip,
        )
    ]


def inferer_of(card: Card) -> dict[str, Any]:
    """Return how windows are joined: MONAI's way where the card has it, else the engine's own."""
    window = card.window
    shared: dict[str, Any] = {"roi_size": list(window.size), "overlap": window.overlap, "sw_batch_size": 1}
    of_slices = card.dimensions == 2 and not is_of_pictures(card)
    if window.places == "stepped" and window.weights in _WINDOW_WEIGHTS:
        padding = "replicate" if window.padding == "replicate" else "constant"
        return {
            "_target_": "SliceInferer" if of_slices else "SlidingWindowInferer",
            **shared,
            "mode": _WINDOW_WEIGHTS[window.weights],
            "padding_mode": padding,
            **({"spatial_dim": _across(card)} if of_slices else {}),
        }
    return {"_target_": OWN_INFERER, **shared, **({"across": _across(card)} if of_slices else {})}


def steps_after(card: Card) -> list[dict[str, Any]]:
    """Return what happens to the network's answer."""
    output = card.output
    activation = _result("Activations", **{"softmax" if output.activation == "softmax" else "sigmoid": True})
    decide = [_decide(card)]
    if is_of_pictures(card):  # which lie as the network sees them
        return [activation, *decide, *_tidy(card), _save(output_ext=".png", output_dtype=_smallest(card))]
    if output.bring_back == "labels":
        steps = [activation, *decide, _invert(nearest=True)]
    elif output.bring_back == "probabilities":
        steps = [activation, _invert(nearest=False), *decide]
    else:
        steps = [_invert(nearest=False), activation, *decide]
    return [*steps, *_tidy(card), _save()]


def _save(**arguments: Any) -> dict[str, Any]:
    return _result("SaveImage", output_dir="@output_dir", resample=False, **arguments)


def _smallest(card: Card) -> str:
    """Return the expression of a type that a picture of labels can have."""
    return "$np.uint8" if max(card.label_names) < 256 else "$np.uint16"


def _decide(card: Card) -> dict[str, Any]:
    if card.output.activation == "softmax":
        return _result("AsDiscrete", argmax=True)
    if card.output.activation == "sigmoid":
        return _result("Lambda", func=LIKELIEST)
    rule = "0"
    for region in card.output.regions:
        rule = f"torch.where(x[[{region.channel}]] > 0.5, {region.label}, {rule})"
    return _result("Lambda", func=f"$lambda x: {rule}")


def _tidy(card: Card) -> list[dict[str, Any]]:
    rules = card.postprocess
    steps = []
    if rules.connect_all:
        every = [label.id for label in card.labels]
        steps.append(_result("KeepLargestConnectedComponent", applied_labels=every, independent=False))
    if rules.keep_largest:
        kept = list(rules.keep_largest)
        steps.append(_result("KeepLargestConnectedComponent", applied_labels=kept, independent=True))
    if rules.instances is not None:
        return steps  # holes and sizes are then those of objects
    if rules.fill_holes:
        steps.append(_result("FillHoles", connectivity=1))
    if rules.minimum_mm3 > 0:
        steps.append(
            _result(
                "RemoveSmallObjects", min_size=rules.minimum_mm3, by_measure=True, independent_channels=True
            )
        )
    return steps


def _invert(nearest: bool) -> dict[str, Any]:
    return _result(
        "Invert", transform="@preprocessing", orig_keys=KEY, nearest_interp=nearest, to_tensor=True
    )


def _plain(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": name, **arguments}


def _step(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": KEY, **arguments}


def _result(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": "pred", **arguments}
