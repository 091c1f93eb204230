"""Files appear together or not at all; what was there before stays until everything is ready."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import click
import pytest

from napari_effseg.cli._interrupt import Interrupt
from napari_effseg.cli._outputs import StagedFiles, check_output
from napari_effseg.errors import ExportError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_appears_before_the_commit_and_everything_after(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    with StagedFiles([first, second], Interrupt()) as staged:
        staged.place_for(first).write_text("one")
        staged.place_for(second).write_text("two")
        assert not first.exists()
        assert staged.commit() == (first, second)
    assert names(tmp_path) == ["a.txt", "b.txt"]
    assert second.read_text() == "two"


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "a.txt"
    output.write_text("old")
    with pytest.raises(KeyboardInterrupt), StagedFiles([output], Interrupt()) as staged:  # noqa: PT012
        staged.place_for(output).write_text("new")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a.txt"]
    assert output.read_text() == "old"


def test_files_beside_an_output_come_along(tmp_path: Path) -> None:
    output = tmp_path / "a.nii.gz"
    with StagedFiles([output], Interrupt()) as staged:
        staged.place_for(output).write_text("voxels")
        staged.place_for(output).with_name("a.tsv").write_text("names")
        assert staged.commit()[0] == output
    assert names(tmp_path) == ["a.nii.gz", "a.tsv"]


def test_when_one_file_cannot_be_placed_the_others_are_taken_back(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.txt", tmp_path / "b.txt"
    good.write_text("old")
    with pytest.raises(ExportError), StagedFiles([bad, good], Interrupt()) as staged:  # noqa: PT012
        staged.place_for(good).write_text("new")
        staged.place_for(bad).write_text("new")
        bad.mkdir()
        staged.commit()
    assert good.read_text() == "old"
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_one_file_for_two_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="two outputs"), StagedFiles([tmp_path / "a"] * 2, Interrupt()):
        pass


def test_a_folder_that_cannot_be_written_in_is_found_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with (
        pytest.raises(click.UsageError, match="nothing can be written"),
        StagedFiles([tmp_path / "a"], Interrupt()),
    ):
        pass


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="does not exist"):
        check_output(tmp_path / "missing" / "a.nii.gz")


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="is a folder"):
        check_output(tmp_path)


@pytest.mark.parametrize("spelling", ["scan.nii.gz", "sub/../scan.nii.gz"])
def test_the_input_is_no_output(tmp_path: Path, spelling: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(click.UsageError, match="the input itself"):
        check_output(tmp_path / spelling, [tmp_path / "scan.nii.gz"])


def test_an_older_file_is_kept_unless_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    check_output(tmp_path / "a")
    with pytest.raises(click.UsageError, match="exists already"):
        check_output(tmp_path / "a", may_replace=False)
