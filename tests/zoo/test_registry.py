import dataclasses
import os

import pytest

from napari_effseg import CardError, UnknownModel, zoo

from .synthetic import draft_card


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two user folders named in EFFSEG_CARDS."""
    pair = tmp_path / "one", tmp_path / "two"
    for folder in pair:
        folder.mkdir()
    monkeypatch.setenv("EFFSEG_CARDS", os.pathsep.join(map(str, pair)))
    return pair


def put(folder, name):
    return zoo.write_card(dataclasses.replace(draft_card(), name=name), folder / f"{name}.toml")


def test_cards_of_named_folders_are_found(folders):
    put(folders[0], "spleen-a")
    put(folders[1], "spleen-b")
    assert {"spleen-a", "spleen-b"} <= set(zoo.cards())
    assert zoo.find_card("spleen-b").path == folders[1] / "spleen-b.toml"


def test_without_the_variable_there_are_the_built_in_cards_alone(monkeypatch):
    monkeypatch.delenv("EFFSEG_CARDS", raising=False)
    registry = zoo.read_registry()
    assert registry.problems == ()
    assert all(card.path.parent.name == "cards" for card in registry.cards.values())


def test_a_broken_card_hides_no_other_and_is_reported(folders):
    put(folders[0], "spleen-a")
    (folders[0] / "broken.toml").write_text("name = 3", encoding="utf-8")
    registry = zoo.read_registry()
    assert "spleen-a" in registry.cards
    assert len(registry.problems) == 1
    assert "broken.toml: name: expected text" in registry.problems[0]


def test_the_second_card_of_a_name_is_reported(folders):
    first, second = put(folders[0], "spleen"), put(folders[1], "spleen")
    registry = zoo.read_registry()
    assert registry.cards["spleen"].path == first
    assert registry.problems == (f"{second}: the name spleen is taken by {first}",)


def test_a_folder_that_is_not_there_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CARDS", str(tmp_path / "none"))
    assert "no such folder" in zoo.read_registry().problems[0]


def test_an_unknown_name_gets_the_nearest_and_the_broken_cards(folders):
    put(folders[0], "spleen-attention")
    (folders[1] / "broken.toml").write_text("", encoding="utf-8")
    with pytest.raises(UnknownModel, match=r"Did you mean spleen-attention\?.*broken.toml") as caught:
        zoo.find_card("spleen-atention")
    assert isinstance(caught.value, KeyError)


def test_a_card_is_found_by_its_path(tmp_path):
    path = put(tmp_path, "mine")
    assert zoo.find_card(path) == zoo.find_card(str(path)) == draft_card_named("mine")


def draft_card_named(name):
    return dataclasses.replace(draft_card(), name=name)


def test_a_card_is_itself_but_checked():
    card = draft_card()
    assert zoo.find_card(card) is card
    with pytest.raises(CardError, match="card synthetic: title"):
        zoo.find_card(dataclasses.replace(card, title=""))


def test_a_path_without_a_card_is_a_card_error(tmp_path):
    with pytest.raises(CardError, match="cannot be read"):
        zoo.find_card(tmp_path / "none.toml")
