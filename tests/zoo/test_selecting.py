"""Which cards somebody finds by organ, modality and task, and what is said where there is none."""

import dataclasses

import pytest

from napari_effseg import zoo
from napari_effseg.errors import UnknownModel
from napari_effseg.zoo.selecting import Wish, known_modalities, known_organs, matches, select

from .synthetic import draft_card

ABDOMEN = draft_card()  # left kidney and liver, CT
VENTRICLE = dataclasses.replace(
    draft_card(),
    name="left-ventricle-hrmedseg",
    title="Left ventricle in cine MR",
    input=dataclasses.replace(ABDOMEN.input, modality=("MR",)),
    labels=(
        zoo.LabelSpec(1, "LV cavity", (230, 159, 0), zoo.CodeSpec("SCT", "87878005", "Left ventricle")),
        zoo.LabelSpec(2, "myocardium", (86, 180, 233), zoo.CodeSpec("SCT", "74281007", "Myocardium")),
    ),
)
HIPPOCAMPUS = zoo.find_card("hippocampus-lightm-unet")
CARDS = (ABDOMEN, VENTRICLE, HIPPOCAMPUS)


def found(**wish):
    return [card.name for card in select(CARDS, Wish(**wish))]


def test_a_wish_for_nothing_finds_all():
    assert select(CARDS, Wish()) == CARDS
    assert select((), Wish()) == ()


@pytest.mark.parametrize(
    "text",
    ["liver", "Liver", "kidney", "kidneys", "left kidney", "kidney, left", "64033007", "abdomen", "synth"],
)
def test_an_organ_is_found_by_name_side_code_and_part_of_the_body(text):
    assert found(organ=text) == ["synthetic"]


@pytest.mark.parametrize(
    "text", ["ventricle", "left ventricle", "LV", "heart", "cine", "left-ventricle-hrmed"]
)
def test_an_organ_is_found_by_meaning_title_and_name_of_the_card(text):
    assert found(organ=text) == ["left-ventricle-hrmedseg"]


def test_words_of_two_structures_are_none():
    assert not matches(ABDOMEN, Wish(organ="left liver"))
    assert not matches(ABDOMEN, Wish(organ="idney"))


@pytest.mark.parametrize("organ", ["left hippocampus", "anterior hippocampus", "brain", "hippo"])
def test_sides_that_are_found_by_themselves_count(organ):
    assert found(organ=organ) == ["hippocampus-lightm-unet"]


@pytest.mark.parametrize("text", ["MR", "mr", "MRI"])
def test_a_modality_is_found_by_its_code_and_by_what_people_say(text):
    assert found(modality=text) == ["left-ventricle-hrmedseg", "hippocampus-lightm-unet"]
    assert found(modality=text, organ="heart", task="automatic") == ["left-ventricle-hrmedseg"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"organ": "kidny"}, "no model segments 'kidny'. Did you mean kidney"),
        ({"organ": "spleen"}, "Known: anterior hippocampus, left kidney, liver"),
        ({"modality": "CTA"}, "Did you mean CT? Known: CT, MR"),
        ({"task": "automatik"}, "Did you mean automatic?"),
        ({"organ": "liver", "modality": "MR"}, "liver: synthetic; MR: left-ventricle-hrmedseg, hippo"),
    ],
)
def test_what_no_card_is_is_said_with_what_there_is(wish, said):
    with pytest.raises(UnknownModel) as caught:
        found(**wish)
    assert said in str(caught.value)


def test_what_there_is_is_listed_once_and_sorted():
    assert known_modalities(CARDS) == ("CT", "MR")
    assert known_organs([ABDOMEN, ABDOMEN]) == ("left kidney", "liver")


def test_every_built_in_card_is_found_by_each_of_its_structures():
    for card in zoo.built_in_cards():
        for label in (*card.labels, *card.located_labels):
            assert matches(card, Wish(organ=label.name))
            assert matches(card, Wish(organ=label.code.meaning, modality=card.input.modality[0]))
