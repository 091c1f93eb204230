"""A card that was made here becomes a model that is found by its name, whole or not at all."""

import pytest

from napari_effseg import zoo
from napari_effseg.errors import CardError, WeightsError
from napari_effseg.zoo.foreign.add import remove_model
from napari_effseg.zoo.own_models import free_name, keep_card

from .synthetic import synthetic_card


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path / "models"))
    return synthetic_card(tmp_path / "run", name="mine")


def test_a_kept_card_is_found_loads_and_can_be_removed(made, tmp_path):
    kept = keep_card(made.path)
    assert kept.path == tmp_path / "models" / "mine.toml"
    assert zoo.find_card("mine").weights.sha256 == made.weights.sha256
    zoo.load_network(zoo.find_card("mine"))
    remove_model("mine")
    assert list((tmp_path / "models").iterdir()) == []
    assert zoo.weights_path(made).is_file()


def test_a_name_that_is_taken_is_refused_and_a_free_one_offered(made):
    keep_card(made)
    with pytest.raises(CardError, match="the name mine is taken"):
        keep_card(made)
    assert free_name("mine") == "mine-2"
    assert free_name("yours") == "yours"


def test_damaged_weights_leave_nothing(made, tmp_path):
    zoo.weights_path(made).write_bytes(b"damaged")
    with pytest.raises(WeightsError):
        keep_card(made)
    assert not (tmp_path / "models").exists() or list((tmp_path / "models").iterdir()) == []
