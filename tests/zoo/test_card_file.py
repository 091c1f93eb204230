import dataclasses
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg import CardError, ExportError, zoo
from napari_effseg.zoo._toml import dump_toml

from .synthetic import draft_card

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = [(3, "softmax"), (3, "sigmoid"), (3, "regions"), (2, "softmax")]

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
lists = st.lists(scalars, max_size=4)
inline = st.dictionaries(keys, st.one_of(scalars, lists), max_size=3)
tables = st.recursive(
    st.dictionaries(keys, st.one_of(scalars, lists, st.lists(inline, min_size=1, max_size=2)), max_size=4),
    lambda inner: st.dictionaries(keys, st.one_of(scalars, inner), max_size=3),
    max_leaves=6,
)


@given(tables)
def test_any_table_comes_back_from_toml(table):
    assert tomllib.loads(dump_toml(table)) == table


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_not_written(wrong):
    with pytest.raises(ValueError, match="finite"):
        dump_toml({"a": wrong})


def test_a_type_without_a_form_in_toml_is_not_written():
    with pytest.raises(TypeError, match="NoneType"):
        dump_toml({"a": None})


@pytest.mark.parametrize(("dimensions", "activation"), KINDS)
def test_a_card_comes_back_from_toml(dimensions, activation):
    card = draft_card(dimensions, activation)
    assert zoo.parse_card(zoo.card_to_toml(card)) == card


def test_a_full_card_comes_back_from_a_file(tmp_path):
    card = dataclasses.replace(
        draft_card(),
        limits=('says "so"', "and C:\\so,\nover two lines", "Längs μm"),
        postprocess=zoo.Postprocess(
            (1,), True, 12.5, connect_all=True, instances=zoo.Instances(1, border=2, smallest=20)
        ),
        accuracy=(zoo.Accuracy("set", "test", 20, "dice", "liver", 0.9, 0.02, "effseg evaluate x"),),
        performance=(zoo.Performance("CPU, 2 cores", "40 x 56 x 40", 0.75, 512.0),),
    )
    path = zoo.write_card(card, tmp_path / "card.toml")
    assert zoo.read_card(path) == card
    assert zoo.read_card(path).path == path


def test_defaults_are_left_out_of_the_file():
    text = zoo.card_to_toml(draft_card())
    assert "doubt_temperature" not in text
    assert "path" not in text


def test_sections_keep_their_order():
    text = zoo.card_to_toml(draft_card())
    places = [text.index(f"[{name}]") for name in ("constructor", "weights", "training", "input", "window")]
    assert places == sorted(places)


def test_lists_of_a_constructor_become_tuples():
    assert zoo.parse_card(zoo.card_to_toml(draft_card())).constructor["blocks_down"] == (1, 1)


def test_whole_numbers_are_taken_where_numbers_are_expected():
    text = zoo.card_to_toml(draft_card()).replace("overlap = 0.5", "overlap = 0")
    assert zoo.parse_card(text).window.overlap == 0.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("overlap =", "overlpa =", r"window.overlpa: unknown field. Did you mean overlap"),
        ('title = "Synthetic"', "", "title: missing"),
        ("overlap = 0.5", 'overlap = "half"', "window.overlap: expected a number, got 'half'"),
        ("overlap = 0.5", "overlap = nan", "window.overlap: expected a finite number"),
        ("overlap = 0.5", "overlap = true", "window.overlap: expected a number, got True"),
        ("dimensions = 3", "dimensions = 3.0", "dimensions: expected one of 2, 3, got 3.0"),
        ('activation = "softmax"', 'activation = "softmaxx"', "output.activation.*Did you mean softmax"),
        ("colour = [230, 159, 0]", "colour = [230, 159]", r"labels\[0\].colour: expected 3 entries, got 2"),
        ('modality = ["CT"]', 'modality = "CT"', "input.modality: expected a list, got 'CT'"),
        ("[window]", "[window2]", "window2: unknown field. Did you mean window"),
        ("[constructor]", "[constructor]\nact = 2026-01-01", "constructor.act: expected text, a number"),
    ],
)
def test_a_wrong_field_is_named_with_the_file(old, new, message):
    text = zoo.card_to_toml(draft_card())
    assert old in text
    with pytest.raises(CardError, match=f"mine.toml: .*{message}"):
        zoo.parse_card(text.replace(old, new, 1), source="mine.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"# " + b"x" * (1 << 20)])
def test_a_file_that_is_no_card_is_named(tmp_path, content):
    path = tmp_path / "card.toml"
    path.write_bytes(content)
    with pytest.raises(CardError, match=r"card\.toml: "):
        zoo.read_card(path)


def test_a_missing_file_is_a_card_error(tmp_path):
    with pytest.raises(CardError, match="cannot be read"):
        zoo.read_card(tmp_path / "none.toml")


def test_a_broken_card_is_not_written(tmp_path):
    with pytest.raises(CardError, match="name"):
        zoo.write_card(dataclasses.replace(draft_card(), name="A B"), tmp_path / "card.toml")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_export_error(tmp_path):
    with pytest.raises(ExportError, match="cannot be written"):
        zoo.write_card(draft_card(), tmp_path / "none" / "card.toml")
