"""A card's rules as transforms of MONAI."""

from __future__ import annotations

from typing import Any

from ...errors import CardError
from ..card import Card, IntensityRule
from .bundle_steps import KEY

__all__ = ["inferer_of", "steps_after", "steps_before"]

_WINDOW_WEIGHTS = {"gaussian_monai": "gaussian", "constant": "constant"}


def steps_before(card: Card) -> list[dict[str, Any]]:
    """Return what happens to an image before the network sees it."""
    steps = [_step("LoadImage"), _step("EnsureChannelFirst"), _step("EnsureType")]
    if card.input.orientation != "IJK":
        steps.append(_step("Orientation", axcodes=card.input.orientation, labels=None))
    if card.input.spacing is not None:
        steps.append(_step("Spacing", pixdim=list(card.input.spacing), mode="bilinear"))
    for rule in (card.input.intensity, *card.input.then):
        steps += _intensity(rule, card)
    return steps


def _intensity(rule: IntensityRule, card: Card) -> list[dict[str, Any]]:
    nonzero = rule.where == "nonzero"
    normalise = _step("NormalizeIntensity", nonzero=nonzero, channel_wise=rule.per_channel)
    if rule.rule == "none":
        return []
    if rule.rule == "zscore":
        return [normalise]
    if rule.rule == "clip_zscore" and rule.percentiles is not None:
        low, high = rule.percentiles
        clip = _step("ClipIntensityPercentiles", lower=low, upper=high, channel_wise=rule.per_channel)
        return [clip, normalise]
    if rule.rule == "rescale":
        low, high = rule.target
        return [_step("ScaleIntensity", minv=low, maxv=high, channel_wise=rule.per_channel)]
    if rule.lower is None or rule.upper is None:
        raise CardError(f"{card.name}: the intensity rule {rule.rule} has no limits")
    low, high = rule.target
    if rule.rule == "fixed_zscore" and rule.mean is not None and rule.std is not None:
        low, high = (rule.lower - rule.mean) / rule.std, (rule.upper - rule.mean) / rule.std
    return [
        _step(
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
    shared = {"roi_size": list(window.size), "overlap": window.overlap, "sw_batch_size": 1}
    if window.places == "stepped" and window.weights in _WINDOW_WEIGHTS:
        padding = "replicate" if window.padding == "replicate" else "constant"
        return {
            "_target_": "SlidingWindowInferer",
            **shared,
            "mode": _WINDOW_WEIGHTS[window.weights],
            "padding_mode": padding,
        }
    return {"_target_": "napari_effseg.engine.inferer.WindowInferer", **shared}


def steps_after(card: Card) -> list[dict[str, Any]]:
    """Return what happens to the network's answer."""
    output = card.output
    activation = _result("Activations", **{"softmax" if output.activation == "softmax" else "sigmoid": True})
    decide = [_decide(card)]
    if output.bring_back == "labels":
        steps = [activation, *decide, _invert(nearest=True)]
    elif output.bring_back == "probabilities":
        steps = [activation, _invert(nearest=False), *decide]
    else:
        steps = [_invert(nearest=False), activation, *decide]
    return [*steps, *_tidy(card), _result("SaveImage", output_dir="@output_dir", resample=False)]


def _decide(card: Card) -> dict[str, Any]:
    if card.output.activation == "softmax":
        return _result("AsDiscrete", argmax=True)
    if card.output.activation == "sigmoid":
        best = "torch.where(x.amax(0, keepdim=True) > 0.5, x.argmax(0, keepdim=True) + 1, 0)"
        return _result("Lambda", func=f"$lambda x: {best}")
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


def _step(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": KEY, **arguments}


def _result(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": "pred", **arguments}
