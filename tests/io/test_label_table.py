from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_effseg as eff
from napari_effseg.io.label_table import read_table, table_text
from napari_effseg.io.terminology import (
    code_from_cell,
    code_from_terminology,
    code_to_cell,
    code_to_terminology,
)
from napari_effseg.volume import Code, LabelMap

words = st.text("aZ09 äß中:;=+-,.\"'\\/()#", min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
tokens = st.text("0123456789ABCDEFGHIJKLMN-.", min_size=1, max_size=12)
codes = st.builds(Code, tokens, tokens, words, st.sampled_from([None, "left", "right"]))


@given(codes)
def test_a_code_survives_a_label_table(code):
    assert code_from_cell(code_to_cell(code)) == code


@given(codes)
def test_a_code_survives_slicers_terminology(code):
    assert code_from_terminology(code_to_terminology(code)) == code


@pytest.mark.parametrize("text", ["", "SCT", "SCT:1", "~", "a~b~c", "x~SCT^1^a~^^~^^"])
def test_text_that_is_no_code_is_none(text):
    assert code_from_cell(text) is None
    assert code_from_terminology(text) is None


def test_the_table_has_bids_columns(labels):
    lines = table_text(labels).splitlines()
    assert lines[0] == "index\tname\tcolor\tcode"
    assert lines[1] == "1\tLeft hippocampus\t#FF0A03\tSCT:4421005 |Hippocampus| + SCT:7771000 |Left|"
    assert lines[3] == "300\tilot\tn/a\tSCT:123037004 |Anatomical Structure|"


def test_no_table_for_labels_without_names(labels):
    assert table_text(LabelMap(labels.data, labels.affine)) is None


def beside(tmp_path, text, encoding="utf-8"):
    (tmp_path / "a.tsv").write_text(text, encoding=encoding)
    return read_table(tmp_path / "a.nii.gz")


def test_a_bids_table_of_another_program_is_read(tmp_path):
    table = beside(
        tmp_path,
        "index\tname\tabbreviation\tcolor\tmapping\n0\tBackground\tBG\t#000000\t0\n7\tCSF\tC\tff0000\t1\n",
    )
    assert (table.names, table.colours, table.warnings) == ({7: "CSF"}, {7: (255, 0, 0)}, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_windows_line_ends_and_marks_are_read(tmp_path, encoding):
    assert beside(tmp_path, "index\tname\r\n1\tÖdem\r\n", encoding).names == {1: "Ödem"}


@pytest.mark.parametrize(
    "line", ["one\tliver\tn/a", "-1\tliver\tn/a", "1\tliver\tred", "1\tliver\t#12345", "\t\t"]
)
def test_a_wrong_line_is_left_out_with_a_warning(tmp_path, line):
    table = beside(tmp_path, f"index\tname\tcolor\n{line}\n2\tspleen\t#010203\n")
    assert table.names == {2: "spleen"}
    assert table.warnings[0].startswith("a.tsv: lines 2 ")


@pytest.mark.parametrize("text", ["patient\tage\n1\t70\n", "", "{}"])
def test_another_kind_of_table_is_ignored_with_a_warning(tmp_path, text):
    table = beside(tmp_path, text)
    assert table.names == {}
    assert "no label table" in table.warnings[0]


def test_a_table_that_is_not_utf8_is_ignored_with_a_warning(tmp_path):
    assert "UTF-8" in beside(tmp_path, "index\tname\n1\tÖdem\n", "latin-1").warnings[0]


def test_no_table_is_no_warning(tmp_path):
    assert read_table(tmp_path / "a.nii.gz").warnings == ()


def test_the_warning_reaches_the_labels(labels, tmp_path):
    path = eff.save(LabelMap(labels.data, labels.affine), tmp_path / "a.nii.gz")
    (tmp_path / "a.tsv").write_text("something else")
    loaded = eff.load_labels(path)
    assert np.array_equal(loaded.data, labels.data)
    assert "no label table" in loaded.warnings[0]
