import dataclasses

import pytest

from napari_effseg import zoo
from napari_effseg.engine.choose import choose_card, fits, recommended
from napari_effseg.errors import CardError, UnknownModel

from .builders import card_for, labelled, noise_volume


def named(name, **changes):
    return card_for(**changes, name=name) if "name" not in changes else None


def accuracy(mean):
    return (zoo.Accuracy("a set", "test", 9, "dice", "mean", mean, 0.02, "effseg evaluate"),)


def registry(*cards):
    return {card.name: card for card in cards}


def test_the_only_card_that_fits_is_taken():
    known = registry(named("mr", modality=("MR",)), named("ct"), named("slices", dimensions=2))
    assert recommended(noise_volume(modality="CT"), (), known).name == "ct"


def test_of_cards_for_the_same_structures_the_most_accurate_is_taken():
    known = registry(
        named("good", accuracy=accuracy(0.8)), named("better", accuracy=accuracy(0.9)), named("new")
    )
    assert recommended(noise_volume(), (), known).name == "better"


def test_of_cards_for_different_structures_the_user_chooses():
    known = registry(named("liver", labels=labelled("liver")), named("spleen", labels=labelled("spleen")))
    with pytest.raises(UnknownModel, match=r"liver.*spleen"):
        recommended(noise_volume(), (), known)


def test_no_fitting_card_is_an_error_with_reasons():
    known = registry(named("mr", modality=("MR",)), named("slices", dimensions=2))
    with pytest.raises(UnknownModel, match=r"mr: it takes MR; slices: it takes slices"):
        recommended(noise_volume(modality="CT"), (), known)


def test_no_cards_at_all_are_said():
    with pytest.raises(UnknownModel, match="no models are installed"):
        recommended(noise_volume(), (), {})


def test_a_card_bound_to_a_region_fits_the_region_and_not_the_head():
    view = zoo.FieldOfView((0.0, 0.0, 0.0), (20.0, 20.0, 20.0), "region")
    card, volume = card_for(field_of_view=view), noise_volume()
    assert not fits(card, volume)
    assert fits(card, volume, [((0, 0, 0), (9, 9, 9))])


def test_missing_channels_do_not_fit():
    assert not fits(card_for(channels=("t1", "t2")), noise_volume())


def test_a_picture_fits_a_picture_model():
    card = dataclasses.replace(card_for(2, plane=None))
    assert fits(card, noise_volume((30, 20, 1)))
    assert not fits(card_for(), noise_volume((30, 20, 1)))


def test_a_model_that_answers_clicks_is_neither_proposed_nor_run_by_itself():
    clicks = dataclasses.replace(named("prompt-unet"), task="promptable")
    with pytest.raises(UnknownModel, match="answers clicks"):
        recommended(noise_volume(), (), registry(clicks))
    assert recommended(noise_volume(), (), registry(clicks, named("other"))).name == "other"
    with pytest.raises(CardError, match="answers clicks"):
        choose_card(clicks, noise_volume(), ())
