"""Cases of a table: which columns, and what is wrong with a line or with all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_effseg.batch import Found, Wanted, find_cases
from napari_effseg.errors import ConfigError, UnknownModel


@pytest.fixture
def table(tmp_path: Path, card, two_channels):
    """Read cases from lines of a table; T stands for the model of two channels."""

    def read(*lines: str, model: object = card.path, encoding: str = "utf-8") -> Found:
        path = tmp_path / "cases.csv"
        text = "\n".join(lines).replace("{T}", str(two_channels.path))
        path.write_text(text, encoding=encoding)
        return find_cases(path, Wanted(model), tmp_path / "out")

    return read


def test_a_line_is_a_case_beside_the_table(table, tmp_path: Path) -> None:
    first, second = table("case,image", "anna,scans/a.nii.gz", ",b.nrrd").cases
    assert (first.name, first.files) == ("anna", (tmp_path / "scans" / "a.nii.gz",))
    assert second.name == "b"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_stands_between_cells_is_found_out(table, mark: str) -> None:
    (case,) = table(f"Case{mark}Image{mark}frame", f"a{mark}a.nii{mark}2", encoding="utf-8-sig").cases
    assert (case.name, case.frame) == ("a", 2)


def test_channels_have_a_column_each(table) -> None:
    (case,) = table("case,flair,t1,model", "a,f.nii,t.nii,{T}").cases
    assert case.roles == ("t1", "flair")
    assert [path.name for path in case.files] == ["t.nii", "f.nii"]


def test_region_series_and_model_are_of_a_line(table) -> None:
    first, second = table(
        "case,image,roi,series,model",
        'a,a.nii,"0,0,0:5,5,5 1,1:4,4",1.2.3,{T}',
        "b,b.nii,,,",
    ).cases
    assert (first.roi, first.series) == ((((0, 0, 0), (5, 5, 5)), ((1, 1, 0), (4, 4, 1))), "1.2.3")
    assert (first.card.name, second.card.name) == ("two", "synthetic")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["case,image,roi", 'a,a.nii,"1,2"'], "line 2: roi is '1,2'"),
        (["case,image,frame", "a,a.nii,-1"], "line 2: frame is '-1'"),
        (["case,image", "a,"], "no file for t1; synthetic takes the columns image"),
        (["case,t1,model", "a,t.nii,{T}"], "no file for flair; two takes the columns image, or t1, flair"),
        (["case,image,t1", "a,a.nii,t.nii"], "both an image and t1"),
    ],
)
def test_what_is_wrong_in_a_line_makes_a_bad_case(table, lines: list[str], said: str) -> None:
    (case,) = table(*lines).cases
    assert said in case.problem


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["case,image"], "has no case"),
        (["case,image,image", "a,b,c"], "the column image twice"),
        (["case,image", "a,b,c"], "line 2: more cells than columns"),
        (["case,image", "a,a.nii", "A,b.nii"], "several cases have one name"),
        (["case,image", ","], "has no case"),
    ],
)
def test_what_is_wrong_with_the_table_is_refused(table, lines: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table(*lines)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "C:a", "a\\b", ".hidden", "a//b", "a\x07"])
def test_no_case_leads_out_of_the_folder_of_results(table, name: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2: .* cannot name a case"):
        table("case,image", f"{name},a.nii")


def test_a_misspelt_column_is_said_with_the_nearest(table) -> None:
    assert table("case,image,sereis", "a,a.nii,1.2").notes == (
        "columns that are not used: sereis. Did you mean series?",
    )


def test_every_case_needs_a_model(table) -> None:
    with pytest.raises(ConfigError, match="no model for every case"):
        table("case,image", "a,a.nii", model=None)


def test_an_unknown_model_is_said_before_anything_runs(table) -> None:
    with pytest.raises(UnknownModel):
        table("case,image,model", "a,a.nii,nothing-like-it")


def test_no_text_is_refused(table) -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        table("case,image", "müller,a.nii", encoding="latin-1")
