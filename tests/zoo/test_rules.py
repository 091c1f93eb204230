import dataclasses

import pytest

from napari_effseg import CardError, zoo
from napari_effseg.zoo._rules import check_card
from napari_effseg.zoo._snomed import is_sctid

from .synthetic import draft_card

CARD = draft_card()
CODE = zoo.CodeSpec("SCT", "10200004", "Liver")


def changed(section, **changes):
    """Return the card with fields of one section (None: the card itself) replaced."""
    if section is None:
        return dataclasses.replace(CARD, **changes)
    return dataclasses.replace(CARD, **{section: dataclasses.replace(getattr(CARD, section), **changes)})


def with_label(**changes):
    return changed(None, labels=(dataclasses.replace(CARD.labels[0], **changes), CARD.labels[1]))


def with_intensity(*rule, **numbers):
    return changed("input", intensity=zoo.IntensityRule(*rule, **numbers))


def regions(*pairs):
    card = draft_card(activation="regions")
    output = dataclasses.replace(card.output, regions=tuple(zoo.Region(*pair) for pair in pairs))
    return dataclasses.replace(card, output=output)


MEASURED = zoo.Accuracy("set", "test", 20, "dice", "mean", 0.9, 0.02, "effseg evaluate x")


def instances(**rules):
    return changed("postprocess", instances=zoo.Instances(**rules))


BROKEN = {
    "name": changed(None, name="Liver CT"),
    "title": changed(None, title=" "),
    "licence": changed(None, licence=""),
    "limits[0]": changed(None, limits=("",)),
    "training.licence": changed("training", licence=""),
    "weights.file": changed("weights", file="../synthetic.safetensors"),
    "weights.sha256": changed("weights", sha256="0" * 63),
    "weights.size_bytes": changed("weights", size_bytes=0),
    "weights.licence": changed("weights", licence=""),
    "weights.url": changed("weights", url="http://example.org/x"),
    "input.modality": changed("input", modality=()),
    "input.modality[0]": changed("input", modality=("ct",)),
    "input.orientation": changed("input", orientation="RLS"),
    "input.spacing": changed("input", spacing=(1.0, 1.0)),
    "input.spacing[2]": changed("input", spacing=(1.0, 1.0, 0.0)),
    "input.plane": changed("input", plane="axial"),
    "input.channels": changed("input", channels=()),
    "input.channels[0].role": changed("input", channels=(zoo.ChannelRole("T 1", ""),)),
    "input.channels[1]": changed("input", channels=(zoo.ChannelRole("ct", ""),) * 2),
    "input.intensity.mean": with_intensity("zscore", mean=3.0),
    "input.intensity.percentiles": with_intensity("clip_zscore"),
    "input.intensity.upper": with_intensity("scale", lower=1.0, upper=1.0),
    "input.intensity.std": with_intensity("fixed_zscore", lower=0.0, upper=1.0, mean=0.0, std=0.0),
    "field_of_view.maximum_mm": changed("field_of_view", maximum_mm=(0.0, 50.0, 50.0)),
    "window.size": changed("window", size=(24, 17, 32)),
    "window.size[1]": changed("window", size=(24, 0, 32)),
    "window.overlap": changed("window", overlap=1.0),
    "window.multiple_of": changed("window", multiple_of=0),
    "output.doubt_temperature": changed("output", doubt_temperature=0.0),
    "output.regions": changed("output", regions=(zoo.Region(0, 1),)),
    "output.activation": changed("output", activation="sigmoid"),
    "output.regions[1].label": regions((0, 1), (1, 3)),
    "output.regions[1].channel": regions((0, 1), (2, 2)),
    "labels": changed(None, labels=()),
    "labels[0].id": with_label(id=2),
    "labels[0].name": with_label(name=""),
    "labels[1]": with_label(name="liver"),
    "labels[0].colour": with_label(colour=(0, 0, 256)),
    "labels[0].code.value": with_label(code=dataclasses.replace(CODE, value="10200003")),
    "labels[0].code.meaning": with_label(code=dataclasses.replace(CODE, meaning="")),
    "labels[0].volume_ml": with_label(volume_ml=(3.0, 2.0)),
    "postprocess.keep_largest[0]": changed("postprocess", keep_largest=(3,)),
    "postprocess.minimum_mm3": changed("postprocess", minimum_mm3=-1.0),
    "postprocess.instances": instances(),
    "postprocess.instances.label": instances(label=3, border=2),
    "postprocess.instances.border": instances(border=1),
    "postprocess.instances.border_voxels": instances(border=2, border_voxels=0.0),
    "postprocess.instances.smallest": instances(border=2, smallest=0),
    "accuracy[0].command": changed(None, accuracy=(dataclasses.replace(MEASURED, command=""),)),
    "accuracy[0].label": changed(None, accuracy=(dataclasses.replace(MEASURED, label="spleen"),)),
    "accuracy[0].cases": changed(None, accuracy=(dataclasses.replace(MEASURED, cases=0),)),
    "performance[0].seconds": changed(None, performance=(zoo.Performance("CPU", "one", 0.0, 1.0),)),
}


@pytest.mark.parametrize("field", BROKEN)
def test_a_broken_rule_names_its_field(field):
    with pytest.raises(CardError) as caught:
        check_card(BROKEN[field], "x.toml")
    assert str(caught.value).startswith(f"x.toml: {field}: ")


@pytest.mark.parametrize(
    "file",
    [
        "a/b.safetensors",
        "a\\b.safetensors",
        "..",
        "C:x.safetensors",
        ".x.safetensors",
        "x.pth",
        "x.safetensors\n",
    ],
)
def test_a_weights_file_can_only_lie_beside_its_card(file):
    with pytest.raises(CardError, match="plain name"):
        check_card(changed("weights", file=file))


def test_every_label_needs_a_region():
    with pytest.raises(CardError, match="no region becomes label 2"):
        check_card(regions((0, 1)))


def test_two_regions_may_become_one_label():
    card = regions((0, 1), (1, 2))
    check_card(
        dataclasses.replace(
            card,
            labels=card.labels[:1],
            output=zoo.OutputSpec("regions", (zoo.Region(0, 1), zoo.Region(1, 1))),
        )
    )


def one_label(**rules):
    """Return a card of one label that splits its objects."""
    card = draft_card(activation="sigmoid")
    constructor = {**card.constructor, "out_channels": 1}
    postprocess = zoo.Postprocess(instances=zoo.Instances(**rules))
    return dataclasses.replace(card, constructor=constructor, labels=card.labels[:1], postprocess=postprocess)


@pytest.mark.parametrize(("field", "value"), [("waist", -0.1), ("waist", 1.1), ("smoothing", -1.0)])
def test_how_objects_are_split_has_its_range(field, value):
    check_card(one_label())
    with pytest.raises(CardError, match=rf"instances\.{field}: "):
        check_card(one_label(**{field: value}))


def test_a_picture_card_has_no_plane():
    card = draft_card(dimensions=2)
    check_card(dataclasses.replace(card, input=dataclasses.replace(card.input, plane=None)))


@pytest.mark.parametrize("code", ["5366008", "10200004", "138875005", "900000000000207008"])
def test_codes_of_snomed_ct_pass_their_check_digit(code):
    assert is_sctid(code)


@pytest.mark.parametrize("code", ["5366009", "5360068", "", "12345", "0" * 7, "T-A2870", "1" * 19, "²366008"])
def test_a_mistyped_code_fails_its_check_digit(code):
    assert not is_sctid(code)
