"""One network that learns from several folders of cases."""

import json
import shutil

import pytest

import napari_effseg as eff
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training import run_training
from napari_effseg.training.datasets import cases_of, refuse_other_numbers
from napari_effseg.training.release import trained_on

BOTH = {'folder = "data"': 'folder = "data"\nmore_folders = ["more"]'}


@pytest.fixture
def folders(ball_config, tmp_path):
    """Write two folders of balls, the second without test cases and with a changed ``dataset.json``."""

    def write(**changes):
        ball_config(1)
        shutil.copytree(tmp_path / "data", tmp_path / "more", dirs_exist_ok=True)
        path = tmp_path / "more" / "dataset.json"
        document = {**json.loads(path.read_text()), "name": "more balls", "test": [], **changes}
        path.write_text(json.dumps(document))
        return [read_dataset(tmp_path / name) for name in ("data", "more")]

    return write


def test_each_split_has_the_cases_of_all_folders(folders):
    datasets = folders()
    sizes = {split: len(cases_of(datasets, split)) for split in ("training", "validation", "test")}
    assert sizes == {"training": 8, "validation": 2, "test": 1}


def test_a_limit_holds_for_each_folder(folders):
    assert len(cases_of(folders(), "training", 3)) == 6


def test_a_split_that_no_folder_has_is_refused(folders):
    datasets = folders(training=[], validation=[])
    with pytest.raises(eff.ImageReadError, match="split 'test'"):
        cases_of(datasets[1:], "test")
    with pytest.raises(eff.ImageReadError, match=r"none of .*more, .*more"):
        cases_of([datasets[1], datasets[1]], "test")


def test_a_structure_with_two_numbers_is_refused(folders):
    refuse_other_numbers(folders())
    with pytest.raises(eff.ConfigError, match=r"Ball is label 1 in .* and 2 in"):
        refuse_other_numbers(folders(labels={"0": "background", "2": "Ball"}))


@pytest.mark.parametrize("allowed", [True, False])
def test_weights_may_be_passed_on_only_if_all_data_allow_it(folders, allowed):
    said = trained_on(folders(redistributable=allowed, licence="CC-BY 4.0", citation="somebody"), "x.toml")
    assert said.redistributable is allowed
    assert said.dataset == "balls + more balls"
    assert said.licence == "CC0 1.0 (balls); CC-BY 4.0 (more balls)"
    assert said.citation == "nobody somebody"
    assert "balls: 4 training, 1 validation, 1 test cases" in said.split


def test_one_licence_is_named_once(folders):
    assert trained_on(folders(), "x.toml").licence == "CC0 1.0"


def test_a_run_of_two_folders_names_both_on_its_card(folders, ball_config, tmp_path):
    folders()
    folder = run_training(ball_config(2, **BOTH), output=tmp_path / "run", device="cpu")
    assert "8 training and 2 validation cases" in (folder / "log.txt").read_text()
    card = eff.zoo.read_card(folder / "ball-lightm-unet.toml")
    assert card.training.dataset == "balls + more balls"
