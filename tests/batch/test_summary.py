"""The summaries: nothing from elsewhere, nothing that a name could smuggle in, failures first."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.batch import CaseResult, LabelVolume, Status
from napari_effseg.batch.summary import summary_csv, summary_html

from .conftest import Batch, Scans

GOOD = CaseResult("good", Status.DONE, seconds=2.0, volumes=(LabelVolume(1, "liver", 12.5),), model="m")
BAD = CaseResult("bad", Status.BAD_INPUT, words="no image", model="m")
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.texts.append(data)


def page(*results: CaseResult, folder: Path = Path()) -> Page:
    return Page(summary_html(results, folder))


def rows(*results: CaseResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(summary_csv(results))))


def test_failures_come_first() -> None:
    assert [row["case"] for row in rows(GOOD, BAD)] == ["bad", "good"]
    texts = page(GOOD, BAD).texts
    assert texts.index("bad") < texts.index("good")


def test_a_volume_has_a_column_and_its_absence_an_empty_cell() -> None:
    assert [row["liver [mL]"] for row in rows(GOOD, BAD)] == ["", "12.5"]


def test_structures_of_different_models_share_a_table() -> None:
    other = CaseResult("b", Status.DONE, volumes=(LabelVolume(1, "spleen", 3.0),))
    assert [(row["liver [mL]"], row["spleen [mL]"]) for row in rows(GOOD, other)] == [
        ("12.5", ""),
        ("", "3.0"),
    ]


def test_objects_are_counted() -> None:
    assert rows(CaseResult("n", Status.DONE, objects=42))[0]["objects"] == "42"
    assert "42" in page(CaseResult("n", Status.DONE, objects=42)).texts


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"))) | st.just(EVIL))
def test_whatever_a_case_says_is_text_alone(text: str) -> None:
    plain = [tag for tag, _ in page(BAD).tags]
    result = CaseResult(text, Status.BAD_INPUT, words=text, model=text)
    found = page(result)
    assert [tag for tag, _ in found.tags] == plain
    assert not any(name.startswith("on") for _, given in found.tags for name in given)


def test_names_of_structures_and_warnings_are_text_too() -> None:
    result = CaseResult("a", Status.DONE, volumes=(LabelVolume(1, EVIL, 1.0),), warnings=(EVIL, "x"))
    assert [tag for tag, _ in page(result).tags].count("script") == 1
    assert not any(tag == "img" for tag, _ in page(result).tags)


def test_nothing_comes_from_elsewhere(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    batch(scans("a.nii.gz"), overlay=True)
    found = Page((tmp_path / "out" / "summary.html").read_text(encoding="utf-8"))
    sources = [value for _, given in found.tags for key, value in given.items() if key in ("src", "href")]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/jpeg;base64,")
    policy = next(given["content"] for _, given in found.tags if "http-equiv" in given)
    assert policy.startswith("default-src 'none'")


def test_a_picture_that_is_none_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a_overlay.png").write_text("no picture")
    result = CaseResult("a", Status.DONE, outputs=("a.nii", "a_overlay.png"))
    assert not any(tag == "img" for tag, _ in page(result, folder=tmp_path).tags)


def test_a_spreadsheet_computes_nothing() -> None:
    (row,) = rows(CaseResult("=1+1", Status.BAD_INPUT, words="@SUM(A1)"))
    assert (row["case"], row["words"]) == ("'=1+1", "'@SUM(A1)")


def test_every_column_and_every_case_has_a_heading() -> None:
    found = page(GOOD, BAD).tags
    scopes = [given["scope"] for tag, given in found if tag == "th"]
    assert scopes == ["col"] * 6 + ["row"] * 2
    assert [tag for tag, _ in found].count("td") == 2 * 5
    assert "caption" in dict(found)


def test_every_tag_that_is_opened_is_closed_where_it_should_be() -> None:
    class Nested(HTMLParser):
        def handle_starttag(self, tag, attrs) -> None:
            if tag not in ("meta", "img"):
                opened.append(tag)

        def handle_endtag(self, tag) -> None:
            assert opened.pop() == tag

    opened: list[str] = []
    Nested().feed(summary_html([GOOD, BAD, CaseResult("c", Status.DONE, warnings=("a", "b"))], Path()))
    assert opened == []


@pytest.mark.parametrize("cell", ["tbody th", "td.words"])
def test_a_long_name_or_path_is_broken_before_it_pushes_the_rest_away(cell) -> None:
    style = summary_html([GOOD], Path()).partition("<style>")[2].partition("</style>")[0]
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    mine = [body for names, body in rules if cell in [name.strip() for name in names.split(",")]]
    assert any("overflow-wrap: anywhere" in body for body in mine)
    assert any("min-width" in body for body in mine)  # else it is broken after each letter
    assert any("max-width" in body for body in mine)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), [("ink", "paper"), ("ink", "head"), ("bad", "bad-paper")])
def test_words_stand_out_from_the_paper(theme, ink, paper) -> None:
    """As WCAG 2 asks of text, level AA."""
    roots = re.findall(r":root \{([^}]*)\}", summary_html([GOOD], Path()))
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[theme == "dark"]))
    dark, light = sorted(map(luminance, (colours[ink], colours[paper])))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
