import dataclasses
import re
import runpy
from pathlib import Path

import pytest

from napari_effseg import zoo
from napari_effseg.zoo.page import card_page, cards_table

from .synthetic import draft_card

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "_generate_cards.py"

FULL = dataclasses.replace(
    draft_card(),
    paper="Somebody, arXiv:0000.00000",
    accuracy=(
        zoo.Accuracy("abdomen", "test", 20, "dice", "mean", 0.9, 0.02, "effseg evaluate a"),
        zoo.Accuracy("abdomen", "test", 20, "hd95_mm", "liver", 1.5, 0.25, "effseg evaluate a"),
    ),
    performance=(zoo.Performance("CPU, 2 cores", "40 x 56 x 40", 0.75, 512.0),),
    postprocess=zoo.Postprocess((2,), fill_holes=True, minimum_mm3=12.5, connect_all=True),
)


def test_a_page_tells_what_a_user_must_know():
    page = card_page(FULL)
    for fact in (
        "# Synthetic",
        "effseg segment IMAGE -m synthetic",
        "Tests only.",
        "- It has learned nothing.",
        "| 1 | left kidney |",
        "64033007 Kidney (SCT) | left |",
        "- Channel `ct`: Hounsfield units",
        "clipped to -1000 to 1000, less 0, divided by 400",
        "600 x 600 x 2000 mm",
        "| abdomen, test (20 cases) | hd95_mm | liver | 1.5 ± 0.25 |",
        "only the largest piece is kept of: liver",
        "| CPU, 2 cores | 40 x 56 x 40 | 0.75 | 512 |",
        f"`{'0' * 64}`",
        "licence CC0-1.0",
    ):
        assert fact in page


def test_the_weights_that_training_began_with_are_named():
    training = dataclasses.replace(FULL.training, finetuned_from="spleen-slim-unetr, SHA-256 00")
    page = card_page(dataclasses.replace(FULL, training=training))
    assert "- Finetuned from: spleen-slim-unetr" in page
    assert "Finetuned from" not in card_page(FULL)


def test_a_command_that_measured_several_numbers_is_named_once():
    assert card_page(FULL).count("effseg evaluate a") == 1


def test_a_card_without_measurements_says_so():
    page = card_page(draft_card())
    assert "Not measured." in page
    assert "Time and memory" not in page


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (zoo.IntensityRule("zscore", per_channel=False), "of the case, all channels together"),
        (zoo.IntensityRule("clip_zscore", percentiles=(0.5, 99.5)), "percentiles 0.5 and 99.5"),
        (zoo.IntensityRule("scale", lower=0.0, upper=255.0), "clipped to 0 to 255, scaled"),
        (zoo.IntensityRule("none"), "Intensities: as they are"),
    ],
)
def test_every_intensity_rule_is_told_in_words(rule, text):
    card = draft_card()
    assert text in card_page(dataclasses.replace(card, input=dataclasses.replace(card.input, intensity=rule)))


def test_the_table_has_a_line_a_card_with_its_mean_dice():
    table = cards_table([FULL, draft_card(2, "sigmoid")], links=False).splitlines()
    assert len(table) == 4
    assert "| 0.900 |" in table[2]
    assert "| - |" in table[3]


def test_every_line_of_a_table_has_as_many_cells():
    card = dataclasses.replace(FULL, labels=(dataclasses.replace(FULL.labels[0], name="a|b"), FULL.labels[1]))
    for block in (cards_table([card]), card_page(card)):
        for lines in re.findall(r"(?:^\|.*\n)+", block + "\n", flags=re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines.splitlines()}) == 1


def test_the_script_writes_a_page_for_each_built_in_card(tmp_path):
    runpy.run_path(str(SCRIPT))["main"](tmp_path)
    assert (tmp_path / "models.md").read_text(encoding="utf-8").startswith("# Models")
    written = {path.stem for path in (tmp_path / "models").iterdir()}
    assert written == {card.name for card in zoo.built_in_cards()}


def test_a_page_tells_how_objects_are_numbered():
    page = card_page(dataclasses.replace(FULL, postprocess=zoo.Postprocess(instances=zoo.Instances(1, 2))))
    assert "grown back into 'liver', numbered: left kidney 1, left kidney 2, ..." in page


def test_a_picture_of_a_real_case_is_shown_with_its_caption():
    page = card_page(FULL, "../images/model_synthetic.png", "Labels and reference (CC0 1.0)")
    assert "![Labels and reference (CC0 1.0)](../images/model_synthetic.png)" in page
    assert "![" not in card_page(FULL)


def test_every_built_in_card_has_a_small_picture_with_a_caption():
    script = runpy.run_path(str(SCRIPT))
    for card in zoo.built_in_cards():
        path, caption = script["picture_of"](card.name)
        assert path, f"no picture of {card.name}: python docs/_make_pictures.py models"
        assert card.name in caption
        assert (SCRIPT.parent / "models" / path).resolve().stat().st_size < 150_000
